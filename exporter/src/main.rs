//! The jitsi-exporter program.

use std::process::ExitCode;

use jitsi_exporter::cli;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for mistake in jitsi_web::logging::mistakes(&format!("{error:#}")) {
                tracing::error!(error = mistake, "exiting");
            }
            cli::exit_code(&error)
        }
    }
}
