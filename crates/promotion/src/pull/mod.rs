//! The life of pull requests: what is wanted and what is open become steps that leave nothing to choose.
//!
//! Pure. [`plan()`] is the whole state machine. Texts are in `text`, what a pull request remembers in `block`.

mod block;
mod identity;
mod plan;

pub mod text;

use tagboat_model::{
    BranchName, Check, CommitId, Comparison, Decision, Decoration, EntryName, EnvironmentName, ForgeTraits, GroupName,
    Hold, HoldId, MergeMethod, PullRequest, RanIn, Reason, Reference, Review, Timestamp, Version,
};

pub use block::{Block, BlockChange, block_in};
pub(crate) use identity::fingerprint;
pub use identity::{branch_of, content_of};
pub use plan::{STOP_LABEL, is_approved, is_stuck, plan};

use crate::{Bot, CommitPlan, Environment, Limits};

/// The image entries of an environment that change together, as they are wanted now.
#[derive(Debug)]
pub struct Lane<'l> {
    /// The environment, with its rules.
    pub environment: &'l Environment,
    /// The group.
    pub group: GroupName,
    /// The branch that pull requests go into.
    pub base: BranchName,
    /// What was decided for its entries. An entry without a decision was not looked at: nothing follows for it.
    pub decisions: Vec<&'l Decision>,
    /// What is to be offered, in the order of the entries. Empty when nothing is.
    pub changes: Vec<LaneChange<'l>>,
    /// The one commit that carries all of `changes` on the head of `base`.
    pub commit: Option<CommitPlan>,
}

/// One image that a lane changes.
#[derive(Debug, Clone)]
pub struct LaneChange<'l> {
    /// The decision.
    pub decision: &'l Decision,
    /// The version it chose.
    pub version: &'l Version,
    /// The places that are edited.
    pub references: Vec<Reference>,
    /// Where it comes from.
    pub story: Story,
}

/// Where a version comes from, for reviewers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Story {
    /// Where it ran before, and runs, in the order of promotion.
    pub ran: Vec<RanIn>,
    /// The address of its source repository, from the label `org.opencontainers.image.source`.
    pub source: Option<String>,
    /// The revisions of the source that run now and would run, from the label `org.opencontainers.image.revision`.
    pub revisions: (Option<String>, Option<String>),
    /// What lies between the two, where the forge told us.
    pub comparison: Option<Comparison>,
    /// Who or what made Tagboat look: `pushed by alice, said receiver hub`.
    pub trigger: Option<String>,
}

/// A pull request with what was read of it.
#[derive(Debug, Clone)]
pub struct KnownPull {
    /// As the forge has it.
    pub pull: PullRequest,
    /// Whether there are commits on its branch that are not the bot's.
    pub foreign: bool,
    /// [`content_of`] the commit on its branch, as whoever pushed it noted it: what it brings, where its block is lost.
    pub own_content: Option<String>,
    /// Its reviews; empty where they were not needed.
    pub reviews: Vec<Review>,
    /// The checks of its head; empty where they were not needed.
    pub checks: Vec<Check>,
}

/// Everything that the life of pull requests into one branch depends on.
#[derive(Debug)]
pub struct PullFacts<'p> {
    /// Now.
    pub now: Timestamp,
    /// What the forge has.
    pub traits: &'p ForgeTraits,
    /// Who the bot is.
    pub bot: &'p Bot,
    /// The branch.
    pub base: &'p BranchName,
    /// The lanes of its environments that are delivered by pull request.
    pub lanes: Vec<Lane<'p>>,
    /// The pull requests of the bot's branches, whatever they go into.
    pub pulls: &'p [KnownPull],
    /// All holds of the repository that are not released.
    pub holds: &'p [Hold],
    /// How much is done at most.
    pub limits: Limits,
    /// Pull requests that people want to have built anew, also over their own commits.
    pub rebuild: &'p [u64],
    /// Pull requests that people want to have merged, with the head that they saw.
    pub merge: &'p [(u64, CommitId)],
}

/// What is to be done, in this order.
#[derive(Debug, Default)]
pub struct PullPlan {
    /// The steps.
    pub steps: Vec<PullStep>,
    /// What follows for decisions: the first reason that people are to read.
    pub reasons: Vec<(EnvironmentName, EntryName, Reason)>,
    /// When something changes by itself that no decision's gates say.
    pub wake_at: Option<Timestamp>,
}

/// One step. Each can be done twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullStep {
    /// Make the branch, then open the pull request.
    Open {
        /// The branch.
        head: BranchName,
        /// Where a branch of that name stands, left over from before.
        old: Option<CommitId>,
        /// Its one commit.
        commit: CommitPlan,
        /// The title.
        title: String,
        /// The text.
        body: String,
        /// Whether as a draft.
        draft: bool,
        /// What it carries beside.
        decoration: Decoration,
    },
    /// Make the branch consist of this commit on the head of the base.
    Rebuild {
        /// The pull request.
        number: u64,
        /// Its branch.
        head: BranchName,
        /// Where that stands.
        old: CommitId,
        /// Its one commit.
        commit: CommitPlan,
    },
    /// Change title, text, draft.
    Edit {
        /// The pull request.
        number: u64,
        /// The title, if it changes.
        title: Option<String>,
        /// The text, if it changes.
        body: Option<String>,
        /// Whether it is a draft, if that changes.
        draft: Option<bool>,
    },
    /// Say something once.
    Comment {
        /// The pull request.
        number: u64,
        /// What makes the comment be the same again.
        mark: String,
        /// The text.
        body: String,
    },
    /// Close it: it is needed no longer.
    Close {
        /// The pull request.
        number: u64,
        /// The title.
        title: String,
        /// The text, whose block says that Tagboat closed it.
        body: String,
        /// The branch to delete, and where it stands.
        delete: Option<(BranchName, CommitId)>,
    },
    /// Delete the branch of a pull request that is over.
    DeleteBranch {
        /// The branch.
        head: BranchName,
        /// Where it stands.
        old: CommitId,
    },
    /// Place holds: people closed it.
    Refuse {
        /// The holds.
        holds: Vec<Hold>,
    },
    /// Release holds: people opened it again. Only once the pull request says so: else closing it again would mean nothing.
    Permit {
        /// Its number.
        number: u64,
        /// The holds.
        ids: Vec<HoldId>,
    },
    /// Set a commit status.
    Status {
        /// The commit.
        commit: CommitId,
        /// The status.
        status: Check,
    },
    /// Have the forge merge it once it can, or no longer.
    AutoMerge {
        /// The pull request.
        number: u64,
        /// The head that was looked at.
        head: CommitId,
        /// How.
        method: MergeMethod,
        /// Whether.
        wanted: bool,
    },
    /// Merge it now.
    Merge {
        /// The pull request.
        number: u64,
        /// The head that was looked at.
        head: CommitId,
        /// How.
        method: MergeMethod,
        /// The message.
        message: String,
    },
}
