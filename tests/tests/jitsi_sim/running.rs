//! The core in virtual time, simulators side by side, and the binary.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use jitsi_tests::{
    jitsi_sim::{
        ComponentKind::{Jibri, Jicofo, Jvb},
        Load, Profile, Settings, Status,
        instance::Block,
        status,
        world::World,
    },
    wait::wait_until,
};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::{SOON, accepts, quick, sim_with, spec, stats};

/// A morning in virtual time, sampled at intervals.
fn morning(seed: u64, step: Duration) -> Result<Status> {
    let mut world = World::new(Settings::compressed(), Block(20), jiff::Timestamp::UNIX_EPOCH);
    for (id, component) in [("b-1", Jvb), ("b-2", Jvb), ("r-1", Jibri), ("r-2", Jibri), ("f-1", Jicofo)] {
        world.launch(Duration::ZERO, id, spec(component))?;
    }
    let load = Load { profile: Profile::Morning { peak: 15.0, duration_seconds: 90.0 }, ..Load::default() };
    world.set_load(Duration::from_secs(1), &load, seed)?;
    let end = Duration::from_secs(150);
    while world.now() < end {
        world.advance((world.now() + step).min(end));
    }
    Ok(status::status(&world))
}

#[test]
fn a_seed_gives_the_same_morning_however_often_one_looks() -> Result<()> {
    let coarse = morning(1, Duration::from_secs(10))?;
    assert_eq!(coarse, morning(1, Duration::from_millis(100))?);
    assert_ne!(coarse, morning(2, Duration::from_secs(10))?);
    assert!(coarse.conferences.completed > 30 && coarse.recordings.completed > 0, "{coarse:?}");
    assert_eq!(coarse.conferences.active, 0, "the morning is over");
    assert_eq!(coarse.conferences.started, coarse.conferences.completed);
    assert_eq!(coarse.recordings.started, coarse.recordings.completed);
    Ok(())
}

#[tokio::test]
async fn simulators_side_by_side_have_addresses_of_their_own() -> Result<()> {
    let sims = futures::future::try_join_all((0..8).map(|_| sim_with(quick(), &[("i-1", Jvb)]))).await?;
    let addresses: BTreeSet<_> = sims.iter().map(|(_, addresses)| addresses[0]).collect();
    assert_eq!(addresses.len(), sims.len());
    for (number, (sim, addresses)) in sims.iter().enumerate() {
        sim.place_conference("i-1", u32::try_from(number)? + 1, 60.0)?;
        assert_eq!(stats(addresses[0]).await?["local_endpoints"], number + 1);
    }
    drop(sims);
    for address in addresses {
        wait_until(SOON, async || !accepts(address, 8080).await).await.context("dropped, but still there")?;
    }
    Ok(())
}

#[tokio::test]
async fn the_binary_prints_one_line_serves_and_ends_on_sigterm() -> Result<()> {
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_jitsi-sim"))
        .args(["--listen", "127.0.0.1:0", "--profile", "morning", "--seed", "3"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdout = child.stdout.take().context("standard output")?;
    let mut line = String::new();
    while !line.ends_with('\n') {
        line.push(char::from(tokio::time::timeout(SOON, stdout.read_u8()).await??));
    }
    let url = line.trim_end().strip_prefix("jitsi-sim listening on ").context(line.clone())?;
    let _: SocketAddr = url.strip_prefix("http://").context("a URL")?.parse()?;
    let status: Value = reqwest::get(format!("{url}/sim/v1/status")).await?.json().await?;
    assert_eq!(status["conferences"]["cut"], 0);

    let id = child.id().context("it runs")?.to_string();
    tokio::process::Command::new("kill").args(["-TERM", &id]).status().await?;
    assert!(tokio::time::timeout(SOON, child.wait()).await??.success());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).await?;
    assert_eq!(rest, "", "nothing else on standard output");
    Ok(())
}
