//! Reloads, valid and refused.

use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use test_case::test_case;
use tokio::sync::Notify;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Authority, Folder, Serving, client, flags, get_page, hash, hello, serve, tls_folder};

const SUCCESSFUL: &str = "x_config_last_reload_successful";
const SUCCESS_TIME: &str = "x_config_last_reload_success_timestamp_seconds";

async fn reload(serving: &Serving) -> (u16, String) {
    let url = format!("http://{}/-/reload", serving.address());
    let response = client().post(url).send().await.expect("an answer");
    (response.status().as_u16(), response.text().await.expect("a text"))
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn count(&self, text: &str) -> usize {
        let bytes = self.0.lock().expect("no writer panics");
        String::from_utf8_lossy(&bytes).lines().filter(|line| line.contains(text)).count()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[test_case("nonsense: 1\n", "line 1: there is no key `nonsense` here" ; "a mistake")]
#[test_case("", "the file has become empty" ; "an empty file, as while it is written")]
#[test_case("# soon\n\n", "the file has become empty" ; "a comment")]
#[tokio::test]
async fn an_invalid_file_changes_nothing_and_is_reported_once(bad: &str, expected: &str) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let good = "http_server_config: {headers: {X-Frame-Options: deny}}\n";
    let folder = Folder::new(good);
    let serving = serve(&folder.flags(), hello()).await;
    let began = serving.metric(SUCCESS_TIME);
    assert!(serving.metric(SUCCESSFUL) > 0.0 && began > 1.7e9);
    folder.write("web.yml", bad);
    for _ in 0..3 {
        let response =
            client().get(format!("http://{}/", serving.address())).send().await.expect("an answer");
        assert_eq!(response.headers()["x-frame-options"], "deny");
    }
    assert!(serving.metric(SUCCESSFUL).abs() < f64::EPSILON);
    assert!((serving.metric(SUCCESS_TIME) - began).abs() < f64::EPSILON);
    assert_eq!(log.count("reload failed"), 1);
    assert_eq!(log.count(expected), 1);
    // A reload reports the error again.
    let (status, text) = reload(&serving).await;
    assert_eq!(status, 500);
    assert!(text.contains(expected) && text.ends_with("\nthe previous one stays in force\n"), "{text}");
    folder.write("web.yml", good);
    assert_eq!(reload(&serving).await, (200, "reloaded\n".to_owned()));
    assert!(serving.metric(SUCCESSFUL) > 0.0 && serving.metric(SUCCESS_TIME) >= began);
}

#[tokio::test]
async fn a_missing_file_changes_nothing() {
    let folder = Folder::new(&format!("basic_auth_users: {{a: {}}}\n", hash("x")));
    let serving = serve(&folder.flags(), hello()).await;
    std::fs::remove_file(folder.web_config()).expect("it is ours");
    assert_eq!(get_page(serving.address(), "/").await.0, 401);
    assert!(serving.metric(SUCCESSFUL).abs() < f64::EPSILON);
    assert!(serving.access.authenticates());
}

#[tokio::test]
async fn each_part_of_a_program_is_reloaded_independently() {
    let serving = serve(&flags(&["127.0.0.1:0"]), hello()).await;
    assert_eq!(reload(&serving).await.0, 200);
    let (is_bad, count) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let bad = is_bad.clone();
    serving.reloads.add("modules", move || {
        let is_bad = bad.load(Ordering::Relaxed);
        async move { if is_bad { Err("line 3: no such module") } else { Ok(()) } }
    });
    let counted = count.clone();
    serving.reloads.add("fleets", move || {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, io::Error>(()) }
    });
    let expected = "failed to reload the modules: line 3: no such module\nthe previous one stays in force\n";
    assert_eq!(reload(&serving).await, (500, expected.to_owned()));
    assert_eq!(count.load(Ordering::Relaxed), 1);
    assert!(serving.metric(SUCCESSFUL).abs() < f64::EPSILON);
    is_bad.store(false, Ordering::Relaxed);
    assert_eq!(reload(&serving).await.0, 200);
    assert!(serving.metric(SUCCESSFUL) > 0.0);
    let get = client().get(format!("http://{}/-/reload", serving.address())).send().await.expect("an answer");
    assert_eq!(get.status().as_u16(), 405);
}

#[tokio::test]
async fn a_reload_requires_the_password() {
    let folder = Folder::new(&format!("basic_auth_users: {{a: {}}}\n", hash("x")));
    let serving = serve(&folder.flags(), hello()).await;
    assert_eq!(reload(&serving).await.0, 401);
}

#[tokio::test]
async fn sighup_reloads() {
    let serving = serve(&flags(&["127.0.0.1:0"]), hello()).await;
    let reloaded = Arc::new(Notify::new());
    let noted = reloaded.clone();
    serving.reloads.add("modules", move || {
        noted.notify_one();
        async { Ok::<_, io::Error>(()) }
    });
    jitsi_web::signals::reload_on_hangup(serving.reloads.clone()).expect("signals");
    let id = std::process::id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().expect("kill").success());
    reloaded.notified().await;
}

#[tokio::test]
async fn an_authority_is_replaced_without_a_restart() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let folder =
        tls_folder(&old, "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n");
    let serving = serve(&folder.flags(), hello()).await;
    let url = format!("https://{}/", serving.address());
    let comes_in = async |authority: &Authority| {
        old.trusting(Some(&authority.client(&[]))).get(&url).send().await.is_ok()
    };
    assert!(comes_in(&old).await && !comes_in(&new).await);
    folder.write("ca.crt", &new.certificate.pem());
    assert!(!comes_in(&old).await && comes_in(&new).await);
    folder.write("ca.crt", "nothing");
    assert!(comes_in(&new).await);
    assert!(serving.metric(SUCCESSFUL).abs() < f64::EPSILON);
}

#[test_case(&["127.0.0.1:0"], true ; "loopback")]
#[test_case(&["[::1]:0", "127.0.0.1:0"], true ; "both loopbacks")]
#[test_case(&["127.0.0.1:0", ":0"], false ; "every interface")]
#[tokio::test]
async fn loopback_addresses_are_recognized(addresses: &[&str], expected: bool) {
    let serving = serve(&flags(addresses), hello()).await;
    assert_eq!(serving.access.is_loopback_only(), expected);
    assert!(!serving.access.authenticates());
}
