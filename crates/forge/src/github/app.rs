//! A GitHub App: where it is installed, which repositories it sees, and what opens them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::SecretString;
use serde::Deserialize;
use tagboat_model::Account;
use tagboat_ports::{Clock, ForgeError};
use tokio::{runtime::Handle, sync::OnceCell};

use super::{
    client::{Client, Fixed},
    connection::Connection,
    limits::Limits,
    token::{AppKey, OfInstallation, Scope, Tokens, user_path},
    wire::User,
};
use crate::{TransportSettings, error::Failure};

/// Everything that a [`GithubApp`] is made of.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// Its numeric id.
    pub app_id: u64,
    /// Its private key as PEM, as GitHub gave it out.
    pub private_key: SecretString,
    /// The address of GitHub for people: `https://github.com`, or that of an Enterprise server.
    pub url: String,
    /// How it is reached.
    pub transport: TransportSettings,
}

/// An App on an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Its id.
    pub id: u64,
    /// The account's name.
    pub account: String,
    /// The account's number.
    pub account_id: u64,
    /// Whether somebody put it to sleep.
    pub suspended: bool,
}

/// A repository that an installation sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRepository {
    /// Through which installation.
    pub installation: u64,
    /// Its number, which stays when it is renamed.
    pub id: u64,
    /// Its owner.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// `owner/name`.
    pub full_name: String,
    /// The branch that people see first.
    pub default_branch: String,
    /// Where it is cloned from over https.
    pub clone_url: String,
    /// Whether nobody can write to it any more.
    pub archived: bool,
    /// Whether not everybody sees it.
    pub private: bool,
}

/// What the App is at GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppIdentity {
    /// Its number.
    pub id: u64,
    /// Its name in addresses.
    pub slug: String,
    /// The account under which it acts, `slug[bot]`, with the number that commits and comments carry.
    pub bot: Account,
}

/// A GitHub App.
pub struct GithubApp {
    pub(crate) connection: Arc<Connection>,
    /// Asks as the App.
    pub(crate) app: Arc<Client>,
    tokens: Arc<Tokens>,
    /// Shared by all repositories of an installation.
    limits: Mutex<BTreeMap<u64, Arc<Mutex<Limits>>>>,
    clock: Arc<dyn Clock>,
    identity: OnceCell<AppIdentity>,
}

impl fmt::Debug for GithubApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubApp").field("url", &self.connection.address.web).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct App {
    id: u64,
    slug: String,
}

#[derive(Deserialize)]
struct WireInstallation {
    id: u64,
    account: Option<AccountOfInstallation>,
    suspended_at: Option<String>,
}

/// An enterprise has a slug instead of a login.
#[derive(Deserialize)]
struct AccountOfInstallation {
    id: u64,
    login: Option<String>,
    slug: Option<String>,
}

#[derive(Deserialize)]
struct WireRepository {
    id: u64,
    name: String,
    full_name: String,
    owner: User,
    default_branch: String,
    clone_url: String,
    #[serde(default)]
    archived: bool,
    private: bool,
}

const WHOSE: &str = "the GitHub App";

impl GithubApp {
    /// An App. Nothing is asked yet.
    ///
    /// # Errors
    /// [`ForgeError`] when the address, the key, a certificate or the proxy cannot be used.
    pub fn new(settings: &AppSettings, clock: Arc<dyn Clock>) -> Result<Self, ForgeError> {
        Self::build(settings, clock).map_err(|failure| failure.about("set up", WHOSE))
    }

    fn build(settings: &AppSettings, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let connection = Connection::new(&settings.url, &settings.transport)?;
        let key = AppKey::new(settings.app_id, &settings.private_key, Arc::clone(&clock))?;
        let limits = Arc::new(Mutex::new(Limits::default()));
        let app = Arc::new(Client::new(Arc::clone(&connection), Arc::new(key), limits, Arc::clone(&clock)));
        Ok(Self {
            connection,
            tokens: Arc::new(Tokens::new(Arc::clone(&app))),
            app,
            limits: Mutex::new(BTreeMap::new()),
            clock,
            identity: OnceCell::new(),
        })
    }

    /// A client that asks with a token of this scope.
    pub(crate) fn client(&self, scope: Scope) -> Client {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = Arc::clone(limits.entry(scope.installation).or_default());
        let bearer = Arc::new(OfInstallation { tokens: Arc::clone(&self.tokens), scope });
        Client::new(Arc::clone(&self.connection), bearer, limits, Arc::clone(&self.clock))
    }

    /// Where the App is installed.
    ///
    /// # Errors
    /// [`ForgeError`] when GitHub cannot be asked or does not know the App.
    pub async fn installations(&self) -> Result<Vec<Installation>, ForgeError> {
        let found = self.app.list::<WireInstallation>("/app/installations", None).await;
        let found = found.map_err(|failure| failure.about("list the installations of", WHOSE))?;
        let known = found.into_iter().filter_map(|found| {
            let account = found.account?;
            Some(Installation {
                id: found.id,
                account: account.login.or(account.slug)?,
                account_id: account.id,
                suspended: found.suspended_at.is_some(),
            })
        });
        Ok(known.collect())
    }

    /// The repositories that an installation sees.
    ///
    /// # Errors
    /// [`ForgeError`] when GitHub cannot be asked, or the installation is gone or suspended.
    pub async fn repositories(&self, installation: u64) -> Result<Vec<FoundRepository>, ForgeError> {
        let client = self.client(Scope { installation, repository: None, reads_only: true });
        let found = client.list::<WireRepository>("/installation/repositories", Some("repositories")).await;
        let found = found.map_err(|failure| {
            failure.about("list the repositories of", &format!("installation {installation} of {WHOSE}"))
        })?;
        let repositories = found.into_iter().map(|found| FoundRepository {
            installation,
            id: found.id,
            owner: found.owner.login,
            name: found.name,
            full_name: found.full_name,
            default_branch: found.default_branch,
            clone_url: found.clone_url,
            archived: found.archived,
            private: found.private,
        });
        Ok(repositories.collect())
    }

    /// What the App is, and who it is when it acts. Asked once.
    ///
    /// # Errors
    /// [`ForgeError`] when GitHub cannot be asked or does not know the App.
    pub async fn app(&self) -> Result<AppIdentity, ForgeError> {
        self.identity().await.cloned().map_err(|failure| failure.about("look up", WHOSE))
    }

    /// As [`Self::app`].
    pub(crate) async fn identity(&self) -> Result<&AppIdentity, Failure> {
        self.identity.get_or_try_init(|| self.ask_identity()).await
    }

    async fn ask_identity(&self) -> Result<AppIdentity, Failure> {
        let app: App = self.app.get("/app").await?.success()?.json()?;
        // The App's own token opens nothing about accounts; that of any installation does, and in public GitHub
        // nobody's.
        let installations: Vec<WireInstallation> = self.app.list_pages("/app/installations", None, 1).await?;
        let awake = installations.iter().find(|found| found.suspended_at.is_none());
        let client = match awake {
            Some(found) => self.client(Scope { installation: found.id, repository: None, reads_only: true }),
            None => {
                let limits = Arc::new(Mutex::new(Limits::default()));
                Client::new(Arc::clone(&self.connection), Arc::new(Fixed(None)), limits, Arc::clone(&self.clock))
            }
        };
        let bot: User = client.get(&user_path(&format!("{}[bot]", app.slug))).await?.success()?.json()?;
        Ok(AppIdentity { id: app.id, slug: app.slug, bot: bot.account() })
    }

    /// A token for this one repository, at least five minutes before its end; also the password for Git, with the user
    /// name `x-access-token`.
    ///
    /// # Errors
    /// [`ForgeError`] when GitHub gives none.
    pub async fn token(&self, repository: &FoundRepository) -> Result<SecretString, ForgeError> {
        let token = self.tokens.get(&scope_of(repository)).await;
        token.map_err(|failure| failure.about("get a token for", &repository.full_name))
    }

    /// The token that is there already, if it is of use for a minute at least.
    #[must_use]
    pub fn cached_token(&self, repository: &FoundRepository) -> Option<SecretString> {
        self.tokens.cached(&scope_of(repository))
    }

    /// Let go of a token that GitHub does not know any more.
    pub fn forget_token(&self, repository: &FoundRepository, refused: &SecretString) {
        self.tokens.forget(&scope_of(repository), refused);
    }

    /// Let go of the token for a repository, unless it was fetched just now.
    pub(crate) fn renew_token(&self, scope: &Scope) -> bool {
        self.tokens.renew(scope)
    }

    /// A source of passwords for Git: the token that is there, or a new one, for which the calling thread waits.
    ///
    /// It is for threads that may block; on one that runs tasks it would hold those up.
    pub fn git_password(
        self: &Arc<Self>,
        repository: &FoundRepository,
        runtime: Handle,
    ) -> impl Fn() -> Result<SecretString, String> + Send + Sync + use<> {
        let (app, repository) = (Arc::clone(self), repository.clone());
        move || {
            if let Some(token) = app.cached_token(&repository) {
                return Ok(token);
            }
            let (app, repository, runtime) = (Arc::clone(&app), repository.clone(), runtime.clone());
            // A thread of its own: waiting for a task is not possible on one that may be running tasks.
            let waiting = std::thread::spawn(move || runtime.block_on(app.token(&repository)));
            match waiting.join() {
                Ok(token) => token.map_err(|error| error.to_string()),
                Err(_) => Err("the token could not be fetched".to_owned()),
            }
        }
    }
}

/// A token for this repository.
pub(crate) fn scope_of(repository: &FoundRepository) -> Scope {
    Scope { installation: repository.installation, repository: Some(repository.name.clone()), reads_only: false }
}
