//! The guides' lists of flags and of reasons in metrics match the programs. Lists of flags and of the exporter's
//! reasons are between markers; with `WRITE_MANUALS=1` this writes them anew, like the manuals:
//!
//!     WRITE_MANUALS=1 cargo test -p jitsi-tests --test acceptance manuals

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use jitsi_exporter::component::Component;
use jitsi_exporter::reason::Reason;
use jitsi_exporter::relay;
use jitsi_scaler::decide::decision::Reason as HoldReason;
use jitsi_scaler::telemetry::Webhook;

const HOW: &str = "run WRITE_MANUALS=1 cargo test -p jitsi-tests --test acceptance manuals";

/// Example values of flags. A flag without an example shows the name of its value.
const EXAMPLES: &[(&str, &str)] = &[
    ("jvb.url", "http://127.0.0.1:8080"),
    ("jicofo.url", "http://127.0.0.1:8888"),
    ("jibri.url", "http://127.0.0.1:2222"),
    ("jibri.internal-url", "http://127.0.0.1:3333"),
    ("probe.allow", ".example.org"),
    ("scrape.native", "always"),
    ("scrape.max-timeout", "30s"),
    ("web.config.file", "web.yml"),
    ("web.telemetry-path", "/jitsi"),
    ("web.max-requests", "200"),
    ("web.link", "Dashboard=https://grafana.example.org/d/jitsi-scaler?var-asg={asg}"),
    ("log.level", "debug"),
    ("log.format", "json"),
    ("at", "2026-11-20T07:00:00Z"),
    ("output", "json"),
    ("print-completion", "bash"),
    ("decision-log", "/var/log/jitsi-scaler/decisions.jsonl"),
    ("server", "https://scaler.example.org:10066"),
    ("username", "alice"),
    ("password-file", "/etc/jitsi-scaler/password"),
    ("ca-file", "ca.pem"),
    ("for", "2h"),
    ("reason", "new image"),
    ("then", "keep"),
    ("leader.lease", "jitsi/jitsi-scaler"),
    ("leader.shards", "8"),
    ("leader.identity", "scaler-1"),
    ("leader.lease-duration", "60s"),
    ("leader.renew-deadline", "40s"),
    ("leader.retry-period", "8s"),
];

/// Examples that depend on the program or on the command.
const EXAMPLES_OF: &[(&str, &str, &str)] = &[
    ("jitsi-exporter", "--config.file", "modules.yml"),
    ("jitsi-exporter", "--web.listen-address", "127.0.0.1:10065"),
    ("jitsi-scaler", "--config.file", "scaler.yml"),
    ("jitsi-scaler", "--web.listen-address", "127.0.0.1:10066"),
    ("test", "FILE", "scaler.test.yml"),
    ("status", "GROUP", "jvb"),
    ("pause", "GROUP", "jvb/prod-jvb"),
    ("resume", "GROUP", "jvb/prod-jvb"),
    ("drain", "INSTANCE", "i-0123456789abcdef0"),
    ("undrain", "INSTANCE", "i-0123456789abcdef0"),
    ("release", "FLEET", "jvb"),
    ("completion", "SHELL", "bash"),
    ("import-cloudwatch", "FILE", "alarms.json policies.json actions.json"),
];

/// Several tests write into one guide.
static PEN: Mutex<()> = Mutex::new(());

fn guide(component: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(component).join("README.md")
}

fn read(component: &str) -> String {
    std::fs::read_to_string(guide(component)).expect("a guide")
}

/// Compares the text between two lines of a guide with `expected`, or writes it there.
fn hold(component: &str, begin: &str, end: &str, expected: &str) {
    let _pen = PEN.lock().unwrap_or_else(PoisonError::into_inner);
    let text = read(component);
    let (before, rest) = text.split_once(&format!("{begin}\n")).expect("the beginning of a list");
    let (found, after) = rest.split_once(end).expect("the end of a list");
    if std::env::var_os("WRITE_MANUALS").is_some() {
        std::fs::write(guide(component), format!("{before}{begin}\n{expected}{end}{after}"))
            .expect("written");
        return;
    }
    assert!(
        found == expected,
        "{component}/README.md: what follows {begin} is not that of the program; {HOW}"
    );
}

/// Formats a text for a table cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn usage(arg: &Arg) -> String {
    let Some(long) = arg.get_long() else {
        return arg.get_value_names().map_or_else(|| arg.get_id().to_string(), |names| names[0].to_string());
    };
    match arg.get_value_names() {
        Some(names) if arg.get_action().takes_values() => format!("--{long}={}", names[0]),
        _ => format!("--{long}"),
    }
}

/// The default of a flag. Some defaults are only in the help, such as addresses that depend on the program.
fn default(name: &str, arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let told =
        help.split_once("default: ").map(|(_, told)| told.split(';').next().unwrap_or_default().trim());
    let values: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    match (values.first(), told) {
        _ if !arg.get_action().takes_values() => "off".to_owned(),
        (Some(value), _) => format!("`{value}`"),
        (None, _) if arg.get_long() == Some("web.listen-address") => {
            format!("`:{}`", if name == "jitsi-exporter" { "10065" } else { "10066" })
        }
        (None, Some(told)) => told.to_owned(),
        (None, None) if arg.is_required_set() => "required".to_owned(),
        (None, None) => "–".to_owned(),
    }
}

fn example(name: &str, command: &Command, arg: &Arg) -> String {
    let Some(long) = arg.get_long() else {
        let usage = usage(arg);
        let known = EXAMPLES_OF.iter().find(|(of, value, _)| *of == command.get_name() && *value == usage);
        return known.map_or_else(String::new, |(of, _, example)| format!("`{of} {example}`"));
    };
    let of = EXAMPLES_OF.iter().find(|(of, flag, _)| *of == name && flag.strip_prefix("--") == Some(long));
    let known = EXAMPLES.iter().find(|(flag, _)| *flag == long);
    match of.map(|(_, _, value)| value).or(known.map(|(_, value)| value)) {
        Some(value) => format!("`--{long}={value}`"),
        None => format!("`{}`", usage(arg)),
    }
}

/// The text of a choice in lower case: it begins a sentence at its definition, but not here.
fn small(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// The table of a command's flags, one per row.
fn table(name: &str, command: &Command) -> String {
    let mut text = "| flag | default | example | what it does |\n|---|---|---|---|\n".to_owned();
    for arg in command.get_arguments() {
        if matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong)
            || arg.is_hide_set()
        {
            continue;
        }
        let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let choices: Vec<_> = arg
            .get_possible_values()
            .iter()
            .map(|value| match value.get_help() {
                Some(help) => format!("`{}` ({})", value.get_name(), small(&cell(&help.to_string()))),
                None => format!("`{}`", value.get_name()),
            })
            .collect();
        if !choices.is_empty() && arg.get_action().takes_values() {
            let _ = write!(help, ": {}", choices.join(", "));
        }
        if let Some(variable) = arg.get_env() {
            let _ = write!(help, "; environment: `{}`", variable.to_string_lossy());
        }
        let (usage, default, example) = (usage(arg), default(name, arg), example(name, command, arg));
        let _ = writeln!(text, "| `{usage}` | {default} | {example} | {} |", cell(&help));
    }
    text
}

/// The flags of a program, command by command.
fn flags(command: &Command) -> String {
    let name = command.get_name().to_owned();
    let mut command = command.clone();
    command.build();
    let mut text = "\n".to_owned();
    let commands: Vec<&Command> = command.get_subcommands().filter(|it| it.get_name() != "help").collect();
    if commands.is_empty() {
        return format!("\n{}\n", table(&name, &command));
    }
    for it in commands {
        let about = it.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(text, "### Flags of `{name} {}`\n\n{about}.\n\n{}\n", it.get_name(), table(&name, it));
    }
    text
}

#[test_case::test_case("exporter", &jitsi_exporter::cli::Cli::command(); "of the exporter")]
#[test_case::test_case("scaler", &jitsi_scaler::cli::Cli::command(); "of the scaler")]
fn the_guide_has_every_flag(component: &str, command: &Command) {
    let command = command.clone().disable_version_flag(true);
    let expected = flags(&command);
    assert!(expected.contains("`--log.level=LEVEL` | `info` | `--log.level=debug` |"), "{expected}");
    let begin = format!("<!-- flags of {} -->", command.get_name());
    hold(component, &begin, "<!-- end of flags -->", &expected);
}

/// The log's text for a reason: once, if it differs between components only in names and ports.
fn advice(reason: Reason) -> String {
    let texts = |neutral: &dyn Fn(Component, String) -> String| -> BTreeSet<String> {
        Component::ALL.into_iter().map(|component| neutral(component, component.advice(reason))).collect()
    };
    let port = |component: Component, text: String| {
        let (name, port) = (component.as_str(), component.default_port());
        text.replace(&format!("of a {name} is {port}"), "of a COMPONENT is PORT")
            .replace(&format!("no {name}, whose port is {port}"), "no COMPONENT, whose port is PORT")
            .replace(&format!("that of {name}"), "that of COMPONENT")
    };
    let flag = |component: Component, text: String| {
        text.replace(&format!("--{}.url", component.as_str()), "--COMPONENT.url")
    };
    for texts in [texts(&|_, text| text), texts(&port), texts(&flag)] {
        if texts.len() == 1 {
            return texts.iter().map(|text| cell(text)).collect();
        }
    }
    let each = Component::ALL
        .into_iter()
        .map(|component| format!("*{component}*: {}", cell(&component.advice(reason))));
    each.collect::<Vec<_>>().join("<br>")
}

#[test]
fn the_guide_has_every_reason_why_a_component_is_not_up() {
    let mut expected = "\n| reason | what the log says, and what to do |\n|---|---|\n".to_owned();
    for reason in Reason::ALL {
        let _ = writeln!(expected, "| `{}` | {} |", reason.as_str(), advice(reason));
    }
    expected.push('\n');
    hold("exporter", "<!-- reasons -->", "<!-- end of reasons -->", &expected);
}

/// The first cells of the tables below a heading of a guide.
fn words(component: &str, heading: &str) -> BTreeSet<String> {
    let guide = read(component);
    let (_, section) = guide.split_once(&format!("\n### {heading}\n")).expect("the heading");
    let section = section.split_once("\n#").map_or(section, |(section, _)| section);
    let first = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    first.map(|(word, _)| word.to_owned()).collect()
}

fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

/// The quoted words between `from` and `to` in a source file of the scaler, for sets that it does not export.
fn quoted(file: &str, from: &str, to: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scaler/src").join(file);
    let source = std::fs::read_to_string(path).expect("a source file");
    let (_, rest) = source.split_once(from).unwrap_or_else(|| panic!("{file} has no {from}"));
    let (part, _) = rest.split_once(to).unwrap_or_else(|| panic!("{file} has no {to} behind {from}"));
    let found = set(part.split('"').skip(1).step_by(2));
    assert!(found.len() >= 6, "{file}: {found:?}");
    found
}

/// The words that the method `as_str` of a source file returns.
fn labels(file: &str) -> BTreeSet<String> {
    quoted(file, "pub fn as_str(&self) -> &'static str {", "\n    }\n")
}

#[test]
fn the_guide_has_every_reason_why_a_group_does_not_scale() {
    assert_eq!(words("scaler", "Why it does not scale"), set(HoldReason::LABELS));
}

#[test]
fn the_guide_has_everything_that_becomes_of_a_notification() {
    assert_eq!(words("scaler", "Notifications of Alertmanager"), set(Webhook::ALL.map(Webhook::as_str)));
}

#[test]
fn the_guide_has_everything_that_becomes_of_a_query() {
    let mut known = labels("observe/metrics.rs");
    known.insert("ok".to_owned());
    assert_eq!(words("scaler", "A policy has no data"), known);
}

#[test]
fn the_guide_has_everything_that_becomes_of_a_call_to_aws() {
    let mut known = labels("cloud/mod.rs");
    known.insert("ok".to_owned());
    known.extend(quoted("telemetry/requests.rs", "const UNSEEN: ", ";\n\n"));
    assert_eq!(words("scaler", "AWS"), known);
}

#[test]
fn the_guide_has_everything_that_a_drain_may_wait_for() {
    assert_eq!(
        words("scaler", "Drains that do not end"),
        quoted("decide/decision.rs", "pub fn waits_for(&self) -> &'static str {", "\n    }\n")
    );
}

#[test]
fn the_guide_has_everything_that_becomes_of_a_request_to_the_relay() {
    assert_eq!(words("exporter", "The relay fails"), set(relay::Outcome::ALL.map(relay::Outcome::as_str)));
}
