//! The words of Tagboat as types: parse, print, compare.
//!
//! This crate does no I/O, reads no clock and decides nothing. What a word means is written in the
//! glossary of `crates/README.md`; here is how it is spelled and which spellings are refused.

mod command;
mod decision;
mod event;
mod gate;
mod hold;
mod image;
mod key_source;
mod name;
mod pattern;
mod platform;
mod pull_request;
mod ran;
mod reason;
mod reason_promotion;
mod reference;
mod shown;
mod signature;
mod time;

pub use command::{Command, CommandAnswer, CommandOrigin, CommandOutcome, CommandRecord, Commander, Target};
pub use decision::{Decision, Outcome};
pub use event::{BuildFinished, Event, ImagePushed, RepositoryChange, RepositoryChanged, Source, Trust};
pub use gate::{Gate, GateName, GateState, Stage};
pub use hold::{Hold, Person, Until, Wish};
pub use image::{Digest, ImageError, ImageName, Tag, Version, WrittenImage};
pub use key_source::KeySource;
pub use name::{
    BranchKey, BranchName, CommandId, CommitId, DecisionId, DeliveryId, EntryName, EnvironmentName, EventId, GroupName,
    HoldId, NameError, ReceiverName, RepositoryName, TenantName,
};
pub use pattern::{Pattern, PatternError};
pub use platform::{Platform, PlatformError};
pub use pull_request::{
    Account, Check, CheckState, Comment, Comparison, Decoration, ForgeKind, ForgeTraits, MergeMethod, Permission,
    PullRequest, PullState, Review, ReviewState,
};
pub use ran::{PutBy, Ran, RanIn, Rollout, RolloutState};
pub use reason::Reason;
pub use reference::{
    Edit, ExplicitPlace, Format, Locator, Parts, Pin, PlacePart, Reference, Scalar, ScalarStyle, Uneditable,
    is_ignored_in_names, is_reserved_path,
};
pub use shown::{is_bidirectional, shown};
pub use signature::{Identity, SignatureRule};
pub use time::{Duration, DurationError, Timestamp, TimestampError};
