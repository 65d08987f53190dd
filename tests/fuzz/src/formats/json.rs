//! Fuzz target: files called `a.json`.

#![no_main]

#[path = "../check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::file("a.json", data));
