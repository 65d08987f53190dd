//! A token server as distribution's token specification describes it, for a registry that trusts its certificate.
//!
//! Tokens are JSON Web Tokens signed with ES256, with the certificate in `x5c`. The registry grants a minute beyond
//! the end of a token; lives are counted here until the moment at which the registry really refuses it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, Response, StatusCode},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

/// What distribution 2.8 grants to clocks that differ.
const LEEWAY: i64 = 60;
const HOUR: Duration = Duration::from_secs(3600);

/// A running server. Clones are the same server; it ends with the last of them.
#[derive(Debug, Clone)]
pub struct TokenServer(Arc<Running>);

#[derive(Debug)]
struct Running {
    host: String,
    key: EcdsaKeyPair,
    certificate: Vec<u8>,
    rules: Mutex<Rules>,
    /// Dropping it stops the server. The server itself has no part in this value's life.
    _stop: tokio::sync::oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct Rules {
    password: Option<(String, String)>,
    refresh_token: Option<String>,
    life: Option<Duration>,
    announced: Option<Duration>,
    scopes: Vec<String>,
    refused: usize,
    answers_wait: Duration,
}

impl TokenServer {
    /// The service that tokens are for.
    pub const SERVICE: &str = "tests";
    /// Who issues them.
    pub const ISSUER: &str = "tagboat-testkit";

    /// Start it. It gives tokens to everybody until [`Self::set_password`] is called.
    ///
    /// # Panics
    /// When no port can be bound.
    #[must_use]
    pub fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let pkcs8 = made.signing_key.serialize_der();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let certificate = made.cert.der().to_vec();
        let running = Arc::new(Running { host, key, certificate, rules: Mutex::default(), _stop: stop });
        let served = Arc::downgrade(&running);
        // A thread of its own: a test that waits for a process must not keep that process waiting for tokens.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let router = Router::new().fallback(serve).with_state(served);
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    // An error means that the value is gone, which is a stop as well.
                    _ = stopped => {}
                }
            });
        });
        Self(running)
    }

    /// Host and port.
    #[must_use]
    pub fn host(&self) -> String {
        self.0.host.clone()
    }

    /// What a registry sends its clients to.
    #[must_use]
    pub fn realm(&self) -> String {
        format!("http://{}/token", self.0.host)
    }

    /// The certificate that a registry has to trust, as PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&self.0.certificate))
    }

    /// From now on only this user gets tokens.
    pub fn set_password(&self, user: &str, password: &str) {
        self.rules().password = Some((user.to_owned(), password.to_owned()));
    }

    /// From now on this refresh token is accepted as well.
    pub fn set_refresh_token(&self, token: &str) {
        self.rules().refresh_token = Some(token.to_owned());
    }

    /// How long the registry accepts new tokens, and how long the answer says that it does.
    pub fn set_life(&self, life: Duration, announced: Duration) {
        let mut rules = self.rules();
        (rules.life, rules.announced) = (Some(life), Some(announced));
    }

    /// Answer only after this time, as a server far away does.
    pub fn set_delay(&self, delay: Duration) {
        self.rules().answers_wait = delay;
    }

    /// The scopes for which tokens were given so far, in order.
    #[must_use]
    pub fn exchanges(&self) -> Vec<String> {
        self.rules().scopes.clone()
    }

    /// How many requests had a wrong credential.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.rules().refused
    }

    /// A token without asking, to push with.
    #[must_use]
    pub fn token_to_push(&self, repository: &str) -> String {
        self.0.token(repository, &["pull", "push"], HOUR)
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Rules> {
        self.0.rules.lock().unwrap()
    }
}

impl Running {
    fn token(&self, repository: &str, actions: &[&str], life: Duration) -> String {
        let (now, life) = (now(), i64::try_from(life.as_secs()).unwrap());
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&self.certificate)] });
        let claims = json!({
            "iss": TokenServer::ISSUER, "sub": "bot", "aud": TokenServer::SERVICE,
            "exp": now + life - LEEWAY, "nbf": now - 3600, "iat": now - 3600, "jti": format!("{now}-{repository}"),
            "access": [{ "type": "repository", "name": repository, "actions": actions }],
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    fn answer(&self, headers: &HeaderMap, parameters: &[(String, String)]) -> Response<String> {
        let value = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let mut rules = self.rules.lock().unwrap();
        let basic = rules.password.as_ref().map(|(user, password)| STANDARD.encode(format!("{user}:{password}")));
        let given = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
        let refresh = rules.refresh_token.is_some() && value("refresh_token") == rules.refresh_token.as_deref();
        let refresh = refresh && value("grant_type") == Some("refresh_token");
        if !refresh && basic.is_some() && given != basic.as_deref() {
            rules.refused += 1;
            return response(StatusCode::UNAUTHORIZED, &json!({ "errors": [{ "code": "UNAUTHORIZED" }] }));
        }
        let (Some(scope), Some(TokenServer::SERVICE)) = (value("scope"), value("service")) else {
            return response(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request" }));
        };
        let [_, repository, actions] = scope.split(':').collect::<Vec<_>>()[..] else { panic!("scope {scope}") };
        rules.scopes.push(scope.to_owned());
        let (life, announced) = (rules.life.unwrap_or(HOUR), rules.announced.unwrap_or(HOUR));
        let token = self.token(repository, &actions.split(',').collect::<Vec<_>>(), life);
        let issued = tagboat_model::Timestamp(now() * 1000).to_string();
        let name = if refresh { "access_token" } else { "token" };
        response(StatusCode::OK, &json!({ name: token, "expires_in": announced.as_secs(), "issued_at": issued }))
    }
}

async fn serve(State(running): State<std::sync::Weak<Running>>, request: Request) -> Response<String> {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, 64 << 10).await.unwrap().to_vec()).unwrap();
    let parameters = pairs(parts.uri.query().unwrap_or(&body));
    let Some(running) = running.upgrade() else { return response(StatusCode::SERVICE_UNAVAILABLE, &Value::Null) };
    let delay = running.rules.lock().unwrap().answers_wait;
    tokio::time::sleep(delay).await;
    running.answer(&parts.headers, &parameters)
}

/// `a=b&c=d`, decoded by the parser of URLs.
fn pairs(text: &str) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://localhost/?{text}")).unwrap();
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

fn response(status: StatusCode, body: &Value) -> Response<String> {
    Response::builder().status(status).header("content-type", "application/json").body(body.to_string()).unwrap()
}

fn now() -> i64 {
    i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}
