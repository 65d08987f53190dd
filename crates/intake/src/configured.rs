//! From what configuration says of a receiver to its credentials, by the rules of its kind.

use secrecy::{ExposeSecret as _, SecretString};
use tagboat_model::{ReceiverName, TenantName};
use thiserror::Error;

use crate::{BodySignature, Credential, Headers, Kind, PathToken, Scheme, TokenRule, check_signing_secret};

/// Shorter ones can be found out by whoever has the address.
const SHORTEST_PATH_SECRET: usize = 16;

/// What configuration says of how a sender proves itself.
#[derive(Debug, Clone, Default)]
pub struct Configured {
    /// The scheme, where one is named.
    pub scheme: Option<Scheme>,
    /// The header that carries the secret, where one is named.
    pub header: Option<String>,
    /// The live secrets.
    pub secrets: Vec<SecretString>,
    /// Amazon SNS: the topics.
    pub topics: Vec<String>,
    /// Which tokens of which issuer.
    pub identity: Option<TokenRule>,
}

/// Why no credentials come of it. `key` is the key of the receiver's configuration that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ConfiguredError {
    /// `scheme`, `header`, `secretFiles`, `topics` or `identity`.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

/// The scheme of a receiver.
///
/// # Errors
/// When the kind does not have it, or has several and none is named.
pub fn scheme(kind: Kind, named: Option<Scheme>) -> Result<Scheme, ConfiguredError> {
    let words = || kind.schemes().iter().map(|scheme| format!("`{}`", scheme.word())).collect::<Vec<_>>().join(" or ");
    let fail = |message| ConfiguredError { key: "scheme", message };
    match named.or_else(|| kind.default_scheme()) {
        Some(scheme) if kind.schemes().contains(&scheme) => Ok(scheme),
        Some(scheme) => {
            Err(fail(format!("`{kind}` has no scheme `{}`; it proves itself by {}", scheme.word(), words())))
        }
        None => Err(fail(format!("say by which scheme `{kind}` proves itself: {}", words()))),
    }
}

/// The credentials of a receiver.
///
/// # Errors
/// [`ConfiguredError`] when something is missing, too much, or cannot be used. Secrets are not in it.
pub fn credentials(
    kind: Kind,
    tenant: &TenantName,
    receiver: &ReceiverName,
    configured: Configured,
) -> Result<Vec<Credential>, ConfiguredError> {
    let fail = |key, message: String| Err(ConfiguredError { key, message });
    let scheme = scheme(kind, configured.scheme)?;
    let Configured { header, secrets, topics, identity, .. } = configured;
    if header.is_some() && scheme != Scheme::Token {
        return fail("header", "`header` is for the scheme `token` only".to_owned());
    }
    if let Some(name) = header.as_ref().filter(|name| Headers::is_kept(&name.to_ascii_lowercase())) {
        let message = format!("`{name}` says what a request is and is kept with it; send the secret in another header");
        return fail("header", message);
    }
    if !topics.is_empty() && scheme != Scheme::Topic {
        return fail("topics", "`topics` is for the scheme `topic` only".to_owned());
    }
    if identity.is_some() && scheme != Scheme::Identity {
        return fail(
            "identity",
            format!("`identity` is for the scheme `identity`; `{kind}` goes by `{}`", scheme.word()),
        );
    }
    if !secrets.is_empty() && matches!(scheme, Scheme::Topic | Scheme::Identity) {
        let message = format!("`{kind}` goes by `{}` here, for which no secret is needed; take it away", scheme.word());
        return fail("secretFiles", message);
    }
    match scheme {
        Scheme::Topic if topics.is_empty() => fail("topics", "name the topics (ARNs) that may send".to_owned()),
        Scheme::Topic => Ok(vec![Credential::Sns { topics }]),
        Scheme::Identity => match identity {
            Some(rule) => match rule.check() {
                Ok(()) => Ok(vec![Credential::Identity(Box::new(rule))]),
                Err(message) => fail("identity", message),
            },
            None => fail("identity", "say whose tokens are believed: `identity`".to_owned()),
        },
        _ if secrets.is_empty() => {
            fail("name", format!("the receiver `{receiver}` has no credential; add `secretFiles` or `secretEnvs`"))
        }
        Scheme::Path => {
            if secrets.iter().any(|secret| secret.expose_secret().len() < SHORTEST_PATH_SECRET) {
                let message = format!(
                    "the address is made of the secret, so it must not be guessed: {SHORTEST_PATH_SECRET} characters or more"
                );
                return fail("name", message);
            }
            let token = |secret| PathToken::of(&PathToken::derive(tenant, receiver, secret));
            Ok(vec![Credential::Path { tokens: secrets.iter().map(token).collect() }])
        }
        Scheme::Token => Ok(vec![token(kind, header, secrets)]),
        Scheme::Signature => signatures(kind, secrets),
    }
}

fn token(kind: Kind, header: Option<String>, secrets: Vec<SecretString>) -> Credential {
    let usual = || kind.token_headers().iter().map(|name| (*name).to_owned()).collect();
    Credential::Token { headers: header.map_or_else(usual, |name| vec![name.to_ascii_lowercase()]), secrets }
}

fn signatures(kind: Kind, secrets: Vec<SecretString>) -> Result<Vec<Credential>, ConfiguredError> {
    let body = |scheme| Credential::BodySignature { scheme, secrets: secrets.clone() };
    Ok(match kind {
        Kind::Github => vec![body(BodySignature::Hub)],
        Kind::Gitea | Kind::Forgejo => vec![body(BodySignature::Gitea)],
        Kind::Nexus => vec![body(BodySignature::Nexus)],
        Kind::Jfrog => vec![body(BodySignature::Jfrog)],
        // GitLab's signing tokens tell by their form what they are; all others are sent as they stand.
        Kind::Gitlab => {
            let is_signing = |secret: &SecretString| secret.expose_secret().starts_with("whsec_");
            let (signing, sent): (Vec<_>, Vec<_>) = secrets.into_iter().partition(is_signing);
            let mut credentials = Vec::new();
            if !signing.is_empty() {
                check_all(&signing)?;
                credentials.push(Credential::StandardWebhooks { secrets: signing });
            }
            if !sent.is_empty() {
                credentials.push(token(kind, None, sent));
            }
            credentials
        }
        // Both are MACs under the secret; what is signed differs, so that neither can be taken for the other.
        _ => {
            check_all(&secrets)?;
            vec![Credential::StandardWebhooks { secrets: secrets.clone() }, body(BodySignature::Hub)]
        }
    })
}

fn check_all(secrets: &[SecretString]) -> Result<(), ConfiguredError> {
    let wrong = secrets.iter().find_map(|secret| check_signing_secret(secret).err());
    match wrong {
        None => Ok(()),
        Some(wrong) => {
            Err(ConfiguredError { key: "name", message: format!("its signing secret cannot be used: {wrong}") })
        }
    }
}
