//! Who may read the API and the status page.

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
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
    /// Nobody: the server listens on more than this machine and the operator has not said who may read.
    Nobody,
}

/// Let through, or say what to do.
pub(crate) async fn check(State(server): State<Server>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match &*server.access {
        Access::Everybody => next.run(request).await,
        Access::Token(token)
            if given.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|given| equal(given, token)) =>
        {
            next.run(request).await
        }
        Access::Token(_) => {
            (StatusCode::UNAUTHORIZED, "Send the token as `Authorization: Bearer …`.\n").into_response()
        }
        Access::Nobody => {
            let what = "Reading is switched off, because this server listens on more than this machine. Set `api: { tokenFile: … }` or \
                        `api: { public: true }` in the server file.\n";
            (StatusCode::FORBIDDEN, what).into_response()
        }
    }
}

/// Hashed first, so that the time it takes tells neither the length nor where they differ.
fn equal(given: &str, token: &SecretString) -> bool {
    Sha256::digest(given).ct_eq(&Sha256::digest(token.expose_secret())).into()
}
