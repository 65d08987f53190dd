//! How an outside system is reached over HTTP: certificate authorities, client certificate, proxy.
//!
//! Reads what the operator configured into what the HTTP client takes. Connects to nothing.

use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy, Url};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use thiserror::Error;

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate and those between it and the authority, as PEM.
    pub chain: Vec<u8>,
    /// Its key, as PEM: PKCS #8, PKCS #1 or SEC 1.
    pub key: SecretString,
}

/// A proxy for HTTP.
#[derive(Debug, Clone)]
pub struct ProxySettings {
    /// `http://` or `https://` with host and port; without user name and password.
    pub url: String,
    /// User name and password.
    pub credentials: Option<(String, SecretString)>,
}

/// Why connections cannot be set up. No key and no password is in it.
#[derive(Debug, Error)]
#[error("{detail}")]
pub struct ConnectionError {
    detail: String,
    #[source]
    source: Option<reqwest::Error>,
}

impl ConnectionError {
    fn new(detail: impl Into<String>, source: Option<reqwest::Error>) -> Self {
        Self { detail: detail.into(), source }
    }
}

/// The client that a builder describes.
///
/// # Errors
/// When the system's certificates cannot be read.
pub fn set_up(builder: ClientBuilder) -> Result<Client, ConnectionError> {
    builder.build().map_err(|error| ConnectionError::new("connections cannot be set up", Some(error)))
}

/// Certificates of authorities that are trusted besides the system's.
///
/// # Errors
/// Which of the files is no PEM, or holds no certificate, or one that cannot be read.
pub fn authorities(pems: &[Vec<u8>]) -> Result<Vec<Certificate>, ConnectionError> {
    let mut all = Vec::new();
    for (index, pem) in pems.iter().enumerate() {
        let which = match pems.len() {
            1 => "the file of certificate authorities".to_owned(),
            count => format!("file {} of {count} of certificate authorities", index + 1),
        };
        let found = certificates(pem, &which)?;
        // Only building a client reads what is in them; doing so for each tells which one is wrong.
        let trial = Client::builder().tls_certs_only(found.iter().cloned()).build();
        trial.map_err(|error| {
            ConnectionError::new(format!("{which} holds a certificate that cannot be read"), Some(error))
        })?;
        all.extend(found);
    }
    Ok(all)
}

fn certificates(pem: &[u8], which: &str) -> Result<Vec<Certificate>, ConnectionError> {
    let found = Certificate::from_pem_bundle(pem)
        .map_err(|error| ConnectionError::new(format!("{which} is not PEM"), Some(error)))?;
    if found.is_empty() {
        let detail = format!("{which} holds no certificate; it begins with `-----BEGIN CERTIFICATE-----`");
        return Err(ConnectionError::new(detail, None));
    }
    Ok(found)
}

/// Who we are to a server that asks for a certificate.
///
/// # Errors
/// Which part cannot be read, and when the two do not belong together.
pub fn identity(certificate: &ClientCertificate) -> Result<Identity, ConnectionError> {
    certificates(&certificate.chain, "the file of the client certificate")?;
    let mut pem = Zeroizing::new(certificate.chain.clone());
    pem.push(b'\n');
    pem.extend_from_slice(certificate.key.expose_secret().as_bytes());
    let identity = Identity::from_pem(&pem).map_err(|error| {
        let detail = "the key of the client certificate is not a PEM of PKCS #8, PKCS #1 or SEC 1";
        ConnectionError::new(detail, Some(error))
    })?;
    let trial = Client::builder().tls_certs_only([]).identity(identity.clone()).build();
    trial.map_err(|error| {
        ConnectionError::new("the client certificate and its key do not belong together", Some(error))
    })?;
    Ok(identity)
}

/// The proxy for everything.
///
/// # Errors
/// When its URL cannot be used, or holds a user name or a password.
pub fn proxy(settings: &ProxySettings) -> Result<Proxy, ConnectionError> {
    // The text is in no message: somebody may have put a password into it all the same.
    let wrong = || ConnectionError::new("the proxy is not a URL as `http://proxy.example.org:3128`", None);
    let url = Url::parse(&settings.url).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() {
        let detail = "the proxy's user name and password do not belong into its URL";
        return Err(ConnectionError::new(detail, None));
    }
    let proxy = Proxy::all(url).map_err(|_| wrong())?;
    Ok(match &settings.credentials {
        Some((user, password)) => proxy.basic_auth(user, password.expose_secret()),
        None => proxy,
    })
}
