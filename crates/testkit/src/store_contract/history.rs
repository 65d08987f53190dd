//! What every store promises of what ran, of holds and commands, and of when branches are woken.

use tagboat_model::{
    BranchKey, Command, CommandAnswer, CommandOrigin, CommandOutcome, CommandRecord, Commander, Duration, Hold, HoldId,
    Person, PutBy, Ran, RanIn, RepositoryName, Rollout, RolloutState, Target, TenantName, Timestamp, Until, Version,
    Wish,
};
use tagboat_ports::{Finish, MOST_RAN, NotedRan, Store, ToRecord, Work};

use super::{at, delivery, key, lease, ruled, served, to_record, web};

const HOUR: Duration = Duration::from_seconds(3600);

fn config() -> RepositoryName {
    "config".parse().unwrap()
}

/// The branch of the same name of another tenant, in a config repository of the same name.
fn theirs() -> BranchKey {
    BranchKey { tenant: "other".parse().unwrap(), ..key("main") }
}

/// The branches that are due now, which are served with that.
async fn due(store: &dyn Store, now: Timestamp) -> Vec<BranchKey> {
    serve(store, now).await.into_iter().map(|work| work.key).collect()
}

/// The leases with which all that is due is served.
async fn serve(store: &dyn Store, now: Timestamp) -> Vec<Work> {
    let mut all = Vec::new();
    while let Ok(work) = lease(store, now).await {
        store.finish(&work, served(), now).await.unwrap();
        all.push(work);
    }
    all.sort_by(|left, right| left.key.cmp(&right.key));
    all
}

/// Two branches of a config repository and one of another tenant's, known and served. Returns their last leases.
async fn at_rest(store: &dyn Store) -> [Work; 3] {
    let keys = [key("main"), key("release"), theirs()];
    store.know_branches(&keys, at(0)).await.unwrap();
    let all = serve(store, at(0)).await;
    assert!(all.iter().map(|work| &work.key).eq(&keys));
    all.try_into().unwrap()
}

/// A lease on a branch.
async fn working(store: &dyn Store, key: &BranchKey, now: Timestamp) -> Work {
    store.know_branches(std::slice::from_ref(key), now).await.unwrap();
    let work = lease(store, now).await.unwrap();
    assert_eq!(work.key, *key);
    work
}

fn version(tag: &str, digest: &str) -> Version {
    Version { tag: tag.parse().unwrap(), digest: format!("sha256:{}", digest.repeat(64)).parse().unwrap() }
}

fn ran(version: Version, since: i64) -> RanIn {
    RanIn {
        environment: "prod".parse().unwrap(),
        entry: "web".parse().unwrap(),
        ran: Ran {
            version,
            since: at(since),
            until: None,
            by: PutBy::Others,
            commit: None,
            taken_back: false,
            rollout: None,
        },
    }
}

fn runs(version: Version, since: i64) -> NotedRan {
    NotedRan::Runs(Box::new(ran(version, since)))
}

/// A tag, since when it ran, and until when.
type Span = (String, Timestamp, Option<Timestamp>);

fn span(tag: &str, since: i64, until: Option<i64>) -> Span {
    (tag.to_owned(), at(since), until.map(at))
}

async fn spans(store: &dyn Store, tenant: &TenantName, most: u32) -> Vec<Span> {
    let ran = store.ran(tenant, &config(), most).await.unwrap();
    ran.iter().map(|it| (it.ran.version.tag.to_string(), it.ran.since, it.ran.until)).collect()
}

pub(super) async fn what_runs_is_written_down_once(store: &dyn Store) {
    let tenant = key("main").tenant;
    let work = working(store, &key("main"), at(0)).await;
    let other = working(store, &theirs(), at(0)).await;
    store.note_ran(&work, &[]).await.unwrap();
    assert!(spans(store, &tenant, 9).await.is_empty());
    store.note_ran(&other, &[runs(version("9", "9"), 1)]).await.unwrap();
    store.note_ran(&work, &[runs(version("1", "a"), 1)]).await.unwrap();
    let mut again = ran(version("1", "a"), 2);
    again.ran.by = PutBy::Tagboat { decision: "d-1".parse().unwrap() };
    again.ran.commit = Some("a".repeat(40).parse().unwrap());
    store.note_ran(&work, &[NotedRan::Runs(Box::new(again))]).await.unwrap();
    assert_eq!(spans(store, &tenant, 9).await, [span("1", 1, None)]);

    let moved = [runs(version("2", "b"), 3), runs(version("2", "c"), 4)];
    store.note_ran(&work, &moved).await.unwrap();
    let now = [span("1", 1, Some(3)), span("2", 3, Some(4)), span("2", 4, None)];
    assert_eq!(spans(store, &tenant, 9).await, now, "a tag with another digest is another version");
    assert_eq!(spans(store, &tenant, 2).await, now[1..], "the newest, the oldest first");

    let first = ran(version("1", "a"), 0);
    let ends = NotedRan::Ends { environment: first.environment, entry: first.entry, at: at(5) };
    for _ in 0..2 {
        store.note_ran(&work, std::slice::from_ref(&ends)).await.unwrap();
    }
    assert_eq!(spans(store, &tenant, 1).await, [span("2", 4, Some(5))]);
    store.note_ran(&work, &[runs(version("2", "c"), 8)]).await.unwrap();
    assert_eq!(spans(store, &tenant, 2).await, [span("2", 4, Some(5)), span("2", 8, None)], "it came back");
    assert_eq!(spans(store, &theirs().tenant, 9).await, [span("9", 1, None)]);
    assert!(store.ran(&tenant, &"elsewhere".parse().unwrap(), 9).await.unwrap().is_empty());
}

pub(super) async fn what_ran_reads_back_whole(store: &dyn Store) {
    let work = working(store, &key("main"), at(0)).await;
    let mut whole = ran(version("1", "a"), 1);
    whole.ran.by = PutBy::Tagboat { decision: "d-1".parse().unwrap() };
    whole.ran.commit = Some("a".repeat(40).parse().unwrap());
    whole.ran.taken_back = true;
    whole.ran.rollout = Some(Rollout { state: RolloutState::Healthy, since: at(2), text: "well".to_owned() });
    let other_entry = RanIn { entry: "api".parse().unwrap(), ..whole.clone() };
    let other_environment = RanIn { environment: "dev".parse().unwrap(), ..ran(version("1", "a"), 1) };
    let expected = [other_environment, other_entry, whole];
    let noted = expected.iter().rev().cloned().map(|ran| NotedRan::Runs(Box::new(ran)));
    store.note_ran(&work, &noted.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(store.ran(&work.key.tenant, &config(), 1).await.unwrap(), expected);
}

pub(super) async fn what_people_took_back_is_marked(store: &dyn Store) {
    let work = working(store, &key("main"), at(0)).await;
    let tags = [("1", "a"), ("2", "b"), ("1", "a"), ("2", "c")];
    for (since, (tag, digest)) in (1..).zip(tags) {
        store.note_ran(&work, &[runs(version(tag, digest), since)]).await.unwrap();
    }
    let RanIn { environment, entry, .. } = ran(version("1", "a"), 0);
    for (tag, digest) in [("1", "a"), ("2", "b"), ("2", "d")] {
        let (environment, entry) = (environment.clone(), entry.clone());
        let taken = NotedRan::TakenBack { environment, entry, version: version(tag, digest) };
        store.note_ran(&work, &[taken]).await.unwrap();
    }
    let known = store.ran(&work.key.tenant, &config(), 9).await.unwrap();
    let marked: Vec<bool> = known.iter().map(|it| it.ran.taken_back).collect();
    assert_eq!(marked, [false, true, true, false], "the newest of each version, and no other digest");
}

pub(super) async fn a_late_worker_notes_nothing(store: &dyn Store) {
    let late = working(store, &key("main"), at(0)).await;
    let second = lease(store, at(60)).await.unwrap();
    store.note_ran(&late, &[runs(version("1", "a"), 1)]).await.unwrap();
    assert!(spans(store, &late.key.tenant, 9).await.is_empty());
    store.note_ran(&second, &[runs(version("2", "b"), 2)]).await.unwrap();
    let ran = ran(version("2", "b"), 0);
    let ends = NotedRan::Ends { environment: ran.environment, entry: ran.entry, at: at(3) };
    store.note_ran(&late, &[ends]).await.unwrap();
    assert_eq!(spans(store, &late.key.tenant, 9).await, [span("2", 2, None)]);
}

pub(super) async fn the_newest_of_what_ran_is_kept(store: &dyn Store) {
    let work = working(store, &key("main"), at(0)).await;
    let first = RanIn { entry: "api".parse().unwrap(), ..ran(version("1", "a"), 0) };
    let mut noted = vec![NotedRan::Runs(Box::new(first))];
    let most = i64::try_from(MOST_RAN).unwrap();
    noted.extend((1..most + 6).map(|number| runs(version(&number.to_string(), "a"), number)));
    store.note_ran(&work, &noted).await.unwrap();
    let known = spans(store, &work.key.tenant, u32::MAX).await;
    assert_eq!(known.len(), 1 + MOST_RAN, "the one of another entry too");
    assert_eq!((&known[0], &known[1]), (&span("1", 0, None), &span("6", 6, Some(7))));
    assert_eq!(known[MOST_RAN], span(&(most + 5).to_string(), most + 5, None));
}

fn hold(id: &str, wish: Wish) -> Hold {
    Hold {
        id: id.parse().unwrap(),
        environment: Some("prod".parse().unwrap()),
        entry: None,
        wish,
        by: Person { name: "ann".to_owned(), account: Some("7".to_owned()) },
        why: Some("a reason".to_owned()),
        since: at(1),
        until: Until::NewerThan(version("2", "b")),
    }
}

async fn hold_ids(store: &dyn Store, tenant: &TenantName) -> Vec<String> {
    store.holds(tenant, &config()).await.unwrap().iter().map(|hold| hold.id.to_string()).collect()
}

pub(super) async fn holds_are_placed_and_released_once(store: &dyn Store) {
    let [first, _, theirs_first] = at_rest(store).await;
    let (ours, others) = (key("main").tenant, theirs().tenant);
    let placed = [hold("b", Wish::Refuse { version: version("1", "a"), pull_request: 7 }), hold("a", Wish::Freeze)];
    assert!(store.place_holds(&first, &placed, at(10)).await.unwrap());
    let leases = serve(store, at(10)).await;
    let woken: Vec<&BranchKey> = leases.iter().map(|work| &work.key).collect();
    assert_eq!(woken, [&key("main"), &key("release")], "at once, and nobody else");
    assert_eq!(store.holds(&ours, &config()).await.unwrap(), placed);
    let again = [hold("b", Wish::Hold), hold("c", Wish::Hold)];
    assert!(store.place_holds(&leases[0], &again[..1], at(11)).await.unwrap());
    assert!(due(store, at(11)).await.is_empty(), "it is known");
    assert!(!store.place_holds(&first, &again, at(11)).await.unwrap(), "somebody else had the branch since");
    assert!(due(store, at(11)).await.is_empty(), "so nothing is written");
    assert!(store.place_holds(&leases[1], &again, at(12)).await.unwrap());
    let leases = serve(store, at(12)).await;
    assert_eq!(leases.len(), 2);
    let expected = [placed[0].clone(), placed[1].clone(), again[1].clone()];
    assert_eq!(store.holds(&ours, &config()).await.unwrap(), expected);
    assert!(hold_ids(store, &others).await.is_empty());

    let ids = |list: &[&str]| -> Vec<HoldId> { list.iter().map(|id| id.parse().unwrap()).collect() };
    let by = Person::operator("bob");
    assert!(store.place_holds(&theirs_first, &placed[1..], at(13)).await.unwrap());
    assert_eq!(due(store, at(13)).await, [theirs()]);
    assert!(
        !store.release_holds(&first, &ids(&["c"]), &by, at(14)).await.unwrap(),
        "somebody else had the branch since"
    );
    assert!(due(store, at(14)).await.is_empty(), "so nothing is written");
    assert!(store.release_holds(&leases[0], &ids(&["a", "x", "b"]), &by, at(14)).await.unwrap());
    let leases = serve(store, at(14)).await;
    assert_eq!(leases.len(), 2);
    assert_eq!(
        (hold_ids(store, &ours).await, hold_ids(store, &others).await),
        (vec!["c".to_owned()], vec!["a".to_owned()])
    );
    assert!(store.release_holds(&leases[0], &ids(&["a"]), &by, at(15)).await.unwrap());
    assert!(store.place_holds(&leases[0], &placed, at(15)).await.unwrap());
    assert!(due(store, at(15)).await.is_empty(), "what was released stays so");
    assert_eq!(hold_ids(store, &ours).await, ["c"]);
    let all = store.all_holds().await.unwrap();
    assert_eq!(all, [(ours, config(), again[1].clone()), (others, config(), placed[1].clone())]);
}

fn command(tenant: &TenantName, id: &str, given_at: i64) -> CommandRecord {
    let target = Target { environment: Some("prod".parse().unwrap()), entry: None };
    let head = "a".repeat(40).parse().unwrap();
    CommandRecord {
        id: id.parse().unwrap(),
        tenant: tenant.clone(),
        repository: config(),
        command: Command::Hold { target, until: Until::Time(at(500)), why: Some("a reason".to_owned()) },
        by: Commander::Operator { name: "ann".to_owned() },
        origin: CommandOrigin::Comment { pull_request: 7, comment: 12, head },
        given_at: at(given_at),
        answer: None,
    }
}

pub(super) async fn commands_are_taken_and_answered_once(store: &dyn Store) {
    at_rest(store).await;
    let (ours, others) = (key("main").tenant, theirs().tenant);
    let (first, second) = (command(&ours, "c-1", 5), command(&ours, "c-2", 3));
    assert!(store.take_command(&first, at(10)).await.unwrap());
    assert_eq!(due(store, at(10)).await, [key("main"), key("release")], "at once, and nobody else");
    let changed = CommandRecord { command: Command::Merge, ..first.clone() };
    assert!(!store.take_command(&changed, at(11)).await.unwrap());
    assert!(due(store, at(11)).await.is_empty());
    assert!(store.take_command(&second, at(12)).await.unwrap());
    assert!(store.take_command(&command(&others, "c-1", 5), at(12)).await.unwrap(), "ids are a tenant's own");
    assert_eq!(due(store, at(12)).await.len(), 3);
    let open = async |tenant: &TenantName| store.open_commands(tenant, &config()).await.unwrap();
    assert_eq!(open(&ours).await, [second.clone(), first.clone()], "as they were given");

    let answer = |text: &str| CommandAnswer { outcome: CommandOutcome::Done, text: text.to_owned() };
    for text in ["first", "second"] {
        store.answer_command(&ours, &first.id, &answer(text), at(13)).await.unwrap();
    }
    store.answer_command(&ours, &"c-9".parse().unwrap(), &answer("lost"), at(13)).await.unwrap();
    let answered = CommandRecord { answer: Some(answer("first")), ..first.clone() };
    assert_eq!(store.command(&first.id).await.unwrap(), Some(answered));
    assert_eq!(store.command(&second.id).await.unwrap(), Some(second.clone()));
    assert_eq!(store.command(&"c-9".parse().unwrap()).await.unwrap(), None);
    assert_eq!(open(&ours).await, [second]);
    assert_eq!(open(&others).await, [command(&others, "c-1", 5)], "the answer was another tenant's");
    assert!(!store.take_command(&first, at(14)).await.unwrap(), "it is known, although it is answered");
    assert!(due(store, at(14)).await.is_empty());
}

pub(super) async fn who_is_woken_does_not_settle(store: &dyn Store) {
    at_rest(store).await;
    let known = store.branches_of(&key("main").tenant, &config()).await.unwrap();
    assert_eq!(known, [key("main"), key("release")]);
    store.wake(&[key("release"), key("unknown"), theirs()], at(10)).await.unwrap();
    assert_eq!(store.branches().await.unwrap().len(), 3, "what is not known stays so");
    assert_eq!(due(store, at(10)).await, [key("release"), theirs()]);

    store.wake(&[key("main")], at(11)).await.unwrap();
    let work = lease(store, at(11)).await.unwrap();
    store.wake(&[key("main")], at(12)).await.unwrap();
    assert_eq!(lease(store, at(12)).await, Err(Some(at(71))), "nobody takes what is under way");
    store.finish(&work, served(), at(13)).await.unwrap();
    assert_eq!(due(store, at(13)).await, [key("main")], "what came meanwhile does not settle either");
}

/// Served and swept, to be woken then.
fn until_gate(wake_at: i64, swept: bool) -> Finish {
    Finish::Served { head: None, swept, problem: None, wake_at: Some(at(wake_at)) }
}

fn looked(now: i64, waits_until: Option<i64>) -> ToRecord {
    let waiting = waits_until.map(|until| (web(), at(until))).into_iter().collect();
    ToRecord { at: at(now), decisions: Vec::new(), listed: vec![web()], waiting, ..to_record("d-1", false) }
}

async fn again_at(store: &dyn Store) -> Option<Timestamp> {
    store.branches().await.unwrap()[0].again_at
}

pub(super) async fn a_gate_wakes_its_branch_and_has_no_image_looked_at(store: &dyn Store) {
    let work = working(store, &key("main"), at(0)).await;
    store.set_interests(&work, &[ruled(web())]).await.unwrap();
    store.record(&work, looked(0, Some(100))).await.unwrap();
    store.finish(&work, until_gate(30, true), at(0)).await.unwrap();
    assert_eq!(again_at(store).await, Some(at(30)));
    assert_eq!(store.mark_sweeps(HOUR, at(29)).await.unwrap(), Some(at(30)));
    assert_eq!(lease(store, at(29)).await, Err(None));
    store.mark_sweeps(HOUR, at(30)).await.unwrap();
    let work = lease(store, at(32)).await.expect("it settles as others do");
    let interest = &store.interests(&key("main")).await.unwrap()[0];
    assert_eq!((interest.listed, interest.look_at), (true, Some(at(100))), "nothing is to be looked at yet");
    assert_eq!(work.swept_at, Some(at(0)), "to be woken is not to sweep");

    store.finish(&work, until_gate(200, false), at(32)).await.unwrap();
    assert_eq!(again_at(store).await, Some(at(100)), "whichever comes first");
    assert_eq!(store.mark_sweeps(HOUR, at(33)).await.unwrap(), Some(at(100)));
    store.mark_sweeps(HOUR, at(100)).await.unwrap();
    let work = lease(store, at(102)).await.unwrap();
    store.record(&work, looked(102, None)).await.unwrap();
    store.finish(&work, until_gate(200, false), at(102)).await.unwrap();
    assert_eq!(again_at(store).await, Some(at(200)), "the image waits no more");
}

pub(super) async fn a_gate_wakes_until_that_is_served(store: &dyn Store) {
    let work = working(store, &key("main"), at(0)).await;
    store.set_interests(&work, &[ruled(web())]).await.unwrap();
    store.finish(&work, until_gate(30, true), at(0)).await.unwrap();
    store.mark_sweeps(HOUR, at(30)).await.unwrap();
    let late = lease(store, at(32)).await.unwrap();
    let work = lease(store, at(92)).await.expect("its worker ended");
    store.finish(&late, until_gate(40, false), at(93)).await.unwrap();
    let failed = Finish::Failed { error: "no answer".to_owned(), swept: false, again_at: at(100), parked: false };
    store.finish(&work, failed, at(94)).await.unwrap();
    store.mark_sweeps(HOUR, at(95)).await.unwrap();
    assert_eq!(lease(store, at(99)).await, Err(Some(at(100))), "it does not become newer work by that");
    let work = lease(store, at(100)).await.unwrap();
    store.finish(&work, until_gate(300, false), at(101)).await.unwrap();
    assert_eq!(store.mark_sweeps(HOUR, at(102)).await.unwrap(), Some(at(300)));

    // What happens before the moment comes replaces it.
    store.accept(delivery(1, "a", "1.0.0", at(200))).await.unwrap();
    let work = lease(store, at(202)).await.unwrap();
    store.finish(&work, served(), at(203)).await.unwrap();
    assert_eq!(again_at(store).await, None);
    store.mark_sweeps(HOUR, at(301)).await.unwrap();
    assert_eq!(lease(store, at(310)).await, Err(None));
}

pub(super) async fn values_are_kept(store: &dyn Store) {
    let (ours, others) = (key("main").tenant, theirs().tenant);
    let kept = async |tenant: &TenantName, key: &str| store.kept(tenant, &config(), key).await.unwrap();
    assert_eq!(kept(&ours, "state-commit").await, None);
    for value in ["a", "b"] {
        store.keep(&ours, &config(), "state-commit", value).await.unwrap();
    }
    store.keep(&others, &config(), "state-commit", "c").await.unwrap();
    store.keep(&ours, &"elsewhere".parse().unwrap(), "state-commit", "d").await.unwrap();
    assert_eq!(kept(&ours, "state-commit").await.as_deref(), Some("b"));
    assert_eq!(kept(&others, "state-commit").await.as_deref(), Some("c"));
    assert_eq!(kept(&ours, "swept-comments").await, None);
}
