//! The paths of third-party programs.

use std::path::PathBuf;

use anyhow::Context as _;

/// The repository's root.
pub(super) fn root() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map(PathBuf::from).unwrap_or(tests)
}

/// The path of a tool: in `PATH`, or where `tests/tools.sh` installs it.
pub fn tool(name: &str) -> anyhow::Result<PathBuf> {
    // Debian's name for it, and its place in the package or the virtual environment.
    let debian = if name == "alertmanager" { "prometheus-alertmanager" } else { name };
    let unpacked = root().join("target/tools");
    let in_path = std::env::var_os("PATH").into_iter().flat_map(|path| {
        std::env::split_paths(&path)
            .flat_map(|folder| [folder.join(name), folder.join(debian)])
            .collect::<Vec<_>>()
    });
    in_path
        .chain(["usr/bin", "usr/sbin"].map(|folder| unpacked.join(folder).join(debian)))
        .chain([unpacked.join("venv/bin").join(name)])
        .find(|path| path.is_file())
        .with_context(|| {
            format!("{name} is neither in PATH nor under target/tools; run tests/tools.sh, which fetches it")
        })
}
