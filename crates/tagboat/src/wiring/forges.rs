//! From `forge` of a config repository to the door to its forge.

use std::sync::Arc;

use tagboat_forge::{TokenSettings, TransportSettings, gitea::GiteaForge, github::GithubForge, gitlab::GitlabForge};
use tagboat_model::ForgeKind;
use tagboat_ports::{Forge, ForgeError};
use tagboat_settings::{ConfigRepositoryFile, ForgeFile, ForgeFileKind};

use crate::{exit::Failure, secrets, system::SystemClock, wiring::http};

/// The forge of a config repository, if it has one that is opened with a token.
pub(super) fn of_repository(repository: &ConfigRepositoryFile) -> Result<Option<Arc<dyn Forge>>, Failure> {
    let Some(file) = &repository.forge else { return Ok(None) };
    let Some(source) = file.token() else { return Ok(None) };
    let whose = format!("the forge of config repository `{}`", repository.name);
    let token = secrets::read(&whose, &source)?;
    let invalid =
        |what: &str| Failure::invalid(format!("{whose}: {what} does not follow from `url`; say it in `forge`"));
    let name = file.repository(&repository.url).ok_or_else(|| invalid("`repository`"))?;
    let api = file.api(&repository.url).ok_or_else(|| invalid("`url`"))?;
    let transport = TransportSettings {
        certificate_authorities: http::authorities(&whose, &repository.certificate_authority_files)?,
        client_certificate: http::client_certificate(&whose, repository.client_certificate.as_ref())?,
        proxy: http::proxy(&whose, repository.proxy.as_ref())?,
    };
    let failed = |error: ForgeError| Failure::failed(&whose, &error);
    let (url, clock) = (web(&api), Arc::new(SystemClock));
    let kind = kind(file);
    if kind == ForgeKind::Github {
        let forge = GithubForge::with_token(&url, &name, token, &transport, clock).map_err(failed)?;
        return Ok(Some(Arc::new(forge)));
    }
    let settings = TokenSettings { url, api: Some(api), repository: name, token, name: repository.name.to_string() };
    Ok(Some(match kind {
        ForgeKind::Gitlab => Arc::new(GitlabForge::new(&settings, &transport, clock).map_err(failed)?),
        _ => Arc::new(GiteaForge::new(&settings, kind, &transport, clock).map_err(failed)?),
    }))
}

/// The address for people of a forge, by that of its API.
fn web(api: &str) -> String {
    if api == "https://api.github.com" {
        return "https://github.com".to_owned();
    }
    let web = ["/api/v1", "/api/v3", "/api/v4"].iter().find_map(|end| api.strip_suffix(end));
    web.unwrap_or(api).to_owned()
}

fn kind(file: &ForgeFile) -> ForgeKind {
    match file.kind {
        ForgeFileKind::Github => ForgeKind::Github,
        ForgeFileKind::Gitlab => ForgeKind::Gitlab,
        ForgeFileKind::Gitea => ForgeKind::Gitea,
        ForgeFileKind::Forgejo => ForgeKind::Forgejo,
    }
}
