//! Taking back: `release`.

use tagboat_model::{CommandOutcome, Hold, HoldId, Target, Wish};

use super::{Effects, scope::Scope, wishes::sentence};

/// Take back holds: one by its id, those of a target, or those that stand against what the pull request brings.
pub(crate) fn release(scope: &Scope<'_>, target: &Target, id: Option<&HoldId>) -> Result<Effects, String> {
    let holds = scope.context.holds;
    let names_nothing = target.environment.is_none() && target.entry.is_none();
    let chosen: Vec<&Hold> = match (id, &scope.block) {
        (Some(id), _) => holds.iter().filter(|hold| hold.id == *id).collect(),
        (None, Some(_)) if names_nothing => holds.iter().filter(|hold| is_against(scope, hold)).collect(),
        (None, None) if names_nothing && scope.is_adrift() => {
            return Err("Say which environment, image entry or hold is meant.".to_owned());
        }
        (None, None) if names_nothing => {
            holds.iter().filter(|hold| hold.environment.is_none() && hold.entry.is_none()).collect()
        }
        _ if target.entry.is_some() => {
            let targets = scope.targets(target)?;
            let is_of = |hold: &&Hold| {
                targets.iter().any(|(environment, entry)| {
                    hold.environment.as_ref() == Some(environment) && hold.entry.as_ref() == Some(entry)
                })
            };
            holds.iter().filter(is_of).collect()
        }
        _ => {
            let environment = scope.environment(target.environment.as_ref())?;
            holds.iter().filter(|hold| hold.environment.as_ref() == Some(&environment)).collect()
        }
    };
    let released: Vec<HoldId> = chosen.iter().map(|hold| hold.id.clone()).collect();
    let rest = further(scope, &released);
    if chosen.is_empty() {
        let text = format!("No hold of this kind is there; it may have been released before.{rest}");
        return Ok(Effects::answered(CommandOutcome::Nothing, text));
    }
    let lines: Vec<String> = chosen.into_iter().map(sentence).collect();
    let text =
        format!("Released:\n\n{}\n\nVersions are chosen and offered as usual from now on.{rest}", lines.join("\n"));
    Ok(Effects { release: released, ..Effects::answered(CommandOutcome::Done, text) })
}

/// Whether a hold is about an entry of the pull request alone, and about no other version than the one it brings.
fn is_against(scope: &Scope<'_>, hold: &Hold) -> bool {
    let (Some(block), Some(known)) = (&scope.block, scope.known) else { return false };
    let change = block.changes.iter().find(|change| hold.entry.as_ref() == Some(&change.entry));
    let (Some(change), true) = (change, hold.environment.as_ref() == Some(&block.environment)) else { return false };
    match &hold.wish {
        Wish::Hold | Wish::Freeze | Wish::Keep { .. } | Wish::Promote { .. } => true,
        Wish::Skip { version } => *version == change.version,
        Wish::Refuse { version, pull_request } => *pull_request == known.pull.number || *version == change.version,
    }
}

/// Holds that concern the pull request and more than it: they stay, and are named.
fn further(scope: &Scope<'_>, released: &[HoldId]) -> String {
    let Some(block) = &scope.block else { return String::new() };
    let is_wider = |hold: &&Hold| hold.environment.is_none() || hold.entry.is_none();
    let concerns = |hold: &&Hold| block.changes.iter().any(|change| hold.concerns(&block.environment, &change.entry));
    let wider = scope.context.holds.iter().filter(is_wider).filter(concerns);
    let lines: Vec<String> = wider
        .filter(|hold| !released.contains(&hold.id) && !hold.is_over(scope.context.now))
        .take(10)
        .map(|hold| format!("{} (`/tagboat release {}`)", sentence(hold), hold.id))
        .collect();
    if lines.is_empty() {
        String::new()
    } else {
        format!("\n\nThese hold more than this, and stay:\n\n{}", lines.join("\n"))
    }
}
