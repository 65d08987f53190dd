//! From `repositories` of the server file to the doors to Git.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use secrecy::ExposeSecret as _;
use tagboat_engine::ConfigRepository;
use tagboat_model::{RepositoryName, TenantName};
use tagboat_promotion::Seal;
use tagboat_repository::{
    Access, Address, CommitSettings, GitRepository, GitSettings, HttpSettings, Identity, Password, PushWith, Signing,
    SshKey,
};
use tagboat_server::Metrics;
use tagboat_settings::{
    AuthorFile, ConfigRepositoryFile, CredentialsFile, ForgeFile, PushProgram, SecretSource, ServerFile, SigningFile,
};

use crate::{
    exit::Failure,
    secrets,
    wiring::{forges, github_app::is_through_app, http, metered},
};

type Repositories = BTreeMap<(TenantName, RepositoryName), ConfigRepository>;

/// The config repositories as the server reaches them.
pub(super) async fn of_server(file: &ServerFile, metrics: &Arc<Metrics>) -> Result<Repositories, Failure> {
    let mut repositories = Repositories::new();
    // What is reached through the App is served once GitHub has said so.
    for repository in file.repositories.iter().filter(|repository| !is_through_app(file, repository)) {
        let name = (repository.tenant.clone(), repository.name.clone());
        let mirror = file.data_directory.join("mirrors").join(name.0.as_str()).join(format!("{}.git", name.1));
        let by = repository.committer.as_ref().unwrap_or(&repository.author);
        let committer = format!("{} <{}>", by.name, by.email);
        let port = GitRepository::new(settings(repository, &mirror)?).map_err(|error| {
            Failure::failed(&format!("config repository `{}`: connections cannot be set up", repository.name), &error)
        })?;
        // A key that cannot be used shows now, and not with the first commit.
        port.check_signing().await.map_err(|error| Failure::failed("`signing`", &error))?;
        let config = ConfigRepository {
            forge: forges::of_repository(repository)?.map(|forge| metered::forge(forge, metrics)),
            push_options: repository.push_options.clone(),
            seal: seal(repository)?,
            ..ConfigRepository::new(Arc::new(port), repository.branch.clone(), committer)
        };
        repositories.insert(name, config);
    }
    Ok(repositories)
}

/// Whether what is named for a config repository can be read.
pub(super) fn check(repository: &ConfigRepositoryFile) -> Result<(), Failure> {
    settings(repository, Path::new("")).map(|_| ())
}

fn settings(repository: &ConfigRepositoryFile, mirror: &Path) -> Result<GitSettings, Failure> {
    let whose = format!("config repository `{}`", repository.name);
    let transport = HttpSettings {
        certificate_authorities: http::authorities(&whose, &repository.certificate_authority_files)?,
        client_certificate: http::client_certificate(&whose, repository.client_certificate.as_ref())?,
        proxy: http::proxy(&whose, repository.proxy.as_ref())?,
    };
    let author = identity(&repository.author);
    Ok(GitSettings {
        name: repository.name.to_string(),
        address: Address { url: repository.url.clone(), access: access(&whose, repository)?, transport },
        commits: CommitSettings {
            committer: repository.committer.as_ref().map_or_else(|| author.clone(), identity),
            author,
            signing: repository.signing.as_ref().map(|file| signing(&whose, file)).transpose()?,
        },
        push_with: match repository.push_with {
            PushProgram::BuiltIn => PushWith::BuiltIn,
            PushProgram::Git => PushWith::Git,
        },
        mirror: mirror.to_owned(),
    })
}

fn identity(file: &AuthorFile) -> Identity {
    Identity { name: file.name.clone(), email: file.email.clone() }
}

fn access(whose: &str, repository: &ConfigRepositoryFile) -> Result<Access, Failure> {
    if let Some(ssh) = &repository.ssh {
        exists(whose, &ssh.key_file)?;
        exists(whose, &ssh.known_hosts_file)?;
        let (key_file, known_hosts_file) = (ssh.key_file.clone(), ssh.known_hosts_file.clone());
        return Ok(Access::Ssh(SshKey { key_file, known_hosts_file }));
    }
    match &repository.credentials {
        Some(file) => Ok(Access::Basic {
            username: file.username.clone(),
            password: password(whose, file)?,
            insecure: repository.insecure,
        }),
        None => Ok(Access::Open),
    }
}

/// By what opens the repository, or its forge, what is written there is known again.
fn seal(repository: &ConfigRepositoryFile) -> Result<Seal, Failure> {
    let whose = format!("config repository `{}`", repository.name);
    let token = repository.forge.as_ref().and_then(ForgeFile::token);
    let secret = match (token, &repository.credentials, &repository.ssh) {
        (Some(source), ..) => secrets::read(&whose, &source)?.expose_secret().as_bytes().to_vec(),
        (None, Some(credentials), _) => {
            secrets::credentials(&whose, credentials)?.1.expose_secret().as_bytes().to_vec()
        }
        (None, None, Some(ssh)) => http::read(&whose, &ssh.key_file)?,
        (None, None, None) => Vec::new(),
    };
    Ok(Seal::of(&secret, &repository.url))
}

/// Read now, so that what is wrong shows at once; and a file again with each connection, because tokens are replaced.
fn password(whose: &str, file: &CredentialsFile) -> Result<Password, Failure> {
    let (_, secret) = secrets::credentials(whose, file)?;
    let (whose, source) = (whose.to_owned(), SecretSource::of(file.password_file.as_ref(), file.password_env.as_ref()));
    Ok(match source {
        Some(source @ SecretSource::File(_)) => {
            Password::from_source(move || secrets::read(&whose, &source).map_err(|failure| failure.message))
        }
        _ => secret.into(),
    })
}

fn signing(whose: &str, file: &SigningFile) -> Result<Signing, Failure> {
    Ok(match file {
        SigningFile::Ssh { key_file } => {
            exists(whose, key_file)?;
            Signing::Ssh { key_file: key_file.clone() }
        }
        SigningFile::OpenPgp { key, home_directory } => {
            Signing::OpenPgp { key: key.clone(), home: home_directory.clone() }
        }
    })
}

fn exists(whose: &str, path: &Path) -> Result<(), Failure> {
    match path.is_file() {
        true => Ok(()),
        false => Err(Failure::invalid(format!("{whose}: there is no file {}", path.display()))),
    }
}
