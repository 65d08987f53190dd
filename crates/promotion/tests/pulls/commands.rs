//! Commands, from who may give them to what is done.

use std::collections::BTreeMap;

use tagboat_model::{
    Account, Command, CommandOrigin, CommandOutcome, CommandRecord, Commander, EntryName, EnvironmentName, Hold,
    Permission, Pin, PullState, PutBy, Ran, RanIn, Timestamp, Until, Version, Wish,
};
use tagboat_policy::{Policy, Semver};
use tagboat_promotion::{
    Environment, ImageEntry,
    command::{Approvers, CommandContext, Effects, authorize, execute, explain, unknown_version},
};

use crate::{
    forge::{World, alice, bot, decision, environment, gate, version, want},
    reading::{NOW, one, target},
};

fn all_commands() -> Vec<(&'static str, Command)> {
    let texts = ["rebuild", "merge", "explain", "hold", "freeze", "release", "skip", "rollback", "promote because x"];
    texts.map(|text| (text, one(&format!("/tagboat {text}")))).to_vec()
}

const PERMISSIONS: [Option<Permission>; 7] = [
    None,
    Some(Permission::None),
    Some(Permission::Read),
    Some(Permission::Triage),
    Some(Permission::Write),
    Some(Permission::Maintain),
    Some(Permission::Admin),
];

#[test]
fn everybody_may_what_they_may_and_nothing_else() {
    let approvers = ["team/platform".to_owned()];
    for (verb, command) in all_commands() {
        for permission in PERMISSIONS {
            for (is_bot, is_approver, is_named) in
                [0, 1].into_iter().flat_map(|bot| [(bot, 0, 0), (bot, 0, 1), (bot, 1, 0), (bot, 1, 1)])
            {
                let account = Account { is_bot: is_bot == 1, ..alice() };
                let approver_as = if is_approver == 1 { approvers.to_vec() } else { Vec::new() };
                let names: &[String] = if is_named == 1 { &approvers } else { &[] };
                let by = Commander::Account { account, permission, approver_as };
                let may = authorize(&command, &by, &Approvers { names }).is_ok();
                let needed = match verb {
                    "explain" => Permission::Read,
                    "promote because x" if is_named == 0 => Permission::Admin,
                    _ => Permission::Write,
                };
                let is_approved = !verb.starts_with("promote") || is_named == 0 || is_approver == 1;
                let expected = is_bot == 0 && permission.is_some_and(|has| has >= needed) && is_approved;
                assert_eq!(may, expected, "{verb} {by:?} {names:?}");
            }
        }
        let operator = Commander::Operator { name: "ci".to_owned() };
        assert_eq!(authorize(&command, &operator, &Approvers { names: &approvers }), Ok(()), "{verb}");
    }
}

/// Everything that a command may look at, owned.
struct Case {
    world: World,
    environments: Vec<Environment>,
    images: Vec<ImageEntry>,
    entries: BTreeMap<EnvironmentName, Vec<EntryName>>,
    ran: Vec<RanIn>,
    known: Vec<(EntryName, Version)>,
    decisions: Vec<tagboat_model::Decision>,
    by: Commander,
}

fn image(name: &str) -> ImageEntry {
    ImageEntry {
        name: name.parse().unwrap(),
        image: format!("ghcr.io/acme/{name}").parse().unwrap(),
        selection: Policy::Semver(Semver { range: ">=0".parse().unwrap() }).into(),
        pin: Pin::Keep,
        verify: None,
        aliases: Vec::new(),
        references: Vec::new(),
        folder: None,
    }
}

fn ran(environment: &str, tag: &str, since: i64, until: Option<i64>) -> RanIn {
    RanIn {
        environment: environment.parse().unwrap(),
        entry: "web".parse().unwrap(),
        ran: Ran {
            version: version(tag),
            since: Timestamp(since),
            until: until.map(Timestamp),
            by: PutBy::Others,
            commit: None,
            taken_back: false,
            rollout: None,
        },
    }
}

impl Case {
    /// A pull request that brings web 1.5.0 and worker 2.0.0 to prod.
    fn new() -> Self {
        let mut world = World::new();
        world.settle(&[want(&[decision("web", "1.5.0"), decision("worker", "2.0.0")])]);
        let entries: Vec<EntryName> = ["web", "worker"].map(|entry| entry.parse().unwrap()).to_vec();
        let dev = Environment { name: "dev".parse().unwrap(), ..environment() };
        Self {
            world,
            environments: vec![dev, environment()],
            images: vec![image("web"), image("worker")],
            entries: ["dev", "prod"].map(|name| (name.parse().unwrap(), entries.clone())).into(),
            ran: vec![ran("prod", "1.3.0", 1, Some(2)), ran("prod", "1.4.0", 2, None), ran("dev", "1.7.0", 5, None)],
            known: Vec::new(),
            decisions: Vec::new(),
            by: Commander::Account { account: alice(), permission: Some(Permission::Admin), approver_as: Vec::new() },
        }
    }

    fn give(&self, text: &str, origin: CommandOrigin) -> Effects {
        self.carry_out(one(&format!("/tagboat {text}")), origin)
    }

    fn carry_out(&self, command: Command, origin: CommandOrigin) -> Effects {
        let record = CommandRecord {
            id: "c-1".parse().unwrap(),
            tenant: "default".parse().unwrap(),
            repository: "config".parse().unwrap(),
            command,
            by: self.by.clone(),
            origin,
            given_at: NOW,
            answer: None,
        };
        let environments: Vec<&Environment> = self.environments.iter().collect();
        execute(&CommandContext {
            now: NOW,
            record: &record,
            environments: &environments,
            images: &self.images,
            entries: &self.entries,
            holds: &self.world.holds,
            ran: &self.ran,
            pulls: &self.world.pulls,
            bot: Some(&bot()),
            known: &self.known,
            decisions: &self.decisions,
            approvers: &[],
        })
    }

    fn comment(&self, text: &str) -> Effects {
        let head = self.world.pulls[0].pull.head_commit.clone();
        self.give(text, CommandOrigin::Comment { pull_request: 1, comment: 9, head })
    }

    fn api(&self, text: &str) -> Effects {
        self.give(text, CommandOrigin::Api)
    }
}

fn outcome(effects: &Effects) -> CommandOutcome {
    effects.answer.as_ref().unwrap().outcome
}

fn text(effects: &Effects) -> &str {
    &effects.answer.as_ref().unwrap().text
}

/// `prod/web keep 1.3.0`
fn placed(effects: &Effects) -> Vec<String> {
    let word = |hold: &Hold| {
        let environment = hold.environment.as_ref().map_or("*", |name| name.as_str());
        let entry = hold.entry.as_ref().map_or("*", |name| name.as_str());
        let tag = hold.wish.version().map(|version| format!(" {}", version.tag)).unwrap_or_default();
        format!("{environment}/{entry} {}{tag}", hold.wish.word())
    };
    effects.place.iter().map(word).collect()
}

#[test]
fn in_a_pull_request_its_environment_and_entries_are_meant() {
    let case = Case::new();
    let cases: [(&str, &[&str]); 11] = [
        ("hold", &["prod/web hold", "prod/worker hold"]),
        ("hold web", &["prod/web hold"]),
        ("hold web in dev", &["dev/web hold"]),
        ("freeze", &["prod/* freeze"]),
        ("skip", &["prod/web skip 1.5.0", "prod/worker skip 2.0.0"]),
        ("skip web", &["prod/web skip 1.5.0"]),
        ("rollback web", &["prod/web keep 1.3.0"]),
        ("rollback web to 1.7.0", &["prod/web keep 1.7.0"]),
        ("promote because fire", &["prod/web promote 1.5.0", "prod/worker promote 2.0.0"]),
        ("promote web 1.7.0 because fire", &["prod/web promote 1.7.0"]),
        ("promote web 1.7.0 to dev because fire", &["dev/web promote 1.7.0"]),
    ];
    for (text, expected) in cases {
        let effects = case.comment(text);
        assert_eq!(placed(&effects), expected, "{text}: {effects:?}");
        assert_eq!(outcome(&effects), CommandOutcome::Done);
        let undo = format!("/tagboat release {}", effects.place[0].id);
        let answer = effects.answer.as_ref().unwrap();
        assert!(answer.text.contains(&undo) && !answer.text.contains("@alice"), "{}", answer.text);
        assert_eq!(case.comment(text), effects, "the same again");
    }
}

#[test]
fn what_is_not_said_is_asked_for() {
    let case = Case::new();
    for (text, expected) in [
        ("hold", "Say which environment is meant: `dev`, `prod`"),
        ("hold web in stage", "There is no environment `stage`; there are: `dev`, `prod`"),
        ("hold in prod", "Say which image entry is meant: `web`, `worker`"),
        ("hold api in prod", "`prod` has no image entry `api`"),
        ("skip web in prod", "No version of `web` is offered in `prod` or waits"),
        ("rollback worker in prod", "No earlier version of `worker` is known to have run in `prod`"),
        ("hold web in prod until 2020-01-01T00:00:00Z", "is over already"),
        ("freeze until newer", "cannot end with a newer version"),
        ("merge", "in a comment on one of Tagboat's pull requests"),
        ("rebuild", "in a comment on one of Tagboat's pull requests"),
    ] {
        let effects = case.api(text);
        assert_eq!(outcome(&effects), CommandOutcome::Invalid, "{text}");
        assert!(self::text(&effects).contains(expected), "{text}: {}", self::text(&effects));
        assert!(effects.place.is_empty() && effects.release.is_empty());
    }
}

#[test]
fn everything_can_be_frozen_from_outside() {
    assert_eq!(placed(&Case::new().api("freeze")), ["*/* freeze"]);
}

#[test]
fn until_newer_is_newer_than_what_is_offered_and_what_runs() {
    let mut case = Case::new();
    let until = |effects: Effects| effects.place[0].until.clone();
    let newer_than = |tag: &str| Until::NewerThan(version(tag));
    for effects in [case.comment("hold web until newer"), case.api("hold web in prod until newer")] {
        assert!(text(&effects).contains("until something newer than 1.5.0 comes"), "{}", text(&effects));
        assert!(text(&effects).contains("what they offer is held back, too"), "{}", text(&effects));
        assert_eq!(until(effects), newer_than("1.5.0"));
    }
    // The command line says what runs, and what is offered is above that.
    let target = target("prod", "web");
    let said = |case: &Case, tag: &str| {
        let command = Command::Hold { target: target.clone(), until: newer_than(tag), why: None };
        until(case.carry_out(command, CommandOrigin::Api))
    };
    assert_eq!(said(&case, "1.4.0"), newer_than("1.5.0"));
    assert_eq!(said(&case, "1.9.0"), newer_than("1.9.0"));
    // What runs may be above what is offered still, and stands above what ran upstream before it.
    case.ran.push(ran("prod", "1.10.0", 3, None));
    assert_eq!(until(case.comment("hold web until newer")), newer_than("1.10.0"));
    case.environments[1].promote_from = "dev".parse().ok();
    case.ran.extend([ran("dev", "1.10.0", 6, Some(7)), ran("dev", "1.5.0", 7, None)]);
    assert_eq!(until(case.comment("hold web until newer")), newer_than("1.5.0"));
}

#[test]
fn a_tag_that_nobody_knows_is_asked_of_the_registry() {
    let mut case = Case::new();
    let effects = case.comment("rollback web to 1.2.0");
    assert_eq!((effects.unresolved.len(), &effects.answer), (1, &None));
    let (entry, tag) = effects.unresolved[0].clone();
    assert!(unknown_version(&entry, &tag).text.contains("`1.2.0` of `web`"));
    case.known = vec![(entry, version("1.2.0"))];
    assert_eq!(placed(&case.comment("rollback web to 1.2.0")), ["prod/web keep 1.2.0"]);
}

#[test]
fn a_later_wish_takes_the_place_of_an_earlier_one() {
    let mut case = Case::new();
    let keep = Hold { id: "h-old".parse().unwrap(), ..case.comment("rollback web").place.remove(0) };
    case.world.holds = vec![keep.clone()];
    assert_eq!(outcome(&case.comment("rollback web")), CommandOutcome::Nothing);
    let effects = case.comment("promote web 1.7.0 because fire");
    assert_eq!((placed(&effects), effects.release), (vec!["prod/web promote 1.7.0".to_owned()], vec![keep.id]));
}

#[test]
fn release_takes_back_what_stands_against_the_pull_request_and_names_the_rest() {
    let mut case = Case::new();
    let hold = |id: &str, entry: Option<&str>, wish: Wish| Hold {
        id: id.parse().unwrap(),
        environment: "prod".parse().ok(),
        entry: entry.and_then(|entry| entry.parse().ok()),
        wish,
        by: alice().person(),
        why: Some("see @bob".to_owned()),
        since: NOW,
        until: Until::Released,
    };
    case.world.holds = vec![
        hold("refused", Some("web"), Wish::Refuse { version: version("1.5.0"), pull_request: 1 }),
        hold("skipped", Some("web"), Wish::Skip { version: version("1.4.9") }),
        hold("held", Some("worker"), Wish::Hold),
        hold("frozen", None, Wish::Freeze),
        hold("other", Some("api"), Wish::Hold),
    ];
    let ids = |effects: &Effects| effects.release.iter().map(ToString::to_string).collect::<Vec<_>>();
    let effects = case.comment("release");
    assert_eq!(ids(&effects), ["refused", "held"]);
    assert!(text(&effects).contains("/tagboat release frozen"), "{}", text(&effects));
    // It is plain text: what it quotes is as it was written.
    assert!(text(&effects).contains("- web in prod does without 1.5.0, since #1 was closed: see @bob\n"));
    assert!(text(&effects).contains("- worker in prod is held by "), "{}", text(&effects));
    assert_eq!(ids(&case.comment("release web")), ["refused", "skipped"]);
    assert_eq!(ids(&case.api("release in prod")), ["refused", "skipped", "held", "frozen", "other"]);
    assert_eq!(outcome(&case.api("release h-0011223344556677")), CommandOutcome::Nothing);
    assert_eq!(outcome(&case.api("release")), CommandOutcome::Nothing);
}

#[test]
fn merging_is_bound_to_the_head_that_was_seen() {
    let mut case = Case::new();
    let head = case.world.pulls[0].pull.head_commit.clone();
    assert_eq!(case.comment("merge").merge, [(1, head.clone())]);
    case.world.pulls[0].pull.draft = true;
    assert_eq!(outcome(&case.comment("merge")), CommandOutcome::Invalid);
    case.world.pulls[0].pull.draft = false;
    case.world.push(1);
    let effects = case.give("merge", CommandOrigin::Comment { pull_request: 1, comment: 9, head });
    assert!(text(&effects).contains("The branch has moved"), "{}", text(&effects));
    assert!(text(&case.comment("merge")).contains("commits of others"));
    assert_eq!(outcome(&case.give("merge", CommandOrigin::Box { number: 1 })), CommandOutcome::Invalid);
    assert_eq!(case.give("rebuild", CommandOrigin::Box { number: 1 }).rebuild, [1]);
    case.world.set(1, PullState::Closed);
    assert_eq!(outcome(&case.comment("rebuild")), CommandOutcome::Invalid);
}

#[test]
fn whoever_may_not_gets_that_said_and_nothing_is_done() {
    let mut case = Case::new();
    case.by = Commander::Account { account: alice(), permission: Some(Permission::Triage), approver_as: Vec::new() };
    for (verb, _) in all_commands() {
        let effects = case.comment(verb);
        let expected = (verb != "explain").then_some(CommandOutcome::Refused);
        assert_eq!(effects.answer.as_ref().map(|answer| answer.outcome), expected, "{verb}");
        assert_eq!(Effects { answer: None, ..effects }, Effects::default());
    }
}

#[test]
fn an_explanation_has_reasons_and_gates() {
    let mut explained = decision("web", "1.5.0");
    explained.gates =
        vec![gate(tagboat_model::GateName::Soak, tagboat_model::GateState::Waiting, tagboat_model::Stage::Offer)];
    let text = explain(&[&explained]);
    assert!(text.starts_with("web in prod: to be updated; now 1.0.0, chosen 1.5.0@sha256:"), "{text}");
    assert!(text.contains("- 1.5.0 is the best tag that") && text.contains("- gate soak waiting: as it is"), "{text}");
    assert_eq!(explain(&[]), "Nothing was decided about this yet.");
}
