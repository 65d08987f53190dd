//! What every store promises of the events of all senders: whom each concerns, what it makes be looked at, and what it
//! announces.

use tagboat_model::{
    BranchKey, BuildFinished, Event, ImageName, ImagePushed, RepositoryChange, RepositoryChanged, Source, TenantName,
    Trust,
};
use tagboat_ports::{DecisionsAbout, EventRecord, NewDelivery, PendingEvent, Settled, Store, Stored, ToRecord};

use super::{at, delivery, key, lease, quiet_branch, ruled, served, to_record, waiting, web};

fn api() -> ImageName {
    "ghcr.io/acme/api".parse().unwrap()
}

/// The branch of that name of another tenant.
fn theirs(branch: &str) -> BranchKey {
    BranchKey { tenant: "other".parse().unwrap(), ..key(branch) }
}

fn source(run: &str) -> Source {
    Source {
        repository: Some("acme/web".to_owned()),
        revision: Some("abc".to_owned()),
        run: Some(run.to_owned()),
        claims: [("sub".to_owned(), "repo:acme/web".to_owned())].into(),
    }
}

fn built() -> Event {
    Event::BuildFinished(BuildFinished {
        repository: "acme/web".to_owned(),
        revision: Some("abc".to_owned()),
        reference: Some("refs/heads/main".to_owned()),
        actor: None,
    })
}

fn changed() -> Event {
    Event::RepositoryChanged(RepositoryChanged {
        addresses: vec!["https://git.example/acme/config.git".to_owned()],
        change: RepositoryChange::PullRequest,
        branch: Some("main".parse().unwrap()),
        commit: Some("a".repeat(40).parse().unwrap()),
        number: Some(7),
        actor: Some("ann".to_owned()),
    })
}

/// A delivery that brings this event.
fn bringing(number: u32, seconds: i64, event: Event) -> NewDelivery {
    let mut bringing = delivery(number, &number.to_string(), "1.0.0", at(seconds));
    bringing.events[0].event = event;
    bringing
}

/// A build has ended, so that these images are to be looked at.
fn asking(number: u32, seconds: i64, looks: &[ImageName]) -> NewDelivery {
    let mut asking = bringing(number, seconds, built());
    asking.events[0].looks = looks.to_vec();
    asking
}

fn brought(number: u32, branches: usize) -> Stored {
    Stored::New(vec![(format!("event-{number}").parse().unwrap(), branches)])
}

async fn event(store: &dyn Store, number: u32) -> EventRecord {
    store.event(&format!("event-{number}").parse().unwrap()).await.unwrap().unwrap()
}

fn looked_at(images: &[ImageName]) -> ToRecord {
    ToRecord { decisions: Vec::new(), listed: images.to_vec(), ..to_record("d-1", false) }
}

/// A branch that is known, looked at these images completely, and is served.
async fn listed_branch(store: &dyn Store, key: &BranchKey, images: &[ImageName]) {
    store.know_branches(std::slice::from_ref(key), at(0)).await.unwrap();
    let work = lease(store, at(0)).await.unwrap();
    assert_eq!(work.key, *key);
    let interests: Vec<_> = images.iter().cloned().map(ruled).collect();
    store.set_interests(&work, &interests).await.unwrap();
    store.record(&work, looked_at(images)).await.unwrap();
    store.finish(&work, served(), at(0)).await.unwrap();
}

/// Whether each image of a branch counts as looked at, by their names.
async fn listed(store: &dyn Store, key: &BranchKey) -> Vec<bool> {
    store.interests(key).await.unwrap().iter().map(|interest| interest.listed).collect()
}

pub(super) async fn events_of_every_kind_read_back(store: &dyn Store) {
    let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
    let pushed = ImagePushed {
        actor: Some("ann".to_owned()),
        pushed_at: Some(at(-5)),
        source: Some(source("7")),
        ..ImagePushed::new(web(), "1.0.0".parse().unwrap(), Some(digest))
    };
    for (number, told) in [(1, Event::ImagePushed(pushed)), (2, built()), (3, changed())] {
        let mut bringing = bringing(number, 1, told.clone());
        bringing.events[0].trust = Trust::Token;
        assert_eq!(store.accept(bringing).await.unwrap(), brought(number, 0));
        let found = event(store, number).await;
        assert_eq!((found.event, found.trust, found.received_at), (told, Trust::Token, at(1)));
    }
    assert_eq!(store.events(10).await.unwrap().len(), 3);
}

pub(super) async fn looks_are_for_all_who_are_interested(store: &dyn Store) {
    let (main, release, other) = (key("main"), key("release"), theirs("main"));
    listed_branch(store, &main, &[api(), web()]).await;
    listed_branch(store, &release, &[api()]).await;
    listed_branch(store, &other, &[web()]).await;
    let unknown: ImageName = "ghcr.io/acme/unknown".parse().unwrap();
    let stored = store.accept(asking(1, 1, &[web(), unknown, web()])).await.unwrap();
    assert_eq!(stored, brought(1, 1));
    assert_eq!(listed(store, &main).await, [true, false]);
    assert_eq!((listed(store, &release).await, listed(store, &other).await), (vec![true], vec![true]));
    assert_eq!(event(store, 1).await.branches, [(main.clone(), false)]);

    let work = lease(store, at(10)).await.unwrap();
    assert_eq!(work.key, main);
    let events = waiting(store, &work).await;
    assert_eq!((events.len(), &events[0].event), (1, &built()));
    store.record(&work, to_record("d-1", false)).await.unwrap();
    assert_eq!(listed(store, &main).await, [true, true]);
    let answering = DecisionsAbout::Event("event-1".parse().unwrap());
    assert!(store.decisions(&answering, 10).await.unwrap().is_empty(), "it names no image");
    store.finish(&work, served(), at(11)).await.unwrap();
    assert_eq!(lease(store, at(20)).await, Err(None));

    assert_eq!(store.accept(asking(2, 30, &[web(), api()])).await.unwrap(), brought(2, 2));
    assert_eq!((listed(store, &main).await, listed(store, &release).await), (vec![false, false], vec![false]));
}

pub(super) async fn a_look_that_is_asked_for_during_work_is_still_to_be_made(store: &dyn Store) {
    let main = key("main");
    listed_branch(store, &main, &[web()]).await;
    store.accept(asking(1, 1, &[web()])).await.unwrap();
    let work = lease(store, at(10)).await.unwrap();
    store.accept(asking(2, 11, &[web()])).await.unwrap();
    store.record(&work, looked_at(&[web()])).await.unwrap();
    assert_eq!(listed(store, &main).await, [false], "it looked before the second event");
    store.finish(&work, served(), at(12)).await.unwrap();

    let work = lease(store, at(20)).await.unwrap();
    assert_eq!(waiting(store, &work).await.len(), 1);
    let planned = ToRecord { missed: vec![web()], ..looked_at(&[]) };
    store.record(&work, planned).await.unwrap();
    let landed = Settled { listed: vec![web()], ..Settled::default() };
    store.settle_changes(&main, &landed, at(21)).await.unwrap();
    assert_eq!(listed(store, &main).await, [true], "what it led to has landed");
    store.accept(asking(3, 22, &[web()])).await.unwrap();
    store.settle_changes(&main, &landed, at(23)).await.unwrap();
    assert_eq!(listed(store, &main).await, [false], "it landed after the third event, and was looked up before");
    store.finish(&work, served(), at(24)).await.unwrap();

    let work = lease(store, at(30)).await.unwrap();
    store.record(&work, looked_at(&[web()])).await.unwrap();
    assert_eq!(listed(store, &main).await, [true]);
}

pub(super) async fn a_push_by_whoever_knows_the_address_is_no_candidate(store: &dyn Store) {
    let main = key("main");
    listed_branch(store, &main, &[web()]).await;
    let pushed = ImagePushed { source: Some(source("7")), ..ImagePushed::new(web(), "1.0.0".parse().unwrap(), None) };
    let hint = |number, seconds, looks: &[ImageName]| {
        let mut hint = bringing(number, seconds, Event::ImagePushed(pushed.clone()));
        (hint.trust, hint.events[0].trust) = (Trust::Url, Trust::Url);
        hint.events[0].looks = looks.to_vec();
        hint
    };
    assert_eq!(store.accept(hint(1, 1, &[])).await.unwrap(), brought(1, 0));
    assert_eq!((listed(store, &main).await, lease(store, at(10)).await), (vec![true], Err(None)));
    assert_eq!(store.accept(hint(2, 11, &[web()])).await.unwrap(), brought(2, 1));
    assert_eq!(listed(store, &main).await, [false]);
    assert!(store.announcements(&main.tenant, &web()).await.unwrap().is_empty());

    let work = lease(store, at(20)).await.unwrap();
    let events = waiting(store, &work).await;
    assert_eq!((events.len(), events[0].candidate(), &events[0].event), (1, None, &Event::ImagePushed(pushed.clone())));
    store.record(&work, to_record("d-1", false)).await.unwrap();
    let answering = DecisionsAbout::Event("event-2".parse().unwrap());
    assert_eq!(store.decisions(&answering, 10).await.unwrap().len(), 1, "it is answered all the same");

    let mut believed = bringing(3, 21, Event::ImagePushed(pushed.clone()));
    believed.events[0].trust = Trust::Token;
    assert_eq!(store.accept(believed).await.unwrap(), brought(3, 1));
    assert_eq!(PendingEvent::from(event(store, 3).await).candidate(), Some(&pushed));
}

pub(super) async fn events_name_branches_of_their_tenant(store: &dyn Store) {
    quiet_branch(store).await;
    let (main, release, other) = (key("main"), key("release"), theirs("main"));
    listed_branch(store, &release, &[]).await;
    listed_branch(store, &other, &[web()]).await;
    let mut naming = bringing(1, 1, changed());
    naming.events[0].branches = vec![release.clone(), key("unknown"), main.clone(), other, release.clone()];
    assert_eq!(store.accept(naming).await.unwrap(), brought(1, 2));
    let known = store.branches().await.unwrap();
    let dirty: Vec<&BranchKey> = known.iter().filter(|state| state.dirty).map(|state| &state.key).collect();
    assert_eq!((known.len(), dirty), (3, vec![&main, &release]));
    assert_eq!(event(store, 1).await.branches, [(main.clone(), false), (release, false)]);

    // Interested in what was pushed and in what is to be looked at, and named: once.
    let mut pushed = delivery(2, "2", "1.0.0", at(2));
    (pushed.events[0].looks, pushed.events[0].branches) = (vec![web()], vec![main.clone()]);
    assert_eq!(store.accept(pushed).await.unwrap(), brought(2, 1));
    assert_eq!(event(store, 2).await.branches, [(main.clone(), false)]);
    for _ in 0..2 {
        let work = lease(store, at(10)).await.unwrap();
        let events = waiting(store, &work).await.len();
        assert_eq!(events, if work.key == main { 2 } else { 1 });
        store.finish(&work, served(), at(11)).await.unwrap();
    }
    assert_eq!(lease(store, at(20)).await, Err(None));
}

pub(super) async fn announcements_keep_what_came_first(store: &dyn Store) {
    for (number, tag, trust, run) in [
        (1, "2.0.0", Trust::Signed, Some("7")),
        (2, "1.0.0", Trust::Signed, Some("8")),
        (3, "2.0.0", Trust::Signed, Some("9")),
        // A registry that signs does not say what was built.
        (4, "3.0.0", Trust::Signed, None),
        (5, "4.0.0", Trust::Token, Some("10")),
        (6, "5.0.0", Trust::Url, Some("11")),
    ] {
        let pushed = ImagePushed::new(web(), tag.parse().unwrap(), None);
        let pushed = ImagePushed { source: run.map(source), ..pushed };
        let mut announcing = bringing(number, i64::from(number), Event::ImagePushed(pushed));
        announcing.events[0].trust = trust;
        store.accept(announcing).await.unwrap();
    }
    // What another job says of the same image does not get lost behind the first's word.
    let other = Source { claims: [("sub".to_owned(), "repo:acme/fork".to_owned())].into(), ..source("12") };
    let pushed = ImagePushed { source: Some(other.clone()), ..ImagePushed::new(web(), "2.0.0".parse().unwrap(), None) };
    store.accept(bringing(7, 7, Event::ImagePushed(pushed))).await.unwrap();
    let tenant = TenantName::default();
    let announced = store.announcements(&tenant, &web()).await.unwrap();
    let told: Vec<_> = announced.iter().map(|it| (it.tag.as_str(), it.at, &it.source)).collect();
    assert_eq!(told, [("2.0.0", at(1), &source("7")), ("1.0.0", at(2), &source("8")), ("2.0.0", at(7), &other)]);
    assert!(announced[0].place < announced[1].place);
    assert!(store.announcements(&tenant, &api()).await.unwrap().is_empty());
    assert!(store.announcements(&"other".parse().unwrap(), &web()).await.unwrap().is_empty());
}

pub(super) async fn images_of_interest_are_those_of_the_tenant(store: &dyn Store) {
    let tenant = TenantName::default();
    assert!(store.images_of_interest(&tenant).await.unwrap().is_empty());
    let third: ImageName = "ghcr.io/acme/third".parse().unwrap();
    listed_branch(store, &key("main"), &[api(), web()]).await;
    listed_branch(store, &key("release"), &[web()]).await;
    listed_branch(store, &theirs("main"), &[third, web()]).await;
    assert_eq!(store.images_of_interest(&tenant).await.unwrap(), [api(), web()]);
}
