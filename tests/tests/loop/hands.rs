//! The hands of operators by HTTP: who may change something, and the answers as `openapi.yml` describes them.

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::Component;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::page::Description;
use crate::{GROUP, PASSWORD, Scene, bridges, group};

/// The path of the forms and of the API, as `openapi.yml` writes them.
const FORM: &str = "/fleets/{fleet}/{asg}/{action}";
const API: &str = "/api/v1/fleets/{fleet}/{asg}";

/// What each form needs beside its token.
const FORMS: [(&str, &[(&str, &str)]); 4] = [
    ("pause", &[("reason", "image"), ("for", "1h")]),
    ("resume", &[]),
    ("drain", &[("reason", "image"), ("then", "keep")]),
    ("undrain", &[]),
];

/// A fleet of bridges in which nothing happens by itself.
pub(crate) fn quiet() -> String {
    let scale_in = bridges::SCALER.lines().find(|line| line.contains("scale_in:")).unwrap_or_default();
    bridges::SCALER.replace(scale_in, "")
}

/// A scaler with two users, and a client that sends what a browser or a program would.
struct Hands {
    scene: Scene,
    client: Client,
    bridge: String,
}

impl Hands {
    async fn start() -> Result<Self> {
        let mut scene = Scene::start(&[(GROUP, group(Component::Jvb, 2, 2, 6))], &quiet()).await?;
        let bridge = scene.serving(GROUP, 2).await?.remove(0);
        scene.guard(&["alice", "bob"], &[]).await?;
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        let hands = Self { scene, client, bridge };
        hands.evaluated().await;
        Ok(hands)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.scene.stage.scaler.address)
    }

    /// Waits until the scaler knows its groups.
    async fn evaluated(&self) {
        let known = async || self.status().await.is_ok_and(|it| it["groups"][0].is_object());
        self.scene.until("the first evaluation", known).await;
    }

    async fn status(&self) -> Result<Value> {
        let asked = self.client.get(self.url("/api/v1/status")).basic_auth("alice", Some(PASSWORD));
        Ok(asked.send().await?.error_for_status()?.json().await?)
    }

    /// The token of the page that the scaler gives this user.
    async fn token(&self, user: &str) -> Result<String> {
        let page =
            self.client.get(self.url(&format!("/fleets/jvb/{GROUP}"))).basic_auth(user, Some(PASSWORD));
        let page = page.send().await?.error_for_status()?.text().await?;
        let (_, rest) = page.split_once("name=\"token\" value=\"").context("a form")?;
        Ok(rest.split('"').next().unwrap_or_default().to_owned())
    }

    /// A form, whose sender has not given a password yet.
    fn form(&self, action: &str, fields: &[(&str, &str)], token: Option<&str>) -> RequestBuilder {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields).append_pair("instance", &self.bridge);
        if let Some(token) = token {
            body.append_pair("token", token);
        }
        let url = self.url(&format!("/fleets/jvb/{GROUP}/{action}?region=us-east-1"));
        let kind = "application/x-www-form-urlencoded";
        self.client.post(url).header("content-type", kind).body(body.finish())
    }

    /// Alice's form.
    fn own_form(&self, action: &str, fields: &[(&str, &str)], token: Option<&str>) -> RequestBuilder {
        self.form(action, fields, token).basic_auth("alice", Some(PASSWORD))
    }

    /// Alice's request to the API.
    fn ask(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.client.post(self.url(path)).basic_auth("alice", Some(PASSWORD));
        request.json(body)
    }

    /// Nothing was asked of AWS or of a bridge.
    fn assert_unchanged(&self, what: &str) {
        let calls = self.scene.stage.asg.calls(true);
        assert!(calls.is_empty(), "{what}: {calls:?}");
        assert_eq!(self.scene.state(&self.bridge), "running", "{what}");
    }
}

/// What a browser says of a request that another site's page makes it send.
const FOREIGN: [&[(&str, &str)]; 4] = [
    &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
    &[("origin", "http://evil.localhost"), ("sec-fetch-site", "same-site")],
    // Older browsers, and hidden origins.
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
];

#[tokio::test(flavor = "multi_thread")]
async fn what_another_site_or_user_sends_changes_nothing() -> Result<()> {
    let mut hands = Hands::start().await?;
    let earlier = hands.token("alice").await?;
    hands.scene.stage.scaler.process.terminate().await?;
    hands.scene.start_guarded(&[]).await?;
    hands.evaluated().await;
    let (own, of_another) = (hands.token("alice").await?, hands.token("bob").await?);
    assert!(own != earlier && own != of_another, "{own} {earlier} {of_another}");

    let refused = async |what: String, sent: RequestBuilder, status: u16, why: &str| -> Result<()> {
        let answer = sent.send().await?;
        let (is, body) = (answer.status().as_u16(), answer.text().await?);
        assert!(is == status && body.contains(why), "{what}: {is} {body}");
        hands.assert_unchanged(&what);
        Ok(())
    };
    let foreign = "a page of another site made the browser send this";
    for (action, fields) in FORMS {
        for headers in FOREIGN {
            let mut sent = hands.own_form(action, fields, Some(&own));
            for &(name, value) in headers {
                sent = sent.header(name, value);
            }
            refused(format!("{action} of {headers:?}"), sent, 403, foreign).await?;
        }
        let of_other = "the form is of another user or page";
        for token in [None, Some(""), Some("0"), Some(earlier.as_str()), Some(of_another.as_str())] {
            let sent = hands.own_form(action, fields, token).header("sec-fetch-site", "same-origin");
            refused(format!("{action} with {token:?}"), sent, 403, of_other).await?;
        }
        let sent = hands.form(action, fields, Some(&own)).basic_auth("alice", Some("wrong"));
        refused(format!("{action} with a wrong password"), sent, 401, "Unauthorized").await?;
    }
    let api = format!("/api/v1/fleets/jvb/{GROUP}");
    let orders = [
        (format!("{api}/pause"), json!({"reason": "image", "for": "1h"})),
        (format!("{api}/instances/{}/drain", hands.bridge), json!({"reason": "image"})),
    ];
    for (path, body) in &orders {
        for headers in FOREIGN {
            let mut sent = hands.ask(path, body);
            for &(name, value) in headers {
                sent = sent.header(name, value);
            }
            refused(format!("{path} of {headers:?}"), sent, 403, foreign).await?;
        }
        // Another site can make a browser send this type without asking the scaler first.
        let url = hands.url(path);
        let sent = hands.client.post(url).basic_auth("alice", Some(PASSWORD)).body(body.to_string());
        refused(format!("{path} as text"), sent, 415, "Content-Type: application/json").await?;
        refused(
            format!("{path} without a user"),
            hands.client.post(hands.url(path)).json(body),
            401,
            "Unauthorized",
        )
        .await?;
    }
    let log = hands.scene.log();
    assert!(!log.contains("by an operator") && !log.contains("an operator orders"), "{log}");

    // The same form from the own page is accepted.
    let (action, fields) = FORMS[0];
    let sent = hands.own_form(action, fields, Some(&own));
    let origin = hands.url("");
    let answer = sent.header("sec-fetch-site", "same-origin").header("origin", origin).send().await?;
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()["location"], "../prod?region=us-east-1");
    assert_eq!(hands.scene.applied("CreateOrUpdateTags").len(), 1);
    hands.scene.until_logged("paused by an operator").await;
    let line = hands.scene.log();
    let line = line.lines().find(|line| line.contains("paused by an operator")).context("a line")?;
    assert!(line.contains("by=alice reason=image"), "{line}");
    Ok(())
}

// long: a table for each kind of request.
#[tokio::test(flavor = "multi_thread")]
async fn answers_to_operators_are_as_they_are_described() -> Result<()> {
    let hands = Hands::start().await?;
    let address = format!("alice:{PASSWORD}@{}", hands.scene.stage.scaler.address);
    let description = Description::fetch(address).await?;
    let (bridge, token) = (hands.bridge.as_str(), hands.token("alice").await?);
    let check = async |path: &str, answer: Response, status: u16, told: &str| -> Result<()> {
        let is = answer.status().as_u16();
        let body = description.hold_answer(path, answer).await?;
        assert!(is == status && body.contains(told), "{path}: {is} {body}");
        Ok(())
    };

    let forms = [
        ("pause", &[("reason", "image"), ("for", "soon")][..], 400, "is not a duration"),
        ("drain", &[("reason", "kernel"), ("then", "shrink")][..], 409, "the group is at its minimum"),
        ("destroy", &[][..], 404, "there is no such form"),
        ("resume", &[][..], 303, ""),
    ];
    for (action, fields, status, told) in forms {
        check(FORM, hands.own_form(action, fields, Some(&token)).send().await?, status, told).await?;
        check(FORM, hands.own_form(action, fields, Some("0")).send().await?, 403, "Back to the group")
            .await?;
    }
    let foreign = hands.own_form("resume", &[], Some(&token)).header("sec-fetch-site", "cross-site");
    check(FORM, foreign.send().await?, 403, "another site").await?;
    let nobody = hands.client.post(hands.url(&format!("/fleets/jvb/{GROUP}/resume")));
    check(FORM, nobody.send().await?, 401, "Unauthorized").await?;

    let order = |asg: &str, id: &str, verb: &str| format!("/api/v1/fleets/jvb/{asg}/instances/{id}/{verb}");
    let why = |then: &str| json!({"reason": "kernel", "then": then});
    let long = json!({"reason": "x".repeat(20_000)});
    let orders = [
        (GROUP, bridge, "drain", json!({}), 400, "missing field `reason`"),
        (GROUP, bridge, "drain", why("destroy"), 400, "must be one of replace, shrink, keep"),
        (GROUP, bridge, "drain", json!({"reason": "x".repeat(141)}), 400, "at most 140 characters"),
        (GROUP, bridge, "drain", long, 413, "at most 16384 bytes"),
        (GROUP, "i-0", "drain", why("keep"), 404, "failed to find i-0 in the group"),
        ("other", bridge, "drain", why("keep"), 404, "there is no group other"),
        (GROUP, bridge, "drain", why("shrink"), 409, "the group is at its minimum"),
        (GROUP, bridge, "undrain", json!({}), 409, "nothing drains it"),
        (GROUP, bridge, "drain", why("keep"), 200, "and keep it in its group"),
        (GROUP, bridge, "undrain", json!({"reason": "done"}), 200, "end the drain of"),
    ];
    for (asg, id, verb, body, status, told) in orders {
        let answer = hands.ask(&order(asg, id, verb), &body).send().await?;
        check(&format!("{API}/instances/{{id}}/{verb}"), answer, status, told).await?;
    }
    let pauses = [
        (GROUP, "pause", json!({"reason": "image"}), 400, "either `until` or `for`"),
        ("other", "pause", json!({"reason": "image", "for": "1h"}), 404, "there is no group other"),
        (GROUP, "pause", json!({"reason": "image", "for": "1h"}), 200, "\"by\":\"alice\""),
        (GROUP, "resume", json!({}), 200, "{\"paused\":null}"),
        ("other", "resume", json!({}), 404, "there is no group other"),
    ];
    for (asg, verb, body, status, told) in pauses {
        let answer = hands.ask(&format!("/api/v1/fleets/jvb/{asg}/{verb}"), &body).send().await?;
        check(&format!("{API}/{verb}"), answer, status, told).await?;
    }
    for verb in ["pause", "resume", "instances/{id}/drain", "instances/{id}/undrain"] {
        let (url, path) = (hands.url(&format!("/api/v1/fleets/jvb/{GROUP}/{verb}")), format!("{API}/{verb}"));
        let post = || hands.client.post(&url);
        check(&path, post().json(&json!({})).send().await?, 401, "Unauthorized").await?;
        let known = || post().basic_auth("alice", Some(PASSWORD));
        check(&path, known().body("{}").send().await?, 415, "Content-Type").await?;
        let foreign = known().json(&json!({})).header("sec-fetch-site", "cross-site");
        check(&path, foreign.send().await?, 403, "another site").await?;
    }

    // A drain by an operator is in the status, as it is described.
    let answer = hands.ask(&order(GROUP, bridge, "drain"), &why("keep"));
    let kept = async || answer.try_clone().expect("a body").send().await.is_ok_and(|it| it.status() == 200);
    hands.scene.until("the drain is ordered", kept).await;
    let mut status = Value::Null;
    let shown = async || {
        status = hands.status().await.unwrap_or_default();
        status["groups"][0]["drains"][0]["by"] == "alice"
    };
    hands.scene.until("the status has the drain", shown).await;
    description.hold("Status", &status)
}
