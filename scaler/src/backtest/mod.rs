//! What a configuration would do: the same [`decide`](crate::decide::decide) on series that are written down, for a group
//! that is simulated.
//!
//! [`model`] is the group, and [`replay`] puts the series, the group and the decisions together. [`run`] compares a group's
//! past with what would have been.

pub mod column;
pub mod figures;
pub mod history;
pub mod model;
pub mod replay;
pub mod report;
pub mod run;
pub mod tune;
