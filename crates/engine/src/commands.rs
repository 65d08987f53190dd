//! Commands: given their permission by the forge, carried out, answered. Reading them from comments is in `comments`.
//!
//! What a command means, and who may give it, is decided in `tagboat-promotion`: the same for every way by which it came.
//! Holds are placed before anything is decided; the answer is given after everything is done, so that a command is done
//! again rather than lost.

use std::{borrow::Cow, collections::BTreeMap};

use sha2::{Digest as _, Sha256};
use tagboat_model::{
    Account, BranchKey, Command, CommandAnswer, CommandId, CommandOrigin, CommandOutcome, CommandRecord, Commander,
    CommitId, Decision, EntryName, EnvironmentName, Hold, NameError, Permission, Version,
};
use tagboat_ports::{DecisionsAbout, Forge, ForgeError, ForgeErrorKind, Work};
use tagboat_promotion::{
    Environment, ImageEntry,
    command::{Approvers, CommandContext, Effects, authorize, execute, explain, unknown_version},
    pull::{Block, text::answer_comment},
};
use tagboat_settings::RepositorySettings;

use crate::{
    ConfigRepository, Engine, ReconcileError, chain,
    gather::{Running, Situation},
    pulls::PullsDone,
    reconcile::unless_told,
    worker::unless_taken_over,
};

/// Decisions of a repository that are looked back at for what waits or is offered.
const LOOKED_BACK: u32 = 1000;

/// What commands came to, to be answered once all is done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commanded {
    pub(crate) rebuild: Vec<u64>,
    pub(crate) merge: Vec<(u64, CommitId)>,
    answers: Vec<(CommandRecord, CommandAnswer)>,
    explain: Vec<CommandRecord>,
    /// Whether holds were placed or released.
    pub(crate) holds_changed: bool,
}

/// What commands are carried out on.
pub(crate) struct Ground<'g> {
    pub(crate) environments: &'g [&'g Environment],
    pub(crate) settings: &'g RepositorySettings,
    pub(crate) entries: &'g [ImageEntry],
    pub(crate) running: &'g [Running],
    /// Whether this is the branch whose repository file governs.
    pub(crate) governs: bool,
}

impl Engine {
    /// Carry out the open commands that are about this branch, as far as that is placing and releasing holds.
    pub(crate) async fn obey(
        &self,
        work: &Work,
        config: &ConfigRepository,
        ground: &Ground<'_>,
        situation: &Situation,
    ) -> Result<Commanded, ReconcileError> {
        let mut commanded = Commanded::default();
        let BranchKey { tenant, repository, .. } = &work.key;
        let mut situation = situation.clone();
        let open = std::mem::take(&mut situation.commands);
        for (place, record) in open.iter().enumerate() {
            if !is_about(record, work, ground, &situation) {
                continue;
            }
            let mut record = record.clone();
            if let Some(answer) = record.answer.take() {
                commanded.answers.push((record, answer));
                continue;
            }
            if let Some(text) = self.ask_permission(config, ground.settings, &mut record).await {
                let answer = CommandAnswer { outcome: CommandOutcome::Refused, text };
                commanded.answers.push((record, answer));
                continue;
            }
            let policy = Approvers { names: &ground.settings.collaboration.approvers };
            if let Err(refused) = authorize(&record.command, &record.by, &policy) {
                let answer = CommandAnswer { outcome: CommandOutcome::Refused, text: refused.text };
                commanded.answers.push((record, answer));
                continue;
            }
            // Whoever stood still for a while may have read it before others did it; what was wished since is not to be undone.
            if self.ports.store.command(&record.id).await?.is_some_and(|known| known.answer.is_some()) {
                continue;
            }
            let decisions = self.latest_decisions(&work.key).await?;
            let seen = without_later(&situation, &record, open.get(place + 1..).unwrap_or_default());
            let effects = self.effects(&record, ground, &seen, &decisions).await;
            let now = self.now();
            if !effects.place.is_empty() {
                unless_taken_over(self.ports.store.place_holds(work, &effects.place, now).await?)?;
            }
            if !effects.release.is_empty() {
                let by = person(&record.by);
                unless_taken_over(self.ports.store.release_holds(work, &effects.release, &by, now).await?)?;
            }
            if !effects.place.is_empty() || !effects.release.is_empty() {
                commanded.holds_changed = true;
                situation.holds = self.ports.store.holds(tenant, repository).await?;
            }
            commanded.rebuild.extend(effects.rebuild);
            commanded.merge.extend(effects.merge);
            match effects.answer {
                Some(answer) => commanded.answers.push((record, answer)),
                None => commanded.explain.push(record),
            }
        }
        Ok(commanded)
    }

    /// What was decided last for the branch, the newest first.
    async fn latest_decisions(&self, key: &BranchKey) -> Result<Vec<Decision>, ReconcileError> {
        let BranchKey { tenant, repository, .. } = key.clone();
        let found = self.ports.store.decisions(&DecisionsAbout::Repository { tenant, repository }, LOOKED_BACK).await?;
        Ok(found.into_iter().filter(|found| found.key == *key).map(|found| found.decision).collect())
    }

    /// What a command comes to; versions that only a registry knows are looked up.
    async fn effects(
        &self,
        record: &CommandRecord,
        ground: &Ground<'_>,
        situation: &Situation,
        decisions: &[Decision],
    ) -> Effects {
        let mut entries: BTreeMap<EnvironmentName, Vec<EntryName>> = BTreeMap::new();
        for running in ground.running {
            entries.entry(running.environment.clone()).or_default().push(running.entry.clone());
        }
        let view = situation.forge.as_ref();
        let mut known: Vec<(EntryName, Version)> = Vec::new();
        loop {
            let effects = execute(&CommandContext {
                now: self.now(),
                record,
                environments: ground.environments,
                images: ground.entries,
                entries: &entries,
                holds: &situation.holds,
                ran: &situation.ran,
                pulls: view.map(|view| view.pulls.as_slice()).unwrap_or_default(),
                bot: view.map(|view| &view.bot),
                known: &known,
                decisions,
                approvers: &ground.settings.collaboration.approvers,
            });
            let news = effects
                .unresolved
                .iter()
                .filter(|(entry, tag)| !known.iter().any(|(other, version)| other == entry && version.tag == *tag));
            let mut found = Vec::new();
            for (entry, tag) in news {
                let Some(image) = ground.entries.iter().find(|other| other.name == *entry) else { continue };
                let digest = match self.ports.registry.digest(&image.image, tag).await {
                    Ok(digest) => digest,
                    // One command that cannot be done holds up nothing else.
                    Err(error) => {
                        let text = format!("Nothing was done: {}", chain(&error));
                        let answer = CommandAnswer { outcome: CommandOutcome::Invalid, text };
                        return Effects { answer: Some(answer), ..Effects::default() };
                    }
                };
                found.extend(digest.map(|digest| (entry.clone(), Version { tag: tag.clone(), digest })));
            }
            if found.is_empty() {
                let missing = effects.unresolved.first();
                let answer = missing.map(|(entry, tag)| unknown_version(entry, tag));
                return match answer {
                    Some(answer) => Effects { answer: Some(answer), ..Effects::default() },
                    None => effects,
                };
            }
            known.extend(found);
        }
    }

    /// Ask the forge now what whoever gives the command may do; or why that cannot be told. Only who goes past gates has to be
    /// known as an approver.
    async fn ask_permission(
        &self,
        config: &ConfigRepository,
        settings: &RepositorySettings,
        record: &mut CommandRecord,
    ) -> Option<String> {
        let (Some(forge), Commander::Account { account, permission: permission @ None, approver_as }) =
            (&config.forge, &mut record.by)
        else {
            return None;
        };
        match forge.permission(account).await {
            Ok(found) => *permission = Some(found),
            Err(error) => return Some(cannot_tell(&error)),
        }
        if !matches!(record.command, Command::Promote { .. }) {
            return None;
        }
        for approver in &settings.collaboration.approvers {
            let is = match approver.strip_prefix("team/") {
                Some(team) => match forge.is_member(team, account).await {
                    Ok(is) => is,
                    Err(error) => return Some(cannot_tell(&error)),
                },
                None => approver.trim_start_matches('@').eq_ignore_ascii_case(&account.login),
            };
            if is {
                approver_as.push(approver.clone());
            }
        }
        None
    }

    /// Answer what was commanded, now that it is done.
    pub(crate) async fn answer(
        &self,
        work: &Work,
        config: &ConfigRepository,
        mut commanded: Commanded,
        decisions: &[&Decision],
        (situation, done): (&Situation, &PullsDone),
    ) -> Result<(), ReconcileError> {
        // What is tried again is answered once it is done.
        commanded.answers.retain(|(record, answer)| !is_tried_again(record, answer, done));
        let explained = commanded.explain.into_iter().map(|record| {
            let about = decisions_about(&record, decisions, situation);
            let answer = CommandAnswer { outcome: CommandOutcome::Done, text: explain(&about) };
            (record, answer)
        });
        for (record, answer) in commanded.answers.into_iter().chain(explained) {
            self.still_held(work).await?;
            if let Some(forge) = &config.forge {
                match reply(forge.as_ref(), &record, &answer).await {
                    // It is answered with the next reconcile.
                    Err(ReconcileError::Forge(error)) if error.kind == ForgeErrorKind::Temporary => {
                        return Err(error.into());
                    }
                    replied => unless_told(replied)?,
                }
            }
            self.ports.store.answer_command(&work.key.tenant, &record.id, &answer, self.now()).await?;
        }
        Ok(())
    }
}

/// Whether what a command asks for could not be done now, and is tried again. What was built anew is not again: people may
/// have added to it since.
fn is_tried_again(record: &CommandRecord, answer: &CommandAnswer, done: &PullsDone) -> bool {
    let CommandOrigin::Comment { pull_request, .. } = &record.origin else { return false };
    let is_open = match record.command {
        Command::Merge => done.unfinished.contains(pull_request) || done.unbuilt.contains(pull_request),
        Command::Rebuild => done.unbuilt.contains(pull_request),
        _ => false,
    };
    is_open && answer.outcome == CommandOutcome::Done
}

/// Why a command is not done though nothing is against it.
fn cannot_tell(error: &ForgeError) -> String {
    format!("It cannot be told now whether you may: {}. Nothing was done; try again later.", chain(error))
}

/// Answer a command where it was given, once.
async fn reply(forge: &dyn Forge, record: &CommandRecord, answer: &CommandAnswer) -> Result<(), ReconcileError> {
    if let CommandOrigin::Comment { pull_request, .. } = &record.origin {
        let text = answer_comment(answer, record, &forge.traits());
        forge.comment(*pull_request, &format!("answer-{}", record.id), &text).await?;
    }
    Ok(())
}

/// How things stand without what later commands wished. All of them may have been begun before, and be done again now:
/// whoever released before that did not mean it, and what is released is not placed a second time.
fn without_later<'s>(situation: &'s Situation, record: &CommandRecord, later: &[CommandRecord]) -> Cow<'s, Situation> {
    let is_later = |hold: &Hold| later.iter().any(|it| hold.since == it.given_at && hold.by == person(&it.by));
    if !matches!(record.command, Command::Release { .. }) || !situation.holds.iter().any(is_later) {
        return Cow::Borrowed(situation);
    }
    let mut seen = situation.clone();
    seen.holds.retain(|hold| !is_later(hold));
    Cow::Owned(seen)
}

/// Whether a command is to be done with this branch: where its pull request goes, its environment lives, or the repository
/// file is.
fn is_about(record: &CommandRecord, work: &Work, ground: &Ground<'_>, situation: &Situation) -> bool {
    let number = match &record.origin {
        CommandOrigin::Comment { pull_request, .. } => Some(*pull_request),
        CommandOrigin::Api | CommandOrigin::Box { .. } => None,
    };
    if let Some(number) = number {
        let pulls = situation.forge.as_ref().map(|view| view.pulls.as_slice()).unwrap_or_default();
        return match pulls.iter().find(|known| known.pull.number == number) {
            Some(known) => known.pull.base == work.key.branch,
            // It is over, and longer ago than the forge lists.
            None => ground.governs && situation.forge.is_some(),
        };
    }
    match environment_of(&record.command) {
        Some(name) if ground.settings.environments.iter().any(|environment| environment.name == *name) => {
            ground.environments.iter().any(|environment| environment.name == *name)
        }
        // What names no environment, or one that is not there, is answered once.
        _ => ground.governs,
    }
}

fn environment_of(command: &Command) -> Option<&EnvironmentName> {
    match command {
        Command::Hold { target, .. }
        | Command::Release { target, .. }
        | Command::Skip { target, .. }
        | Command::Rollback { target, .. }
        | Command::Promote { target, .. } => target.environment.as_ref(),
        Command::Freeze { environment, .. } => environment.as_ref(),
        Command::Rebuild | Command::Merge | Command::Explain => None,
    }
}

/// The decisions that a command is about: those of its pull request's changes, else all.
fn decisions_about<'d>(record: &CommandRecord, decisions: &[&'d Decision], situation: &Situation) -> Vec<&'d Decision> {
    let CommandOrigin::Comment { pull_request, .. } = &record.origin else { return decisions.to_vec() };
    let Some(view) = &situation.forge else { return decisions.to_vec() };
    let block = view.pulls.iter().find(|known| known.pull.number == *pull_request);
    let Some(block) = block.and_then(|known| Block::read(&known.pull, &view.bot)) else { return decisions.to_vec() };
    let is_in = |decision: &&&Decision| {
        decision.environment == block.environment && block.changes.iter().any(|change| change.entry == decision.entry)
    };
    decisions.iter().filter(is_in).copied().collect()
}

/// The id of a command that was read at the forge: the same whenever it is read again, and short enough however long the names
/// are.
pub(crate) fn command_id(kind: &str, key: &BranchKey, place: &str) -> Result<CommandId, NameError> {
    let hash = Sha256::digest(format!("{}/{}", key.tenant, key.repository));
    let short: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{kind}-{short}-{place}").parse()
}

fn person(by: &Commander) -> tagboat_model::Person {
    match by {
        Commander::Operator { name } => tagboat_model::Person::operator(name),
        Commander::Account { account, .. } => account.person(),
    }
}

/// Whoever ticked a box of the dashboard: only those who may write can.
pub(crate) fn whoever_may_write() -> Commander {
    let account = Account { id: 0, login: "a box of the dashboard".to_owned(), is_bot: false };
    Commander::Account { account, permission: Some(Permission::Write), approver_as: Vec::new() }
}

#[cfg(test)]
mod tests {
    use tagboat_model::{Person, Target, Timestamp, Until, Wish};

    use super::*;

    fn key(tenant: &str, repository: &str) -> BranchKey {
        BranchKey {
            tenant: tenant.parse().unwrap(),
            repository: repository.parse().unwrap(),
            branch: "main".parse().unwrap(),
        }
    }

    #[test]
    fn a_release_that_is_done_again_leaves_what_was_wished_after_it() {
        let prod: EnvironmentName = "prod".parse().unwrap();
        let record = |command: Command, at: i64| CommandRecord {
            id: format!("command-{at}").parse().unwrap(),
            tenant: "default".parse().unwrap(),
            repository: "config".parse().unwrap(),
            command,
            by: Commander::Operator { name: "ops".to_owned() },
            origin: CommandOrigin::Api,
            given_at: Timestamp(at),
            answer: None,
        };
        let hold = |at: i64| Hold {
            id: format!("h-{at}").parse().unwrap(),
            environment: Some(prod.clone()),
            entry: None,
            wish: Wish::Freeze,
            by: Person::operator("ops"),
            why: None,
            since: Timestamp(at),
            until: Until::Released,
        };
        let situation = Situation { holds: vec![hold(1), hold(3)], ..Situation::default() };
        let target = Target { environment: Some(prod.clone()), entry: None };
        let release = record(Command::Release { target, id: None }, 2);
        let freeze = Command::Freeze { environment: Some(prod.clone()), until: Until::Released, why: None };
        let freeze = record(freeze, 3);
        let seen = without_later(&situation, &release, std::slice::from_ref(&freeze));
        assert_eq!(seen.holds, [hold(1)]);
        assert_eq!(without_later(&situation, &freeze, &[release]).holds.len(), 2, "only what is released");
    }

    #[test]
    fn ids_of_commands_fit_whatever_the_names_are() {
        let long = key(&"t".repeat(63), &"r".repeat(63));
        let place = format!("{}-9", u64::MAX);
        let id = command_id("comment", &long, &place).unwrap();
        assert_eq!(command_id("comment", &long, &place).unwrap(), id, "the same again");
        assert!(command_id("box", &long, &format!("{}-1764147600000-99", u32::MAX)).is_ok());
        let id = command_id("comment", &key("default", "config"), "7-0").unwrap();
        assert_eq!(id.as_str(), "comment-c6c0da54c81f-7-0", "it stays what it is from version to version");
        assert_ne!(command_id("comment", &key("default", "other"), "7-0").unwrap(), id);
        assert_ne!(command_id("comment", &key("other", "config"), "7-0").unwrap(), id);
    }
}
