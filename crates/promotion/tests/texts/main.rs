//! What pull requests, comments, the dashboard and proposals say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]
#![allow(clippy::too_many_lines, reason = "snapshots are long")]

mod others;
mod pulls;
mod values;
