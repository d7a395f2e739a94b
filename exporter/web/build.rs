//! Tells the program which source and which compiler it was built from.

use std::env;
use std::path::Path;
use std::process::Command;

/// Packagers who build from a tarball set this.
const REVISION: &str = "JITSI_BUILD_REVISION";

/// Changes with every commit, so that a release build never carries the revision of an older one.
const GIT_LOG: &str = "../../.git/logs/HEAD";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={REVISION}");
    println!("cargo::rustc-env=JITSI_BUILD_REVISION={}", revision());
    println!("cargo::rustc-env=JITSI_BUILD_RUSTC={}", rustc_version());
}

fn revision() -> String {
    if let Ok(given) = env::var(REVISION) {
        return given;
    }
    // A development build is not recompiled for every commit.
    if env::var("PROFILE").as_deref() != Ok("release") || !Path::new(GIT_LOG).exists() {
        return "unknown".to_owned();
    }
    println!("cargo::rerun-if-changed={GIT_LOG}");
    output("git", &["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned())
}

fn rustc_version() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    output(&rustc, &["--version"])
        .and_then(|text| text.split_whitespace().nth(1).map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}
