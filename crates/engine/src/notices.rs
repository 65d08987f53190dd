//! What people are told beside pull requests: that a repository file is wrong, where it is; what a changed one would do; and
//! how everything stands, on the dashboard.
//!
//! Words are made in `tagboat-promotion`. Nothing is told twice: what was told last is kept.

use std::collections::BTreeSet;

use tagboat_model::{
    BranchKey, CheckState, Command, CommandOrigin, CommandRecord, CommitId, Decision, Duration, ForgeKind, Hold,
    PullRequest, PullState, Timestamp, Version, Wish,
};
use tagboat_ports::{Annotation, DecisionsAbout, Forge, Report, Work};
use tagboat_promotion::{
    Board, DASHBOARD_MARK, compose_board, decide,
    pull::text::{plan_report, problem_report},
    ticked,
};
use tagboat_settings::{Problem, REPOSITORY_FILE, ReadContext, includes, read_repository_files};

use crate::{
    ConfigRepository, Engine, ReconcileError,
    commands::{command_id, whoever_may_write},
    gather::{Answers, Certain, Gathered, is_bot_branch},
};

/// The name of our checks.
const CHECK: &str = "tagboat";
/// What was reported of the governing branch last.
const REPORTED: &str = "reported-problem";
/// Decisions that are looked back at for the dashboard.
const MOST_DECISIONS: u32 = 5000;
/// The number of the dashboard, and when it was opened.
const DASHBOARD: &str = "dashboard";
/// Whoever closes it later gets a new one.
const WHILE_LISTINGS_LAG: Duration = Duration::from_seconds(60);

impl Engine {
    /// Say at the forge that the repository file of this commit is wrong; or, once it is mended, that it is well.
    pub(crate) async fn report_configuration(
        &self,
        work: &Work,
        config: &ConfigRepository,
        commit: &CommitId,
        problem: Option<&Problem>,
    ) -> Result<(), ReconcileError> {
        let Some(forge) = config.forge.as_ref().filter(|_| work.key.branch == config.branch) else { return Ok(()) };
        let BranchKey { tenant, repository, .. } = &work.key;
        let reported = self.ports.store.kept(tenant, repository, REPORTED).await?.unwrap_or_default();
        let now = problem.map(|problem| format!("{commit} {problem}")).unwrap_or_default();
        if reported == now {
            return Ok(());
        }
        forge.report(commit, &configuration_report(problem)).await?;
        self.ports.store.keep(tenant, repository, REPORTED, &now).await?;
        Ok(())
    }

    /// Report on people's pull requests that change the repository file: whether it is well, and what it would do.
    pub(crate) async fn report_on_pull_requests(
        &self,
        work: &Work,
        config: &ConfigRepository,
        numbers: &BTreeSet<u64>,
    ) -> Result<(), ReconcileError> {
        let Some(forge) = config.forge.as_ref().filter(|_| work.key.branch == config.branch) else { return Ok(()) };
        for &number in numbers {
            let Some(pull) = forge.pull_request(number).await? else { continue };
            let is_peoples = pull.state == PullState::Open && !is_bot_branch(pull.head.as_str());
            let is_ours_to_say = is_peoples || pull.head.as_str() == crate::onboarding::BRANCH;
            if pull.state != PullState::Open || !is_ours_to_say || pull.base != config.branch {
                continue;
            }
            let key = format!("reported-pull:{number}");
            let BranchKey { tenant, repository, .. } = &work.key;
            if self.ports.store.kept(tenant, repository, &key).await?.as_deref() == Some(pull.head_commit.as_str()) {
                continue;
            }
            if forge.changed_paths(number).await?.iter().any(|path| path.ends_with(REPOSITORY_FILE)) {
                let report = self.try_out(work, config, forge.as_ref(), &pull).await?;
                forge.report(&pull.head_commit, &report).await?;
            }
            self.ports.store.keep(tenant, repository, &key, pull.head_commit.as_str()).await?;
        }
        Ok(())
    }

    /// What the repository file of a pull request would do.
    async fn try_out(
        &self,
        work: &Work,
        config: &ConfigRepository,
        forge: &dyn Forge,
        pull: &PullRequest,
    ) -> Result<Report, ReconcileError> {
        let Some(bytes) = forge.file_at(&pull.head_commit, REPOSITORY_FILE).await? else {
            let problem = Problem {
                source: REPOSITORY_FILE.to_owned(),
                place: None,
                message: "it is gone; nothing would be done any more".to_owned(),
            };
            return Ok(configuration_report(Some(&problem)));
        };
        let text = String::from_utf8_lossy(&bytes);
        // Included files are only where the branch is; a fork's cannot be read.
        let at_hand = config.port.head(&pull.head).await?.filter(|head| *head == pull.head_commit);
        if at_hand.is_none() {
            let context = ReadContext { agents: config.agents };
            let read = includes(REPOSITORY_FILE, &text)
                .and_then(|_| read_repository_files(REPOSITORY_FILE, &text, &[], context));
            return Ok(configuration_report(read.err().as_ref()));
        }
        match self.decide_on_trial(work, config, &pull.head_commit).await {
            Ok(decisions) => Ok(Report {
                name: CHECK.to_owned(),
                state: CheckState::Success,
                title: "The repository file is well".to_owned(),
                summary: plan_report(&decisions),
                annotations: Vec::new(),
            }),
            Err(ReconcileError::Configuration(problem)) => Ok(configuration_report(Some(&problem))),
            Err(error @ (ReconcileError::Overlap(_) | ReconcileError::NoKeyFile { .. })) => {
                let message = error.to_string();
                let problem = Problem { source: REPOSITORY_FILE.to_owned(), place: None, message };
                Ok(configuration_report(Some(&problem)))
            }
            Err(error) => Err(error),
        }
    }

    /// What would be decided at a commit, were it the head of the governing branch.
    async fn decide_on_trial(
        &self,
        work: &Work,
        config: &ConfigRepository,
        commit: &CommitId,
    ) -> Result<Vec<Decision>, ReconcileError> {
        let gathered = self.gather(work, config, commit, false, Certain::Trial, Answers::new()).await?;
        Ok(gathered.map(|gathered| decide(&gathered.facts)).unwrap_or_default())
    }

    /// Bring the dashboard up to date, and take what is ticked there as commands.
    pub(crate) async fn show_dashboard(
        &self,
        work: &Work,
        config: &ConfigRepository,
        gathered: &Gathered,
        decisions: &[&Decision],
    ) -> Result<(), ReconcileError> {
        let settings = gathered.files.settings();
        let (Some(wanted), Some(forge), Some(view)) =
            (&settings.collaboration.dashboard, &config.forge, &gathered.situation.forge)
        else {
            return Ok(());
        };
        if work.key.branch != config.branch {
            return Ok(());
        }
        let BranchKey { tenant, repository, .. } = &work.key;
        let issue = forge.issue(DASHBOARD_MARK).await?;
        // At GitLab people may edit issues who may not write.
        if let Some(issue) = issue.as_ref().filter(|_| forge.traits().kind != ForgeKind::Gitlab) {
            for (index, (number, command)) in (0..).zip(ticked(&issue.body)) {
                self.take_box(work, (issue.number, issue.updated_at.0, index), number, command).await?;
            }
        }
        let decisions = self.newest_decisions(work, gathered, decisions).await?;
        let board = Board {
            title: &wanted.title,
            traits: &forge.traits(),
            decisions: &decisions,
            pulls: &view.pulls,
            holds: &gathered.situation.holds,
            limits: settings.collaboration.limits,
            problem: None,
        };
        let words = compose_board(&board);
        let same =
            issue.as_ref().is_some_and(|issue| issue.body.trim() == words.body.trim() && issue.title == wanted.title);
        if same {
            return Ok(());
        }
        let number = match issue {
            Some(issue) => Some(issue.number),
            None => self.opened_lately(work).await?,
        };
        let issue = forge.write_issue(number, &wanted.title, &words.body, &wanted.labels).await?;
        if number.is_none() {
            let opened = format!("{} {}", issue.number, self.now().0);
            self.ports.store.keep(tenant, repository, DASHBOARD, &opened).await?;
        }
        Ok(())
    }

    /// The number of a dashboard that was opened a moment ago, so that a listing may not show it yet.
    async fn opened_lately(&self, work: &Work) -> Result<Option<u64>, ReconcileError> {
        let BranchKey { tenant, repository, .. } = &work.key;
        let kept = self.ports.store.kept(tenant, repository, DASHBOARD).await?;
        let Some((number, at)) = kept.as_deref().and_then(|kept| kept.split_once(' ')) else { return Ok(None) };
        let (Ok(number), Ok(at)) = (number.parse(), at.parse().map(Timestamp)) else { return Ok(None) };
        Ok((self.now().since(at) < WHILE_LISTINGS_LAG).then_some(number))
    }

    /// The newest decision for each image of each environment that is still to be acted on: those of now, and of before where
    /// nothing gave a reason to look again.
    async fn newest_decisions(
        &self,
        work: &Work,
        gathered: &Gathered,
        now: &[&Decision],
    ) -> Result<Vec<Decision>, ReconcileError> {
        let settings = gathered.files.settings();
        let BranchKey { tenant, repository, .. } = work.key.clone();
        let about = DecisionsAbout::Repository { tenant, repository };
        let before = self.ports.store.decisions(&about, MOST_DECISIONS).await?;
        let mut newest: Vec<Decision> = now.iter().map(|decision| (*decision).clone()).collect();
        for decision in before.into_iter().map(|record| record.decision) {
            let is_known =
                newest.iter().any(|other| other.environment == decision.environment && other.entry == decision.entry);
            let is_configured = settings.environments.iter().any(|it| it.name == decision.environment);
            if !is_known && is_configured {
                newest.push(decision);
            }
        }
        newest.retain(|decision| {
            let version = decision.version.as_ref();
            version
                .is_none_or(|version| !runs(gathered, decision, version) && !is_unwanted(gathered, decision, version))
        });
        newest.sort_by(|a, b| (&a.environment, &a.entry).cmp(&(&b.environment, &b.entry)));
        Ok(newest)
    }

    async fn take_box(
        &self,
        work: &Work,
        (issue, at, index): (u64, i64, u64),
        number: Option<u64>,
        command: Command,
    ) -> Result<(), ReconcileError> {
        let BranchKey { tenant, repository, .. } = &work.key;
        let Ok(id) = command_id("box", &work.key, &format!("{issue}-{at}-{index}")) else { return Ok(()) };
        let record = CommandRecord {
            id,
            tenant: tenant.clone(),
            repository: repository.clone(),
            command,
            by: whoever_may_write(),
            origin: CommandOrigin::Box { number: number.unwrap_or(issue) },
            given_at: self.now(),
            answer: None,
        };
        self.ports.store.take_command(&record, self.now()).await?;
        Ok(())
    }
}

/// Whether people refused or skipped the version: that stands in its own place.
fn is_unwanted(gathered: &Gathered, decision: &Decision, version: &Version) -> bool {
    let against = |hold: &&Hold| match &hold.wish {
        Wish::Skip { version: other } | Wish::Refuse { version: other, .. } => other == version,
        _ => false,
    };
    let holds = gathered.situation.holds.iter().filter(against);
    holds.into_iter().any(|hold| hold.concerns(&decision.environment, &decision.entry))
}

/// Whether an environment runs the version that was decided on.
fn runs(gathered: &Gathered, decision: &Decision, version: &Version) -> bool {
    let ran = gathered.situation.ran_in(&decision.environment, &decision.entry);
    let here = gathered.running.iter().find(|running| running.is(&decision.environment, &decision.entry));
    match here {
        Some(running) => running.values.len() == 1 && running.carries(version),
        None => ran.last().is_some_and(|ran| ran.version == *version),
    }
}

fn configuration_report(problem: Option<&Problem>) -> Report {
    let (state, title) = match problem {
        None => (CheckState::Success, "The repository file is well".to_owned()),
        Some(problem) => (CheckState::Failure, tagboat_model::shown(&problem.message)),
    };
    let annotation = |problem: &Problem| {
        let (line, _) = problem.place?;
        Some(Annotation { path: problem.source.clone(), line, message: problem.message.clone() })
    };
    Report {
        name: CHECK.to_owned(),
        state,
        title,
        summary: problem.map(|problem| problem_report(&problem.to_string())).unwrap_or_default(),
        annotations: problem.and_then(annotation).into_iter().collect(),
    }
}
