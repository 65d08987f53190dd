//! Fuzz target: files called `.argocd-source-web.yaml`.

#![no_main]

#[path = "../check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::file(".argocd-source-web.yaml", data));
