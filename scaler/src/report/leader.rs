//! Who leads: all fleets, or those of each shard.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::shards::Shards;

/// The leader among several scalers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaderReport {
    /// The lease, as `NAMESPACE/NAME`.
    pub lease: String,
    /// The scaler that answers.
    pub identity: String,
    /// Whether it leads.
    pub leading: bool,
    /// The holder of the lease, as last seen; `null` without one.
    pub holder: Option<String>,
    /// The shards, from 0 on; none where one scaler leads all fleets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardReport>,
}

/// Who leads a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShardReport {
    /// Its number.
    pub shard: usize,
    /// Whether the scaler that answers leads it.
    pub leading: bool,
    /// The holder of its lease, as last seen; `null` without one.
    pub holder: Option<String>,
}

impl LeaderReport {
    /// Who leads a fleet, in a sentence for a person; `None` where the scaler that answers does.
    #[must_use]
    pub fn elsewhere(&self, fleet: &str) -> Option<String> {
        let shards = u16::try_from(self.shards.len()).ok().and_then(Shards::try_new);
        let Some(shard) = shards.and_then(|shards| self.shards.get(usize::from(shards.of(fleet).number)))
        else {
            return (!self.leading).then(|| self.text());
        };
        let ShardReport { shard: number, leading, holder } = shard;
        let who = match holder {
            _ if *leading => return None,
            Some(holder) if *holder == self.identity => {
                "this scaler leads once its leases allow that".to_owned()
            }
            Some(holder) => format!("{holder} leads; its page has the decisions"),
            None => "no scaler leads".to_owned(),
        };
        let of = self.shards.len();
        Some(format!(
            "The fleet {fleet} is in shard {number} of {of}, which {who}. This scaler is {}.",
            self.identity
        ))
    }

    /// Who leads the shards that others lead, in a sentence for a person; `None` where the scaler that answers leads all.
    #[must_use]
    pub fn others(&self) -> Option<String> {
        let others = self.shards.iter().any(|shard| !shard.leading);
        (others || !self.leading).then(|| self.text())
    }

    /// The leader, in a sentence for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { lease, identity, leading, holder, shards } = self;
        if !shards.is_empty() {
            return self.spread();
        }
        match holder {
            _ if *leading => format!("This scaler, {identity}, holds the lease {lease} and leads."),
            None => {
                format!("The lease {lease} has no holder, so no scaler leads. This scaler is {identity}.")
            }
            Some(holder) if holder == identity => {
                format!("This scaler, {identity}, holds the lease {lease} and leads once it has renewed it.")
            }
            Some(holder) => format!(
                "{holder} holds the lease {lease} and leads; its page has the decisions. This scaler, {identity}, stands by."
            ),
        }
    }

    /// Who leads which shards.
    fn spread(&self) -> String {
        let Self { lease, identity, holder, shards, .. } = self;
        let agreed = u16::try_from(shards.len()).ok().and_then(Shards::try_new).map(Shards::identity);
        if let Some(other) = holder.as_ref().filter(|holder| Some(*holder) != agreed.as_ref()) {
            return format!(
                "{other} holds the lease {lease}, so scalers with another --leader.shards act. This scaler, {identity}, \
                 waits until they have stopped."
            );
        }
        let mut by_holder: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut own = Vec::new();
        for shard in shards {
            let holder = shard.holder.as_deref().filter(|holder| holder != identity).unwrap_or_default();
            let list = if shard.leading { &mut own } else { by_holder.entry(holder).or_default() };
            list.push(shard.shard.to_string());
        }
        let mut text = match own.as_slice() {
            [] => format!("This scaler, {identity}, leads none of {} shards.", shards.len()),
            _ => format!("This scaler, {identity}, leads of {} shards: {}.", shards.len(), own.join(", ")),
        };
        let free = by_holder.remove("");
        for (holder, numbers) in by_holder {
            let _ = write!(text, " {holder} leads {}; its page has the decisions.", numbers.join(", "));
        }
        if let Some(free) = free {
            let _ = write!(text, " Nobody leads {}.", free.join(", "));
        }
        text
    }
}
