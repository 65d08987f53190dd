//! How one registry is reached: trust, identity, proxy, network, limits; and the HTTP clients made of it.
//!
//! Registries without anything special share one client and its connections.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use reqwest::{ClientBuilder, Identity, Url};
use tagboat_connection::{ClientCertificate, ConnectionError, ProxySettings, authorities, identity, proxy, set_up};
use thiserror::Error;

use crate::address::{Guard, Reach, is_loopback};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Public registries serve everybody and count. Docker Hub's documentation puts its limit for one address "in the order
/// of thousands of requests per minute"; this is 1,200. A sweep of 1,000 images takes 45 seconds so.
const PUBLIC_RATE: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);
/// A registry in one's own network serves its owner: here only `requests_at_once` is felt.
const PRIVATE_RATE: NonZeroU32 = NonZeroU32::MIN.saturating_add(199);
const AT_ONCE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// How one registry is reached. The default is what public registries need.
#[derive(Debug, Clone)]
pub struct TransportSettings {
    /// Certificates of authorities that are trusted besides the system's, as PEM; each may hold several.
    pub certificate_authorities: Vec<Vec<u8>>,
    /// Who we are to a registry that asks for a certificate. Its token servers and redirects elsewhere never see it.
    pub client_certificate: Option<ClientCertificate>,
    /// Through which proxy the registry, its token servers and its redirects are reached. `None`: what the
    /// environment says (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`). The proxy resolves names; guarding them
    /// is its task then.
    pub proxy: Option<ProxySettings>,
    /// The registry, its token servers and its redirects may have addresses of private networks.
    pub private_network: bool,
    /// Requests per second to each host, on average; five seconds' worth may come at once. `None`: 20, or 200 for
    /// registries in a private network or on this machine.
    pub requests_per_second: Option<NonZeroU32>,
    /// Requests to each host that are under way together. `None`: 8.
    pub requests_at_once: Option<NonZeroUsize>,
    /// How long one exchange may take, from the connection to the end of the body; 30 seconds. A document with its
    /// token, its redirects and its retries may take twice as long, without the time it waits for its turn.
    pub timeout: Duration,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            certificate_authorities: Vec::new(),
            client_certificate: None,
            proxy: None,
            private_network: false,
            requests_per_second: None,
            requests_at_once: None,
            timeout: TIMEOUT,
        }
    }
}

/// Why connections to a registry cannot be set up.
#[derive(Debug, Error)]
#[error("{whose}: {detail}")]
pub struct TransportError {
    whose: String,
    detail: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl TransportError {
    fn about(whose: String, error: ConnectionError) -> Self {
        Self {
            whose,
            detail: error.to_string(),
            source: std::error::Error::source(&error).is_some().then(|| error.into()),
        }
    }

    /// Connections to the endpoints of clouds, which are not those to registries.
    pub(crate) fn of_clouds(source: reqwest::Error) -> Self {
        let (whose, detail) = ("clouds".to_owned(), "connections cannot be set up".to_owned());
        Self { whose, detail, source: Some(source.into()) }
    }
}

/// How much one host is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) requests_per_second: NonZeroU32,
    pub(crate) requests_at_once: NonZeroUsize,
}

/// Clients with what they may reach.
pub(crate) struct Transport {
    pub(crate) reach: Reach,
    pub(crate) limits: Limits,
    pub(crate) timeout: Duration,
    anonymous: Clients,
    /// With the client certificate, for the registry itself.
    identified: Option<Clients>,
}

struct Clients {
    http: reqwest::Client,
    /// For addresses of this machine, which no proxy of the environment reaches.
    direct: Option<reqwest::Client>,
}

impl Clients {
    fn build(settings: &TransportSettings, reach: Reach, identity: Option<&Identity>) -> Result<Self, ConnectionError> {
        let builder = || -> Result<ClientBuilder, ConnectionError> {
            let builder = builder(settings, reach).tls_certs_merge(authorities(&settings.certificate_authorities)?);
            Ok(match identity {
                Some(identity) => builder.identity(identity.clone()),
                None => builder,
            })
        };
        let (http, direct) = match &settings.proxy {
            Some(settings) => (builder()?.proxy(proxy(settings)?), None),
            None if reach == Reach::Public => (builder()?, None),
            None => (builder()?, Some(builder()?.no_proxy())),
        };
        Ok(Self { http: set_up(http)?, direct: direct.map(set_up).transpose()? })
    }
}

impl Transport {
    /// For all registries that need nothing special.
    pub(crate) fn shared() -> Result<Self, TransportError> {
        let settings = TransportSettings::default();
        Self::build(&settings, Reach::Public).map_err(|error| TransportError::about("registries".to_owned(), error))
    }

    /// For the registry `name`, which is configured.
    pub(crate) fn of_registry(name: &str, settings: &TransportSettings) -> Result<Self, TransportError> {
        let reach = match settings.private_network {
            true => Reach::Private,
            false if is_loopback(name) => Reach::Loopback,
            false => Reach::Public,
        };
        Self::build(settings, reach).map_err(|error| TransportError::about(format!("registry `{name}`"), error))
    }

    fn build(settings: &TransportSettings, reach: Reach) -> Result<Self, ConnectionError> {
        let anonymous = Clients::build(settings, reach, None)?;
        let identity = settings.client_certificate.as_ref().map(identity).transpose()?;
        let identified = identity.map(|identity| Clients::build(settings, reach, Some(&identity))).transpose()?;
        let rate = if reach == Reach::Public { PUBLIC_RATE } else { PRIVATE_RATE };
        let limits = Limits {
            requests_per_second: settings.requests_per_second.unwrap_or(rate),
            requests_at_once: settings.requests_at_once.unwrap_or(AT_ONCE),
        };
        Ok(Self { reach, limits, timeout: settings.timeout, anonymous, identified })
    }

    /// Whether the shared transport does the same.
    pub(crate) fn is_plain(name: &str, settings: &TransportSettings) -> bool {
        let TransportSettings { certificate_authorities, client_certificate, proxy, private_network, .. } = settings;
        let limits = settings.requests_per_second.is_none() && settings.requests_at_once.is_none();
        certificate_authorities.is_empty()
            && client_certificate.is_none()
            && proxy.is_none()
            && !private_network
            && limits
            && settings.timeout == TIMEOUT
            && !is_loopback(name)
    }

    /// The client for this host. `own` is at the registry itself.
    pub(crate) fn client(&self, url: &Url, own: &Url) -> &reqwest::Client {
        let identified = self.identified.as_ref().filter(|_| url.origin() == own.origin());
        let clients = identified.unwrap_or(&self.anonymous);
        let direct = clients.direct.as_ref().filter(|_| is_loopback(url.host_str().unwrap_or_default()));
        direct.unwrap_or(&clients.http)
    }
}

fn builder(settings: &TransportSettings, reach: Reach) -> ClientBuilder {
    let proxies = match &settings.proxy {
        Some(proxy) => host_of(&proxy.url).into_iter().collect(),
        None => proxies_of_the_environment(),
    };
    reqwest::Client::builder()
        .user_agent(concat!("tagboat/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        // Retries are ours: they are counted.
        .retry(reqwest::retry::never())
        .dns_resolver(Guard { reach, proxies })
        .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
        .timeout(settings.timeout)
}

/// Where the HTTP client itself looks for proxies.
fn proxies_of_the_environment() -> std::sync::Arc<[String]> {
    let names = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    names.iter().filter_map(|name| host_of(&std::env::var(name).ok()?)).collect()
}

fn host_of(proxy: &str) -> Option<String> {
    let url = if proxy.contains("://") { Url::parse(proxy) } else { Url::parse(&format!("http://{proxy}")) };
    url.ok()?.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(settings: &TransportSettings) -> String {
        Transport::of_registry("r.example", settings).err().unwrap().to_string()
    }

    fn pem(kind: &str) -> Vec<u8> {
        format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n").into_bytes()
    }

    #[test]
    fn what_is_wrong_with_a_certificate_names_the_registry_and_the_file() {
        let authorities = |pems: &[Vec<u8>]| {
            error(&TransportSettings { certificate_authorities: pems.to_vec(), ..TransportSettings::default() })
        };
        assert_eq!(
            authorities(&[b"nothing".to_vec()]),
            "registry `r.example`: the file of certificate authorities holds no certificate; it begins with `-----BEGIN CERTIFICATE-----`"
        );
        let two = authorities(&[pem("CERTIFICATE"), pem("CERTIFICATE")]);
        assert_eq!(
            two,
            "registry `r.example`: file 1 of 2 of certificate authorities holds a certificate that cannot be read"
        );
        let certificate = |chain: Vec<u8>, key: &str| {
            let client_certificate = Some(ClientCertificate { chain, key: key.to_owned().into() });
            error(&TransportSettings { client_certificate, ..TransportSettings::default() })
        };
        assert!(certificate(Vec::new(), "").contains("the file of the client certificate holds no certificate"));
        assert!(certificate(pem("CERTIFICATE"), "s3cret").contains("the key of the client certificate is not a PEM"));
        assert!(!certificate(pem("CERTIFICATE"), "s3cret").contains("s3cret"));
    }

    #[test]
    fn a_proxy_is_a_url_without_secrets() {
        let proxy = |url: &str| {
            let proxy = Some(ProxySettings { url: url.to_owned(), credentials: None });
            Transport::of_registry("r.example", &TransportSettings { proxy, ..TransportSettings::default() })
                .err()
                .map(|error| error.to_string())
        };
        assert_eq!(proxy("http://proxy.corp:3128"), None);
        for bad in ["proxy.corp:3128", "socks5://proxy.corp", "", "http://"] {
            assert!(proxy(bad).unwrap().contains("is not a URL as"), "{bad}");
        }
        let error = proxy("http://user:s3cret@proxy.corp:3128").unwrap();
        assert!(error.contains("do not belong into its URL") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn only_what_needs_a_client_of_its_own_gets_one() {
        let plain = TransportSettings::default();
        assert!(Transport::is_plain("r.example", &plain) && !Transport::is_plain("127.0.0.1:5000", &plain));
        let private = TransportSettings { private_network: true, ..TransportSettings::default() };
        assert!(!Transport::is_plain("r.example", &private));
        let reach = |name: &str, settings| Transport::of_registry(name, settings).unwrap().reach;
        assert_eq!([reach("r.example", &private), reach("localhost:5000", &plain)], [Reach::Private, Reach::Loopback]);
        assert_eq!(reach("127.0.0.1.example", &plain), Reach::Public);
    }

    #[tokio::test]
    async fn a_name_that_leads_into_a_private_network_is_refused_when_connecting() {
        let transport = Transport::shared().unwrap();
        let url = Url::parse("http://localhost:1/v2/").unwrap();
        let error = transport.client(&url, &url).get(url.clone()).send().await.unwrap_err();
        let error = crate::fault::Fault::unreachable("localhost:1", error);
        assert!(error.detail().starts_with("`localhost` is an address of a private network; if"), "{error:?}");
        assert_eq!(error.nature(), crate::fault::Nature::Lasting, "trying again does not help");
    }
}
