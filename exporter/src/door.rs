//! Ways to a target: a client with the credentials and certificates of its module, shared by all
//! scrapes through it. And the modules in force, which a reload replaces together or not at all.
//!
//! A client follows no redirect, so that credentials go to the target and to nobody else.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::allow::AllowList;
use crate::client::{Clients, Resolver};
use crate::component::{Component, Refusal};
use crate::modules::{self, Auth, Module, Place, Problem, Secret};
use crate::reason::Reason;
use crate::tls;

/// No configuration is this large.
const MAX_FILE: u64 = 1024 * 1024;

/// A way to targets. What goes through different ones is never shared.
#[derive(Debug)]
pub struct Door {
    id: u64,
    clients: Clients,
    headers: HeaderMap,
    auth: Option<Auth>,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Door {
    /// Without credentials, to what `allow` permits; without it, to every address.
    pub(crate) fn plain(allow: Option<Arc<AllowList>>) -> Result<Self, reqwest::Error> {
        let resolver = allow.map_or_else(Resolver::default, Resolver::permitting);
        Ok(Self::new(Clients::new(resolver)?, HeaderMap::new(), None))
    }

    fn new(clients: Clients, headers: HeaderMap, auth: Option<Auth>) -> Self {
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), clients, headers, auth }
    }

    /// As a module wants it, to what `allow` permits.
    fn of(module: &Module, allow: &Arc<AllowList>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if let Some(Auth::Basic { password: secret, .. } | Auth::Bearer(secret)) = &module.auth
            && let Err(problem) = read(secret)
        {
            problems.push(problem);
        }
        let tls = module.tls.as_ref().map(tls::config).transpose();
        let tls = tls.map_err(|more| problems.extend(more)).ok().flatten();
        let clients = Clients::with_tls(Resolver::permitting(allow.clone()), tls).map_err(|error| {
            let text = format!("modules.{}: no HTTP client can be made: {error}", module.name);
            problems.push(Problem { line: None, text });
        });
        let mut headers = HeaderMap::new();
        for (name, value) in &module.headers {
            // They were looked at when the file was read.
            if let (Ok(name), Ok(mut value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(value.expose_secret()))
            {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        match clients {
            Ok(clients) if problems.is_empty() => Ok(Self::new(clients, headers, module.auth.clone())),
            _ => Err(problems),
        }
    }

    /// Tells it from the others.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// A client for `url`, and what it sends with a request.
    pub(crate) fn knock(&self, url: &Url) -> Result<Knock, Refusal> {
        let client = self.clients.client(url)?;
        let mut headers = self.headers.clone();
        if let Some(auth) = &self.auth {
            headers.insert(AUTHORIZATION, authorization(auth)?);
        }
        Ok(Knock { client, headers })
    }
}

/// What a request begins with.
#[derive(Debug)]
pub(crate) struct Knock {
    client: Client,
    headers: HeaderMap,
}

impl Knock {
    pub(crate) fn get(self, url: Url) -> RequestBuilder {
        self.client.get(url).headers(self.headers)
    }
}

/// The value of the header, from a secret that is read now.
fn authorization(auth: &Auth) -> Result<HeaderValue, Refusal> {
    let refusal = |text: String| Refusal { reason: Reason::Credentials, detail: text };
    let (Auth::Basic { password: secret, .. } | Auth::Bearer(secret)) = auth;
    let secret = read(secret).map_err(|problem| refusal(problem.text))?;
    let secret = secret.expose_secret();
    let text = match auth {
        Auth::Basic { username, .. } => format!("Basic {}", STANDARD.encode(format!("{username}:{secret}"))),
        Auth::Bearer(_) => format!("Bearer {secret}"),
    };
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| refusal("it has a character that no header may carry".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The secret itself. The end of the file's line is not part of it.
fn read(secret: &Secret) -> Result<SecretString, Problem> {
    let place = match secret {
        Secret::Inline(secret) => return Ok(secret.clone()),
        Secret::File(place) => place,
    };
    let text =
        read_file(&place.path).map_err(|error| problem(place, &format!("it cannot be read: {error}")))?;
    let secret = text.expose_secret().trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(problem(place, "there is nothing in it"));
    }
    if secret.chars().any(char::is_control) {
        return Err(problem(place, "it has more than one line: write nothing into it but the secret"));
    }
    Ok(secret.to_owned().into())
}

fn read_file(path: &Path) -> io::Result<SecretString> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text.into())
}

fn problem(Place { path, line, key }: &Place, text: &str) -> Problem {
    let line = Some(*line).filter(|line| *line > 0);
    Problem { line, text: format!("{key}: {}: {text}", path.display()) }
}

/// A file of modules that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModulesError {
    /// The file.
    pub path: PathBuf,
    /// Every mistake that was found, in the order of the file.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ModulesError {}

impl fmt::Display for ModulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--config.file={}: ", self.path.display())?;
        for (number, problem) in self.problems.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

/// A module that can be asked for.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What the targets are.
    pub component: Component,
    /// The longest that a probe may take, if less than Prometheus waits.
    pub timeout: Option<Duration>,
    /// Whether targets without a scheme are asked over TLS.
    pub tls: bool,
    /// The way to the targets; without one, that of the modules that are always there.
    pub door: Option<Arc<Door>>,
}

/// The modules in force, by name.
#[derive(Debug)]
pub struct Modules {
    path: Option<PathBuf>,
    allow: Arc<AllowList>,
    entries: RwLock<Arc<BTreeMap<String, Entry>>>,
}

impl Modules {
    /// Those that are always there, and those of the file at `path`.
    pub fn load(path: Option<PathBuf>, allow: Arc<AllowList>) -> Result<Self, ModulesError> {
        let entries = entries(path.as_deref(), &allow)?;
        Ok(Self { path, allow, entries: RwLock::new(Arc::new(entries)) })
    }

    /// Reads the file again. What is wrong changes nothing.
    pub fn reload(&self) -> Result<(), ModulesError> {
        let entries = entries(self.path.as_deref(), &self.allow)?;
        *self.entries.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(entries);
        Ok(())
    }

    /// Whether there is a file to read again.
    #[must_use]
    pub fn have_a_file(&self) -> bool {
        self.path.is_some()
    }

    /// The module of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Entry> {
        self.all().get(name).cloned()
    }

    /// All names: those that are always there first.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let own = Component::ALL.map(|component| component.as_str().to_owned());
        let all = self.all();
        let others = all.keys().filter(|name| !own.contains(name)).cloned();
        own.iter().cloned().chain(others).collect()
    }

    fn all(&self) -> Arc<BTreeMap<String, Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn entries(path: Option<&Path>, allow: &Arc<AllowList>) -> Result<BTreeMap<String, Entry>, ModulesError> {
    let built_in = |component: Component| {
        let entry = Entry { component, timeout: None, tls: false, door: None };
        (component.as_str().to_owned(), entry)
    };
    let mut entries: BTreeMap<String, Entry> = Component::ALL.map(built_in).into();
    let Some(path) = path else { return Ok(entries) };
    let refused = |problems| ModulesError { path: path.to_owned(), problems };
    let text = read_file(path).map_err(|error| {
        refused(vec![Problem { line: None, text: format!("it cannot be read: {error}") }])
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (modules, mut problems) = modules::parse(text.expose_secret(), folder);
    for module in modules {
        match Door::of(&module, allow) {
            Ok(door) => {
                let Module { name, component, timeout, tls, .. } = module;
                let entry = Entry { component, timeout, tls: tls.is_some(), door: Some(Arc::new(door)) };
                entries.insert(name, entry);
            }
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() {
        return Ok(entries);
    }
    problems.sort_by_key(|problem| problem.line);
    Err(refused(problems))
}
