//! Facts become decisions; decisions and edits become commits with their texts.
//!
//! Pure. What was gathered is a value ([`Facts`]); [`decide`] says for every image of every environment what
//! it should run, always with reasons; [`propose`] turns decisions and the edited files into commits that
//! leave nothing to choose. Promotion between environments and pull requests are not here yet: every
//! environment chooses by policy and is delivered by commit.

mod decide;
mod environment;
mod facts;
mod message;
mod propose;

pub use decide::{PutForward, decide, put_forward};
pub use environment::{
    Delivery, Environment, ImageEntry, ImageOverride, Overlap, PathPattern, PathPatternError, Verify, assign,
};
pub use facts::{Candidate, CandidateState, EnvironmentFacts, Facts, FactsError, ImageFacts};
pub use message::{CommitStyle, CommitWords, MessageTemplate, TemplateError, commit_message};
pub use propose::{CommitPlan, Edited, FileChange, decision_id, one_shot_id, propose};
