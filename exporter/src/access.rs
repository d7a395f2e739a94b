//! How targets are accessed: the credentials and the TLS client of each module, shared by all scrapes with that module.
//! A reload replaces either all modules or none. A probe that finds the file of modules or a certificate changed reloads them,
//! because mounted Secrets are replaced without a signal.
//!
//! Clients do not follow redirects, so that credentials are sent to the target only.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jitsi_web::Reloads;
use jitsi_web::document::Problem;
use jitsi_web::files::Files;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use crate::allow::AllowList;
use crate::client::{Clients, Resolver};
use crate::component::{Component, Refusal};
use crate::modules::{self, Auth, Module, Place, Secret};
use crate::reason::Reason;
use crate::target::Target;
use crate::tls;

/// Maximum size of a configuration or secret file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Access to targets: HTTP clients with the headers and credentials of a module. Requests with different access never
/// share a response.
#[derive(Debug)]
pub struct Access {
    id: u64,
    /// The addresses that it is for; `None` for every address.
    allow: Option<Arc<AllowList>>,
    clients: Clients,
    headers: HeaderMap,
    auth: Option<Auth>,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Access {
    /// Access without credentials to the addresses that `allow` permits; without a list, to every address.
    pub(crate) fn anonymous(allow: Option<Arc<AllowList>>) -> Result<Self, reqwest::Error> {
        let resolver = allow.clone().map_or_else(Resolver::default, Resolver::permitting);
        Ok(Self::new(allow, Clients::new(resolver, None)?, HeaderMap::new(), None))
    }

    fn new(allow: Option<Arc<AllowList>>, clients: Clients, headers: HeaderMap, auth: Option<Auth>) -> Self {
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), allow, clients, headers, auth }
    }

    /// Whether it is for the address of `target`. A host name is accepted here and checked when it is resolved.
    pub(crate) fn may_reach(&self, target: &Target) -> bool {
        let permits =
            |ip: IpAddr| self.allow.as_ref().is_none_or(|list| list.permits(target.host_text(), ip));
        match target.host() {
            Some(Host::Ipv4(ip)) => permits(ip.into()),
            Some(Host::Ipv6(ip)) => permits(ip.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        }
    }

    /// Access with the settings of `module` to those of its addresses that `allow` permits, or every mistake in these
    /// settings.
    fn for_module(module: &Module, allow: &Arc<AllowList>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if let Some(Auth::Basic { password: secret, .. } | Auth::Bearer(secret)) = &module.auth
            && let Err(problem) = read(secret)
        {
            problems.push(problem);
        }
        let tls = module.tls.as_ref().map(tls::config).transpose();
        let tls = tls.map_err(|more| problems.extend(more)).ok().flatten();
        let allow = AllowList::narrowed(allow, module.allow.clone());
        let clients = Clients::new(Resolver::permitting(allow.clone()), tls).map_err(|error| {
            let text = format!("modules.{}: cannot create an HTTP client: {error}", module.name);
            problems.push(Problem::whole(text));
        });
        let mut headers = HeaderMap::new();
        for (name, value) in &module.headers {
            // Both were validated when the file was read.
            if let (Ok(name), Ok(mut value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(value.expose_secret()))
            {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        match clients {
            Ok(clients) if problems.is_empty() => {
                Ok(Self::new(Some(allow), clients, headers, module.auth.clone()))
            }
            _ => Err(problems),
        }
    }

    /// A number that no other access has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// A request for `url`. Reads a password or token from its file, so that a new one needs no reload.
    pub(crate) fn get(&self, url: &Url) -> Result<RequestBuilder, Refusal> {
        let request = self.clients.client(url)?.get(url.clone()).headers(self.headers.clone());
        Ok(match &self.auth {
            Some(auth) => request.header(AUTHORIZATION, authorization(auth)?),
            None => request,
        })
    }
}

/// The value of the `Authorization` header. Reads the secret from its file.
fn authorization(auth: &Auth) -> Result<HeaderValue, Refusal> {
    let refusal = |text: String| Refusal { reason: Reason::Credentials, detail: text };
    let (Auth::Basic { password: secret, .. } | Auth::Bearer(secret)) = auth;
    let secret = read(secret).map_err(|problem| refusal(format!("{}: {}", problem.path, problem.text)))?;
    let secret = secret.expose_secret();
    let text = match auth {
        Auth::Basic { username, .. } => format!("Basic {}", STANDARD.encode(format!("{username}:{secret}"))),
        Auth::Bearer(_) => format!("Bearer {secret}"),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        refusal("the secret contains a character that is not allowed in an HTTP header".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The secret, without the line break at the end of its file.
fn read(secret: &Secret) -> Result<SecretString, Problem> {
    let place = match secret {
        Secret::Inline(secret) => return Ok(secret.clone()),
        Secret::File(place) => place,
    };
    let text =
        read_file(&place.path).map_err(|error| problem(place, &format!("it cannot be read: {error}")))?;
    let secret = text.expose_secret().trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(problem(place, "the file is empty: write the secret into it"));
    }
    if secret.chars().any(char::is_control) {
        return Err(problem(place, "the file has more than one line: write only the secret into it"));
    }
    Ok(secret.to_owned().into())
}

fn read_file(path: &Path) -> io::Result<SecretString> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other("the file is larger than 1 MiB"));
    }
    Ok(text.into())
}

fn problem(Place { path, line, key }: &Place, text: &str) -> Problem {
    Problem { line: *line, path: key.clone(), text: format!("{}: {text}", path.display()) }
}

/// The mistakes in a file of modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModulesError {
    /// The file.
    pub path: PathBuf,
    /// Every mistake, in the order of the file.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ModulesError {}

impl fmt::Display for ModulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--config.file={}:", self.path.display())?;
        match self.problems.as_slice() {
            [only] => write!(f, " {only}"),
            several => several.iter().try_for_each(|problem| write!(f, "\n  {problem}")),
        }
    }
}

/// A module that a probe can name.
#[derive(Clone, Debug)]
pub struct ProbeModule {
    /// The component that the targets run.
    pub component: Component,
    /// Upper limit of a probe's duration, in addition to Prometheus' scrape timeout.
    pub timeout: Option<Duration>,
    /// Whether targets without a scheme use https.
    pub tls: bool,
    /// Access to the targets; `None` for the built-in modules, which have no credentials.
    pub access: Option<Arc<Access>>,
}

/// The modules in force, by name.
#[derive(Debug)]
pub struct Modules {
    path: Option<PathBuf>,
    allow: Arc<AllowList>,
    by_name: RwLock<Arc<ByName>>,
    /// The file of modules and the certificates that it names, as they were read last, also if they were invalid.
    files: Mutex<Files>,
    /// Where changes that a probe has found are reported.
    reloads: OnceLock<Reloads>,
}

type ByName = BTreeMap<String, ProbeModule>;

/// The name of the part that is reloaded.
const MODULES: &str = "modules";

impl Modules {
    /// The built-in modules and those of the file at `path`.
    /// Fails if the file cannot be read, or a module in it is invalid.
    pub fn load(path: Option<PathBuf>, allow: Arc<AllowList>) -> Result<Self, ModulesError> {
        let mut files = Files::default();
        let by_name = RwLock::new(Arc::new(load(path.as_deref(), &allow, &mut files)?));
        Ok(Self { path, allow, by_name, files: Mutex::new(files), reloads: OnceLock::new() })
    }

    /// Registers the file of modules, if there is one, as a part that is reloaded.
    pub fn add_to(self: &Arc<Self>, reloads: &Reloads) {
        if self.path.is_none() || self.reloads.set(reloads.clone()).is_err() {
            return;
        }
        let modules = self.clone();
        reloads.add(MODULES, move || std::future::ready(modules.reload()));
    }

    /// Reads the file again.
    /// Fails if the file is invalid. The previous modules stay in force then.
    pub fn reload(&self) -> Result<(), ModulesError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let by_name = load(self.path.as_deref(), &self.allow, &mut files)?;
        self.replace(by_name);
        Ok(())
    }

    /// The module with this name. Reads the file again if it has changed, or a certificate that it names.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ProbeModule> {
        if let Some(path) = &self.path {
            self.refresh(path);
        }
        self.all().get(name).cloned()
    }

    fn refresh(&self, path: &Path) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if files.are_unchanged() {
            return;
        }
        let outcome = load(Some(path), &self.allow, &mut files).and_then(|by_name| {
            let has_own = |modules: &ByName| modules.values().any(|module| module.access.is_some());
            // Programs often empty a file before they write it.
            if has_own(&self.all()) && !has_own(&by_name) {
                let text = "the file has become empty: reload to do without modules of your own".to_owned();
                return Err(ModulesError { path: path.to_owned(), problems: vec![Problem::whole(text)] });
            }
            self.replace(by_name);
            Ok(())
        });
        if let Some(reloads) = self.reloads.get() {
            reloads.noticed(MODULES, outcome.as_ref().copied().map_err(|error| error as _));
        }
    }

    fn replace(&self, by_name: ByName) {
        *self.by_name.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(by_name);
    }

    /// The names of all modules, the built-in ones first.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let built_in = Component::ALL.map(|component| component.as_str().to_owned());
        let all = self.all();
        let others = all.keys().filter(|name| !built_in.contains(name)).cloned();
        built_in.iter().cloned().chain(others).collect()
    }

    fn all(&self) -> Arc<ByName> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The modules of the file at `path`, and in `files` what they were read from.
fn load(path: Option<&Path>, allow: &Arc<AllowList>, files: &mut Files) -> Result<ByName, ModulesError> {
    *files = Files::default();
    let built_in = |component: Component| {
        let module = ProbeModule { component, timeout: None, tls: false, access: None };
        (component.as_str().to_owned(), module)
    };
    let mut by_name: ByName = Component::ALL.map(built_in).into();
    let Some(path) = path else { return Ok(by_name) };
    let refused = |problems| ModulesError { path: path.to_owned(), problems };
    files.note(path);
    let text = read_file(path)
        .map_err(|error| refused(vec![Problem::whole(format!("it cannot be read: {error}"))]))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (modules, mut problems) = modules::parse(text.expose_secret(), folder);
    for module in modules {
        for place in module.tls.iter().flat_map(modules::Tls::files) {
            files.note(&place.path);
        }
        match Access::for_module(&module, allow) {
            Ok(access) => {
                let Module { name, component, timeout, tls, .. } = module;
                let module =
                    ProbeModule { component, timeout, tls: tls.is_some(), access: Some(Arc::new(access)) };
                by_name.insert(name, module);
            }
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() {
        return Ok(by_name);
    }
    problems.sort_by_key(|problem| problem.line);
    Err(refused(problems))
}
