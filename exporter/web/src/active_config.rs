//! The web configuration in force. Every request and every handshake compares it with its files, so that a renewed
//! certificate or a new user needs no restart. An invalid file is reported once and changes nothing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use rustls::ServerConfig;
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::auth::Users;
use crate::document::Problem;
use crate::files::{Files, Fingerprint};
use crate::rate::Bucket;
use crate::reload_status::{ReloadStatus, WEB};
use crate::tls;
use crate::web_config::{self, ClientAuth, Place, Settings, TlsSettings, WebConfigError};

/// The settings in force.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) headers: HeaderMap,
    pub(crate) bucket: Option<Arc<Bucket>>,
    pub(crate) users: Option<Users>,
    pub(crate) authenticates: bool,
    /// What a connection must meet to be accepted.
    pub(crate) admission: Admission,
    is_blank: bool,
}

/// What a connection must meet to be accepted. One that was accepted under another rule is not served any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Admission {
    with_tls: bool,
    clients: ClientAuth,
    allowed_sans: Option<Vec<String>>,
    /// Where the authorities of clients are read from: a file, or the configuration itself.
    authorities: Option<PathBuf>,
    fingerprint: Fingerprint,
}

impl Admission {
    fn of(settings: Option<&TlsSettings>, config: &Path) -> Self {
        let Some(settings) = settings else { return Self::default() };
        let authorities = settings.client_ca.as_ref().map(|pem| match &pem.place {
            Place::File(path) => path.clone(),
            Place::Inline(_) => config.to_owned(),
        });
        Self {
            with_tls: true,
            clients: settings.client_auth,
            allowed_sans: settings.allowed_sans.clone(),
            authorities,
            fingerprint: None,
        }
    }
}

/// The settings in force and the files that they were read from.
#[derive(Debug)]
pub(crate) struct ActiveConfig {
    path: Option<PathBuf>,
    status: Arc<ReloadStatus>,
    state: Mutex<State>,
    /// Tells connections that other settings are in force.
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    active: Arc<InForce>,
    /// The files that were read last, also if they were invalid: the configuration first, then the files that it names.
    last_read: Files,
}

impl ActiveConfig {
    /// Reads `path`; without a path, all settings have their defaults.
    pub(crate) fn start(path: Option<PathBuf>, status: Arc<ReloadStatus>) -> Result<Self, WebConfigError> {
        let mut last_read = Files::default();
        let active = match &path {
            Some(path) => load(path, None, &mut last_read)?,
            None => InForce::default(),
        };
        let state = Mutex::new(State { active: Arc::new(active), last_read });
        Ok(Self { path, status, state, changes: watch::Sender::new(()) })
    }

    /// The settings in force, without reading the files.
    pub(crate) fn current(&self) -> Arc<InForce> {
        self.state().active.clone()
    }

    /// Waits until connections must meet something else than `admission`.
    pub(crate) async fn supersedes(&self, admission: &Admission) {
        let mut changes = self.changes.subscribe();
        while self.current().admission == *admission {
            // The sender lives as long as this.
            let _ = changes.changed().await;
        }
    }

    /// The settings for a request. Certificates do not matter here, so only the configuration file is compared.
    pub(crate) fn at_request(&self) -> Arc<InForce> {
        self.refreshed(1)
    }

    /// The settings for a new TLS connection: the configuration file and the files that it names are compared.
    pub(crate) fn at_handshake(&self) -> Arc<InForce> {
        self.refreshed(usize::MAX)
    }

    /// Reads all files again, also those that were invalid before.
    pub(crate) fn reload(&self) -> Result<(), WebConfigError> {
        self.load_again(&mut self.state())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refreshed(&self, count: usize) -> Arc<InForce> {
        let mut state = self.state();
        if !state.last_read.are_first_unchanged(count) {
            // `load_again` has reported the error, and the previous settings stay in force.
            let _ = self.load_again(&mut state);
        }
        state.active.clone()
    }

    fn load_again(&self, state: &mut State) -> Result<(), WebConfigError> {
        let Some(path) = &self.path else { return Ok(()) };
        match load(path, Some(&state.active), &mut state.last_read) {
            Ok(active) => {
                if state.active.authenticates && !active.authenticates {
                    tracing::warn!(
                        "the new web configuration requires neither passwords nor verified client certificates"
                    );
                }
                state.active = Arc::new(active);
                self.changes.send_replace(());
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

/// Whether a program would start with the web configuration at `path`.
/// The error names every mistake in the file, and in the certificates and keys that it names.
pub fn check(path: &Path) -> Result<(), WebConfigError> {
    load(path, None, &mut Files::default()).map(drop)
}

/// Reads the file and the files that it names, and records all of them in `last_read`.
fn load(path: &Path, old: Option<&InForce>, last_read: &mut Files) -> Result<InForce, WebConfigError> {
    *last_read = Files::default();
    let mut read_and_record = |path: &Path| last_read.read(path);
    let mut active = assemble(path, old, &mut read_and_record)
        .map_err(|problems| WebConfigError { path: path.to_owned(), problems })?;
    let admission = &mut active.admission;
    admission.fingerprint = admission.authorities.as_ref().and_then(|path| last_read.fingerprint(path));
    Ok(active)
}

fn assemble(path: &Path, old: Option<&InForce>, read: &mut tls::Read<'_>) -> Result<InForce, Vec<Problem>> {
    let problem = |text: String| vec![Problem::whole(text)];
    let bytes = read(path).map_err(|error| problem(format!("it cannot be read: {error}")))?;
    let text = str::from_utf8(bytes.expose_secret())
        .map_err(|_| problem("the file is not UTF-8 text: save it as UTF-8".to_owned()))?;
    let is_blank = text.lines().all(|line| matches!(line.trim().as_bytes().first(), None | Some(b'#')));
    // Programs often empty a file before they write it. That moment must not turn authentication off.
    if is_blank && old.is_some_and(|old| !old.is_blank) {
        return Err(problem("the file has become empty: restart to serve without any settings".to_owned()));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let Settings { tls: settings, headers, rate, users, mut warnings } = web_config::parse(text, folder)?;
    let tls = match &settings {
        None if old.is_some_and(|old| old.tls.is_some()) => {
            return Err(problem(
                "tls_server_config: TLS cannot be turned off by a reload: restart for that".to_owned(),
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
    let admission = Admission::of(settings.as_ref(), path);
    Ok(InForce { tls, headers, bucket, users, authenticates, admission, is_blank })
}
