//! The flags of both programs, with the names that Prometheus programs use, and the syntax of listen addresses. Nothing
//! is bound here.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{Args, Command, ValueEnum};

/// Flags of the HTTP server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Web")]
pub struct WebFlags {
    /// Address to listen on: `:port` for every interface, `host:port`, or `[v6]:port`; repeatable
    #[arg(long = "web.listen-address", value_name = "ADDRESS")]
    pub listen_address: Vec<ListenAddress>,

    /// File in the web configuration format of Prometheus exporters: TLS, client certificates,
    /// users, headers, rate limit; changes take effect without a restart
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,

    /// Path of the program's metrics
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics",
        value_parser = telemetry_path
    )]
    pub telemetry_path: String,

    /// Maximum number of concurrent requests for metrics; further ones get status 503; 0 means no limit
    #[arg(
        long = "web.max-requests",
        value_name = "NUMBER",
        default_value_t = 40,
        value_parser = max_requests,
        allow_negative_numbers = true
    )]
    pub max_requests: usize,
}

impl Default for WebFlags {
    fn default() -> Self {
        Self {
            listen_address: Vec::new(),
            config_file: None,
            telemetry_path: "/metrics".to_owned(),
            max_requests: 40,
        }
    }
}

impl WebFlags {
    /// The web configuration file. An empty name means no file, as in other exporters.
    #[must_use]
    pub fn config_file(&self) -> Option<&Path> {
        self.config_file.as_deref().filter(|path| !path.as_os_str().is_empty())
    }

    /// The addresses of the flags; without any, every interface at `default_port`.
    /// Fails if an address is given twice.
    pub fn listen_addresses(&self, default_port: u16) -> Result<Vec<ListenAddress>, DuplicateAddress> {
        if self.listen_address.is_empty() {
            return Ok(vec![ListenAddress::Any { port: default_port }]);
        }
        let mut seen = HashSet::new();
        for address in &self.listen_address {
            // Port 0 stands for a different port each time.
            if address.port() != 0 && !seen.insert(address) {
                return Err(DuplicateAddress(address.clone()));
            }
        }
        Ok(self.listen_address.clone())
    }
}

/// An address is given twice.
#[derive(Debug, thiserror::Error)]
#[error("--web.listen-address={0} is given twice: remove one of them")]
pub struct DuplicateAddress(ListenAddress);

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// `:port`: every interface, with IPv6 and IPv4.
    Any {
        /// The port; the system chooses one for 0.
        port: u16,
    },
    /// An IP address of this host and a port.
    Socket(SocketAddr),
    /// A host name, which is resolved when the address is bound.
    Name {
        /// The host name.
        host: String,
        /// The port; the system chooses one for 0.
        port: u16,
    },
}

impl ListenAddress {
    /// The configured port.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::Any { port } | Self::Name { port, .. } => *port,
            Self::Socket(address) => address.port(),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any { port } => write!(f, ":{port}"),
            Self::Socket(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// Why a text is not a listen address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenAddressError {
    /// There is no port.
    #[error("the port is missing: write :PORT, 127.0.0.1:PORT or [::1]:PORT")]
    NoPort,
    /// The text after the last colon is not a port.
    #[error("{0:?} is not a port: write a number from 0 to 65535")]
    Port(String),
    /// An IPv6 address without brackets, or brackets around something else.
    #[error("{0:?} is not an address: write IPv6 addresses in brackets, as in [::1]:PORT")]
    Brackets(String),
    /// Characters that are not allowed in a host name.
    #[error("{0:?} is not a host name: write host:port, without a scheme or a path")]
    Host(String),
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(ListenAddressError::NoPort)?;
        let port = port.parse().map_err(|_| {
            if port.ends_with(']') {
                ListenAddressError::NoPort
            } else {
                ListenAddressError::Port(port.to_owned())
            }
        })?;
        if host.is_empty() {
            return Ok(Self::Any { port });
        }
        if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return match inner.parse::<IpAddr>() {
                Ok(ip @ IpAddr::V6(_)) => Ok(Self::Socket(SocketAddr::new(ip, port))),
                _ => Err(ListenAddressError::Brackets(host.to_owned())),
            };
        }
        if host.contains(':') && !host.contains('/') {
            return Err(ListenAddressError::Brackets(host.to_owned()));
        }
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Self::Socket(SocketAddr::new(ip, port)));
        }
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !host.chars().all(named) {
            return Err(ListenAddressError::Host(host.to_owned()));
        }
        Ok(Self::Name { host: host.to_owned(), port })
    }
}

fn telemetry_path(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~');
    if text == "/" || text.starts_with("/-/") {
        return Err("the program uses this path itself: choose another, such as /metrics".to_owned());
    }
    if !text.starts_with('/') || text.ends_with('/') || !text.chars().all(plain) {
        return Err("write an absolute path without a trailing slash, such as /metrics".to_owned());
    }
    Ok(text.to_owned())
}

fn max_requests(text: &str) -> Result<usize, &'static str> {
    text.parse().map_err(|_| "write a whole number from 0; 0 means no limit")
}

/// The error of a flag that `clap` would take for something else: a long one behind a single dash, which it takes for short
/// ones, and `-v` for the version. `command` has the flags.
#[must_use]
pub fn misspelt(mut command: Command, arguments: &[OsString]) -> Option<clap::Error> {
    let arguments = arguments.iter().skip(1).filter_map(|it| it.to_str()).take_while(|it| *it != "--");
    let text = arguments.filter_map(|argument| argument.strip_prefix('-')).find_map(|flag| {
        let name = flag.split('=').next().unwrap_or_default();
        if flag == "v" && !has(&command, &|it| it.get_short() == Some('v')) {
            return Some("unexpected argument '-v': write -V for the version".to_owned());
        }
        let is_long = name.len() > 1 && has(&command, &|it| it.get_long() == Some(name));
        is_long.then(|| format!("unexpected argument '-{name}': write --{name}, with two dashes"))
    })?;
    Some(command.error(ErrorKind::UnknownArgument, text))
}

/// Whether a command or one below it has such a flag.
fn has(command: &Command, wanted: &dyn Fn(&clap::Arg) -> bool) -> bool {
    command.get_arguments().any(wanted) || command.get_subcommands().any(|it| has(it, wanted))
}

/// A shell that completes words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}

/// Flags of logging.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logging")]
pub struct LogFlags {
    /// Least important level that is logged
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    pub level: LogLevel,

    /// Format of the log on standard error
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub format: LogFormat,
}

/// The least important level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Everything, including the libraries' own events.
    Trace,
    /// Details that help to find a cause.
    Debug,
    /// Events that an operator wants to know about.
    Info,
    /// Events that an operator should look into.
    Warn,
    /// Failures.
    Error,
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object per line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser};
    use test_case::test_case;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        web: WebFlags,
        #[command(flatten)]
        log: LogFlags,
    }

    #[test_case(":10065", &ListenAddress::Any { port: 10065 } ; "every interface")]
    #[test_case("127.0.0.1:0", &ListenAddress::Socket(([127, 0, 0, 1], 0).into()) ; "a port of the system's choice")]
    #[test_case("[::1]:10065", &ListenAddress::Socket((std::net::Ipv6Addr::LOCALHOST, 10065).into()) ; "bracketed")]
    #[test_case("localhost:9", &ListenAddress::Name { host: "localhost".to_owned(), port: 9 } ; "a name")]
    fn an_address_reads_and_prints_the_same(text: &str, expected: &ListenAddress) {
        let address = text.parse::<ListenAddress>().expect("a listen address");
        assert_eq!(&address, expected);
        assert_eq!(address.to_string(), text);
    }

    #[test_case("10065", "the port is missing: write :PORT, 127.0.0.1:PORT or [::1]:PORT" ; "no colon")]
    #[test_case("[::1]", "the port is missing: write :PORT, 127.0.0.1:PORT or [::1]:PORT" ; "brackets only")]
    #[test_case("127.0.0.1:x", "\"x\" is not a port: write a number from 0 to 65535" ; "letters")]
    #[test_case("127.0.0.1:65536", "\"65536\" is not a port: write a number from 0 to 65535" ; "too large")]
    #[test_case("::1:10065", "\"::1\" is not an address: write IPv6 addresses in brackets, as in [::1]:PORT" ; "bare v6")]
    #[test_case("[1.2.3.4]:1", "\"[1.2.3.4]\" is not an address: write IPv6 addresses in brackets, as in [::1]:PORT" ; "bracketed v4")]
    #[test_case("http://a:1", "\"http://a\" is not a host name: write host:port, without a scheme or a path" ; "a URL")]
    fn an_invalid_address_is_refused_with_the_remedy(text: &str, expected: &str) {
        assert_eq!(text.parse::<ListenAddress>().expect_err("no listen address").to_string(), expected);
    }

    #[test_case(&[], Ok(":10065") ; "the default")]
    #[test_case(&["--web.listen-address=:1", "--web.listen-address=[::1]:2"], Ok(":1 [::1]:2") ; "two")]
    #[test_case(&["--web.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0"], Ok("127.0.0.1:0 127.0.0.1:0") ; "port 0 twice")]
    #[test_case(&["--web.listen-address=:1", "--web.listen-address=:1"], Err("--web.listen-address=:1 is given twice: remove one of them") ; "one twice")]
    fn addresses_default_and_do_not_repeat(flags: &[&str], expected: Result<&str, &str>) {
        let program = Program::parse_from([&["program"], flags].concat());
        let got = program
            .web
            .listen_addresses(10065)
            .map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
            .map_err(|error| error.to_string());
        assert_eq!(got.as_deref().map_err(String::as_str), expected);
    }

    #[test_case("/" ; "the landing page")]
    #[test_case("/-/ready" ; "a health route")]
    #[test_case("metrics" ; "relative")]
    #[test_case("/metrics/" ; "trailing slash")]
    #[test_case("/{x}" ; "a pattern")]
    fn a_telemetry_path_that_cannot_be_served_is_refused(path: &str) {
        assert!(Program::try_parse_from(["program", "--web.telemetry-path", path]).is_err());
    }

    #[test_case(&["-web.listen-address=:1"], Some("'-web.listen-address': write --web.listen-address, with two dashes") ; "with a value")]
    #[test_case(&["run", "-log.level", "info"], Some("'-log.level': write --log.level, with two dashes") ; "behind a command")]
    #[test_case(&["-v"], Some("'-v': write -V for the version") ; "the version")]
    #[test_case(&["-V", "-h", "--log.level=info", "-x"], None ; "others")]
    #[test_case(&["--", "-log.level"], None ; "no flag")]
    fn a_misspelt_flag_is_refused_with_the_right_one(arguments: &[&str], expected: Option<&str>) {
        let arguments: Vec<_> = ["program"].iter().chain(arguments).map(OsString::from).collect();
        let text = misspelt(Program::command(), &arguments).map(|error| error.to_string());
        assert_eq!(text.is_some(), expected.is_some());
        assert!(text.unwrap_or_default().contains(expected.unwrap_or_default()));
    }

    #[test_case("-1" ; "negative")]
    #[test_case("many" ; "a word")]
    fn a_number_of_requests_is_whole(value: &str) {
        let error = Program::try_parse_from(["program", &format!("--web.max-requests={value}")]).err();
        let text = error.expect("wrong").to_string();
        assert!(text.contains("write a whole number from 0; 0 means no limit"), "{text}");
    }

    #[test]
    fn the_defaults_are_those_of_the_flags() {
        let program = Program::parse_from(["program"]);
        let web = WebFlags::default();
        assert_eq!(program.web.telemetry_path, web.telemetry_path);
        assert_eq!(program.web.max_requests, web.max_requests);
        assert_eq!((program.log.level, program.log.format), (LogLevel::Info, LogFormat::Logfmt));
    }
}
