//! The world of a set-up: accounts, installations and repositories with their first commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::json;

use super::{
    render,
    setup::{RepositorySetup, Setup},
    state::{Account, BOT, Installation, Repository, State},
    store::{self, Change},
    switches::Switches,
};

/// What the App asks for.
const PERMISSIONS: [(&str, &str); 7] = [
    ("checks", "write"),
    ("contents", "write"),
    ("issues", "write"),
    ("members", "read"),
    ("metadata", "read"),
    ("pull_requests", "write"),
    ("statuses", "write"),
];

/// Build it.
pub(super) fn build(setup: &Setup, base: &str) -> State {
    let mut state = State {
        folder: tempfile::tempdir().unwrap(),
        base: base.to_owned(),
        accounts: Vec::new(),
        teams: setup.teams.iter().cloned().collect::<BTreeSet<_>>(),
        installations: Vec::new(),
        repositories: Vec::new(),
        tokens: Vec::new(),
        webhook: setup.webhook.clone(),
        deliveries: Vec::new(),
        outbox: Vec::new(),
        manifests: BTreeMap::new(),
        switches: Switches::default(),
        requests: Vec::new(),
        failures: Vec::new(),
        ahead: Duration::ZERO,
        last_id: 1000,
    };
    let usual = PERMISSIONS.map(|(name, level)| (name.to_owned(), level.to_owned())).into_iter().collect();
    let permissions = setup.permissions.clone().unwrap_or(usual);
    add_account(&mut state, BOT, "Bot");
    for organization in &setup.organizations {
        add_account(&mut state, organization, "Organization");
        let id = state.id();
        let (account, permissions) = (organization.clone(), permissions.clone());
        state.installations.push(Installation { id, account, permissions, suspended: false });
    }
    for person in &setup.people {
        add_account(&mut state, person, "User");
    }
    for repository in &setup.repositories {
        add_repository(&mut state, repository);
    }
    state
}

fn add_account(state: &mut State, login: &str, kind: &'static str) {
    let id = state.id();
    state.accounts.push(Account { id, login: login.to_owned(), kind });
}

fn add_repository(state: &mut State, setup: &RepositorySetup) {
    let folder = state.folder.path().join(&setup.owner).join(format!("{}.git", setup.name));
    store::create(&folder, &setup.default_branch);
    let contents: Vec<&[u8]> = setup.files.iter().map(|(_, text)| text.as_bytes()).collect();
    let blobs = setup.files.iter().zip(store::blobs(&folder, &contents));
    let changes: Vec<Change> =
        blobs.map(|((path, _), id)| Change { path: path.clone(), entry: Some(("100644".to_owned(), id)) }).collect();
    let tree = store::tree(&folder, None, &changes).unwrap();
    let author = ("Person", "person@example.org");
    let commit = store::commit_tree(&folder, &tree, &[], "Start", author).unwrap();
    store::update(&folder, &format!("refs/heads/{}", setup.default_branch), &commit, None).unwrap();
    let closed = setup.protections.iter().filter(|(_, protection)| protection.refuses_pushes);
    store::protect(&folder, &closed.map(|(branch, _)| format!("refs/heads/{branch}")).collect::<Vec<_>>());
    for login in setup.people.keys() {
        if state.account(login).is_none() {
            add_account(state, login, "User");
        }
    }
    let milestones = setup.milestones.iter().map(|title| (title.clone(), state.id())).collect();
    state.repositories.push(Repository {
        id: state.last_id + 1,
        owner: setup.owner.clone(),
        name: setup.name.clone(),
        references: store::references(&folder),
        folder,
        default_branch: setup.default_branch.clone(),
        protections: setup.protections.clone(),
        merge_queue: setup.merge_queue,
        allow_auto_merge: setup.allow_auto_merge,
        delete_branch_on_merge: setup.delete_branch_on_merge,
        allow_drafts: setup.allow_drafts,
        people: setup.people.clone(),
        issues: Vec::new(),
        statuses: Vec::new(),
        check_runs: Vec::new(),
        labels: BTreeMap::new(),
        milestones,
    });
    state.last_id += 1;
}

impl State {
    /// The place of `owner/name`.
    ///
    /// # Panics
    /// When there is no such repository.
    pub(super) fn place_of(&self, full_name: &str) -> usize {
        let (owner, name) = full_name.split_once('/').unwrap_or_default();
        self.place(owner, name).unwrap_or_else(|| panic!("no repository {full_name}"))
    }

    /// Tell the App about itself on an account.
    pub(super) fn emit_installation(&mut self, id: u64, action: &str) {
        let Some(installation) = self.installations.iter().find(|known| known.id == id) else { return };
        let own = self.repositories.iter().filter(|repository| repository.owner == installation.account);
        let repositories: Vec<serde_json::Value> = own
            .map(|repository| {
                json!({
                    "id": repository.id, "node_id": format!("R_{}", repository.id), "name": repository.name,
                    "full_name": repository.full_name(), "private": true,
                })
            })
            .collect();
        let owner = installation.account.clone();
        let values = json!({
            "action": action, "installation": render::installation(self, installation),
            "repositories": repositories, "requester": null, "sender": render::account(self, &owner),
        });
        self.deliver("installation", &format!("installation-{action}"), values, Some(id), None);
    }
}
