//! Commands of people: read from comments, allowed or refused, and turned into wishes and orders.
//!
//! Pure. The same verbs and one authorization for every way in: comments, boxes, the API, the command line. What a command
//! does is a value, [`Effects`]; whoever carries it out leaves nothing to choose.

mod authorize;
mod execute;
mod explain;
mod parse;
mod release;
mod scope;
mod wishes;

pub use authorize::{Approvers, Refused, authorize};
pub use execute::{CommandContext, Effects, execute, unknown_version};
pub use explain::explain;
pub use parse::parse;
