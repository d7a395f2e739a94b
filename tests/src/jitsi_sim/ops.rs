//! What can be asked of a simulator, for the library and the control plane alike.

use std::{net::Ipv4Addr, sync::Arc};

use super::{
    fault::Faults,
    instance::{ComponentKind, InstanceSpec},
    load::Load,
    shared::{Shared, is_free},
    status::{self, Status, Target},
    world::{Cut, WorldError},
};

impl Shared {
    /// Launches an instance; false beside the address says that it existed.
    pub(super) async fn launch(
        self: &Arc<Self>,
        id: &str,
        spec: InstanceSpec,
    ) -> Result<(Ipv4Addr, bool), WorldError> {
        let ports = self.ports.all();
        self.apply(|world, now| {
            let new = world.instance(id).is_err();
            // An address on which another program listens is left to it. Where that is unknown, listening shows it.
            while let Some(address) = world.next_address().filter(|_| new)
                && !is_free(address, &ports).unwrap_or(true)
            {
                world.skip_address();
            }
            world.launch(now, id, spec)
        })
        .await
    }

    pub(super) async fn terminate(self: &Arc<Self>, id: &str) -> Result<Cut, WorldError> {
        self.apply(|world, now| world.terminate(now, id)).await
    }

    pub(super) async fn set_faults(self: &Arc<Self>, id: &str, faults: Faults) -> Result<(), WorldError> {
        self.apply(|world, now| world.set_faults(now, id, faults)).await
    }

    pub(super) fn set_load(self: &Arc<Self>, load: &Load) -> Result<(), WorldError> {
        self.with(|world, now| world.set_load(now, load, self.seed))
    }

    pub(super) fn targets(self: &Arc<Self>, component: Option<ComponentKind>) -> Vec<Target> {
        self.with(|world, _| status::targets(world, component, |kind| self.ports.of(kind)))
    }

    pub(super) fn status(self: &Arc<Self>) -> Status {
        self.with(|world, _| status::status(world))
    }
}
