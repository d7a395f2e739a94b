//! Version, commit and compiler of this build, as a metric and as the text of `--version`.

use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// The text that follows the program's name in the output of `--version`.
pub const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (revision ",
    env!("JITSI_BUILD_REVISION"),
    ", rustc ",
    env!("JITSI_BUILD_RUSTC"),
    ")"
);

/// Registers `<prefix>_build_info`, with the value 1.
pub fn register(registry: &mut Registry, prefix: &str) {
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", env!("JITSI_BUILD_REVISION")),
        ("rustversion", env!("JITSI_BUILD_RUSTC")),
    ];
    let labels = labels.map(|(name, value)| (name.into(), value.into()));
    registry.sub_registry_with_labels(labels.into_iter()).register(
        format!("{prefix}_build_info"),
        "Version, commit and compiler of this build; always 1",
        ConstGauge::<i64>::new(1),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_is_a_gauge_with_labels() {
        let mut registry = Registry::default();
        register(&mut registry, "jitsi_exporter");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a string takes every write");
        let sample = format!(
            "jitsi_exporter_build_info{{version=\"{}\",revision=\"{}\",rustversion=\"{}\"}} 1\n",
            env!("CARGO_PKG_VERSION"),
            env!("JITSI_BUILD_REVISION"),
            env!("JITSI_BUILD_RUSTC")
        );
        assert!(text.contains("# TYPE jitsi_exporter_build_info gauge\n"), "{text}");
        assert!(text.contains(&sample), "{text}");
    }
}
