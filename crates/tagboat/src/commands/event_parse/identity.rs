//! The file of `--identity`: whose tokens are believed, and, as nothing is fetched, the keys of the issuer.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value;
use tagboat_intake::{ClaimRule, Provider, ProviderError, TokenRule, claim_name};
use tagboat_model::Pattern;

use super::input;
use crate::exit::Failure;

/// What is in the file.
pub(super) struct Identity {
    pub(super) rule: TokenRule,
    /// The JSON Web Key Set, when it is there.
    pub(super) keys: Option<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IdentityFile {
    issuer: String,
    audience: OneOrMore,
    claims: BTreeMap<String, OneOrMore>,
    #[serde(default)]
    provider: Option<String>,
    #[serde(default)]
    keys: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn all(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::More(texts) => texts,
        }
    }
}

pub(super) fn read(path: &Path) -> Result<Identity, Failure> {
    let bytes = input::read(path)?;
    identity(&bytes).map_err(|why| Failure::invalid(format!("{}: {why}", path.display())))
}

fn identity(bytes: &[u8]) -> Result<Identity, String> {
    let file: IdentityFile = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let audiences = file.audience.all();
    if audiences.is_empty() {
        return Err("name at least one `audience`: a token that is meant for others proves nothing here".to_owned());
    }
    let provider: Provider =
        file.provider.as_deref().unwrap_or("other").parse().map_err(|error: ProviderError| error.to_string())?;
    let claim = |(claim, patterns): (String, OneOrMore)| {
        let patterns: Vec<String> = patterns.all();
        let patterns = patterns.iter().map(|pattern| pattern.parse::<Pattern>()).collect::<Result<Vec<_>, _>>();
        match patterns {
            Ok(patterns) if patterns.is_empty() => Err(format!("the claim `{claim}` has no pattern")),
            Ok(patterns) => Ok(ClaimRule { claim: claim_name(provider, &claim), patterns }),
            Err(error) => Err(format!("the claim `{claim}`: {error}")),
        }
    };
    let claims = file.claims.into_iter().map(claim).collect::<Result<Vec<_>, String>>()?;
    let keys = file.keys.map(key_set).transpose()?;
    Ok(Identity { rule: TokenRule { provider, issuer: file.issuer, audiences, claims }, keys })
}

/// A JSON Web Key Set, or only its list of keys.
fn key_set(keys: Value) -> Result<Vec<u8>, String> {
    let set = match keys {
        Value::Array(keys) => serde_json::json!({ "keys": keys }),
        Value::Object(set) if set.contains_key("keys") => Value::Object(set),
        _ => return Err("`keys` is not a JSON Web Key Set: `{\"keys\": [ … ]}`".to_owned()),
    };
    Ok(set.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        identity(text.as_bytes()).map(|_| ()).unwrap_err()
    }

    #[test]
    fn an_identity_names_issuer_audience_claims_and_keys() {
        let text = r#"{"issuer": "https://token.actions.githubusercontent.com", "audience": "tagboat", "provider": "github-actions",
            "claims": {"repository": "acme/*", "ref": ["refs/heads/main", "refs/tags/v*"]}, "keys": {"keys": [{"kty": "RSA"}]}}"#;
        let Identity { rule, keys } = identity(text.as_bytes()).unwrap();
        assert_eq!(rule.issuer, "https://token.actions.githubusercontent.com");
        assert_eq!((rule.provider, rule.audiences), (Provider::GithubActions, vec!["tagboat".to_owned()]));
        let claims: Vec<(&str, usize)> =
            rule.claims.iter().map(|rule| (rule.claim.as_str(), rule.patterns.len())).collect();
        assert_eq!(claims, [("ref", 2), ("repository", 1)]);
        assert_eq!(keys.unwrap(), br#"{"keys":[{"kty":"RSA"}]}"#);
        let short = r#"{"issuer": "https://ci.example", "audience": ["a", "b"], "claims": {"sub": "x"}, "keys": []}"#;
        let short = identity(short.as_bytes()).unwrap();
        assert_eq!((short.rule.provider, short.rule.audiences.len()), (Provider::Other, 2));
        assert_eq!(short.keys.unwrap(), br#"{"keys":[]}"#);
    }

    #[test]
    fn what_is_wrong_with_an_identity_is_told() {
        let with = |audience: &str, claims: &str, more: &str| {
            wrong(&format!(r#"{{"issuer": "https://ci.example", "audience": {audience}, "claims": {claims}{more}}}"#))
        };
        assert!(with("[]", r#"{"sub": "x"}"#, "").contains("at least one `audience`"));
        assert!(with(r#""a""#, r#"{"sub": []}"#, "").contains("the claim `sub` has no pattern"));
        assert!(with(r#""a""#, r#"{"sub": ""}"#, "").contains("the claim `sub`: the pattern is empty"));
        assert!(
            with(r#""a""#, r#"{"sub": "x"}"#, r#", "provider": "hub""#)
                .contains("`hub` is not an issuer that is known")
        );
        assert!(with(r#""a""#, r#"{"sub": "x"}"#, r#", "keys": "x""#).contains("is not a JSON Web Key Set"));
        assert!(with(r#""a""#, r#"{"sub": "x"}"#, r#", "isuer": "x""#).contains("unknown field `isuer`"));
    }
}
