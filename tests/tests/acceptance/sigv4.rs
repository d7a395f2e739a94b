//! Signed queries have the signature of botocore, an independent implementation.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jitsi_tests::harness::{program, tool};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

/// Much longer than a start takes.
const SOON: Duration = Duration::from_secs(30);

const CONFIG: &str = r#"
prometheus:
  url: "http://{prometheus}/workspaces/ws-1"
  sigv4: {region: eu-west-1}
fleets:
  - name: jvb
    component: jvb
    asg: {regions: [eu-west-1], names: [prod-jvb]}
    policies:
      - {name: load, expr: "avg by (asg) (jvb_stress)", scale_out: {when: ">= 0.6", periods: 3, add: 1}}
"#;

/// A script that signs the given request again, and prints the expected header.
const AGAIN: &str = r#"
import datetime, json, sys
import botocore.auth, botocore.awsrequest, botocore.credentials
told = json.load(sys.stdin)
class Then(datetime.datetime):
    @classmethod
    def utcnow(cls):
        return cls.strptime(told["date"], "%Y%m%dT%H%M%SZ")
    @classmethod
    def now(cls, tz=None):
        return cls.strptime(told["date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=tz)
import types
fake = types.SimpleNamespace(datetime=Then, timezone=datetime.timezone, timedelta=datetime.timedelta)
botocore.auth.datetime = fake
if hasattr(botocore.auth, "get_current_datetime"):
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: Then.utcnow()
credentials = botocore.credentials.Credentials("AKIDEXAMPLE", "secret/key", "a-token")
request = botocore.awsrequest.AWSRequest(method="POST", url=told["url"], data=told["body"].encode(),
                                         headers={"content-type": told["type"]})
botocore.auth.SigV4Auth(credentials, "aps", "eu-west-1").add_auth(request)
print(request.headers["Authorization"])
"#;

/// Reads one request to its end, and sends a useless answer.
async fn once(listener: &TcpListener) -> Result<(String, Vec<(String, String)>, String)> {
    let (mut stream, _) = listener.accept().await?;
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let length = stream.read(&mut chunk).await?;
        ensure!(length > 0, "the request ends early");
        read.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut lines = head.lines();
        let request = lines.next().context("a request line")?.to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, it)| it);
        if body.len() < length.parse()? {
            continue;
        }
        stream.write_all(b"HTTP/1.1 503 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
        return Ok((request, headers, body.to_owned()));
    }
}

#[tokio::test]
async fn queries_are_signed_as_botocore_signs_them() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("scaler.yml");
    std::fs::write(&config, CONFIG.replace("{prometheus}", &address))?;
    let mut plan = Command::new(program("jitsi-scaler")?)
        .args(["plan", "--config.file"])
        .arg(&config)
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret/key")
        .env("AWS_SESSION_TOKEN", "a-token")
        // Nothing listens there; the answers of AWS do not matter here.
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let asked = timeout(SOON, once(&listener)).await;
    plan.kill().await?;
    let (request, headers, body) = asked??;
    let header = |name: &str| {
        headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone()).context(name.to_owned())
    };
    let path = request.split(' ').nth(1).context("a path")?;
    assert!(path.starts_with("/workspaces/ws-1/api/v1/query"), "{path}");
    assert_eq!(header("x-amz-security-token")?, "a-token");

    let told = json!({
        "date": header("x-amz-date")?, "url": format!("http://{address}{path}"), "body": body,
        "type": header("content-type")?,
    });
    let python = tool("moto_server").context("tests/tools.sh brings it")?.with_file_name("python");
    let mut again =
        Command::new(python).args(["-c", AGAIN]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    again.stdin.take().context("its input")?.write_all(told.to_string().as_bytes()).await?;
    let output = again.wait_with_output().await?;
    ensure!(output.status.success(), "botocore cannot sign it");
    assert_eq!(header("authorization")?, String::from_utf8_lossy(&output.stdout).trim());
    Ok(())
}
