//! The words of Tagboat as types: parse, print, compare.
//!
//! This crate does no I/O, reads no clock and decides nothing. What a word means is written in the
//! glossary of `crates/README.md`; here is how it is spelled and which spellings are refused.

mod decision;
mod event;
mod image;
mod key_source;
mod name;
mod pattern;
mod platform;
mod reason;
mod reference;
mod shown;
mod signature;
mod time;

pub use decision::{Decision, Outcome};
pub use event::{BuildFinished, Event, ImagePushed, RepositoryChange, RepositoryChanged, Source, Trust};
pub use image::{Digest, ImageError, ImageName, Tag, Version, WrittenImage};
pub use key_source::KeySource;
pub use name::{
    BranchKey, BranchName, CommitId, DecisionId, DeliveryId, EntryName, EnvironmentName, EventId, NameError,
    ReceiverName, RepositoryName, TenantName,
};
pub use pattern::{Pattern, PatternError};
pub use platform::{Platform, PlatformError};
pub use reason::Reason;
pub use reference::{
    Edit, ExplicitPlace, Format, Locator, Parts, Pin, PlacePart, Reference, Scalar, ScalarStyle, Uneditable,
    is_ignored_in_names, is_reserved_path,
};
pub use shown::{is_bidirectional, shown};
pub use signature::{Identity, SignatureRule};
pub use time::{Duration, DurationError, Timestamp, TimestampError};
