//! Fuzz target: files called `docker-compose.yml`.

#![no_main]

#[path = "../check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::file("docker-compose.yml", data));
