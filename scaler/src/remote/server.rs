//! Requests to a running service.
//!
//! Owns the address, the credentials, and texts for what can go wrong on the way.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::names::Group;
use crate::access::{self, ClientError, SecretError};
use crate::config::{Auth, Tls};
use crate::telemetry::chain;

/// How long an answer may take. The service waits ten seconds for a fleet that is being evaluated.
const ANSWER: Duration = Duration::from_secs(30);

/// A request that was not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address is none.
    #[error("use the address {0}: write it as --server=http://HOST:10066")]
    Address(String),
    /// The address holds credentials. The text is without them.
    #[error(
        "use the address {0}: it holds a user or a password, which every user of this host can read in its list of \
         processes; give --username and --password-file instead"
    )]
    Credentials(String),
    /// A file of a flag cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The file of the password cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No answer.
    #[error(
        "reach {0}: start the service there, or give its address with --server, and its authority with --ca-file"
    )]
    Unreachable(String, #[source] reqwest::Error),
    /// The server speaks HTTP without TLS.
    #[error("reach {0}: it speaks HTTP without TLS; write --server=http://…")]
    Plain(String),
    /// The server speaks TLS.
    #[error("reach {0}: it speaks TLS; write --server=https://…")]
    WithTls(String),
    /// Credentials are missing.
    #[error("log in at {0}: it wants a user; give --username and --password-file")]
    Unauthorized(String),
    /// Credentials are wrong.
    #[error(
        "log in at {0}: the user or the password is wrong; correct --username, or the file of --password-file"
    )]
    WrongPassword(String),
    /// The service refused.
    #[error("have it done: the service says: {0}")]
    Refused(String),
    /// The answer is not that of a service.
    #[error("understand {0}, which answers {1}: is it a jitsi-scaler?")]
    Strange(String, StatusCode),
}

impl RemoteError {
    pub(super) fn is_usage(&self) -> bool {
        matches!(self, Self::Address(_) | Self::Credentials(_) | Self::Client(_) | Self::Secret(_))
    }
}

/// A running service.
#[derive(Debug)]
pub struct Server {
    url: Url,
    auth: Auth,
    client: reqwest::Client,
}

impl Server {
    /// The service at `address`; `user` is a name with the file of its password.
    pub fn new(
        address: &str,
        user: Option<(String, PathBuf)>,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, RemoteError> {
        let wrong = || RemoteError::Address(redacted(address));
        let url = Url::parse(&format!("{}/", address.trim_end_matches('/'))).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(wrong());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RemoteError::Credentials(redacted(address)));
        }
        let auth = match user {
            Some((username, password_file)) => Auth::Basic { username, password_file },
            None => Auth::None,
        };
        let tls = Tls { ca_file, identity: None };
        let client = access::Client::new(|| reqwest::Client::builder().timeout(ANSWER), &tls, "--ca-file")?;
        Ok(Self { url, auth, client: client.current() })
    }

    /// The status of every group.
    pub(super) async fn status(&self) -> Result<Value, RemoteError> {
        self.answer(self.client.get(self.at(&["api", "v1", "status"]))).await
    }

    /// Requests a change of a group, or of a part of it.
    pub(super) async fn change(
        &self,
        group: &Group,
        path: &[&str],
        body: &Value,
    ) -> Result<Value, RemoteError> {
        let path = [&["api", "v1", "fleets", &group.fleet, &group.asg][..], path].concat();
        let request = self.client.post(self.at(&path)).query(&[("region", &group.region)]).json(body);
        self.answer(request).await
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        // The address is one that can have a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value, RemoteError> {
        let address = || self.url.to_string();
        let request = access::authorize(request, &self.auth)?;
        let answer = request.send().await.map_err(|error| {
            // What rustls says of a first record that is not one of TLS.
            if chain(&error).contains("InvalidContentType") {
                RemoteError::Plain(address())
            } else {
                RemoteError::Unreachable(address(), error)
            }
        })?;
        let status = answer.status();
        if status == StatusCode::UNAUTHORIZED {
            let is_given = !matches!(self.auth, Auth::None);
            return Err(if is_given { RemoteError::WrongPassword } else { RemoteError::Unauthorized }(
                address(),
            ));
        }
        let strange = || RemoteError::Strange(address(), status);
        let text = answer.text().await.map_err(|_| strange())?;
        // What servers with TLS answer to HTTP: this one and those of Go, and nginx.
        let says_tls = ["HTTPS server", "HTTPS port"].iter().any(|it| text.contains(it));
        if status == StatusCode::BAD_REQUEST && says_tls {
            return Err(RemoteError::WithTls(address()));
        }
        let body: Value = serde_json::from_str(&text).map_err(|_| strange())?;
        match body["error"].as_str() {
            Some(error) if !status.is_success() => Err(RemoteError::Refused(error.to_owned())),
            _ if !status.is_success() => Err(RemoteError::Strange(address(), status)),
            _ => Ok(body),
        }
    }
}

/// An address without the user and the password that it may hold.
fn redacted(address: &str) -> String {
    let Some((secret, host)) = address.rsplit_once('@') else { return address.to_owned() };
    let scheme = secret.split_once("://").map_or_else(String::new, |(scheme, _)| format!("{scheme}://"));
    format!("{scheme}…@{host}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::access::answering::{self, http};

    fn group() -> Group {
        Group { fleet: "jvb".to_owned(), asg: "a/b".to_owned(), region: "us-east-1".to_owned() }
    }

    #[tokio::test]
    async fn a_change_names_the_group_and_the_user() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        std::fs::write(&file, "secret\n").expect("a file");
        let (address, asked) = answering::server(vec![http(200, "", r#"{"text": "done"}"#)], "keep").await;
        let user = Some(("alice".to_owned(), file));
        let server = Server::new(&format!("http://{address}/below/"), user, None).expect("a server");
        let answer = server.change(&group(), &["instances", "i-0", "drain"], &json!({"then": "keep"})).await;
        assert_eq!(answer.expect("an answer")["text"], "done");
        let request = asked.await.expect("a request").remove(0);
        let path = "POST /below/api/v1/fleets/jvb/a%2Fb/instances/i-0/drain?region=us-east-1 ";
        assert!(request.starts_with(path), "{request}");
        assert!(request.contains("authorization: Basic YWxpY2U6c2VjcmV0"), "{request}");
        assert!(request.contains("content-type: application/json"), "{request}");
    }

    #[tokio::test]
    async fn what_goes_wrong_is_said_with_a_remedy() {
        for (answer, expected) in [
            (http(401, "", ""), "log in at URL: it wants a user; give --username and --password-file"),
            (http(409, "", r#"{"error": "do it: no"}"#), "have it done: the service says: do it: no"),
            (
                http(400, "", "this is an HTTPS server: use https://\n"),
                "reach URL: it speaks TLS; write --server=https://…",
            ),
            (
                http(404, "", "nothing here"),
                "understand URL, which answers 404 Not Found: is it a jitsi-scaler?",
            ),
        ] {
            let (address, _) = answering::server(vec![answer], "").await;
            let url = format!("http://{address}/");
            let error =
                Server::new(&url, None, None).expect("a server").status().await.expect_err("no status");
            assert_eq!(error.to_string().replace(&url, "URL"), expected);
        }
        let closed = Server::new("http://127.0.0.1:1", None, None).expect("a server");
        let error = closed.status().await.expect_err("nothing listens there");
        assert!(chain(&error).starts_with("reach http://127.0.0.1:1/: start the service there"), "{error}");
        assert!(matches!(Server::new("127.0.0.1:10066", None, None), Err(RemoteError::Address(_))));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let _answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            // A part of the handshake, which no server without TLS understands.
            let length = stream.read(&mut [0; 4096]).await.expect("a handshake");
            assert!(length > 0, "nothing was sent");
            stream.write_all(http(400, "", "").as_bytes()).await.expect("it reads");
        });
        let plain = Server::new(&format!("https://{address}"), None, None).expect("a server");
        let error = plain.status().await.expect_err("no TLS").to_string();
        assert!(error.ends_with("it speaks HTTP without TLS; write --server=http://…"), "{error}");
    }

    #[tokio::test]
    async fn a_wrong_password_differs_from_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        std::fs::write(&file, "secret").expect("a file");
        let (address, _) = answering::server(vec![http(401, "", "")], "").await;
        let user = Some(("alice".to_owned(), file));
        let server = Server::new(&format!("http://{address}"), user, None).expect("a server");
        let error = server.status().await.expect_err("no status").to_string();
        let expected =
            "the user or the password is wrong; correct --username, or the file of --password-file";
        assert!(error.ends_with(expected), "{error}");
    }

    #[test]
    fn no_message_repeats_a_password() {
        for (address, expected) in [
            ("http://alice:good@host:1", "use the address http://…@host:1: it holds a user or a password"),
            ("https://good@host", "use the address https://…@host: it holds a user or a password"),
            ("alice:good@host:1", "use the address …@host:1: write it as"),
            (
                "http://alice:go@good/@host:x",
                "use the address http://…@host:x: it holds a user or a password",
            ),
        ] {
            let error = Server::new(address, None, None).expect_err("refused");
            assert!(error.to_string().starts_with(expected) && error.is_usage(), "{error}");
            assert!(!format!("{error} {error:?}").contains("good"), "{error:?}");
        }
    }
}
