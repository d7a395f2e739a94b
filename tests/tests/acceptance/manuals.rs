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
        let mut page = std::fs::read(&path).expect("a man page");
        page.extend(further(&command, path.file_stem().expect("a name").to_str().expect("a name")).bytes());
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

/// The examples of each page.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "jitsi-exporter",
        &[
            ("A bridge on this host", "jitsi-exporter --jvb.url=http://127.0.0.1:8080"),
            ("Its metrics", "curl -s http://127.0.0.1:10065/metrics"),
            ("Probes of a network", "jitsi-exporter --probe.allow=10.0.0.0/8 --config.file=modules.yml"),
            ("Are the flags and files valid?", "jitsi-exporter --config.check --config.file=modules.yml"),
        ],
    ),
    (
        "jitsi-scaler",
        &[
            (
                "Is the configuration valid, and would it work?",
                "jitsi-scaler check --online --config.file=scaler.yml",
            ),
            ("What would be done now, and why?", "jitsi-scaler plan --config.file=scaler.yml"),
            ("Run without changing anything", "jitsi-scaler run --dry-run --config.file=scaler.yml"),
        ],
    ),
    (
        "jitsi-scaler-run",
        &[("Decide and report only", "jitsi-scaler run --dry-run --config.file=scaler.yml")],
    ),
    (
        "jitsi-scaler-backtest",
        &[
            (
                "What would the last week have been?",
                "jitsi-scaler backtest --config.file=scaler.yml --from=7d",
            ),
            (
                "Which threshold is best?",
                "jitsi-scaler backtest --config.file=scaler.yml --tune='jvb.stress.scale_out.when=0.4..0.8/0.05'",
            ),
            (
                "A page that compares two configurations",
                "jitsi-scaler backtest --config.file=scaler.yml --against=other.yml --output=html > backtest.html",
            ),
        ],
    ),
    (
        "jitsi-scaler-check",
        &[
            ("Every mistake with its line", "jitsi-scaler check --config.file=scaler.yml"),
            (
                "Also ask Prometheus, AWS and the components",
                "jitsi-scaler check --online --config.file=scaler.yml",
            ),
        ],
    ),
    (
        "jitsi-scaler-plan",
        &[("As of a moment that is over", "jitsi-scaler plan --at=2026-11-20T07:00:00Z --output=json")],
    ),
    ("jitsi-scaler-test", &[("All tests of a folder", "jitsi-scaler test --junit=results.xml tests/")]),
    (
        "jitsi-scaler-import-cloudwatch",
        &[
            ("The answers of AWS", "aws cloudwatch describe-alarms --output json > alarms.json"),
            ("", "aws autoscaling describe-policies --output json > policies.json"),
            ("", "aws autoscaling describe-scheduled-actions --output json > actions.json"),
            (
                "A configuration to complete",
                "jitsi-scaler import-cloudwatch alarms.json policies.json actions.json > scaler.yml",
            ),
        ],
    ),
    (
        "jitsi-scaler-status",
        &[("What goes on in a fleet, again every five seconds", "jitsi-scaler status jvb --watch")],
    ),
    (
        "jitsi-scaler-pause",
        &[("While a new image is tried", "jitsi-scaler pause jvb/prod-jvb --for=2h --reason='new image'")],
    ),
    ("jitsi-scaler-resume", &[("Every group", "jitsi-scaler resume --all")]),
    (
        "jitsi-scaler-drain",
        &[
            ("Replace an instance", "jitsi-scaler drain i-0123456789abcdef0 --reason='new kernel'"),
            (
                "Keep it for an inspection",
                "jitsi-scaler drain i-0123456789abcdef0 --then=keep --reason='memory leak'",
            ),
        ],
    ),
    ("jitsi-scaler-undrain", &[("After the inspection", "jitsi-scaler undrain i-0123456789abcdef0")]),
    (
        "jitsi-scaler-release",
        &[
            (
                "What would be done, and what stays?",
                "jitsi-scaler release --config.file=scaler.yml --dry-run",
            ),
            ("Of one fleet", "jitsi-scaler release jvb --config.file=scaler.yml --yes"),
        ],
    ),
    ("jitsi-scaler-completion", &[("In this shell", "source <(jitsi-scaler completion bash)")]),
];

/// The sections of the page `name` that clap does not write.
fn further(program: &Command, name: &str) -> String {
    let mut program = program.clone();
    program.build();
    let is_scaler = program.get_name() == "jitsi-scaler";
    let below = name.strip_prefix(program.get_name()).and_then(|rest| rest.strip_prefix('-'));
    let command = below.map_or(&program, |below| program.find_subcommand(below).expect("a command"));
    let mut text = String::new();
    let mut section = |title: &str, entries: &[(String, String)]| {
        if !entries.is_empty() {
            text.push_str(&format!(".SH {title}\n"));
        }
        for (term, meaning) in entries {
            text.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", roff(term), roff(meaning)));
        }
    };
    let entry = |term: &str, meaning: &str| (term.to_owned(), meaning.to_owned());
    let variables = command.get_arguments().filter_map(|arg| {
        let meaning = format!("--{}, if that is not given", arg.get_long()?);
        Some((arg.get_env()?.to_string_lossy().into_owned(), meaning))
    });
    let mut variables: Vec<_> = variables.collect();
    if is_scaler && ["run", "check", "plan"].iter().any(|asks| below == Some(asks)) {
        let meaning =
            "AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID and what else the command line of AWS reads";
        variables.push(entry("AWS_*", meaning));
    }
    section("ENVIRONMENT", &variables);
    let files = if is_scaler {
        vec![
            entry("/etc/jitsi-scaler/scaler.yml", "The configuration"),
            entry("/etc/default/jitsi-scaler", "The flags of the service, as ARGS"),
        ]
    } else {
        vec![entry("/etc/default/jitsi-exporter", "The flags of the service, as ARGS")]
    };
    section("FILES", &files);
    let no = match below {
        Some("check") => "Something would not work",
        Some("test") => "A test failed",
        Some("plan") => "The plan could not be made in full",
        _ => "It could not go on",
    };
    let statuses = [entry("0", "Success"), entry("1", no), entry("2", "The command line or a file is wrong")];
    section("EXIT STATUS", &statuses);
    let examples = EXAMPLES.iter().find(|(page, _)| *page == name).map_or(&[][..], |(_, examples)| examples);
    if !examples.is_empty() {
        text.push_str(".SH EXAMPLES\n");
    }
    for (what, line) in examples {
        if !what.is_empty() {
            text.push_str(&format!(".PP\n{}\n", roff(what)));
        }
        text.push_str(&format!(".PP\n.RS 4\n.nf\n{}\n.fi\n.RE\n", roff(line)));
    }
    let commands = program.get_subcommands().filter(|command| command.get_name() != "help");
    let pages = commands.map(|command| format!("{}-{}", program.get_name(), command.get_name()));
    let other = if is_scaler { "jitsi-exporter" } else { "jitsi-scaler" };
    let pages = [program.get_name().to_owned()].into_iter().chain(pages).chain([other.to_owned()]);
    let pages: Vec<_> =
        pages.filter(|page| page != name).map(|page| format!("\\fB{}\\fR(1)", roff(&page))).collect();
    text.push_str(&format!(".SH SEE ALSO\n{}\n", pages.join(", ")));
    text
}

/// A text that roff shows as it is.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[test_case::test_case("exporter", &jitsi_exporter::cli::Cli::command(); "of the exporter")]
#[test_case::test_case("scaler", &jitsi_scaler::cli::Cli::command(); "of the scaler")]
fn manuals_are_those_of_the_command_line(component: &str, command: &Command) {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(component).join("packaging");
    let expected = expected(command);
    assert!(expected.len() >= 4, "{:?}", expected.keys());
    for (file, text) in expected.iter().filter(|(file, _)| file.starts_with("man")) {
        let text = String::from_utf8_lossy(text);
        for section in ["FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO"] {
            assert!(text.contains(&format!(".SH {section}\n")), "{} has no {section}", file.display());
        }
    }
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
