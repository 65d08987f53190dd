//! How an App shows who it is: its own token (RS256, RFC 7519), and those of its installations, each for one repository
//! and for what is needed there alone.
//!
//! docs.github.com, "Generating a JSON Web Token (JWT) for a GitHub App" and "Generating an installation access token".

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use http::Method;
use octocrab::jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tagboat_model::{Duration, Timestamp};
use tagboat_ports::Clock;

use super::client::{Bearer, Client, Repeat, is_same};
use crate::{
    error::Failure,
    http::{encoded, time_of},
};

/// GitHub's clock may be behind ours.
const BACKDATED: i64 = 60;
/// GitHub takes ten minutes at most; ours may be ahead.
const LIFE: i64 = 540;
/// So long before it ends, a token is renewed.
const EARLY: Duration = Duration::from_seconds(300);

/// What is asked for, where it was granted. `workflows` never: the files that it opens are not Tagboat's.
const WANTED: [(&str, Level); 7] = [
    ("contents", Level::Write),
    ("pull_requests", Level::Write),
    ("issues", Level::Write),
    ("checks", Level::Write),
    ("statuses", Level::Write),
    ("metadata", Level::Read),
    ("members", Level::Read),
];

/// How much of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Read,
    Write,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// RFC 7519, section 4.1, as GitHub reads it.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: String,
}

fn claims(app_id: u64, now: Timestamp) -> Claims {
    let now = now.0.div_euclid(1000);
    Claims { iat: now - BACKDATED, exp: now + LIFE, iss: app_id.to_string() }
}

/// The App itself.
pub(crate) struct AppKey {
    app_id: u64,
    key: EncodingKey,
    clock: Arc<dyn Clock>,
}

impl AppKey {
    /// With the private key that GitHub made for the App, as PEM.
    pub(crate) fn new(app_id: u64, private_key: &SecretString, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let key = EncodingKey::from_rsa_pem(private_key.expose_secret().trim().as_bytes()).map_err(|_| {
            Failure::permanent(
                "the App's private key is no PEM of an RSA key; it is the file that GitHub gives out under \"Private keys\", and begins with `-----BEGIN RSA PRIVATE KEY-----`",
            )
        })?;
        Ok(Self { app_id, key, clock })
    }

    fn sign(&self) -> Result<SecretString, Failure> {
        let signed = encode(&Header::new(Algorithm::RS256), &claims(self.app_id, self.clock.now()), &self.key);
        // What is in the error is about the key.
        let signed = signed.map_err(|_| Failure::permanent("the App's private key cannot sign"))?;
        Ok(SecretString::from(signed))
    }
}

#[async_trait]
impl Bearer for AppKey {
    async fn credential(&self) -> Result<Option<SecretString>, Failure> {
        self.sign().map(Some)
    }

    fn forget(&self, _refused: &SecretString) -> bool {
        false
    }
}

/// For what a token is: an installation, and one of its repositories; without one, to see which there are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope {
    pub(crate) installation: u64,
    /// Its name without the owner.
    pub(crate) repository: Option<String>,
    /// Whether nothing is to be written with it.
    pub(crate) reads_only: bool,
}

struct Held {
    token: SecretString,
    expires: Timestamp,
}

/// One token, fetched by one at a time.
#[derive(Default)]
struct Slot {
    turn: tokio::sync::Mutex<()>,
    held: Mutex<Option<Held>>,
}

impl Slot {
    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token, if it lives for longer than that.
    fn valid(&self, now: Timestamp, left: Duration) -> Option<SecretString> {
        let held = self.held();
        held.as_ref().filter(|held| held.expires > now.plus(left)).map(|held| held.token.clone())
    }
}

/// Tokens of all installations.
pub(crate) struct Tokens {
    /// Asks as the App.
    app: Arc<Client>,
    slots: Mutex<BTreeMap<Scope, Arc<Slot>>>,
}

/// `GET /app/installations/{id}`.
#[derive(Deserialize)]
struct Granted {
    #[serde(default)]
    permissions: BTreeMap<String, String>,
    suspended_at: Option<String>,
}

#[derive(Deserialize)]
struct Minted {
    token: SecretString,
    expires_at: String,
}

impl Tokens {
    /// `app` asks as the App.
    pub(crate) fn new(app: Arc<Client>) -> Self {
        Self { app, slots: Mutex::new(BTreeMap::new()) }
    }

    fn slot(&self, scope: &Scope) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(scope.clone()).or_default())
    }

    /// The token that is there, if it is of use for a minute at least.
    pub(crate) fn cached(&self, scope: &Scope) -> Option<SecretString> {
        self.slot(scope).valid(self.app.now(), Duration::from_seconds(60))
    }

    /// A token; a new one in time before the old one ends. Whoever asks meanwhile waits for it.
    pub(crate) async fn get(&self, scope: &Scope) -> Result<SecretString, Failure> {
        let slot = self.slot(scope);
        if let Some(token) = slot.valid(self.app.now(), EARLY) {
            return Ok(token);
        }
        let _turn = slot.turn.lock().await;
        if let Some(token) = slot.valid(self.app.now(), EARLY) {
            return Ok(token);
        }
        match self.mint(scope).await {
            Ok(held) => {
                let token = held.token.clone();
                *slot.held() = Some(held);
                Ok(token)
            }
            // The old one still serves while GitHub has trouble.
            Err(failure) => slot.valid(self.app.now(), Duration::from_seconds(10)).ok_or(failure),
        }
    }

    /// Let go of the token of a scope. Returns whether there was one.
    pub(crate) fn renew(&self, scope: &Scope) -> bool {
        self.slot(scope).held().take().is_some()
    }

    /// GitHub does not know this token any more.
    pub(crate) fn forget(&self, scope: &Scope, refused: &SecretString) {
        let slot = self.slot(scope);
        let mut held = slot.held();
        if held.as_ref().is_some_and(|held| is_same(&held.token, refused)) {
            *held = None;
        }
    }

    async fn mint(&self, scope: &Scope) -> Result<Held, Failure> {
        let path = format!("/app/installations/{}", scope.installation);
        let answer = self.app.get(&path).await?;
        if answer.status == 404 {
            return Err(Failure::permanent(
                "the App is not installed there any more; install it on the repository again",
            ));
        }
        let granted: Granted = answer.success()?.json()?;
        if granted.suspended_at.is_some() {
            return Err(Failure::permanent(
                "the App's installation is suspended; somebody with its account can end that",
            ));
        }
        let permissions = narrowed(&granted.permissions, scope);
        let body = match &scope.repository {
            Some(repository) => json!({ "permissions": permissions, "repositories": [repository] }),
            None => json!({ "permissions": permissions }),
        };
        // A token that nobody got ends by itself.
        let path = format!("{path}/access_tokens");
        let answer = self.app.write(Method::POST, &path, Some(&body), Repeat::Harmless).await?;
        if answer.status == 422 {
            return Err(Failure::permanent(format!(
                "GitHub gives no token for it ({}); is the App installed on this repository?",
                answer.words()
            )));
        }
        let minted: Minted = answer.success()?.json()?;
        Ok(Held { token: minted.token, expires: time_of(&minted.expires_at)? })
    }
}

/// Of what was granted, what is needed.
fn narrowed(granted: &BTreeMap<String, String>, scope: &Scope) -> BTreeMap<&'static str, &'static str> {
    let level = |name: &str| match granted.get(name).map(String::as_str) {
        Some("write" | "admin") => Some(Level::Write),
        Some("read") => Some(Level::Read),
        _ => None,
    };
    let is_wanted = |name: &str| match (&scope.repository, scope.reads_only) {
        (None, _) => name == "metadata",
        (Some(_), true) => matches!(name, "metadata" | "contents"),
        (Some(_), false) => true,
    };
    let highest = if scope.reads_only { Level::Read } else { Level::Write };
    let wanted = WANTED.iter().filter(|(name, _)| is_wanted(name));
    wanted.filter_map(|(name, most)| Some((*name, level(name)?.min(*most).min(highest).word()))).collect()
}

/// An installation, asking about one repository.
pub(crate) struct OfInstallation {
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) scope: Scope,
}

#[async_trait]
impl Bearer for OfInstallation {
    async fn credential(&self) -> Result<Option<SecretString>, Failure> {
        self.tokens.get(&self.scope).await.map(Some)
    }

    fn forget(&self, refused: &SecretString) -> bool {
        self.tokens.forget(&self.scope, refused);
        true
    }
}

/// An account's name in a path.
pub(crate) fn user_path(login: &str) -> String {
    format!("/users/{}", encoded(login))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{encoding::AsDer as _, rsa::KeySize, signature::RsaKeyPair};
    use base64::{
        Engine as _,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };
    use serde_json::Value;

    use super::*;

    struct At(Timestamp);

    #[async_trait]
    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }

        async fn sleep_until(&self, _point: Timestamp) {}
    }

    fn clock() -> Arc<dyn Clock> {
        Arc::new(At(Timestamp(1_700_000_000_900)))
    }

    #[test]
    fn the_token_of_the_app_says_who_for_nine_minutes() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        let token = AppKey::new(4711, &SecretString::from(pem), clock()).unwrap().sign().unwrap();
        let parts: Vec<&str> = token.expose_secret().split('.').collect();
        let part = |n: usize| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[n]).unwrap()).unwrap() };
        assert_eq!(part(0)["alg"], "RS256");
        assert_eq!(part(1), json!({ "iat": 1_699_999_940, "exp": 1_700_000_540, "iss": "4711" }));
    }

    #[test]
    fn a_key_that_is_none_is_not_shown() {
        let failure = AppKey::new(1, &SecretString::from("s3cret"), clock()).err().unwrap();
        assert!(failure.detail.contains("BEGIN RSA PRIVATE KEY") && !failure.detail.contains("s3cret"));
    }

    #[test]
    fn a_token_has_what_is_needed_of_what_was_granted() {
        let granted = [
            ("contents", "write"),
            ("checks", "read"),
            ("workflows", "write"),
            ("metadata", "read"),
            ("members", "write"),
        ];
        let granted = granted.map(|(name, level)| (name.to_owned(), level.to_owned())).into();
        let wanted = [("contents", "write"), ("checks", "read"), ("metadata", "read"), ("members", "read")];
        let scope = |repository: Option<&str>, reads_only| Scope {
            installation: 1,
            repository: repository.map(str::to_owned),
            reads_only,
        };
        assert_eq!(narrowed(&granted, &scope(Some("config"), false)), BTreeMap::from(wanted));
        let reading = BTreeMap::from([("contents", "read"), ("metadata", "read")]);
        assert_eq!(narrowed(&granted, &scope(Some("shop"), true)), reading);
        assert_eq!(narrowed(&granted, &scope(None, true)), BTreeMap::from([("metadata", "read")]));
    }

    #[test]
    fn a_token_is_renewed_before_it_ends() {
        let slot = Slot::default();
        let now = Timestamp(0);
        assert!(slot.valid(now, EARLY).is_none());
        *slot.held() = Some(Held { token: SecretString::from("t"), expires: now.plus(Duration::from_seconds(3600)) });
        assert!(slot.valid(now, EARLY).is_some());
        let late = now.plus(Duration::from_seconds(3301));
        assert!(slot.valid(late, EARLY).is_none() && slot.valid(late, Duration::from_seconds(60)).is_some());
    }
}
