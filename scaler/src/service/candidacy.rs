//! How the service becomes the leader: of all fleets, or of those of some shards.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::LeaderFlags;
use crate::control::{self, Board, Clock};
use crate::leader::balance::Balance;
use crate::leader::election::Election;
use crate::leader::elector::Elector;
use crate::leader::kubernetes::Kubernetes;
use crate::leader::part::Part;
use crate::leader::{self, Leadership, LeaseName, Standing, Times};
use crate::shards::{Shard, Shards};
use crate::telemetry::Telemetry;

/// A candidate with its lease, before it stands for election.
pub(super) struct Candidate {
    name: LeaseName,
    identity: String,
    times: Times,
    shards: Shards,
    leases: Kubernetes,
}

impl Candidate {
    /// The candidate that the flags ask for, if any.
    pub(super) async fn connect(flags: &LeaderFlags) -> anyhow::Result<Option<Self>> {
        let Some(name) = flags.lease.clone() else { return Ok(None) };
        let times = Times::try_new(flags.lease_duration, flags.renew_deadline, flags.retry_period)?;
        let identity = identity(flags.identity.as_deref())?;
        let leases = Kubernetes::connect(name.clone()).await?;
        Ok(Some(Self { name, identity, times, shards: flags.shards, leases }))
    }
}

/// A name of this process alone: a replica that restarts must not be taken for the one that died.
fn identity(given: Option<&str>) -> anyhow::Result<String> {
    let name = match given.filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => std::fs::read_to_string("/proc/sys/kernel/hostname")
            .context("find the name of the host; give --leader.identity")?
            .trim()
            .to_owned(),
    };
    let mut own = [0; 4];
    aws_lc_rs::rand::fill(&mut own).context("draw a random number")?;
    Ok(format!("{name}_{:08x}", u32::from_be_bytes(own)))
}

/// The elections that this scaler stands for, or leadership without one.
pub(super) struct Candidacy {
    /// What it may lead, and how it comes to.
    pub(super) places: Vec<(Shard, Leadership)>,
    /// Ends the elections and gives up the leases.
    resign: CancellationToken,
    electors: Vec<JoinHandle<()>>,
}

impl Candidacy {
    pub(super) fn stand(
        candidate: Option<Candidate>,
        clock: Clock,
        telemetry: &Telemetry,
        publish: &watch::Sender<Arc<Board>>,
    ) -> Self {
        let resign = CancellationToken::new();
        let Some(Candidate { name, identity, times, shards, leases }) = candidate else {
            let places = vec![(Shard::WHOLE, Leadership::alone())];
            return Self { places, resign, electors: Vec::new() };
        };
        let mut electors = Vec::new();
        let mut start = |leases: Kubernetes, part: Part, election: Election| -> watch::Receiver<Standing> {
            let (elector, standing) = Elector::new((leases, part), election, clock, telemetry.clone());
            electors.push(tokio::spawn(elector.run(resign.clone())));
            standing
        };
        let own = || Election::new(identity.clone(), times);
        let (base, places) = if shards == Shards::ONE {
            let base = Leadership::by(start(leases, Part::Whole, own()));
            (base.clone(), vec![(Shard::WHOLE, base)])
        } else {
            telemetry.spread_over(shards);
            let balance = Arc::new(watch::Sender::new(Balance::new(identity.clone(), shards.count())));
            let of_shard = |shard: Shard| leases.beside(name.of_shard(shard.number));
            let of_shards: Vec<_> = shards.iter().map(|shard| (shard, of_shard(shard))).collect();
            let part = Part::Agreement(Arc::clone(&balance));
            let agreement = start(leases, part, Election::shared(shards.identity(), times));
            let places = of_shards.into_iter().map(|(shard, leases)| {
                let (balance, turn) = (Arc::clone(&balance), leader::one_turn());
                let part = Part::Shard { number: shard.number, balance, turn: Arc::clone(&turn) };
                (shard, Leadership::of_shard(agreement.clone(), start(leases, part, own()), turn))
            });
            let places = places.collect();
            (Leadership::by(agreement), places)
        };
        let shown = match places.as_slice() {
            [_] => Vec::new(),
            places => places.iter().map(|(_, leadership)| leadership.clone()).collect(),
        };
        let names = (name.to_string(), identity);
        tokio::spawn(control::show_leader(base, shown, names, publish.clone()));
        Self { places, resign, electors }
    }

    /// Gives up the leases, so that another replica need not wait until they run out. Nothing may act any more.
    pub(super) async fn resign(self) -> anyhow::Result<()> {
        self.resign.cancel();
        for elector in self.electors {
            elector.await.context("join the election")?;
        }
        Ok(())
    }
}
