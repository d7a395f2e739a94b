//! Modules of `--config.file`: YAML → the settings of probes. `access` opens the files that they name.

mod raw;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jitsi_web::document::{self, Dialect, Field, Problem, Problems, Wait};
use secrecy::{ExposeSecret as _, SecretString};

use crate::allow::{Rule, RuleError};
use crate::component::Component;
use raw::{Raw, RawModule, RawTls};

/// Longer than any scrape may take.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(2);

/// The settings of a probe.
#[derive(Clone, Debug)]
pub struct Module {
    /// The value of the parameter `module`.
    pub name: String,
    /// The component that the targets run.
    pub component: Component,
    /// The targets that it is for, of those that `--probe.allow` permits; empty for all of them.
    pub allow: Vec<Rule>,
    /// The upper limit of the duration of a probe. The scrape timeout of Prometheus limits it too.
    pub timeout: Option<Duration>,
    /// How requests authenticate.
    pub auth: Option<Auth>,
    /// Which certificates it trusts, and which one it presents.
    pub tls: Option<Tls>,
    /// Headers of every request.
    pub headers: Vec<(String, SecretString)>,
}

/// Credentials.
#[derive(Clone, Debug)]
pub enum Auth {
    /// HTTP basic authentication.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A bearer token.
    Bearer(Secret),
}

/// A text that no log may show.
#[derive(Clone, Debug)]
pub enum Secret {
    /// It is in the file itself.
    Inline(SecretString),
    /// It is in a file of its own, which is read at each request, so that a new one is taken up.
    File(Place),
}

/// A file that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub path: PathBuf,
    /// The line that names it.
    pub line: u64,
    /// The path of the key that names it.
    pub key: String,
}

/// TLS beyond the certificates that the system trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates to trust instead of the system's.
    pub ca: Option<Place>,
    /// A certificate to present, and its key.
    pub identity: Option<(Place, Place)>,
    /// The name that the target's certificate must carry, instead of that of the target.
    pub server_name: Option<(String, Place)>,
    /// Whether any certificate is accepted.
    pub insecure: bool,
}

impl Tls {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Place> {
        self.ca.iter().chain(self.identity.iter().flat_map(|(certificate, key)| [certificate, key]))
    }
}

/// Headers that the exporter writes itself, or that would change what a request is.
const RESERVED: [&str; 8] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// The modules of `text`, and every mistake in it; paths are relative to `folder`. A module with a mistake may be among
/// them, so that its files can be checked too.
#[must_use]
pub fn parse(text: &str, folder: &Path) -> (Vec<Module>, Vec<Problem>) {
    let problems = Problems::default();
    let raw: Field<Raw> = document::read(text, Dialect::Strict, &problems);
    let raw = raw.take().and_then(|raw| raw.modules.take()).unwrap_or_default();
    let reader = Reader { folder, problems: &problems };
    let modules = raw.into_iter().filter_map(|(name, raw)| reader.module(name, raw)).collect();
    (modules, problems.into_sorted().0)
}

struct Reader<'a> {
    folder: &'a Path,
    problems: &'a Problems,
}

impl Reader<'_> {
    fn module(&self, name: String, raw: Field<RawModule>) -> Option<Module> {
        let problems = self.problems;
        let (at, raw) = raw.open()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || !name.chars().all(plain) {
            at.wrong(problems, "the name of a module may contain only letters, digits, _, - and .");
        }
        let words = Component::ALL.map(|component| (component.as_str(), component));
        let component = raw.component.required(problems, "jvb").one_of(problems, &words).take();
        if let (Some(component), Ok(built_in)) = (component, name.parse::<Component>())
            && component != built_in
        {
            at.wrong(
                problems,
                format!("this is the name of the built-in module for {built_in}; choose another"),
            );
        }
        let rule = |text: String| text.parse().map_err(|error: RuleError| error.to_string());
        let rules = raw.allow.take().unwrap_or_default().into_iter();
        // Reads all rules before it gives up on one, and so reports every mistake.
        let rules: Vec<_> = rules.map(|text| text.convert(problems, rule).take()).collect();
        let allow: Option<Vec<Rule>> = rules.into_iter().collect();
        let timeout = raw.timeout.check(
            problems,
            |Wait(timeout)| !timeout.is_zero() && *timeout <= LONGEST_TIMEOUT,
            "must be longer than 0s and at most 2m, such as 5s or 1500ms",
        );

        let has_basic = !raw.basic_auth.is_absent();
        if has_basic && !(raw.bearer_token.is_absent() && raw.bearer_token_file.is_absent()) {
            at.wrong(problems, "`basic_auth` and a bearer token exclude each other; write one of them");
        }
        let bearer = self.secret(raw.bearer_token, raw.bearer_token_file).map(Auth::Bearer);
        let basic = raw.basic_auth.take().and_then(|basic| {
            let username = basic.username.required(problems, "prometheus").not_empty(problems);
            let username =
                username.check(problems, |name| !name.contains(':'), "a username must not contain a colon");
            let file = if basic.password.is_absent() {
                basic.password_file.required(problems, "/etc/jitsi-exporter/password")
            } else {
                basic.password_file
            };
            let password = self.secret(basic.password, file);
            Some(Auth::Basic { username: username.take()?, password: password? })
        });
        let auth = if has_basic { basic } else { bearer };
        let headers = self.headers(raw.headers.take().unwrap_or_default(), auth.is_some());
        let tls = raw.tls.open().map(|(at, raw)| self.tls(&at, raw));
        let timeout = timeout.take().map(|Wait(timeout)| timeout);
        Some(Module { name, component: component?, allow: allow?, timeout, auth, tls, headers })
    }

    /// A secret that is in the file or in another one.
    fn secret(&self, inline: Field<document::Secret>, file: Field<String>) -> Option<Secret> {
        let key = inline.place().path.rsplit('.').next().unwrap_or_default().to_owned();
        if !inline.is_absent() {
            file.refuse(self.problems, format!("excludes `{key}` in the same section; write one of them"));
        }
        let inline = inline.check(
            self.problems,
            |secret| !secret.0.expose_secret().is_empty(),
            "must not be empty; write a text, or leave the key out",
        );
        let inline = inline.check(self.problems, is_header_value, NO_HEADER_VALUE);
        match self.file(file) {
            Some(place) => Some(Secret::File(place)),
            None => inline.take().map(|secret| Secret::Inline(secret.0)),
        }
    }

    fn headers(
        &self,
        raw: BTreeMap<String, Field<document::Secret>>,
        has_auth: bool,
    ) -> Vec<(String, SecretString)> {
        let mut headers = Vec::new();
        let mut seen = HashSet::new();
        for (name, value) in raw {
            let lower = name.to_ascii_lowercase();
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            let wrong = if name.is_empty() || !name.bytes().all(token) {
                Some("this is not the name of a header; write for example X-Scope-OrgID")
            } else if RESERVED.contains(&lower.as_str()) {
                Some("the exporter writes this header itself; leave it out")
            } else if lower == "authorization" && has_auth {
                Some("`basic_auth` or the bearer token sets this header; leave one of them out")
            } else if !seen.insert(lower) {
                Some("another header has the same name in other letters; leave one of them out")
            } else {
                None
            };
            if let Some(text) = wrong {
                value.place().wrong(self.problems, text);
            } else if let Some(value) = value.check(self.problems, is_header_value, NO_HEADER_VALUE).take() {
                headers.push((name, value.0));
            }
        }
        headers
    }

    fn tls(&self, at: &document::Place, raw: RawTls) -> Tls {
        if raw.cert_file.is_absent() != raw.key_file.is_absent() {
            at.wrong(self.problems, "`cert_file` and `key_file` belong together; write both or neither");
        }
        let insecure = raw.insecure_skip_verify.or(false).unwrap_or_default();
        if insecure && !(raw.ca_file.is_absent() && raw.server_name.is_absent()) {
            at.wrong(
                self.problems,
                "`insecure_skip_verify` turns off `ca_file` and `server_name`; leave them out, or better leave it out",
            );
        }
        let server_name = raw.server_name.not_empty(self.problems).open().map(|(at, name)| {
            let place = Place { path: PathBuf::from(&name), line: at.line, key: at.path };
            (name, place)
        });
        let (cert, key) = (self.file(raw.cert_file), self.file(raw.key_file));
        Tls { ca: self.file(raw.ca_file), identity: cert.zip(key), server_name, insecure }
    }

    /// A file that the configuration names.
    fn file(&self, raw: Field<String>) -> Option<Place> {
        let (at, name) = raw.not_empty(self.problems).open()?;
        Some(Place { path: self.folder.join(name), line: at.line, key: at.path })
    }
}

const NO_HEADER_VALUE: &str = "contains a character that no header may carry, such as the end of a line";

fn is_header_value(secret: &document::Secret) -> bool {
    secret.0.expose_secret().chars().all(|c| c == '\t' || !c.is_control())
}
