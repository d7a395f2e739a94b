//! What a configuration would do: the same [`decide`](crate::decide::decide) on series that are written down, for a group
//! that is simulated.
//!
//! [`history`] reads the past. [`model`] is the group, and [`replay`] puts the series, the group and the decisions together.
//! [`run`] compares a group's past with what would have been, [`tune`] searches settings, and [`report`] says what came of
//! it. Nothing here asks a cloud or changes anything.

pub mod column;
pub mod figures;
pub mod history;
pub mod model;
pub mod replay;
pub mod report;
pub mod run;
pub mod tune;
