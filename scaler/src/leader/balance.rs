//! How the shards are spread over the replicas: how many each one holds, and which one a replica wishes for.
//!
//! There is no list of replicas: each replica reads the leases of all shards, and knows of the others what stands there. A
//! replica that holds fewer wishes for a shard of the one that holds most, if that makes both more even. The holder checks
//! that by what it knows itself before it hands the shard over, so that no shard goes to and fro.

use tokio::time::Instant;

use super::election::Record;

/// What a replica knows of the shards.
#[derive(Clone, Debug)]
pub struct Balance {
    identity: String,
    /// Whether the replicas agree on the number of shards, by the lease that says so.
    is_agreed: bool,
    /// Whether this replica may act by that agreement.
    acts: bool,
    shards: Vec<Known>,
    /// The shard that this replica wishes for, and until when it waits for an answer.
    wish: Option<(usize, Instant)>,
}

/// What is known of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    /// Its holder, empty for nobody; `None` before its lease was read.
    holder: Option<String>,
    wished_by: Option<String>,
    /// Whether this replica hands it over.
    is_left: bool,
}

impl Balance {
    /// Of a replica that knows nothing yet.
    #[must_use]
    pub fn new(identity: String, count: u16) -> Self {
        let shards = vec![Known::default(); count.into()];
        Self { identity, is_agreed: false, acts: false, shards, wish: None }
    }

    /// Takes in whether the replicas agree on the number of shards, and whether this one may act by that.
    pub fn note_agreement(&mut self, is_agreed: bool, acts: bool) {
        (self.is_agreed, self.acts) = (is_agreed, acts);
    }

    /// Whether the replicas agree on the number of shards.
    #[must_use]
    pub fn is_agreed(&self) -> bool {
        self.is_agreed
    }

    /// Takes in the newest record of a shard's lease, and whether this replica hands it over.
    pub fn note(&mut self, shard: usize, record: Option<&Record>, is_left: bool) {
        let wished_by = record.and_then(|record| record.wish.as_ref()).map(|wish| wish.by.clone());
        if self.wishes_for(shard) && wished_by.as_ref() != Some(&self.identity) {
            self.wish = None;
        }
        let holder = Some(record.map_or_else(String::new, |record| record.holder.clone()));
        if let Some(known) = self.shards.get_mut(shard) {
            *known = Known { holder, wished_by, is_left };
        }
    }

    /// How many shards `who` holds, or is about to get.
    fn share(&self, who: &str) -> usize {
        let is_of = |known: &&Known| {
            let holder = known.holder.as_deref().unwrap_or_default();
            let is_free = known.is_left || holder.is_empty();
            if is_free { known.wished_by.as_deref() == Some(who) } else { holder == who }
        };
        self.shards.iter().filter(is_of).count()
    }

    /// Whether this replica, which holds `shard`, hands it over to the one that wishes for it.
    #[must_use]
    pub fn grants(&self, shard: usize) -> bool {
        let wished_by = self.shards.get(shard).and_then(|known| known.wished_by.as_deref());
        wished_by
            .filter(|by| *by != self.identity)
            .is_some_and(|by| self.share(&self.identity) > self.share(by) + 1)
    }

    /// Whether this replica has wished for `shard` and waits for an answer.
    #[must_use]
    pub fn wishes_for(&self, shard: usize) -> bool {
        self.wish.is_some_and(|(wished, _)| wished == shard)
    }

    /// Decides whether this replica wishes for `shard`, which another one holds, and if so notes that it waits for an answer
    /// until `until`. It has one wish at a time.
    pub fn wish(&mut self, shard: usize, now: Instant, until: Instant) -> bool {
        let is_known = self.shards.iter().all(|known| known.holder.is_some());
        let waits = self.wish.is_some_and(|(_, until)| now < until);
        let Some(Known { holder: Some(holder), wished_by, .. }) = self.shards.get(shard) else {
            return false;
        };
        let others = self.shards.iter().filter_map(|known| known.holder.as_deref());
        let most = others.map(|holder| self.share(holder)).max().unwrap_or_default();
        let theirs = self.share(holder);
        let wishes = self.acts
            && is_known
            && !waits
            && !holder.is_empty()
            && *holder != self.identity
            && wished_by.as_ref().is_none_or(|by| *by == self.identity)
            && theirs == most
            && theirs > self.share(&self.identity) + 1;
        if wishes {
            self.wish = Some((shard, until));
        }
        wishes
    }
}
