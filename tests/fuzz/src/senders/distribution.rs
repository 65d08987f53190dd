//! Fuzz target: the notifications of distribution.

#![no_main]

#[path = "../senders.rs"]
mod senders;

libfuzzer_sys::fuzz_target!(|data: &[u8]| senders::sent(tagboat_intake::Kind::Distribution, data));
