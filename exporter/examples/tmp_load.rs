//! x
use std::time::Duration;
#[tokio::main]
async fn main() {
    let body = std::fs::read("/work/shared/samples/jvb/designet_zabbix_2.3.168.json").unwrap();
    let mut targets = vec![];
    for _ in 0..8 {
        let body = body.clone();
        let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        targets.push(l.local_addr().unwrap());
        let r = axum::Router::new().route("/colibri/stats", axum::routing::get(move || async move { body }));
        tokio::spawn(async move { axum::serve(l, r).await });
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for round in 0..4 {
        let per = if round == 0 { 2000 } else { 10000u32 };
        for direct in [true, false] {
            let t = tokio::time::Instant::now();
            let tasks: Vec<_> = targets
                .iter()
                .map(|a| {
                    let client = client.clone();
                    let url = if direct {
                        format!("http://{a}/colibri/stats")
                    } else {
                        format!("http://127.0.0.1:10065/probe?module=jvb&target={a}")
                    };
                    tokio::spawn(async move {
                        for _ in 0..per {
                            let t = client.get(&url).send().await.unwrap().bytes().await.unwrap();
                            assert!(t.len() > 1000);
                        }
                    })
                })
                .collect();
            for x in tasks {
                x.await.unwrap();
            }
            eprintln!("direct {direct}: {:.0}/s", f64::from(per * 8) / t.elapsed().as_secs_f64());
        }
        let s =
            std::fs::read_to_string(format!("/proc/{}/status", std::env::args().nth(1).unwrap())).unwrap();
        eprintln!(
            "{}",
            s.lines()
                .filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM"))
                .collect::<Vec<_>>()
                .join(" ")
        );
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
}
