//! What became of an event, in one word: from the event and the decisions that answer it.
//!
//! Pure. Why, say the reasons of the decisions.

use serde::{Deserialize, Serialize};
use tagboat_model::{Decision, Outcome, Tag};
use tagboat_ports::{DecisionRecord, EventRecord};

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// Not every branch that wants it has decided, or a commit is not on its branch yet.
    Waiting,
    /// No config repository asked for it.
    Unwanted,
    /// It, or what was better, is on its way by a commit.
    Committed,
    /// A pull request offers it, or what was better.
    Offered,
    /// It, or what was better, is wanted and not brought there yet: a gate, a hold or a limit stands in between.
    Held,
    /// There was nothing to do.
    Nothing,
    /// What was announced cannot be used.
    Unusable,
    /// Something has to be done by hand.
    Blocked,
}

impl Fate {
    /// From the event and every decision that answers it.
    #[must_use]
    pub fn of(event: &EventRecord, decisions: &[DecisionRecord]) -> Self {
        if event.branches.is_empty() {
            return Self::Unwanted;
        }
        let decisions: Vec<&DecisionRecord> =
            decisions.iter().filter(|record| !is_given_up(record, decisions)).collect();
        let on_its_way = |record: &&DecisionRecord| is_on_its_way(record);
        if event.branches.iter().any(|(_, served)| !served) || decisions.iter().any(on_its_way) {
            return Self::Waiting;
        }
        let any = |outcome| decisions.iter().any(|record| record.decision.outcome == outcome);
        if any(Outcome::Blocked) {
            Self::Blocked
        } else if event.pushed().is_some_and(|pushed| is_unusable(&pushed.tag, &decisions)) {
            Self::Unusable
        } else if any(Outcome::Update) {
            Self::Committed
        } else if any(Outcome::Offered) {
            Self::Offered
        } else if any(Outcome::Waiting) {
            Self::Held
        } else {
            Self::Nothing
        }
    }
}

/// Whether a commit is wanted and not on its branch yet.
fn is_on_its_way(record: &DecisionRecord) -> bool {
    record.decision.outcome == Outcome::Update && record.commit.is_none()
}

/// Whether a commit never came about, because it was decided anew: the process ended in between, or somebody else was faster.
/// Only one decides about a branch at a time, so what is decided later knows whether the commit is there.
fn is_given_up(record: &DecisionRecord, decisions: &[DecisionRecord]) -> bool {
    let place = |record: &DecisionRecord| {
        let Decision { environment, entry, .. } = &record.decision;
        (record.key.clone(), environment.clone(), entry.clone())
    };
    let is_later = |other: &DecisionRecord| other.decided_at > record.decided_at && place(other) == place(record);
    is_on_its_way(record) && decisions.iter().any(is_later)
}

/// Whether a tag cannot be used: a decision says so, and no other one uses it, or updates to what is better.
fn is_unusable(tag: &Tag, decisions: &[&DecisionRecord]) -> bool {
    let is_against = |decision: &Decision| {
        decision.reasons.iter().any(|reason| reason.tag() == Some(tag) && reason.is_against_use())
    };
    let answers = |decision: &Decision| {
        let is_chosen = decision.version.as_ref().is_some_and(|version| version.tag == *tag);
        is_chosen || matches!(decision.outcome, Outcome::Update | Outcome::Offered)
    };
    let (against, others): (Vec<&Decision>, Vec<&Decision>) =
        decisions.iter().map(|record| &record.decision).partition(|decision| is_against(decision));
    !against.is_empty() && !others.into_iter().any(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_model::{BranchKey, Event, ImageName, ImagePushed, Reason, Timestamp, Trust, Version};

    fn key() -> BranchKey {
        BranchKey {
            tenant: "default".parse().unwrap(),
            repository: "config".parse().unwrap(),
            branch: "main".parse().unwrap(),
        }
    }

    fn image() -> ImageName {
        "r.example/acme/web".parse().unwrap()
    }

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    /// Of 1.5.0.
    fn event(branches: Vec<(BranchKey, bool)>) -> EventRecord {
        EventRecord {
            id: "ev-1".parse().unwrap(),
            delivery: "dl-1".parse().unwrap(),
            receiver: "ci".parse().unwrap(),
            event: Event::ImagePushed(ImagePushed::new(image(), tag("1.5.0"), None)),
            trust: Trust::Signed,
            received_at: Timestamp(1),
            branches,
        }
    }

    fn decided(outcome: Outcome, chosen: Option<&str>, reasons: Vec<Reason>) -> DecisionRecord {
        let version =
            |chosen: &str| Version { tag: tag(chosen), digest: format!("sha256:{}", "a".repeat(64)).parse().unwrap() };
        DecisionRecord {
            id: "d-1".parse().unwrap(),
            key: key(),
            head: "a".repeat(40).parse().unwrap(),
            decided_at: Timestamp(1),
            decision: Decision {
                environment: "dev".parse().unwrap(),
                entry: "web".parse().unwrap(),
                image: image(),
                current: vec!["1.4.0".to_owned()],
                outcome,
                version: chosen.map(version),
                reasons,
                gates: Vec::new(),
            },
            commit: (outcome == Outcome::Update).then(|| "b".repeat(40).parse().unwrap()),
        }
    }

    fn missing(name: &str) -> Reason {
        Reason::NotAtRegistry { tag: tag(name), image: image() }
    }

    fn nothing(reason: Reason) -> DecisionRecord {
        decided(Outcome::Nothing, None, vec![reason])
    }

    fn fate(decisions: &[DecisionRecord]) -> Fate {
        Fate::of(&event(vec![(key(), true)]), decisions)
    }

    #[test]
    fn what_cannot_be_used_is_told_from_what_is_not_needed() {
        let lower = || Reason::LowerThanSelected { tag: tag("1.5.0"), selected: tag("1.6.0") };
        let outside = || Reason::OutsideRange { tag: tag("1.5.0"), range: "^2".to_owned() };
        let there = || Reason::AlreadyThere { version: "1.5.0".to_owned() };
        assert_eq!(fate(&[nothing(missing("1.5.0"))]), Fate::Unusable);
        assert_eq!(fate(&[nothing(missing("1.9.0"))]), Fate::Nothing, "that is another tag");
        assert_eq!(fate(&[nothing(lower())]), Fate::Nothing);
        assert_eq!(fate(&[nothing(outside())]), Fate::Nothing);
        assert_eq!(fate(&[decided(Outcome::Nothing, Some("1.5.0"), vec![there()])]), Fate::Nothing);
        assert_eq!(fate(&[nothing(missing("1.5.0")), nothing(outside())]), Fate::Unusable, "where it is wanted");
        assert_eq!(fate(&[]), Fate::Nothing);
        let moved = Reason::TagMoved { tag: tag("1.5.0"), written: "aa".to_owned(), found: "bb".to_owned() };
        assert_eq!(fate(&[decided(Outcome::Nothing, Some("1.5.0"), vec![moved])]), Fate::Unusable);
    }

    #[test]
    fn what_is_used_somewhere_is_not_unusable() {
        let selected = |name: &str| Reason::Selected { tag: tag(name), policy: "semver".to_owned() };
        let taken = decided(Outcome::Update, Some("1.5.0"), vec![selected("1.5.0"), missing("1.6.0")]);
        let better = decided(Outcome::Update, Some("1.6.0"), vec![selected("1.6.0")]);
        let instead = decided(Outcome::Update, Some("1.4.9"), vec![selected("1.4.9"), missing("1.5.0")]);
        let stays = decided(Outcome::Nothing, Some("1.5.0"), Vec::new());
        let against = nothing(missing("1.5.0"));
        assert_eq!(fate(std::slice::from_ref(&taken)), Fate::Committed);
        assert_eq!(fate(&[against.clone(), taken]), Fate::Committed);
        assert_eq!(fate(&[against.clone(), better]), Fate::Committed);
        assert_eq!(fate(&[against.clone(), stays]), Fate::Nothing);
        assert_eq!(fate(&[instead]), Fate::Unusable, "what is committed is not what was announced");
        let blocked = decided(Outcome::Blocked, None, Vec::new());
        assert_eq!(fate(&[against, blocked]), Fate::Blocked);
    }

    #[test]
    fn what_is_on_its_way_by_pull_request_is_told_from_what_waits() {
        let in_pull = Reason::InPullRequest {
            version: decided(Outcome::Offered, Some("1.5.0"), Vec::new()).decision.version.unwrap(),
            number: 12,
        };
        let offered = || decided(Outcome::Offered, Some("1.5.0"), vec![in_pull.clone()]);
        let held = || decided(Outcome::Waiting, Some("1.5.0"), Vec::new());
        let committed = || decided(Outcome::Update, Some("1.5.0"), Vec::new());
        let quiet = || decided(Outcome::Nothing, Some("1.5.0"), Vec::new());
        assert_eq!(fate(&[offered()]), Fate::Offered);
        assert_eq!(fate(&[held(), quiet()]), Fate::Held);
        assert_eq!(fate(&[held(), offered()]), Fate::Offered);
        assert_eq!(fate(&[held(), offered(), committed()]), Fate::Committed, "the first environment has it");
        assert_eq!(fate(&[offered(), decided(Outcome::Blocked, None, Vec::new())]), Fate::Blocked);
        let better = decided(Outcome::Offered, Some("1.6.0"), Vec::new());
        assert_eq!(fate(&[better, nothing(missing("1.5.0"))]), Fate::Offered);
    }

    #[test]
    fn nothing_is_said_before_everybody_has_decided() {
        let decisions = [nothing(missing("1.5.0"))];
        assert_eq!(Fate::of(&event(Vec::new()), &decisions), Fate::Unwanted);
        assert_eq!(Fate::of(&event(vec![(key(), true), (key(), false)]), &decisions), Fate::Waiting);
        let on_its_way = DecisionRecord { commit: None, ..decided(Outcome::Update, Some("1.5.0"), Vec::new()) };
        assert_eq!(fate(&[on_its_way]), Fate::Waiting);
    }

    #[test]
    fn a_commit_that_was_decided_anew_is_not_waited_for() {
        let at = |seconds, record: DecisionRecord| DecisionRecord { decided_at: Timestamp(seconds), ..record };
        let never = || at(1, DecisionRecord { commit: None, ..decided(Outcome::Update, Some("1.5.0"), Vec::new()) });
        let instead = || at(2, decided(Outcome::Update, Some("1.6.0"), Vec::new()));
        assert_eq!(fate(&[instead(), never()]), Fate::Committed);
        assert_eq!(fate(&[at(2, nothing(missing("1.5.0"))), never()]), Fate::Unusable, "it is gone meanwhile");
        // Later ones that are not about the same place say nothing about it.
        let mut elsewhere = instead();
        elsewhere.decision.environment = "prod".parse().unwrap();
        assert_eq!(fate(&[elsewhere, never()]), Fate::Waiting);
        assert_eq!(fate(&[at(1, instead()), never()]), Fate::Waiting);
        assert_eq!(fate(&[at(2, never()), instead()]), Fate::Waiting, "the newest is under way");
    }
}
