//! Values to be put into words.

use tagboat_model::{
    Account, Comparison, Decision, DecisionId, ForgeKind, ForgeTraits, Format, Gate, GateName, GateState, Hold,
    Outcome, Parts, Person, PullRequest, PullState, PutBy, Ran, RanIn, Reason, Reference, Scalar, ScalarStyle, Stage,
    Timestamp, Until, Version, Wish,
};
use tagboat_promotion::{
    CommitPlan, Delivery, Environment, Gates, Grouping, PullRequestRules,
    pull::{
        Lane, LaneChange, Story,
        text::{OutsideText, compose},
    },
};

pub(crate) fn version(tag: &str) -> Version {
    Version { tag: tag.parse().unwrap(), digest: format!("sha256:{}", "b".repeat(64)).parse().unwrap() }
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn traits(kind: ForgeKind) -> ForgeTraits {
    let web = match kind {
        ForgeKind::Github => "https://github.com/acme/deploy",
        _ => "https://git.example.org/acme/deploy",
    };
    ForgeTraits { kind, web: web.to_owned(), drafts: true, sigil: if kind == ForgeKind::Gitlab { '!' } else { '#' } }
}

pub(crate) fn environment(name: &str, upstream: Option<&str>) -> Environment {
    Environment {
        name: name.parse().unwrap(),
        branch: None,
        paths: Vec::new(),
        exclude: Vec::new(),
        deliver: Delivery::PullRequest,
        promote_from: upstream.map(|upstream| upstream.parse().unwrap()),
        gates: Gates::default(),
        group: Grouping::default(),
        pull_request: PullRequestRules::default(),
        overrides: std::collections::BTreeMap::new(),
    }
}

pub(crate) fn decision(environment: &str, entry: &str, reason: Reason) -> Decision {
    Decision {
        environment: environment.parse().unwrap(),
        entry: entry.parse().unwrap(),
        image: format!("ghcr.io/acme/{entry}").parse().unwrap(),
        current: vec!["1.4.0".to_owned()],
        outcome: Outcome::Update,
        version: Some(version("1.5.0")),
        reasons: vec![reason],
        gates: Vec::new(),
    }
}

pub(crate) fn promoted() -> Reason {
    Reason::PromotedFrom {
        version: version("1.5.0"),
        environment: "dev".parse().unwrap(),
        since: time("2026-11-24T09:00:00Z"),
    }
}

pub(crate) fn reference(file: &str, image: &str, tag: &str) -> Reference {
    Reference {
        file: file.to_owned(),
        line: 12,
        column: 1,
        location: "image".to_owned(),
        format: Format::Manifest,
        written_name: image.to_owned(),
        image: image.parse().unwrap(),
        tag: Some(tag.parse().unwrap()),
        digest: None,
        parts: Parts::Whole(Scalar { span: 0..1, style: ScalarStyle::Plain, value: String::new() }),
        name_at: None,
        followers: Vec::new(),
        claimed: false,
        locked: None,
        shared_with: Vec::new(),
    }
}

pub(crate) fn gate(name: GateName, state: GateState, holds: Stage, text: &str) -> Gate {
    Gate { name, state, holds, text: text.to_owned(), until: None }
}

pub(crate) fn change(decision: &Decision, story: Story) -> LaneChange<'_> {
    let file = format!("apps/{}/{}.yaml", decision.environment, decision.entry);
    LaneChange {
        decision,
        version: decision.version.as_ref().unwrap(),
        references: vec![reference(&file, &decision.image.to_string(), "1.4.0")],
        story,
    }
}

pub(crate) fn lane<'l>(environment: &'l Environment, changes: Vec<LaneChange<'l>>) -> Lane<'l> {
    let id = |place: usize| -> DecisionId { format!("d-{place:016}").parse().unwrap() };
    let decisions = (0..changes.len()).map(id).collect();
    Lane {
        environment,
        group: "web".parse().unwrap(),
        base: "main".parse().unwrap(),
        decisions: changes.iter().map(|change| change.decision).collect(),
        changes,
        commit: Some(CommitPlan { decisions, message: "x".to_owned(), files: Vec::new() }),
    }
}

pub(crate) fn story() -> Story {
    let commit = |id: &str, subject: &str| (id.repeat(40), subject.to_owned());
    let (from, to) = ("1".repeat(40), "2".repeat(40));
    Story {
        ran: vec![RanIn {
            environment: "dev".parse().unwrap(),
            entry: "web".parse().unwrap(),
            ran: Ran {
                version: version("1.5.0"),
                since: time("2026-11-24T09:00:00Z"),
                until: Some(time("2026-11-26T10:30:05Z")),
                by: PutBy::Others,
                commit: None,
                taken_back: false,
                rollout: None,
            },
        }],
        source: Some("https://github.com/acme/web.git".to_owned()),
        comparison: Some(Comparison {
            url: format!("https://github.com/acme/web/compare/{from}...{to}"),
            total: 30,
            commits: vec![commit("a", "Add a thing (fixes #12)"), commit("b", "Ask @all | <b>now</b>")],
        }),
        revisions: (Some(from), Some(to)),
        trigger: Some("pushed by alice, said receiver hub".to_owned()),
    }
}

pub(crate) fn shortened(text: &str) -> String {
    text.replace(&"b".repeat(64), "B").replace(&"1".repeat(40), "ONE").replace(&"2".repeat(40), "TWO")
}

pub(crate) fn compose_alone(lane: &Lane<'_>, kind: ForgeKind) -> (String, String) {
    let words = compose(lane, &[], &traits(kind), &OutsideText::default());
    (words.title, words.body)
}

pub(crate) fn hold(wish: Wish) -> Hold {
    Hold {
        id: "h-1".parse().unwrap(),
        environment: Some("prod".parse().unwrap()),
        entry: Some("web".parse().unwrap()),
        wish,
        by: Person::operator("alice"),
        why: Some("see @bob".to_owned()),
        since: time("2026-11-24T09:00:00Z"),
        until: Until::Released,
    }
}

pub(crate) fn pull() -> PullRequest {
    PullRequest {
        number: 7,
        url: "https://github.com/acme/deploy/pull/7".to_owned(),
        author: Account { id: 1, login: "tagboat[bot]".to_owned(), is_bot: true },
        head: "tagboat/prod/web".parse().unwrap(),
        head_commit: "1".repeat(40).parse().unwrap(),
        base: "other".parse().unwrap(),
        state: PullState::Open,
        draft: true,
        title: "Promote web 1.5.0 to prod".to_owned(),
        body: String::new(),
        labels: Vec::new(),
        merging: false,
        created_at: time("2026-11-24T09:00:00Z"),
        updated_at: time("2026-11-24T09:00:00Z"),
    }
}
