//! How drains get into the tags of their group.
//!
//! Owns the order of the writes: a scaler that is killed between two of them leaves every drain in a tag.
//! [`super::super::layout`] says which drain goes into which tag.

use std::collections::BTreeMap;

use futures::future::join_all;
use tokio::time::{Instant, sleep_until};

use super::Client;
use crate::cloud::drain_tags::{Known, Waiting};
use crate::cloud::layout::{Note, Plan, Refusal, Write};
use crate::cloud::tags::Asked;
use crate::cloud::{Call, Change, CloudError, ScalingGroups};
use crate::config::Groups;
use crate::decide::observation::Drain;
use crate::units::{GroupName, InstanceId, Region};

impl<C: ScalingGroups + 'static> Client<C> {
    /// Keeps a drain in the tags of its group, with who ordered it; without one, forgets the one that they hold.
    pub async fn keep_drain(
        &self,
        (region, group): (&Region, &GroupName),
        id: &InstanceId,
        drain: Option<(Drain, Option<&Asked>)>,
    ) -> Result<(), CloudError> {
        let drain = drain.map(|(drain, asked)| (drain, asked.cloned()));
        let note = Note { id: id.clone(), drain };
        let (key, value) = note.single();
        if !self.cloud.packs_drains() {
            return self.write((region, group), &key, value.as_deref()).await;
        }
        let known = self.drains.of(region, group);
        {
            let _turn = known.turn.read().await;
            if known.is_single(&note, Instant::now()) {
                let outcome = self.write((region, group), &key, value.as_deref()).await;
                known.made_single(&note, &outcome, Instant::now());
                return outcome;
            }
        }
        // The first that gets the turn writes for all that wait, in few calls.
        let done = known.wait(note);
        {
            let _turn = known.turn.write().await;
            let waiting = known.waiting();
            if !waiting.is_empty() {
                self.keep_together((region, group), &known, waiting).await;
            }
        }
        done.await.unwrap_or(Err(CloudError::Unsettled))
    }

    /// Waits until tags of several drains may be written.
    pub async fn settled(&self) {
        sleep_until(self.drains.settled()).await;
    }

    /// Keeps drains that wait. One that finds no room waits further while other writes make some.
    async fn keep_together(&self, group: (&Region, &GroupName), known: &Known, mut waiting: Vec<Waiting>) {
        // The last evaluation may lie back, and somebody else may have written since.
        let asked = Instant::now();
        let described = self.describe(group.0, &Groups::Names(vec![group.1.clone()])).await;
        while !waiting.is_empty() {
            let notes: Vec<Note> = waiting.iter().map(|(note, _)| note.clone()).collect();
            let before = known.tags();
            let plan = known.plan(&notes, |key| self.drains.is_settled(known, key, asked));
            let failed = match &described {
                Ok(_) => self.perform(group, known, &plan).await,
                Err(error) => plan.steps.iter().flatten().map(|it| (it.key.clone(), error.clone())).collect(),
            };
            // As long as somebody finds room, or tags are freed, another turn may help.
            let helps = plan.refused.len() < notes.len() || known.tags() < before;
            let mut later = Vec::new();
            for (place, (note, answer)) in waiting.into_iter().enumerate() {
                let outcome = match plan.refused.get(&place) {
                    Some(Refusal::Full) => match failed.values().next() {
                        // A write that would have made room failed.
                        Some(error) => Err(error.clone()),
                        None if helps => {
                            later.push((note, answer));
                            continue;
                        }
                        None => Err(self.full()),
                    },
                    Some(Refusal::Unsettled) => Err(CloudError::Unsettled),
                    None => plan.failed_for(place, &failed).map_or(Ok(()), |it| Err(failed[&it.key].clone())),
                };
                // Who waited may have been aborted.
                let _ = answer.send(outcome);
            }
            waiting = later;
        }
    }

    /// Makes the writes of a plan. Returns those that failed, or that were not made because an earlier one failed.
    async fn perform(
        &self,
        group: (&Region, &GroupName),
        known: &Known,
        plan: &Plan,
    ) -> BTreeMap<String, CloudError> {
        let mut failed: BTreeMap<String, CloudError> = BTreeMap::new();
        for step in &plan.steps {
            let made = join_all(step.iter().map(|write| self.make(group, known, write, &failed))).await;
            let errors = step.iter().zip(made).filter_map(|(it, made)| Some((it.key.clone(), made.err()?)));
            failed.extend(errors.collect::<Vec<_>>());
        }
        failed
    }

    async fn make(
        &self,
        group: (&Region, &GroupName),
        known: &Known,
        write: &Write,
        failed: &BTreeMap<String, CloudError>,
    ) -> Result<(), CloudError> {
        if let Some(error) = write.after.iter().find_map(|key| failed.get(key)) {
            return Err(error.clone());
        }
        let outcome = self.write(group, &write.key, write.value.as_deref()).await;
        known.made(write, &outcome, Instant::now());
        outcome
    }

    async fn write(
        &self,
        (region, group): (&Region, &GroupName),
        key: &str,
        value: Option<&str>,
    ) -> Result<(), CloudError> {
        let change = value.map_or(Change::Untag { key }, |value| Change::Tag { key, value });
        self.apply(region, group, change).await
    }

    fn full(&self) -> CloudError {
        CloudError::Refused {
            call: self.cloud.name_of(Call::Apply(Change::Tag { key: "", value: "" })),
            code: "LimitExceeded".to_owned(),
            message: "the tags of the group have no room for another drain; remove tags of others".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
