//! The web configuration in force. It is compared with its files at each request and each
//! handshake, so that a renewed certificate or a new user needs no restart; what cannot be used is
//! told once and changes nothing.
//!
//! Files are compared by their contents: times and sizes miss a change within one tick of the
//! kernel's clock, and reading a file that is in memory takes microseconds.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderMap;
use rustls::ServerConfig;
use secrecy::{ExposeSecret as _, SecretSlice};
use tokio::time::Instant;

use crate::auth::Users;
use crate::rate::Bucket;
use crate::reload::{Status, WEB};
use crate::tls;
use crate::web_config::{self, MAX_BYTES, Problem, Settings, WebConfigError};

/// What is in force.
#[derive(Debug, Default)]
pub(crate) struct Active {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) headers: HeaderMap,
    pub(crate) bucket: Option<Arc<Bucket>>,
    pub(crate) users: Option<Users>,
    pub(crate) authenticates: bool,
    is_blank: bool,
}

/// The configuration in force, and what it was read from.
#[derive(Debug)]
pub(crate) struct Live {
    path: Option<PathBuf>,
    status: Arc<Status>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    active: Arc<Active>,
    /// The newest files that were tried, in force or not.
    tried: Files,
}

/// Fingerprints of files: of the configuration first, then of those it names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Files(Vec<(PathBuf, Fingerprint)>);

/// Of a file's contents; `None` where it cannot be read.
type Fingerprint = Option<[u8; 32]>;

impl Files {
    /// Whether the first `count` of them are still what they were.
    fn are_unchanged(&self, count: usize) -> bool {
        self.0.iter().take(count).all(|(path, fingerprint)| of(read(path).as_ref()) == *fingerprint)
    }
}

fn of(bytes: Result<&SecretSlice<u8>, &io::Error>) -> Fingerprint {
    let bytes = bytes.ok()?;
    digest(&SHA256, bytes.expose_secret()).as_ref().try_into().ok()
}

impl Live {
    /// Reads `path`; without one, there is nothing to configure.
    pub(crate) fn start(path: Option<PathBuf>, status: Arc<Status>) -> Result<Self, WebConfigError> {
        let mut tried = Files::default();
        let active = match &path {
            Some(path) => load(path, None, &mut tried)?,
            None => Active::default(),
        };
        Ok(Self { path, status, state: Mutex::new(State { active: Arc::new(active), tried }) })
    }

    /// What is in force, without a look at the files.
    pub(crate) fn current(&self) -> Arc<Active> {
        self.state().active.clone()
    }

    /// What is in force for a request: a certificate is no matter of its.
    pub(crate) fn at_request(&self) -> Arc<Active> {
        self.compare(1)
    }

    /// What is in force for a new connection.
    pub(crate) fn at_handshake(&self) -> Arc<Active> {
        self.compare(usize::MAX)
    }

    /// Reads everything again, even what was refused before.
    pub(crate) fn reload(&self) -> Result<(), WebConfigError> {
        self.load_again(&mut self.state())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn compare(&self, count: usize) -> Arc<Active> {
        let mut state = self.state();
        if !state.tried.are_unchanged(count) {
            // The refusal has been told, and the old configuration stays.
            let _ = self.load_again(&mut state);
        }
        state.active.clone()
    }

    fn load_again(&self, state: &mut State) -> Result<(), WebConfigError> {
        let Some(path) = &self.path else { return Ok(()) };
        match load(path, Some(&state.active), &mut state.tried) {
            Ok(active) => {
                if state.active.authenticates && !active.authenticates {
                    tracing::warn!("nobody is asked for a password or a certificate any more");
                }
                state.active = Arc::new(active);
                self.status.reloaded(WEB);
                Ok(())
            }
            Err(error) => {
                self.status.refused(WEB, &error.to_string());
                Err(error)
            }
        }
    }
}

/// Whether `path` could be put in force.
pub(crate) fn check(path: &Path) -> Result<(), WebConfigError> {
    load(path, None, &mut Files::default()).map(drop)
}

fn read(path: &Path) -> io::Result<SecretSlice<u8>> {
    let mut bytes = Vec::new();
    let size = File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if size as u64 > MAX_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(bytes.into())
}

/// Reads the file and what it names, and notes in `tried` what that was.
fn load(path: &Path, old: Option<&Active>, tried: &mut Files) -> Result<Active, WebConfigError> {
    tried.0.clear();
    let mut read_and_note = |path: &Path| {
        let bytes = read(path);
        tried.0.push((path.to_owned(), of(bytes.as_ref())));
        bytes
    };
    assemble(path, old, &mut read_and_note)
        .map_err(|problems| WebConfigError { path: path.to_owned(), problems })
}

fn assemble(path: &Path, old: Option<&Active>, read: &mut tls::Read<'_>) -> Result<Active, Vec<Problem>> {
    let problem = |text: String| vec![Problem { line: None, text }];
    let bytes = read(path).map_err(|error| problem(format!("it cannot be read: {error}")))?;
    let text =
        str::from_utf8(bytes.expose_secret()).map_err(|_| problem("it is no UTF-8 text".to_owned()))?;
    let is_blank = text.lines().all(|line| matches!(line.trim().as_bytes().first(), None | Some(b'#')));
    // Who writes a file often empties it first: that moment must not open the doors.
    if is_blank && old.is_some_and(|old| !old.is_blank) {
        return Err(problem("it is empty now: restart to serve without any setting".to_owned()));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let Settings { tls: settings, headers, rate, users, mut warnings } = web_config::parse(text, folder)?;
    let tls = match &settings {
        None if old.is_some_and(|old| old.tls.is_some()) => {
            return Err(problem(
                "tls_server_config: TLS is not switched off while it runs: restart for that".to_owned(),
            ));
        }
        None => None,
        Some(settings) => {
            let (config, more) = tls::build(settings, read)?;
            warnings.extend(more);
            Some(config)
        }
    };
    for warning in warnings {
        tracing::warn!(file = %path.display(), warning, "web configuration");
    }
    let bucket = rate.map(|rate| {
        let old = old.and_then(|old| old.bucket.as_ref()).filter(|bucket| bucket.rate() == rate);
        old.cloned().unwrap_or_else(|| Arc::new(Bucket::new(rate, Instant::now())))
    });
    let users = Users::new(users);
    let authenticates =
        users.is_some() || settings.as_ref().is_some_and(web_config::TlsSettings::authenticates);
    Ok(Active { tls, headers, bucket, users, authenticates, is_blank })
}
