//! Man pages and completions match the command line. With `WRITE_MANUALS=1` this writes them anew:
//!
//!     WRITE_MANUALS=1 cargo test -p jitsi-tests --test acceptance manuals

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

/// The files of a program in its `packaging` folder, with their expected content.
fn expected(command: &Command) -> BTreeMap<PathBuf, Vec<u8>> {
    let name = command.get_name().to_owned();
    // Without the revision of the build, which changes with every commit.
    let command = command.clone().version(env!("CARGO_PKG_VERSION"));
    let folder = tempfile::tempdir().expect("a folder");
    clap_mangen::generate_to(command.clone().disable_help_subcommand(true), folder.path())
        .expect("man pages");
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder.path()).expect("man pages") {
        let path = entry.expect("a man page").path();
        let page = std::fs::read(&path).expect("a man page");
        files.insert(Path::new("man").join(path.file_name().expect("a name")), page);
    }
    for (shell, file) in [
        (Shell::Bash, format!("{name}.bash")),
        (Shell::Zsh, format!("_{name}")),
        (Shell::Fish, format!("{name}.fish")),
    ] {
        let mut completion = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), &name, &mut completion);
        files.insert(Path::new("completions").join(file), completion);
    }
    files
}

#[test_case::test_case("exporter", &jitsi_exporter::cli::Cli::command(); "of the exporter")]
#[test_case::test_case("scaler", &jitsi_scaler::cli::Cli::command(); "of the scaler")]
fn manuals_are_those_of_the_command_line(component: &str, command: &Command) {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(component).join("packaging");
    let expected = expected(command);
    assert!(expected.len() >= 4, "{:?}", expected.keys());
    if std::env::var_os("WRITE_MANUALS").is_some() {
        for (file, text) in &expected {
            std::fs::create_dir_all(packaging.join(file).parent().expect("a folder")).expect("made");
            std::fs::write(packaging.join(file), text).expect("written");
        }
    }
    for (file, text) in &expected {
        let found = std::fs::read(packaging.join(file)).unwrap_or_default();
        assert!(
            found == *text,
            "{component}/packaging/{} is not that of the command line; {HOW}",
            file.display()
        );
    }
    for folder in ["man", "completions"] {
        for entry in std::fs::read_dir(packaging.join(folder)).expect("a folder") {
            let file = Path::new(folder).join(entry.expect("a file").file_name());
            assert!(
                expected.contains_key(&file),
                "{component}/packaging/{} is of no command",
                file.display()
            );
        }
    }
}

const HOW: &str = "run WRITE_MANUALS=1 cargo test -p jitsi-tests --test acceptance manuals";
