//! Compares accepted files with the verdicts of promtool.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_case::test_case;

use crate::support::{Authority, Folder};

fn promtool() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/usr/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path).chain([fetched]);
    folders
        .find_map(|folder| Some(folder.join("promtool")).filter(|program| program.is_file()))
        .expect("promtool is in PATH or in target/tools: run tests/tools.sh prometheus")
}

/// A folder with every file that the fixtures name.
fn folder() -> Folder {
    let authority = Authority::new("ca");
    let folder = Folder::new("");
    folder.write_pair("server", &authority.server());
    folder.write_pair("other", &authority.server());
    folder.write("ca.crt", &authority.certificate.pem());
    folder.write("junk.crt", "junk\n");
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    folder.write("encrypted.key", encrypted);
    folder
}

fn fixtures(kind: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind);
    let entries = fs::read_dir(folder).expect("fixtures").map(|entry| entry.expect("a fixture").path());
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("text"))
    };
    entries.map(read).collect()
}

#[test_case("accepted", true, Some(true) ; "both accept")]
#[test_case("refused", false, Some(false) ; "both refuse")]
#[test_case("newer", true, None ; "its version decides")]
#[test_case("stricter", false, Some(true) ; "nothing could be served")]
#[test_case("useless", false, None ; "its version decides, and they are of no use")]
fn verdicts_equal_promtool_s(kind: &str, accepted: bool, by_promtool: Option<bool>) {
    let (promtool, folder) = (promtool(), folder());
    let fixtures = fixtures(kind);
    assert!(fixtures.len() >= 3, "{kind}");
    let mut wrong = Vec::new();
    for (name, text) in fixtures {
        folder.write("web.yml", &text);
        let path = folder.web_config();
        let output =
            Command::new(&promtool).args(["check", "web-config"]).arg(&path).output().expect("promtool");
        if by_promtool.is_some_and(|accepts| accepts != output.status.success()) {
            wrong.push(format!("{name}: promtool: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let reported = jitsi_web::check_web_config(&path).err().map(|error| error.to_string());
        if accepted {
            wrong.extend(reported.map(|reported| format!("{name}: {reported}")));
            continue;
        }
        let expect = text.lines().next().and_then(|line| line.strip_prefix("# expect: "));
        let expect = expect.expect("a first line").replace("{folder}", &folder.path().to_string_lossy());
        let starts = format!("--web.config.file={}:", path.display());
        let reported = reported.unwrap_or_default();
        if !reported.starts_with(&starts) || !reported.contains(&expect) || reported.contains("hunter2") {
            wrong.push(format!("{name}: {reported:?} is not {expect:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_program_does_not_start_with_an_invalid_file() {
    let folder = Folder::new("nonsense: 1\n");
    let error = jitsi_web::Server::bind(&folder.flags(), 0).await.expect_err("a mistake");
    assert!(error.is_usage());
    let expected = format!(
        "--web.config.file={}: line 1: there is no key `nonsense` here",
        folder.web_config().display()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
}
