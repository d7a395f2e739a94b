//! What the simulators of clouds have in common: IDs, times, the record of calls, the state behind its lock, and the
//! connection to the Jitsi simulator, in which launched instances appear.
//!
//! Knows no cloud.

pub(crate) mod calls;
pub(crate) mod ids;
pub mod link;
pub(crate) mod shared;
pub(crate) mod time;
