//! Attacks by what surrounds the programs: a hostile Prometheus, a hostile AWS, signals, and limits of the system.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use jitsi_tests::harness::Process;
use tokio::process::Command;
use tokio::time::{Instant, sleep, sleep_until};

use crate::hostile::{Impostor, Treatment, Words};
use crate::load::{Tally, get, peer, post, repeat, send, trickle};
use crate::scene::{Scene, notification};

const JSON: &str = "application/json";
const XML: &str = "text/xml";
/// The beginning and the end of AWS' answer.
const BEGIN: &str = r#"<DescribeAutoScalingGroupsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><DescribeAutoScalingGroupsResult><AutoScalingGroups>"#;
const END: &str = "</DescribeAutoScalingGroupsResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></DescribeAutoScalingGroupsResponse>";

/// What a server may say, each for the same share of the time. Every one meets an evaluation, because a notification
/// wakes it.
async fn turns(scene: &Scene, server: &Impostor, treatments: Vec<Treatment>, until: Instant) -> Tally {
    let mut tally = Tally::default();
    let share = until.duration_since(Instant::now()) / u32::try_from(treatments.len()).unwrap_or(1);
    let start = Instant::now();
    for (number, treatment) in (1..).zip(treatments) {
        server.turn(treatment);
        let body = notification("prod", &format!("{:?}", std::time::UNIX_EPOCH.elapsed()));
        let answer =
            send(peer(0), scene.scaler.address, &post("/api/v1/alertmanager", "", body.as_bytes())).await;
        tally.expect("a notification", &answer, &["200", "503"]);
        sleep_until(start + share * number).await;
    }
    if let Err(error) = scene.evaluates_again().await {
        tally.wrong.push(format!("{error:#}"));
    }
    tally
}

fn say(words: Words) -> Treatment {
    Treatment::Say(words.into())
}

pub(crate) async fn hostile_prometheus(scene: &Scene, until: Instant) -> Tally {
    let begin = r#"{"status":"success","data":{"resultType":"matrix","result":["#;
    let series = r#"{"metric":{"asg":"group-7","id":"i-0123456789abcdef0"},"values":[[1,"1"]]}"#;
    let Ok(bomb) = Words::bomb(JSON, begin) else {
        return Tally { wrong: vec!["no bomb of gzip".to_owned()], ..Tally::default() };
    };
    let treatments = vec![
        Treatment::Silent,
        Treatment::Close,
        say(Words::slow(JSON, begin)),
        say(Words::endless(JSON, begin, " ")),
        say(Words::repeated(JSON, begin, &format!("{series},"), 700_000, &format!("{series}]}}}}"))),
        say(bomb),
        say(Words::whole(JSON, &"[".repeat(8 << 20))),
        say(Words::whole("text/html", "<html><script>alert(1)</script>\u{1b}[31m\n\r\0level=error")),
        say(Words::raw(b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n")),
        say(Words::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{\"status\":\"success\",\"data\"")),
        say(Words::whole(JSON, r#"{"status":"success","warnings":["half is missing"],"data":{"resultType":"vector","result":[]}}"#)),
    ];
    turns(scene, &scene.metrics, treatments, until).await
}

pub(crate) async fn hostile_aws(scene: &Scene, until: Instant) -> Tally {
    let group = "<member><AutoScalingGroupName>prod</AutoScalingGroupName><MinSize>1</MinSize><MaxSize>6</MaxSize><DesiredCapacity>2</DesiredCapacity></member>";
    let page = format!("{BEGIN}{group}</AutoScalingGroups><NextToken>again</NextToken>{END}");
    let entities: String =
        (1..20).map(|it| format!("<!ENTITY a{it} \"&a{0};&a{0};&a{0};&a{0};\">", it - 1)).collect();
    let bomb =
        format!("<!DOCTYPE a [<!ENTITY a0 \"aaaaaaaa\">{entities}]>{BEGIN}&a19;</AutoScalingGroups>{END}");
    let instance = "<member><InstanceId>i-0123456789abcdef0</InstanceId><AvailabilityZone>us-east-1a</AvailabilityZone><LifecycleState>InService</LifecycleState><HealthStatus>Healthy</HealthStatus></member>";
    let many = format!("{BEGIN}{}<Instances>", group.trim_end_matches("</member>"));
    let rest = format!("</Instances></member></AutoScalingGroups>{END}");
    let treatments = vec![
        Treatment::Silent,
        Treatment::Close,
        say(Words::whole(XML, &page)),
        say(Words::whole(XML, &bomb)),
        say(Words::whole(XML, &format!("{BEGIN}{}", "<member>".repeat(1 << 17)))),
        say(Words::slow(XML, BEGIN)),
        say(Words::repeated(XML, &many, instance, 400_000, &rest)),
        say(Words::repeated(XML, &many, instance, 150_000, &rest)),
        say(Words::endless(XML, &many, instance)),
        say(Words::raw(format!("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{BEGIN}{group}"))),
        say(Words::whole(XML, &format!("{BEGIN}{}", group.replace("<MinSize>1</MinSize>", "")))),
        say(Words::raw(b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\n\r\n")),
        say(Words::whole("text/html", "<html>captive portal</html>")),
    ];
    turns(scene, &scene.aws, treatments, until).await
}

/// Reloads, by signal and by request, as fast as they come.
pub(crate) async fn reloads(scene: &Scene, until: Instant) -> Tally {
    let signals = repeat(1, until, async |_, tally| {
        for process in [&scene.exporter.process, &scene.scaler.process] {
            for signal in ["HUP", "PIPE"] {
                if let Err(error) = process.signal(signal).await {
                    tally.wrong.push(error.to_string());
                }
                tally.sent += 1;
            }
        }
        sleep(Duration::from_millis(10)).await;
    });
    let requests = repeat(4, until, async |turn, tally| {
        let to = [scene.scaler.address, scene.exporter.address][turn % 2];
        let answer = send(peer(turn), to, &post("/-/reload", "", b"")).await;
        tally.expect("a reload", &answer, &["200", "503"]);
        sleep(Duration::from_millis(10)).await;
    });
    let (mut tally, more) = tokio::join!(signals, requests);
    tally.add(more);
    tally
}

/// Limits a resource of a running process.
async fn limit(process: &Process, resource: &str) -> Result<()> {
    let pid = process.id().context("it runs")?.to_string();
    let set = Command::new("prlimit").args(["--pid", &pid, resource]).status().await?;
    ensure!(set.success(), "prlimit {resource}: {set}");
    Ok(())
}

/// Idle clients of processes that may have few files: they reach Prometheus and AWS all the same.
pub(crate) async fn few_files(scene: &Scene, until: Instant) -> Tally {
    let (exporter, scaler) = &scene.guarded;
    let before = scene.unanswered().await;
    let clients = (0..200).map(|number| {
        let to = [scaler.address, exporter.address][number % 2];
        trickle(peer(number), to, b"GET", b"", until)
    });
    let mut tally = Tally::default();
    for client in join_all(clients).await {
        tally.add(client);
    }
    let failed = scene.unanswered().await - before;
    if failed > 0.5 {
        tally.wrong.push(format!("{failed} calls to AWS and prometheus failed"));
    }
    tally
}

/// No file may grow, not even the log.
pub(crate) async fn full_files(scene: &Scene, until: Instant) -> Tally {
    let asking = repeat(4, until, async |turn, tally| {
        let answer =
            send(peer(turn), scene.exporter.address, &get("/probe?module=jvb&target=127.0.0.1:9", "")).await;
        tally.expect("a probe", &answer, &["200", "503"]);
        let answer = send(peer(turn), scene.scaler.address, &post("/api/v1/alertmanager", "", b"{")).await;
        tally.expect("a notification", &answer, &["200"]);
        sleep(Duration::from_millis(50)).await;
    });
    let limits = async |limit_of| {
        for process in [&scene.exporter.process, &scene.scaler.process] {
            limit(process, limit_of).await?;
        }
        Ok::<(), anyhow::Error>(())
    };
    let narrowed = limits("--fsize=1024:").await;
    let mut tally = asking.await;
    let failed = [narrowed, limits("--fsize=unlimited:").await].into_iter().filter_map(Result::err);
    tally.wrong.extend(failed.map(|error| format!("{error:#}")));
    tally
}
