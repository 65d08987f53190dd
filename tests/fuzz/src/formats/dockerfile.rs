//! Fuzz target: files called `Dockerfile`.

#![no_main]

#[path = "../check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::file("Dockerfile", data));
