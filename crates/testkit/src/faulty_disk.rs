//! A disk for SQLite that loses, tears or refuses what was not synced, below a real program.
//!
//! The library `shim/unsynced.c` is compiled by `cc` and loaded into the program with `LD_PRELOAD`; its head says what it
//! does and what it does not. This module writes what it is to do into its control file, also while the program runs.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

/// Linux's numbers of what disks say.
pub const EIO: i32 = 5;
/// No space is left.
pub const ENOSPC: i32 = 28;
/// The file system can only be read.
pub const EROFS: i32 = 30;

/// What becomes of writes until they are synced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unsynced {
    /// They are there, as a killed process leaves them.
    #[default]
    Kept,
    /// They are lost with the process.
    Lost,
    /// Some sectors of them are lost with the process.
    Torn,
    /// All are lost, also those that were synced: as if the program had not. A control for tests that find nothing.
    AlsoSynced,
}

/// Calls that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// With which number.
    pub error: i32,
    /// So many succeed before.
    pub after: u32,
    /// And so many fail; without a number all of them.
    pub times: Option<u32>,
}

impl Failing {
    /// All calls from now on.
    #[must_use]
    pub fn always(error: i32) -> Self {
        Self { error, after: 0, times: None }
    }
}

/// When the process is killed, seen from a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AtSync {
    /// Before anything of it is on the disk.
    Before,
    /// When some sectors are.
    During,
    /// When all is, and before the program hears of it.
    After,
}

/// What the disk does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// What becomes of writes until they are synced.
    pub unsynced: Unsynced,
    /// Writes that fail.
    pub writes: Option<Failing>,
    /// Syncs that fail.
    pub syncs: Option<Failing>,
    /// The sync, counted from 1, at which the process is killed.
    pub kill: Option<(AtSync, u32)>,
    /// Which sectors.
    pub seed: u32,
}

/// The disk below one database.
#[derive(Debug)]
pub struct FaultyDisk {
    folder: tempfile::TempDir,
    database: PathBuf,
    control: File,
    changes: AtomicU64,
}

impl FaultyDisk {
    /// For this database file, which need not be there yet. It does nothing at first.
    ///
    /// # Panics
    /// When there is no C compiler.
    #[must_use]
    pub fn below(database: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("unsynced.c");
        std::fs::write(&source, include_str!("../shim/unsynced.c")).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-o"]).arg(folder.path().join("unsynced.so"));
        let output = compiler.arg(source).args(["-ldl", "-lpthread"]).output().expect("cc is installed");
        assert!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
        let control = File::create(folder.path().join("control")).unwrap();
        let disk = Self { folder, database: database.to_owned(), control, changes: AtomicU64::new(0) };
        disk.set(&DiskFaults::default());
        disk
    }

    /// Put it below a program that is about to be started.
    pub fn put_below(&self, program: &mut Command) {
        program
            .env("LD_PRELOAD", self.folder.path().join("unsynced.so"))
            .env("UNSYNCED_PREFIX", &self.database)
            .env("UNSYNCED_CONTROL", self.folder.path().join("control"));
    }

    /// What it does from now on. Counts begin anew.
    ///
    /// # Panics
    /// When the control file cannot be written.
    pub fn set(&self, faults: &DiskFaults) {
        let unsynced = match faults.unsynced {
            Unsynced::Kept => 0,
            Unsynced::Lost => 1,
            Unsynced::Torn => 2,
            Unsynced::AlsoSynced => 3,
        };
        let failing = |failing: Option<Failing>| match failing {
            None => "0 0 0".to_owned(),
            Some(Failing { error, after, times }) => {
                format!("{error} {after} {}", times.map_or_else(|| "-1".to_owned(), |times| times.to_string()))
            }
        };
        let kill = match faults.kill {
            None => "0 0".to_owned(),
            Some((AtSync::Before, number)) => format!("1 {number}"),
            Some((AtSync::During, number)) => format!("2 {number}"),
            Some((AtSync::After, number)) => format!("3 {number}"),
        };
        // The library sees by the whole line that something changed.
        let change = self.changes.fetch_add(1, Ordering::SeqCst);
        let (writes, syncs) = (failing(faults.writes), failing(faults.syncs));
        let line = format!("{unsynced} {writes} {syncs} {kill} {} {change}", faults.seed);
        self.control.write_all_at(format!("{line:200}\n").as_bytes(), 0).unwrap();
    }
}
