//! The jitsi-exporter program.

use std::process::ExitCode;

use jitsi_exporter::cli;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "exiting");
            cli::exit_code(&error)
        }
    }
}
