//! Which tag is chosen, and why every other was not.
//!
//! Pure: tags in, with what is known of them; tags in order and one reason for each out. It knows neither
//! registries nor files and reads no clock; whether a tag exists and what it names is found out elsewhere.
//!
//! [`Selection`] is what a user writes. [`Selection::consider`] judges many tags at once.

mod claims;
mod consider;
mod filter;
mod known;
mod number;
mod order;
mod peers;
mod range;
mod rule;
mod runs;
mod selection;
mod version;

pub use claims::{ClaimError, Claims, UnfitClaim};
pub use consider::{Circumstances, Consideration, Considered};
pub use filter::{FilterError, FilterTags, Pattern, PatternError};
pub use known::{Known, Sight};
pub use peers::{ArgocdImageUpdater, Kargo, PeerError};
pub use range::{Range, RangeError};
pub use rule::{Announced, Direction, FollowedTag, Newest, Ordered, Policy, Semver};
pub use runs::places_by_run;
pub use selection::{Jump, Selection, SelectionProblem};
