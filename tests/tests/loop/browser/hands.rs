//! The hands on the page: an operator who has logged in pauses, resumes, drains and gives back by the page's own forms.

use anyhow::{Context as _, Result};
use jitsi_tests::wait::wait_until;
use serde_json::{Value, json};

use super::{PAGE, PALE, SCALER, TILES, TOO_WIDE, USER, Watch};
use crate::{GROUP, PASSWORD, SOON};

/// The part of the page with the forms of the group.
const OPERATE: &str = "[data-key=operate]";

/// A fleet whose policy never scales in.
fn growing() -> String {
    let lines = SCALER.lines().filter(|line| !line.contains("scale_in:"));
    lines.map(|line| format!("{line}\n")).collect()
}

impl Watch {
    /// Fills in a form in a part of the page, and presses its button.
    async fn press(&self, part: &str, action: &str, fields: &[(&str, &str)]) -> Result<()> {
        let form = format!("{part} form[data-key=form-{action}]");
        for (name, value) in fields {
            let field = json!(format!("{form} [name={name}]"));
            self.browser.ask(&format!("document.querySelector({field}).value = {}", json!(value))).await?;
        }
        // The page may just be moving, as it renews itself.
        let button = format!("{form} button");
        let pressed = wait_until(SOON, async || self.browser.click(&button).await.is_ok());
        pressed.await.with_context(|| format!("{button} cannot be pressed"))
    }

    /// Drains an instance by the form in its row.
    async fn drain(&self, id: &str, then: &str, reason: &str) -> Result<()> {
        let row = row(id);
        // By a script, because a click that is repeated would close it again.
        self.browser
            .ask(&format!("document.querySelector({}).open = true", json!(format!("{row} details"))))
            .await?;
        self.press(&row, "drain", &[("then", then), ("reason", reason)]).await
    }

    /// What the API says of the group.
    async fn api(&self) -> Result<Value> {
        let url = format!("http://{}/api/v1/status", self.scene.stage.scaler.address);
        let client = reqwest::Client::builder().no_proxy().build()?;
        let answer = client.get(url).basic_auth(USER, Some(PASSWORD)).send().await?;
        Ok(answer.error_for_status()?.json::<Value>().await?["groups"][0].take())
    }

    /// A line of the log says that the operator did this.
    async fn logged(&self, what: &str) {
        let by = format!("by={USER}");
        let found = async || self.scene.log().lines().any(|line| line.contains(what) && line.contains(&by));
        self.scene.until(&format!("the log says {what} {by}"), found).await;
    }
}

/// The row of an instance.
fn row(id: &str) -> String {
    format!("[data-key=instances] tr[data-key={id}]")
}

// long: what an operator does on one page, in its order.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_pauses_resumes_drains_and_undrains_by_the_buttons() -> Result<()> {
    let watch = Watch { hurried: true, ..Watch::of(&growing(), 4).await? };
    let scene = &watch.scene;
    let [kept, shrunk, replaced, _] = watch.bridges.as_slice() else { panic!("{:?}", watch.bridges) };
    watch.shows_in(OPERATE, "Pause").await;
    watch.picture("hands").await?;

    watch.press(OPERATE, "pause", &[("reason", "new image"), ("for", "1h")]).await?;
    watch.shows("‖ Paused by operator: new image").await;
    assert_eq!(watch.browser.ask("return location.pathname + location.search").await?, PAGE);
    watch.logged("paused by an operator").await;
    let api = watch.api().await?;
    assert_eq!((&api["paused"]["by"], &api["paused"]["reason"]), (&json!(USER), &json!("new image")));
    watch.shows_in(OPERATE, "Resume").await;
    watch.picture("hands-paused").await?;
    watch.press(OPERATE, "resume", &[]).await?;
    watch.logged("resumed by an operator").await;
    watch.becomes("return document.body.innerText.includes('‖')", json!(false)).await;
    assert_eq!(watch.api().await?["paused"], Value::Null);

    // The group is at its minimum, and stays there.
    watch.drain(shrunk, "shrink", "too many").await?;
    watch.shows_in("main", "Not done").await;
    watch.shows_in("[role=alert]", "the group is at its minimum; use replace, or lower the minimum").await;
    watch.logged(&format!("an operator orders what is not done: drain {shrunk}")).await;
    assert_eq!(watch.browser.ask(PALE).await?, json!([]));
    assert_eq!(watch.browser.ask(TOO_WIDE).await?, json!([]));
    watch.picture("hands-refused").await?;
    watch.browser.click("main a").await?;
    assert_eq!(watch.browser.ask("return location.pathname + location.search").await?, PAGE);
    assert!(scene.drains(GROUP).is_empty());

    scene.set_bounds(GROUP, 2, 9)?;
    watch.becomes(&format!("return {TILES}['minimum']"), json!("2")).await;

    // A bridge is drained, stays as it is, and is given back.
    watch.drain(kept, "keep", "slow disk").await?;
    watch.shows_in("[data-key=drains]", "keep, by operator: slow disk").await;
    watch.logged(&format!("an operator orders: drain {kept}, and keep it in its group")).await;
    scene.until("the bridge drains", async || scene.state(kept) == "draining").await;
    watch.shows_in(&row(kept), "Undrain").await;
    let drain = watch.api().await?["drains"][0].take();
    assert_eq!([&drain["instance"], &drain["by"], &drain["reason"]], [kept.as_str(), USER, "slow disk"]);
    watch.becomes(&format!("return {TILES}['kept']"), json!("1")).await;
    watch.picture("hands-kept").await?;
    watch.press(&row(kept), "undrain", &[]).await?;
    watch.logged(&format!("an operator orders: end the drain of {kept}")).await;
    scene
        .until("it serves again", async || scene.state(kept) == "running" && scene.drains(GROUP).is_empty())
        .await;
    watch.shows_in(&row(kept), "● serves").await;

    watch.drain(shrunk, "shrink", "too many").await?;
    watch.shows_in("[data-key=drains]", "scale-in, by operator: too many").await;
    watch.logged(&format!("an operator orders: drain {shrunk}, and terminate it once it is empty")).await;
    assert_eq!(watch.api().await?["drains"][0]["by"], USER);
    scene.until("the bridge drains", async || scene.state(shrunk) == "draining").await;
    scene.stage.jitsi.end_conferences(shrunk)?;
    watch.becomes(&format!("return {TILES}['desired']"), json!("3")).await;
    scene.until("it is gone", async || scene.lifecycle(GROUP, shrunk).is_none()).await;

    // By the form below, which asks for the id.
    let fields = [("instance", replaced.as_str()), ("then", "replace"), ("reason", "new kernel")];
    watch.press(OPERATE, "drain", &fields).await?;
    watch.shows_in("[data-key=drains]", "replace, by operator: new kernel").await;
    watch.logged(&format!("an operator orders: drain {replaced}, and replace it once it is empty")).await;
    scene.until("the bridge drains", async || scene.state(replaced) == "draining").await;
    scene.stage.jitsi.end_conferences(replaced)?;
    scene.until("it is gone", async || scene.lifecycle(GROUP, replaced).is_none()).await;
    watch.becomes("return document.querySelectorAll('[data-key=instances] tbody tr').length", json!(3)).await;
    assert_eq!(scene.desired(GROUP), 3);
    let people = scene.stage.jitsi.status().conferences;
    assert_eq!((people.cut, people.lost), (0, 0));
    let said = watch.browser.console().await?;
    // The refusal is an error to the browser.
    let said: Vec<_> = said.iter().filter(|line| !line.contains("409 (Conflict)")).collect();
    assert!(said.is_empty(), "{said:#?}");
    watch.browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_users_a_sentence_takes_the_place_of_the_forms() -> Result<()> {
    let mut watch = Watch::start(2).await?;
    watch.scene.restart_scaler().await?;
    watch.scene.evaluations(1).await;
    watch.open(PAGE).await?;
    // What the page before said while no scaler ran.
    watch.browser.console().await?;
    let told = "To pause a group or to drain an instance, give the scaler users: basic_auth_users in the file of \
                --web.config.file.";
    watch.shows_in(OPERATE, told).await;
    assert_eq!(watch.browser.ask("return document.querySelectorAll('form, button').length").await?, json!(0));
    watch.shows("● at its minimum").await;
    watch.picture("hands-without-users").await?;
    assert_eq!(watch.browser.console().await?, Vec::<String>::new());
    watch.browser.stop().await.context("the browser ends")
}
