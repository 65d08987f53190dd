//! Tokens of CI: a table of such that have one thing wrong, none of which may pass, and the right ones beside them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod accepted;
mod issuer;
mod keys;
mod refused;
