//! The past on the page: a day that Prometheus and the decision log remember, and a list of hundreds of groups.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jitsi_tests::asg_sim::{Component, GroupSpec};
use jitsi_tests::harness::{Browser, Scaler, ScalerEnvironment, tool};
use serde_json::json;

use super::{DESKTOP, LASTING, NOTES, PAGE, PALE, PHONE, SCALER, TOO_WIDE, Watch};
use crate::{GROUP, Scene, group};

const DAY: i64 = 24 * 60;
/// The minutes of the day in which no scaler ran.
const AWAY: std::ops::Range<i64> = 600..660;

/// A figure at a minute of the day.
type OfMinute = fn(i64) -> i64;

/// The capacity that a day's load asks for, by the minute.
fn wanted(minute: i64) -> i64 {
    // A quiet night, a morning of scale-outs, an evening that empties.
    match minute * 24 / DAY {
        0..8 => 2,
        8..12 => 3 + (minute - 480) / 40,
        12..18 => 9,
        hour => (9 - (hour - 17)).max(2),
    }
}

/// The bridges' stress, which the scaler keeps below a half by adding bridges as people come.
fn stress(minute: i64) -> f64 {
    let at = minute as f64;
    let people = match minute * 24 / DAY {
        0..8 => 0.7 + 0.2 * (at / 40.0).sin(),
        8..12 => 1.2 + (at - 480.0) / 80.0,
        12..18 => 4.1 + 0.3 * (at / 30.0).sin(),
        _ => 3.8 - (at - 1080.0) / 130.0,
    };
    people / wanted(minute) as f64 + 0.01 * (minute % 5) as f64
}

/// What Prometheus would have of a scaler that ran for a day, with a break, until some minutes ago.
fn remember_the_day(folder: &Path) -> Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one clock of this test, before there is a server to ask"
    )]
    let begin = jiff::Timestamp::now().as_second() - DAY * 60;
    let of = format!("fleet=\"jvb\",asg=\"{GROUP}\",region=\"us-east-1\"");
    let mut text = "# TYPE jitsi_scaler_group_instances gauge\n".to_owned();
    let mut outs = String::from("# TYPE jitsi_scaler_decisions counter\n");
    let mut values = String::from("# TYPE jitsi_scaler_policy_value gauge\n");
    let minutes = || (0..DAY - 20).filter(|minute| !AWAY.contains(minute));
    let figures: [(&str, OfMinute); 6] = [
        ("wanted", wanted),
        ("desired", wanted),
        ("ready", |minute| wanted(minute - 3).min(wanted(minute))),
        ("draining", |minute| (wanted(minute - 9) - wanted(minute)).max(0)),
        ("min", |_| 2),
        ("max", |minute| if minute < 700 { 9 } else { 12 }),
    ];
    for (state, of_minute) in figures {
        for minute in minutes() {
            let at = begin + minute * 60;
            let value = of_minute(minute);
            text.push_str(&format!("jitsi_scaler_group_instances{{{of},state=\"{state}\"}} {value} {at}\n"));
        }
    }
    for (action, step) in [("scale_out", 1), ("scale_in", -1)] {
        let mut count = 0;
        for minute in minutes() {
            // A scaler that is started counts from 0.
            count = if minute == AWAY.end { 0 } else { count };
            count += i64::from((wanted(minute) - wanted(minute - 1)).signum() == step);
            let at = begin + minute * 60;
            let labels = format!("{of},action=\"{action}\",dry_run=\"false\"");
            outs.push_str(&format!("jitsi_scaler_decisions_total{{{labels}}} {count} {at}\n"));
        }
    }
    for minute in minutes() {
        let at = begin + minute * 60;
        let stress = stress(minute);
        values.push_str(&format!("jitsi_scaler_policy_value{{{of},policy=\"stress\"}} {stress:.3} {at}\n"));
    }
    let file = folder.join("day.txt");
    std::fs::write(&file, [text, outs, values, "# EOF\n".to_owned()].concat())?;
    let made = Command::new(tool("promtool")?)
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([file, folder.join("prometheus-data")])
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// Starts the scaler again, with a decision log and without a password, so that Prometheus may scrape it.
async fn start_scaler(scene: &mut Scene) -> Result<()> {
    let folder = scene.stage.folder.clone();
    let log = folder.join("decisions.jsonl").display().to_string();
    let environment = ScalerEnvironment { aws: scene.stage.asg.url() };
    let flags = ["--decision-log", &log];
    scene.stage.scaler =
        Scaler::start_with("jitsi-scaler", &folder, &folder.join("scaler.yml"), &environment, &flags).await?;
    let address = scene.stage.scaler.address;
    scene.stage.scrape_too("restarted", address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_of_a_day_loses_no_history() -> Result<()> {
    let mut scene = Scene::start(&[(GROUP, group(Component::Jvb, 2, 2, 9))], SCALER).await?;
    scene.stage.scaler.process.terminate().await?;
    scene.stage.stop_prometheus().await?;
    remember_the_day(&scene.stage.folder)?;
    scene.stage.start_prometheus().await?;
    let bridges = scene.serving(GROUP, 2).await?;
    start_scaler(&mut scene).await?;
    scene.stage.jitsi.place_conference(&bridges[0], 60, LASTING)?;
    scene.until("it scales out", async || scene.desired(GROUP) == 3).await;
    scene.stage.jitsi.end_conferences(&bridges[0])?;
    scene.stage.scaler.process.cut_off().await?;
    start_scaler(&mut scene).await?;

    let browser = Browser::start(&scene.stage.folder).await?;
    browser.resize(DESKTOP, false).await?;
    let watch = Watch { scene, browser, bridges, hurried: true };
    watch.open(&format!("{PAGE}&range=24h")).await?;
    watch.shows_in("[data-key=decisions]", "Before the scaler was started, by the decision log:").await;
    for part in [
        "▲ Scaled out from 2 to 3: stress wants more (≥ 0.5 in 2 of 3 periods)",
        "by Prometheus' counters, which tell neither reasons nor steps",
        "▼ Scaled in from 9 to 8",
    ] {
        watch.shows_in("[data-key=decisions]", part).await;
    }
    watch.becomes("return document.querySelectorAll('[role=img]').length", json!(2)).await;
    let charts = "return [...document.querySelectorAll('[role=img]')].map(it => it.ariaLabel)";
    let charts = watch.browser.ask(charts).await?;
    let instances = charts[0].as_str().context("a chart")?;
    assert!(instances.starts_with("Instances in the last 24 hours: desired 2 to 9, now "), "{charts}");
    assert!(charts[1].as_str().is_some_and(|it| it.contains("wants more at 0.5")), "{charts}");
    watch.becomes(NOTES, json!(0)).await;
    watch.picture("day").await?;
    // The hour in which no scaler ran is a gap, and not zero.
    watch.browser.click("figure details summary").await?;
    let table = watch.browser.text("figure details").await?;
    assert!(table.contains("unknown") && !table.contains("\t0\t0\t"), "{table}");
    for (range, words) in [("1h", "hour"), ("7d", "7 days"), ("6h", "6 hours")] {
        watch.browser.click(&format!(".spans a[href*='range={range}']")).await?;
        watch.shows_in("[data-key=past] h3", &format!("The last {words}")).await;
        watch.picture(&format!("day-{range}")).await?;
    }
    for (dark, size, phone) in [(true, DESKTOP, false), (false, PHONE, true)] {
        watch.browser.prefer_dark(dark).await?;
        watch.browser.resize(size, phone).await?;
        watch.open(&format!("{PAGE}&range=24h")).await?;
        watch.picture(if phone { "day-phone" } else { "day-dark" }).await?;
        assert_eq!(watch.browser.ask(TOO_WIDE).await?, json!([]));
        assert_eq!(watch.browser.ask(PALE).await?, json!([]));
    }
    watch.browser.resize(DESKTOP, false).await?;
    watch.open("/").await?;
    watch.shows_in(".groups", GROUP).await;
    let group = format!("http://{}{PAGE}&range=7d", watch.scene.stage.scaler.address);
    let size = reqwest::get(group).await?.bytes().await?.len();
    assert!(size < 200_000, "{size} bytes");
    watch.becomes("return document.querySelectorAll('.groups svg').length", json!(1)).await;
    let line = watch.browser.ask("return document.querySelector('.groups svg').ariaLabel").await?;
    assert!(line.as_str().is_some_and(|line| line.contains(" to ")), "{line}");
    watch.picture("day-overview").await?;
    assert_eq!(watch.browser.console().await?, Vec::<String>::new());
    watch.browser.stop().await
}

/// A fleet of groups without instances, which its policy reads by the scaler's own metrics.
const MANY: &str = r#"
prometheus: {url: "{prometheus}", timeout: 2s}
fleets:
  - name: shards
    component: jvb
    asg: {regions: [us-east-1], names: {names}}
    policies:
      - name: size
        expr: sum by (asg) (jitsi_scaler_group_instances{state="desired"})
        period: 5s
        scale_out: {when: ">= 1000", periods: 2, add: 1, cooldown: 20s}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_groups_are_searched_sorted_and_paged() -> Result<()> {
    let names: Vec<String> = (0..300).map(|number| format!("shard-{number:03}")).collect();
    let spec = |number: usize| GroupSpec {
        max: Some(u32::try_from(number).unwrap_or(0)),
        ..group(Component::Jvb, 0, 0, 9)
    };
    let groups: Vec<_> =
        names.iter().enumerate().map(|(number, name)| (name.as_str(), spec(number))).collect();
    let config = MANY.replace("{names}", &serde_json::to_string(&names)?);
    let scene = Scene::start(&groups, &config).await?;
    let browser = Browser::start(&scene.stage.folder).await?;
    browser.resize(DESKTOP, false).await?;
    let watch = Watch { scene, browser, bridges: Vec::new(), hurried: true };
    watch.open("/").await?;
    watch.shows_in("[data-key=verdict]", "✓ All is well").await;
    watch.shows("Groups 1 to 50 of 300").await;
    watch.picture("hundreds").await?;

    watch.browser.click(".pages a[rel=next]").await?;
    watch.shows("Groups 51 to 100 of 300").await;
    let search = "
        const form = document.querySelector('form');
        form.q.value = 'SHARD-29'; form.sort.value = 'name';
        form.querySelector('button').click()";
    watch.browser.ask(search).await?;
    watch.becomes("return document.querySelectorAll('.groups tbody tr').length", json!(10)).await;
    assert_eq!(watch.browser.ask("return document.querySelector('form').q.value").await?, json!("SHARD-29"));
    watch.browser.resize(PHONE, true).await?;
    watch.picture("hundreds-phone").await?;
    assert_eq!(watch.browser.ask(TOO_WIDE).await?, json!([]));

    let address = format!("http://{}/", watch.scene.stage.scaler.address);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let (mut size, mut quickest) = (0, Duration::MAX);
    for _ in 0..10 {
        #[expect(clippy::disallowed_methods, reason = "how long a page takes")]
        let began = Instant::now();
        size = client.get(&address).send().await?.error_for_status()?.bytes().await?.len();
        quickest = quickest.min(began.elapsed());
    }
    assert!(size < 300_000, "{size} bytes");
    // A debug build beside other tests takes many times longer than a release build.
    let limit = if cfg!(debug_assertions) { Duration::from_secs(2) } else { Duration::from_millis(200) };
    assert!(quickest < limit, "{quickest:?}");
    assert_eq!(watch.browser.console().await?, Vec::<String>::new());
    watch.browser.stop().await
}
