//! Comments on pull requests of ours: the commands in them are taken, once.
//!
//! Anybody may comment in public. Whoever may do nothing in the repository causes one answer for a pull request, and no more.

use std::collections::BTreeSet;

use tagboat_model::{
    BranchKey, Command, CommandAnswer, CommandId, CommandOrigin, CommandOutcome, CommandRecord, Commander, Comment,
    CommitId, Duration, Permission, PullState, Timestamp,
};
use tagboat_ports::{Forge, Work};
use tagboat_promotion::{
    command::parse,
    pull::{
        KnownPull,
        text::{answer_comment, not_understood_comment},
    },
};

use crate::{Engine, ReconcileError, commands::command_id, gather::ForgeView};

/// What is kept of how far comments were read: the time before which none is obeyed, and the newest that was seen.
const READ_UP_TO: &str = "comments-read";
/// Clocks differ, and listings lag.
const OVERLAP_SECONDS: i64 = 600;
/// So long after a change another may have the same time: forges tell it in whole seconds, and clocks differ.
const FRESH_SECONDS: u64 = 10;
/// How commands begin.
const CALLED: &str = "/tagboat";
/// No commit has it: for a head that nobody can have seen.
const UNSEEN: &str = "0000000000000000000000000000000000000000";

/// How far comments were read.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// What was written before is of a time that nothing is known of: it may have been done.
    floor: Timestamp,
    read: Timestamp,
}

impl Mark {
    fn parse(text: &str) -> Option<Self> {
        let (floor, read) = text.split_once(' ')?;
        Some(Self { floor: Timestamp(floor.parse().ok()?), read: Timestamp(read.parse().ok()?) })
    }
}

impl Engine {
    /// Take the commands of comments that are new, on pull requests that somebody touched. Returns whether there are any.
    pub(crate) async fn take_comments(
        &self,
        work: &Work,
        forge: &dyn Forge,
        view: &ForgeView,
        touched: &BTreeSet<u64>,
    ) -> Result<bool, ReconcileError> {
        let BranchKey { tenant, repository, branch } = &work.key;
        let key = format!("{READ_UP_TO}:{branch}");
        let store = &self.ports.store;
        let newest = view.pulls.iter().map(|known| known.pull.updated_at).max();
        let kept = store.kept(tenant, repository, &key).await?;
        let Some(mark) = kept.as_deref().and_then(Mark::parse) else {
            // Forges tell the time of a comment in whole seconds. Where there is no pull request yet, none is too old.
            let floor = newest.unwrap_or_else(|| Timestamp((self.now().0.div_euclid(1000) - 1) * 1000));
            store.keep(tenant, repository, &key, &format!("{} {}", floor.0, floor.0)).await?;
            return Ok(false);
        };
        let is_ours = |known: &&KnownPull| {
            // On a closed one people may want to take back what closing it meant.
            known.pull.state != PullState::Merged && known.pull.base == *branch && known.pull.author.id == view.bot.id
        };
        let is_news = |known: &&KnownPull| touched.contains(&known.pull.number) || known.pull.updated_at > mark.read;
        let since = Timestamp((mark.read.0 - OVERLAP_SECONDS * 1000).max(mark.floor.0));
        let mut any = false;
        for known in view.pulls.iter().filter(is_ours).filter(is_news) {
            for comment in forge.comments(known.pull.number, Some(since)).await? {
                // What was changed since it was written may not be what was meant when others saw it.
                let is_peoples = comment.by.id != view.bot.id && !comment.by.is_bot && !comment.edited;
                if is_peoples && comment.created_at > mark.floor && comment.body.contains(CALLED) {
                    any |= self.take_comment(work, forge, known, &comment).await?;
                }
            }
        }
        // In the second of the newest another comment may come.
        let whole = |newest: Timestamp| match self.now().since(newest) < Duration::from_seconds(FRESH_SECONDS) {
            true => Timestamp(newest.0 - 1000),
            false => newest,
        };
        if let Some(newest) = newest.map(whole).filter(|newest| *newest > mark.read) {
            store.keep(tenant, repository, &key, &format!("{} {}", mark.floor.0, newest.0)).await?;
        }
        Ok(any)
    }

    /// Take what one comment commands. Returns whether something is to be done.
    async fn take_comment(
        &self,
        work: &Work,
        forge: &dyn Forge,
        known: &KnownPull,
        comment: &Comment,
    ) -> Result<bool, ReconcileError> {
        let parsed = parse(&comment.body, comment.created_at);
        if parsed.is_empty() {
            return Ok(false);
        }
        let head = self.seen_head(work, known, comment).await?;
        let record = |id: CommandId, command: Command| CommandRecord {
            id,
            tenant: work.key.tenant.clone(),
            repository: work.key.repository.clone(),
            command,
            by: Commander::Account { account: comment.by.clone(), permission: None, approver_as: Vec::new() },
            origin: CommandOrigin::Comment { pull_request: known.pull.number, comment: comment.id, head: head.clone() },
            given_at: comment.created_at,
            answer: None,
        };
        if self.permission_of(work, forge, &comment.by).await? < Permission::Triage {
            let Ok(id) = command_id("comment", &work.key, &format!("{}-0", comment.id)) else { return Ok(false) };
            let first = parsed.into_iter().find_map(Result::ok).unwrap_or(Command::Explain);
            return self.turn_away(forge, known, comment, record(id, first)).await;
        }
        let mut any = false;
        let mut wrong = Vec::new();
        for (index, command) in parsed.into_iter().enumerate() {
            match command {
                Ok(command) => {
                    let Ok(id) = command_id("comment", &work.key, &format!("{}-{index}", comment.id)) else { continue };
                    any |= self.ports.store.take_command(&record(id, command), self.now()).await?;
                }
                Err(text) => wrong.push(text),
            }
        }
        let id = command_id("wrong", &work.key, &comment.id.to_string());
        if let (Ok(id), false) = (id, wrong.is_empty()) {
            self.say_what_is_wrong(forge, record(id, Command::Explain), &wrong).await?;
        }
        Ok(any)
    }

    /// What is no command needs nothing to be done; it is answered, once for a comment.
    async fn say_what_is_wrong(
        &self,
        forge: &dyn Forge,
        record: CommandRecord,
        wrong: &[String],
    ) -> Result<(), ReconcileError> {
        if self.ports.store.command(&record.id).await?.is_some() {
            return Ok(());
        }
        let answer = CommandAnswer { outcome: CommandOutcome::Invalid, text: wrong.join("\n") };
        if let CommandOrigin::Comment { pull_request, .. } = &record.origin {
            let mark = format!("answer-{}", record.id);
            forge.comment(*pull_request, &mark, &not_understood_comment(wrong)).await?;
        }
        self.ports.store.take_command(&CommandRecord { answer: Some(answer), ..record }, self.now()).await?;
        Ok(())
    }

    /// Whoever may do nothing here is told so once on a pull request.
    async fn turn_away(
        &self,
        forge: &dyn Forge,
        known: &KnownPull,
        comment: &Comment,
        record: CommandRecord,
    ) -> Result<bool, ReconcileError> {
        if self.ports.store.command(&record.id).await?.is_some() {
            return Ok(false);
        }
        let text = "commands are for those who may write to this repository".to_owned();
        let answer = CommandAnswer { outcome: CommandOutcome::Refused, text };
        let told = (record.tenant.clone(), record.repository.clone(), known.pull.number, comment.by.id);
        if self.pull_memory().is_first_word_to(told) {
            let body = answer_comment(&answer, &record, &forge.traits());
            forge.comment(known.pull.number, &format!("turned-away-{}", comment.by.id), &body).await?;
        }
        self.ports.store.take_command(&CommandRecord { answer: Some(answer), ..record }, self.now()).await?;
        Ok(false)
    }

    /// The head that whoever wrote the comment can have seen: that of now, if it was there before.
    async fn seen_head(&self, work: &Work, known: &KnownPull, comment: &Comment) -> Result<CommitId, ReconcileError> {
        let head = &known.pull.head_commit;
        let pushed_at = self.pushed_at(&work.key, &known.pull.head, head).await?;
        if pushed_at.is_some_and(|at| at <= comment.created_at.plus(Duration::from_seconds(1))) {
            return Ok(head.clone());
        }
        Ok(UNSEEN.parse().unwrap_or_else(|_| head.clone()))
    }
}
