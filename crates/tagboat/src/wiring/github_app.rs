//! The GitHub App: the config repositories that it is installed on come and go while the server runs.
//!
//! Level-triggered: installations are listed at the start, when GitHub says that they changed, and now and then. What
//! GitHub could not deliver is asked for again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, RwLock},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use tagboat_engine::{ConfigRepository, Engine, WithoutFile, chain};
use tagboat_forge::{
    TransportSettings,
    github::{AppIdentity, AppSettings, FoundRepository, GithubApp, GithubCommits, GithubForge, Installation},
};
use tagboat_model::{BranchKey, BranchName, RepositoryName, TenantName};
use tagboat_ports::{Clock as _, Forge, ForgeError, Repository, Store};
use tagboat_promotion::Seal;
use tagboat_repository::{
    Access, Address, CommitSettings, GitRepository, GitSettings, HttpSettings, Identity, Password, PushWith,
};
use tagboat_server::{ConfigRepositoryAddress, Metrics, Repositories, normalised};
use tagboat_settings::{CommitThrough, ConfigRepositoryFile, GithubAppFile, ServerFile};
use tokio::{runtime::Handle, sync::Notify};

use crate::{exit::Failure, secrets, system::SystemClock, wiring::metered};

/// Installations are listed this often without a word from GitHub, and lost deliveries asked for.
const BETWEEN_LOOKS: Duration = Duration::from_secs(300);
/// What is kept of how far lost deliveries were asked for.
/// What is kept of the account that a tenant is.
const ACCOUNT: &str = "account";
const SWEPT_UP_TO: &str = "app-deliveries-swept";

type Name = (TenantName, RepositoryName);

/// What watches over the App.
pub(crate) struct AppWatch {
    app: Arc<GithubApp>,
    settings: GithubAppFile,
    listed: Vec<ConfigRepositoryFile>,
    /// What the server file serves otherwise: nobody who installs the App takes its place.
    taken: BTreeSet<Name>,
    /// By which what is written to repositories is known again.
    secret: SecretString,
    mirrors: PathBuf,
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
    repositories: Arc<Repositories>,
    bots: Arc<RwLock<BTreeSet<String>>>,
    changed: Arc<Notify>,
    metrics: Arc<Metrics>,
    /// What is served because of it.
    served: BTreeMap<Name, FoundRepository>,
}

/// Everything that a watch acts on.
pub(crate) struct Watched {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) repositories: Arc<Repositories>,
    pub(crate) bots: Arc<RwLock<BTreeSet<String>>>,
    pub(crate) changed: Arc<Notify>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The App with its key.
pub(crate) struct App {
    app: Arc<GithubApp>,
    secret: SecretString,
}

/// The App of a server file, its key read.
pub(crate) fn of_server(file: &ServerFile) -> Result<Option<App>, Failure> {
    let Some(settings) = &file.github_app else { return Ok(None) };
    let source = settings.private_key().ok_or_else(|| {
        Failure::invalid("githubApp: say where the private key is, with `privateKeyFile` or `privateKeyEnv`".to_owned())
    })?;
    let secret = secrets::read_key("githubApp", &source)?;
    let app = AppSettings {
        app_id: settings.app_id,
        private_key: secret.clone(),
        url: settings.address().to_owned(),
        transport: TransportSettings::default(),
    };
    let app = GithubApp::new(&app, Arc::new(SystemClock));
    app.map(|app| Some(App { app: Arc::new(app), secret })).map_err(|error| Failure::failed("githubApp", &error))
}

/// Whether a config repository of the server file is reached through the App.
pub(crate) fn is_through_app(file: &ServerFile, repository: &ConfigRepositoryFile) -> bool {
    let is_github = |forge: &tagboat_settings::ForgeFile| {
        forge.kind == tagboat_settings::ForgeFileKind::Github && forge.token().is_none()
    };
    file.github_app.is_some() && repository.forge.as_ref().is_some_and(is_github)
}

impl AppWatch {
    pub(crate) fn new(App { app, secret }: App, file: &ServerFile, watched: Watched) -> Option<Self> {
        let Watched { engine, store, repositories, bots, changed, metrics } = watched;
        Some(Self {
            app,
            settings: file.github_app.clone()?,
            listed: file.repositories.iter().filter(|it| is_through_app(file, it)).cloned().collect(),
            taken: file
                .repositories
                .iter()
                .filter(|it| !is_through_app(file, it))
                .map(|it| (it.tenant.clone(), it.name.clone()))
                .collect(),
            secret,
            mirrors: file.data_directory.join("mirrors"),
            engine,
            store,
            repositories,
            bots,
            changed,
            metrics,
            served: BTreeMap::new(),
        })
    }

    /// Watch until the future is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            // A notice that comes meanwhile is kept.
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(BETWEEN_LOOKS) => {}
            }
            self.look().await;
        }
    }

    /// List installations, serve what is new, let go of what is gone, and ask for lost deliveries.
    pub(crate) async fn look(&mut self) {
        if let Err(error) = self.serve_installed().await {
            tracing::warn!(error = %chain(&error), "the installations of the GitHub App could not be listed; what is served stays");
        }
        if let Err(error) = self.sweep().await {
            tracing::warn!(error = %chain(error.as_ref()), "lost deliveries of the GitHub App could not be asked for");
        }
    }

    async fn serve_installed(&mut self) -> Result<(), ForgeError> {
        let identity = self.app.app().await?;
        self.bots.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(identity.bot.login.clone());
        let mut found: BTreeMap<Name, FoundRepository> = BTreeMap::new();
        for installation in self.app.installations().await? {
            if installation.suspended {
                continue;
            }
            if !self.is_who_it_was(&installation).await {
                continue;
            }
            let repositories = self.app.repositories(installation.id).await?;
            let named = repositories.into_iter().filter(|it| !it.archived);
            found.extend(named.filter_map(|repository| Some((self.name_of(&repository)?, repository))));
        }
        let gone: Vec<Name> = self.served.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
        for name in gone {
            tracing::info!(tenant = %name.0, repository = %name.1, "the GitHub App is no longer installed there");
            self.engine.remove_repository(&name.0, &name.1);
            self.repositories.remove(&name.0, &name.1);
            self.served.remove(&name);
        }
        for (name, repository) in found {
            if self.served.get(&name) == Some(&repository) {
                continue;
            }
            if self.taken.contains(&name) {
                tracing::warn!(tenant = %name.0, repository = %name.1, "the server file has a config repository of this name already; that of the GitHub App is not served");
                continue;
            }
            match self.serve(&name, &repository, &identity).await {
                Ok(()) => {
                    tracing::info!(tenant = %name.0, repository = %name.1, "the GitHub App is installed there");
                    self.served.insert(name, repository);
                }
                Err(failure) => tracing::warn!(repository = %name.1, error = %failure.message, "cannot be served"),
            }
        }
        Ok(())
    }

    /// Whether the account of an installation is the one that had its name before. A name that was given up may be anybody's
    /// now, and what is kept under it is not theirs.
    async fn is_who_it_was(&self, installation: &Installation) -> bool {
        let Ok(tenant) = installation.account.to_ascii_lowercase().parse::<TenantName>() else { return true };
        let Ok(name) = "github-app".parse::<RepositoryName>() else { return true };
        if self.settings.tenant.is_some() {
            return true;
        }
        let id = installation.account_id.to_string();
        let known = match self.store.kept(&tenant, &name, ACCOUNT).await {
            Ok(None) => self.store.keep(&tenant, &name, ACCOUNT, &id).await.map(|()| true),
            Ok(Some(known)) => Ok(known == id),
            Err(error) => Err(error),
        };
        let is = known.unwrap_or(false);
        if !is {
            tracing::warn!(account = %installation.account, "another account has this name now, or the database did not answer; it is not served");
        }
        is
    }

    /// How a repository is called: as in the server file where it is there, else as at GitHub.
    fn name_of(&self, found: &FoundRepository) -> Option<Name> {
        if let Some(listed) = self.listed.iter().find(|listed| normalised(&listed.url) == normalised(&found.clone_url))
        {
            return Some((listed.tenant.clone(), listed.name.clone()));
        }
        let (tenant, name) = match &self.settings.tenant {
            Some(tenant) => (tenant.clone(), format!("{}.{}", found.owner, found.name)),
            None => (found.owner.to_ascii_lowercase().parse().ok()?, found.name.clone()),
        };
        match name.parse() {
            Ok(name) => Some((tenant, name)),
            Err(error) => {
                tracing::warn!(repository = %found.full_name, %error, "cannot be served under its name");
                None
            }
        }
    }

    async fn serve(&self, name: &Name, found: &FoundRepository, identity: &AppIdentity) -> Result<(), Failure> {
        let listed = self.listed.iter().find(|listed| (&listed.tenant, &listed.name) == (&name.0, &name.1));
        let branch: BranchName = match listed {
            Some(listed) => listed.branch.clone(),
            None => found
                .default_branch
                .parse()
                .map_err(|error: tagboat_model::NameError| Failure::invalid(format!("{}: {error}", found.full_name)))?,
        };
        let bot = Identity {
            name: identity.bot.login.clone(),
            email: format!("{}+{}@users.noreply.github.com", identity.bot.id, identity.bot.login),
        };
        let committer = format!("{} <{}>", bot.name, bot.email);
        let mirror = GitRepository::new(self.git_settings(name, found, bot)).map_err(|error| {
            Failure::failed(&format!("config repository `{}`: connections cannot be set up", name.1), &error)
        })?;
        let mirror: Arc<dyn Repository> = Arc::new(mirror);
        let forge = Arc::new(GithubForge::new(&self.app, found));
        let port: Arc<dyn Repository> = match self.settings.commit_through {
            CommitThrough::Api => Arc::new(GithubCommits::new(name.1.as_str(), mirror, Arc::clone(&forge))),
            CommitThrough::Git => mirror,
        };
        let without_file = match self.settings.onboarding {
            true => WithoutFile::IsProposed,
            false => WithoutFile::IsLeft,
        };
        let forge: Arc<dyn Forge> = metered::forge(forge, &self.metrics);
        let config = ConfigRepository {
            forge: Some(forge),
            without_file,
            seal: Seal::of(self.secret.expose_secret().as_bytes(), &found.full_name),
            ..ConfigRepository::new(port, branch.clone(), committer)
        };
        self.engine.put_repository(name.0.clone(), name.1.clone(), config);
        let (tenant, repository) = name.clone();
        let address = found.clone_url.clone();
        self.repositories.put(ConfigRepositoryAddress { tenant: tenant.clone(), name: repository.clone(), address });
        let key = BranchKey { tenant, repository, branch };
        let known = self.store.know_branches(&[key], SystemClock.now()).await;
        known.map_err(|error| Failure::failed("the database cannot be written", &error))
    }

    fn git_settings(&self, name: &Name, found: &FoundRepository, bot: Identity) -> GitSettings {
        let (app, repository) = (Arc::clone(&self.app), found.clone());
        let password = Password::from_source(self.app.git_password(found, Handle::current()))
            .forgotten_by(move |refused| app.forget_token(&repository, refused));
        GitSettings {
            name: name.1.to_string(),
            address: Address {
                url: found.clone_url.clone(),
                access: Access::Basic {
                    username: "x-access-token".to_owned(),
                    password,
                    insecure: self.settings.insecure,
                },
                transport: HttpSettings::default(),
            },
            commits: CommitSettings { author: bot.clone(), committer: bot, signing: None },
            push_with: PushWith::BuiltIn,
            mirror: self.mirrors.join(name.0.as_str()).join(format!("{}.git", name.1)),
        }
    }

    /// GitHub never delivers again by itself what it could not deliver.
    async fn sweep(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let name: (TenantName, RepositoryName) = (TenantName::default(), "github-app".parse()?);
        let kept = self.store.kept(&name.0, &name.1, SWEPT_UP_TO).await?;
        let since = kept.and_then(|kept| kept.parse().ok());
        let swept = self.app.sweep_deliveries(since).await?;
        if swept.asked_again > 0 {
            tracing::info!(
                failed = swept.failed,
                asked_again = swept.asked_again,
                "GitHub is asked to deliver again what was lost"
            );
        }
        if let Some(last) = swept.last.filter(|last| Some(*last) != since) {
            self.store.keep(&name.0, &name.1, SWEPT_UP_TO, &last.to_string()).await?;
        }
        Ok(())
    }
}
