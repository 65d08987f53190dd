//! An issuer of OIDC tokens on this machine, as CI has one: its discovery document, its keys, its tokens, and the
//! endpoint by which a job of GitHub Actions asks for its token.
//!
//! That endpoint is `ACTIONS_ID_TOKEN_REQUEST_URL` with `&audience=…` behind it, asked with `Authorization: Bearer` and
//! `ACTIONS_ID_TOKEN_REQUEST_TOKEN`; it answers `{"count": …, "value": "<token>"}` (docs.github.com, "OpenID Connect
//! reference").

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, Weak},
    time::SystemTime,
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use axum::{
    Router,
    extract::{Request, State},
    http::{Method, Response, StatusCode},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/keys";
const TOKEN: &str = "/token";
/// The audience of those who name none: at GitHub the owner of the repository.
const USUAL_AUDIENCE: &str = "https://github.com/acme";
/// How long tokens live unless told, in seconds. GitHub's do.
const LIFE: i64 = 300;

/// A running issuer. Clones are the same issuer; it ends with the last of them.
#[derive(Clone)]
pub struct OidcIssuer(Arc<Running>);

struct Running {
    host: String,
    memory: Mutex<Memory>,
    stranger: OnceLock<RsaKeyPair>,
    /// Dropping it stops the server. The server itself has no part in this value's life.
    _stop: tokio::sync::oneshot::Sender<()>,
}

struct Memory {
    /// The last signs; the ones before are still published.
    keys: Vec<Keys>,
    /// What a job must show, and the claims of the token that it gets.
    job: Option<(String, Value)>,
    audiences: Vec<String>,
    discoveries: usize,
    key_requests: usize,
}

/// Keys that are in use together.
struct Keys {
    rsa: RsaKeyPair,
    elliptic: EcdsaKeyPair,
}

impl Keys {
    fn new() -> Self {
        let elliptic = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), elliptic }
    }

    /// As they are published (RFC 7517).
    fn published(&self, number: usize) -> [Value; 2] {
        // `RSAPublicKey` (RFC 8017): headers of the sequence and of the first number, a zero byte, 256 bytes, the
        // header of the second number.
        let rsa = self.rsa.public_key().as_ref();
        // An uncompressed point (SEC 1): 4, x, y.
        let point = self.elliptic.public_key().as_ref();
        [
            json!({ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": format!("rsa-{number}"),
                "n": encode(&rsa[9..265]), "e": encode(&rsa[267..]) }),
            json!({ "kty": "EC", "alg": "ES256", "use": "sig", "crv": "P-256", "kid": format!("elliptic-{number}"),
                "x": encode(&point[1..33]), "y": encode(&point[33..]) }),
        ]
    }
}

impl fmt::Debug for OidcIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcIssuer").field("host", &self.0.host).finish_non_exhaustive()
    }
}

impl OidcIssuer {
    /// Start it.
    ///
    /// # Panics
    /// When no port can be bound.
    #[must_use]
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let memory =
            Memory { keys: vec![Keys::new()], job: None, audiences: Vec::new(), discoveries: 0, key_requests: 0 };
        let running = Arc::new(Running { host, memory: Mutex::new(memory), stranger: OnceLock::new(), _stop: stop });
        let served = Arc::downgrade(&running);
        // A thread of its own: a test that waits for a process must not keep that process waiting for keys.
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

    /// Its name: what `iss` says, and below which its discovery document is.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// A token with these claims. `iss`, `iat`, `exp` and the key's name (`kid`, which goes into the header) are filled
    /// in unless they are given; a claim that is null is left out.
    #[must_use]
    pub fn token(&self, claims: Value) -> String {
        self.0.token(claims)
    }

    /// The same, signed with the elliptic key (ES256).
    ///
    /// # Panics
    /// When the claims are not an object.
    #[must_use]
    pub fn elliptic_token(&self, claims: Value) -> String {
        let memory = self.0.memory();
        let keys = memory.keys.last().unwrap();
        let message = self.0.message("ES256", &format!("elliptic-{}", memory.keys.len()), claims);
        let signature = keys.elliptic.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", encode(signature.as_ref()))
    }

    /// The same, signed by somebody else under the name of the issuer's key.
    #[must_use]
    pub fn token_signed_by_stranger(&self, claims: Value) -> String {
        let id = format!("rsa-{}", self.0.memory().keys.len());
        let stranger = self.0.stranger.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        sign(stranger, &self.0.message("RS256", &id, claims))
    }

    /// From now on new keys under new names sign. The ones before are still published.
    pub fn rotate(&self) {
        let keys = Keys::new();
        self.0.memory().keys.push(keys);
    }

    /// How often its discovery document was asked for.
    #[must_use]
    pub fn discoveries(&self) -> usize {
        self.0.memory().discoveries
    }

    /// How often its keys were asked for.
    #[must_use]
    pub fn key_requests(&self) -> usize {
        self.0.memory().key_requests
    }

    /// From now on a job that shows this token gets one with these claims, for the audience that it names.
    pub fn answer_job(&self, request_token: &str, claims: Value) {
        self.0.memory().job = Some((request_token.to_owned(), claims));
    }

    /// What such a job finds in `ACTIONS_ID_TOKEN_REQUEST_URL`.
    #[must_use]
    pub fn request_url(&self) -> String {
        format!("{}{TOKEN}?api-version=2.0", self.url())
    }

    /// The audiences for which jobs got tokens, in order.
    #[must_use]
    pub fn audiences(&self) -> Vec<String> {
        self.0.memory().audiences.clone()
    }
}

impl Running {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    fn url(&self) -> String {
        format!("http://{}", self.host)
    }

    fn token(&self, claims: Value) -> String {
        let memory = self.memory();
        let message = self.message("RS256", &format!("rsa-{}", memory.keys.len()), claims);
        sign(&memory.keys.last().unwrap().rsa, &message)
    }

    /// Header and claims, to be signed.
    fn message(&self, algorithm: &str, id: &str, claims: Value) -> String {
        let Value::Object(mut claims) = claims else { panic!("claims are an object") };
        let id = claims.remove("kid").unwrap_or_else(|| json!(id));
        let now = now();
        for (name, value) in [("iss", json!(self.url())), ("iat", json!(now)), ("exp", json!(now + LIFE))] {
            claims.entry(name).or_insert(value);
        }
        claims.retain(|_, value| !value.is_null());
        let header = json!({ "typ": "JWT", "alg": algorithm, "kid": id });
        format!("{}.{}", encode(header.to_string().as_bytes()), encode(Value::Object(claims).to_string().as_bytes()))
    }

    fn answer(&self, path: &str, audience: Option<&str>, bearer: Option<&str>) -> Response<String> {
        match path {
            DISCOVERY => {
                self.memory().discoveries += 1;
                let document = json!({
                    "issuer": self.url(), "jwks_uri": format!("{}{KEYS}", self.url()),
                    "id_token_signing_alg_values_supported": ["RS256", "ES256"],
                    "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
                });
                response(StatusCode::OK, &document)
            }
            KEYS => {
                let mut memory = self.memory();
                memory.key_requests += 1;
                let keys = memory.keys.iter().enumerate().flat_map(|(index, keys)| keys.published(index + 1));
                response(StatusCode::OK, &json!({ "keys": keys.collect::<Vec<Value>>() }))
            }
            TOKEN => self.answer_job(audience, bearer),
            _ => response(StatusCode::NOT_FOUND, &json!({ "message": "not found" })),
        }
    }

    fn answer_job(&self, audience: Option<&str>, bearer: Option<&str>) -> Response<String> {
        let job = self.memory().job.clone();
        let Some((_, mut claims)) = job.filter(|(token, _)| bearer == Some(token.as_str())) else {
            return response(StatusCode::UNAUTHORIZED, &json!({ "message": "the request token is not the job's" }));
        };
        let audience = audience.unwrap_or(USUAL_AUDIENCE);
        claims["aud"] = json!(audience);
        self.memory().audiences.push(audience.to_owned());
        response(StatusCode::OK, &json!({ "count": 1, "value": self.token(claims) }))
    }
}

async fn serve(State(running): State<Weak<Running>>, request: Request) -> Response<String> {
    let Some(running) = running.upgrade() else { return response(StatusCode::SERVICE_UNAVAILABLE, &Value::Null) };
    if request.method() != Method::GET {
        return response(StatusCode::METHOD_NOT_ALLOWED, &Value::Null);
    }
    let url = reqwest::Url::parse(&format!("http://localhost{}", request.uri())).unwrap();
    let audience = url.query_pairs().find(|(name, _)| name == "audience").map(|(_, value)| value.into_owned());
    let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    running.answer(url.path(), audience.as_deref(), bearer)
}

fn sign(key: &RsaKeyPair, message: &str) -> String {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", encode(&signature))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn response(status: StatusCode, body: &Value) -> Response<String> {
    Response::builder().status(status).header("content-type", "application/json").body(body.to_string()).unwrap()
}

fn now() -> i64 {
    i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}
