//! What every store promises, whatever is below it. Each function gets an empty store.

mod deliveries;
mod files;
mod history;
mod senders;
mod tally;
mod turns;

use tagboat_model::{
    BranchKey, CommitId, Decision, DecisionId, Duration, Event, EventId, ImageName, ImagePushed, Outcome, Reason, Tag,
    Timestamp, Trust,
};
use tagboat_ports::{
    DecisionsAbout, Finish, ManifestDescription, ManifestKind, NewDelivery, NewEvent, Observation, PendingEvent,
    Recorded, Settle, Settled, Store, Stored, ToRecord, Work,
};

const LEASE: Duration = Duration::from_seconds(60);
const SETTLE: Settle = Settle { quiet: Duration::from_seconds(2), at_most: Duration::from_seconds(15) };

fn at(seconds: i64) -> Timestamp {
    Timestamp(1_700_000_000_000 + seconds * 1000)
}

fn key(branch: &str) -> BranchKey {
    BranchKey {
        tenant: "default".parse().unwrap(),
        repository: "config".parse().unwrap(),
        branch: branch.parse().unwrap(),
    }
}

fn web() -> ImageName {
    "ghcr.io/acme/web".parse().unwrap()
}

/// The events that wait for `work`.
///
/// # Panics
/// When the store does not answer.
pub async fn waiting(store: &dyn Store, work: &Work) -> Vec<PendingEvent> {
    let mut events = Vec::new();
    store.pending_events(work, &mut |event| events.push(event)).await.unwrap();
    events
}

/// With rules that stay the same.
fn ruled(image: ImageName) -> (ImageName, String) {
    (image, "rules".to_owned())
}

fn delivery(number: u32, delivery_key: &str, tag: &str, received_at: Timestamp) -> NewDelivery {
    NewDelivery {
        id: format!("delivery-{number}").parse().unwrap(),
        tenant: "default".parse().unwrap(),
        receiver: "registry".parse().unwrap(),
        kind: "distribution".to_owned(),
        trust: Trust::Signed,
        key: delivery_key.to_owned(),
        once: None,
        acts_again: false,
        verdict: "accepted".to_owned(),
        reasons: vec!["a reason".to_owned()],
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: b"{}".to_vec(),
        body_hash: "hash of {}".to_owned(),
        received_at,
        events: vec![NewEvent {
            id: format!("event-{number}").parse().unwrap(),
            event: Event::ImagePushed(ImagePushed::new(web(), tag.parse().unwrap(), None)),
            trust: Trust::Signed,
            looks: Vec::new(),
            branches: Vec::new(),
            urgent: false,
        }],
    }
}

/// The tag that an event says was pushed.
fn pushed_tag(event: &PendingEvent) -> &str {
    event.candidate().unwrap().tag.as_str()
}

async fn lease(store: &dyn Store, now: Timestamp) -> Result<Work, Option<Timestamp>> {
    store.lease("worker", SETTLE, LEASE, now).await.unwrap()
}

fn served() -> Finish {
    Finish::Served { head: None, swept: false, problem: None, wake_at: None }
}

/// A branch that is known, interested in web, and served.
async fn quiet_branch(store: &dyn Store) {
    store.know_branches(&[key("main")], at(0)).await.unwrap();
    let work = lease(store, at(0)).await.unwrap();
    store.set_interests(&work, &[ruled(web())]).await.unwrap();
    store.finish(&work, served(), at(0)).await.unwrap();
    assert_eq!(lease(store, at(0)).await, Err(None));
}

/// Run every promise, each on a store that `open` makes.
pub async fn check<S: Store>(open: impl AsyncFn() -> S) {
    events_settle_and_reach_interested_branches(&open().await).await;
    work_that_arrives_during_work_stays(&open().await).await;
    a_late_worker_closes_nothing(&open().await).await;
    failed_work_waits_but_newer_work_does_not(&open().await).await;
    turns::what_is_parked_waits_for_newer_work_or_a_start(&open().await).await;
    turns::tenants_and_repositories_take_turns(&open().await).await;
    decisions_are_recorded_once(&open().await).await;
    interests_and_observations_are_kept(&open().await).await;
    sweeps_come_due(&open().await).await;
    what_waits_is_woken_once(&open().await).await;
    edited_rules_want_a_look(&open().await).await;
    sightings_keep_their_first_time(&open().await).await;
    deliveries::repeated_ones_change_nothing(&open().await).await;
    deliveries::keys_belong_to_their_receiver(&open().await).await;
    deliveries::what_has_no_id_may_be_something_new(&open().await).await;
    deliveries::what_is_caused_anew_is_answered_by_both_works(&open().await).await;
    deliveries::another_body_under_a_key_changes_nothing(&open().await).await;
    deliveries::they_are_shown(&open().await).await;
    deliveries::the_old_are_emptied(&open().await).await;
    deliveries::the_oldest_are_emptied_while_all_are_too_large(&open().await).await;
    senders::events_of_every_kind_read_back(&open().await).await;
    senders::looks_are_for_all_who_are_interested(&open().await).await;
    senders::a_look_that_is_asked_for_during_work_is_still_to_be_made(&open().await).await;
    senders::a_push_by_whoever_knows_the_address_is_no_candidate(&open().await).await;
    senders::events_name_branches_of_their_tenant(&open().await).await;
    senders::announcements_keep_what_came_first(&open().await).await;
    senders::images_of_interest_are_those_of_the_tenant(&open().await).await;
    files::what_was_found_is_remembered(&open().await).await;
    files::what_is_not_used_is_forgotten(&open().await).await;
    files::what_another_finder_wrote_is_forgotten(&open().await).await;
    history::what_runs_is_written_down_once(&open().await).await;
    history::what_ran_reads_back_whole(&open().await).await;
    history::what_people_took_back_is_marked(&open().await).await;
    history::a_late_worker_notes_nothing(&open().await).await;
    history::the_newest_of_what_ran_is_kept(&open().await).await;
    history::holds_are_placed_and_released_once(&open().await).await;
    history::commands_are_taken_and_answered_once(&open().await).await;
    history::who_is_woken_does_not_settle(&open().await).await;
    history::a_gate_wakes_its_branch_and_has_no_image_looked_at(&open().await).await;
    history::a_gate_wakes_until_that_is_served(&open().await).await;
    history::values_are_kept(&open().await).await;
    tally::what_is_counted_adds_up(&open().await).await;
}

async fn events_settle_and_reach_interested_branches(store: &dyn Store) {
    quiet_branch(store).await;
    store.accept(delivery(1, "a", "1.0.0", at(10))).await.unwrap();
    assert_eq!(lease(store, at(11)).await, Err(Some(at(12))), "two seconds without a new event");
    store.accept(delivery(2, "b", "1.1.0", at(11))).await.unwrap();
    assert_eq!(lease(store, at(12)).await, Err(Some(at(13))));
    for second in 12..25 {
        store
            .accept(delivery(100 + u32::try_from(second).unwrap(), &format!("c{second}"), "1.2.0", at(second)))
            .await
            .unwrap();
    }
    assert_eq!(lease(store, at(24)).await, Err(Some(at(25))), "but never longer than fifteen");
    let work = lease(store, at(25)).await.unwrap();
    let events = waiting(store, &work).await;
    assert_eq!((events.len(), pushed_tag(&events[0])), (15, "1.0.0"));
    store.finish(&work, served(), at(26)).await.unwrap();
    assert_eq!(lease(store, at(99)).await, Err(None));
    let record = store.event(&"event-1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(record.branches, [(key("main"), true)]);

    store.know_branches(&[key("main"), key("release")], at(100)).await.unwrap();
    let work = lease(store, at(100)).await.unwrap();
    assert_eq!(work.key, key("release"), "a branch that is new does not wait, one that is known is left alone");
}

async fn work_that_arrives_during_work_stays(store: &dyn Store) {
    quiet_branch(store).await;
    store.accept(delivery(1, "a", "1.0.0", at(0))).await.unwrap();
    let work = lease(store, at(10)).await.unwrap();
    store.accept(delivery(2, "b", "1.1.0", at(11))).await.unwrap();
    assert_eq!(waiting(store, &work).await.len(), 1, "only what was there when it was taken");
    store.finish(&work, served(), at(12)).await.unwrap();
    let work = lease(store, at(20)).await.unwrap();
    assert_eq!(pushed_tag(&waiting(store, &work).await[0]), "1.1.0");
}

async fn a_late_worker_closes_nothing(store: &dyn Store) {
    quiet_branch(store).await;
    store.accept(delivery(1, "a", "1.0.0", at(0))).await.unwrap();
    let late = lease(store, at(10)).await.unwrap();
    assert_eq!(lease(store, at(30)).await, Err(Some(at(70))), "nobody else while the lease lasts");
    let second = lease(store, at(70)).await.unwrap();
    assert!(second.fence > late.fence);
    store.finish(&late, served(), at(71)).await.unwrap();
    store.set_interests(&late, &[]).await.unwrap();
    assert!(!store.renew(&late, at(500)).await.unwrap());
    assert_eq!(store.interests(&key("main")).await.unwrap().len(), 1);
    assert!(store.renew(&second, at(100)).await.unwrap());
    assert_eq!(lease(store, at(80)).await, Err(Some(at(100))), "a renewed lease lasts longer");
    assert_eq!(store.record(&late, to_record("d-1", true)).await.unwrap(), Recorded::StaleFence);
    assert_eq!(waiting(store, &second).await.len(), 1);
    store.finish(&second, served(), at(72)).await.unwrap();
    assert_eq!(lease(store, at(200)).await, Err(None));
}

async fn failed_work_waits_but_newer_work_does_not(store: &dyn Store) {
    quiet_branch(store).await;
    store.accept(delivery(1, "a", "1.0.0", at(0))).await.unwrap();
    let work = lease(store, at(10)).await.unwrap();
    let failed = Finish::Failed { error: "no answer".to_owned(), swept: false, again_at: at(300), parked: false };
    store.finish(&work, failed, at(11)).await.unwrap();
    assert_eq!(lease(store, at(20)).await, Err(Some(at(300))));
    let state = &store.branches().await.unwrap()[0];
    assert_eq!((state.problem.as_deref(), state.again_at), (Some("no answer"), Some(at(300))));
    store.accept(delivery(2, "b", "1.1.0", at(30))).await.unwrap();
    let work = lease(store, at(40)).await.unwrap();
    assert_eq!((work.attempts, waiting(store, &work).await.len()), (1, 2));
    store.finish(&work, served(), at(41)).await.unwrap();
    let state = &store.branches().await.unwrap()[0];
    assert_eq!((state.problem.as_deref(), state.again_at, state.dirty), (None, None, false));
}

fn to_record(id: &str, planned: bool) -> ToRecord {
    let decision = Decision {
        environment: "dev".parse().unwrap(),
        entry: "web".parse().unwrap(),
        image: web(),
        current: vec!["1.0.0".to_owned()],
        outcome: Outcome::Update,
        version: None,
        reasons: vec![Reason::NoReference { image: web() }],
        gates: Vec::new(),
    };
    ToRecord {
        head: "0".repeat(40).parse().unwrap(),
        at: at(20),
        facts: b"facts".to_vec(),
        decisions: vec![(id.parse().unwrap(), decision, planned)],
        listed: vec![web()],
        missed: Vec::new(),
        waiting: Vec::new(),
    }
}

async fn decisions_are_recorded_once(store: &dyn Store) {
    quiet_branch(store).await;
    store.accept(delivery(1, "a", "1.0.0", at(0))).await.unwrap();
    let work = lease(store, at(10)).await.unwrap();
    assert_eq!(store.record(&work, to_record("d-1", true)).await.unwrap(), Recorded::At(vec![at(20)]));
    let again = ToRecord { at: at(30), ..to_record("d-1", true) };
    assert_eq!(store.record(&work, again).await.unwrap(), Recorded::At(vec![at(20)]), "the first time counts");
    let mut offered = ToRecord { at: at(30), ..to_record("d-1", false) };
    offered.decisions[0].1.outcome = Outcome::Offered;
    let reasons = vec![
        Reason::NoReference { image: web() },
        Reason::NothingBetter { current: "1.0.0".to_owned(), policy: "newest".to_owned() },
    ];
    offered.decisions[0].1.reasons.clone_from(&reasons);
    store.record(&work, offered).await.unwrap();
    let known = store.decisions(&DecisionsAbout::One("d-1".parse().unwrap()), 1).await.unwrap().remove(0);
    assert_eq!(
        (known.decision.outcome, &known.decision.reasons),
        (Outcome::Offered, &reasons),
        "what is said of it last"
    );
    assert_eq!((known.decided_at, known.commit), (at(20), None));
    store.record(&work, ToRecord { at: at(30), ..to_record("d-1", true) }).await.unwrap();
    let (id, commit): (DecisionId, CommitId) = ("d-1".parse().unwrap(), "a".repeat(40).parse().unwrap());
    assert_eq!(store.pending_changes(&key("main")).await.unwrap()[0].decision, id);
    let settled = Settled { landed: vec![(id.clone(), commit.clone())], ..Settled::default() };
    store.settle_changes(&key("main"), &settled, at(31)).await.unwrap();
    assert!(store.pending_changes(&key("main")).await.unwrap().is_empty());
    let decisions = store.decisions(&DecisionsAbout::Event("event-1".parse().unwrap()), 10).await.unwrap();
    assert_eq!((decisions.len(), decisions[0].commit.as_ref()), (1, Some(&commit)));
    let about = |image: &str, entry: &str| DecisionsAbout::Image { image: image.to_owned(), entry: entry.to_owned() };
    for (image, entry, found) in [("ghcr.io/acme/web", "x", 1), ("x", "web", 1), ("x", "x", 0)] {
        assert_eq!(store.decisions(&about(image, entry), 10).await.unwrap().len(), found);
    }
    let answered: Vec<EventId> = store.answered(&id).await.unwrap();
    assert_eq!(answered.iter().map(EventId::as_str).collect::<Vec<_>>(), ["event-1"]);
    let tenant = "default".parse().unwrap();
    let own = store.own_commits(&tenant, &[commit.to_string(), "b".repeat(40)]).await.unwrap();
    assert_eq!(own, [commit.to_string()]);
    assert!(store.own_commits(&"other".parse().unwrap(), &[commit.to_string()]).await.unwrap().is_empty());

    store.record(&work, to_record("d-2", true)).await.unwrap();
    let settled = Settled { given_up: vec!["d-2".parse().unwrap()], ..Settled::default() };
    store.settle_changes(&key("main"), &settled, at(32)).await.unwrap();
    assert!(store.pending_changes(&key("main")).await.unwrap().is_empty());
    store.record(&work, to_record("d-2", true)).await.unwrap();
    assert_eq!(store.pending_changes(&key("main")).await.unwrap().len(), 1, "what was given up can be planned again");
    decisions_are_found(store).await;
}

async fn decisions_are_found(store: &dyn Store) {
    for (id, found) in [("d-1", &["d-1"][..]), ("d-2", &["d-2"]), ("d-3", &[])] {
        assert_eq!(decision_ids(store, &DecisionsAbout::One(id.parse().unwrap())).await, found);
    }
    let (own, other) = (key("main"), "other");
    for (tenant, repository, found) in [
        (own.tenant.as_str(), own.repository.as_str(), 2),
        (other, own.repository.as_str(), 0),
        (own.tenant.as_str(), other, 0),
    ] {
        let about =
            DecisionsAbout::Repository { tenant: tenant.parse().unwrap(), repository: repository.parse().unwrap() };
        assert_eq!(decision_ids(store, &about).await.len(), found, "{tenant}/{repository}");
    }
    for (image, entry, found) in [("ghcr.io/acme/web", "x", &["d-1"][..]), ("x", "web", &["d-1"]), ("x", "x", &[])] {
        let updates = DecisionsAbout::Updates { image: image.to_owned(), entry: entry.to_owned() };
        assert_eq!(decision_ids(store, &updates).await, found, "only what landed is an update");
    }
}

async fn decision_ids(store: &dyn Store, about: &DecisionsAbout) -> Vec<String> {
    store.decisions(about, 10).await.unwrap().iter().map(|record| record.id.to_string()).collect()
}

async fn interests_and_observations_are_kept(store: &dyn Store) {
    quiet_branch(store).await;
    let interests = store.interests(&key("main")).await.unwrap();
    assert_eq!((interests.len(), interests[0].listed), (1, false));
    store.accept(delivery(9, "z", "1.0.0", at(0))).await.unwrap();
    let work = lease(store, at(10)).await.unwrap();
    store.record(&work, to_record("d-1", false)).await.unwrap();
    assert!(store.interests(&key("main")).await.unwrap()[0].listed);
    store.record(&work, ToRecord { listed: Vec::new(), missed: vec![web()], ..to_record("d-1", false) }).await.unwrap();
    assert!(!store.interests(&key("main")).await.unwrap()[0].listed, "a look that failed is to be made again");
    store.record(&work, to_record("d-1", false)).await.unwrap();
    let api: ImageName = "ghcr.io/acme/api".parse().unwrap();
    store.set_interests(&work, &[ruled(api.clone()), ruled(web())]).await.unwrap();
    let listed: Vec<bool> =
        store.interests(&key("main")).await.unwrap().iter().map(|interest| interest.listed).collect();
    assert_eq!(listed, [false, true], "a new image is unlisted, a known one stays as it was");
    store.set_interests(&work, &[ruled(api)]).await.unwrap();
    assert_eq!(
        store.accept(delivery(1, "a", "1.0.0", at(2))).await.unwrap(),
        Stored::New(vec![("event-1".parse().unwrap(), 0)])
    );

    let manifest = |c: &str| ManifestDescription {
        digest: format!("sha256:{}", c.repeat(64)).parse().unwrap(),
        kind: ManifestKind::Image,
        revision: Some("abc".to_owned()),
        source: None,
        created: Some(at(1)),
        platforms: vec!["linux/amd64".parse().unwrap()],
    };
    let seen = |c: &str| Observation { image: web(), tag: "1.0.0".parse().unwrap(), manifest: manifest(c) };
    let tenant = "default".parse().unwrap();
    store.observe(&tenant, &[seen("a")], at(3)).await.unwrap();
    store.observe(&tenant, &[seen("b")], at(4)).await.unwrap();
    store.observe(&tenant, &[seen("b")], at(5)).await.unwrap();
    let known = store.observations(&tenant, &web()).await.unwrap();
    let [known] = &known[..] else { panic!("one tag: {known:?}") };
    assert_eq!(
        (&known.manifest, known.since, &known.replaced[..]),
        (&manifest("b"), at(4), &[manifest("a").digest][..])
    );
    assert!(store.observations(&"other".parse().unwrap(), &web()).await.unwrap().is_empty());
}

async fn sweeps_come_due(store: &dyn Store) {
    let hour = Duration::from_seconds(3600);
    store.know_branches(&[key("main")], at(0)).await.unwrap();
    let work = lease(store, at(0)).await.unwrap();
    assert_eq!(work.swept_at, None);
    store.finish(&work, Finish::Served { head: None, swept: true, problem: None, wake_at: None }, at(0)).await.unwrap();
    let due = store.mark_sweeps(hour, at(1)).await.unwrap().unwrap();
    assert!(due >= at(3600) && due <= at(3960), "an hour and up to a tenth: {due}");
    assert_eq!(lease(store, at(10)).await, Err(None));
    store.mark_sweeps(hour, at(4000)).await.unwrap();
    assert_eq!(lease(store, at(4010)).await.unwrap().swept_at, Some(at(0)));
}

async fn what_waits_is_woken_once(store: &dyn Store) {
    let hour = Duration::from_seconds(3600);
    store.know_branches(&[key("main")], at(0)).await.unwrap();
    let looked = |now, waiting: &[(ImageName, Timestamp)]| ToRecord {
        at: now,
        decisions: Vec::new(),
        listed: vec![web()],
        waiting: waiting.to_vec(),
        ..to_record("d-1", false)
    };
    let work = lease(store, at(0)).await.unwrap();
    store.set_interests(&work, &[ruled(web())]).await.unwrap();
    store.record(&work, looked(at(0), &[(web(), at(30))])).await.unwrap();
    store.finish(&work, Finish::Served { head: None, swept: true, problem: None, wake_at: None }, at(0)).await.unwrap();
    assert_eq!(store.branches().await.unwrap()[0].again_at, Some(at(30)));
    assert_eq!(store.mark_sweeps(hour, at(29)).await.unwrap(), Some(at(30)));
    assert_eq!(lease(store, at(29)).await, Err(None));
    store.mark_sweeps(hour, at(30)).await.unwrap();
    let work = lease(store, at(32)).await.expect("it settles as others do");
    assert_eq!(work.swept_at, Some(at(0)), "to be woken is not to sweep");
    assert_eq!(store.interests(&key("main")).await.unwrap()[0].look_at, Some(at(30)));
    store.record(&work, looked(at(32), &[])).await.unwrap();
    store.finish(&work, served(), at(32)).await.unwrap();
    assert_eq!(store.interests(&key("main")).await.unwrap()[0].look_at, None);
    store.mark_sweeps(hour, at(33)).await.unwrap();
    assert_eq!(lease(store, at(40)).await, Err(None), "once");
}

async fn edited_rules_want_a_look(store: &dyn Store) {
    store.know_branches(&[key("main")], at(0)).await.unwrap();
    let work = lease(store, at(0)).await.unwrap();
    let listed = async || store.interests(&key("main")).await.unwrap()[0].listed;
    for (rules, expect) in [("a", false), ("a", true), ("b", false)] {
        store.set_interests(&work, &[(web(), rules.to_owned())]).await.unwrap();
        assert_eq!(listed().await, expect, "{rules}");
        store
            .record(&work, ToRecord { decisions: Vec::new(), listed: vec![web()], ..to_record("d-1", false) })
            .await
            .unwrap();
    }
}

async fn sightings_keep_their_first_time(store: &dyn Store) {
    let tenant = "default".parse().unwrap();
    let tags = |list: &str| -> Vec<Tag> { list.split(' ').map(|tag| tag.parse().unwrap()).collect() };
    assert_eq!(store.sightings(&tenant, &web()).await.unwrap(), None, "never listed");
    store.sight(&tenant, &web(), &tags("a b"), at(1)).await.unwrap();
    store.sight(&tenant, &web(), &tags("b c"), at(2)).await.unwrap();
    let mut seen = store.sightings(&tenant, &web()).await.unwrap().unwrap();
    seen.sort_by(|left, right| left.tag.cmp(&right.tag));
    let seen: Vec<_> = seen.iter().map(|seen| (seen.tag.as_str(), seen.at, seen.baseline)).collect();
    assert_eq!(seen, [("a", at(1), true), ("b", at(1), true), ("c", at(2), false)]);
    let other: ImageName = "ghcr.io/acme/api".parse().unwrap();
    store.sight(&tenant, &other, &[], at(1)).await.unwrap();
    assert_eq!(store.sightings(&tenant, &other).await.unwrap(), Some(Vec::new()), "listed, and empty");
    assert_eq!(store.sightings(&"other".parse().unwrap(), &web()).await.unwrap(), None);
}
