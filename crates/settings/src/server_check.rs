//! Reading the server file, and the rules that its types alone do not hold.

use tagboat_model::{Duration, ImageName};

use crate::{
    CredentialsFile, RegistryFile, ServerFile, config_repository, forge, overrides,
    problem::{self, Problem},
    receivers,
};

/// Read and check a server file. `variables` are the environment variables of the process; those that
/// override a value are applied, all others are left alone.
///
/// # Errors
/// The first [`Problem`].
pub fn read_server_file(
    source: &str,
    text: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<ServerFile, Problem> {
    let mut file: ServerFile = problem::read(source, text)?;
    let mut variables: Vec<_> = variables.into_iter().filter(|(name, _)| overrides::concerns(name)).collect();
    variables.sort();
    for (name, value) in variables {
        let fail = |error: serde_json::Error| Problem { source: name.clone(), place: None, message: error.to_string() };
        let mut json = serde_json::to_value(&file).map_err(fail)?;
        overrides::apply(&mut json, &name, &value)?;
        file = serde_json::from_value(json).map_err(fail)?;
    }
    check(source, text, &file)?;
    file.telemetry.check().map_err(|message| Problem::at(source, text, &["telemetry", "traces"], message))?;
    Ok(file)
}

/// Sweeps that follow one another faster only tire the registries.
const SHORTEST_SWEEP: Duration = Duration::from_seconds(10);

fn check(source: &str, text: &str, file: &ServerFile) -> Result<(), Problem> {
    if file.listen.parse::<std::net::SocketAddr>().is_err() {
        let message = format!("`{}` is not an address and port, as in `0.0.0.0:8080`", file.listen);
        return Err(Problem::at(source, text, &["listen"], message));
    }
    if let Some(url) = &file.database {
        check_database(url).map_err(|message| Problem::at(source, text, &["database"], message))?;
    }
    if file.database_password_file.is_some() && file.database_password_env.is_some() {
        let message = "`databasePasswordFile` and `databasePasswordEnv` exclude each other".to_owned();
        return Err(Problem::at(source, text, &["databasePasswordEnv"], message));
    }
    if file.sweep.interval < SHORTEST_SWEEP {
        let message = format!("a sweep asks every registry; {SHORTEST_SWEEP} is the least between two");
        return Err(Problem::at(source, text, &["sweep", "interval"], message));
    }
    for (index, repository) in file.repositories.iter().enumerate() {
        let at =
            |key: &str, message: String| Problem::at(source, text, &["repositories", &index.to_string(), key], message);
        if file.repositories[..index]
            .iter()
            .any(|earlier| (&earlier.name, &earlier.tenant) == (&repository.name, &repository.tenant))
        {
            return Err(at(
                "name",
                format!("another repository is named `{}` already; names are unique", repository.name),
            ));
        }
        config_repository::check(repository).map_err(|(key, message)| at(key, message))?;
        forge::check(repository, file).map_err(|message| at("forge", message))?;
    }
    if let Some(app) = &file.github_app {
        let at = |(key, message): (&'static str, String)| Problem::at(source, text, &["githubApp", key], message);
        forge::check_app(app).map_err(at)?;
    }
    for (index, receiver) in file.receivers.iter().enumerate() {
        let at =
            |key: &str, message: String| Problem::at(source, text, &["receivers", &index.to_string(), key], message);
        if file.receivers[..index].iter().any(|earlier| earlier.name == receiver.name) {
            return Err(at("name", format!("another receiver is named `{}` already; names are unique", receiver.name)));
        }
        receivers::check(receiver, &file.address()).map_err(|(key, message)| at(key, message))?;
    }
    for (index, registry) in file.registries.iter().enumerate() {
        let at = |key: &str, message| Problem::at(source, text, &["registries", &index.to_string(), key], message);
        check_host(&registry.host).map_err(|message| at("host", message))?;
        // As image names mean it: `index.docker.io` is `docker.io`.
        let meant = |host: &str| ImageName::at(host, "any/name").map(|name| name.registry().to_owned());
        if file.registries[..index].iter().any(|earlier| meant(&earlier.host) == meant(&registry.host)) {
            return Err(at("host", format!("`{}` stands here a second time; keep one", registry.host)));
        }
        check_registry(registry).map_err(|(key, message)| at(key, message))?;
    }
    if file.sigstore.public_good && file.sigstore.trusted_root_file.is_some() {
        let message = "`publicGood` and `trustedRootFile` exclude each other".to_owned();
        return Err(Problem::at(source, text, &["sigstore"], message));
    }
    Ok(())
}

/// What is wrong with a database's URL. It is not repeated where it may hold a password.
fn check_database(url: &str) -> Result<(), String> {
    let remote = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
    if let Some(remote) = remote {
        let authority = remote.split(['/', '?']).next().unwrap_or_default();
        let has_password = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
        return match has_password || remote.contains("password=") {
            true => {
                Err("a password does not belong here, where it is shown; name its file with `databasePasswordFile`"
                    .to_owned())
            }
            false => Ok(()),
        };
    }
    let path = url.strip_prefix("sqlite:").filter(|path| !path.starts_with("//") && !path.contains(['?', ':']));
    match path {
        Some(path) if !path.is_empty() => Ok(()),
        _ => Err(format!(
            "`{url}` cannot be used; write `sqlite:` and a path, as in `sqlite:data/tagboat.db`, or `postgres://user@host/name`"
        )),
    }
}

fn check_registry(registry: &RegistryFile) -> Result<(), (&'static str, String)> {
    check_credentials(registry.credentials.as_ref()).map_err(|message| ("credentials", message))?;
    let ways =
        [registry.credentials.is_some(), registry.docker_config_file.is_some(), registry.cloud_identity.is_some()];
    if ways.iter().filter(|way| **way).count() > 1 {
        let message = "`credentials`, `dockerConfigFile` and `cloudIdentity` exclude each other".to_owned();
        return Err(("host", message));
    }
    for host in &registry.token_servers {
        check_host(host).map_err(|message| ("tokenServers", message))?;
    }
    let in_clear = registry.plain_http == Some(true) && !is_loopback(&registry.host);
    if in_clear && ways.contains(&true) && !registry.insecure {
        let message = "a credential would travel in clear; leave `plainHttp` out, or set `insecure: true`".to_owned();
        return Err(("plainHttp", message));
    }
    if let Some(proxy) = &registry.proxy {
        check_credentials(proxy.credentials.as_ref()).map_err(|message| ("proxy", message))?;
    }
    Ok(())
}

/// Whether a host, with or without port and path, is an address of this machine by its own name.
#[must_use]
pub fn is_loopback(authority: &str) -> bool {
    let host = authority.split('/').next().unwrap_or_default();
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|local| host == *local || host.starts_with(&format!("{local}:")))
}

/// A registry as image names write it: neither a URL nor a bare word, which image names take for a folder.
pub(crate) fn check_host(host: &str) -> Result<(), String> {
    let known = host == "localhost" || host.contains(['.', ':']);
    let name = ImageName::at(host, "any/name").ok().filter(|name| name.repository() == "any/name");
    match name {
        Some(_) if known => Ok(()),
        _ => Err(format!(
            "`{host}` is not a registry; write host and port as image names do, as in `registry.example.org:5000`"
        )),
    }
}

pub(crate) fn check_credentials(credentials: Option<&CredentialsFile>) -> Result<(), String> {
    if credentials.is_some_and(|credentials| credentials.username.contains(':')) {
        return Err("`username` cannot hold a `:`, which ends it where it is sent".to_owned());
    }
    match credentials {
        Some(CredentialsFile { password_file: None, password_env: None, .. }) => {
            Err("say where the password is: `passwordFile` or `passwordEnv`".to_owned())
        }
        Some(CredentialsFile { password_file: Some(_), password_env: Some(_), .. }) => {
            Err("`passwordFile` and `passwordEnv` exclude each other".to_owned())
        }
        _ => Ok(()),
    }
}
