//! A configuration as a whole.

use std::path::Path;

use jitsi_web::document::{self, Dialect, Field, Problem, Problems};

use super::model::{Config, ConfigError, Fleet, Prometheus};
use super::parse::not_empty;
use super::raw::{RawConfig, RawFleet, Sections};
use super::{fleet, prometheus};

const SOME_HAVE_OWN: &str = "`prometheus` is missing, and not every fleet has its own; write for example \
                             `prometheus: {url: http://127.0.0.1:9090}` here, or in each fleet";

/// Reads and validates the file at `path`.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    parse(&text(path)?, folder).map_err(|problems| ConfigError::Invalid { path: path.to_owned(), problems })
}

/// What the file at `path` holds.
pub(super) fn text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

/// Validates the text of a configuration, in which relative paths start from `folder`; the error holds every mistake in it.
pub fn parse(text: &str, folder: &Path) -> Result<Config, Vec<Problem>> {
    let problems = Problems::default();
    validate(document::read(text, Dialect::Strict, &problems), folder, problems)
}

/// Validates a configuration that was read; `problems` holds the mistakes of reading.
pub(super) fn validate(
    raw: Field<RawConfig>,
    folder: &Path,
    problems: Problems,
) -> Result<Config, Vec<Problem>> {
    let config = raw.take().and_then(|raw| {
        let listed = raw.fleets.get().map_or(&[][..], Vec::as_slice);
        let has_own = |fleet: &&Field<RawFleet>| fleet.get().is_some_and(|it| !it.prometheus.is_absent());
        let own = listed.iter().filter(has_own).count();
        let all_have_own = own > 0 && own == listed.len();
        let shared = match raw.prometheus {
            absent if all_have_own && absent.is_absent() => absent,
            needed if own > 0 => needed.required_because(&problems, SOME_HAVE_OWN),
            needed => needed.required(&problems, "{url: http://127.0.0.1:9090}"),
        };
        let shared = shared.open().and_then(|(at, raw)| {
            if all_have_own {
                at.warn(
                    &problems,
                    "no fleet reads it, because each has a `prometheus` of its own; leave it out",
                );
            }
            prometheus::read(raw, folder, &problems)
        });
        // Without it the file is refused, and the mistakes of its fleets are found all the same.
        let shared = shared.or_else(prometheus::unasked)?;
        let fleets = fleets(raw.fleets, &shared, folder, &problems);
        Some(Config { fleets: fleets?, warnings: Vec::new() })
    });
    if config.is_none() && problems.is_empty() {
        // A part must never go missing silently.
        problems
            .add(Problem::whole("a part of it cannot be used, for an unknown reason; please report this"));
    }
    let (wrong, warnings) = problems.into_sorted();
    match config {
        Some(config) if wrong.is_empty() => Ok(Config { warnings, ..config }),
        _ => Err(wrong),
    }
}

/// Reads all fleets; none where one of them cannot be used. Those without a Prometheus of their own read `shared`.
pub(super) fn fleets(
    raw: Sections<RawFleet>,
    shared: &Prometheus,
    folder: &Path,
    problems: &Problems,
) -> Option<Vec<Fleet>> {
    let raw = not_empty(raw, problems, ("fleets", "fleet")).take()?;
    let count = raw.len();
    let mut fleets: Vec<Fleet> = Vec::with_capacity(count);
    for fleet in raw {
        fleets.extend(fleet::read(fleet, &fleets, shared, folder, problems));
    }
    (fleets.len() == count).then_some(fleets)
}
