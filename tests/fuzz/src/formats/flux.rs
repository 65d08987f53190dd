//! Fuzz target: files called `flux.yaml`.

#![no_main]

#[path = "../check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::file("flux.yaml", data));
