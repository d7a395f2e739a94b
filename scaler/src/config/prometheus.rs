//! How Prometheus, and the components of a fleet, are reached.

use std::path::Path;
use std::time::Duration;

use jitsi_web::document::{Field, Place, Problems, Wait};
use url::{Host, Url};

use super::model::{Auth, Prometheus, Role, SigV4, Tls};
use super::parse::{self, not_zero, warn_above, whole_seconds};
use super::raw::{Pairs, RawBasicAuth, RawPrometheus, RawSigV4, RawTls, Text};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Recording rules and remote writes that are later than this are broken.
const LONG_DELAY: Duration = Duration::from_mins(15);

/// Reads the section `prometheus`; relative paths start from `folder`.
pub(super) fn read(raw: RawPrometheus, folder: &Path, problems: &Problems) -> Option<Prometheus> {
    let url =
        raw.url.required(problems, "http://127.0.0.1:9090").convert(problems, |text| server(&text)).open();
    let timeout = not_zero(raw.timeout, problems, "the default is 10s").or(Wait(DEFAULT_TIMEOUT));
    let delay = whole_seconds(raw.delay, problems);
    warn_above(&delay, problems, LONG_DELAY, "every decision comes that much later");
    let has_auth = !(raw.basic_auth.is_absent() && raw.bearer_token_file.is_absent());
    let auth = auth(raw.basic_auth, raw.bearer_token_file, "prometheus-password", folder, problems);
    let tls = raw.tls.open().map(|(at, raw)| tls(&at, raw, folder, problems)).unwrap_or_default();
    let sigv4 = raw.sigv4.open().and_then(|(at, raw)| {
        if has_auth {
            at.wrong(problems, "excludes `basic_auth` and `bearer_token_file`; write one of them");
        }
        sigv4(raw, problems)
    });
    let headers = pairs(raw.headers, problems, |name, value| {
        let valid = reqwest::header::HeaderName::try_from(name).is_ok()
            && reqwest::header::HeaderValue::try_from(value).is_ok();
        if valid { Ok(()) } else { Err("this is not a valid HTTP header".to_owned()) }
    });
    let Wait(delay) = delay.or(Wait(Duration::ZERO))?;
    let (at, url) = url?;
    warn_plain_text(&at, problems, &url, &auth);
    Some(Prometheus { url, timeout: timeout?.0, delay, auth, tls, sigv4, headers })
}

/// Stands for a server that is never asked: that of policy tests, and that of a file with a mistake.
pub(super) fn unasked() -> Option<Prometheus> {
    Some(Prometheus {
        url: Url::parse("http://127.0.0.1:9090").ok()?,
        timeout: DEFAULT_TIMEOUT,
        delay: Duration::ZERO,
        auth: Auth::None,
        tls: Tls::default(),
        sigv4: None,
        headers: Vec::new(),
    })
}

/// Warns of an address to which credentials would travel as plain text, over a network. `auth` are those that requests
/// carry beside what the address holds itself.
pub(super) fn warn_plain_text(at: &Place, problems: &Problems, url: &Url, auth: &Auth) {
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let has_credentials = *auth != Auth::None || url.password().is_some();
    if url.scheme() == "http" && has_credentials && !is_local {
        at.warn(problems, "sends credentials over a network as plain text; write https://");
    }
}

/// Keys and texts that pass `check`, which gives an error otherwise.
pub(super) fn pairs(
    raw: Pairs,
    problems: &Problems,
    check: impl Fn(&str, &str) -> Result<(), String>,
) -> Vec<(String, String)> {
    let checked = |(name, value): (String, Text)| {
        let value = value.convert(problems, |value| check(&name, &value).map(|()| value)).take()?;
        Some((name, value))
    };
    raw.take().unwrap_or_default().into_iter().filter_map(checked).collect()
}

/// `basic_auth` or `bearer_token_file`; `example` is the name of a file for the former's password.
pub(super) fn auth(
    basic: Field<RawBasicAuth>,
    bearer: Text,
    example: &str,
    folder: &Path,
    problems: &Problems,
) -> Auth {
    if !basic.is_absent() {
        bearer.refuse(problems, "excludes `basic_auth`; write one of them");
    }
    if let Some(basic) = basic.take() {
        let username = basic.username.required(problems, "scaler");
        let file = basic.password_file.required(problems, &format!("/etc/jitsi-scaler/{example}"));
        return match (username.take(), file.take()) {
            (Some(username), Some(file)) => Auth::Basic { username, password_file: folder.join(file) },
            // The problem has been noted.
            _ => Auth::None,
        };
    }
    bearer.take().map_or(Auth::None, |file| Auth::Bearer { token_file: folder.join(file) })
}

/// Reads `tls`.
pub(super) fn tls(at: &Place, raw: RawTls, folder: &Path, problems: &Problems) -> Tls {
    if raw.cert_file.is_absent() != raw.key_file.is_absent() {
        at.wrong(problems, "`cert_file` and `key_file` belong together; write both or neither");
    }
    let path = |file: Text| file.take().map(|file| folder.join(file));
    Tls { ca_file: path(raw.ca_file), identity: path(raw.cert_file).zip(path(raw.key_file)) }
}

/// The role of `role_arn` and `external_id`.
pub(super) fn role(arn: Text, external_id: Text, problems: &Problems) -> Option<Role> {
    if arn.is_absent() {
        external_id.refuse(problems, "belongs to a role; write `role_arn` too, or leave it out");
    }
    let text = "must be an ARN such as arn:aws:iam::123456789012:role/jitsi-scaler";
    let arn = arn.check(problems, |arn| arn.starts_with("arn:"), text).take();
    // The characters that AWS admits.
    let is_id = |id: &String| {
        let admitted = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
        (2..=1224).contains(&id.len()) && id.chars().all(admitted)
    };
    let text =
        "must have 2 to 1224 letters, digits and characters of _+=,.@:/-, as in the role's trust policy";
    let external_id = external_id.check(problems, is_id, text).take();
    Some(Role { arn: arn?, external_id })
}

fn sigv4(raw: RawSigV4, problems: &Problems) -> Option<SigV4> {
    let region = raw.region.required(problems, "us-east-1");
    let region = region.convert(problems, |name| parse::region(&name));
    let role = role(raw.role_arn, raw.external_id, problems);
    Some(SigV4 { region: region.take()?, role })
}

/// The address of Prometheus, without the path of its API.
fn server(text: &str) -> Result<Url, String> {
    let url = parse::address(text)?;
    if url.path().contains("/api/v1") {
        return Err("must end before /api/v1, which is appended".to_owned());
    }
    Ok(url)
}
