//! Headless Chromium, driven through chromedriver by the W3C's WebDriver protocol.
//!
//! Has the operations of tests on a page. It uses Chromium's own protocol where WebDriver has no command: devices,
//! colour schemes, pages without scripts. Both processes are children, so that they end with their handle.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::process::Command;

use super::process::Process;
use super::tools::tool;

/// Chromium's flags: no other processes and no requests of its own.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
    "--window-size=1280,900",
    "about:blank",
];

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    /// The URL of this session's commands.
    session: String,
    client: reqwest::Client,
    driver: Process,
    chromium: Process,
}

/// The Chromium that matches the driver: a fetched driver has a fetched Chromium.
fn chromium(driver: &Path) -> Result<PathBuf> {
    let beside = driver.with_file_name("chromium");
    if beside.is_file() { Ok(beside) } else { tool("chromium") }
}

impl Browser {
    /// Starts it with an empty profile below `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        let driver = tool("chromedriver")?;
        let profile = folder.join("chromium");
        let mut command = Command::new(chromium(&driver)?);
        command.arg(format!("--user-data-dir={}", profile.display())).args(FLAGS);
        // Its other files go there too, and it uses no session bus.
        command.env("HOME", &profile).env("XDG_CACHE_HOME", &profile).env_remove("DBUS_SESSION_BUS_ADDRESS");
        let mut chromium = Process::spawn("chromium", &mut command, folder)?;
        let port: u16 =
            chromium.wait_for(async |log| number(log, "DevTools listening on ws://127.0.0.1:")).await?;

        let mut command = Command::new(driver);
        command.arg("--port=0");
        let mut driver = Process::spawn("chromedriver", &mut command, folder)?;
        let at: u16 = driver.wait_for(async |log| number(log, "started successfully on port ")).await?;
        let mut browser = Self {
            session: format!("http://127.0.0.1:{at}/session"),
            client: reqwest::Client::builder().no_proxy().build()?,
            driver,
            chromium,
        };
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"debuggerAddress": format!("127.0.0.1:{port}")},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = browser.post("", &wanted).await?;
        let id = session["sessionId"].as_str().context("a session")?;
        browser.session = format!("{}/{id}", browser.session);
        Ok(browser)
    }

    /// Ends it cleanly. Dropping it ends it too, but its own children take a while to notice.
    pub async fn stop(self) -> Result<()> {
        self.chromium.stop().await?;
        self.driver.stop().await.map(drop)
    }

    async fn post(&self, command: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{command}", self.session);
        let answer: Value = self.client.post(url).json(body).send().await?.json().await?;
        let error = &answer["value"]["error"];
        ensure!(error.is_null(), "{command} {body}: {error}: {}", answer["value"]["message"]);
        Ok(answer["value"].clone())
    }

    /// A command of Chromium's own protocol.
    async fn chromium(&self, command: &str, parameters: Value) -> Result<Value> {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters})).await
    }

    /// Opens a page and waits until it has loaded.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.post("/url", &json!({"url": url})).await.map(drop)
    }

    /// Evaluates the body of a function in the page.
    pub async fn ask(&self, script: &str) -> Result<Value> {
        self.post("/execute/sync", &json!({"script": script, "args": []})).await
    }

    /// The visible text of the first match of a selector; empty without a match.
    pub async fn text(&self, selector: &str) -> Result<String> {
        let text =
            self.ask(&format!("return document.querySelector({})?.innerText ?? ''", json!(selector))).await?;
        Ok(text.as_str().context("a text")?.to_owned())
    }

    /// Clicks on the first match of a selector, like a person.
    pub async fn click(&self, selector: &str) -> Result<()> {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector})).await?;
        let id = found
            .as_object()
            .and_then(|it| it.values().next())
            .and_then(Value::as_str)
            .context("an element")?;
        self.post(&format!("/element/{id}/click"), &json!({})).await.map(drop)
    }

    /// The console's messages since the last call.
    pub async fn console(&self) -> Result<Vec<String>> {
        let entries = self.post("/se/log", &json!({"type": "browser"})).await?;
        let entries = entries.as_array().context("a log")?;
        Ok(entries.iter().map(|it| format!("{} {}", it["level"], it["message"])).collect())
    }

    /// Sets the screen size, with or without the features of a phone.
    pub async fn resize(&self, (width, height): (u32, u32), phone: bool) -> Result<()> {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        self.chromium("Emulation.setDeviceMetricsOverride", metrics).await.map(drop)
    }

    /// Sets whether the person prefers dark pages.
    pub async fn prefer_dark(&self, dark: bool) -> Result<()> {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": value}]);
        self.chromium("Emulation.setEmulatedMedia", json!({"features": features})).await.map(drop)
    }

    /// Sets whether pages that are opened from now on may run scripts.
    pub async fn run_scripts(&self, run: bool) -> Result<()> {
        self.chromium("Emulation.setScriptExecutionDisabled", json!({"value": !run})).await.map(drop)
    }

    /// The page's document, for pages that may not run scripts.
    pub async fn source(&self) -> Result<String> {
        let url = format!("{}/source", self.session);
        let answer: Value = self.client.get(url).send().await?.json().await?;
        Ok(answer["value"].as_str().context("a source")?.to_owned())
    }

    /// Saves a screenshot of the whole page as PNG.
    pub async fn picture(&self, file: &Path) -> Result<()> {
        let whole = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.chromium("Page.captureScreenshot", whole).await?;
        let picture = STANDARD.decode(picture["data"].as_str().context("a picture")?)?;
        std::fs::write(file, picture).with_context(|| format!("failed to write {}", file.display()))
    }
}

/// The number after a text.
fn number(log: &str, before: &str) -> Option<u16> {
    let (_, rest) = log.split_once(before)?;
    let digits = rest.find(|it: char| !it.is_ascii_digit())?;
    rest[..digits].parse().ok()
}
