//! The points at which the server is killed.

use std::time::Duration;

use super::{
    gate::STATEMENT,
    senders::SENDER,
    trap::{Moment, Point},
};
use crate::{AtSync, Database, DiskFaults, Unsynced};

/// Requests of the server that pass a gate.
const PLACES: [&str; 12] = [
    "registry digest",
    "registry manifest",
    "registry blob",
    "registry list tags",
    "git refs before fetch",
    "git fetch",
    "git refs before push",
    "git push",
    "forge list pull requests",
    "forge open pull request",
    "forge change pull request",
    "forge comment",
];
/// A start syncs a few times, and so does each step of the work after it.
const MOST_SYNCS: u32 = 16;
/// Likewise for statements.
const MOST_STATEMENTS: u32 = 120;

/// A point in the life of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailPoint {
    /// So many parts of 300 of the longest wait after it was started: before, or just after, it listens.
    Start(u32),
    /// So many parts of 300 of the longest wait after it was started, whatever it does.
    Random(u32),
    /// At something that is seen from outside.
    Outside(Point),
    /// At a sync of SQLite's files.
    Sync(AtSync, u32),
}

impl FailPoint {
    /// One of them all, each kind as often as another.
    pub(super) fn choose(random: &mut fastrand::Rng, database: &Database) -> Self {
        let moment = if random.bool() { Moment::Asked } else { Moment::Answered };
        let outside = |place, time| Self::Outside(Point { place, moment, time });
        match random.u32(..20) {
            0..2 => Self::Random(random.u32(20..200)),
            2 => Self::Start(random.u32(..30)),
            3..5 => outside(SENDER, random.u32(1..=8)),
            5..10 => match database {
                Database::Sqlite => {
                    let moment = [AtSync::Before, AtSync::During, AtSync::After][random.usize(..3)];
                    Self::Sync(moment, random.u32(1..=MOST_SYNCS))
                }
                Database::Postgres { .. } => outside(STATEMENT, random.u32(1..=MOST_STATEMENTS)),
            },
            _ => outside(PLACES[random.usize(..PLACES.len())], random.u32(1..=2)),
        }
    }

    /// What a report calls it.
    pub(super) fn name(self) -> String {
        match self {
            Self::Start(_) => "start".to_owned(),
            Self::Random(_) => "random".to_owned(),
            Self::Outside(Point { place, moment, .. }) => {
                let moment = if moment == Moment::Asked { "asked" } else { "answered" };
                format!("{place}, {moment}")
            }
            Self::Sync(moment, number) => {
                let moment = format!("{moment:?}").to_lowercase();
                format!("sync {number}, {moment}")
            }
        }
    }

    /// For the trap.
    pub(super) fn outside(self) -> Option<Point> {
        match self {
            Self::Outside(point) => Some(point),
            Self::Start(_) | Self::Random(_) | Self::Sync(..) => None,
        }
    }

    /// For the disk. One life in three also loses what was not synced, and one in three tears it.
    pub(super) fn disk(self, random: &mut fastrand::Rng) -> DiskFaults {
        let unsynced = [Unsynced::Kept, Unsynced::Lost, Unsynced::Torn][random.usize(..3)];
        let kill = match self {
            Self::Sync(moment, number) => Some((moment, number)),
            Self::Start(_) | Self::Random(_) | Self::Outside(_) => None,
        };
        DiskFaults { unsynced, kill, seed: random.u32(..), ..DiskFaults::default() }
    }

    /// After this long it is not waited for any longer. `longest` is how long points are waited for now.
    pub(super) fn patience(self, longest: Duration) -> Duration {
        match self {
            Self::Start(hundredths) | Self::Random(hundredths) => longest * hundredths / 300,
            Self::Outside(_) | Self::Sync(..) => longest,
        }
    }
}
