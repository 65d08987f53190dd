//! Commands that place holds: `hold`, `freeze`, `skip`, `rollback`, `promote`.

use tagboat_model::{
    CommandOutcome, Commander, EntryName, EnvironmentName, Hold, HoldId, Person, Tag, Target, Until, Version, Wish,
};

use super::{
    Effects,
    parse::is_until_newer,
    scope::{Found, Scope, list},
};
use crate::pull::fingerprint;

/// One hold to be: where, and what is wished there.
struct Wanted {
    environment: Option<EnvironmentName>,
    entry: Option<EntryName>,
    wish: Wish,
    until: Until,
}

/// Keep what runs.
pub(crate) fn hold(scope: &Scope<'_>, target: &Target, until: &Until, why: Option<&str>) -> Result<Effects, String> {
    let mut wanted = Vec::new();
    for (environment, entry) in scope.targets(target)? {
        let until = end(scope, until, Some((&environment, &entry)))?;
        wanted.push(Wanted { environment: Some(environment), entry: Some(entry), wish: Wish::Hold, until });
    }
    let next = match until {
        Until::NewerThan(_) => {
            "What runs stays. Open pull requests that would change it are closed, and what they offer is held back, too."
        }
        Until::Time(_) | Until::Released => "What runs stays; open pull requests that would change it are closed.",
    };
    place(scope, wanted, why, next)
}

/// Keep all that runs in an environment, or everywhere.
pub(crate) fn freeze(
    scope: &Scope<'_>,
    environment: Option<&EnvironmentName>,
    until: &Until,
    why: Option<&str>,
) -> Result<Effects, String> {
    let environment = match (environment, &scope.block) {
        (None, None) if !scope.is_adrift() => None,
        (named, _) => Some(scope.environment(named)?),
    };
    let until = end(scope, until, None)?;
    let wanted = vec![Wanted { environment, entry: None, wish: Wish::Freeze, until }];
    place(scope, wanted, why, "Nothing is changed there by Tagboat until then.")
}

/// Do without a version.
pub(crate) fn skip(scope: &Scope<'_>, target: &Target, version: Option<&str>) -> Result<Effects, String> {
    let (targets, tag) = scope.targets_and_version(target, version)?;
    let choose = |environment: &EnvironmentName, entry: &EntryName| {
        scope.offered(environment, entry).cloned().ok_or_else(|| {
            format!("No version of `{entry}` is offered in `{environment}` or waits; name the one to skip.")
        })
    };
    let wish = |version| Wish::Skip { version };
    versions(scope, &Sought { targets, tag }, None, "The next version is offered as usual.", (&choose, &wish))
}

/// Go back, and stay there.
pub(crate) fn rollback(
    scope: &Scope<'_>,
    target: &Target,
    version: Option<&str>,
    why: Option<&str>,
) -> Result<Effects, String> {
    let (targets, tag) = scope.targets_and_version(target, version)?;
    let choose = |environment: &EnvironmentName, entry: &EntryName| {
        before(scope, environment, entry).ok_or_else(|| {
            format!("No earlier version of `{entry}` is known to have run in `{environment}`; say which: `to VERSION`.")
        })
    };
    let wish = |version| Wish::Keep { version };
    let next = "It is brought there without gates, and stays until it is released: newer versions wait.";
    versions(scope, &Sought { targets, tag }, why, next, (&choose, &wish))
}

/// Bring a version past upstreams and gates.
pub(crate) fn promote(
    scope: &Scope<'_>,
    target: &Target,
    version: Option<&str>,
    why: Option<&str>,
) -> Result<Effects, String> {
    if why.is_none_or(|why| why.trim().is_empty()) {
        return Err("Say why it is to pass over upstreams and gates.".to_owned());
    }
    let (targets, tag) = scope.targets_and_version(target, version)?;
    let choose = |environment: &EnvironmentName, entry: &EntryName| {
        scope.offered(environment, entry).cloned().ok_or_else(|| {
            format!("No version of `{entry}` is offered in `{environment}` or waits; name the one to promote.")
        })
    };
    let wish = |version| Wish::Promote { version };
    let next = "It is brought there next, without upstreams and gates. The wish ends once it is there.";
    versions(scope, &Sought { targets, tag }, why, next, (&choose, &wish))
}

/// The last version that ran before the one that runs, and was not taken back.
fn before(scope: &Scope<'_>, environment: &EnvironmentName, entry: &EntryName) -> Option<Version> {
    let current = scope.current(environment, entry);
    let mut earlier = scope.ran(environment, entry).into_iter().rev().map(|ran| &ran.ran);
    earlier
        .find(|ran| ran.until.is_some() && !ran.taken_back && Some(&ran.version) != current)
        .map(|ran| ran.version.clone())
}

/// Of what a version is sought.
struct Sought {
    targets: Vec<(EnvironmentName, EntryName)>,
    tag: Option<Tag>,
}

type Choose<'c> = dyn Fn(&EnvironmentName, &EntryName) -> Result<Version, String> + 'c;

fn versions(
    scope: &Scope<'_>,
    sought: &Sought,
    why: Option<&str>,
    next: &str,
    (choose, wish): (&Choose<'_>, &dyn Fn(Version) -> Wish),
) -> Result<Effects, String> {
    let (mut wanted, mut unresolved) = (Vec::new(), Vec::new());
    for (environment, entry) in &sought.targets {
        let found = match &sought.tag {
            // It was done before, and only the answer was lost: what is newest now is not what was meant then.
            _ if let Some(version) = placed_before(scope, environment, entry) => Found::Version(version),
            Some(tag) => scope.find(environment, entry, tag),
            None => Found::Version(choose(environment, entry)?),
        };
        match found {
            Found::Unresolved(tag) => unresolved.push((entry.clone(), tag)),
            Found::Version(version) => wanted.push(Wanted {
                environment: Some(environment.clone()),
                entry: Some(entry.clone()),
                wish: wish(version),
                until: Until::Released,
            }),
        }
    }
    if !unresolved.is_empty() {
        return Ok(Effects { unresolved, ..Effects::default() });
    }
    place(scope, wanted, why, next)
}

/// The version of the hold that this command placed already.
fn placed_before(scope: &Scope<'_>, environment: &EnvironmentName, entry: &EntryName) -> Option<Version> {
    let id = hold_id(scope.context.record.id.as_str(), Some(environment), Some(entry))?;
    match &scope.context.holds.iter().find(|hold| hold.id == id)?.wish {
        Wish::Keep { version } | Wish::Skip { version } | Wish::Promote { version } => Some(version.clone()),
        Wish::Hold | Wish::Freeze | Wish::Refuse { .. } => None,
    }
}

/// When a hold ends. Newer than a version is newer than what runs and what is offered, too: both are known.
fn end(scope: &Scope<'_>, until: &Until, of: Option<(&EnvironmentName, &EntryName)>) -> Result<Until, String> {
    match (until, of) {
        (Until::Time(end), _) if *end <= scope.context.now => Err(format!("{end} is over already.")),
        (Until::NewerThan(_), None) => {
            Err("A freeze is of many images, so it cannot end with a newer version of one; say a time.".to_owned())
        }
        (Until::NewerThan(named), Some(of)) => {
            let (environment, entry) = of;
            let named = (!is_until_newer(until)).then(|| named.clone());
            let runs = scope.current(environment, entry).cloned();
            let offered = scope.offered(environment, entry).cloned();
            let open = scope.in_pull_request(environment, entry);
            let known = named.into_iter().chain(runs).chain(offered).chain(open);
            let greatest = known.reduce(|earlier, later| scope.greater(of, earlier, later));
            greatest.map(Until::NewerThan).ok_or_else(|| {
                format!("It is not known what version of `{entry}` runs in `{environment}`; say a time.")
            })
        }
        (until, _) => Ok(until.clone()),
    }
}

fn place(scope: &Scope<'_>, wanted: Vec<Wanted>, why: Option<&str>, next: &str) -> Result<Effects, String> {
    let record = scope.context.record;
    let by = match &record.by {
        Commander::Operator { name } => Person::operator(name),
        Commander::Account { account, .. } => account.person(),
    };
    let (mut placed, mut replaced, mut there) = (Vec::new(), Vec::new(), 0_usize);
    for Wanted { environment, entry, wish, until } in wanted {
        let id = hold_id(record.id.as_str(), environment.as_ref(), entry.as_ref())
            .ok_or("The id of this command cannot be that of a hold.")?;
        let same = |hold: &&Hold| hold.environment == environment && hold.entry == entry && hold.id != id;
        let others = scope.context.holds.iter().filter(same);
        for other in others {
            if other.wish == wish && other.until == until {
                there += 1;
            } else if is_replaced(&other.wish, &wish) {
                replaced.push(other.id.clone());
            }
        }
        let why = why.map(str::to_owned);
        placed.push(Hold { id, environment, entry, wish, by: by.clone(), why, since: record.given_at, until });
    }
    if there >= placed.len() && replaced.is_empty() {
        let text = format!("It is so already: {}", sentences(&placed));
        return Ok(Effects::answered(CommandOutcome::Nothing, text));
    }
    let undo: Vec<String> = placed.iter().map(|hold| format!("/tagboat release {}", hold.id)).collect();
    let text = format!("{}\n\n{next} To take it back: {}.", sentences(&placed), list(&undo));
    Ok(Effects { place: placed, release: replaced, ..Effects::answered(CommandOutcome::Done, text) })
}

/// There is one version that an environment is to have, so the later wish counts; so it is with the end of a hold.
fn is_replaced(earlier: &Wish, later: &Wish) -> bool {
    let is_of_one = |wish: &Wish| matches!(wish, Wish::Keep { .. } | Wish::Promote { .. });
    (is_of_one(earlier) && is_of_one(later))
        || matches!((earlier, later), (Wish::Hold, Wish::Hold) | (Wish::Freeze, Wish::Freeze))
}

fn hold_id(command: &str, environment: Option<&EnvironmentName>, entry: Option<&EntryName>) -> Option<HoldId> {
    let environment = environment.map(EnvironmentName::as_str).unwrap_or_default();
    let entry = entry.map(EntryName::as_str).unwrap_or_default();
    format!("h-{}", fingerprint(&[command.as_bytes(), environment.as_bytes(), entry.as_bytes()])).parse().ok()
}

fn sentences(holds: &[Hold]) -> String {
    let all: Vec<String> = holds.iter().map(sentence).collect();
    all.join("\n")
}

/// A hold in words.
pub(crate) fn sentence(hold: &Hold) -> String {
    format!("- {hold}")
}
