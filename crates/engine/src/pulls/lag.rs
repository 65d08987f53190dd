//! A listing of the forge may lag behind: what it shows open may have been closed or merged a moment ago. Before such a pull
//! request is built anew or written to, it is asked for by its number, which no forge answers late.

use std::{borrow::Cow, collections::BTreeSet};

use futures_util::future;
use tagboat_model::PullState;
use tagboat_ports::Forge;
use tagboat_promotion::pull::{KnownPull, PullStep};

use super::{AT_ONCE, number_of};
use crate::{Engine, ReconcileError};

impl Engine {
    /// The steps without those of pull requests that are open no longer; they are looked at anew once the listing says so.
    pub(super) async fn that_are_open<'s>(
        &self,
        forge: &dyn Forge,
        pulls: &[KnownPull],
        steps: &'s [PullStep],
    ) -> Result<Cow<'s, [PullStep]>, ReconcileError> {
        let writes = |step: &&PullStep| matches!(step, PullStep::Rebuild { .. } | PullStep::Edit { .. });
        let is_shown_open = |number: &u64| {
            pulls.iter().any(|known| known.pull.number == *number && known.pull.state == PullState::Open)
        };
        let numbers: BTreeSet<u64> = steps.iter().filter(writes).filter_map(number_of).filter(is_shown_open).collect();
        let numbers: Vec<u64> = numbers.into_iter().collect();
        let mut over = Vec::new();
        for part in numbers.chunks(AT_ONCE) {
            let found = future::try_join_all(part.iter().map(|number| forge.pull_request(*number))).await?;
            let is_over = |found: &&(Option<_>, &u64)| found.0 != Some(PullState::Open);
            let states = found.into_iter().map(|pull| pull.map(|pull| pull.state)).zip(part).collect::<Vec<_>>();
            over.extend(states.iter().filter(is_over).map(|(_, number)| **number));
        }
        if over.is_empty() {
            return Ok(Cow::Borrowed(steps));
        }
        let stays = |step: &&PullStep| number_of(step).is_none_or(|number| !over.contains(&number));
        Ok(Cow::Owned(steps.iter().filter(stays).cloned().collect()))
    }
}
