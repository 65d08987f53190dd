//! A forge in memory: pull requests, holds, and what steps do to them.

use std::collections::BTreeSet;

use tagboat_model::{
    Account, BranchName, Check, CheckState, Decision, ForgeKind, ForgeTraits, Gate, GateName, GateState, Hold, Outcome,
    PullRequest, PullState, Reason, Review, ReviewState, Stage, Timestamp, Version, Wish,
};
use tagboat_promotion::{
    Bot, CommitPlan, Delivery, Environment, FileChange, Gates, Grouping, Limits, PullRequestRules, Seal,
    pull::{Block, KnownPull, Lane, LaneChange, PullFacts, PullPlan, PullStep, Story, plan},
};

pub(crate) fn bot() -> Bot {
    let account = Account { id: 1, login: "tagboat[bot]".to_owned(), is_bot: true };
    Bot { account, seal: Seal::of(b"secret", "acme/config") }
}

pub(crate) fn alice() -> Account {
    Account { id: 2, login: "alice".to_owned(), is_bot: false }
}

pub(crate) fn version(tag: &str) -> Version {
    let digit = char::from(b'a' + u8::try_from(tag.len() % 6).unwrap());
    let hex: String = tag.bytes().map(|byte| format!("{byte:02x}")).collect();
    let hex: String = hex.chars().chain(std::iter::repeat(digit)).take(64).collect();
    Version { tag: tag.parse().unwrap(), digest: format!("sha256:{hex}").parse().unwrap() }
}

pub(crate) fn decision(entry: &str, tag: &str) -> Decision {
    Decision {
        environment: "prod".parse().unwrap(),
        entry: entry.parse().unwrap(),
        image: format!("ghcr.io/acme/{entry}").parse().unwrap(),
        current: vec!["1.0.0".to_owned()],
        outcome: Outcome::Update,
        version: Some(version(tag)),
        reasons: vec![Reason::Selected { tag: tag.parse().unwrap(), policy: "semver *".to_owned() }],
        gates: Vec::new(),
    }
}

pub(crate) fn nothing(entry: &str) -> Decision {
    let reasons = vec![Reason::AlreadyThere { version: "1.5.0".to_owned() }];
    Decision { outcome: Outcome::Nothing, reasons, ..decision(entry, "1.5.0") }
}

pub(crate) fn gate(name: GateName, state: GateState, holds: Stage) -> Gate {
    Gate { name, state, holds, text: format!("{state}: as it is"), until: None }
}

pub(crate) fn environment() -> Environment {
    Environment {
        name: "prod".parse().unwrap(),
        branch: None,
        paths: Vec::new(),
        exclude: Vec::new(),
        deliver: Delivery::PullRequest,
        promote_from: None,
        gates: Gates::default(),
        group: Grouping::All,
        pull_request: PullRequestRules::default(),
        overrides: std::collections::BTreeMap::new(),
    }
}

/// A group with what is decided for it; `files` is what stands around the edited values on the branch.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) environment: Environment,
    pub(crate) group: String,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) files: String,
    /// The id of what is decided, which follows from the head of the branch.
    pub(crate) decision: String,
}

pub(crate) fn want(decisions: &[Decision]) -> Want {
    let group = decisions.first().map_or("web".to_owned(), |decision| decision.entry.to_string());
    Want {
        environment: environment(),
        group,
        decisions: decisions.to_vec(),
        files: "base".to_owned(),
        decision: "d-0011223344556677".to_owned(),
    }
}

pub(crate) struct World {
    pub(crate) pulls: Vec<KnownPull>,
    pub(crate) holds: Vec<Hold>,
    pub(crate) known_holds: BTreeSet<String>,
    pub(crate) said: BTreeSet<(u64, String)>,
    pub(crate) limits: Limits,
    pub(crate) rebuild: Vec<u64>,
    pub(crate) merge: Vec<(u64, tagboat_model::CommitId)>,
    pub(crate) now: Timestamp,
    pub(crate) base: BranchName,
    pub(crate) drafts: bool,
    commits: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            pulls: Vec::new(),
            holds: Vec::new(),
            known_holds: BTreeSet::new(),
            said: BTreeSet::new(),
            limits: Limits::default(),
            rebuild: Vec::new(),
            merge: Vec::new(),
            now: "2026-11-26T09:00:00Z".parse().unwrap(),
            base: BranchName::main(),
            drafts: true,
            commits: 0,
        }
    }

    pub(crate) fn plan(&self, wants: &[Want]) -> PullPlan {
        let decided: Vec<Vec<Decision>> = wants.iter().map(|want| self.decide(want)).collect();
        let lanes = wants.iter().zip(&decided).map(|(want, decisions)| self.lane(want, decisions)).collect();
        let traits = ForgeTraits {
            kind: ForgeKind::Github,
            web: "https://forge.example/acme/config".to_owned(),
            drafts: self.drafts,
            sigil: '#',
        };
        plan(&PullFacts {
            now: self.now,
            traits: &traits,
            bot: &bot(),
            base: &self.base,
            lanes,
            pulls: &self.pulls,
            holds: &self.holds,
            limits: self.limits,
            rebuild: &self.rebuild,
            merge: &self.merge,
        })
    }

    /// As the engine would decide it: a refused version is held.
    fn decide(&self, want: &Want) -> Vec<Decision> {
        let held = |decision: &Decision| {
            let refuses = |hold: &&Hold| {
                hold.entry.as_ref() == Some(&decision.entry) && hold.wish.version() == decision.version.as_ref()
            };
            match self.holds.iter().find(refuses) {
                Some(hold) => Decision {
                    outcome: Outcome::Waiting,
                    reasons: vec![Reason::Held { hold: Box::new(hold.clone()) }],
                    ..decision.clone()
                },
                None => decision.clone(),
            }
        };
        want.decisions.iter().map(held).collect()
    }

    fn lane<'l>(&self, want: &'l Want, decisions: &'l [Decision]) -> Lane<'l> {
        let is_held = |decision: &Decision| matches!(decision.reasons.first(), Some(Reason::Held { .. }));
        let is_offered = |decision: &&Decision| match decision.outcome {
            Outcome::Update => true,
            Outcome::Waiting => want.environment.pull_request.draft && self.drafts && !is_held(decision),
            Outcome::Offered | Outcome::Nothing | Outcome::Blocked => false,
        };
        let change = |decision: &'l Decision| LaneChange {
            decision,
            version: decision.version.as_ref().unwrap(),
            references: Vec::new(),
            story: Story::default(),
        };
        let changes: Vec<LaneChange<'l>> = decisions.iter().filter(is_offered).map(change).collect();
        let text: Vec<String> = changes.iter().map(|change| change.version.to_string()).collect();
        let commit = (!changes.is_empty()).then(|| CommitPlan {
            decisions: changes.iter().map(|_| want.decision.parse().unwrap()).collect(),
            message: format!("Update {}", text.join(", ")),
            files: vec![FileChange {
                path: "apps/prod/web.yaml".to_owned(),
                bytes: format!("{} {}", want.files, text.join(" ")).into_bytes(),
            }],
        });
        Lane {
            environment: &want.environment,
            group: want.group.parse().unwrap(),
            base: self.base.clone(),
            decisions: decisions.iter().collect(),
            changes,
            commit,
        }
    }

    /// Plan and act until nothing is left; what was done, in words.
    pub(crate) fn settle(&mut self, wants: &[Want]) -> Vec<String> {
        let mut done = Vec::new();
        for round in 0..6 {
            let steps = self.plan(wants).steps;
            let is_new = |step: &&PullStep| match step {
                PullStep::Comment { number, mark, .. } => !self.said.contains(&(*number, mark.clone())),
                _ => true,
            };
            let steps: Vec<PullStep> = steps.iter().filter(is_new).cloned().collect();
            if steps.is_empty() {
                return done;
            }
            // What is asked of a new head is asked once it is there; what was refused is decided anew.
            let is_late = |step: &PullStep| {
                matches!(step, PullStep::Status { .. } | PullStep::AutoMerge { .. } | PullStep::Merge { .. })
            };
            let began = done.iter().any(|step: &String| step.starts_with("refuse") || step.starts_with("permit"));
            assert!(round == 0 || began || steps.iter().all(is_late), "round {round}, after {done:?}: {steps:?}");
            for step in &steps {
                done.push(words(step));
                self.act(step);
            }
            self.rebuild.clear();
            self.merge.clear();
        }
        panic!("it does not come to rest: {done:?}");
    }

    pub(crate) fn act(&mut self, step: &PullStep) {
        let new_commit = self.commit();
        match step {
            PullStep::Open { .. } => self.open(step, new_commit),
            PullStep::Rebuild { number, old, .. } => {
                let known = self.get(*number);
                assert_eq!(known.pull.head_commit, *old);
                known.pull.head_commit = new_commit;
                known.foreign = false;
                known.own_content = None;
                known.checks.clear();
            }
            PullStep::Edit { number, title, body, draft } => {
                let pull = &mut self.get(*number).pull;
                pull.title = title.clone().unwrap_or_else(|| pull.title.clone());
                // As GitHub gives it back.
                pull.body = body.clone().map_or_else(|| pull.body.clone(), |body| body.replace('\n', "\r\n"));
                pull.draft = draft.unwrap_or(pull.draft);
            }
            PullStep::Comment { number, mark, body } => {
                assert!(!body.is_empty());
                self.said.insert((*number, mark.clone()));
            }
            PullStep::Close { number, title, body, .. } => {
                let pull = &mut self.get(*number).pull;
                (pull.title, pull.body, pull.state) = (title.clone(), body.clone(), PullState::Closed);
            }
            PullStep::DeleteBranch { .. } => {}
            PullStep::Refuse { holds } => {
                for hold in holds {
                    if self.known_holds.insert(hold.id.to_string()) {
                        self.holds.push(hold.clone());
                    }
                }
            }
            PullStep::Permit { ids, .. } => self.holds.retain(|hold| !ids.contains(&hold.id)),
            PullStep::Status { commit, status } => {
                let known = self.pulls.iter_mut().find(|known| known.pull.head_commit == *commit).unwrap();
                known.checks.retain(|check| check.name != status.name);
                known.checks.push(status.clone());
            }
            PullStep::AutoMerge { number, wanted, .. } => self.get(*number).pull.merging = *wanted,
            PullStep::Merge { number, head, .. } => {
                let pull = &mut self.get(*number).pull;
                assert_eq!(pull.head_commit, *head);
                pull.state = PullState::Merged;
            }
        }
    }

    fn open(&mut self, step: &PullStep, new_commit: tagboat_model::CommitId) {
        let PullStep::Open { head, title, body, draft, decoration, .. } = step else { return };
        let number = u64::try_from(self.pulls.len()).unwrap() + 1;
        let is_open = |known: &KnownPull| known.pull.head == *head && known.pull.state == PullState::Open;
        assert!(!self.pulls.iter().any(is_open), "a second open pull request of {head}");
        let pull = PullRequest {
            number,
            url: format!("https://forge.example/acme/config/pull/{number}"),
            author: bot().account,
            head: head.clone(),
            head_commit: new_commit,
            base: self.base.clone(),
            state: PullState::Open,
            draft: *draft,
            title: title.clone(),
            body: body.clone(),
            labels: decoration.labels.clone(),
            merging: false,
            created_at: self.now,
            updated_at: self.now,
        };
        self.pulls.push(KnownPull { pull, foreign: false, own_content: None, reviews: Vec::new(), checks: Vec::new() });
    }

    fn commit(&mut self) -> tagboat_model::CommitId {
        self.commits += 1;
        format!("{:040x}", self.commits).parse().unwrap()
    }

    pub(crate) fn get(&mut self, number: u64) -> &mut KnownPull {
        self.pulls.iter_mut().find(|known| known.pull.number == number).unwrap()
    }

    pub(crate) fn block(&mut self, number: u64) -> Block {
        Block::read(&self.get(number).pull, &bot()).unwrap()
    }

    /// A person commits on the branch.
    pub(crate) fn push(&mut self, number: u64) {
        let commit = self.commit();
        let known = self.get(number);
        known.pull.head_commit = commit;
        known.foreign = true;
    }

    pub(crate) fn review(&mut self, number: u64, state: ReviewState) {
        let known = self.get(number);
        let commit = Some(known.pull.head_commit.clone());
        known.reviews.push(Review { by: alice(), state, commit });
    }

    pub(crate) fn check(&mut self, number: u64, name: &str, state: CheckState) {
        let known = self.get(number);
        known.checks.retain(|check| check.name != name);
        known.checks.push(Check { name: name.to_owned(), state, text: String::new(), url: None });
    }

    pub(crate) fn tick(&mut self, number: u64) {
        let pull = &mut self.get(number).pull;
        assert!(pull.body.contains("[ ]"), "{}", pull.body);
        pull.body = pull.body.replace("[ ]", "[x]");
    }

    pub(crate) fn set(&mut self, number: u64, state: PullState) {
        self.get(number).pull.state = state;
    }

    pub(crate) fn refused(&self) -> Vec<String> {
        let is_refusal = |hold: &&Hold| matches!(hold.wish, Wish::Refuse { .. });
        let tag = |hold: &Hold| hold.wish.version().map(|version| version.tag.to_string()).unwrap_or_default();
        self.holds.iter().filter(is_refusal).map(tag).collect()
    }
}

pub(crate) fn words(step: &PullStep) -> String {
    match step {
        PullStep::Open { head, draft: false, .. } => format!("open {head}"),
        PullStep::Open { head, .. } => format!("open {head} as a draft"),
        PullStep::Rebuild { number, .. } => format!("rebuild #{number}"),
        PullStep::Edit { number, draft: Some(false), .. } => format!("make #{number} ready"),
        PullStep::Edit { number, draft: Some(true), .. } => format!("make #{number} a draft"),
        PullStep::Edit { number, title: Some(_), .. } => format!("retitle #{number}"),
        PullStep::Edit { number, .. } => format!("edit #{number}"),
        PullStep::Comment { number, mark, .. } => format!("say {mark} on #{number}"),
        PullStep::Close { number, .. } => format!("close #{number}"),
        PullStep::DeleteBranch { head, .. } => format!("delete {head}"),
        PullStep::Refuse { holds } => format!("refuse {}", holds.len()),
        PullStep::Permit { ids, .. } => format!("permit {}", ids.len()),
        PullStep::Status { status, .. } => format!("status {:?}", status.state).to_lowercase(),
        PullStep::AutoMerge { number, wanted: true, .. } => format!("auto-merge #{number}"),
        PullStep::AutoMerge { number, .. } => format!("no auto-merge of #{number}"),
        PullStep::Merge { number, .. } => format!("merge #{number}"),
    }
}
