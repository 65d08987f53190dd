//! Environments, what ran upstream of them, and what is decided, in few words.

use tagboat_model::{
    CommitId, Decision, Digest, Duration, Format, Hold, Parts, Person, Pin, PutBy, Ran, Reason, Reference, Scalar,
    ScalarStyle, Timestamp, Until, Version, Wish, WrittenImage,
};
use tagboat_policy::{FollowedTag, Known, Policy, Semver};
use tagboat_promotion::{
    Candidate, CandidateState, EnvironmentFacts, Facts, Gates, ImageFacts, PromotionFacts, UpstreamFacts, decide,
};

/// A Thursday.
pub(crate) const NOW: &str = "2026-11-26T12:00:00Z";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn hours_ago(hours: i64) -> Timestamp {
    Timestamp(at(NOW).0 - hours * 3_600_000)
}

pub(crate) fn hours(hours: u64) -> Duration {
    Duration::from_seconds(hours * 3600)
}

/// A version whose digest follows from its tag; of `main/a` it is another than of `main/b`.
pub(crate) fn version(text: &str) -> Version {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let tag = text.split('/').next().unwrap();
    Version { tag: tag.parse().unwrap(), digest: digest(&hex.chars().rev().collect::<String>()) }
}

pub(crate) fn digest(start: &str) -> Digest {
    format!("sha256:{start:0<64}").parse().unwrap()
}

pub(crate) fn written(tag: &str) -> String {
    format!(":{tag}")
}

pub(crate) fn pinned(text: &str) -> String {
    let version = version(text);
    format!(":{}@{}", version.tag, version.digest)
}

pub(crate) fn reference(written: &str) -> Reference {
    let image: WrittenImage = format!("ghcr.io/acme/web{written}").parse().unwrap();
    Reference {
        file: "apps/prod/web.yaml".to_owned(),
        line: 7,
        column: 8,
        location: "spec.image".to_owned(),
        format: Format::Manifest,
        written_name: image.written_name.clone(),
        image: image.name.clone(),
        tag: image.tag,
        digest: image.digest,
        parts: Parts::Whole(Scalar { span: 0..1, style: ScalarStyle::Plain, value: String::new() }),
        name_at: None,
        followers: Vec::new(),
        claimed: false,
        locked: None,
        shared_with: Vec::new(),
    }
}

pub(crate) fn semver() -> Policy {
    Policy::Semver(Semver { range: ">=0".parse().unwrap() })
}

pub(crate) fn follow_main() -> Policy {
    Policy::Digest(FollowedTag { tag: "main".parse().unwrap() })
}

pub(crate) fn ran(text: &str, since: Timestamp) -> Ran {
    Ran {
        version: version(text),
        since,
        until: None,
        by: PutBy::Tagboat { decision: "d-1".parse().unwrap() },
        commit: Some(commit('c')),
        taken_back: false,
        rollout: None,
    }
}

pub(crate) fn commit(of: char) -> CommitId {
    of.to_string().repeat(40).parse().unwrap()
}

/// One after the other, each until the next.
pub(crate) fn sequence(texts: &[(&str, i64)]) -> Vec<Ran> {
    let mut all: Vec<Ran> = texts.iter().map(|(text, ago)| ran(text, hours_ago(*ago))).collect();
    let starts: Vec<Timestamp> = all.iter().map(|ran| ran.since).collect();
    for (ran, next) in all.iter_mut().zip(starts.iter().skip(1)) {
        ran.until = Some(*next);
    }
    all
}

pub(crate) fn image(policy: Policy, references: &[String]) -> ImageFacts {
    ImageFacts {
        entry: "web".parse().unwrap(),
        image: "ghcr.io/acme/web".parse().unwrap(),
        selection: policy.into(),
        pin: Pin::Keep,
        references: references.iter().map(|written| reference(written)).collect(),
        resolved: Vec::new(),
        unreadable: Vec::new(),
        uneditable: Vec::new(),
        claimed_by: None,
        candidates: Vec::new(),
        passed_over: Vec::new(),
        further: 0,
        unread: 0,
        registry_unavailable: None,
        ran: Vec::new(),
        upstream: None,
        offered: None,
    }
}

/// `prod` with one image, promoted from `dev`.
pub(crate) fn prod(here: &[String], upstream: Vec<Ran>, gates: Gates) -> EnvironmentFacts {
    let upstream = UpstreamFacts { ran: upstream, ..UpstreamFacts::default() };
    EnvironmentFacts {
        gates: Gates::default(),
        name: "prod".parse().unwrap(),
        images: vec![ImageFacts { upstream: Some(upstream), ..image(semver(), here) }],
        promotion: Some(PromotionFacts { from: "dev".parse().unwrap(), gates }),
        by_pull_request: false,
        holds: Vec::new(),
    }
}

/// `dev`, which chooses by policy among these.
pub(crate) fn dev(here: &str, candidates: &[&str]) -> EnvironmentFacts {
    let candidates = candidates.iter().map(|tag| Candidate {
        tag: tag.parse().unwrap(),
        known: Known::default(),
        state: CandidateState::Confirmed { digest: version(tag).digest },
    });
    EnvironmentFacts {
        gates: Gates::default(),
        name: "dev".parse().unwrap(),
        images: vec![ImageFacts { candidates: candidates.collect(), ..image(semver(), &[written(here)]) }],
        promotion: None,
        by_pull_request: false,
        holds: Vec::new(),
    }
}

pub(crate) fn soak(length: u64) -> Gates {
    Gates { soak: Some(hours(length)), ..Gates::default() }
}

pub(crate) fn hold(wish: Wish, since: Timestamp) -> Hold {
    Hold {
        id: format!("h-{}-{}", wish.word(), since.0).parse().unwrap(),
        environment: None,
        entry: None,
        wish,
        by: Person::operator("alice"),
        why: None,
        since,
        until: Until::Released,
    }
}

pub(crate) fn facts(environments: Vec<EnvironmentFacts>) -> Facts {
    Facts {
        key: tagboat_model::BranchKey {
            tenant: "default".parse().unwrap(),
            repository: "config".parse().unwrap(),
            branch: "main".parse().unwrap(),
        },
        head: commit('0'),
        now: at(NOW),
        environments,
    }
}

pub(crate) fn decision(environment: EnvironmentFacts) -> Decision {
    let facts = facts(vec![environment]);
    assert_eq!(Facts::from_bytes(&facts.to_bytes().unwrap()).unwrap(), facts, "facts read back as they were stored");
    decide(&facts).remove(0)
}

/// `Update 1.5.0: promotedFrom`
pub(crate) fn brief(decision: &Decision) -> String {
    let version = decision.version.as_ref().map_or("-", |version| version.tag.as_str());
    let codes: Vec<&str> = decision.reasons.iter().map(Reason::code).collect();
    format!("{:?} {version}: {}", decision.outcome, codes.join(" "))
}

pub(crate) fn said(environment: EnvironmentFacts) -> String {
    brief(&decision(environment))
}

pub(crate) fn with_holds(environment: EnvironmentFacts, holds: Vec<Hold>) -> EnvironmentFacts {
    EnvironmentFacts { holds, ..environment }
}

pub(crate) fn with_image(mut environment: EnvironmentFacts, change: impl Fn(&mut ImageFacts)) -> EnvironmentFacts {
    environment.images.iter_mut().for_each(change);
    environment
}
