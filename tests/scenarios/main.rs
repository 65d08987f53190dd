//! Whole scenarios through the real binary, against real servers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod bad_input;
mod branches;
mod chaos;
mod choosing;
mod ci_events;
mod ci_snippets;
mod commands;
mod crashes;
mod demo;
mod deploy;
mod disk_faults;
mod explain;
mod feed;
mod folder;
mod hostile;
mod lost_writes;
mod main_job;
mod notify;
mod observed;
mod plan;
mod policy;
mod promotion;
mod replicas;
mod senders_cli;
mod update;
mod world;
mod writers;
