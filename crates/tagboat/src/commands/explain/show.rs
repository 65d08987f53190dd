//! The words of `tagboat explain`. Texts of strangers are made fit for a terminal.

use tagboat_model::{Event, EventId, Outcome, Reason, Tag, Trust};
use tagboat_ports::{BranchState, DecisionRecord, DeliveryRecord, EventRecord};
use tagboat_server::Overtaken;

use super::{
    find::{AskedVersion, EventStory, Found, Heard, ImageStory, Told, Why},
    present::Present,
};
use crate::{
    commands::words::{self, safe},
    output::{BOLD, DIM, GREEN, RED, YELLOW, short, styled},
};

/// Ids of events that are shown of one decision.
const MOST_IDS: usize = 20;

/// Lines that belong together.
type Block = Vec<String>;

/// All lines, with an empty one between blocks.
pub(super) fn in_words(found: &Found, branches: &[BranchState], present: &Present) -> Vec<String> {
    let mut blocks: Vec<Block> = match found {
        Found::Event(story) => of_event(story, present),
        Found::Delivery(delivery, events) => {
            let first = of_delivery(delivery, events.is_empty());
            std::iter::once(first).chain(events.iter().flat_map(|story| of_event(story, present))).collect()
        }
        Found::Decision(decision, events) => vec![whole(decision, events, present)],
        Found::Image(story) => of_image(story, present),
        Found::Heard(heard) => vec![of_heard(heard)],
    };
    for branch in branches {
        if let Some(problem) = &branch.problem {
            blocks.push(vec![format!("{} {}: {problem}", styled(RED, "attention"), branch.key)]);
        }
    }
    let mut lines = Vec::new();
    for block in blocks {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(block);
    }
    lines
}

fn of_delivery(delivery: &DeliveryRecord, is_empty: bool) -> Block {
    let DeliveryRecord { id, receiver, verdict, received_at, .. } = delivery;
    let mut lines =
        vec![format!("delivery {} came to receiver {receiver} at {received_at}: {verdict}", styled(BOLD, id))];
    lines.extend(delivery.reasons.iter().map(|reason| format!("  not acted on: {}", safe(reason))));
    if is_empty {
        lines.push("  nothing to do: there is no event in it".to_owned());
    }
    lines.push(styled(DIM, format!("  `tagboat deliveries show {id}` shows it whole")));
    lines
}

fn of_event(story: &EventStory, present: &Present) -> Vec<Block> {
    let tag = story.event.pushed().map(|pushed| &pushed.tag);
    let decisions = story.decisions.iter().map(|record| about_decision(record, Why::Newest, tag, present));
    std::iter::once(of_event_itself(story)).chain(decisions).collect()
}

fn of_event_itself(story: &EventStory) -> Block {
    let EventRecord { id, receiver, event, received_at, branches, .. } = &story.event;
    let what = styled(BOLD, safe(&event.to_string()));
    let mut lines = vec![format!("receiver {receiver} was told of {what} at {received_at} ({id})")];
    if story.event.trust == Trust::Url && story.event.pushed().is_some() {
        let look = match (branches.is_empty(), branches.iter().all(|(_, served)| *served)) {
            (true, _) => "",
            (false, true) => "the registry was looked at, ",
            (false, false) => "the registry is looked at, ",
        };
        lines.push(format!("  its sender cannot prove itself: {look}the tag of the event counts for nothing"));
    }
    if branches.is_empty() {
        let why = match event {
            Event::ImagePushed(_) => "no config repository asked for it when it came",
            Event::BuildFinished(_) => {
                "no config repository asked for an image that this receiver may speak for when it came"
            }
            Event::RepositoryChanged(_) => "no branch that was known when it came is concerned",
            Event::InstallationsChanged { .. } => {
                "no branch is concerned; the GitHub App's repositories were asked for"
            }
        };
        lines.push(format!("  nothing to do: {why}"));
    }
    for (key, served) in branches {
        let is_decided = story.decisions.iter().any(|record| record.key == *key);
        lines.push(format!("  {key}: {}", fate(&story.event, *served, is_decided)));
    }
    lines
}

/// What became of an event for a branch. Decisions are only known to answer events that name an image.
fn fate(event: &EventRecord, is_served: bool, is_decided: bool) -> String {
    let receiver = &event.receiver;
    match (&event.event, is_served) {
        (Event::ImagePushed(_), true) if is_decided => "served".to_owned(),
        (Event::ImagePushed(_), true) => "served; there was nothing to decide about it".to_owned(),
        (Event::ImagePushed(_), false) => "waits".to_owned(),
        (Event::BuildFinished(_), true) => format!(
            "served: the images that it asks for and {receiver} may speak for were looked at; \
             `tagboat explain IMAGE` says what was decided"
        ),
        (Event::BuildFinished(_), false) => {
            format!("waits: the images that it asks for and {receiver} may speak for are to be looked at")
        }
        (Event::InstallationsChanged { .. }, true) => "served".to_owned(),
        (Event::InstallationsChanged { .. }, false) => "waits".to_owned(),
        (Event::RepositoryChanged(_), true) => "served: the branch was looked at".to_owned(),
        (Event::RepositoryChanged(_), false) => "waits: the branch is to be looked at".to_owned(),
    }
}

fn of_image(story: &ImageStory, present: &Present) -> Vec<Block> {
    let unknown = story.asked.as_ref().filter(|asked| !asked.is_known);
    let first = unknown.zip(story.told.first()).map(|(asked, told)| vec![of_unknown(asked, &told.record)]);
    let told = story.told.iter().map(|Told { why, record }| about_decision(record, *why, story.tag(), present));
    first.into_iter().chain(told).collect()
}

/// That no decision names what was asked about.
fn of_unknown(asked: &AskedVersion, decision: &DecisionRecord) -> String {
    let image = &decision.decision.image;
    let what = match (&asked.tag, &asked.digest) {
        (Some(tag), _) => format!("the tag {}", styled(BOLD, tag)),
        (None, Some(digest)) => format!("the digest {}", styled(BOLD, digest)),
        (None, None) => "the version".to_owned(),
    };
    match &asked.heard {
        Some(event) => format!(
            "no decision about {image} names {what}; receiver {} was told of it at {} ({})",
            event.receiver, event.received_at, event.id
        ),
        None => format!("nothing is known of {what}: no decision about {image} names it"),
    }
}

fn of_heard(heard: &Heard) -> Block {
    let Heard { image, last_at, receiver, .. } = heard;
    let among = heard.looked_through.map(|count| format!(" among the newest {count} events")).unwrap_or_default();
    let times = match heard.times {
        1 => format!("heard of once{among}, at {last_at}"),
        more => format!("heard of {more} times{among}, last at {last_at}"),
    };
    let wanted: Vec<String> = heard.wanted_by.iter().map(ToString::to_string).collect();
    let wanted = match wanted.as_slice() {
        [] => "no config repository asks for it".to_owned(),
        keys => format!("asked for by {}, where nothing was decided about it yet", keys.join(", ")),
    };
    let mut lines = vec![format!("{}: {times} by receiver {receiver}; {wanted}", styled(BOLD, image))];
    if let Some(tag) = &heard.tag {
        lines.push(match tag.times {
            0 => format!("  never with the tag {}", tag.tag),
            1 => format!("  once with the tag {}", tag.tag),
            more => format!("  {more} times with the tag {}", tag.tag),
        });
    }
    lines
}

/// What was asked about stands first among the reasons.
fn about_decision(record: &DecisionRecord, why: Why, tag: Option<&Tag>, present: &Present) -> Block {
    let decision = &record.decision;
    let place = styled(BOLD, format!("{} in {}", decision.entry, decision.environment));
    let place = match (why, tag) {
        (Why::LastUpdate, _) => format!("last update of {place}"),
        (Why::NamesTag, Some(tag)) => format!("last about {tag}, {place}"),
        (Why::Newest, _) | (Why::NamesTag, None) => place,
    };
    let what = outcome(record, present.overtaken(record));
    let mut lines = vec![format!("{place}: {what}")];
    let mut reasons: Vec<&Reason> = decision.reasons.iter().collect();
    reasons.sort_by_key(|reason| tag.is_none_or(|tag| reason.tag() != Some(tag)));
    lines.extend(reasons.iter().map(|reason| format!("  - {}", safe(&reason.to_string()))));
    lines.extend(decision.gates.iter().map(|gate| format!("  {}", words::gate(gate))));
    if why == Why::Newest {
        lines.extend(present.untold(record).iter().map(|hold| format!("  now: {}", safe(&hold.to_string()))));
    }
    let (at, head, key) = (record.decided_at, short(record.head.as_str()), &record.key);
    lines.push(styled(DIM, format!("  {} at {at}, from commit {head} of {key}", record.id)));
    lines
}

/// What followed from a decision, and what has happened since.
fn outcome(record: &DecisionRecord, overtaken: Option<Overtaken>) -> String {
    let decision = &record.decision;
    let current = decision.current.join(", ");
    let version = decision.version.as_ref().map(|version| version.tag.to_string()).unwrap_or_default();
    if let Some(overtaken) = overtaken {
        let merged = if decision.outcome == Outcome::Offered { "merged: " } else { "" };
        return match overtaken {
            Overtaken::Runs { since } => styled(GREEN, format!("{current} -> {version} {merged}runs since {since}")),
            Overtaken::Refused { pull_request } => {
                styled(YELLOW, format!("{current}, and {version} refused: #{pull_request} was closed"))
            }
            Overtaken::Skipped => styled(YELLOW, format!("{current}, and {version} is skipped")),
        };
    }
    match (decision.outcome, &record.commit) {
        (Outcome::Update, Some(commit)) => {
            styled(GREEN, format!("{current} -> {version} in commit {}", short(commit.as_str())))
        }
        (Outcome::Update, None) => styled(YELLOW, format!("{current} -> {version}, not on the branch yet")),
        (Outcome::Nothing, _) => "nothing to do".to_owned(),
        (Outcome::Offered, _) => {
            let number = words::pull_request(decision);
            let place = if number.is_empty() { " in a pull request" } else { number.as_str() };
            styled(YELLOW, format!("{current} -> {version} offered{place}"))
        }
        (Outcome::Waiting, _) => styled(YELLOW, format!("{current}, and {version} waits")),
        (Outcome::Blocked, _) => styled(RED, "blocked"),
    }
}

/// A decision with everything that is written down of it.
fn whole(record: &DecisionRecord, events: &[EventId], present: &Present) -> Block {
    let decision = &record.decision;
    let mut lines = about_decision(record, Why::Newest, None, present);
    let mut add = |label: &str, text: &str| lines.push(format!("  {} {text}", styled(DIM, format!("{label:<7}"))));
    add("image", &decision.image.to_string());
    if !decision.current.is_empty() {
        add("carried", &decision.current.join(", "));
    }
    if let Some(version) = &decision.version {
        add("chosen", &format!("{}@{}", version.tag, version.digest));
    }
    add("read", record.head.as_str());
    if let Some(commit) = &record.commit {
        add("commit", commit.as_str());
    }
    let mut ids: Vec<String> = events.iter().take(MOST_IDS).map(ToString::to_string).collect();
    if events.len() > MOST_IDS {
        ids.push(format!("and {} more", events.len() - MOST_IDS));
    }
    match ids.as_slice() {
        [] => add("answers", "no event about its image: it was found by looking"),
        ids => add("answers", &ids.join(", ")),
    }
    lines
}

#[cfg(test)]
mod tests {
    use tagboat_model::{
        BranchKey, BuildFinished, Decision, ImagePushed, RepositoryChange, RepositoryChanged, TenantName, Timestamp,
        Version,
    };

    use super::*;
    use crate::commands::explain::find::HeardTag;

    const NOW: Timestamp = Timestamp(1_795_662_000_000);

    fn key() -> BranchKey {
        BranchKey {
            tenant: TenantName::default(),
            repository: "config".parse().unwrap(),
            branch: "main".parse().unwrap(),
        }
    }

    fn pushed(tag: &str) -> Event {
        Event::ImagePushed(ImagePushed::new("ghcr.io/acme/web".parse().unwrap(), tag.parse().unwrap(), None))
    }

    fn event(event: Event, trust: Trust, branches: &[bool]) -> EventRecord {
        EventRecord {
            id: "ev-1".parse().unwrap(),
            delivery: "dl-1".parse().unwrap(),
            receiver: "ci".parse().unwrap(),
            event,
            trust,
            received_at: NOW,
            branches: branches.iter().map(|served| (key(), *served)).collect(),
        }
    }

    fn decision(id: &str, outcome: Outcome, reasons: Vec<Reason>) -> DecisionRecord {
        let digest = format!("sha256:{}", "1".repeat(64)).parse().unwrap();
        let decision = Decision {
            environment: "dev".parse().unwrap(),
            entry: "web".parse().unwrap(),
            image: "ghcr.io/acme/web".parse().unwrap(),
            current: vec!["1.4.0".to_owned()],
            outcome,
            version: Some(Version { tag: "1.5.0".parse().unwrap(), digest }),
            reasons,
            gates: Vec::new(),
        };
        DecisionRecord {
            id: id.parse().unwrap(),
            key: key(),
            head: "0".repeat(40).parse().unwrap(),
            decided_at: NOW,
            decision,
            commit: (outcome == Outcome::Update).then(|| "a".repeat(40).parse().unwrap()),
        }
    }

    fn update() -> DecisionRecord {
        let tag = "1.5.0".parse().unwrap();
        decision("d-1", Outcome::Update, vec![Reason::Selected { tag, policy: "semver `^1.4`".to_owned() }])
    }

    fn nothing() -> DecisionRecord {
        let low = Reason::LowerThanSelected { tag: "1.4.9".parse().unwrap(), selected: "1.5.0".parse().unwrap() };
        decision("d-2", Outcome::Nothing, vec![Reason::AlreadyThere { version: "1.5.0".to_owned() }, low])
    }

    fn lines(found: &Found) -> Vec<String> {
        lines_now(found, &Present::default())
    }

    fn lines_now(found: &Found, present: &Present) -> Vec<String> {
        in_words(found, &[], present).iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    fn of_one(record: EventRecord, decisions: Vec<DecisionRecord>) -> Vec<String> {
        lines(&Found::Event(Box::new(EventStory { event: record, decisions })))
    }

    #[test]
    fn the_last_update_says_why_this_version_when_the_newest_decision_does_not() {
        let told = vec![Told { why: Why::Newest, record: nothing() }, Told { why: Why::LastUpdate, record: update() }];
        assert_eq!(
            lines(&Found::Image(ImageStory { told, asked: None })),
            [
                "web in dev: nothing to do",
                "  - nothing to do: the references carry 1.5.0 already",
                "  - 1.4.9 is lower than selected 1.5.0",
                "  d-2 at 2026-11-26T03:00:00Z, from commit 0000000000 of default/config#main",
                "",
                "last update of web in dev: 1.4.0 -> 1.5.0 in commit aaaaaaaaaa",
                "  - 1.5.0 is the best tag that semver `^1.4` admits",
                "  d-1 at 2026-11-26T03:00:00Z, from commit 0000000000 of default/config#main",
            ]
        );
    }

    #[test]
    fn reasons_about_the_tag_that_was_asked_about_stand_first_and_an_unknown_tag_is_told() {
        let asked = |tag: &str, is_known, heard| {
            let told = vec![Told { why: Why::NamesTag, record: nothing() }];
            let asked = AskedVersion { tag: Some(tag.parse().unwrap()), digest: None, is_known, heard };
            lines(&Found::Image(ImageStory { told, asked: Some(asked) }))
        };
        let known = asked("1.4.9", true, None);
        assert_eq!(
            known[..2],
            ["last about 1.4.9, web in dev: nothing to do", "  - 1.4.9 is lower than selected 1.5.0"]
        );
        let unknown = asked("9.9.9", false, None);
        assert_eq!(
            unknown[..2],
            ["nothing is known of the tag 9.9.9: no decision about ghcr.io/acme/web names it", ""]
        );
        let heard = asked("9.9.9", false, Some(Box::new(event(pushed("9.9.9"), Trust::Signed, &[false]))));
        assert_eq!(
            heard[0],
            "no decision about ghcr.io/acme/web names the tag 9.9.9; receiver ci was told of it at 2026-11-26T03:00:00Z (ev-1)"
        );
    }

    #[test]
    fn what_is_offered_or_waits_is_told_with_its_gates() {
        use tagboat_model::{Gate, GateName, GateState, Stage};
        let version = update().decision.version.unwrap();
        let mut offered = decision("d-3", Outcome::Offered, vec![Reason::InPullRequest { version, number: 12 }]);
        offered.decision.gates = vec![Gate {
            name: GateName::Approvals,
            state: GateState::Waiting,
            holds: Stage::Merge,
            text: "waiting: 0 of 1".to_owned(),
            until: None,
        }];
        let told = lines(&Found::Decision(Box::new(offered.clone()), Vec::new()));
        assert_eq!(
            told[..3],
            ["web in dev: 1.4.0 -> 1.5.0 offered in #12", "  - #12 brings 1.5.0", "  waits: approvals waiting: 0 of 1"]
        );
        offered.decision.outcome = Outcome::Waiting;
        let told = lines(&Found::Decision(Box::new(offered), Vec::new()));
        assert_eq!(told[0], "web in dev: 1.4.0, and 1.5.0 waits");
    }

    #[test]
    fn what_happened_since_a_decision_is_told() {
        use tagboat_model::{Hold, Person, PutBy, Ran, RanIn, Until, Wish};
        let version = update().decision.version.unwrap();
        let offered =
            decision("d-3", Outcome::Offered, vec![Reason::InPullRequest { version: version.clone(), number: 3 }]);
        let told = |present: &Present| lines_now(&Found::Decision(Box::new(offered.clone()), Vec::new()), present);
        let ran = Ran {
            version: version.clone(),
            since: NOW,
            until: None,
            by: PutBy::Others,
            commit: None,
            taken_back: false,
            rollout: None,
        };
        let ran = RanIn { environment: "dev".parse().unwrap(), entry: "web".parse().unwrap(), ran };
        let runs = Present { ran: vec![(key().tenant, key().repository, ran)], holds: Vec::new() };
        assert_eq!(told(&runs)[0], "web in dev: 1.4.0 -> 1.5.0 merged: runs since 2026-11-26T03:00:00Z");
        let held = |wish: Wish| {
            let hold = Hold {
                id: "h-1".parse().unwrap(),
                environment: Some("dev".parse().unwrap()),
                entry: None,
                wish,
                by: Person::operator("Ann"),
                why: None,
                since: NOW,
                until: Until::Released,
            };
            Present { ran: Vec::new(), holds: vec![(key().tenant, key().repository, hold)] }
        };
        let refused = told(&held(Wish::Refuse { version, pull_request: 3 }));
        assert_eq!(refused[0], "web in dev: 1.4.0, and 1.5.0 refused: #3 was closed");
        let frozen = told(&held(Wish::Freeze));
        assert_eq!(frozen[0], "web in dev: 1.4.0 -> 1.5.0 offered in #3");
        assert_eq!(frozen[2], "  now: all of dev is frozen by operator Ann since 2026-11-26T03:00:00Z");
    }

    #[test]
    fn an_event_says_only_what_came_of_it() {
        assert_eq!(
            of_one(event(pushed("1.5.0"), Trust::Url, &[]), Vec::new()),
            [
                "receiver ci was told of ghcr.io/acme/web:1.5.0 at 2026-11-26T03:00:00Z (ev-1)",
                "  its sender cannot prove itself: the tag of the event counts for nothing",
                "  nothing to do: no config repository asked for it when it came",
            ]
        );
        let looked_at = of_one(event(pushed("1.5.0"), Trust::Url, &[true]), vec![update()]);
        assert!(looked_at[1].contains("the registry was looked at, the tag"), "{}", looked_at[1]);
        assert_eq!(
            looked_at[2..5],
            ["  default/config#main: served", "", "web in dev: 1.4.0 -> 1.5.0 in commit aaaaaaaaaa"]
        );
        let waits = of_one(event(pushed("1.5.0"), Trust::Signed, &[false]), Vec::new());
        assert_eq!(waits[1..], ["  default/config#main: waits"]);
        let low = of_one(event(pushed("1.4.9"), Trust::Signed, &[true]), vec![nothing()]);
        assert_eq!(low[4], "  - 1.4.9 is lower than selected 1.5.0");
    }

    #[test]
    fn an_event_without_a_tag_says_what_was_looked_at() {
        let build =
            BuildFinished { repository: "acme/web\u{1b}[2J".to_owned(), revision: None, reference: None, actor: None };
        let told = of_one(event(Event::BuildFinished(build), Trust::Signed, &[true]), Vec::new());
        assert!(told[0].starts_with("receiver ci was told of a build of acme/web [2J at "), "{}", told[0]);
        assert_eq!(
            told[1..],
            [
                "  default/config#main: served: the images that it asks for and ci may speak for were looked at; `tagboat explain IMAGE` says what was decided"
            ]
        );
        let change = RepositoryChanged {
            addresses: vec!["https://github.com/acme/config".to_owned()],
            change: RepositoryChange::BranchMoved,
            branch: None,
            commit: None,
            number: None,
            actor: None,
        };
        let told = of_one(event(Event::RepositoryChanged(change.clone()), Trust::Signed, &[true]), Vec::new());
        assert_eq!(told[1..], ["  default/config#main: served: the branch was looked at"]);
        let told = of_one(event(Event::RepositoryChanged(change), Trust::Signed, &[]), Vec::new());
        assert_eq!(told[1..], ["  nothing to do: no branch that was known when it came is concerned"]);
    }

    #[test]
    fn a_decision_is_shown_whole_with_the_events_that_it_answers() {
        let id = |number: usize| format!("ev-{number}").parse::<EventId>().unwrap();
        let ids = |count: usize| (0..count).map(id).collect::<Vec<_>>();
        let told = lines(&Found::Decision(Box::new(update()), ids(2)));
        assert_eq!(told[0], "web in dev: 1.4.0 -> 1.5.0 in commit aaaaaaaaaa");
        let digest = "1".repeat(64);
        assert_eq!(
            told[3..],
            [
                "  image   ghcr.io/acme/web".to_owned(),
                "  carried 1.4.0".to_owned(),
                format!("  chosen  1.5.0@sha256:{digest}"),
                format!("  read    {}", "0".repeat(40)),
                format!("  commit  {}", "a".repeat(40)),
                "  answers ev-0, ev-1".to_owned(),
            ]
        );
        let many = lines(&Found::Decision(Box::new(update()), ids(22)));
        assert!(many.last().unwrap().ends_with("ev-19, and 2 more"), "{many:?}");
        let none = lines(&Found::Decision(Box::new(update()), ids(0)));
        assert_eq!(none.last().unwrap(), "  answers no event about its image: it was found by looking");
    }

    #[test]
    fn a_delivery_is_explained_event_by_event() {
        let delivery = |reasons: &[&str]| {
            Box::new(DeliveryRecord {
                id: "dl-1".parse().unwrap(),
                tenant: TenantName::default(),
                receiver: "ci".parse().unwrap(),
                kind: "generic".to_owned(),
                trust: Trust::Signed,
                verdict: "accepted".to_owned(),
                reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
                received_at: NOW,
            })
        };
        let story = |tag| EventStory { event: event(pushed(tag), Trust::Signed, &[false]), decisions: Vec::new() };
        let told = lines(&Found::Delivery(delivery(&["`pull` is not a push"]), vec![story("1.5.0"), story("1.5.1")]));
        assert_eq!(
            told[..4],
            [
                "delivery dl-1 came to receiver ci at 2026-11-26T03:00:00Z: accepted",
                "  not acted on: `pull` is not a push",
                "  `tagboat deliveries show dl-1` shows it whole",
                "",
            ]
        );
        assert!(told[4].contains("acme/web:1.5.0") && told[7].contains("acme/web:1.5.1"), "{told:?}");
        let told = lines(&Found::Delivery(delivery(&[]), Vec::new()));
        assert_eq!(told[1], "  nothing to do: there is no event in it");
    }

    #[test]
    fn an_image_that_was_only_heard_of_is_told_with_who_asks_for_it() {
        let heard = |times: usize, tag: Option<usize>, wanted_by| {
            lines(&Found::Heard(Heard {
                image: "ghcr.io/acme/zzz".parse().unwrap(),
                times,
                looked_through: (times > 100).then_some(500),
                last_at: NOW,
                receiver: "registry".parse().unwrap(),
                tag: tag.map(|times| HeardTag { tag: "1.0.0".parse().unwrap(), times }),
                wanted_by,
            }))
        };
        assert_eq!(
            heard(3, None, Vec::new()),
            [
                "ghcr.io/acme/zzz: heard of 3 times, last at 2026-11-26T03:00:00Z by receiver registry; no config repository asks for it"
            ]
        );
        let once = heard(1, Some(0), vec![key()]);
        assert_eq!(
            once,
            [
                "ghcr.io/acme/zzz: heard of once, at 2026-11-26T03:00:00Z by receiver registry; asked for by default/config#main, where nothing was decided about it yet",
                "  never with the tag 1.0.0",
            ]
        );
        let often = heard(400, Some(2), Vec::new());
        assert!(often[0].contains("heard of 400 times among the newest 500 events, last at"), "{}", often[0]);
        assert_eq!(often[1], "  2 times with the tag 1.0.0");
    }
}
