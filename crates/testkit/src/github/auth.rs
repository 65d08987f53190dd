//! Who asks: the App by its JWT (RS256), an installation by its token; and what they may.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::{
    answer::Answer,
    state::{APP_ID, CLIENT_ID, State, Token},
};

/// The App's private key, which is no secret: it opens nothing but the fake.
pub(super) const APP_KEY: &str = include_str!("../../github-api/app-key.pem");

/// Who asks.
pub(super) enum Caller {
    App,
    Installation(Token),
}

/// The key of a PEM text in PKCS #1, as GitHub gives it out.
fn key(pem: &str) -> RsaKeyPair {
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    RsaKeyPair::from_der(&STANDARD.decode(text).unwrap()).unwrap()
}

/// A token of the App that is valid from `now` (in seconds), one minute ago, for nine minutes.
pub(super) fn app_token(now: u64) -> String {
    signed(&key(APP_KEY), &json!({ "iat": now - 60, "exp": now + 540, "iss": CLIENT_ID }))
}

/// The same, signed with a key that is not the App's.
pub(super) fn token_of_stranger(now: u64) -> String {
    let stranger = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    signed(&stranger, &json!({ "iat": now - 60, "exp": now + 540, "iss": CLIENT_ID }))
}

fn signed(key: &RsaKeyPair, claims: &Value) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = json!({ "alg": "RS256", "typ": "JWT" }).to_string();
    let message = format!("{}.{}", encode(&header), encode(&claims.to_string()));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Who shows this `Authorization` header.
pub(super) fn caller(state: &State, header: &str) -> Result<Caller, Answer> {
    let (scheme, credential) = header.split_once(' ').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") && !scheme.eq_ignore_ascii_case("token") {
        return Err(Answer::refused(401, "Requires authentication"));
    }
    if credential.starts_with("ghs_") {
        return token(state, credential).map(Caller::Installation);
    }
    verify(credential, state.seconds()).map_err(|message| Answer::refused(401, message))?;
    Ok(Caller::App)
}

/// A token that is known and not over.
pub(super) fn token(state: &State, text: &str) -> Result<Token, Answer> {
    let found = state.tokens.iter().find(|token| token.text == text && token.expires > state.now());
    found.cloned().ok_or_else(|| Answer::refused(401, "Bad credentials"))
}

/// Signature and claims of the App's token, with GitHub's words for what is wrong.
fn verify(token: &str, now: u64) -> Result<(), &'static str> {
    const UNREADABLE: &str = "A JSON web token could not be decoded";
    let (message, signature) = token.rsplit_once('.').ok_or(UNREADABLE)?;
    let (header, claims) = message.split_once('.').ok_or(UNREADABLE)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| UNREADABLE);
    let parse =
        |part: &str| -> Result<Value, &'static str> { serde_json::from_slice(&decode(part)?).map_err(|_| UNREADABLE) };
    if parse(header)?["alg"] != "RS256" {
        return Err(UNREADABLE);
    }
    let public = key(APP_KEY).public_key().as_ref().to_vec();
    let verifier = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    verifier.verify(message.as_bytes(), &decode(signature)?).map_err(|_| UNREADABLE)?;
    let claims = parse(claims)?;
    let issuer_known = [json!(APP_ID), json!(APP_ID.to_string()), json!(CLIENT_ID)].contains(&claims["iss"]);
    if !issuer_known {
        return Err("Integration not found");
    }
    let issued = claims["iat"].as_u64().ok_or("Missing 'issued at' claim ('iat') in assertion")?;
    let expires = claims["exp"].as_u64().ok_or("Missing 'expiration' claim ('exp') in assertion")?;
    if issued > now {
        return Err("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued");
    }
    if expires <= now {
        return Err("'Expiration time' claim ('exp') must be a numeric value representing the future time");
    }
    if expires > now + 600 {
        return Err("'Expiration time' claim ('exp') is too far in the future");
    }
    Ok(())
}

/// What an operation below a repository needs: one of these permissions, at least at this level.
pub(super) fn needed(operation: &str) -> (&'static [&'static str], &'static str) {
    let (method, path) = operation.split_once(' ').unwrap_or_default();
    let level = if method == "GET" { "read" } else { "write" };
    let rest = path.trim_start_matches("/repos/{owner}/{repo}");
    let names: &[&str] = match rest.split('/').nth(1).unwrap_or_default() {
        "git" | "contents" | "branches" | "compare" => &["contents"],
        "commits" if rest.ends_with("/status") || rest.ends_with("/statuses") => &["statuses"],
        "commits" if rest.ends_with("/check-runs") => &["checks"],
        "commits" => &["contents"],
        // A merge writes into the repository.
        "pulls" if rest.ends_with("/merge") => &["contents"],
        "pulls" => &["pull_requests"],
        "issues" | "milestones" => &["issues", "pull_requests"],
        "statuses" => &["statuses"],
        "check-runs" => &["checks"],
        _ => &["metadata"],
    };
    (names, level)
}

/// Whether permissions hold one of these names at a level.
pub(super) fn holds(token: &Token, names: &[&str], level: &str) -> bool {
    names.iter().any(|name| match token.permissions.get(*name).map(String::as_str) {
        Some("write" | "admin") => true,
        Some("read") => level == "read",
        _ => level == "read" && *name == "metadata",
    })
}
