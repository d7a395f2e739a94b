//! Users, headers and the rate limit.

use std::net::{IpAddr, Ipv4Addr};

use reqwest::{Client, Response};
use test_case::test_case;

use crate::support::{Folder, Serving, client, get_page, hash, hello, serve};

async fn ask(serving: &Serving, path: &str, login: Option<(&str, &str)>) -> Response {
    let request = client().get(format!("http://{}{path}", serving.address()));
    let request = match login {
        Some((user, password)) => request.basic_auth(user, Some(password)),
        None => request,
    };
    request.send().await.expect("an answer")
}

async fn status(serving: &Serving, path: &str, login: Option<(&str, &str)>) -> u16 {
    ask(serving, path, login).await.status().as_u16()
}

fn users(all: &[(&str, &str)]) -> String {
    let lines = all.iter().map(|(user, password)| format!("  {user}: {}\n", hash(password)));
    format!("basic_auth_users:\n{}", lines.collect::<String>())
}

#[test_case("/" ; "a page")]
#[test_case("/-/healthy/" ; "a longer path than that of health")]
#[test_case("/-/reload" ; "reloads")]
#[test_case("/nothing" ; "a page that is not there")]
#[tokio::test]
async fn every_path_requires_a_password(path: &str) {
    let folder = Folder::new(&users(&[("a", "right"), ("b", "other")]));
    let serving = serve(&folder.flags(), hello()).await;
    for login in [None, Some(("a", "wrong")), Some(("a", "other")), Some(("nobody", "right")), Some(("", ""))]
    {
        let response = ask(&serving, path, login).await;
        assert_eq!(response.status().as_u16(), 401, "{login:?}");
        assert_eq!(response.headers()["www-authenticate"], "Basic");
        assert_eq!(response.text().await.expect("a text"), "Unauthorized\n");
    }
    assert_ne!(status(&serving, path, Some(("a", "right"))).await, 401);
    assert_ne!(status(&serving, path, Some(("b", "other"))).await, 401);
    assert!(serving.access.authenticates());
    assert!((serving.metric("x_web_requests_refused_total{reason=\"unauthorized\"}") - 5.0).abs() < 0.5);
}

#[test_case("/-/healthy", "healthy\n" ; "health")]
#[test_case("/-/ready", "ready\n" ; "readiness")]
#[tokio::test]
async fn supervisors_need_no_password_and_no_token_of_the_rate_limit(path: &str, expected: &str) {
    let settings = users(&[("a", "right")]) + "rate_limit: {interval: 1h, burst: 1}\n";
    let folder = Folder::new(&settings);
    let serving = serve(&folder.flags(), hello()).await;
    for _ in 0..3 {
        assert_eq!(get_page(serving.address(), path).await, (200, expected.to_owned()));
    }
    let head = client().head(format!("http://{}{path}", serving.address())).send().await.expect("an answer");
    assert_eq!(head.status().as_u16(), 200);
    let post = client().post(format!("http://{}{path}", serving.address())).send().await.expect("an answer");
    assert_eq!(post.status().as_u16(), 401, "only what changes nothing is open");
}

#[tokio::test]
async fn a_password_is_compared_once() {
    let folder = Folder::new(&users(&[("a", "right")]));
    let serving = serve(&folder.flags(), hello()).await;
    for _ in 0..5 {
        assert_eq!(status(&serving, "/", Some(("a", "right"))).await, 200);
        assert_eq!(status(&serving, "/", Some(("a", "wrong"))).await, 401);
        assert_eq!(status(&serving, "/", Some(("nobody", "right"))).await, 401);
    }
    assert!((serving.metric("x_web_passwords_checked_total") - 3.0).abs() < 0.5);
}

#[tokio::test]
async fn users_change_without_a_restart() {
    let folder = Folder::new("");
    let serving = serve(&folder.flags(), hello()).await;
    assert_eq!(status(&serving, "/", None).await, 200);
    assert!(!serving.access.authenticates());
    folder.write("web.yml", &users(&[("a", "old")]));
    assert_eq!(status(&serving, "/", None).await, 401);
    assert_eq!(status(&serving, "/", Some(("a", "old"))).await, 200);
    assert!(serving.access.authenticates());
    folder.write("web.yml", &users(&[("a", "new")]));
    assert_eq!(status(&serving, "/", Some(("a", "old"))).await, 401);
    assert_eq!(status(&serving, "/", Some(("a", "new"))).await, 200);
    folder.write("web.yml", "basic_auth_users: {}\n");
    assert_eq!(status(&serving, "/", None).await, 200);
    assert!(!serving.access.authenticates());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_guesses_does_not_delay_a_scraper() {
    // Each takes ten milliseconds, and more in a debug build, so one queue for all would take seconds.
    let costly = bcrypt::hash("right", 8).expect("a hash");
    let folder = Folder::new(&format!("basic_auth_users: {{a: {costly}}}\n"));
    let serving = serve(&folder.flags(), hello()).await;
    let url = format!("http://{}/", serving.address());
    // It has another address, and its password is not cached.
    let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let scraper = Client::builder().no_proxy().local_address(elsewhere).build().expect("a client");
    let flooding = client();
    let guesses: Vec<_> = (0..100)
        .map(|number| {
            let request = flooding.get(&url).basic_auth("a", Some(format!("guess {number}")));
            tokio::spawn(async move { request.send().await.expect("an answer").status().as_u16() })
        })
        .collect();
    while serving.metric("x_web_passwords_checked_total") < 1.0 {
        tokio::task::yield_now().await;
    }
    let before = serving.metric("x_web_passwords_checked_total");
    let response = scraper.get(&url).basic_auth("a", Some("right")).send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), 200);
    let between = serving.metric("x_web_passwords_checked_total") - before;
    assert!(between < 40.0, "{between} came before the scraper");
    for guess in guesses {
        assert_eq!(guess.await.expect("no panic"), 401);
    }
}

#[tokio::test]
async fn every_response_except_that_of_the_rate_limit_has_the_headers() {
    let folder = Folder::new(&format!(
        "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: max-age=1\n\
         rate_limit: {{interval: 1h, burst: 2}}\n{}",
        users(&[("a", "right")])
    ));
    let serving = serve(&folder.flags(), hello()).await;
    for (login, status) in [(Some(("a", "right")), 200), (None, 401), (None, 429)] {
        let response = ask(&serving, "/", login).await;
        assert_eq!(response.status().as_u16(), status);
        let frame_options =
            response.headers().get("x-frame-options").map(|value| value.to_str().expect("text"));
        assert_eq!(frame_options, (status != 429).then_some("deny"));
        assert_eq!(response.headers().contains_key("strict-transport-security"), status != 429);
    }
}

#[tokio::test]
async fn all_clients_share_the_rate_limit() {
    let folder = Folder::new("rate_limit: {interval: 1h, burst: 3}\n");
    let serving = serve(&folder.flags(), hello()).await;
    for (path, expected) in
        [("/", 200), ("/-/healthy", 200), ("/", 200), ("/nothing", 404), ("/", 429), ("/", 429)]
    {
        assert_eq!(status(&serving, path, None).await, expected, "{path}");
    }
    let expected = (429, "Too Many Requests\n".to_owned());
    assert_eq!(get_page(serving.address(), "/").await, expected);
    assert!((serving.metric("x_web_requests_refused_total{reason=\"rate_limit\"}") - 3.0).abs() < 0.5);
    // A reload that does not change the rate keeps the tokens; another one begins with a full bucket.
    folder.write("web.yml", "# the same\nrate_limit: {interval: 60m, burst: 3}\n");
    assert_eq!(status(&serving, "/", None).await, 429);
    folder.write("web.yml", "rate_limit: {interval: 1h, burst: 4}\n");
    assert_eq!(status(&serving, "/", None).await, 200);
}
