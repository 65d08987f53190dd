//! Promotions, gates and holds as users speak of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod gates;
mod groups;
mod properties;
mod upstream;
mod wishes;
mod world;
