//! Pull requests and the commands that people give on them, against a small forge in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod commands;
mod forge;
mod life;
mod merging;
mod reading;
