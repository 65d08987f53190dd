//! Facts become decisions; decisions and edits become commits with their texts.
//!
//! Pure. What was gathered is a value ([`Facts`]); [`decide`] says for every image of every environment what
//! it should run, always with reasons; [`propose`] turns decisions and the edited files into commits that
//! leave nothing to choose. What comes from upstream is in `promote`, what people wish in `hold`, and the
//! life of pull requests in [`pull`].

pub mod command;
mod dashboard;

mod decide;
mod environment;
mod facts;
pub mod gate;
mod hold;
mod message;
mod onboarding;
mod patterns;
mod promote;
mod propose;
pub mod pull;
mod rules;
mod seal;
pub mod state;

pub use dashboard::{Board, DASHBOARD_MARK, compose_board, ticked};
pub use decide::{PutForward, decide, put_forward};
pub use environment::{
    Delivery, Environment, ImageEntry, ImageOverride, ImagePattern, Overlap, PathPattern, PathPatternError, Verify,
    assign,
};
pub use facts::{
    Candidate, CandidateState, EnvironmentFacts, Facts, FactsError, ImageFacts, NamesNow, PromotionFacts, UpstreamFacts,
};
pub use hold::{TakenBack, ended, hold_of, refused, taken_back};
pub use message::{CommitStyle, CommitWords, MessageTemplate, TemplateError, TextTemplate, commit_message};
pub use onboarding::{onboarding_words, propose_file};
pub use patterns::expand;
pub use promote::{held_to_gates, needs_names, next_change, next_gate_change, promotable};
pub use propose::{CommitPlan, Edited, FileChange, decision_id, lane_commit, lane_order, one_shot_id, propose};
pub use rules::{Collaboration, Dashboard, Gates, Grouping, Limits, PullRequestRules, Supersede};
pub use seal::{Bot, Seal};
