//! From `registries` and `sigstore` of the server file to the door to registries.

use std::{collections::BTreeMap, num::NonZeroU32, path::Path};

use tagboat_model::ImageName;
use tagboat_registry::{Cloud, Credentials, OciRegistries, RegistrySettings, TransportSettings, TrustRoot};
use tagboat_settings::{CloudIdentity, RegistryFile, ServerFile, SigstoreFile, is_loopback};

use crate::{exit::Failure, secrets, wiring::http};

/// Requests per second.
const POLITE: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

/// The registries as the server reaches them.
pub(crate) fn of_server(file: &ServerFile) -> Result<OciRegistries, Failure> {
    let mut known = settings(file)?;
    // What the operator lets a receiver speak for under an address of this machine is meant to be reached there.
    let named = file.receivers.iter().flat_map(|receiver| {
        let hosts = receiver.images.iter().filter_map(|pattern| pattern.split('/').next());
        hosts.chain(receiver.registry.as_deref())
    });
    for host in named.filter(|host| is_loopback(host)) {
        known.entry(host.to_owned()).or_insert_with(|| RegistrySettings {
            credentials: default_credentials(file),
            ..RegistrySettings::default()
        });
    }
    build(known, default_credentials(file), &file.sigstore)
}

/// The registries as a person at the command line reaches them: those of the images that were named, wherever they are,
/// and those of the server file. Without a server file credentials are those of `docker login`.
pub(crate) fn of_person<'i>(
    images: impl IntoIterator<Item = &'i ImageName>,
    config: Option<&Path>,
) -> Result<OciRegistries, Failure> {
    let file = config.map(crate::commands::server_file).transpose()?;
    let (mut known, fallback, sigstore) = match &file {
        Some(file) => (settings(file)?, default_credentials(file), file.sigstore.clone()),
        None => (BTreeMap::new(), Credentials::DockerConfig { file: None }, SigstoreFile::default()),
    };
    for image in images {
        known.entry(image.registry().to_owned()).or_insert_with(|| RegistrySettings {
            credentials: fallback.clone(),
            transport: TransportSettings {
                private_network: true,
                // Its network is not known, so the pace is that of public registries, unless it is this machine.
                requests_per_second: (!is_loopback(image.registry())).then_some(POLITE),
                ..TransportSettings::default()
            },
            ..RegistrySettings::default()
        });
    }
    let registries = build(known, fallback, &sigstore)?;
    // As `cosign verify` does, which takes the public instance when nothing else is said.
    Ok(match TrustRoot::public_good() {
        Ok(root) if file.is_none() => registries.with_trust_root(root),
        _ => registries,
    })
}

fn build(
    known: BTreeMap<String, RegistrySettings>,
    fallback: Credentials,
    sigstore: &SigstoreFile,
) -> Result<OciRegistries, Failure> {
    let registries = OciRegistries::new(known)
        .map_err(|error| Failure::failed("connections to registries cannot be set up", &error))?
        .with_default_credentials(fallback);
    let failed = |error| Failure::failed("`sigstore`", &error);
    Ok(match &sigstore.trusted_root_file {
        Some(path) => registries.with_trust_root(TrustRoot::parse(&http::read("`sigstore`", path)?).map_err(failed)?),
        None if sigstore.public_good => registries.with_trust_root(TrustRoot::public_good().map_err(failed)?),
        None => registries,
    })
}

fn settings(file: &ServerFile) -> Result<BTreeMap<String, RegistrySettings>, Failure> {
    file.registries.iter().map(|registry| of_one(file, registry)).collect()
}

/// Whether what is named for a registry can be read.
pub(super) fn check(file: &ServerFile, registry: &RegistryFile) -> Result<(), Failure> {
    of_one(file, registry).map(|_| ())
}

fn of_one(file: &ServerFile, registry: &RegistryFile) -> Result<(String, RegistrySettings), Failure> {
    let whose = format!("registry `{}`", registry.host);
    // As image names mean it: `index.docker.io` is `docker.io`.
    let host = ImageName::at(&registry.host, "any/name");
    let host = host.map_err(|error| Failure::invalid(format!("{whose}: {error}")))?;
    let settings = RegistrySettings {
        credentials: credentials(&whose, registry)?.unwrap_or_else(|| default_credentials(file)),
        plain_http: registry.plain_http,
        insecure: registry.insecure,
        token_servers: registry.token_servers.clone(),
        transport: transport(&whose, registry)?,
    };
    Ok((host.registry().to_owned(), settings))
}

fn default_credentials(file: &ServerFile) -> Credentials {
    match &file.docker_config_file {
        Some(path) => Credentials::DockerConfig { file: Some(path.clone()) },
        None => Credentials::Anonymous,
    }
}

fn credentials(whose: &str, registry: &RegistryFile) -> Result<Option<Credentials>, Failure> {
    if let Some(file) = &registry.credentials {
        let (user, password) = secrets::credentials(whose, file)?;
        return Ok(Some(Credentials::Password { user, password }));
    }
    let docker = registry.docker_config_file.clone().map(|file| Credentials::DockerConfig { file: Some(file) });
    let cloud = registry.cloud_identity.map(|cloud| {
        Credentials::Ambient(match cloud {
            CloudIdentity::Ecr => Cloud::Ecr,
            CloudIdentity::Google => Cloud::Google,
            CloudIdentity::Azure => Cloud::Azure,
        })
    });
    Ok(docker.or(cloud))
}

fn transport(whose: &str, registry: &RegistryFile) -> Result<TransportSettings, Failure> {
    Ok(TransportSettings {
        certificate_authorities: http::authorities(whose, &registry.certificate_authority_files)?,
        client_certificate: http::client_certificate(whose, registry.client_certificate.as_ref())?,
        proxy: http::proxy(whose, registry.proxy.as_ref())?,
        private_network: registry.private_network,
        requests_per_second: registry.requests_per_second,
        requests_at_once: registry.requests_at_once,
        ..TransportSettings::default()
    })
}
