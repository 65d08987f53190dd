//! What comes next for an image in an environment, in one word and in a few: from what runs, the newest decision and the
//! holds.
//!
//! Pure. A decision may be older than what happened since: what runs by now is on its way no longer, nor is what was refused.

use std::fmt;

use serde::Serialize;
use tagboat_model::{Decision, Hold, Outcome, Ran, Reason, Timestamp, Version, Wish};

/// What has happened to the version of a decision since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overtaken {
    /// It runs.
    Runs {
        /// Since when.
        since: Timestamp,
    },
    /// Its pull request was closed.
    Refused {
        /// The pull request.
        pull_request: u64,
    },
    /// Somebody said that the environment does without it.
    Skipped,
}

impl Overtaken {
    /// What has happened since a decision that offers a version or lets it wait. `running` is what was written down last of
    /// what ran, `holds` are those that are not released.
    #[must_use]
    pub fn of(decision: &Decision, running: Option<&Ran>, holds: &[&Hold]) -> Option<Self> {
        let is_open = matches!(decision.outcome, Outcome::Offered | Outcome::Waiting);
        let version = decision.version.as_ref().filter(|_| is_open)?;
        Self::of_version(decision, version, running, holds)
    }

    /// As [`Overtaken::of`], for a version where the decision is about.
    pub(crate) fn of_version(
        decision: &Decision,
        version: &Version,
        running: Option<&Ran>,
        holds: &[&Hold],
    ) -> Option<Self> {
        if let Some(ran) = running.filter(|ran| ran.until.is_none() && ran.version == *version) {
            return Some(Self::Runs { since: ran.since });
        }
        let here = holds.iter().filter(|hold| hold.concerns(&decision.environment, &decision.entry));
        here.filter(|hold| hold.wish.version() == Some(version)).find_map(|hold| Self::by(&hold.wish))
    }

    fn by(wish: &Wish) -> Option<Self> {
        match wish {
            Wish::Refuse { pull_request, .. } => Some(Self::Refused { pull_request: *pull_request }),
            Wish::Skip { .. } => Some(Self::Skipped),
            Wish::Hold | Wish::Freeze | Wish::Keep { .. } | Wish::Promote { .. } => None,
        }
    }
}

impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs { since } => write!(f, "runs since {since}"),
            Self::Refused { pull_request } => write!(f, "was refused: #{pull_request} was closed"),
            Self::Skipped => write!(f, "is skipped"),
        }
    }
}

/// What comes next, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    Unknown,
    Nothing,
    Updated,
    Offered,
    Waiting,
    Held,
    Frozen,
    Refused,
    Skipped,
    Blocked,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Next {
    pub(crate) state: State,
    /// For people.
    pub(crate) words: String,
}

impl Next {
    fn new(state: State, words: impl Into<String>) -> Self {
        Self { state, words: words.into() }
    }

    /// `in_pull` is the pull request that still offers a version.
    pub(crate) fn of(
        decision: Option<&Decision>,
        running: Option<&Ran>,
        holds: &[&Hold],
        in_pull: Option<(u64, &Version)>,
    ) -> Self {
        let Some(decision) = decision else { return Self::new(State::Unknown, "not decided yet") };
        let overtaken = Overtaken::of(decision, running, holds);
        let version = decision.version.as_ref();
        if let Some(next) = overtaken.zip(version).and_then(|(overtaken, version)| Self::against(overtaken, version)) {
            return next;
        }
        let is_open = overtaken.is_none() && matches!(decision.outcome, Outcome::Offered | Outcome::Waiting);
        let what = match (in_pull, version.filter(|_| is_open)) {
            (Some((number, version)), _) => Some(format!("{} in #{number}", version.tag)),
            (None, Some(version)) => Some(format!("{} waits", version.tag)),
            (None, None) => None,
        };
        if decision.outcome == Outcome::Blocked {
            return Self::new(State::Blocked, "blocked");
        }
        if let Some((state, word)) = kept(decision, holds) {
            return Self::new(state, what.map_or_else(|| word.to_owned(), |what| format!("{word}: {what}")));
        }
        if let Some((number, version)) = in_pull {
            return Self::new(State::Offered, format!("{} offered in #{number}", version.tag));
        }
        let tag = version.map(|version| format!("{} ", version.tag)).unwrap_or_default();
        match decision.outcome {
            Outcome::Update => Self::new(State::Updated, format!("{tag}updated")),
            Outcome::Offered if is_open => Self::new(State::Offered, format!("{tag}offered")),
            Outcome::Waiting if is_open => Self::new(State::Waiting, format!("{tag}waits")),
            _ => left_out(decision, holds).unwrap_or_else(|| Self::new(State::Nothing, "nothing newer")),
        }
    }

    /// A version that the environment does without.
    fn against(overtaken: Overtaken, version: &Version) -> Option<Self> {
        match overtaken {
            Overtaken::Runs { .. } => None,
            Overtaken::Refused { pull_request } => {
                Some(Self::new(State::Refused, format!("{} refused (#{pull_request} was closed)", version.tag)))
            }
            Overtaken::Skipped => Some(Self::new(State::Skipped, format!("{} skipped", version.tag))),
        }
    }
}

/// The hold that keeps what runs. A freeze of everything says more than one of an image.
fn kept(decision: &Decision, holds: &[&Hold]) -> Option<(State, &'static str)> {
    let is_here = |hold: &&&Hold| hold.concerns(&decision.environment, &decision.entry);
    let wishes: Vec<&Wish> = holds.iter().filter(is_here).map(|hold| &hold.wish).collect();
    if wishes.contains(&&Wish::Freeze) {
        return Some((State::Frozen, "frozen"));
    }
    wishes.iter().any(|wish| matches!(wish, Wish::Hold | Wish::Keep { .. })).then_some((State::Held, "held"))
}

/// The version that a decision leaves out for the sake of a hold that is not released.
fn left_out(decision: &Decision, holds: &[&Hold]) -> Option<Next> {
    decision.reasons.iter().find_map(|reason| match reason {
        Reason::Held { hold } if holds.iter().any(|known| known.id == hold.id) => {
            let version = hold.wish.version()?;
            Next::against(Overtaken::by(&hold.wish)?, version)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_model::{Person, PutBy, Until};

    fn version(tag: &str) -> Version {
        Version { tag: tag.parse().unwrap(), digest: format!("sha256:{}", "a".repeat(64)).parse().unwrap() }
    }

    fn decision(outcome: Outcome, reasons: Vec<Reason>) -> Decision {
        Decision {
            environment: "prod".parse().unwrap(),
            entry: "web".parse().unwrap(),
            image: "ghcr.io/acme/web".parse().unwrap(),
            current: vec!["1.4.0".to_owned()],
            outcome,
            version: Some(version("1.5.0")),
            reasons,
            gates: Vec::new(),
        }
    }

    fn ran(tag: &str) -> Ran {
        Ran {
            version: version(tag),
            since: Timestamp(7),
            until: None,
            by: PutBy::Others,
            commit: None,
            taken_back: false,
            rollout: None,
        }
    }

    fn hold(wish: Wish) -> Hold {
        Hold {
            id: "h-1".parse().unwrap(),
            environment: Some("prod".parse().unwrap()),
            entry: None,
            wish,
            by: Person::operator("Ann"),
            why: None,
            since: Timestamp(0),
            until: Until::Released,
        }
    }

    fn words(decision: &Decision, runs: &str, wish: Option<Wish>, number: Option<u64>) -> String {
        let held = wish.map(hold);
        let holds: Vec<&Hold> = held.iter().collect();
        let offered = version("1.5.0");
        Next::of(Some(decision), Some(&ran(runs)), &holds, number.map(|number| (number, &offered))).words
    }

    #[test]
    fn what_runs_or_was_refused_is_offered_no_longer() {
        let refuse = || Wish::Refuse { version: version("1.5.0"), pull_request: 3 };
        for outcome in [Outcome::Offered, Outcome::Waiting] {
            let open = decision(outcome, Vec::new());
            assert_eq!(words(&open, "1.5.0", None, None), "nothing newer");
            assert_eq!(words(&open, "1.4.0", Some(refuse()), None), "1.5.0 refused (#3 was closed)");
            assert_eq!(words(&open, "1.4.0", Some(Wish::Skip { version: version("1.5.0") }), None), "1.5.0 skipped");
            let other = Wish::Refuse { version: version("1.6.0"), pull_request: 3 };
            assert!(words(&open, "1.4.0", Some(other), None).starts_with("1.5.0 "));
        }
        let left = decision(Outcome::Nothing, vec![Reason::Held { hold: Box::new(hold(refuse())) }]);
        assert_eq!(words(&left, "1.4.0", Some(refuse()), None), "1.5.0 refused (#3 was closed)");
        assert_eq!(words(&left, "1.4.0", None, None), "nothing newer", "the hold is released");
    }

    #[test]
    fn what_keeps_an_environment_is_said_before_what_waits() {
        let offered = decision(Outcome::Offered, Vec::new());
        assert_eq!(words(&offered, "1.4.0", None, Some(12)), "1.5.0 offered in #12");
        assert_eq!(words(&offered, "1.4.0", None, None), "1.5.0 offered");
        assert_eq!(words(&offered, "1.4.0", Some(Wish::Freeze), Some(12)), "frozen: 1.5.0 in #12");
        assert_eq!(
            words(&decision(Outcome::Waiting, Vec::new()), "1.4.0", Some(Wish::Hold), None),
            "held: 1.5.0 waits"
        );
        assert_eq!(words(&decision(Outcome::Nothing, Vec::new()), "1.5.0", Some(Wish::Hold), None), "held");
        assert_eq!(words(&decision(Outcome::Blocked, Vec::new()), "1.4.0", None, None), "blocked");
        assert_eq!(Next::of(None, None, &[], None).state, State::Unknown);
    }
}
