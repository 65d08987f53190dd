//! The sentences about promotions, holds and pull requests.
//!
//! Part of `Reason`'s `Display`; what is not about these stands in `reason`.

use std::fmt;

use crate::Reason;

/// The sentence, or nothing for a reason of another kind.
pub(crate) fn write(reason: &Reason, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match reason {
        Reason::PromotedFrom { version, environment, since } => {
            write!(f, "{} ran in {environment} since {since} and moves on as it is", version.tag)
        }
        Reason::GatesWait { version, gates } => write!(f, "{} waits: {}", version.tag, gates.join("; ")),
        Reason::GatesFail { version, gates } => {
            write!(f, "{} does not move on: {}", version.tag, gates.join("; "))
        }
        Reason::UpstreamEmpty { environment } => {
            write!(f, "nothing to promote: no version of this image is known to have run in {environment}")
        }
        Reason::UpstreamDisagrees { environment, versions } => {
            write!(f, "{environment} runs several versions of this image at once: {}", versions.join(", "))
        }
        Reason::UpstreamNotAhead { environment, current } => {
            write!(f, "nothing to do: nothing newer than {current} has run in {environment}")
        }
        Reason::TakenBackUpstream { version, environment } => {
            write!(f, "{} was taken back in {environment}, so it does not move on", version.tag)
        }
        Reason::MovedSincePut { tag, put, found, environment } => {
            write!(
                f,
                "{tag} was {put} when it came to {environment}, and the registry has {found} under that name now; only what ran there moves on"
            )
        }
        Reason::Held { hold } => write!(f, "{hold}"),
        Reason::AskedFor { hold } => write!(f, "{hold}"),
        Reason::TakenBack { from, to } => write!(f, "people went back from {from} to {to}; it stays so until released"),
        Reason::InPullRequest { version, number } => write!(f, "#{number} brings {}", version.tag),
        Reason::NotSuperseded { number, approved } => {
            write!(
                f,
                "#{number} with {approved} is approved or about to be merged, and is not replaced (`supersede: always` would)"
            )
        }
        Reason::EditedByPeople { number } => {
            write!(f, "people committed on the branch of #{number}; Tagboat keeps its hands off it")
        }
        Reason::LimitReached { limit } => write!(f, "held back by {limit}"),
        Reason::Protected { detail } => {
            write!(f, "the branch takes no direct commits ({detail}), so a pull request offers it")
        }
        _ => Ok(()),
    }
}
