//! Fuzz target: the notifications of Quay.

#![no_main]

#[path = "../senders.rs"]
mod senders;

libfuzzer_sys::fuzz_target!(|data: &[u8]| senders::sent(tagboat_intake::Kind::Quay, data));
