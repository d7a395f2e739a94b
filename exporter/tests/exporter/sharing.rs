//! Concurrent requests for one target share a fetch; consecutive ones do not.

use std::sync::Arc;
use std::time::Duration;

use jitsi_exporter::allow::AllowList;
use jitsi_exporter::component::Component::Jvb;
use jitsi_exporter::config::grammar;
use jitsi_exporter::reason::Reason;
use jitsi_exporter::scrape::{Options, Origin, Scraper};
use jitsi_exporter::target::Target;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::common::fixture;
use crate::servers::Upstream;

fn scraper() -> Scraper {
    Scraper::new(AllowList::default(), Options::default()).expect("a client")
}

fn target(upstream: &Upstream) -> Target {
    Target::parse(&upstream.address.to_string(), grammar(Jvb, true)).expect("a target")
}

fn far() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

#[tokio::test]
async fn at_the_same_time_they_are_one() {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = Upstream::behind(gate.clone(), fixture("jvb_2.3.312.json")).await;
    let (scraper, target) = (scraper(), target(&upstream));
    let scrape = || scraper.scrape(Jvb, &target, Origin::Trusted, far());
    // Both are in progress before the third future releases the answer.
    let (a, b, ()) = futures::join!(scrape(), scrape(), async { gate.add_permits(1) });
    assert!(a.outcome.is_ok() && b.outcome.is_ok());
    assert_eq!(upstream.requests(), 1);
}

#[tokio::test]
async fn one_after_the_other_they_are_two() {
    let upstream = Upstream::with_body(fixture("jvb_2.3.312.json")).await;
    let (scraper, target) = (scraper(), target(&upstream));
    for _ in 0..2 {
        assert!(scraper.scrape(Jvb, &target, Origin::Trusted, far()).await.outcome.is_ok());
    }
    assert_eq!(upstream.requests(), 2);
}

#[tokio::test]
async fn probes_do_not_share_with_flags() {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = Upstream::behind(gate.clone(), fixture("jvb_2.3.312.json")).await;
    let (scraper, target) = (scraper(), target(&upstream));
    let scrape = |access| scraper.scrape(Jvb, &target, access, far());
    let open = async {
        while upstream.requests() < 2 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(2);
    };
    let (a, b, ()) = futures::join!(scrape(Origin::Trusted), scrape(Origin::Guarded), open);
    assert!(a.outcome.is_ok() && b.outcome.is_ok());
    assert_eq!(upstream.requests(), 2);
}

#[tokio::test]
async fn a_longer_deadline_gets_the_answer_that_the_first_request_missed() {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = Upstream::behind(gate.clone(), fixture("jvb_2.3.312.json")).await;
    let (scraper, target) = (scraper(), target(&upstream));
    let soon = Instant::now() + Duration::from_millis(100);
    let hurried = async {
        let scrape = scraper.scrape(Jvb, &target, Origin::Trusted, soon).await;
        gate.add_permits(1);
        scrape
    };
    let patient = scraper.scrape(Jvb, &target, Origin::Trusted, far());
    let (hurried, patient) = futures::join!(hurried, patient);
    assert_eq!(hurried.outcome.expect_err("no time").reason, Reason::Timeout);
    assert!(patient.outcome.is_ok(), "{:?}", patient.outcome);
    assert_eq!(upstream.requests(), 1);
}

#[tokio::test]
async fn a_shared_request_continues_when_one_client_disconnects() {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = Upstream::behind(gate.clone(), fixture("jvb_2.3.312.json")).await;
    let (scraper, target) = (scraper(), target(&upstream));
    let mut first = Box::pin(scraper.scrape(Jvb, &target, Origin::Trusted, far()));
    assert!(futures::poll!(&mut first).is_pending());
    let second = scraper.scrape(Jvb, &target, Origin::Trusted, far());
    let (second, ()) = futures::join!(second, async {
        drop(first);
        gate.add_permits(1);
    });
    assert!(second.outcome.is_ok());
    assert_eq!(upstream.requests(), 1);
}
