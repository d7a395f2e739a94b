//! The output.

use std::io::Write as _;

/// Prints a line of the result.
pub(super) fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
