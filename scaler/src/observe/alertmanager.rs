//! What a notification of Alertmanager says: which alerts fire, and with which labels.
//!
//! Owns the payload of its webhooks, version 4, as releases old and new send it. It ignores unknown
//! fields, and draws no conclusion from what a notification lacks.

use serde::Deserialize;

pub use super::labels::Labels;

/// A notification that can never be understood.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// It is not JSON, or not of this form.
    #[error("read the notification")]
    Form(#[from] serde_json::Error),
    /// It is of a version that is not known.
    #[error("read the notification: its version is \"{0}\", and only \"4\" is known")]
    Version(String),
}

#[derive(Deserialize)]
struct Payload {
    version: String,
    alerts: Option<Vec<RawAlert>>,
    #[serde(rename = "groupLabels")]
    group_labels: Option<Labels>,
    #[serde(rename = "truncatedAlerts")]
    truncated: Option<u64>,
}

#[derive(Deserialize)]
struct RawAlert {
    status: String,
    labels: Option<Labels>,
    #[serde(rename = "startsAt")]
    starts_at: Option<String>,
}

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What fires.
    pub firing: Vec<Firing>,
    /// The labels that all its alerts share, if some of them were left out: those may fire.
    pub left_out: Option<Labels>,
}

/// An alert that fires.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Firing {
    /// Its labels.
    pub labels: Labels,
    /// Since when, in Alertmanager's words: the same alert that fires again has another one.
    pub since: String,
}

impl Notification {
    /// Reads the body of a webhook.
    pub fn parse(body: &[u8]) -> Result<Self, PayloadError> {
        let payload: Payload = serde_json::from_slice(body)?;
        if payload.version != "4" {
            return Err(PayloadError::Version(payload.version));
        }
        let alerts = payload.alerts.unwrap_or_default().into_iter();
        let firing = alerts.filter(|alert| alert.status == "firing").map(|alert| Firing {
            labels: alert.labels.unwrap_or_default(),
            since: alert.starts_at.unwrap_or_default(),
        });
        let left_out = payload.truncated.is_some_and(|count| count > 0);
        Ok(Self {
            firing: firing.collect(),
            left_out: left_out.then(|| payload.group_labels.unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use test_case::test_case;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    fn firing(asg: &str, since: &str) -> Firing {
        Firing { labels: labels(&[("alertname", "A"), ("asg", asg)]), since: since.to_owned() }
    }

    #[test_case(
        r#"{"version":"4","status":"firing","receiver":"scaler","groupKey":"{}:{asg=\"a\"}","groupLabels":{"asg":"a"},
            "commonLabels":{},"commonAnnotations":{},"externalURL":"http://a","alerts":[{"status":"firing",
            "labels":{"alertname":"A","asg":"a"},"annotations":{},"startsAt":"2026-11-20T07:00:00Z",
            "endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://p"}]}"#,
        &Notification { firing: vec![firing("a", "2026-11-20T07:00:00Z")], left_out: None };
        "an old release, without fingerprints and truncation")]
    #[test_case(
        r#"{"receiver":"scaler","status":"firing","alerts":[
            {"status":"resolved","labels":{"alertname":"A","asg":"a"},"startsAt":"x","fingerprint":"1"},
            {"status":"firing","labels":{"alertname":"A","asg":"b"},"startsAt":"y","fingerprint":"2"}],
            "notification_reason":"first notification","groupLabels":{"alertname":"A"},"version":"4",
            "truncatedAlerts":0,"routeLabels":{"new":["in",3]}}"#,
        &Notification { firing: vec![firing("b", "y")], left_out: None };
        "a new release, some of it resolved, with keys that are not known")]
    #[test_case(
        r#"{"version":"4","status":"resolved","alerts":[{"status":"resolved","labels":{"asg":"a"}}],
            "groupLabels":{"asg":"a"},"truncatedAlerts":7}"#,
        &Notification { firing: vec![], left_out: Some(labels(&[("asg", "a")])) };
        "all that is listed is resolved, and seven alerts are not listed")]
    #[test_case(r#"{"version":"4","alerts":null}"#, &Notification { firing: vec![], left_out: None }; "no alerts")]
    fn a_notification_is_read(body: &str, expected: &Notification) {
        assert_eq!(&Notification::parse(body.as_bytes()).expect("a notification"), expected);
    }

    #[test_case("", "read the notification"; "nothing")]
    #[test_case("[]", "read the notification"; "another form")]
    #[test_case(r#"{"version":"5","alerts":[]}"#, "version is \"5\""; "another version")]
    #[test_case(r#"{"alerts":[]}"#, "read the notification"; "no version")]
    fn what_can_never_be_understood_is_refused(body: &str, told: &str) {
        let error = Notification::parse(body.as_bytes()).expect_err("no notification");
        assert!(error.to_string().contains(told), "{error}");
    }

    fn payloads() -> Vec<Value> {
        vec![
            json!({"version": "4", "groupLabels": {"asg": "a"}, "truncatedAlerts": 0, "alerts": [
                {"status": "firing", "labels": {"alertname": "A", "asg": "a"}, "startsAt": "x", "annotations": {}},
                {"status": "resolved", "labels": {"asg": "b"}}]}),
            json!({"version": "4", "groupLabels": {"fleet": "jvb"}, "truncatedAlerts": 3, "alerts": null}),
        ]
    }

    /// What fires, read by the letter.
    fn model(payload: &Value) -> Vec<Firing> {
        let alerts = payload["alerts"].as_array().into_iter().flatten();
        let firing = alerts.filter(|alert| alert["status"] == "firing").map(|alert| {
            let labels = alert["labels"].as_object().into_iter().flatten();
            let labels =
                labels.map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()));
            Firing {
                labels: labels.collect(),
                since: alert["startsAt"].as_str().unwrap_or_default().to_owned(),
            }
        });
        firing.collect()
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(300))]

        #[test]
        fn a_changed_payload_is_read_by_the_letter_or_refused(replaced in jitsi_inputs::replaced(payloads())) {
            let payload = replaced.after;
            if let Ok(read) = Notification::parse(payload.to_string().as_bytes()) {
                prop_assert_eq!(payload["version"].as_str(), Some("4"));
                prop_assert_eq!(&read.firing, &model(&payload));
                prop_assert_eq!(read.left_out.is_some(), payload["truncatedAlerts"].as_u64().is_some_and(|it| it > 0));
            }
        }

        #[test]
        fn what_fires_in_a_mutated_payload_stands_in_it(
            body in jitsi_inputs::mutated(payloads().iter().map(|body| body.to_string().into_bytes()).collect())
        ) {
            let text = String::from_utf8_lossy(&body);
            for alert in Notification::parse(&body).map(|read| read.firing).unwrap_or_default() {
                prop_assert!(text.contains("firing") || text.contains("\\u"), "{text}");
                prop_assert!(alert.labels.iter().all(|(name, _)| text.contains(name) || text.contains('\\')), "{text}");
            }
        }
    }

    /// Far more than a debug build needs on a busy computer, and far less than work that grows faster than the body.
    const LINEAR: std::time::Duration = std::time::Duration::from_secs(20);

    #[test]
    fn no_payload_takes_long() {
        let start = tokio::time::Instant::now();
        for body in jitsi_inputs::long(1 << 20) {
            let _any = Notification::parse(&body).map_err(|error| error.to_string());
        }
        assert!(start.elapsed() < LINEAR, "{:?}", start.elapsed());
    }
}
