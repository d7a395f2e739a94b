//! AWS that refuses, throttles, answers too late or is used by somebody else at the same time.

use anyhow::Result;
use jitsi_tests::asg_sim::{Component, ErrorCode, Fault, GroupChange, GroupView};

use crate::{GROUP, Scene, WANTING, group};
