//! The three kinds of documents, and what each must be to be believed.

use std::sync::Arc;

use reqwest::Url;
use serde::{Deserialize, de::IgnoredAny};
use tagboat_model::shown;
use tagboat_ports::KeyError;

use crate::{
    address::{fetchable, is_this_machine},
    error,
    transport::Transport,
};

/// Where a document is.
pub(crate) enum Place {
    /// Where the discovery document of this issuer says.
    Discovered { issuer: String, discovery: Url },
    /// A key set.
    KeySet(Url),
    /// A certificate of Amazon SNS.
    Certificate(Url),
}

/// OpenID Connect Discovery 1.0, section 3. All else in it is of no interest here.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// RFC 7517, section 5. Which keys there are, is for whoever looks for one.
#[derive(Deserialize)]
struct KeySet {
    #[serde(rename = "keys")]
    _keys: Vec<IgnoredAny>,
}

impl Place {
    /// Section 4.1: below the issuer's address, with or without a slash at its end.
    pub(crate) fn discovered(issuer: &str) -> Result<Self, String> {
        if fetchable(issuer)?.query().is_some() {
            return Err("the address of an issuer has no query".to_owned());
        }
        let discovery = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        Ok(Self::Discovered { issuer: issuer.to_owned(), discovery: fetchable(&discovery)? })
    }

    /// The address that is asked first.
    pub(crate) fn url(&self) -> &Url {
        match self {
            Self::Discovered { discovery: url, .. } | Self::KeySet(url) | Self::Certificate(url) => url,
        }
    }

    /// Fetch the document.
    pub(crate) async fn fetch(&self, transport: &Transport) -> Result<Arc<[u8]>, KeyError> {
        match tokio::time::timeout(transport.timeout, self.fetch_in_time(transport)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(error(self.url().as_str(), "it did not answer in time")),
        }
    }

    async fn fetch_in_time(&self, transport: &Transport) -> Result<Arc<[u8]>, KeyError> {
        match self {
            Self::Discovered { issuer, discovery } => {
                let document = transport.get(discovery).await?;
                let keys = key_set_address(&document, issuer, is_this_machine(discovery))
                    .map_err(|detail| error(discovery.as_str(), detail))?;
                fetch_key_set(transport, &keys).await
            }
            Self::KeySet(url) => fetch_key_set(transport, url).await,
            Self::Certificate(url) => {
                let document = transport.get(url).await?;
                // PEM is text; where it is not, whoever reads the certificate says so.
                if document.windows(BEGIN.len()).any(|part| part == BEGIN) {
                    Ok(document.into())
                } else {
                    Err(error(url.as_str(), "it answered with something that is not a certificate"))
                }
            }
        }
    }
}

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

async fn fetch_key_set(transport: &Transport, url: &Url) -> Result<Arc<[u8]>, KeyError> {
    key_set(transport.get(url).await?).map_err(|what| error(url.as_str(), format!("it answered with what {what}")))
}

/// A document, if it is a key set.
pub(crate) fn key_set(document: Vec<u8>) -> Result<Arc<[u8]>, String> {
    match serde_json::from_slice::<KeySet>(&document) {
        Ok(_) => Ok(document.into()),
        Err(_) => Err("is not a key set as `{\"keys\": […]}`".to_owned()),
    }
}

/// Where a discovery document says that the keys are.
fn key_set_address(document: &[u8], issuer: &str, is_local: bool) -> Result<Url, String> {
    let Ok(found) = serde_json::from_slice::<Discovery>(document) else {
        return Err("it answered with what is not a discovery document with `issuer` and `jwks_uri`".to_owned());
    };
    // Section 4.3: exactly. Otherwise one issuer could speak for another.
    if found.issuer != issuer {
        return Err(format!("it describes the issuer {}, not {issuer}", shown(&found.issuer)));
    }
    let url = fetchable(&found.jwks_uri).map_err(|what| format!("its `jwks_uri` cannot be used: {what}"))?;
    if url.scheme() != "https" && !is_local {
        return Err("its `jwks_uri` leads to this machine".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(issuer: &str, keys: &str, configured: &str, is_local: bool) -> Result<String, String> {
        let document =
            format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}","token_endpoint":"https://unimplemented"}}"#);
        key_set_address(document.as_bytes(), configured, is_local).map(|url| url.to_string())
    }

    #[test]
    fn a_discovery_document_speaks_for_its_own_issuer_alone() {
        const ISSUER: &str = "https://ci.example";
        let keys = "https://keys.example/jwks?v=1";
        assert_eq!(address(ISSUER, keys, ISSUER, false), Ok(keys.to_owned()));
        for other in ["https://ci.example/", "https://CI.example", "http://ci.example", "https://evil.example", ""] {
            assert!(address(other, keys, ISSUER, false).unwrap_err().starts_with("it describes the issuer"), "{other}");
        }
    }

    #[test]
    fn keys_come_over_https_unless_the_issuer_is_this_machine() {
        let local = "http://127.0.0.1:8080/jwks";
        for (keys, public, own) in [
            ("https://keys.example/jwks", true, true),
            (local, false, true),
            ("http://keys.example/jwks", false, false),
            ("http://10.0.0.1/jwks", false, false),
            ("file:///etc/keys", false, false),
            ("/jwks", false, false),
            ("https://user:pw@keys.example/jwks", false, false),
        ] {
            let answers =
                [false, true].map(|is_local| address("https://a.example", keys, "https://a.example", is_local).is_ok());
            assert_eq!(answers, [public, own], "{keys}");
        }
    }

    #[test]
    fn discovery_is_found_below_the_issuer() {
        for (issuer, discovery) in [
            ("https://ci.example", "https://ci.example/.well-known/openid-configuration"),
            ("https://ci.example/", "https://ci.example/.well-known/openid-configuration"),
            ("https://ci.example/org/1", "https://ci.example/org/1/.well-known/openid-configuration"),
        ] {
            assert_eq!(Place::discovered(issuer).unwrap().url().as_str(), discovery);
        }
        for bad in ["", "ci.example", "http://ci.example", "https://ci.example?a=b", "https://ci.example#a"] {
            assert!(Place::discovered(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_set_has_keys_whatever_they_are() {
        for good in [r#"{"keys":[]}"#, r#"{"keys":[7,{"kty":"new"}],"other":1}"#] {
            assert!(key_set(good.into()).is_ok(), "{good}");
        }
        for bad in ["", "{}", "[]", r#"{"keys":{}}"#, "<html></html>", r#"{"keys":[]}x"#] {
            assert!(key_set(bad.into()).is_err(), "{bad}");
        }
    }
}
