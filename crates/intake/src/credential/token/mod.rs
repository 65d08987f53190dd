//! Tokens of OIDC issuers (JWT, RFC 7519, signed as RFC 7515 says): who may have issued one, for whom, and what it must
//! say.
//!
//! What a token says of issuer, audience and time is compared first, so that one which cannot pass asks for no keys;
//! then its signature, with a key that the configured issuer publishes; last what the receiver wants of the other
//! claims. Only that last refusal may be told to the sender, and by then the token is known to be the issuer's.
//!
//! `jsonwebtoken` verifies the signature and nothing else: its checks of claims read the machine's clock, take a list
//! of issuers, and pass over claims that are missing.

mod claims;
mod key;
mod provider;

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use tagboat_model::{KeySource, Pattern, Source, Timestamp};

use super::{after_scheme, document, header};
use crate::{Denied, Headers, Keys, Refused};
use claims::{Claims, Members};

pub use provider::{Provider, ProviderError, claim_name};

/// Tokens of CI are 1 to 2 KiB; most servers take no header longer than this.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Which tokens a receiver believes.
#[derive(Debug, Clone)]
pub struct TokenRule {
    /// Whose tokens they are; it says where repository, revision and run stand among the claims.
    pub provider: Provider,
    /// The issuer, exactly as the claim `iss` has it. Keys are fetched from it and from nowhere else.
    pub issuer: String,
    /// The audiences of which the claim `aud` must name one.
    pub audiences: Vec<String>,
    /// What the other claims must say: all of these. Never empty: an issuer has more customers than one.
    pub claims: Vec<ClaimRule>,
}

/// What one claim must say.
#[derive(Debug, Clone)]
pub struct ClaimRule {
    /// The claim's name in the token.
    pub claim: String,
    /// Patterns of which its value must match one.
    pub patterns: Vec<Pattern>,
}

/// What a verified token says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenClaims {
    /// Texts, numbers and truth values, as texts.
    pub claims: BTreeMap<String, String>,
    /// What they say of the build.
    pub source: Source,
    /// Who caused it.
    pub actor: Option<String>,
    /// Which job of whom it is: the same for each of its runs, another one for everybody else.
    pub job: String,
}

impl TokenRule {
    /// Whether the rule is one that can be believed, to be asked when it is configured. It is asked again for each
    /// token: without an audience or a claim anybody with an account at the issuer would pass.
    ///
    /// # Errors What is missing and what to do.
    pub fn check(&self) -> Result<(), String> {
        if self.issuer.is_empty() {
            return Err("say who issues the tokens".to_owned());
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err("name the audience that the tokens are made for".to_owned());
        }
        if self.claims.is_empty() || self.claims.iter().any(|rule| rule.patterns.is_empty()) {
            return Err("name at least one claim with the values that it may have".to_owned());
        }
        // Whoever has another issuer than everybody (an installation of their own) shares it with nobody.
        let owners = self.provider.owner_claims();
        let shared = self.provider.issuer() == Some(self.issuer.as_str()) && !owners.is_empty();
        if shared && !self.claims.iter().any(|rule| owners.contains(&rule.claim.as_str())) {
            let names: Vec<String> = owners.iter().map(|name| format!("`{name}`")).collect();
            return Err(format!(
                "everybody's tokens come from {}; name at least one claim that says whose they are: {}",
                self.issuer,
                names.join(", ")
            ));
        }
        Ok(())
    }
}

/// A token taken apart, nothing of it verified.
struct Token<'t> {
    /// One of those that are permitted.
    algorithm: Algorithm,
    key_id: Option<String>,
    claims: Claims,
    /// What is signed.
    message: &'t str,
    signature: &'t str,
}

impl<'t> Token<'t> {
    fn read(text: &'t str) -> Result<Self, Refused> {
        let parts: Vec<&str> = text.split('.').collect();
        let (&[header, payload, signature], Some((message, _))) = (parts.as_slice(), text.rsplit_once('.')) else {
            return Err(wrong("it does not consist of three parts"));
        };
        if signature.is_empty() {
            return Err(wrong("it is not signed"));
        }
        let header = members(header).ok_or_else(|| wrong("its header is not an object with each name once"))?;
        // What else the header says, keys and their addresses (`jwk`, `jku`, `x5c`, `x5u`) foremost, is of no account.
        let algorithm = match header.text("alg") {
            Some("RS256") => Algorithm::RS256,
            Some("ES256") => Algorithm::ES256,
            _ => return Err(wrong("its algorithm (`alg`) is neither RS256 nor ES256")),
        };
        if header.has("crit") {
            return Err(wrong("its header wants something to be understood (`crit`) that is not"));
        }
        let key_id = header.text("kid").map(str::to_owned);
        if key_id.is_none() && header.has("kid") {
            return Err(wrong("the name of its key (`kid`) is not a text"));
        }
        let claims = members(payload).ok_or_else(|| wrong("its claims are not an object with each name once"))?;
        Ok(Self { algorithm, key_id, claims: Claims(claims), message, signature })
    }
}

fn members(encoded: &str) -> Option<Members> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

fn wrong(why: impl Into<String>) -> Refused {
    Refused::Token(why.into())
}

/// The token in `Authorization: Bearer …`.
pub(super) fn bearer(headers: &Headers) -> Result<&str, Refused> {
    let value = header(headers, "authorization")?;
    let token = after_scheme(value, "bearer").filter(|token| !token.is_empty());
    let token = token.ok_or(Refused::Malformed("authorization"))?;
    if token.len() > LONGEST_TOKEN {
        return Err(wrong(format!("it is longer than {LONGEST_TOKEN} bytes")));
    }
    Ok(token)
}

/// Verify the token of a request.
pub(super) fn verify(rule: &TokenRule, headers: &Headers, now: Timestamp, keys: &Keys) -> Result<TokenClaims, Denied> {
    rule.check().map_err(|why| wrong(format!("the receiver's rule admits none: {why}")))?;
    let token = Token::read(bearer(headers)?)?;
    token.claims.are_of(&rule.issuer)?;
    token.claims.are_for(&rule.audiences)?;
    token.claims.are_valid_at(now)?;
    let source = KeySource::Issuer(rule.issuer.clone());
    let published = document(keys, &source)?;
    if !key::verify(published, &token)? {
        return Err(Denied::NeedsNewer(source));
    }
    token.claims.satisfy(rule)?;
    Ok(rule.provider.told_by(&token.claims))
}
