//! The scaler's reads and requests of components, through the exporter's relay on their hosts.
//!
//! Owns how a component's state appears from outside, and how a call fails.

use jitsi_scaler::decide::observation::Reading;
use jitsi_scaler::jitsi::{Address, Components, JitsiError, Permitted, Reply, Request};
use rand::RngExt as _;

use super::calls::{Fate, call};
use super::component::{Drainer, Job, Process};
use super::judge::ONE_EVALUATION;
use super::setting::Kind;
use super::world::{SECOND, Shared, World};

/// The components, as one scaler reaches them.
#[derive(Clone, Debug)]
pub(super) struct Relays {
    pub(super) shared: Shared,
    pub(super) scaler: usize,
}

/// The error of a relay that has no answer of the component.
pub(super) fn not_relayed(status: u16) -> JitsiError {
    JitsiError::NotRelayed { url: "the relay".to_owned(), status, message: "simulated".to_owned() }
}

impl World {
    fn component_fate(&mut self, instance: usize) -> Fate<JitsiError> {
        let now = self.now;
        let mut before = self.luck.random_range(4..60);
        if self.faults.components_are_slow(now) {
            before += self.luck.random_range(0..3 * SECOND);
        }
        let mut fate = Fate { before, after: 0, failure: None, done: false };
        let flaky = self.faults.components_fail(now);
        let unheard = self.faults.components_go_unheard(now);
        let it = &self.instances[instance];
        if it.unreachable > now || matches!(it.process, Process::Hung | Process::Gone) {
            fate.failure = Some(not_relayed(504));
            fate.after = 2 * SECOND;
        } else if flaky > 0.0 && self.luck.random_bool(flaky) {
            fate.failure = Some(not_relayed(503));
        } else if unheard > 0.0 && self.luck.random_bool(unheard) {
            fate.failure = Some(not_relayed(504));
            fate.done = true;
        }
        fate
    }

    fn read(&self, instance: usize) -> Result<Reading, JitsiError> {
        let it = &self.instances[instance];
        match it.process {
            Process::Restarting | Process::Exited | Process::Booting => Ok(Reading::Refused),
            Process::Hung | Process::Gone => Err(not_relayed(504)),
            Process::Running if it.unreadable => {
                Err(JitsiError::Foreign { url: format!("http://{}", it.address), status: 404 })
            }
            Process::Running => Ok(match it.kind {
                Kind::Bridge => Reading::Answered {
                    empty: it.people == 0,
                    draining: it.drain.is_some() || it.graceful || it.shutting_down,
                    closing: it.graceful || it.shutting_down,
                },
                Kind::Jibri => {
                    Reading::Answered { empty: it.job == Job::Idle, draining: false, closing: false }
                }
            }),
        }
    }

    /// Fails unless the process answers.
    fn accepts_requests(&self, instance: usize) -> Result<(), JitsiError> {
        match self.instances[instance].process {
            Process::Running => Ok(()),
            Process::Hung | Process::Gone => Err(not_relayed(504)),
            Process::Booting | Process::Restarting | Process::Exited => Err(not_relayed(502)),
        }
    }

    fn set_drain(&mut self, scaler: usize, instance: usize, on: bool) -> Result<Reply, JitsiError> {
        self.accepts_requests(instance)?;
        let now = self.now;
        let it = &mut self.instances[instance];
        let since = it.drain.map_or(now, |(_, since)| since);
        it.drain = on.then_some((Drainer::Scaler, since));
        let what = if on { "asks to drain" } else { "takes back into service" };
        self.tell(instance, 40 + u64::from(on), |_| format!("scaler {scaler} {what}"));
        Ok(Reply::Accepted)
    }

    fn close(&mut self, scaler: usize, instance: usize) -> Result<Reply, JitsiError> {
        self.accepts_requests(instance)?;
        let it = &self.instances[instance];
        if it.kind == Kind::Bridge && (it.unreadable || !self.setting.closable) {
            return Ok(Reply::Unavailable);
        }
        self.tell(instance, 42, |_| format!("scaler {scaler} asks to shut down gracefully"));
        self.asked_to_exit(instance);
        Ok(Reply::Accepted)
    }

    /// The instance at an address.
    pub(super) fn at(&self, address: &Address) -> usize {
        let host = address.external().trim_start_matches("http://").split(':').next().unwrap_or_default();
        let mut parts = host.split('.').skip(2).map(|part| part.parse::<usize>().unwrap_or_default());
        let index = parts.next().unwrap_or_default() * 256 + parts.next().unwrap_or_default();
        assert_eq!(self.instances[index].address, host, "no instance has this address");
        index
    }
}

impl Relays {
    async fn make<T: Send>(
        &self,
        address: &Address,
        writes: bool,
        act: impl FnOnce(&mut World, usize) -> Result<T, JitsiError> + Send,
    ) -> Result<T, JitsiError> {
        let instance = self.shared.lock().at(address);
        let fate = |world: &mut World| world.component_fate(instance);
        call(&self.shared, self.scaler, writes, fate, |world| act(world, instance)).await
    }
}

impl Components for Relays {
    async fn read(&self, address: &Address) -> Result<Reading, JitsiError> {
        self.make(address, false, |world, instance| {
            let read = world.read(instance);
            world.tell(instance, 43, |_| format!("says {read:?} to scaler {}", self.scaler));
            read
        })
        .await
    }

    async fn request(&self, address: &Address, permitted: Permitted) -> Result<Reply, JitsiError> {
        // A request may be long on its way.
        let saw = {
            let world = self.shared.lock();
            world.saw_pause(self.scaler, world.instances[world.at(address)].group)
        };
        self.make(address, true, |world, instance| {
            let (request, group) = (permitted.request(), world.instances[instance].group);
            // Another scaler may just have taken it back, and removed the tag.
            let is_ordered = match request {
                Request::Close => false,
                Request::StopDrain if world.now - world.instances[instance].untagged < ONE_EVALUATION => true,
                _ => world.tag_of(instance).is_some_and(|drain| drain.by_operator),
            };
            if !is_ordered {
                world.judge_pause(saw, group, "a component was changed");
            }
            match request {
                Request::StartDrain => world.set_drain(self.scaler, instance, true),
                Request::StopDrain => world.set_drain(self.scaler, instance, false),
                Request::Close => world.close(self.scaler, instance),
            }
        })
        .await
    }
}
