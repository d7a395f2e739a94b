//! What a lease is for: the whole of the fleets, the agreement on the number of shards, or one shard.
//!
//! Owns how the candidates of one replica keep to each other: shards are taken only while the number of them is agreed, and
//! are handed over to replicas that hold fewer.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::balance::Balance;
use super::election::Election;

/// What a lease is for.
#[derive(Clone, Debug)]
pub enum Part {
    /// Its holder acts on all fleets.
    Whole,
    /// All replicas with one number of shards hold it together.
    Agreement(Arc<watch::Sender<Balance>>),
    /// Its holder acts on the fleets of one shard.
    Shard {
        /// Which one, from 0.
        number: u16,
        /// What this replica knows of all shards.
        balance: Arc<watch::Sender<Balance>>,
        /// Taken by what acts, and to hand the shard over.
        turn: Arc<Semaphore>,
    },
}

impl Part {
    /// Waits until the first request for the lease makes sense.
    pub(super) async fn begins(&self) {
        if let Self::Shard { balance, .. } = self {
            // It cannot fail: this is the sender.
            let _ = balance.subscribe().wait_for(Balance::is_agreed).await;
        }
    }

    /// Whether a candidate may hold the lease at all.
    pub(super) fn may_hold(&self) -> bool {
        match self {
            Self::Whole | Self::Agreement(_) => true,
            Self::Shard { balance, .. } => balance.borrow().is_agreed(),
        }
    }

    /// Takes in what the candidate knows now, and has it leave where another replica is to have the shard.
    pub(super) fn note(&self, election: &mut Election) {
        match self {
            Self::Whole => {}
            Self::Agreement(balance) => {
                let is_agreed = election.record().is_some_and(|record| record.holder == election.identity());
                let acts = election.standing(Instant::now()).until().is_some();
                balance.send_if_modified(|balance| {
                    let before = balance.is_agreed();
                    balance.note_agreement(is_agreed, acts);
                    before != is_agreed
                });
            }
            Self::Shard { number, balance, .. } => {
                let number = usize::from(*number);
                balance.send_if_modified(|balance| {
                    balance.note(number, election.record(), election.is_leaving());
                    if election.holds() && !election.is_leaving() && balance.grants(number) {
                        election.leave();
                        balance.note(number, election.record(), election.is_leaving());
                    }
                    false
                });
            }
        }
    }

    /// Whether the candidate is to write now that it wishes for the lease.
    pub(super) fn wishes(&self, now: Instant, until: Instant) -> bool {
        let Self::Shard { number, balance, .. } = self else { return false };
        let mut wishes = false;
        balance.send_if_modified(|balance| {
            wishes = balance.wish(usize::from(*number), now, until);
            false
        });
        wishes
    }

    /// Whether the candidate waits for an answer to its wish.
    pub(super) fn waits(&self) -> bool {
        let Self::Shard { number, balance, .. } = self else { return false };
        balance.borrow().wishes_for(usize::from(*number))
    }

    /// Waits until nothing acts on the lease any more, and keeps it so.
    pub(super) async fn idle(&self) -> Option<OwnedSemaphorePermit> {
        let Self::Shard { turn, .. } = self else { return None };
        Arc::clone(turn).acquire_owned().await.ok()
    }
}
