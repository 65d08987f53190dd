//! Deletions go by themselves, after all else: a rule against them, or a branch that the forge deleted first, keeps no
//! other branch from moving.

use tagboat_ports::PushOutcome;

use super::{Aim, Planned, carry_out};
use crate::{Failure, Inner, send_pack::RefUpdate};

/// Send what moves branches, then what deletes some.
pub(super) fn carry_out_in_turn(inner: &Inner, planned: Planned) -> Result<PushOutcome, Failure> {
    if planned.refs.iter().all(|update| update.new.is_some()) {
        return carry_out(inner, &planned);
    }
    let all = planned.landed();
    let Planned { mut aims, refs, objects, options } = planned;
    let (deletions, refs): (Vec<RefUpdate>, Vec<RefUpdate>) = refs.into_iter().partition(|it| it.new.is_none());
    aims.retain(|aim| deletions.iter().all(|deletion| deletion.name != aim.name));
    let moves = Planned { aims, refs, objects, options };
    let outcome = carry_out(inner, &moves)?;
    if matches!(outcome, PushOutcome::Refused(_)) {
        return Ok(outcome);
    }
    let deleted = delete(inner, &deletions, &moves.options);
    // All of it again on a mirror made anew: what is done already stays done.
    if deleted.as_ref().is_err_and(Failure::is_damage) {
        return deleted;
    }
    if moves.refs.is_empty() {
        return deleted.map(|outcome| if matches!(outcome, PushOutcome::Landed(_)) { all } else { outcome });
    }
    Ok(match (outcome, deleted) {
        (PushOutcome::Landed(_), Ok(PushOutcome::Landed(_))) => all,
        (PushOutcome::Landed(_), Ok(PushOutcome::Refused(words))) => {
            tracing::warn!(repository = inner.name, words, "a branch could not be deleted");
            all
        }
        (PushOutcome::Landed(_), Err(failure)) => {
            tracing::warn!(repository = inner.name, detail = %failure, "a branch could not be deleted");
            all
        }
        _ => PushOutcome::Moved(None),
    })
}

/// All at once, or else each by itself.
fn delete(inner: &Inner, deletions: &[RefUpdate], options: &[String]) -> Result<PushOutcome, Failure> {
    let together = carry_out(inner, &planned(deletions, options));
    let is_settled = match &together {
        Ok(outcome) => matches!(outcome, PushOutcome::Landed(_)),
        // What may pass is not asked for once more; a server that cannot delete several together is.
        Err(failure) => !failure.is_permanent(),
    };
    if is_settled || deletions.len() == 1 {
        return together;
    }
    let (mut is_moved, mut refused) = (false, None);
    for deletion in deletions {
        match carry_out(inner, &planned(std::slice::from_ref(deletion), options))? {
            PushOutcome::Landed(_) => {}
            PushOutcome::Moved(_) => is_moved = true,
            PushOutcome::Refused(words) => refused = Some(words),
        }
    }
    Ok(match refused {
        _ if is_moved => PushOutcome::Moved(None),
        Some(words) => PushOutcome::Refused(words),
        None => PushOutcome::Landed(deletions.iter().map(|_| Vec::new()).collect()),
    })
}

fn planned(deletions: &[RefUpdate], options: &[String]) -> Planned {
    let aim = |deletion: &RefUpdate| Aim { name: deletion.name.clone(), base: None, ids: Vec::new() };
    Planned {
        aims: deletions.iter().map(aim).collect(),
        refs: deletions.to_vec(),
        objects: Vec::new(),
        options: options.to_vec(),
    }
}
