//! A simulator of Jitsi: any number of JVBs, Jicofos and Jibris with the HTTP interfaces of real ones, the
//! people who use them, and a count of the calls and recordings that were cut.
//!
//! - [`world`] is pure: no sockets, no clock, no random numbers but the load's seed. It is made of
//!   [`instance`]s with a [`bridge`], a Jicofo ([`focus`]) or a [`recorder`] on them, of [`calls`], and of the
//!   [`load`] that brings these. [`settings`] and [`fault`] say how it all behaves.
//! - [`status`] and the private `payload` and `native` turn its state into answers; [`statistics`] serves
//!   simulations without sockets.
//! - The private `shared`, `server` and `control` put it behind sockets; [`JitsiSim`] starts them.
//!
//! Each instance has a loopback address of its own and the real ports on it, so that `http://{private_ip}:8080`
//! works as in production. The addresses come from a block `127.X.0.0/16` that no other simulator uses.

pub mod bridge;
pub mod calls;
mod clock;
mod control;
pub mod fault;
pub mod focus;
pub mod instance;
pub mod load;
mod native;
mod ops;
mod payload;
pub mod recorder;
mod server;
pub mod settings;
mod shared;
pub mod status;
pub mod world;

use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::net::TcpListener;

use self::{
    clock::Clock,
    instance::Block,
    shared::{Ports, Server, Shared, is_free},
    world::World,
};
pub use self::{
    control::USAGE,
    fault::{Faults, Feature},
    instance::{ComponentKind, InstanceSpec},
    load::{Load, Profile},
    payload::{JICOFO_VERSION, JVB_VERSION, statistics},
    settings::{Lengths, Settings},
    status::{InstanceStatus, Status, Target},
    world::{Cut, WorldError},
};

/// How a simulator is started.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the control plane listens.
    pub listen: SocketAddr,
    /// Private HTTP interface of the JVBs.
    pub jvb_port: u16,
    /// HTTP interface of the Jicofos.
    pub jicofo_port: u16,
    /// External HTTP interface of the Jibris.
    pub jibri_port: u16,
    /// Internal HTTP interface of the Jibris.
    pub jibri_internal_port: u16,
    /// How the components behave.
    pub settings: Settings,
    /// The load from the start.
    pub load: Load,
    /// The seed of loads that bring none of their own.
    pub seed: u64,
}

impl Config {
    /// The default with compressed time.
    #[must_use]
    pub fn compressed() -> Self {
        Self { settings: Settings::compressed(), ..Self::default() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            jvb_port: 8080,
            jicofo_port: 8888,
            jibri_port: 2222,
            jibri_internal_port: 3333,
            settings: Settings::default(),
            load: Load::default(),
            seed: 1,
        }
    }
}

/// Why a simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The control plane has no place.
    #[error("cannot listen on {0}; choose another address with --listen")]
    Control(SocketAddr, #[source] io::Error),
    /// Every block of addresses is in use.
    #[error(
        "no block 127.X.0.0/16 is free for ports {0:?}; end what listens on all addresses with one of them \
         (or with 4777, which marks a block as taken), or give the components other ports"
    )]
    NoBlock([u16; 4]),
    /// The system has no such addresses.
    #[error(
        "cannot use loopback addresses beside 127.0.0.1; Linux has them all, elsewhere they must be added"
    )]
    Loopback(#[source] io::Error),
    /// A number of the load is out of range.
    #[error("the load cannot be generated")]
    Load(#[from] WorldError),
}

/// A running simulator. It ends with its last listener and connection when it is dropped.
#[derive(Debug)]
pub struct JitsiSim {
    shared: Arc<Shared>,
    control: SocketAddr,
    _control: Server,
    _block: TcpListener,
}

impl JitsiSim {
    /// Starts a simulator without instances; the control plane answers when this returns.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let ports = Ports {
            jvb: config.jvb_port,
            jicofo: config.jicofo_port,
            jibri: config.jibri_port,
            jibri_internal: config.jibri_internal_port,
        };
        let (block, claim) = claim_block(ports).await?;
        let cannot_listen = |error| StartError::Control(config.listen, error);
        let listener = TcpListener::bind(config.listen).await.map_err(cannot_listen)?;
        let control = listener.local_addr().map_err(cannot_listen)?;

        let world = World::new(config.settings, block, clock::time_of_day());
        let shared = Arc::new(Shared::new(world, Clock::start(), ports, config.seed));
        shared.set_load(&config.load)?;
        let router = control::router(Arc::clone(&shared));
        let server = Server::start(listener, router, shared.stop.child_token());
        tokio::spawn(Arc::clone(&shared).keep_time());
        Ok(Self { shared, control, _control: server, _block: claim })
    }

    /// Where the control plane is: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// Launches an instance and returns its address; one that exists stays as it is.
    pub async fn launch(&self, id: &str, spec: InstanceSpec) -> Result<Ipv4Addr, WorldError> {
        self.shared.launch(id, spec).await.map(|(address, _)| address)
    }

    /// Makes an instance disappear at once, and returns what was cut by it.
    pub async fn terminate(&self, id: &str) -> Result<Cut, WorldError> {
        self.shared.terminate(id).await
    }

    /// Replaces the faults of an instance.
    pub async fn set_faults(&self, id: &str, faults: Faults) -> Result<(), WorldError> {
        self.shared.set_faults(id, faults).await
    }

    /// Puts a conference on a bridge.
    pub fn place_conference(&self, id: &str, participants: u32, seconds: f64) -> Result<(), WorldError> {
        self.shared.with(|world, now| world.place_conference(now, id, participants, seconds)).map(|_| ())
    }

    /// Ends the conferences of a bridge, and says how many.
    pub fn end_conferences(&self, id: &str) -> Result<usize, WorldError> {
        self.shared.with(|world, now| world.end_conferences(now, id))
    }

    /// Starts a recording on a Jibri.
    pub fn place_recording(&self, id: &str, seconds: f64, upload_seconds: f64) -> Result<(), WorldError> {
        let place = |world: &mut World, now| world.place_recording(now, id, seconds, upload_seconds, true);
        self.shared.with(place).map(|_| ())
    }

    /// Ends the recording of a Jibri, which then uploads it; false if there was none.
    pub fn stop_recording(&self, id: &str) -> Result<bool, WorldError> {
        self.shared.with(|world, now| world.stop_recording(now, id)).map(|stopped| stopped.is_some())
    }

    /// Replaces the load.
    pub fn set_load(&self, load: &Load) -> Result<(), WorldError> {
        self.shared.set_load(load)
    }

    /// The instances as Prometheus targets, of one component or of all.
    #[must_use]
    pub fn targets(&self, component: Option<ComponentKind>) -> Vec<Target> {
        self.shared.targets(component)
    }

    /// Everything that goes on, and what became of the rest.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Returns when the simulator was stopped through its control plane.
    pub async fn stopped(&self) {
        self.shared.stop.cancelled().await;
    }
}

impl Drop for JitsiSim {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// The simulator that listens on this port of a block's lock address owns the block.
const LOCK_PORT: u16 = 4777;

/// Finds a free block of addresses, and keeps it while the listener lives.
async fn claim_block(ports: Ports) -> Result<(Block, TcpListener), StartError> {
    const FIRST: u8 = 20;
    const BLOCKS: u8 = 231;
    // The process's own random hash keys: simulators that start together begin at different blocks.
    let offset = RandomState::new().hash_one(LOCK_PORT) % u64::from(BLOCKS);
    for number in 0..BLOCKS {
        let [.., number] = ((offset + u64::from(number)) % u64::from(BLOCKS)).to_be_bytes();
        let block = Block(FIRST + number);
        let address = block.lock_address();
        match TcpListener::bind((address, LOCK_PORT)).await {
            Ok(claim) if is_free(address, &ports.all()).map_err(StartError::Loopback)? => {
                return Ok((block, claim));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(StartError::Loopback(error)),
        }
    }
    Err(StartError::NoBlock(ports.all()))
}
