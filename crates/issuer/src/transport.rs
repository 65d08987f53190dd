//! How an issuer is reached, and one request to it.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, Response, StatusCode, Url, header::ACCEPT};
use tagboat_connection::{ClientCertificate, ConnectionError, ProxySettings, authorities, identity, proxy, set_up};
use tagboat_ports::KeyError;

use crate::{address::is_this_machine, error};

/// Of a document, in bytes.
const LARGEST: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(5);

/// How an issuer is reached. The default is what public ones need.
#[derive(Debug, Clone)]
pub struct TransportSettings {
    /// Certificates of authorities that are trusted besides the system's, as PEM; each may hold several.
    pub certificate_authorities: Vec<Vec<u8>>,
    /// Who we are to an issuer that asks for a certificate. Where its keys are on another host, that one never sees it.
    pub client_certificate: Option<ClientCertificate>,
    /// The proxy. `None`: what `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say; never for this machine.
    pub proxy: Option<ProxySettings>,
    /// How long all requests for one document may take together; 5 seconds.
    pub timeout: Duration,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self { certificate_authorities: Vec::new(), client_certificate: None, proxy: None, timeout: TIMEOUT }
    }
}

/// Clients of one issuer.
pub(crate) struct Transport {
    own: Url,
    anonymous: Client,
    /// With the client certificate, for the issuer itself.
    identified: Option<Client>,
    pub(crate) timeout: Duration,
}

impl Transport {
    /// To the issuer at this address.
    pub(crate) fn new(settings: &TransportSettings, own: &Url) -> Result<Self, ConnectionError> {
        let anonymous = set_up(builder(settings, own)?)?;
        let identity = settings.client_certificate.as_ref().map(identity).transpose()?;
        let identified = identity.map(|identity| set_up(builder(settings, own)?.identity(identity))).transpose()?;
        Ok(Self { own: own.clone(), anonymous, identified, timeout: settings.timeout })
    }

    /// The body of the one answer that counts: 200, from this very address.
    pub(crate) async fn get(&self, url: &Url) -> Result<Vec<u8>, KeyError> {
        let identified = self.identified.as_ref().filter(|_| url.origin() == self.own.origin());
        let client = identified.unwrap_or(&self.anonymous);
        let fail = |detail: String| error(url.as_str(), detail);
        let request = client.get(url.clone()).header(ACCEPT, "application/json, */*;q=0.5");
        let answer = request.send().await.map_err(|cause| fail(words(&cause)))?;
        match answer.status() {
            StatusCode::OK => body(answer).await.map_err(fail),
            status if status.is_redirection() => {
                Err(fail(format!("it redirects (status {}), which is not followed", status.as_u16())))
            }
            status => Err(fail(format!("it answered with status {}", status.as_u16()))),
        }
    }
}

fn builder(settings: &TransportSettings, own: &Url) -> Result<ClientBuilder, ConnectionError> {
    let builder = Client::builder()
        .user_agent(concat!("tagboat/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(settings.timeout)
        .timeout(settings.timeout)
        .tls_certs_merge(authorities(&settings.certificate_authorities)?);
    Ok(match &settings.proxy {
        Some(settings) => builder.proxy(proxy(settings)?),
        None if is_this_machine(own) => builder.no_proxy(),
        None => builder,
    })
}

async fn body(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|cause| words(&cause))? {
        if bytes.len() + chunk.len() > LARGEST {
            return Err(format!("it answered with more than {LARGEST} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// What went wrong, without the address, which whoever reads this is told anyway.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let mut words = "it could not be reached".to_owned();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        words = format!("{words}: {cause}");
        next = cause.source();
    }
    words
}
