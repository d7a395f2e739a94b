use clap::CommandFactory as _;
use test_case::test_case;

use super::*;

#[test]
fn the_completions_of_each_shell_name_every_command() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let text = completion(shell);
        for command in Cli::command().get_subcommands() {
            assert!(text.contains(command.get_name()), "{shell:?} lacks {}", command.get_name());
        }
    }
}

#[test_case("plan -c f -o json"; "short, behind the command")]
#[test_case("-c f -o json plan"; "short, before the command")]
#[test_case("-cf -ojson plan"; "short, joined")]
#[test_case("-o json plan --config.file f"; "on both sides")]
#[test_case("--config.file=f --output=json plan"; "long, before the command")]
#[test_case("--config.file f --output json plan"; "long, apart")]
fn two_flags_stand_on_either_side_of_the_command(line: &str) {
    let arguments = std::iter::once("jitsi-scaler").chain(line.split(' ')).map(OsString::from).collect();
    let cli = Cli::parsed(arguments).expect("understood");
    let Command::Plan(plan) = cli.command else { panic!("not plan: {cli:?}") };
    assert_eq!((plan.config.path, plan.output), (PathBuf::from("f"), Output::Json));
}

#[test_case("-c"; "without its value")]
#[test_case("-c f"; "without a command")]
#[test_case("-c f --dry-run run"; "another flag before the command")]
#[test_case(""; "nothing")]
fn what_is_no_command_line_stays_wrong(line: &str) {
    let arguments = std::iter::once("jitsi-scaler").chain(line.split_whitespace()).map(OsString::from);
    Cli::parsed(arguments.collect()).expect_err("wrong");
}

#[test_case(&["check", "scaler.yml"], "tip: give the configuration file with its flag: --config.file=scaler.yml"; "a file without its flag")]
#[test_case(&["--config.file=scaler.yml"], "tip: write flags after their command"; "a flag without a command")]
#[test_case(&["test", "--config.file=scaler.yml"], "tip: the command has no such flag; --help"; "a flag of another command")]
#[test_case(&["test", "-c", "scaler.yml"], "tip: the command has no such flag; --help"; "a short flag of another command")]
#[test_case(&["run", "--config-file=scaler.yml"], "tip: a similar argument exists: '--config.file'"; "a flag misspelt")]
#[test_case(&["rnu"], "tip: a similar command exists: run"; "a command with letters swapped")]
#[test_case(&["importcloudwatch"], "tip: a similar subcommand exists: 'import-cloudwatch'"; "a command misspelt")]
#[test_case(&["status", "--config.file=f"], "tip: status asks a running service, and reads no configuration: give its address with --server=URL"; "a configuration for a service")]
fn an_error_has_a_tip(arguments: &[&str], tip: &str) {
    let text = error(arguments);
    assert!(text.contains(tip), "{text}");
    assert_eq!(text.matches("tip:").count(), 1, "{text}");
}

fn error(arguments: &[&str]) -> String {
    let arguments: Vec<_> = ["jitsi-scaler"].iter().chain(arguments).map(OsString::from).collect();
    Cli::parsed(arguments).expect_err("wrong").to_string()
}

#[test_case(&["run", "-config.file=f"], "'-config.file': write --config.file, with two dashes"; "one dash")]
#[test_case(&["-v"], "'-v': write -V for the version"; "the version")]
#[test_case(&["release"], "<--dry-run|--yes>"; "to do it or to see it")]
#[test_case(&["resume"], "<GROUP|--all>"; "no group")]
#[test_case(&["pause", "--for=2h", "--reason=a"], "<GROUP|--all>"; "nothing to pause")]
#[test_case(&["pause", "jvb", "--for=2", "--reason=a"], "write a duration such as 2h, of 30d at most"; "no unit")]
#[test_case(&["pause", "jvb", "--for=45d", "--reason=a"], "write a duration such as 2h, of 30d at most"; "too long")]
#[test_case(&["pause", "jvb", "--for=2h", "--reason= "], "write why, in one line of at most 160 characters"; "no reason")]
#[test_case(&["drain", "i-0", "--reason="], "write why, in one line of at most 140 characters"; "no reason to drain")]
fn a_wrong_value_has_a_remedy(arguments: &[&str], expected: &str) {
    let text = error(arguments);
    assert!(text.contains(expected), "{text}");
}
