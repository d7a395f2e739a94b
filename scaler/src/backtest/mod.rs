//! What a configuration would do: the same [`decide`](crate::decide::decide) on series that are written down, for a group
//! that is simulated.
//!
//! [`model`] is the group, and [`replay`] puts the series, the group and the decisions together.

pub mod model;
pub mod replay;
