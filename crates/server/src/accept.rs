//! From an authentic request, taken apart, to a delivery that can be stored: which of its events count, which images
//! are to be looked at because of them, and which branches are to be reconciled.
//!
//! Reads the database and writes nothing. Addresses of repositories are compared with those of the server file, and
//! never used.

use std::{collections::BTreeSet, str::FromStr};

use tagboat_intake::{Accepted, Headers, Ignored, Receiver, Verdict, body_hash};
use tagboat_model::{
    BranchKey, CommitId, Event, ImageName, NameError, RepositoryChange, RepositoryChanged, RepositoryName, TenantName,
    Timestamp, Trust, shown,
};
use tagboat_ports::{Ids, NewDelivery, NewEvent, Store, StoreError};

use crate::ConfigRepositoryAddress;

/// Reasons that are kept of one delivery. All are counted.
const MOST_REASONS: usize = 50;

/// What a delivery is held against that is not in the database.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The config repositories.
    pub repositories: &'a [ConfigRepositoryAddress],
    /// The names of the accounts under which Tagboat itself acts at forges.
    pub bots: &'a BTreeSet<String>,
}

/// What the database knows, as far as these events need it.
#[derive(Debug, Default)]
struct Known {
    /// The images that some branch of the tenant is interested in.
    images: Vec<ImageName>,
    /// Every branch.
    branches: Vec<BranchKey>,
    /// Those of the commits that were pushed which are our own.
    own_commits: Vec<String>,
}

/// What an event causes beside what every branch does that is interested in its image.
#[derive(Debug, Default, PartialEq, Eq)]
struct Consequences {
    looks: Vec<ImageName>,
    branches: Vec<BranchKey>,
    urgent: bool,
}

/// The delivery to store for what a receiver accepted, and everything in it that is not acted on. Of `headers` only those
/// are kept that say what the body is.
///
/// # Errors
/// When the database cannot be read.
#[expect(clippy::too_many_arguments, reason = "each is a fact of its own, and a struct of them would only be unpacked")]
pub async fn new_delivery(
    store: &dyn Store,
    ids: &dyn Ids,
    receiver: &Receiver,
    around: Around<'_>,
    accepted: Accepted,
    headers: &Headers,
    body: Vec<u8>,
    now: Timestamp,
) -> Result<(NewDelivery, Vec<Ignored>), StoreError> {
    let Accepted { key, id, once, trust, events: found, mut ignored, owner, .. } = accepted;
    let tenant = receiver.tenant_of(owner.as_deref());
    let known = known(store, tenant.as_ref().unwrap_or(&receiver.tenant), &found).await?;
    let mut events = Vec::new();
    for event in found {
        match consequences(receiver, tenant.as_ref(), around, &known, trust, &event) {
            Ok(Consequences { looks, branches, urgent }) => {
                events.push(NewEvent { id: fresh(ids, "ev")?, event, trust, looks, branches, urgent });
            }
            Err(reason) => ignored.push(reason),
        }
    }
    let kept = headers.without_credentials();
    let delivery = NewDelivery {
        id: fresh(ids, "dl")?,
        tenant: tenant.unwrap_or_else(|| receiver.tenant.clone()),
        receiver: receiver.name.clone(),
        kind: receiver.kind.word().to_owned(),
        trust,
        key,
        once,
        acts_again: id.is_none() || receiver.kind.is_ci(),
        verdict: verdict(&events, &ignored).word().to_owned(),
        reasons: ignored.iter().take(MOST_REASONS).map(ToString::to_string).collect(),
        headers: kept.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body_hash: body_hash(&body),
        body,
        received_at: now,
        events,
    };
    Ok((delivery, ignored))
}

/// A fresh id as the type that is wanted.
fn fresh<I: FromStr<Err = NameError>>(ids: &dyn Ids, prefix: &str) -> Result<I, StoreError> {
    let failed = |error: NameError| StoreError { operation: "make an id", source: error.into() };
    ids.fresh(prefix).parse().map_err(failed)
}

/// What is left decides: of what was read, more may have turned out to be of no interest.
fn verdict(events: &[NewEvent], ignored: &[Ignored]) -> Verdict {
    if !events.is_empty() {
        Verdict::Accepted
    } else if ignored.iter().any(|reason| matches!(reason, Ignored::Unparsable { .. })) {
        Verdict::Unparsable
    } else {
        Verdict::Ignored
    }
}

/// Ask the database only for what these events need: most are pushes of images, which need nothing.
async fn known(store: &dyn Store, tenant: &TenantName, events: &[Event]) -> Result<Known, StoreError> {
    let mut known = Known::default();
    if events.iter().any(|event| matches!(event, Event::BuildFinished(_))) {
        known.images = store.images_of_interest(tenant).await?;
    }
    if events.iter().any(|event| matches!(event, Event::RepositoryChanged(_))) {
        known.branches = store.branches().await?.into_iter().map(|branch| branch.key).collect();
    }
    let pushed = events.iter().filter_map(|event| match event {
        Event::RepositoryChanged(change) => pushed_commit(change),
        Event::ImagePushed(_) | Event::BuildFinished(_) | Event::InstallationsChanged { .. } => None,
    });
    let commits: Vec<String> = pushed.map(ToString::to_string).collect();
    if !commits.is_empty() {
        known.own_commits = store.own_commits(tenant, &commits).await?;
    }
    Ok(known)
}

/// The commit that a branch was moved to. That a pull request or a status is about a commit of our own is no reason to
/// pass over it: somebody else acted.
fn pushed_commit(change: &RepositoryChanged) -> Option<&CommitId> {
    change.commit.as_ref().filter(|_| change.change == RepositoryChange::BranchMoved)
}

/// `tenant` is whose the event is, where that can be said.
fn consequences(
    receiver: &Receiver,
    tenant: Option<&TenantName>,
    around: Around<'_>,
    known: &Known,
    trust: Trust,
    event: &Event,
) -> Result<Consequences, Ignored> {
    // The App is asked about its installations; of whom they are does not matter.
    if let Event::InstallationsChanged { .. } = event {
        return Ok(Consequences::default());
    }
    let tenant = tenant.ok_or(Ignored::NoOwner)?;
    Ok(match event {
        // Whoever only knows an address supplies nothing; what is new is found by looking.
        Event::ImagePushed(pushed) if trust == Trust::Url => {
            Consequences { looks: vec![pushed.image.clone()], ..Consequences::default() }
        }
        Event::ImagePushed(_) | Event::InstallationsChanged { .. } => Consequences::default(),
        Event::BuildFinished(_) => {
            let looks = known.images.iter().filter(|image| receiver.speaks_for(image)).cloned().collect();
            Consequences { looks, ..Consequences::default() }
        }
        Event::RepositoryChanged(change) => {
            let branches = concerned(tenant, around.repositories, known, change)?;
            let actor = change.actor.as_ref().filter(|actor| around.bots.contains(*actor));
            if let Some(account) = actor.filter(|_| is_own_act(change.change)) {
                return Err(Ignored::OwnAct { account: account.clone() });
            }
            Consequences { branches, urgent: change.change.is_urgent(), ..Consequences::default() }
        }
    })
}

/// Whether nothing follows from such a change when it is Tagboat's own account that made it. A push of it may be a merge that
/// the forge made; pushes of our own are known by their commits.
fn is_own_act(change: RepositoryChange) -> bool {
    match change {
        RepositoryChange::PullRequest | RepositoryChange::Comment | RepositoryChange::Status => true,
        RepositoryChange::BranchMoved | RepositoryChange::Review => false,
    }
}

/// The branches of config repositories that a change concerns.
fn concerned(
    tenant: &TenantName,
    repositories: &[ConfigRepositoryAddress],
    known: &Known,
    change: &RepositoryChanged,
) -> Result<Vec<BranchKey>, Ignored> {
    let addresses: Vec<String> = change.addresses.iter().map(|address| normalised(address)).collect();
    let is_meant = |repository: &&ConfigRepositoryAddress| {
        repository.tenant == *tenant && addresses.contains(&normalised(&repository.address))
    };
    let names: Vec<&RepositoryName> = repositories.iter().filter(is_meant).map(|repository| &repository.name).collect();
    if names.is_empty() {
        let repository = addresses.first().map_or_else(|| "(no address)".to_owned(), |address| shown(address));
        return Err(Ignored::OtherRepository { repository });
    }
    let own = |commit: &&CommitId| known.own_commits.iter().any(|own| own == commit.as_str());
    if let Some(commit) = pushed_commit(change).filter(own) {
        return Err(Ignored::OwnCommit { commit: commit.to_string() });
    }
    let is_concerned = |key: &&BranchKey| {
        key.tenant == *tenant
            && names.iter().any(|name| **name == key.repository)
            && change.branch.as_ref().is_none_or(|branch| *branch == key.branch)
    };
    Ok(known.branches.iter().filter(is_concerned).cloned().collect())
}

/// An address of a repository in one form, whichever way it is reached: host in lower case and path, without scheme,
/// user, the scheme's own port, `.git` and slashes at the end. `git@host:path`, as ssh knows it, is
/// `ssh://git@host/path`.
#[must_use]
pub fn normalised(address: &str) -> String {
    let address = address.trim();
    let (scheme, authority, path) = match address.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            (scheme.to_ascii_lowercase(), authority, path)
        }
        None => {
            let (authority, path) = address.split_once([':', '/']).unwrap_or((address, ""));
            ("ssh".to_owned(), authority, path)
        }
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
    let own_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        "ssh" | "git+ssh" | "ssh+git" => ":22",
        "git" => ":9418",
        _ => "",
    };
    let host = host.strip_suffix(own_port).unwrap_or(&host);
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
    format!("{host}/{path}")
}

#[cfg(test)]
mod tests {
    use tagboat_intake::{Kind, Tenancy};
    use tagboat_model::{BuildFinished, ImagePushed};

    use super::*;

    fn receiver() -> Receiver {
        Receiver {
            name: "hook".parse().unwrap(),
            tenant: TenantName::default(),
            kind: Kind::Github,
            credentials: Vec::new(),
            registry: None,
            repository: None,
            tenancy: Tenancy::Fixed,
            images: vec!["ghcr.io/acme/*".parse().unwrap()],
        }
    }

    fn repository(tenant: &str, name: &str, address: &str) -> ConfigRepositoryAddress {
        ConfigRepositoryAddress {
            tenant: tenant.parse().unwrap(),
            name: name.parse().unwrap(),
            address: address.to_owned(),
        }
    }

    fn branch(tenant: &str, repository: &str, branch: &str) -> BranchKey {
        BranchKey {
            tenant: tenant.parse().unwrap(),
            repository: repository.parse().unwrap(),
            branch: branch.parse().unwrap(),
        }
    }

    fn change(address: &str, branch: Option<&str>, commit: Option<&str>) -> RepositoryChanged {
        RepositoryChanged {
            addresses: vec!["https://elsewhere.example/x".to_owned(), address.to_owned()],
            change: RepositoryChange::BranchMoved,
            branch: branch.map(|branch| branch.parse().unwrap()),
            commit: commit.map(|commit| commit.parse().unwrap()),
            number: None,
            actor: None,
        }
    }

    fn of(trust: Trust, known: &Known, event: &Event) -> Result<Consequences, Ignored> {
        let repositories = [
            repository("default", "config", "https://github.com/acme/config.git"),
            repository("default", "other", "ssh://git@github.com/acme/other"),
            repository("stranger", "config", "https://github.com/acme/theirs"),
        ];
        let bots = BTreeSet::from(["tagboat[bot]".to_owned()]);
        let around = Around { repositories: &repositories, bots: &bots };
        let receiver = receiver();
        consequences(&receiver, Some(&receiver.tenant), around, known, trust, event)
    }

    #[test]
    fn every_way_to_write_the_address_of_a_repository_is_one() {
        let one = "github.com/acme/config";
        for address in [
            "https://github.com/acme/config",
            "https://github.com/acme/config.git",
            "https://github.com/acme/config.git/",
            "https://github.com/acme/config/",
            "https://GitHub.com/acme/config",
            "HTTPS://bot:token@github.com:443/acme/config",
            "http://github.com:80/acme/config",
            "ssh://git@github.com/acme/config.git",
            "ssh://git@github.com:22/acme/config.git",
            "git+ssh://git@github.com/acme/config",
            "git://github.com/acme/config.git",
            "git@github.com:acme/config.git",
            "git@GITHUB.com:/acme/config",
            "github.com:acme/config",
            "github.com/acme/config",
            " https://github.com/acme/config\n",
        ] {
            assert_eq!(normalised(address), one, "{address}");
        }
    }

    #[test]
    fn other_repositories_have_other_addresses() {
        let one = normalised("https://git.example:3000/acme/config");
        for address in [
            "https://git.example/acme/config",
            "https://git.example:3001/acme/config",
            "https://git.example:3000/acme/Config",
            "https://git.example:3000/acme/config2",
            "https://git.example:3000/acme/config/wiki",
            "https://git.example.evil.example:3000/acme/config",
            "https://git.example:3000@evil.example/acme/config",
            "https://git.example:3000",
            "",
        ] {
            assert_ne!(normalised(address), one, "{address}");
        }
        assert_eq!(normalised("file:///srv/git/config.git"), normalised("file:///srv/git/config"));
    }

    #[test]
    fn only_a_push_of_low_trust_needs_a_look_of_its_own() {
        let image: ImageName = "ghcr.io/acme/web".parse().unwrap();
        let event = || Event::ImagePushed(ImagePushed::new(image.clone(), "1.5.0".parse().unwrap(), None));
        for trust in [Trust::Token, Trust::Signed] {
            assert_eq!(of(trust, &Known::default(), &event()), Ok(Consequences::default()));
        }
        let looks = Consequences { looks: vec![image.clone()], ..Consequences::default() };
        assert_eq!(of(Trust::Url, &Known::default(), &event()), Ok(looks));
    }

    #[test]
    fn a_build_causes_a_look_at_every_image_the_receiver_speaks_for() {
        let images: [ImageName; 3] =
            ["ghcr.io/acme/web", "ghcr.io/other/web", "ghcr.io/acme/api"].map(|name| name.parse().unwrap());
        let known = Known { images: images.to_vec(), ..Known::default() };
        let build = BuildFinished { repository: "acme/web".to_owned(), revision: None, reference: None, actor: None };
        let looks = vec![images[0].clone(), images[2].clone()];
        let expect = Consequences { looks, ..Consequences::default() };
        assert_eq!(of(Trust::Signed, &known, &Event::BuildFinished(build)), Ok(expect));
    }

    #[test]
    fn a_change_of_a_repository_concerns_its_branches_and_no_others() {
        let branches = vec![
            branch("default", "config", "main"),
            branch("default", "config", "prod"),
            branch("default", "other", "main"),
            branch("stranger", "config", "main"),
        ];
        let known = Known { branches, ..Known::default() };
        let of = |change| of(Trust::Signed, &known, &Event::RepositoryChanged(change)).map(|it| it.branches);
        let (main, prod) = (branch("default", "config", "main"), branch("default", "config", "prod"));
        assert_eq!(of(change("git@github.com:acme/config.git", None, None)), Ok(vec![main, prod.clone()]));
        assert_eq!(of(change("https://github.com/acme/config", Some("prod"), None)), Ok(vec![prod]));
        assert_eq!(of(change("https://github.com/acme/config", Some("feature/x"), None)), Ok(Vec::new()));
        let other = Ignored::OtherRepository { repository: "elsewhere.example/x".to_owned() };
        assert_eq!(of(change("https://github.com/acme/theirs", None, None)), Err(other), "another tenant's");
        let nowhere = RepositoryChanged { addresses: Vec::new(), ..change("", None, None) };
        assert!(matches!(of(nowhere), Err(Ignored::OtherRepository { .. })));
    }

    #[test]
    fn a_push_of_our_own_is_passed_over_and_what_others_do_with_it_is_not() {
        let commit = "a".repeat(40);
        let known = Known {
            branches: vec![branch("default", "config", "main")],
            own_commits: vec![commit.clone()],
            ..Known::default()
        };
        let of = |change| of(Trust::Signed, &known, &Event::RepositoryChanged(change));
        let push = change("https://github.com/acme/config", Some("main"), Some(&commit));
        assert_eq!(of(push.clone()), Err(Ignored::OwnCommit { commit }));
        let merged = RepositoryChanged { change: RepositoryChange::PullRequest, ..push };
        assert_eq!(of(merged).map(|it| it.branches.len()), Ok(1));
        let theirs = change("https://github.com/acme/config", Some("main"), Some(&"b".repeat(40)));
        assert_eq!(of(theirs).map(|it| it.branches.len()), Ok(1));
    }

    #[test]
    fn what_our_own_account_does_is_passed_over_and_people_do_not_wait() {
        let known = Known { branches: vec![branch("default", "config", "main")], ..Known::default() };
        let of = |kind, actor: &str| {
            let change = RepositoryChanged {
                change: kind,
                actor: Some(actor.to_owned()),
                number: Some(7),
                ..change("https://github.com/acme/config", None, None)
            };
            of(Trust::Signed, &known, &Event::RepositoryChanged(change))
        };
        let own = || Err(Ignored::OwnAct { account: "tagboat[bot]".to_owned() });
        for kind in [RepositoryChange::PullRequest, RepositoryChange::Comment, RepositoryChange::Status] {
            assert_eq!(of(kind, "tagboat[bot]"), own(), "{kind:?}");
        }
        assert!(of(RepositoryChange::BranchMoved, "tagboat[bot]").is_ok(), "it may be a merge");
        for (kind, urgent) in [
            (RepositoryChange::PullRequest, true),
            (RepositoryChange::Review, true),
            (RepositoryChange::Comment, true),
            (RepositoryChange::Status, false),
            (RepositoryChange::BranchMoved, false),
        ] {
            let consequences = of(kind, "mona").unwrap();
            assert_eq!((consequences.urgent, consequences.branches.len()), (urgent, 1), "{kind:?}");
        }
    }

    #[test]
    fn at_the_apps_address_an_event_is_of_its_owners_tenant() {
        let repositories = [repository("acme", "config", "https://github.com/acme/config.git")];
        let known = Known { branches: vec![branch("acme", "config", "main")], ..Known::default() };
        let (receiver, bots) = (Receiver { tenancy: Tenancy::PerOwner, ..receiver() }, BTreeSet::new());
        let of = |owner: Option<&str>, event: &Event| {
            let around = Around { repositories: &repositories, bots: &bots };
            consequences(&receiver, receiver.tenant_of(owner).as_ref(), around, &known, Trust::Signed, event)
        };
        let push = Event::RepositoryChanged(change("https://github.com/acme/config", Some("main"), None));
        assert_eq!(of(Some("Acme"), &push).map(|it| it.branches), Ok(known.branches.clone()));
        assert!(matches!(of(Some("stranger"), &push), Err(Ignored::OtherRepository { .. })));
        assert_eq!(of(None, &push), Err(Ignored::NoOwner));
        let installed = Event::InstallationsChanged { account: "acme".to_owned() };
        assert_eq!(of(None, &installed), Ok(Consequences::default()));
    }

    #[test]
    fn what_is_left_decides_the_verdict() {
        let unparsable = Ignored::Unparsable { detail: "cut off".to_owned() };
        let other = Ignored::OtherRepository { repository: "x/y".to_owned() };
        assert_eq!(verdict(&[], std::slice::from_ref(&other)), Verdict::Ignored);
        assert_eq!(verdict(&[], &[other, unparsable]), Verdict::Unparsable);
        assert_eq!(verdict(&[], &[]), Verdict::Ignored);
    }
}
