//! Sets up the log: one line per event on standard error, as logfmt or JSON.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::flags::{LogFlags, LogFormat, LogLevel};

/// Libraries that would flood the log at debug level. At trace level they are included.
const VERBOSE: [&str; 8] =
    ["aws_config", "aws_runtime", "aws_smithy_runtime", "h2", "hyper", "hyper_util", "reqwest", "rustls"];

/// Sets up the log. Later calls have no effect.
pub fn init(flags: &LogFlags) {
    let layer = match flags.format {
        LogFormat::Logfmt => logfmt(io::stderr).boxed(),
        LogFormat::Json => json(io::stderr).boxed(),
    };
    // It fails only if a log is already set up, as in tests.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter(flags.level))).try_init();
}

fn logfmt<W>(writer: W) -> impl Layer<Registry>
where
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_logfmt::builder().with_span_name(false).with_span_path(false).layer().with_writer(writer)
}

fn json<W>(writer: W) -> impl Layer<Registry>
where
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer)
}

fn filter(level: LogLevel) -> Targets {
    let filter = Targets::new().with_default(match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    });
    // `aws_config` warns at length about every credential provider that is absent. The caller reports the actual error.
    let filter = match level {
        LogLevel::Trace | LogLevel::Debug | LogLevel::Error => filter,
        LogLevel::Info | LogLevel::Warn => filter.with_target("aws_config", LevelFilter::ERROR),
    };
    if level == LogLevel::Debug {
        filter.with_targets(VERBOSE.map(|target| (target, LevelFilter::INFO)))
    } else {
        filter
    }
}

/// The mistakes in the text of an error, each after the line that introduces them: an event of the log has one line, in which
/// several mistakes cannot be told apart.
#[must_use]
pub fn mistakes(error: &str) -> Vec<String> {
    let mut lines = error.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let others: Vec<String> = lines.map(|line| format!("{first} {line}")).collect();
    if others.is_empty() { vec![first.to_owned()] } else { others }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use test_case::test_case;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat) -> String {
        let lines = Lines::default();
        let copy = lines.clone();
        let writer = move || copy.clone();
        let layer = match format {
            LogFormat::Logfmt => logfmt(writer).boxed(),
            LogFormat::Json => json(writer).boxed(),
        };
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter(LogLevel::Info)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("not this");
            tracing::warn!(target: "jitsi", target_url = "http://a", "it broke");
        });
        String::from_utf8(lines.0.lock().expect("no writer panics").clone()).expect("text")
    }

    #[test_case(LogFormat::Logfmt, &["ts=", "level=warn", "target=jitsi", "target_url=http://a", "\"it broke\""] ; "logfmt")]
    #[test_case(LogFormat::Json, &["\"timestamp\":\"", "\"level\":\"WARN\"", "\"target\":\"jitsi\"", "\"message\":\"it broke\""] ; "json")]
    fn a_line_has_time_level_target_and_fields(format: LogFormat, parts: &[&str]) {
        let text = written(format);
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in parts {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn debug_keeps_libraries_quiet_and_trace_does_not() {
        use tracing::Level;
        assert!(filter(LogLevel::Debug).would_enable("jitsi_exporter::scrape", &Level::DEBUG));
        assert!(!filter(LogLevel::Debug).would_enable("hyper_util::client", &Level::DEBUG));
        assert!(filter(LogLevel::Trace).would_enable("hyper_util::client", &Level::TRACE));
        assert!(!filter(LogLevel::Error).would_enable("jitsi_exporter", &Level::WARN));
    }

    #[test]
    fn each_mistake_is_an_event_of_its_own() {
        assert_eq!(mistakes("failed to start: bind :80"), ["failed to start: bind :80"]);
        assert_eq!(
            mistakes("failed to start: --web.config.file=web.yml:\n  line 1: a\n  line 2: b"),
            [
                "failed to start: --web.config.file=web.yml: line 1: a",
                "failed to start: --web.config.file=web.yml: line 2: b"
            ]
        );
    }
}
