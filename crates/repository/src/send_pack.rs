//! The sending side of Git's `receive-pack`: advertisement, command, pack, report.
//!
//! Protocol: `gitprotocol-pack(5)`, versions 0 and 1 (receive-pack knows no other). The old id in the command
//! makes every push a compare-and-swap at the server.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use gix::{
    ObjectId,
    protocol::transport::{
        Service,
        client::{
            MessageKind, WriteMode,
            blocking_io::{ReadlineBufRead as _, Transport},
        },
    },
};

use crate::{Failure, commit::NewObjects, link::unreachable};

/// What the server said first.
pub(crate) struct Advertised {
    /// Every ref with its id.
    pub(crate) refs: BTreeMap<String, ObjectId>,
    capabilities: String,
    sideband: bool,
}

/// Move `name` from `old` to `new`.
pub(crate) struct RefUpdate<'n> {
    pub(crate) name: &'n str,
    pub(crate) old: ObjectId,
    pub(crate) new: ObjectId,
}

/// What the server said last.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Its words when it did not do it: the reason, and what its hooks printed.
    pub(crate) refusal: Option<String>,
}

/// Read the advertisement.
pub(crate) fn advertised(transport: &mut (dyn Transport + Send)) -> Result<Advertised, Failure> {
    let response = transport.handshake(Service::ReceivePack, &[]).map_err(unreachable)?;
    let has = |name: &str| response.capabilities.contains(name);
    if !has("report-status") {
        return Err(Failure::permanent("the server does not report what became of a push (no `report-status`)"));
    }
    let mut capabilities = String::from(concat!(" report-status agent=tagboat/", env!("CARGO_PKG_VERSION")));
    let sideband = has("side-band-64k");
    for name in ["side-band-64k", "atomic", "quiet"] {
        if has(name) {
            capabilities.push(' ');
            capabilities.push_str(name);
        }
    }
    let mut refs = BTreeMap::new();
    if let Some(mut lines) = response.refs {
        let mut line = String::new();
        loop {
            line.clear();
            if lines.readline_str(&mut line).map_err(unreachable)? == 0 {
                break;
            }
            let Some((id, name)) = line.trim_end().split_once(' ') else { continue };
            // `capabilities^{}` stands for "no refs at all", `.have` for objects of forks.
            if name != "capabilities^{}" && name != ".have" {
                let id = ObjectId::from_hex(id.as_bytes()).map_err(unreachable)?;
                refs.insert(name.split('\0').next().unwrap_or(name).to_owned(), id);
            }
        }
    }
    Ok(Advertised { refs, capabilities, sideband })
}

/// Send one command with its objects and read the report.
pub(crate) fn send(
    transport: &mut (dyn Transport + Send),
    advertised: &Advertised,
    update: &RefUpdate<'_>,
    objects: &NewObjects,
) -> Result<Report, Failure> {
    let pack = pack(objects)?;
    let mut writer = transport.request(WriteMode::Binary, MessageKind::Flush, false).map_err(unreachable)?;
    let RefUpdate { name, old, new } = update;
    writer.write_all(format!("{old} {new} {name}\0{}\n", advertised.capabilities).as_bytes()).map_err(unreachable)?;
    writer.write_message(MessageKind::Flush).map_err(unreachable)?;
    let (mut raw, mut reader) = writer.into_parts();
    raw.write_all(&pack).and_then(|()| raw.flush()).map_err(unreachable)?;
    // The server answers when our side is closed.
    drop(raw);
    let messages = Arc::new(Mutex::new(Vec::new()));
    let mut status = Vec::new();
    if advertised.sideband {
        let kept = Arc::clone(&messages);
        reader.set_progress_handler(Some(Box::new(move |_is_error: bool, text: &[u8]| {
            if let Ok(mut kept) = kept.lock() {
                kept.extend_from_slice(text);
                kept.push(b'\n');
            }
            ControlFlow::Continue(())
        })));
        reader.read_to_end(&mut status).map_err(unreachable)?;
    } else {
        let mut line = String::new();
        while reader.readline_str(&mut line).map_err(unreachable)? > 0 {
            let text = line.trim_end();
            status.extend_from_slice(format!("{:04x}{text}\n", text.len() + 5).as_bytes());
            line.clear();
        }
    }
    drop(reader);
    let messages = messages.lock().map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
    Ok(read_report(&status, name, &messages))
}

fn pack(objects: &NewObjects) -> Result<Vec<u8>, Failure> {
    let failed = |error: gix::Error| Failure::temporary("the pack could not be made").because(error);
    let mut pack = Vec::new();
    let entries = objects.iter().map(|(id, kind, data)| {
        let count = gix_pack::data::output::Count {
            id: *id,
            entry_pack_location: gix_pack::data::output::count::PackLocation::NotLookedUp,
        };
        let data = gix::objs::Data { kind: *kind, object_hash: gix::hash::Kind::Sha1, data };
        gix_pack::data::output::Entry::from_data(&count, &data, gix::zlib::Compression::DEFAULT)
            .map(|entry| vec![entry])
    });
    let length = u32::try_from(objects.len()).map_err(|_| Failure::permanent("too many objects for one push"))?;
    let written = gix_pack::data::output::bytes::FromEntriesIter::new(
        entries,
        &mut pack,
        length,
        gix_pack::data::Version::V2,
        gix::hash::Kind::Sha1,
    );
    for step in written {
        step.map_err(&failed)?;
    }
    Ok(pack)
}

/// The report is a list of packet lines: `unpack ok`, then `ok <ref>` or `ng <ref> <reason>`.
fn read_report(mut status: &[u8], name: &str, messages: &str) -> Report {
    let (mut done, mut words) = (false, Vec::new());
    while let Some(length) = status
        .get(..4)
        .and_then(|hex| std::str::from_utf8(hex).ok())
        .and_then(|hex| usize::from_str_radix(hex, 16).ok())
    {
        let Some(line) = status.get(4..length) else { break };
        let line = String::from_utf8_lossy(line).trim_end().to_owned();
        status = &status[length..];
        if line.strip_prefix("ok ") == Some(name) {
            done = true;
        } else if line != "unpack ok" {
            words.push(line.strip_prefix("ng ").unwrap_or(&line).to_owned());
        }
    }
    if done {
        return Report::default();
    }
    words.push(messages.to_owned());
    Report { refusal: Some(words.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            bytes.extend_from_slice(format!("{:04x}{line}\n", line.len() + 5).as_bytes());
        }
        bytes.extend_from_slice(b"0000");
        bytes
    }

    #[test]
    fn only_an_ok_for_our_ref_is_success() {
        let main = "refs/heads/main";
        assert!(read_report(&lines(&["unpack ok", "ok refs/heads/main"]), main, "").refusal.is_none());
        for report in [
            lines(&["unpack ok", "ng refs/heads/main failed to update ref"]),
            lines(&["unpack ok", "ok refs/heads/other"]),
            lines(&["unpack index-pack failed"]),
            Vec::new(),
            b"zzzz".to_vec(),
            b"ffff".to_vec(),
        ] {
            assert!(read_report(&report, main, "hook says no").refusal.is_some());
        }
    }

    #[test]
    fn a_refusal_keeps_the_reason_and_what_hooks_printed() {
        let report = read_report(
            &lines(&["unpack ok", "ng refs/heads/main hook declined"]),
            "refs/heads/main",
            "only on Mondays",
        );
        assert_eq!(report.refusal.unwrap(), "refs/heads/main hook declined; only on Mondays");
    }
}
