//! The stand-in answers like a real API server.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::*;

/// Real versions and UIDs, by their names in the record.
#[derive(Debug, Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn real(&self, name: &Value) -> Value {
        let known = name.as_str().and_then(|name| self.0.iter().find(|(_, given)| *given == name));
        known.map_or_else(|| name.clone(), |(real, _)| json!(real))
    }

    fn give(&mut self, prefix: &str, real: &Value) -> Value {
        let Some(real) = real.as_str() else { return Value::Null };
        let count = self.0.len() + 1;
        json!(self.0.entry(real.to_owned()).or_insert_with(|| format!("{prefix}-{count}")))
    }
}

/// An answer with the names of the record.
fn told(mut answer: Value, versions: &mut Names, uids: &mut Names) -> Result<Value> {
    if !answer["metadata"]["resourceVersion"].is_null() {
        answer["metadata"]["resourceVersion"] =
            versions.give("VERSION", &answer["metadata"]["resourceVersion"]);
    }
    uids.give("UID", &answer["metadata"]["uid"]);
    let texts = uids.0.iter().fold(answer.to_string(), |text, (real, name)| text.replace(real, name));
    Ok(serde_json::from_str(&texts)?)
}

/// The answer to an unreadable body ends with the text of Go's decoder, which the stand-in does not imitate.
fn in_general(answer: &mut Value) {
    const DECODER: &str = "cannot be handled as a Lease: ";
    if let Some((start, _)) = answer["message"].as_str().and_then(|text| text.split_once(DECODER)) {
        answer["message"] = json!(format!("{start}{DECODER}"));
    }
}

#[tokio::test]
async fn it_answers_as_a_real_one_did() -> Result<()> {
    let record: Value = serde_json::from_str(include_str!("../../cluster/lease_api.json"))?;
    let exchanges = record["exchanges"].as_array().context("exchanges")?;
    assert!(exchanges.len() > 30, "{}", exchanges.len());
    let api = LeaseApi::start().await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let (mut versions, mut uids) = (Names::default(), Names::default());
    let mut wrong = Vec::new();
    for exchange in exchanges {
        let text = |key: &str| exchange[key].as_str().with_context(|| format!("{key}: {exchange}"));
        let root = "apis/coordination.k8s.io/v1/namespaces/jitsi";
        let url = format!("http://{}/{root}/{}", api.address, text("path")?);
        let mut request = client.request(text("method")?.parse()?, url).bearer_auth("caller");
        let mut body = exchange["body"].clone();
        if !body.is_null() {
            let metadata = &mut body["metadata"];
            for (key, names) in [("resourceVersion", &versions), ("uid", &uids)] {
                if !metadata[key].is_null() {
                    metadata[key] = names.real(&metadata[key]);
                }
            }
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let mut answer = told(response.json().await?, &mut versions, &mut uids)?;
        let mut expected = exchange["answer"].clone();
        in_general(&mut answer);
        in_general(&mut expected);
        if (json!(status), &answer) != (exchange["status"].clone(), &expected) {
            wrong.push(format!(
                "{}: {status} {answer}\n  not {} {expected}",
                text("what")?,
                exchange["status"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
