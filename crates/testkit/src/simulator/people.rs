//! What people do: commit, take back, review, push to the bot's branches, command. And, once all is calm, tidy up.

use tagboat_model::{
    BranchName, Command, CommandId, CommandOrigin, CommandRecord, Commander, CommitId, PullRequest, PullState,
    RepositoryChange, Review, ReviewState, Tag, Target, Until,
};
use tagboat_ports::BOT_BRANCHES;

use super::{
    faults::Fault,
    forge::{bob, mallory},
    git::{By, Files, value_in, with_value},
    promises::{ACME_ENVIRONMENTS, ENTRIES, puts_of},
    world::{ACME, World, ZETA, image_name, main, repository_name, tenant_name},
};

/// Nobody acts on a pull request before they have seen it.
const A_LOOK: i64 = 20_000;

impl World {
    pub(super) fn people_act(&self) {
        if self.fault(Fault::PeopleCommit, 40) {
            self.somebody_commits();
        }
        if self.fault(Fault::PeopleRevert, 80) {
            self.somebody_takes_back();
        }
        if self.fault(Fault::PeopleReview, 30) {
            self.somebody_reviews();
        }
        if self.fault(Fault::PeoplePush, 90) {
            self.somebody_pushes_to_a_branch_of_ours();
        }
        if self.fault(Fault::PeopleCommand, 80) {
            match self.chance(3) {
                true => self.an_operator_commands(),
                false => self.somebody_comments(false),
            }
        }
        if self.fault(Fault::StrangersCommand, 100) {
            self.somebody_comments(true);
        }
        self.forge_merges();
    }

    fn commit_to_main(&self, tenant: usize, message: &str, files: Files) {
        let mut git = self.git(tenant);
        let parents: Vec<CommitId> = git.head(&main()).cloned().into_iter().collect();
        let new = git.commit(parents, (message, self.wall()), files, By::People);
        git.point(&main(), Some(new), self.time());
        drop(git);
        self.note(|| format!("people commit to {}: {}", tenant_name(tenant), message.trim()));
        self.tell_of_change(tenant, RepositoryChange::BranchMoved, None);
    }

    /// A file beside, or a line at the end of one that we edit.
    fn somebody_commits(&self) {
        let tenant = if self.chance(4) { ZETA } else { ACME };
        let mut files = self.git(tenant).files(&main());
        let number = self.fresh();
        if self.chance(2) {
            files.insert(format!("notes/{number}.md"), format!("note {number}\n").into_bytes());
            if tenant == ACME {
                self.ledger().notes += 1;
            }
            return self.commit_to_main(tenant, &format!("Note {number}\n"), files);
        }
        let environment = if tenant == ZETA { "live" } else { ACME_ENVIRONMENTS[self.random(3)] };
        if let Some(bytes) = files.get_mut(&format!("{environment}/app.yaml")) {
            bytes.extend_from_slice(format!("# line {number}\n").as_bytes());
        }
        self.commit_to_main(tenant, &format!("Line {number} in {environment}\n"), files);
    }

    /// Back to what ran before, where Tagboat knows what it brought.
    fn somebody_takes_back(&self) {
        let (environment, entry) = (ACME_ENVIRONMENTS[self.random(3)], ENTRIES[self.random(2)]);
        let files = self.git(ACME).files(&main());
        let Some(now) = value_in(&files, environment, entry) else { return };
        let earlier: Vec<(String, bool)> = self.store().look(|tables| {
            let place = (tenant_name(ACME), repository_name());
            let of = (environment.parse().unwrap(), entry.parse().unwrap());
            let rows = tables.past.ran.get(&place).and_then(|entries| entries.get(&of)).into_iter().flatten();
            let written = |ran: &tagboat_model::Ran| match entry {
                "tool" => format!("{}@{}", ran.version.tag, ran.version.digest),
                _ => ran.version.tag.to_string(),
            };
            let is_ours = |ran: &tagboat_model::Ran| matches!(ran.by, tagboat_model::PutBy::Tagboat { .. });
            rows.map(|ran| (written(ran), is_ours(ran))).collect()
        });
        let Some((last, before)) = earlier.split_last() else { return };
        let Some((back, _)) = before.iter().rev().find(|(value, _)| *value != now) else { return };
        if last.0 != now || !last.1 {
            return;
        }
        let Some(files) = with_value(&files, (environment, entry), back) else { return };
        if !self.knows(Fault::HistoryShort) && self.ledger().releasing.is_empty() {
            self.ledger().taken_back.insert((environment.to_owned(), entry.to_owned(), now.clone()));
        }
        self.commit_to_main(ACME, &format!("Take back {entry} {now} in {environment} for {back}\n"), files);
    }

    fn a_pull(&self, wanted: impl Fn(&PullRequest) -> bool) -> Option<PullRequest> {
        let seen_before = self.time() - A_LOOK;
        let pulls: Vec<PullRequest> = {
            let forge = self.forge();
            let seen = forge.listed_at(seen_before).into_iter().map(|pull| pull.number);
            seen.filter_map(|number| forge.pull(number))
                .map(|pull| pull.now.clone())
                .filter(|pull| wanted(pull))
                .collect()
        };
        (!pulls.is_empty()).then(|| pulls[self.random(pulls.len())].clone())
    }

    fn somebody_reviews(&self) {
        let choice = self.random(8);
        if choice == 0 {
            return self.somebody_opens_again();
        }
        let Some(pull) = self.a_pull(|pull| pull.state == PullState::Open) else { return };
        let number = pull.number;
        match choice {
            1 => self.somebody_closes(number),
            2 => {
                let title = format!("{} (bob)", pull.title.trim_end_matches(" (bob)"));
                self.forge().change(number, self.times(), |pull| pull.now.title = title);
            }
            3 | 4 => self.forge().change(number, self.times(), |known| {
                let commit = Some(pull.head_commit.clone());
                known.reviews.push(Review { by: bob(), state: ReviewState::Approved, commit });
            }),
            _ => self.somebody_merges(number),
        }
        self.note(|| format!("somebody reviews #{number}: {choice}"));
        self.tell_of_change(ACME, RepositoryChange::PullRequest, Some(number));
    }

    pub(super) fn somebody_merges(&self, number: u64) {
        let puts = self.forge().pull(number).map(|pull| puts_of(&pull.now)).unwrap_or_default();
        if self.merge_pull(number, By::People).is_ok() {
            // Whoever merges it wants it.
            let mut ledger = self.ledger();
            ledger.taken_back.retain(|put| !puts.contains(put));
            ledger.closed.retain(|put, _| !puts.contains(put));
        }
    }

    fn somebody_closes(&self, number: u64) {
        let Some(pull) = self.forge().pull(number).map(|pull| pull.now.clone()) else { return };
        self.forge().change(number, self.times(), |pull| {
            pull.now.state = PullState::Closed;
            pull.closed_by_people = true;
            pull.armed = false;
        });
        self.note(|| format!("#{number} is closed by people"));
        let mut ledger = self.ledger();
        if ledger.releasing.is_empty() {
            ledger.closed.extend(puts_of(&pull).into_iter().map(|put| (put, self.time())));
        }
    }

    fn somebody_opens_again(&self) {
        let Some(pull) = self.a_pull(|pull| pull.state == PullState::Closed) else { return };
        let is_peoples = self.forge().pull(pull.number).is_some_and(|pull| pull.closed_by_people);
        let is_free = self.forge().open_of(&pull.head).is_none();
        let stands = self.git(ACME).head(&pull.head) == Some(&pull.head_commit);
        if !is_peoples || !is_free || !stands {
            return;
        }
        self.note(|| format!("#{} is opened again", pull.number));
        self.forge().change(pull.number, self.times(), |pull| {
            pull.now.state = PullState::Open;
            pull.closed_by_people = false;
        });
        let puts = puts_of(&pull);
        self.ledger().closed.retain(|put, _| !puts.contains(put));
        self.tell_of_change(ACME, RepositoryChange::PullRequest, Some(pull.number));
    }

    fn somebody_pushes_to_a_branch_of_ours(&self) {
        let Some(pull) = self.a_pull(|pull| pull.state == PullState::Open) else { return };
        let number = self.fresh();
        let mut git = self.git(ACME);
        let Some(head) = git.head(&pull.head).cloned() else { return };
        let mut files = git.commits[&head].files.clone();
        files.insert(format!("notes/{number}.md"), format!("note {number}\n").into_bytes());
        let new = git.commit(vec![head], (&format!("Note {number}\n"), self.wall()), files, By::People);
        git.point(&pull.head, Some(new.clone()), self.time());
        drop(git);
        self.note(|| format!("people push to {} of #{}", pull.head, pull.number));
        self.branch_moved(&pull.head, Some(&new));
        self.tell_of_change(ACME, RepositoryChange::PullRequest, Some(pull.number));
    }

    fn somebody_comments(&self, is_stranger: bool) {
        let Some(pull) = self.a_pull(|pull| pull.state == PullState::Open) else { return };
        let words = ["hold", "release", "rebuild", "skip", "explain", "freeze"];
        let word = words[self.random(words.len())];
        let by = if is_stranger { mallory() } else { bob() };
        self.note(|| format!("{} comments on #{}: /tagboat {word}", by.login, pull.number));
        if !is_stranger {
            match word {
                "release" => {
                    self.ledger().release();
                    self.ledger().releasing.insert(pull.number.to_string());
                }
                "rebuild" => drop(self.ledger().asked.insert(pull.number)),
                _ => {}
            }
        }
        self.forge().comment(pull.number, by, format!("/tagboat {word}\n"), self.times());
        self.tell_of_change(ACME, RepositoryChange::Comment, Some(pull.number));
    }

    /// By the API: a whole environment is frozen, or released.
    fn an_operator_commands(&self) {
        let environment = ACME_ENVIRONMENTS[self.random(3)];
        let name = environment.parse().unwrap();
        let id: CommandId = format!("command-{}", self.fresh()).parse().unwrap();
        let command = match self.chance(2) {
            true => {
                self.ledger().freezing.insert(id.clone(), environment.to_owned());
                Command::Freeze { environment: Some(name), until: Until::Released, why: None }
            }
            false => {
                self.ledger().release();
                self.ledger().releasing.insert(id.to_string());
                Command::Release { target: Target { environment: Some(name), entry: None }, id: None }
            }
        };
        self.note(|| format!("an operator commands {id}: {command:?}"));
        let record = CommandRecord {
            id,
            tenant: tenant_name(ACME),
            repository: repository_name(),
            command,
            by: Commander::Operator { name: "ops".to_owned() },
            origin: CommandOrigin::Api,
            given_at: self.wall(),
            answer: None,
        };
        self.store().take_command_now(&record, self.wall());
    }

    /// What waits at the forge to be merged by itself is, after a while.
    fn forge_merges(&self) {
        if !self.chance(10) {
            return;
        }
        let armed: Vec<u64> = self.forge().open().filter(|pull| pull.armed).map(|pull| pull.now.number).collect();
        for number in armed {
            if self.merge_pull(number, By::Forge).is_ok() {
                self.tell_of_change(ACME, RepositoryChange::PullRequest, Some(number));
            }
        }
    }

    /// Once all is calm, people release what they held, merge what is offered, and clear away what is in the way.
    pub(super) fn people_tidy_up(&self) {
        self.forge_merges();
        self.ledger().release();
        if self.store().release_all_holds(self.wall()) {
            self.ledger().released = self.time();
            self.note(|| "people release everything".to_owned());
        }
        let open: Vec<PullRequest> = self.forge().open().map(|pull| pull.now.clone()).collect();
        let old = open.into_iter().filter(|pull| self.wall().0 - pull.updated_at.0 > 30_000);
        for pull in old {
            let is_foreign = self.is_peoples(&pull.head);
            let is_stuck = self.wall().0 - pull.updated_at.0 > 600_000 && self.brings_what_is_gone(&pull);
            let is_for_people = is_foreign || is_stuck || pull.head.as_str().starts_with("tagboat/prod/");
            if !is_for_people {
                continue;
            }
            if is_foreign || is_stuck {
                self.somebody_closes(pull.number);
            } else {
                self.somebody_merges(pull.number);
            }
            self.tell_of_change(ACME, RepositoryChange::PullRequest, Some(pull.number));
        }
        let branches: Vec<BranchName> = self.git(ACME).branches.keys().cloned().collect();
        for branch in branches.into_iter().filter(|branch| branch.as_str().starts_with(BOT_BRANCHES)) {
            if self.forge().open_of(&branch).is_none() && self.is_peoples(&branch) {
                self.note(|| format!("people delete {branch}"));
                self.git(ACME).point(&branch, None, self.time());
                self.tell_of_change(ACME, RepositoryChange::BranchMoved, None);
            }
        }
    }

    /// Whether a pull request brings a tag that was deleted or moved: once it is approved it is theirs to give up.
    fn brings_what_is_gone(&self, pull: &PullRequest) -> bool {
        let registry = self.registry();
        let tags = pull.title.split_whitespace().filter_map(|word| word.parse::<Tag>().ok());
        tags.into_iter().any(|tag| registry.is_disturbed(&image_name("web"), &tag))
    }

    /// Whether people's commits are on a branch that are not on theirs.
    fn is_peoples(&self, branch: &BranchName) -> bool {
        let git = self.git(ACME);
        let (Some(main), Some(head)) = (git.head(&main()), git.head(branch)) else { return false };
        git.between(main, head).iter().any(|id| git.commits[id].by == By::People)
    }
}
