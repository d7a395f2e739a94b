//! Modules of `--config.file`: from YAML to how targets of `/probe` are asked. Files that it names
//! are opened elsewhere, and no secret is shown by anything here.

mod yaml;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use crate::component::Component;
pub use yaml::Problem;
use yaml::{Found, Problems, Section};

/// How targets are asked.
#[derive(Clone, Debug)]
pub struct Module {
    /// The value of the parameter `module`.
    pub name: String,
    /// What the targets are.
    pub component: Component,
    /// The longest that a probe may take, if less than Prometheus waits.
    pub timeout: Option<Duration>,
    /// How the exporter proves who asks.
    pub auth: Option<Auth>,
    /// Whom it trusts, and how it proves who asks by a certificate.
    pub tls: Option<Tls>,
    /// What it sends with every request.
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

/// A text that nobody may read in a log.
#[derive(Clone, Debug)]
pub enum Secret {
    /// It stands in the file itself.
    Inline(SecretString),
    /// It is in a file of its own, which is read at each request, so that a new one is taken up.
    File(Place),
}

/// A file that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub path: PathBuf,
    /// In which line it is named.
    pub line: u64,
    /// By which key.
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
    /// Whether any certificate will do.
    pub insecure: bool,
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

/// The modules of `text`, and every mistake in it; paths are relative to `folder`. A module with a
/// mistake may be among them, so that its files can be looked at too.
#[must_use]
pub fn parse(text: &str, folder: &Path) -> (Vec<Module>, Vec<Problem>) {
    if text.lines().all(|line| matches!(line.trim().as_bytes().first(), None | Some(b'#'))) {
        return (Vec::new(), Vec::new());
    }
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err(problem) => return (Vec::new(), vec![problem]),
    };
    let mut problems = Problems::default();
    let mut root = Section::new(root, String::new(), &mut problems);
    let mut modules = Vec::new();
    for (name, section) in root.named("modules", &mut problems) {
        let mut reader = Reader { folder, problems: &mut problems };
        modules.extend(reader.module(name, section));
    }
    root.finish(&mut problems);
    (modules, problems.0)
}

struct Reader<'a> {
    folder: &'a Path,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn module(&mut self, name: String, mut section: Section) -> Option<Module> {
        let (line, path) = (section.place().0, section.place().1.to_owned());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || !name.chars().all(plain) {
            self.problems.add(line, &path, "a name of a module has letters, digits, _, - and . only");
        }
        let component = section.required("component", "jvb", self.problems).and_then(|found| {
            let component = found.value.parse::<Component>().ok();
            if component.is_none() {
                let text = format!("{:?} is no component: write jvb, jicofo or jibri", found.value);
                self.problems.add(found.line, &found.path, text);
            }
            component
        });
        if let (Some(component), Ok(built_in)) = (component, name.parse::<Component>())
            && component != built_in
        {
            let text = format!("a module of this name is there for {built_in}: give this one another name");
            self.problems.add(line, &path, text);
        }
        let timeout = section.duration("timeout", self.problems);
        let auth = self.auth(&mut section);
        let headers = self.headers(&mut section, auth.is_some());
        let tls = section.section("tls", self.problems).map(|section| self.tls(section));
        section.finish(self.problems);
        Some(Module { name, component: component?, timeout, auth, tls, headers })
    }

    fn auth(&mut self, section: &mut Section) -> Option<Auth> {
        let (line, path) = (section.place().0, section.place().1.to_owned());
        let basic = section.section("basic_auth", self.problems);
        let bearer = self.secret(section, "bearer_token", "bearer_token_file");
        if basic.is_some() && bearer.is_some() {
            self.problems.add(line, &path, "`basic_auth` and a bearer token exclude each other: write one");
        }
        let Some(mut basic) = basic else { return bearer.map(Auth::Bearer) };
        let username = basic.required("username", "prometheus", self.problems);
        if let Some(found) = username.as_ref().filter(|found| found.value.contains(':')) {
            self.problems.add(found.line, &found.path, "a colon ends a user's name: write it without");
        }
        let (line, path) = (basic.place().0, basic.place().1.to_owned());
        let before = self.problems.0.len();
        let password = self.secret(&mut basic, "password", "password_file");
        if password.is_none() && self.problems.0.len() == before {
            let text =
                "`password_file` is missing: write for example `password_file: /etc/jitsi-exporter/password`";
            self.problems.add(line, &path, text);
        }
        basic.finish(self.problems);
        Some(Auth::Basic { username: username?.value, password: password? })
    }

    /// A secret that stands in the file or in another one.
    fn secret(
        &mut self,
        section: &mut Section,
        inline: &'static str,
        in_file: &'static str,
    ) -> Option<Secret> {
        let text = section.text(inline, self.problems);
        let file = section.text(in_file, self.problems).map(|found| self.place(found));
        if let (Some(_), Some(place)) = (&text, &file) {
            let text = format!("`{inline}` and `{in_file}` exclude each other: write one");
            self.problems.add(place.line, section.place().1, text);
        }
        match (text, file) {
            (_, Some(place)) => Some(Secret::File(place)),
            (Some(found), None) if !is_header_value(&found.value) => {
                let text = "it has a character that no header may carry, such as the end of a line";
                self.problems.add(found.line, &found.path, text);
                None
            }
            (Some(found), None) => Some(Secret::Inline(found.value.into())),
            (None, None) => None,
        }
    }

    fn headers(&mut self, section: &mut Section, has_auth: bool) -> Vec<(String, SecretString)> {
        let mut headers = Vec::new();
        let mut seen = HashSet::new();
        for (name, Found { line, path, value }) in section.pairs("headers", self.problems) {
            let lower = name.to_ascii_lowercase();
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            let wrong = if name.is_empty() || !name.bytes().all(token) {
                "this is no name of a header: write it as in X-Scope-OrgID"
            } else if RESERVED.contains(&lower.as_str()) {
                "the exporter writes this header itself: leave it out"
            } else if lower == "authorization" && has_auth {
                "it is written for `basic_auth` or the bearer token: leave one of them out"
            } else if !is_header_value(&value) {
                "it has a character that no header may carry, such as the end of a line"
            } else if !seen.insert(lower) {
                "the same header stands here in other letters: leave one of them out"
            } else {
                headers.push((name, value.into()));
                continue;
            };
            self.problems.add(line, &path, wrong);
        }
        headers
    }

    fn tls(&mut self, mut section: Section) -> Tls {
        let (line, path) = (section.place().0, section.place().1.to_owned());
        let mut file = |key| section.text(key, self.problems).map(|found| place(self.folder, found));
        let (ca, cert, key) = (file("ca_file"), file("cert_file"), file("key_file"));
        let identity = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                let text = "`cert_file` and `key_file` belong together: write both or neither";
                self.problems.add(line, &path, text);
                None
            }
        };
        let name = section.text("server_name", self.problems);
        let server_name = name.map(|found| (found.value.clone(), place(Path::new(""), found)));
        let insecure = section.flag("insecure_skip_verify", self.problems);
        if insecure && (ca.is_some() || server_name.is_some()) {
            let text = "with `insecure_skip_verify` nobody looks at `ca_file` and `server_name`: leave them out, or better that one";
            self.problems.add(line, &path, text);
        }
        section.finish(self.problems);
        Tls { ca, identity, server_name, insecure }
    }

    fn place(&self, found: Found<String>) -> Place {
        place(self.folder, found)
    }
}

fn place(folder: &Path, Found { line, path, value }: Found<String>) -> Place {
    Place { path: folder.join(value), line, key: path }
}

fn is_header_value(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || !c.is_control())
}
