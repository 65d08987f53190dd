//! Fuzz target: announcements of CI with a token of its issuer.

#![no_main]

#[path = "../senders.rs"]
mod senders;

libfuzzer_sys::fuzz_target!(|data: &[u8]| senders::sent(tagboat_intake::Kind::GenericOidc, data));
