//! What registries and config repositories have in common: certificates and proxies, read from where the server file says.

use std::path::{Path, PathBuf};

use tagboat_registry::{ClientCertificate, ProxySettings};
use tagboat_settings::{ClientCertificateFile, ProxyFile};

use crate::{exit::Failure, secrets};

/// The files with certificates of authorities.
pub(super) fn authorities(whose: &str, files: &[PathBuf]) -> Result<Vec<Vec<u8>>, Failure> {
    files.iter().map(|path| read(whose, path)).collect()
}

/// A certificate with its key.
pub(super) fn client_certificate(
    whose: &str,
    file: Option<&ClientCertificateFile>,
) -> Result<Option<ClientCertificate>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let key = String::from_utf8(read(whose, &file.key_file)?)
        .map_err(|_| Failure::invalid(format!("{whose}: {} is not PEM", file.key_file.display())))?;
    Ok(Some(ClientCertificate { chain: read(whose, &file.certificate_file)?, key: key.into() }))
}

/// A proxy with its password.
pub(super) fn proxy(whose: &str, file: Option<&ProxyFile>) -> Result<Option<ProxySettings>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let credentials = file.credentials.as_ref().map(|file| secrets::credentials(whose, file)).transpose()?;
    Ok(Some(ProxySettings { url: file.url.clone(), credentials }))
}

pub(super) fn read(whose: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::invalid(format!("{whose}: the file {} cannot be read: {error}", path.display())))
}
