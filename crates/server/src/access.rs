//! Who may read the API and the status page, and who may give commands.
//!
//! Commands change what runs, so that reading by everybody does not mean commands by everybody. They need the token; without
//! one they are taken only where nobody but this machine reaches the server, and then from no page of a browser that came from
//! elsewhere.

use std::net::IpAddr;

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

use crate::{Server, api};

/// Who may read.
#[derive(Debug)]
pub enum Access {
    /// Everybody who reaches the port, and nobody may give commands.
    Everybody,
    /// Everybody who reaches the port, which is only this machine; they may give commands as well.
    Local,
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
        Access::Everybody | Access::Local => true,
        Access::Token(token) => given(headers).is_some_and(|given| equal(&given, token)),
        Access::Nobody => false,
    }
}

/// Let a command through, or say what to do.
pub(crate) async fn check_command(State(server): State<Server>, request: Request, next: Next) -> Response {
    let permitted = match &*server.access {
        Access::Local => is_of_this_machine(request.headers()),
        Access::Everybody | Access::Nobody => false,
        Access::Token(_) => permits(&server.access, request.headers()),
    };
    if permitted { next.run(request).await } else { command_refusal(&server.access) }
}

/// What whoever may not give commands is told.
fn command_refusal(access: &Access) -> Response {
    let (status, what) = match access {
        Access::Token(_) => (StatusCode::UNAUTHORIZED, "send the API's token as `Authorization: Bearer …`"),
        Access::Local => {
            (StatusCode::FORBIDDEN, "without a token, commands are taken from programs of this machine only")
        }
        Access::Everybody | Access::Nobody => (
            StatusCode::FORBIDDEN,
            "commands are switched off, because this server may be reached from more than this machine and has no token; \
             set `api: { tokenFile: … }` in the server file",
        ),
    };
    api::problem(status, what)
}

/// Whether a request was sent to this machine by its own name, and by no page that came from elsewhere: a name that somebody
/// else's server leads here would make that page one of ours.
fn is_of_this_machine(headers: &HeaderMap) -> bool {
    let is_local = |name: &header::HeaderName| match headers.get(name) {
        None => true,
        Some(value) => value.to_str().is_ok_and(is_loopback),
    };
    is_local(&header::HOST) && is_local(&header::ORIGIN)
}

/// Whether an authority, with or without a scheme before it, is this machine's.
fn is_loopback(text: &str) -> bool {
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_from_elsewhere_is_not_of_this_machine() {
        for local in ["localhost:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "http://LOCALHOST:8080"] {
            assert!(is_loopback(local), "{local}");
        }
        for other in
            ["", "null", "evil.example", "localhost.evil.example:8080", "https://127.0.0.1.evil.example", "10.0.0.1"]
        {
            assert!(!is_loopback(other), "{other}");
        }
        let headers = |pairs: &[(header::HeaderName, &str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
        };
        assert!(is_of_this_machine(&headers(&[(header::HOST, "127.0.0.1:8080")])));
        assert!(!is_of_this_machine(&headers(&[(header::HOST, "evil.example:8080")])), "a name that leads here");
        assert!(!is_of_this_machine(&headers(&[
            (header::HOST, "localhost"),
            (header::ORIGIN, "https://evil.example")
        ])));
    }
}
