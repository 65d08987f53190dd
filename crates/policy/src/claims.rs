//! Whose announcements count: what the claims that come with them must say.
//!
//! Does not prove claims: that is done when a request comes in. Names of claims are those of the token, whatever its
//! issuer calls them.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, SeqAccess, Visitor},
};
use tagboat_model::{Pattern, PatternError, Source, shown};
use thiserror::Error;

/// Claims by their names, each with the patterns of which its value must match one. Without any, all are admitted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "BTreeMap<String, ClaimPatterns>", into = "BTreeMap<String, ClaimPatterns>")]
#[schemars(with = "BTreeMap<String, ClaimPatterns>")]
pub struct Claims(BTreeMap<String, ClaimPatterns>);

/// Why claims cannot be demanded as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// A mapping without keys.
    #[error("`claims` names no claim; name one, as in `ref: refs/heads/main`, or leave `claims` out")]
    NoClaim,
    /// A key without letters.
    #[error("a claim has no name; write it as the token does, as in `ref: refs/heads/main`")]
    NoName,
    /// A list without items.
    #[error("a claim without patterns admits nothing; write what it must say, as in `refs/heads/main`")]
    NoPattern,
    /// A pattern without letters.
    #[error("a pattern is empty; write what the claim must say, as in `refs/heads/main`")]
    EmptyPattern,
    /// A pattern that cannot be used.
    #[error("{0}; write it shorter")]
    Pattern(PatternError),
}

/// A claim that is not as a policy demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfitClaim {
    /// Its name.
    pub claim: String,
    /// What it says, fit to be shown; nothing when it is missing.
    pub value: Option<String>,
}

impl Claims {
    /// Whether none is demanded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first claim, by its name, that is not as it must be; nothing when all are.
    #[must_use]
    pub fn unfit(&self, source: &Source) -> Option<UnfitClaim> {
        self.0.iter().find_map(|(claim, patterns)| match said(source, claim) {
            Some(value) if patterns.matches(value) => None,
            value => Some(UnfitClaim { claim: claim.clone(), value: value.map(shown) }),
        })
    }
}

/// What a source says of a claim. A claim that says nothing is missing.
fn said<'s>(source: &'s Source, claim: &str) -> Option<&'s str> {
    let value = match claim {
        _ if !source.claims.is_empty() => source.claims.get(claim),
        // Whoever signed the whole request vouches for what it says. Beside a token it would be the word of a body
        // against what was proved.
        "repository" => source.repository.as_ref(),
        "revision" => source.revision.as_ref(),
        "run" => source.run.as_ref(),
        _ => None,
    };
    value.map(String::as_str).filter(|value| !value.is_empty())
}

impl TryFrom<BTreeMap<String, ClaimPatterns>> for Claims {
    type Error = ClaimError;

    fn try_from(claims: BTreeMap<String, ClaimPatterns>) -> Result<Self, ClaimError> {
        match claims.keys().next() {
            None => Err(ClaimError::NoClaim),
            Some(first) if first.is_empty() => Err(ClaimError::NoName),
            Some(_) => Ok(Self(claims)),
        }
    }
}

impl From<Claims> for BTreeMap<String, ClaimPatterns> {
    fn from(claims: Claims) -> Self {
        claims.0
    }
}

/// One pattern, or several of which one has to match. In a pattern `*` is any run within one part between slashes, `**`
/// any run; all else means itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
enum ClaimPatterns {
    /// The only one.
    One(Pattern),
    /// At least one.
    Several(Vec<Pattern>),
}

impl ClaimPatterns {
    fn matches(&self, value: &str) -> bool {
        match self {
            Self::One(pattern) => pattern.matches(value),
            Self::Several(patterns) => patterns.iter().any(|pattern| pattern.matches(value)),
        }
    }
}

impl<'de> Deserialize<'de> for ClaimPatterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// Reads a text or a list of texts. What `untagged` would read loses its place in the file.
struct OneOrSeveral;

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = ClaimPatterns;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts, with numbers and truth values in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ClaimPatterns, E> {
        pattern(text).map(ClaimPatterns::One).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<ClaimPatterns, A::Error> {
        let mut patterns = Vec::new();
        while let Some(OnePattern(pattern)) = texts.next_element()? {
            patterns.push(pattern);
        }
        if patterns.is_empty() {
            return Err(de::Error::custom(ClaimError::NoPattern));
        }
        Ok(ClaimPatterns::Several(patterns))
    }
}

/// One pattern of a list. What is wrong with it is said where it stands.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct OnePattern(Pattern);

impl TryFrom<String> for OnePattern {
    type Error = ClaimError;

    fn try_from(text: String) -> Result<Self, ClaimError> {
        pattern(&text).map(Self)
    }
}

fn pattern(text: &str) -> Result<Pattern, ClaimError> {
    text.parse().map_err(|error| match error {
        PatternError::Empty => ClaimError::EmptyPattern,
        error => ClaimError::Pattern(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Result<Claims, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    fn token(said: &[(&str, &str)]) -> Source {
        let claims = said.iter().map(|(claim, value)| ((*claim).to_owned(), (*value).to_owned())).collect();
        Source { claims, ..Source::default() }
    }

    fn unfit(claim: &str, value: Option<&str>) -> Option<UnfitClaim> {
        Some(UnfitClaim { claim: claim.to_owned(), value: value.map(str::to_owned) })
    }

    #[test]
    fn every_claim_has_to_be_there_and_to_match() {
        let claims = claims(r#"{ "repository": "acme/web", "ref": ["refs/heads/main", "refs/tags/*"] }"#).unwrap();
        let main = [("repository", "acme/web"), ("ref", "refs/heads/main"), ("actor", "ada")];
        assert_eq!(claims.unfit(&token(&main)), None);
        assert_eq!(claims.unfit(&token(&[("repository", "acme/web"), ("ref", "refs/tags/1")])), None);
        let pull = token(&[("repository", "acme/web"), ("ref", "refs/pull/7/merge")]);
        assert_eq!(claims.unfit(&pull), unfit("ref", Some("refs/pull/7/merge")));
        assert_eq!(claims.unfit(&token(&[("repository", "acme/web")])), unfit("ref", None));
        assert_eq!(claims.unfit(&token(&[("repository", "acme/web"), ("ref", "")])), unfit("ref", None));
        assert_eq!(claims.unfit(&Source::default()), unfit("ref", None));
        assert_eq!(Claims::default().unfit(&Source::default()), None);
    }

    #[test]
    fn without_a_token_the_signed_request_speaks_for_itself() {
        let said = |word: &str| Some(word.to_owned());
        let signed =
            Source { repository: said("acme/web"), revision: said("abc"), run: said("17"), ..Source::default() };
        let all = claims(r#"{ "repository": "acme/*", "revision": "abc", "run": "1*" }"#).unwrap();
        assert_eq!(all.unfit(&signed), None);
        assert_eq!(
            claims(r#"{ "repository": "acme/api" }"#).unwrap().unfit(&signed),
            unfit("repository", Some("acme/web"))
        );
        assert_eq!(claims(r#"{ "ref": "**" }"#).unwrap().unfit(&signed), unfit("ref", None));
        // Beside a token the body proves nothing.
        let with_token = Source { claims: token(&[("sub", "somebody")]).claims, ..signed };
        assert_eq!(all.unfit(&with_token), unfit("repository", None));
    }

    #[test]
    fn what_is_shown_of_a_stranger_is_cut_and_cleaned() {
        let claims = claims(r#"{ "ref": "main" }"#).unwrap();
        assert_eq!(claims.unfit(&token(&[("ref", "a\nb")])), unfit("ref", Some("a b")));
    }

    #[test]
    fn claims_read_back_as_they_were_written() {
        for json in [r#"{"ref":"refs/heads/main"}"#, r#"{"ref":["a","b*"],"workflow":"Release"}"#] {
            let claims = claims(json).unwrap();
            assert_eq!(serde_json::to_string(&claims).unwrap(), json);
        }
        assert_eq!(claims(r#"{"ref":"a"}"#), claims(r#"{"ref":"a"}"#));
        assert_ne!(claims(r#"{"ref":"a"}"#), claims(r#"{"ref":"b"}"#));
    }

    #[test]
    fn what_can_admit_nothing_or_everything_by_mistake_is_refused() {
        let endless = format!(r#"{{"ref":"{}"}}"#, "*a".repeat(100_000));
        for (json, why) in [
            ("{}", "`claims` names no claim"),
            (r#"{"":"a"}"#, "a claim has no name"),
            (r#"{"ref":[]}"#, "a claim without patterns admits nothing"),
            (r#"{"ref":""}"#, "a pattern is empty"),
            (r#"{"ref":["a",""]}"#, "a pattern is empty"),
            (r#"{"ref":5}"#, "expected a text or a list of texts"),
            (r#"{"ref":{}}"#, "expected a text or a list of texts"),
            (endless.as_str(), "longer than 1000 bytes"),
        ] {
            let error = claims(json).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
