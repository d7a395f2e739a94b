//! The status page in a browser: the real scaler in headless Chromium, through a scale-out, a drain and a pause.
//!
//! With `PICTURES=FOLDER` it saves a screenshot of every checked state there.

use std::path::Path;

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::{Component, ErrorCode, Fault, GroupSpec};
use jitsi_tests::harness::Browser;
use jitsi_tests::jitsi_sim::Faults;
use jitsi_tests::wait::wait_until;
use serde_json::{Value, json};

use crate::{GROUP, PASSWORD, REGION, SOON, Scene, group};

mod hands;
mod history;

/// Seconds; longer than any test.
const LASTING: f64 = 600.0;
const USER: &str = "operator";
/// The number of polls between two returns to the page: about half a second.
const LOOKS: u32 = 25;
const DESKTOP: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (390, 844);
/// The page of the group.
const PAGE: &str = "/fleets/jvb/prod?region=us-east-1";

const SCALER: &str = r#"
prometheus: {url: "{prometheus}", timeout: 2s}
fleets:
  - name: jvb
    component: jvb
    asg: {regions: [us-east-1], names: [prod]}
    warmup: 0s
    policies:
      - name: stress
        expr: asg:jvb_stress:avg
        measures: load
        period: 1s
        scale_out: {when: ">= 0.5", periods: 3, breaching: 2, add: 1, cooldown: 20s}
        scale_in: {when: "<= 0.2", periods: 3, remove: 1, cooldown: 1s}
    drain: {via: "http://{private_ip}:8080", max_in_flight: 1, settle: 300ms}
"#;

/// Serving bridges, a scaler with a password, and a browser.
struct Watch {
    scene: Scene,
    browser: Browser,
    bridges: Vec<String>,
    /// Whether the reader repeatedly returns to the page, which refreshes it at once.
    hurried: bool,
}

impl Watch {
    async fn start(count: u32) -> Result<Self> {
        let watch = Self::of(SCALER, count).await?;
        watch.shows("● at its minimum").await;
        Ok(watch)
    }

    /// A group with so many instances, which is also its minimum.
    async fn of(scaler: &str, count: u32) -> Result<Self> {
        let spec = GroupSpec { launch_retry_seconds: Some(1.0), ..group(Component::Jvb, count, count, 9) };
        let mut scene = Scene::start(&[(GROUP, spec)], scaler).await?;
        let bridges = scene.serving(GROUP, usize::try_from(count)?).await?;
        for bridge in &bridges {
            scene.stage.jitsi.place_conference(bridge, 5, LASTING)?;
        }
        scene.guard(&[USER], &[]).await?;
        let browser = Browser::start(&scene.stage.folder).await?;
        browser.resize(DESKTOP, false).await?;
        let watch = Self { scene, browser, bridges, hurried: false };
        // The URL of a bookmark.
        let address = watch.scene.stage.scaler.address;
        watch.browser.open(&format!("http://{USER}:{PASSWORD}@{address}{PAGE}")).await?;
        watch.shows("Newest evaluation").await;
        Ok(watch)
    }

    async fn hurried(count: u32) -> Result<Self> {
        Ok(Self { hurried: true, ..Self::start(count).await? })
    }

    /// Returns to the page at one poll of many.
    async fn hurry(&self, looks: &mut u32) {
        *looks += 1;
        if self.hurried && looks.is_multiple_of(LOOKS) {
            let back = "document.dispatchEvent(new Event('visibilitychange'))";
            // The next poll reports a page that is gone.
            drop(self.browser.ask(back).await);
        }
    }

    async fn open(&self, path: &str) -> Result<()> {
        self.browser.open(&format!("http://{}{path}", self.scene.stage.scaler.address)).await
    }

    /// Waits until the page, which refreshes itself, contains this text.
    async fn shows(&self, text: &str) {
        self.shows_in("body", text).await;
    }

    async fn shows_in(&self, selector: &str, text: &str) {
        let (mut last, mut looks) = (String::new(), 0);
        let waited = wait_until(SOON, async || {
            self.hurry(&mut looks).await;
            last = self.browser.text(selector).await.unwrap_or_else(|error| format!("{error:#}"));
            last.contains(text)
        });
        let said = waited.await.is_ok();
        assert!(said, "the page does not say {text:?} in {selector}, but\n{last}\n{}", self.scene.tail());
    }

    /// Waits until a script on the page returns this value.
    async fn becomes(&self, script: &str, expected: Value) {
        let (mut last, mut looks) = (Value::Null, 0);
        let waited = wait_until(SOON, async || {
            self.hurry(&mut looks).await;
            last = self.browser.ask(script).await.unwrap_or_else(|error| json!(format!("{error:#}")));
            last == expected
        });
        let became = waited.await.is_ok();
        assert!(became, "{script} is {last}, not {expected}\n{}", self.scene.tail());
    }

    /// The figure with a name.
    async fn tile(&self, name: &str) -> Result<u32> {
        let all = self.browser.ask(&format!("return {TILES}")).await?;
        all[name].as_str().with_context(|| format!("no tile {name} in {all}"))?.parse().context("a figure")
    }

    async fn picture(&self, name: &str) -> Result<()> {
        match std::env::var_os("PICTURES") {
            Some(folder) => self.browser.picture(&Path::new(&folder).join(format!("{name}.png"))).await,
            None => Ok(()),
        }
    }

    /// Pictures of the page as it is, light, dark and on a phone, and its text.
    async fn pictures(&self, name: &str) -> Result<()> {
        for (kind, dark, size, phone) in
            [("", false, DESKTOP, false), ("-dark", true, DESKTOP, false), ("-phone", false, PHONE, true)]
        {
            self.browser.prefer_dark(dark).await?;
            self.browser.resize(size, phone).await?;
            self.picture(&format!("{name}{kind}")).await?;
            assert_eq!(self.browser.ask(PALE).await?, json!([]), "{name}{kind}");
            assert_eq!(self.browser.ask(TOO_WIDE).await?, json!([]), "{name}{kind}");
        }
        self.browser.resize(DESKTOP, false).await?;
        if let Some(folder) = std::env::var_os("PICTURES") {
            std::fs::write(Path::new(&folder).join(format!("{name}.txt")), self.browser.text("body").await?)?;
        }
        Ok(())
    }

    async fn operate(&self, verb: &str, body: Value) -> Result<()> {
        let address = self.scene.stage.scaler.address;
        let url = format!("http://{address}/api/v1/fleets/jvb/{GROUP}/{verb}");
        let client = reqwest::Client::builder().no_proxy().build()?;
        client.post(url).basic_auth(USER, Some(PASSWORD)).json(&body).send().await?.error_for_status()?;
        Ok(())
    }

    /// Drains a bridge at its own interface, as a person does.
    async fn drain_by_hand(&self, id: &str) -> Result<()> {
        let bridge = self.scene.component(id).context("a bridge")?;
        let url = format!("http://{}:8080/colibri/drain/enable", bridge.private_ip);
        let client = reqwest::Client::builder().no_proxy().build()?;
        client.post(url).send().await?.error_for_status()?;
        Ok(())
    }
}

/// The figures by name.
const TILES: &str = "Object.fromEntries([...document.querySelectorAll('.tiles div')].map(
    it => [it.querySelector('dt').innerText, it.querySelector('dd').innerText]))";

/// How many notes a group has.
const NOTES: &str = "return document.querySelectorAll('article > .note').length";

/// The remaining cooldown of scale-outs, in seconds.
const COOLDOWN: &str = r"
    const it = [...document.querySelectorAll('li')].find(it => it.innerText.includes('no scale-out before'));
    return it && Number(it.querySelector('time').innerText.match(/in (\d+) s/)?.[1])";

/// The changes of what the reader had opened, marked or scrolled to.
const DISTURBED: &str = r"
    const {article, tile, link, top} = window.read, wrong = [];
    if (article !== document.querySelector('article')) wrong.push('the group is another node');
    if (tile !== document.querySelector('.tiles dd')) wrong.push('the tile is another node');
    if (link !== document.activeElement) wrong.push(`the focus is on ${document.activeElement.tagName}`);
    if (String(getSelection()) !== 'minimum') wrong.push(`selected is ${getSelection()}`);
    if (!document.querySelector('details[id^=values]').open) wrong.push('what was opened is closed');
    if (Math.abs(tile.getBoundingClientRect().top - top) > 50) wrong.push(`it has jumped to ${scrollY}`);
    return wrong";

/// The parts of a window without words, or with colour alone.
const UNTOLD: &str = r"
    const signs = {}, wrong = [];
    for (const it of document.querySelectorAll('.strip li')) {
        const sign = it.querySelector('[aria-hidden]').innerText, told = it.querySelector('.hidden').innerText;
        const state = it.classList[0];
        if (!/^\d\d:\d\d:\d\d: ([-\d.]+( [kMGT])?, (content|wants (more|fewer))|missing)$/.test(told)) wrong.push(told);
        if (it.title !== told) wrong.push(`title ${it.title}`);
        if ((signs[sign] ??= state) !== state || !sign) wrong.push(`${sign} is ${state} and ${signs[sign]}`);
    }
    for (const it of document.querySelectorAll('.badge')) if (!/[a-z]/.test(it.innerText)) wrong.push(it.outerHTML);
    if (!document.querySelector('.strip li')) wrong.push('no datapoint');
    return wrong";

/// Every text with less contrast than WCAG AA requires.
const PALE: &str = r"
    const parse = (it) => it.match(/[\d.]+/g).map(Number);
    const over = ([r, g, b, a = 1], under) => [r, g, b].map((it, n) => it * a + under[n] * (1 - a));
    const light = (rgb) => rgb.map(it => it / 255).map(it => it <= .04045 ? it / 12.92 : ((it + .055) / 1.055) ** 2.4)
        .reduce((sum, it, n) => sum + it * [.2126, .7152, .0722][n], 0);
    const behind = (it) => {
        if (!it) return [255, 255, 255];
        const colour = parse(getComputedStyle(it).backgroundColor);
        return colour[3] === 0 ? behind(it.parentElement) : over(colour, behind(it.parentElement));
    };
    const pale = [];
    for (const it of document.querySelectorAll('body *')) {
        const own = [...it.childNodes].some(node => node.nodeType === 3 && node.nodeValue.trim());
        if (!own || !it.checkVisibility() || ['SCRIPT', 'STYLE'].includes(it.tagName)) continue;
        // Texts that are faded on purpose are no longer relevant, and the page repeats them in words.
        if (it.closest('.older, .hidden')) continue;
        const ground = behind(it), text = over(parse(getComputedStyle(it).color), ground);
        const [low, high] = [light(ground), light(text)].sort((a, b) => a - b);
        const contrast = (high + .05) / (low + .05);
        if (contrast < 4.5) pale.push(`${contrast.toFixed(1)} ${it.outerHTML.slice(0, 120)}`);
    }
    return pale";

/// How far the page extends beyond the right of the screen, and the elements that do.
const TOO_WIDE: &str = r"
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    return [...document.querySelectorAll('body *')].filter(it => it.getBoundingClientRect().right > width + 1)
        .map(it => it.outerHTML.slice(0, 120))";

// long: one day of a group, in its order.
#[tokio::test(flavor = "multi_thread")]
async fn a_scale_out_a_drain_and_a_pause_are_seen_as_they_happen() -> Result<()> {
    let watch = Watch::start(2).await?;
    let (scene, browser) = (&watch.scene, &watch.browser);
    let jitsi = &scene.stage.jitsi;
    watch.shows("▼ wants fewer").await;
    for (tile, value) in [("minimum", 2), ("wanted", 2), ("ready", 2), ("draining", 0), ("maximum", 9)] {
        assert_eq!(watch.tile(tile).await?, value, "{tile}");
    }
    assert_eq!(browser.ask(UNTOLD).await?, json!([]));
    watch.picture("serving").await?;

    // A reader has opened, marked and scrolled to something.
    browser.click("details[id^=values] summary").await?;
    browser.resize((1280, 400), false).await?;
    let reading = "
        window.read = {article: document.querySelector('article'), tile: document.querySelector('.tiles dd'),
            link: document.querySelector('.spans a')};
        read.link.focus({preventScroll: true});
        getSelection().selectAllChildren(document.querySelector('.tiles dt'));
        scrollTo(0, 100);
        read.top = read.tile.getBoundingClientRect().top";
    browser.ask(reading).await?;

    jitsi.place_conference(&watch.bridges[0], 60, LASTING)?;
    watch.becomes(&format!("return {TILES}['desired']"), json!("3")).await;
    watch
        .shows_in(
            "[data-key=decisions]",
            "▲ Scaled out from 2 to 3: stress wants more (≥ 0.5 in 2 of 3 periods)",
        )
        .await;
    let left = browser.ask(COOLDOWN).await?.as_u64().context("a cooldown that counts down")?;
    scene
        .until("the cooldown counts down", async || {
            browser.ask(COOLDOWN).await.is_ok_and(|now| now.as_u64().is_some_and(|now| now < left))
        })
        .await;
    // Until the new bridge reports, a note above says that it does not.
    watch.becomes(NOTES, json!(0)).await;
    watch.picture("scaled-out").await?;
    assert_eq!(browser.ask(DISTURBED).await?, json!([]));

    // The load has ended; the new bridge has the least of it, and a conference that delays its drain.
    let leaving = scene.serving(GROUP, 3).await?.into_iter().find(|it| !watch.bridges.contains(it));
    let leaving = leaving.context("a new bridge")?;
    jitsi.place_conference(&leaving, 2, LASTING)?;
    jitsi.end_conferences(&watch.bridges[0])?;
    jitsi.place_conference(&watch.bridges[0], 5, LASTING)?;
    watch.becomes(&format!("return {TILES}['draining']"), json!("1")).await;
    watch.shows("it is still in use").await;
    watch.becomes(NOTES, json!(0)).await;
    assert_eq!(browser.ask(DISTURBED).await?, json!([]));

    browser.resize(DESKTOP, false).await?;
    watch.open("/").await?;
    watch.shows_in(".groups", "▽ drains").await;
    watch.shows_in("[data-key=verdict]", "✓ All is well").await;
    assert_eq!(browser.ask(UNTOLD).await?, json!([]));
    watch.picture("overview").await?;
    browser.click(".groups th a").await?;
    assert_eq!(browser.ask("return location.pathname + location.search").await?, PAGE);
    watch.shows("▽ drains").await;
    let drains = browser.text("[data-key=drains]").await?;
    for told in [&leaving, "draining", "scale-in", "s ago", "it is still in use"] {
        assert!(drains.contains(told), "{told} in {drains}");
    }
    watch.shows_in("[data-key=decisions]", "▼ Scaled in from 3 to 2").await;
    let row = browser.text(&format!("[data-key=instances] tr[data-key={leaving}]")).await?;
    for told in ["us-east-1", "▽ drains", "2 people", "ago", "stays: draining already"] {
        assert!(row.contains(told), "{told} in {row}");
    }
    assert_eq!(browser.ask(UNTOLD).await?, json!([]));
    watch.picture("draining").await?;

    watch.operate("pause", json!({"reason": "new image", "for": "1h"})).await?;
    watch.shows("‖ Paused by operator: new image").await;
    let note = browser.text("[data-key=trouble-paused]").await?;
    for told in ["since ", "ends in 59 min", "does not carry them out", "Resume it"] {
        assert!(note.contains(told), "{told} in {note}");
    }
    assert!(browser.text("[data-key=operate]").await?.contains("Resume"));
    watch.picture("paused").await?;
    jitsi.end_conferences(&leaving)?;
    watch.shows_in("[data-key=steps]", "Would do, if the group were not paused").await;
    assert_eq!(scene.drains(GROUP), [leaving.as_str()], "a pause keeps the drain where it is");

    watch.operate("resume", json!({})).await?;
    watch.shows("No instance drains").await;
    watch.becomes("return document.body.innerText.includes('‖')", json!(false)).await;
    assert_eq!((watch.tile("desired").await?, watch.tile("ready").await?), (2, 2));
    let said = browser.console().await?;
    assert!(said.is_empty(), "{said:#?}");
    watch.browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_read_on_a_phone_in_the_dark_and_without_scripts() -> Result<()> {
    let watch = Watch::hurried(2).await?;
    let (scene, browser) = (&watch.scene, &watch.browser);
    scene.stage.asg.fail_launches(REGION, GROUP, 10_000, None)?;
    scene.stage.jitsi.place_conference(&watch.bridges[0], 60, LASTING)?;
    watch.shows("⚠ AWS fails to launch").await;
    // A bridge that a person drains at its own interface.
    let by_hand = &watch.bridges[1];
    watch.drain_by_hand(by_hand).await?;
    watch.shows_in("[data-key=instances]", "▽ drained by hand").await;
    watch
        .operate("pause", json!({"reason": "a-reason-without-any-place-to-break-".repeat(4), "for": "30m"}))
        .await?;
    watch.shows("‖ Paused").await;

    for (place, path) in [("all", "/"), ("group", PAGE)] {
        for (scheme, dark) in [("light", false), ("dark", true)] {
            for (device, size, phone) in [("desktop", DESKTOP, false), ("phone", PHONE, true)] {
                browser.prefer_dark(dark).await?;
                browser.resize(size, phone).await?;
                watch.open(path).await?;
                let width = browser
                    .ask("document.querySelectorAll('details').forEach(it => it.open = true); return innerWidth")
                    .await?;
                let what = format!("{place}-{scheme}-{device}");
                watch.picture(&what).await?;
                assert_eq!(width, size.0, "{what}");
                assert_eq!(browser.ask(TOO_WIDE).await?, json!([]), "{what}");
                assert_eq!(browser.ask(PALE).await?, json!([]), "{what}");
                let ground = browser.ask("return getComputedStyle(document.body).backgroundColor").await?;
                assert_eq!(ground == "rgb(255, 255, 255)", !dark, "{what}: {ground}");
            }
        }
    }

    browser.run_scripts(false).await?;
    watch.open("/").await?;
    let page = browser.source().await?;
    for told in ["AWS fails to launch", "need", "‖ paused", "wants more"] {
        assert!(page.contains(told), "{told} in {page}");
    }
    let made = |page: &str| page.split_once("data-now=\"").map(|(_, rest)| rest[..10].to_owned());
    let first = made(&page).context("a page with its time")?;
    let renewed = wait_until(SOON, async || {
        browser.source().await.is_ok_and(|page| made(&page).is_some_and(|made| made > first))
    });
    renewed.await.context("the page renews itself without scripts")?;
    watch.browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn old_and_missing_data_are_told() -> Result<()> {
    let mut watch = Watch::hurried(2).await?;
    let refused = Fault::error("DescribeAutoScalingGroups", ErrorCode::Throttling, 10_000);
    watch.scene.stage.asg.add_fault(refused)?;
    watch.shows("⚠ This is old").await;
    watch.shows("⚠ old data").await;
    watch.shows("⚠ jvb: ").await;
    watch.picture("aws-failing").await?;
    watch.scene.stage.asg.clear_faults();
    watch.shows("● at its minimum").await;

    // It hangs, and later refuses connections.
    let hangs =
        "⚠ Prometheus did not answer in 2 s; the figures on this page are those of the last evaluation.";
    watch.scene.stage.prometheus.process.signal("STOP").await?;
    watch.shows(hangs).await;
    watch.picture("prometheus-hangs").await?;
    watch.scene.stage.prometheus.process.signal("CONT").await?;
    watch.scene.stage.stop_prometheus().await?;
    watch.shows("? data is missing").await;
    watch.shows("Now missing").await;
    watch.shows("⚠ Stress has no data, since ").await;
    watch.shows("the scaler failed to reach prometheus").await;
    assert_eq!(watch.browser.ask(UNTOLD).await?, json!([]));
    watch.picture("unknown").await?;
    watch.scene.stage.start_prometheus().await?;
    watch.shows("● at its minimum").await;
    assert_eq!(watch.browser.console().await?, Vec::<String>::new());

    // A hanging scaler reports nothing itself.
    watch.scene.stage.scaler.process.signal("STOP").await?;
    watch.shows("⚠ No answer from the scaler for").await;
    let first = watch.browser.text("#lost").await?;
    watch
        .becomes(
            &format!("return document.querySelector('#lost').innerText !== {}", json!(first)),
            json!(true),
        )
        .await;
    watch.picture("scaler-hangs").await?;
    watch.scene.stage.scaler.process.signal("CONT").await?;
    watch.becomes("return document.querySelector('#lost').hidden", json!(true)).await;
    watch.shows("● at its minimum").await;
    watch.browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_fails_is_told_from_the_rest() -> Result<()> {
    let watch = Watch::hurried(6).await?;
    let (scene, zone) = (&watch.scene, "us-east-1c");
    let row = |texts: &[&str]| json!([&[zone], texts].concat());
    let shown = format!(
        "const it = document.querySelector('[data-key=zones] tr[data-key=\"{zone}\"]');
         return it && [...it.children].map(it => it.innerText)"
    );
    watch.becomes(&shown, row(&["2", "0", "0", "0"])).await;

    // Its hosts are lost, and AWS has not noticed yet.
    scene.stage.asg.fail_launches(REGION, GROUP, 10_000, None)?;
    let lost: Vec<_> = scene.group(GROUP)?.instances.into_iter().filter(|it| it.zone == zone).collect();
    assert_eq!(lost.len(), 2);
    for bridge in &lost {
        scene.stage.jitsi.set_faults(&bridge.id, Faults { die: true, ..Faults::default() }).await?;
    }
    watch.becomes(&shown, row(&["2 ⚠ 2 not reporting", "0", "0", "0"])).await;
    watch.shows("⚠ some do not report").await;
    // What happened, where, since when, what the scaler does about it, and what to do.
    let place = format!("[data-key='trouble-silent in {zone}']");
    watch.shows_in(&place, "Zone us-east-1c is silent: none of its 2 instances reports").await;
    let note = watch.browser.text(&place).await?;
    let parts = [
        "Zone us-east-1c is silent: none of its 2 instances reports",
        "since ",
        " ago",
        "Meanwhile: ",
        "What to do: ",
    ];
    for told in parts.into_iter().chain(lost.iter().map(|bridge| bridge.id.as_str())) {
        assert!(note.contains(told), "{told} in {note}");
    }
    assert!(!note.contains("or earlier"), "{note}");
    watch
        .shows_in("[data-key=trouble-data_quality]", "Nothing scales in until enough instances report again")
        .await;
    watch.shows_in("[data-key=done]", "the scaler has not changed the capacity.").await;
    assert_eq!((watch.tile("ready").await?, watch.tile("reporting").await?), (6, 4));
    watch.pictures("zone-silent").await?;

    // AWS notices, and cannot replace them.
    for bridge in &lost {
        scene.stage.asg.terminate_by_aws(REGION, GROUP, &bridge.id, true)?;
    }
    watch.becomes(&shown, row(&["0", "0", "0", "0"])).await;
    watch.shows("⚠ cannot launch").await;
    watch.shows("2 of the booting instances are requested and not launched yet").await;
    let note = watch.browser.text("[data-key=trouble-launch_failing]").await?;
    assert!(note.contains("AWS fails to launch") && note.contains(zone), "{note}");
    watch
        .shows_in(
            &format!("[data-key='trouble-no instance in {zone}']"),
            "Zone us-east-1c has no instance, since ",
        )
        .await;
    watch.pictures("zone-lost").await?;
    watch.open("/").await?;
    watch.shows_in("[data-key=verdict]", "⚠ 1 of 1 group needs attention").await;
    watch.shows_in("[data-key=verdict]", "prod: AWS fails to launch").await;
    watch.pictures("zone-lost-overview").await?;
    watch.open(PAGE).await?;

    scene.stage.asg.fail_launches(REGION, GROUP, 0, None)?;
    watch.becomes(&shown, row(&["2", "0", "0", "0"])).await;
    watch.shows("● at its minimum").await;
    assert_eq!(watch.browser.console().await?, Vec::<String>::new());
    watch.browser.stop().await
}
