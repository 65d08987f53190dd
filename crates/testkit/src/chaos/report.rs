//! What a run came to.

use std::{collections::BTreeMap, fmt};

use super::Setup;

/// Counts of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// With which it can be run again.
    pub seed: u64,
    /// The database, in a word.
    pub database: &'static str,
    /// How often the server was killed at each point. A point that was not reached in time counts as `random`.
    pub kills: BTreeMap<String, u32>,
    /// Copies of announcements that were to be delivered.
    pub copies: u64,
    /// Answers with success.
    pub successes: u64,
    /// Announcements that were answered with success.
    pub accepted: usize,
    /// Of these, whose version is in Git.
    pub done: usize,
    /// Whose version was overtaken by a later one before it came to Git.
    pub overtaken: usize,
    /// Which were refused, with a reason.
    pub refused: usize,
    /// Commits of ours on the branch.
    pub commits: usize,
    /// Commits of people, which are all there.
    pub peoples: usize,
    /// Pull requests that were opened.
    pub pulls: usize,
    /// Of these, merged by people.
    pub merged: u32,
    /// Commands in comments.
    pub commands: u32,
    /// Comments of ours.
    pub comments: usize,
    /// Commits, pull requests and comments that are there twice.
    pub duplicates: usize,
    /// How long it took.
    pub seconds: u64,
    /// Promises that were broken.
    pub(super) broken: Vec<String>,
}

impl Report {
    pub(super) fn new(setup: &Setup) -> Self {
        Self { seed: setup.seed, database: setup.database.name(), ..Self::default() }
    }

    /// All kills.
    #[must_use]
    pub fn killed(&self) -> u32 {
        self.kills.values().sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, database, copies, successes, accepted, done, overtaken, refused, .. } = self;
        writeln!(
            f,
            "seed {seed}, {database}: {} kills at {} points in {} s",
            self.killed(),
            self.kills.len(),
            self.seconds
        )?;
        writeln!(f, "  {copies} copies delivered, {successes} successes for {accepted} announcements:")?;
        writeln!(f, "    {done} done, {overtaken} overtaken by a later version, {refused} refused with a reason")?;
        let Self { commits, peoples, pulls, merged, commands, comments, duplicates, .. } = self;
        writeln!(f, "  {commits} commits of ours, {peoples} of people")?;
        writeln!(f, "  {pulls} pull requests, {merged} merged; {commands} commands, {comments} comments of ours")?;
        writeln!(f, "  {duplicates} duplicates")?;
        for (point, count) in &self.kills {
            writeln!(f, "  {count:>5} {point}")?;
        }
        Ok(())
    }
}
