//! What the fuzz targets of senders share: a request from the bytes of an input.
//!
//! An input is lines `Name: value`, an empty line, and the body.

#![allow(dead_code, reason = "each target uses its part")]

#[path = "senders/check.rs"]
pub mod check;

use std::sync::OnceLock;

use tagboat_intake::{Headers, Kind};

use check::Receivers;

/// Read a request as each receiver of this kind does, and hold what comes of it to what must hold.
pub fn sent(kind: Kind, data: &[u8]) {
    // A target has one kind.
    static RECEIVERS: OnceLock<Receivers> = OnceLock::new();
    let (headers, body) = parts(data);
    let faults = RECEIVERS.get_or_init(|| Receivers::of(kind)).faults(&headers, body);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The headers and the body. Without an empty line the last line is the body.
pub fn parts(mut data: &[u8]) -> (Headers, &[u8]) {
    let mut headers: Vec<(String, String)> = Vec::new();
    while let Some(end) = data.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&data[..end]);
        data = &data[end + 1..];
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    (headers.into_iter().collect(), data)
}
