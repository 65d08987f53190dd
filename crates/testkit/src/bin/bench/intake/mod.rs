//! What comes in, with the real binary on loopback and fsync on: how fast deliveries are acknowledged, and that none is lost (F6);
//! that bursts reach Git in few pushes (F7); memory (F9); and a start with 100,000 events that wait (F10). Beside it the naive
//! way, a transaction for each event, and what the disk does.
//!
//! Senders and server share the machine: what senders use of it is shown.

mod acknowledge;
mod bursts;
mod database;
mod disk;
mod load;
mod memory;
mod place;
mod restart;

use crate::{Setup, figures::Figures, say};

use database::Database;

/// What of it is measured.
pub(crate) struct Parts(Vec<Part>);

#[derive(Clone, Copy)]
enum Part {
    Acknowledge,
    Bursts,
    Memory,
    Restart,
}

impl Parts {
    /// `intake` is all of it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(Self(match name {
            "intake" => vec![Part::Acknowledge, Part::Bursts, Part::Memory, Part::Restart],
            "intake-acknowledge" => vec![Part::Acknowledge],
            "intake-bursts" => vec![Part::Bursts],
            "intake-memory" => vec![Part::Memory],
            "intake-restart" => vec![Part::Restart],
            _ => return None,
        }))
    }
}

pub(crate) async fn run(setup: &Setup, parts: Parts) {
    say(&format!("loads of {} s, bodies of 8 KB signed each, settle as by default, the log at `info`", setup.rounds));
    let mut figures = Figures::default();
    for database in Database::all(&setup.binary) {
        for part in &parts.0 {
            match part {
                Part::Acknowledge => acknowledge::measure(setup, &database, &mut figures).await,
                Part::Bursts => bursts::measure(setup, &database, &mut figures).await,
                Part::Memory => memory::measure(setup, &database, &mut figures).await,
                Part::Restart => restart::measure(setup, &database, &mut figures).await,
            }
        }
    }
    figures.finish(&[]);
}
