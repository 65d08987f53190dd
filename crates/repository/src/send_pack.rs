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

use tagboat_ports::STATE_REF;

use crate::{Failure, commit::NewObjects, link::unreachable};

/// Bytes of names of branches that are read of one server.
const MOST_NAMES: usize = 64 << 20;
/// What is read of a report, and kept of what hooks print.
const LONGEST_REPORT: u64 = 4 << 20;
const MOST_MESSAGES: usize = 64 * 1024;

/// What the server said first.
pub(crate) struct Advertised {
    /// Every branch with its id, and where the bot writes things down.
    pub(crate) refs: BTreeMap<String, ObjectId>,
    /// What of it is made use of.
    capabilities: String,
    sideband: bool,
    atomic: bool,
    delete_refs: bool,
    /// Whether push options are taken.
    pub(crate) push_options: bool,
}

/// Move a ref, make one (no `old`), or delete one (no `new`), if it is at `old`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefUpdate {
    pub(crate) name: String,
    pub(crate) old: Option<ObjectId>,
    pub(crate) new: Option<ObjectId>,
}

/// What the server said last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Why the pack could not be stored.
    unpack: Option<String>,
    /// Per ref nothing, or why it was not moved.
    refs: BTreeMap<String, Option<String>>,
    /// Refs that it said nothing of.
    silent: Vec<String>,
    /// What its hooks printed.
    messages: String,
}

impl Report {
    /// Whether it says of every ref that it was moved.
    pub(crate) fn is_ok(&self) -> bool {
        self.unpack.is_none() && self.silent.is_empty() && self.refs.values().all(Option::is_none)
    }

    /// Its words when it was not.
    pub(crate) fn words(&self) -> String {
        let mut words: Vec<String> = self.unpack.iter().map(|why| format!("the pack was not taken: {why}")).collect();
        words.extend(self.refs.iter().filter_map(|(name, why)| Some(format!("{name} {}", why.as_ref()?))));
        words.extend(self.silent.iter().map(|name| format!("{name} was not reported")));
        words.push(self.messages.clone());
        words.join("; ")
    }
}

/// Read the advertisement.
pub(crate) fn advertised(transport: &mut (dyn Transport + Send)) -> Result<Advertised, Failure> {
    let response = transport.handshake(Service::ReceivePack, &[]).map_err(unreachable)?;
    let has = |name: &str| response.capabilities.contains(name);
    if !has("report-status") {
        return Err(Failure::permanent(
            "the server does not report what became of a push (no `report-status`); set `pushWith: git`",
        ));
    }
    let format = response.capabilities.capability("object-format").and_then(|it| it.value().map(ToString::to_string));
    if let Some(format) = format.filter(|format| format != "sha1") {
        return Err(Failure::permanent(format!("repositories of the kind `{format}` are not supported, only sha1")));
    }
    let mut capabilities = String::from(concat!(" report-status agent=tagboat/", env!("CARGO_PKG_VERSION")));
    for name in ["side-band-64k", "quiet"].into_iter().filter(|name| has(name)) {
        capabilities.push(' ');
        capabilities.push_str(name);
    }
    let (sideband, atomic, delete_refs) = (has("side-band-64k"), has("atomic"), has("delete-refs"));
    let push_options = has("push-options");
    let mut refs = BTreeMap::new();
    if let Some(mut lines) = response.refs {
        let (mut line, mut names) = (String::new(), 0);
        loop {
            line.clear();
            if lines.readline_str(&mut line).map_err(unreachable)? == 0 {
                break;
            }
            let Some((id, name)) = line.trim_end().split_once(' ') else { continue };
            let name = name.split('\0').next().unwrap_or(name);
            // Other refs are none of ours; neither are `capabilities^{}` ("no refs at all"), `.have` (objects of forks) and
            // `shallow` (where the server's own history ends).
            if !name.starts_with("refs/heads/") && name != STATE_REF {
                continue;
            }
            refs.insert(name.to_owned(), ObjectId::from_hex(id.as_bytes()).map_err(unreachable)?);
            names += name.len();
            if names > MOST_NAMES {
                return Err(Failure::permanent(format!(
                    "the server has branches of more than {MOST_NAMES} bytes of names"
                )));
            }
        }
    }
    Ok(Advertised { refs, capabilities, sideband, atomic, delete_refs, push_options })
}

/// Send commands with their objects and options, and read the report.
pub(crate) fn send(
    transport: &mut (dyn Transport + Send),
    advertised: &Advertised,
    updates: &[RefUpdate],
    objects: &NewObjects,
    options: &[String],
) -> Result<Report, Failure> {
    let options: &[String] = if advertised.push_options { options } else { &[] };
    let commands = commands(advertised, updates, !options.is_empty())?;
    // A push that only deletes has no pack (`gitprotocol-pack(5)`, "Reference Update Request").
    let pack = if updates.iter().any(|update| update.new.is_some()) { pack(objects)? } else { Vec::new() };
    let mut writer = transport.request(WriteMode::Binary, MessageKind::Flush, false).map_err(unreachable)?;
    for command in commands {
        writer.write_all(command.as_bytes()).map_err(unreachable)?;
    }
    writer.write_message(MessageKind::Flush).map_err(unreachable)?;
    // Announced among the capabilities, they are a list of their own (`gitprotocol-pack(5)`, "push-options").
    for option in options {
        writer.write_all(option.as_bytes()).map_err(unreachable)?;
    }
    if !options.is_empty() {
        writer.write_message(MessageKind::Flush).map_err(unreachable)?;
    }
    let (mut raw, mut reader) = writer.into_parts();
    raw.write_all(&pack).and_then(|()| raw.flush()).map_err(unreachable)?;
    // The server answers when our side is closed.
    drop(raw);
    let messages = Arc::new(Mutex::new(Vec::new()));
    let mut status = Vec::new();
    if advertised.sideband {
        let kept = Arc::clone(&messages);
        reader.set_progress_handler(Some(Box::new(move |_is_error: bool, text: &[u8]| {
            if let Ok(mut kept) = kept.lock()
                && kept.len() < MOST_MESSAGES
            {
                kept.extend_from_slice(text);
                kept.push(b'\n');
            }
            ControlFlow::Continue(())
        })));
        (&mut reader).take(LONGEST_REPORT).read_to_end(&mut status).map_err(unreachable)?;
    } else {
        let mut line = String::new();
        while reader.readline_str(&mut line).map_err(unreachable)? > 0 && status.len() as u64 <= LONGEST_REPORT {
            let text = line.trim_end();
            status.extend_from_slice(format!("{:04x}{text}\n", text.len() + 5).as_bytes());
            line.clear();
        }
    }
    drop(reader);
    let messages = messages.lock().map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
    Ok(read_report(&status, updates, messages))
}

fn commands(advertised: &Advertised, updates: &[RefUpdate], with_options: bool) -> Result<Vec<String>, Failure> {
    if updates.len() > 1 && !advertised.atomic {
        return Err(Failure::permanent("the server cannot move several branches together (no `atomic`)"));
    }
    if updates.iter().any(|update| update.new.is_none()) && !advertised.delete_refs {
        return Err(Failure::permanent("the server does not let branches be deleted (no `delete-refs`)"));
    }
    let atomic = if updates.len() > 1 { " atomic" } else { "" };
    let push_options = if with_options { " push-options" } else { "" };
    let null = ObjectId::null(gix::hash::Kind::Sha1);
    let command = |(index, RefUpdate { name, old, new }): (usize, &RefUpdate)| {
        let (old, new) = (old.unwrap_or(null), new.unwrap_or(null));
        match index {
            0 => format!("{old} {new} {name}\0{}{atomic}{push_options}\n", advertised.capabilities),
            _ => format!("{old} {new} {name}\n"),
        }
    };
    Ok(updates.iter().enumerate().map(command).collect())
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
fn read_report(mut status: &[u8], updates: &[RefUpdate], messages: String) -> Report {
    let mut report = Report { unpack: Some("it was not reported".to_owned()), messages, ..Report::default() };
    while let Some(length) = status
        .get(..4)
        .and_then(|hex| std::str::from_utf8(hex).ok())
        .and_then(|hex| usize::from_str_radix(hex, 16).ok())
    {
        let Some(line) = status.get(4..length) else { break };
        let line = String::from_utf8_lossy(line).trim_end().to_owned();
        status = status.get(length..).unwrap_or_default();
        match line.split_once(' ') {
            Some(("unpack", "ok")) => report.unpack = None,
            Some(("unpack", why)) => report.unpack = Some(why.to_owned()),
            Some(("ok", name)) => {
                report.refs.entry(name.to_owned()).or_insert(None);
            }
            Some(("ng", rest)) => {
                let (name, why) = rest.split_once(' ').unwrap_or((rest, "was refused"));
                report.refs.insert(name.to_owned(), Some(why.to_owned()));
            }
            _ => {}
        }
    }
    let names = updates.iter().map(|update| &update.name);
    report.silent = names.filter(|name| !report.refs.contains_key(*name)).cloned().collect();
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "refs/heads/main";

    fn lines(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            bytes.extend_from_slice(format!("{:04x}{line}\n", line.len() + 5).as_bytes());
        }
        bytes.extend_from_slice(b"0000");
        bytes
    }

    fn update(name: &str, old: bool, new: bool) -> RefUpdate {
        let id = |there: bool| there.then(|| ObjectId::from_hex("1".repeat(40).as_bytes()).unwrap());
        RefUpdate { name: name.to_owned(), old: id(old), new: id(new) }
    }

    fn read(status: &[u8], messages: &str) -> Report {
        read_report(status, &[update(MAIN, true, true)], messages.to_owned())
    }

    #[test]
    fn only_an_ok_for_every_ref_is_success() {
        assert!(read(&lines(&["unpack ok", "ok refs/heads/main"]), "").is_ok());
        for report in [
            lines(&["unpack ok", "ng refs/heads/main failed to update ref"]),
            lines(&["unpack ok", "ok refs/heads/other"]),
            lines(&["unpack ok", "ok refs/heads/main", "ng refs/heads/main after all not"]),
            lines(&["unpack ok", "ng refs/heads/main no", "ok refs/heads/main"]),
            lines(&["unpack index-pack failed", "ok refs/heads/main"]),
            lines(&["ok refs/heads/main"]),
            Vec::new(),
            b"zzzz".to_vec(),
            b"ffff".to_vec(),
            b"0001".to_vec(),
        ] {
            assert!(!read(&report, "hook says no").is_ok(), "{}", String::from_utf8_lossy(&report));
        }
        let both = [update(MAIN, true, true), update("refs/heads/tagboat/x", false, true)];
        assert!(!read_report(&lines(&["unpack ok", "ok refs/heads/main"]), &both, String::new()).is_ok());
    }

    #[test]
    fn a_refusal_keeps_the_reason_and_what_hooks_printed() {
        let report = read(&lines(&["unpack ok", "ng refs/heads/main hook declined"]), "only on Mondays");
        assert_eq!(report.words(), "refs/heads/main hook declined; only on Mondays");
    }

    #[test]
    fn several_refs_are_moved_together_or_not_at_all() {
        let advertised = |atomic, delete_refs| Advertised {
            refs: BTreeMap::new(),
            capabilities: " report-status".to_owned(),
            sideband: false,
            atomic,
            delete_refs,
            push_options: true,
        };
        let both = [update(MAIN, true, true), update("refs/heads/tagboat/x", false, true)];
        let (one, zero) = ("1".repeat(40), "0".repeat(40));
        assert_eq!(
            commands(&advertised(true, false), &both, false).unwrap(),
            [format!("{one} {one} {MAIN}\0 report-status atomic\n"), format!("{zero} {one} refs/heads/tagboat/x\n")]
        );
        assert!(commands(&advertised(false, false), &both, false).is_err());
        let gone = [update("refs/heads/tagboat/x", true, false)];
        assert!(commands(&advertised(true, false), &gone, false).is_err());
        let commands = commands(&advertised(true, true), &gone, true).unwrap();
        assert_eq!(commands, [format!("{one} {zero} refs/heads/tagboat/x\0 report-status push-options\n")]);
    }
}
