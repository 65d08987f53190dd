//! The promises about what is written down: leases, decisions, what is served, what is said. Checked at the database's door.

use tagboat_model::{BranchKey, Command, CommandId, CommandOrigin, CommandOutcome, Hold, Outcome, Reason, Timestamp};
use tagboat_ports::{Finish, MOST_RAN, ToRecord, Work};

use super::{
    faults::{Fault, Promise},
    forge::{bot, mallory},
    git::value_in,
    promises::version,
    registry::{LEFT_ALONE, LONGEST_LAG},
    world::{ACME, World, ZETA, image_name, key_of, main},
};

/// What is kept by name for each thing that happens.
const KEPT_FOR_EACH: usize = 12;
const DECIDED_FOR_EACH: usize = 40;

impl World {
    pub(super) fn check_leased(&self, replica: usize, work: &Work, now: Timestamp) {
        let (key, fence) = (&work.key, work.fence);
        self.note(|| format!("replica {replica} leases {key}, number {fence}, up to {}", work.sequence));
        let before = self.ledger().lease(replica, key, fence, self.time());
        if fence <= before {
            self.broke(Promise::OldLeasesWriteNothing, || format!("{key} is leased as {fence} after {before}"));
        }
        let left_alone = self.ledger().left_alone.remove(key);
        if left_alone.is_some_and(|(sequence, until)| sequence == work.sequence && now < until) {
            self.broke(Promise::LeftAloneWhenAsked, || {
                format!("{key} is looked at again before its time, and nothing happened")
            });
        }
    }

    /// Everything that a stale worker could write.
    pub(super) fn written_of(&self, key: &BranchKey) -> String {
        self.store().look(|tables| {
            let ran: usize = tables.past.ran.values().flat_map(|entries| entries.values()).map(Vec::len).sum();
            format!("{:?} {} {ran}", tables.branches.get(key), tables.decisions.len())
        })
    }

    pub(super) fn check_nothing_written(&self, operation: &str, work: &Work, before: &str) {
        let after = self.written_of(&work.key);
        if after != before {
            let newest = self.ledger().newest_fence(&work.key);
            self.broke(Promise::OldLeasesWriteNothing, || {
                format!("{operation} of lease {} wrote although {newest} is the newest", work.fence)
            });
        }
    }

    /// Decisions were written down. What they say of the registry was so.
    pub(super) fn check_recorded(&self, work: &Work, record: &ToRecord) {
        let began = self.ledger().leased_at(&work.key, work.fence) - LONGEST_LAG;
        for (id, decision, _) in &record.decisions {
            if matches!(decision.outcome, Outcome::Update | Outcome::Offered) {
                self.ledger().recorded.insert(id.clone(), self.time());
            }
            for reason in &decision.reasons {
                if let Reason::NotAtRegistry { tag, image } = reason
                    && self.registry().is_there_since(image, tag, began)
                {
                    self.broke(Promise::WhatIsSaidWasRead, || {
                        format!("{id} says {reason}, and it was there all the time")
                    });
                }
            }
            self.note(|| {
                let reason = decision.reasons.first().map(ToString::to_string).unwrap_or_default();
                format!("{id} {} {}: {:?}, {reason}", decision.environment, decision.entry, decision.outcome)
            });
        }
    }

    /// Work ends, as whoever did it says.
    pub(super) fn check_finish(&self, tenant: usize, work: &Work, finish: &Finish, now: Timestamp) {
        match finish {
            Finish::Failed { error, again_at, .. } => {
                let asked = error.split_once(LEFT_ALONE).and_then(|(_, rest)| rest.split_once(' '));
                let Some(seconds) = asked.and_then(|(seconds, _)| seconds.parse::<i64>().ok()) else { return };
                // Clocks may have been set meanwhile.
                if again_at.0 < now.0 + (seconds - 1) * 1000 && !self.knows(Fault::ClockJump) {
                    let key = &work.key;
                    self.broke(Promise::LeftAloneWhenAsked, || {
                        format!(
                            "{key} is to be looked at again {} ms later, {seconds} s were asked for",
                            again_at.0 - now.0
                        )
                    });
                }
            }
            Finish::Served { head: Some(head), swept, .. } => {
                let began = self.ledger().leased_at(&work.key, work.fence);
                if !self.git(tenant).stood_at(&main(), head, began) {
                    self.broke(Promise::WhatIsSaidWasRead, || {
                        format!("{} was served at {head}, where it has not been since it was leased", work.key)
                    });
                }
                if *swept {
                    self.check_swept(tenant, head, began);
                }
            }
            Finish::Served { .. } => {}
        }
    }

    /// Work was put back because somebody asks to be left alone.
    pub(super) fn note_left_alone(&self, work: &Work, finish: &Finish) {
        let mut ledger = self.ledger();
        match finish {
            Finish::Failed { error, again_at, .. }
                if error.contains(LEFT_ALONE) && work.fence == ledger.newest_fence(&work.key) =>
            {
                ledger.left_alone.insert(work.key.clone(), (work.sequence, *again_at));
            }
            _ => {}
        }
    }

    /// Nothing that was there before the sweep began is missing where versions are chosen by policy.
    fn check_swept(&self, tenant: usize, head: &tagboat_model::CommitId, began: i64) {
        let (environment, range) = if tenant == ACME { ("dev", true) } else { ("live", false) };
        let is_held = self.store().look(|tables| !tables.past.open_holds().is_empty());
        // What was held while it was looked at may be released by now.
        if (is_held || self.ledger().released >= began) && tenant == ACME {
            return;
        }
        let files = self.git(tenant).commits[head].files.clone();
        let runs = value_in(&files, environment, "web").and_then(|value| version(&value));
        let image = image_name("web");
        let best = {
            let registry = self.registry();
            let tags = registry.tags_at(&image, self.time());
            let old = tags.into_iter().filter(|tag| registry.is_there_since(&image, tag, began - LONGEST_LAG));
            old.filter_map(|tag| version(tag.as_str())).filter(|version| !range || version[0] == 1).max()
        };
        if best > runs {
            self.broke(Promise::SweepsCatchUp, || {
                format!("{environment} was swept and runs {runs:?}, though {best:?} had been there")
            });
        }
    }

    /// Every event that counts as served is answered by a decision.
    pub(super) fn check_served(&self, tenant: usize) {
        let key = key_of(tenant);
        let mut ledger = self.ledger();
        let lost = self.store().look(|tables| {
            let served = tables.branches.get(&key).map_or(0, |branch| branch.served);
            let of = tables.event_branches.iter().filter(|it| it.key == key && it.sequence <= served);
            for it in of {
                if ledger.answered.contains(&it.event) {
                    continue;
                }
                let is_push = tables.events.iter().any(|event| event.id == it.event && event.pushed().is_some());
                let is_answered = tables.decision_events.iter().any(|(_, event)| *event == it.event);
                if is_push && !is_answered {
                    return Some(it.event.clone());
                }
                ledger.answered.insert(it.event.clone());
            }
            None
        });
        drop(ledger);
        if let Some(event) = lost {
            self.broke(Promise::NothingAcceptedIsLost, || {
                format!("{event} counts as served, and nothing was decided about it")
            });
        }
    }

    /// Events have effects for the tenant who heard them.
    pub(super) fn check_tenants(&self) {
        let crossed = self.store().look(|tables| {
            tables.event_branches.iter().find_map(|it| {
                let event = tables.events.iter().find(|event| event.id == it.event)?;
                let owner = tables.owner_of(&event.delivery)?;
                (*owner != it.key.tenant).then(|| format!("{} of {owner} concerns {}", it.event, it.key))
            })
        });
        if let Some(crossed) = crossed {
            self.broke(Promise::TenantsStayApart, || crossed);
        }
    }

    /// Wishes are those of people who may wish.
    pub(super) fn check_holds(&self, holds: &[Hold]) {
        let stranger = mallory().id.to_string();
        if let Some(hold) = holds.iter().find(|hold| hold.by.account.as_ref() == Some(&stranger)) {
            self.broke(Promise::NothingWithoutACause, || {
                format!("{} is the wish of {}, who may only read", hold.id, hold.by)
            });
        }
    }

    /// A command counts as answered: who gave it in a comment can read the answer, once.
    pub(super) fn check_answered(&self, id: &CommandId) {
        let record = self.store().look(|tables| tables.past.commands.iter().find(|known| known.id == *id).cloned());
        let Some(record) = record else { return };
        let is_done = record.answer.as_ref().is_some_and(|answer| answer.outcome == CommandOutcome::Done);
        let frozen = self.ledger().freezing.remove(id);
        if let Some(environment) = frozen.filter(|_| is_done) {
            let now = self.time();
            self.ledger().frozen.insert(environment, now);
        }
        if matches!(record.command, Command::Release { .. }) {
            let given = match record.origin {
                CommandOrigin::Comment { pull_request, .. } => pull_request.to_string(),
                _ => id.to_string(),
            };
            self.ledger().releasing.remove(&given);
        }
        let CommandOrigin::Comment { pull_request, .. } = record.origin else { return };
        let mark = format!("<!-- tagboat:answer-{id} -->");
        let written = {
            let forge = self.forge();
            let comments = forge.pull(pull_request).map(|pull| pull.comments.as_slice()).unwrap_or_default();
            comments.iter().filter(|comment| comment.by.id == bot().id && comment.body.contains(&mark)).count()
        };
        if written != 1 {
            self.broke(Promise::PeopleAreToldOnce, || {
                format!("{id} counts as answered, and stands {written} times on #{pull_request}")
            });
        }
    }

    /// What is kept grows with what happens, and no further.
    pub(super) fn check_bounds(&self) {
        let sent = self.post().sent + self.forge().pulls.len() + self.ledger().leases;
        let (kept, decided, rows, deliveries) = self.store().look(|tables| {
            let rows = tables.past.ran.values().flat_map(|entries| entries.values()).map(Vec::len).max();
            (tables.past.kept.len(), tables.decisions.len(), rows.unwrap_or_default(), tables.deliveries.len())
        });
        let is_bounded =
            kept <= 100 + KEPT_FOR_EACH * sent && decided <= 100 + DECIDED_FOR_EACH * sent && rows <= MOST_RAN;
        if !is_bounded || deliveries > sent {
            self.broke(Promise::EverythingIsBounded, || {
                format!(
                    "{kept} values, {decided} decisions, {rows} rows, {deliveries} deliveries for {sent} that happened"
                )
            });
        }
        self.check_tenants();
        self.check_served(ACME);
        self.check_served(ZETA);
    }
}
