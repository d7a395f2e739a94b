//! The program as a process: its messages, exit codes, start and shutdown.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tokio::time::Instant;

const PROGRAM: &str = env!("CARGO_BIN_EXE_jitsi-exporter");

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().expect("the program runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running program, which is killed when the test ends.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) address: String,
    log: BufReader<std::process::ChildStderr>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn start(arguments: &[&str]) -> Running {
    let mut child = Command::new(PROGRAM)
        .args(["--web.listen-address=127.0.0.1:0"])
        .args(arguments)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut log = BufReader::new(child.stderr.take().expect("its log"));
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("a line"), 0, "it ended");
        if let Some(address) = line.split_whitespace().find_map(|field| field.strip_prefix("address=")) {
            break address.to_owned();
        }
    };
    Running { child, address, log }
}

pub(crate) fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn help_names_every_flag() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    for flag in [
        "--jvb.url",
        "--jicofo.url",
        "--jibri.url",
        "--probe.allow",
        "--config.file",
        "--config.check",
        "--relay.enabled",
        "--jibri.internal-url",
        "--instance.id",
        "--web.config.file",
        "--scrape.native",
        "--scrape.max-timeout",
        "--compat.systemli",
        "--print-metrics-reference",
        "--web.listen-address",
        "--web.telemetry-path",
        "--web.max-requests",
        "--log.level",
        "--log.format",
        "--version",
    ] {
        assert!(text.contains(flag), "{flag} in {text}");
    }
    let version = run(&["--version"]);
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("jitsi-exporter 0."), "{version:?}");
}

#[test]
fn the_reference_is_printed() {
    let output = run(&["--print-metrics-reference"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.starts_with("# Metrics of jitsi-exporter\n") && text.contains("| `jvb_up` | gauge |"),
        "{text}"
    );
    let output = run(&["--print-metrics-reference", "--jvb.url=http://a"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn all_mistakes_are_reported_at_once_with_exit_code_2() {
    let output = run(&["--jvb.url=ftp://a", "--jibri.url=b:1", "--jibri.url=b:1", "--probe.allow=x y"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    for part in [
        "error: --jvb.url=ftp://a: the scheme ftp:// is not supported: write http:// or https://",
        "--jibri.url=b:1 is given twice: remove one of them",
        "--probe.allow=x y: write a network such as 10.0.0.0/8, an address, or a domain such as .example.org",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn flags_that_cannot_be_parsed_end_with_exit_code_2() {
    for (flag, part) in [
        ("--web.listen-address=10065", "the port is missing: write :PORT, 127.0.0.1:PORT or [::1]:PORT"),
        ("--web.telemetry-path=metrics", "write an absolute path without a trailing slash, such as /metrics"),
        ("--web.telemetry-path=/probe", "the path is used by probes: choose another, such as /metrics"),
        ("--scrape.native=never", "[possible values: auto, always, off]"),
        ("--log.level=loud", "[possible values: trace, debug, info, warn, error]"),
        ("--jvb-url=http://a", "unexpected argument '--jvb-url' found"),
        ("-jvb.url=http://a", "unexpected argument '-jvb.url': write --jvb.url, with two dashes"),
        ("--jvb.url=https//a", "the scheme lacks its colon: write https://"),
        ("--web.max-requests=-1", "write a whole number from 0; 0 means no limit"),
    ] {
        let output = run(&[flag]);
        assert_eq!(output.status.code(), Some(2), "{flag}");
        assert!(stderr(&output).contains(part), "{part} in {}", stderr(&output));
    }
}

#[test]
fn a_port_in_use_ends_with_exit_code_1() {
    let running = start(&[]);
    let flag = format!("--web.listen-address={}", running.address);
    let output = run(&[&flag]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    let expected = format!(
        "failed to start: {flag}: cannot listen: stop the program that uses the port, or choose another"
    );
    assert!(text.contains(&expected) && text.contains("level=error"), "{text}");
}

#[test]
fn it_is_ready_immediately_and_ends_at_sigterm() {
    let begin = Instant::now();
    let mut running = start(&["--log.format=logfmt"]);
    let answer = get(&running.address, "/-/ready");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nready\n"), "{answer}");
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
    let pid = running.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    assert_eq!(running.child.wait().expect("it ends").code(), Some(0));
    let mut rest = String::new();
    running.log.read_to_string(&mut rest).expect("its log");
    assert!(rest.contains("signal=SIGTERM"), "{rest}");
}

/// A log that has reached the limit of a file's size, as with `ulimit -f`.
#[test]
fn the_limit_of_a_files_size_ends_nothing() {
    let mut running = start(&[]);
    let pid = running.child.id().to_string();
    assert!(Command::new("kill").args(["-XFSZ", &pid]).status().expect("kill runs").success());
    assert!(get(&running.address, "/-/healthy").starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(running.child.try_wait().expect("its state").is_none());
}

#[test]
fn a_second_signal_does_not_wait() {
    // The kernel accepts connections, but no response is sent.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = format!("--jvb.url=http://{}", silent.local_addr().expect("an address"));
    let mut running = start(&[&target]);
    let mut stream = TcpStream::connect(&running.address).expect("it listens");
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").expect("it reads");
    let _in_flight = silent.accept().expect("a request to the target");
    let pid = running.child.id().to_string();
    let terminate = || Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
    assert!(terminate().success());
    let mut line = String::new();
    while !line.contains("shutting down") {
        line.clear();
        assert_ne!(running.log.read_line(&mut line).expect("its log"), 0, "it ended");
    }
    assert!(terminate().success());
    assert_eq!(running.child.wait().expect("it ends").code(), Some(143));
    let mut rest = String::new();
    running.log.read_to_string(&mut rest).expect("its log");
    assert!(rest.contains("level=error") && rest.contains("second signal"), "{rest}");
}

#[test]
fn a_target_that_is_not_up_is_logged_once_with_the_remedy() {
    let running = start(&["--jvb.url=http://127.0.0.1:1"]);
    for _ in 0..3 {
        assert!(get(&running.address, "/metrics").contains("\njvb_up 0\n"));
    }
    let pid = running.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    let mut running = running;
    let mut log = String::new();
    running.log.read_to_string(&mut log).expect("its log");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("level=warn")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    for part in
        ["not up: the connection was refused", "component=jvb", "address=127.0.0.1:1", "reason=refused"]
    {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
}

#[test]
fn an_invalid_file_of_modules_ends_with_exit_code_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("modules.yml");
    fs::write(&file, "modules:\n  a: {component: jv, timeout: 5}\n").expect("it is ours");
    let output = run(&[&format!("--config.file={}", file.display()), "--web.listen-address=127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2));
    let expected = format!("failed to start: --config.file={}: line 2: modules.a.", file.display());
    for mistake in [
        "timeout: must be a duration with its unit, such as 90s, 10m or 7d, not \\\"5\\\"",
        "component: must be jvb, jicofo or jibri, not \\\"jv\\\"",
    ] {
        let line = format!("{expected}{mistake}");
        assert!(stderr(&output).lines().any(|it| it.contains(&line)), "{line} in {}", stderr(&output));
    }
}

/// The files of an exporter with a password file, and the flags that name them.
fn files_and_flags(folder: &Path, modules: &str, web: &str) -> Vec<String> {
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).expect("it is ours");
        file.display().to_string()
    };
    write("password", "secret\n");
    vec![
        "--config.check".to_owned(),
        format!("--config.file={}", write("modules.yml", modules)),
        format!("--web.config.file={}", write("web.yml", web)),
    ]
}

fn checked(flags: &[String], more: &[&str]) -> Output {
    run(&flags.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn a_check_of_valid_flags_and_files_starts_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let modules = "modules: {a: {component: jvb, basic_auth: {username: me, password_file: password}}}\n";
    let flags = files_and_flags(folder.path(), modules, "rate_limit: {interval: 1s, burst: 5}\n");
    // The port is in use, as it is on a host whose exporter runs.
    let running = start(&[]);
    let listen = format!("--web.listen-address={}", running.address);
    for more in [
        vec![listen.as_str(), "--jvb.url=http://127.0.0.1:8080", "--relay.enabled"],
        vec!["--web.listen-address=localhost:0", "--jvb.url=http://127.0.0.1:8080", "--relay.enabled"],
        vec![],
    ] {
        let output = checked(&flags, &more);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "the configuration is valid\n");
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn a_check_names_every_mistake_in_flags_and_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let modules =
        "modules:\n  a: {component: jv, timeout: 5}\n  b: {component: jvb, bearer_token_file: token}\n";
    let web = "basic_auth_users: {me: secret}\nrate_limits: {}\n";
    let flags = files_and_flags(folder.path(), modules, web);
    let output = checked(&flags, &["--jvb.url=ftp://a", "--web.telemetry-path=/probe"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    for part in [
        "--jvb.url=ftp://a: the scheme ftp:// is not supported",
        "--web.telemetry-path=/probe: the path is used by probes",
        "modules.yml: line 2: modules.a.component: must be jvb, jicofo or jibri",
        "modules.yml: line 2: modules.a.timeout: must be a duration",
        "modules.yml: line 3: modules.b.bearer_token_file: ",
        "web.yml: line 1: basic_auth_users.me: ",
        "web.yml: line 2: there is no key `rate_limits` here",
    ] {
        assert!(text.lines().any(|line| line.contains(part)), "{part} in {text}");
    }
    assert!(!text.contains("level="), "it is for a person: {text}");
}

#[test]
fn a_check_judges_who_could_reach_the_relay() {
    let folder = tempfile::tempdir().expect("a folder");
    let flags = files_and_flags(folder.path(), "modules: {}\n", "rate_limit: {interval: 1s, burst: 5}\n");
    let output = checked(&flags, &["--jvb.url=http://127.0.0.1:8080", "--relay.enabled"]);
    assert_eq!(output.status.code(), Some(2));
    let expected = "--relay.enabled: any client that reaches this address could drain and shut down";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    let output = checked(&flags, &["--web.listen-address=no-such-host.invalid:10065"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("the name cannot be resolved"), "{}", stderr(&output));
}

#[test]
fn sighup_reads_the_modules_again_and_no_log_line_shows_a_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("modules.yml");
    let write = |name: &str| {
        let credentials = "basic_auth: {username: me, password: hunter2}, headers: {X-Key: hunter2}";
        fs::write(&file, format!("modules: {{{name}: {{component: jvb, {credentials}}}}}\n"))
            .expect("it is ours");
    };
    write("old");
    let mut running = start(&[&format!("--config.file={}", file.display()), "--log.level=trace"]);
    let probe = |module: &str| get(&running.address, &format!("/probe?module={module}&target=127.0.0.1:1"));
    assert!(probe("old").contains("\njvb_up 0\n"));
    write("new");
    let pid = running.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs").success());
    let mut log = String::new();
    while !log.contains("part=modules") {
        assert_ne!(running.log.read_line(&mut log).expect("its log"), 0, "it ended: {log}");
    }
    assert!(probe("new").contains("\njvb_up 0\n"));
    assert!(probe("old").starts_with("HTTP/1.1 400 "));
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    running.log.read_to_string(&mut log).expect("its log");
    assert!(log.contains("level=debug") || log.contains("level=trace"), "{log}");
    // The header's value is the password in base64.
    for secret in ["hunter2", "bWU6aHVudGVyMg"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
