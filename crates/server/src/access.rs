//! Who may read the API and the status page.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::Server;

/// Who may read.
#[derive(Debug)]
pub enum Access {
    /// Everybody who reaches the port.
    Everybody,
    /// Who knows the token.
    Token(SecretString),
    /// Nobody: the server is reached from more than this machine and the operator has not said who may read.
    Nobody,
}

/// Let through, or say what to do.
pub(crate) async fn check(State(server): State<Server>, request: Request, next: Next) -> Response {
    if permits(&server.access, request.headers()) { next.run(request).await } else { refusal(&server.access) }
}

/// Whether a request with these headers may read.
pub(crate) fn permits(access: &Access, headers: &HeaderMap) -> bool {
    match access {
        Access::Everybody => true,
        Access::Token(token) => given(headers).is_some_and(|given| equal(&given, token)),
        Access::Nobody => false,
    }
}

/// What whoever may not read is told.
pub(crate) fn refusal(access: &Access) -> Response {
    if let Access::Token(_) = access {
        // Browsers ask their user, who gives the token as the password.
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"Tagboat: any name, the token as password\"")];
        return (StatusCode::UNAUTHORIZED, ask, "Send the token as `Authorization: Bearer …`.\n").into_response();
    }
    let what = "Reading is switched off, because this server is reached from more than this machine. Set \
                `api: { tokenFile: … }` or `api: { public: true }` in the server file.\n";
    (StatusCode::FORBIDDEN, what).into_response()
}

/// The token as a program sends it, or as a browser does.
fn given(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    let pair = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest))?;
    let pair = String::from_utf8(pair.ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

/// Hashed first, so that the time it takes tells neither the length nor where they differ.
fn equal(given: &str, token: &SecretString) -> bool {
    Sha256::digest(given).ct_eq(&Sha256::digest(token.expose_secret())).into()
}
