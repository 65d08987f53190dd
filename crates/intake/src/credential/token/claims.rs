//! The claims of a token (RFC 7519, section 4): which must be there, and what they must say.
//!
//! A claim that is missing, null or of another type than expected never passes.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::Value;
use tagboat_model::{Timestamp, shown};

use super::{Provider, TokenRule, wrong};
use crate::Refused;

/// What clocks may differ by, in seconds.
const LEEWAY: i64 = 60;
/// The longest life of a token, in seconds. CI issues them for minutes up to an hour, GitLab for as long as the job may
/// take, Kubernetes for up to a day if asked; an hour more is for what is rounded up.
const LONGEST_LIFE: i64 = 25 * 3600;
/// The end of the year 9999. Whoever writes milliseconds is found out by it.
const LAST_SECOND: i64 = 253_402_300_799;

/// The members of a JSON object. One with a name twice is none: which of the two another reader of the same token
/// takes, is not known.
#[derive(Debug)]
pub(super) struct Members(BTreeMap<String, Value>);

struct EachOnce;

impl<'de> Visitor<'de> for EachOnce {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with each name once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands there twice"));
            }
        }
        Ok(Members(members))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EachOnce)
    }
}

impl Members {
    /// Whether there is such a member, whatever it says.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A member that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }
}

/// The claims, nothing of them verified.
pub(super) struct Claims(pub(super) Members);

impl Claims {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.0.get(name).filter(|value| !value.is_null())
    }

    /// Exactly this issuer, with or without a slash at its end as it is configured.
    pub(super) fn are_of(&self, issuer: &str) -> Result<(), Refused> {
        match self.get("iss") {
            None => Err(wrong("it names no issuer (`iss`)")),
            Some(Value::String(named)) if named == issuer => Ok(()),
            Some(Value::String(named)) => Err(wrong(format!("its issuer (`iss`) is {}, not {issuer}", shown(named)))),
            Some(_) => Err(wrong("its issuer (`iss`) is not a text")),
        }
    }

    /// One of these audiences at least.
    pub(super) fn are_for(&self, audiences: &[String]) -> Result<(), Refused> {
        let named: Option<Vec<&str>> = match self.get("aud") {
            None => return Err(wrong("it names no audience (`aud`)")),
            Some(Value::String(one)) => Some(vec![one.as_str()]),
            Some(Value::Array(several)) => several.iter().map(Value::as_str).collect(),
            Some(_) => None,
        };
        let Some(named) = named else { return Err(wrong("its audience (`aud`) is neither a text nor texts")) };
        if named.iter().any(|name| audiences.iter().any(|audience| audience == name)) {
            return Ok(());
        }
        let named = if named.is_empty() { "nobody".to_owned() } else { shown(&named.join(", ")) };
        Err(wrong(format!("its audience (`aud`) is {named}, not {}", audiences.join(" or "))))
    }

    /// A time in seconds. RFC 7519 permits fractions.
    fn time(&self, name: &str) -> Result<Option<i64>, Refused> {
        let fail = || wrong(format!("its `{name}` is not a time in seconds"));
        let Some(value) = self.get(name) else { return Ok(None) };
        let Value::Number(number) = value else { return Err(fail()) };
        let fraction = || number.as_f64().map(f64::floor).filter(|seconds| seconds.abs() < 1e15);
        let seconds = number.as_i64().or_else(|| fraction().map(|seconds| seconds as i64)).ok_or_else(fail)?;
        if (0..=LAST_SECOND).contains(&seconds) { Ok(Some(seconds)) } else { Err(fail()) }
    }

    /// Not over, already begun, and not for long. End (`exp`) and issue (`iat`) must be there: without them the length
    /// of its life is not known. All issuers that are known here write both.
    pub(super) fn are_valid_at(&self, now: Timestamp) -> Result<(), Refused> {
        let now = now.0.div_euclid(1000);
        let end = self.time("exp")?.ok_or_else(|| wrong("it has no end (`exp`)"))?;
        let issued = self.time("iat")?.ok_or_else(|| wrong("it does not say when it was issued (`iat`)"))?;
        let begin = self.time("nbf")?.unwrap_or(issued);
        if now >= end + LEEWAY {
            return Err(wrong(format!("it ended {} s ago (`exp`)", now - end)));
        }
        for (name, point) in [("iat", issued), ("nbf", begin)] {
            if point > now + LEEWAY {
                return Err(wrong(format!("it begins in {} s only (`{name}`); do the clocks differ?", point - now)));
            }
        }
        if end <= issued {
            return Err(wrong("it ends (`exp`) before it is issued (`iat`)"));
        }
        if end - issued > LONGEST_LIFE {
            return Err(wrong(format!("it lives for {} s; at most {LONGEST_LIFE} s are accepted", end - issued)));
        }
        Ok(())
    }

    /// What the receiver wants of the other claims. To be asked only of a token whose signature was verified.
    pub(super) fn satisfy(&self, rule: &TokenRule) -> Result<(), Refused> {
        for wanted in &rule.claims {
            let refuse = |value: String| Refused::Claim { claim: wanted.claim.clone(), value };
            let value = self.value(&wanted.claim).map_err(|what| refuse(what.to_owned()))?;
            if !wanted.patterns.iter().any(|pattern| pattern.matches(&value)) {
                return Err(refuse(shown(&value)));
            }
        }
        // Without this, an address at Google is only what somebody wrote into a form.
        let by_email = rule.provider == Provider::Google && rule.claims.iter().any(|wanted| wanted.claim == "email");
        if by_email && self.get("email_verified") != Some(&Value::Bool(true)) {
            let value = self.value("email_verified").unwrap_or_else(str::to_owned);
            return Err(Refused::Claim { claim: "email_verified".to_owned(), value: shown(&value) });
        }
        Ok(())
    }

    /// The value of a claim as a text, or what it is instead.
    fn value(&self, name: &str) -> Result<String, &'static str> {
        match self.get(name) {
            None => Err("missing"),
            Some(Value::Array(_)) => Err("a list"),
            Some(Value::Object(_)) => Err("an object"),
            Some(value) => scalar(value).filter(|text| !text.is_empty()).ok_or("empty"),
        }
    }

    /// A claim as a text, unless it is missing, empty, a list or an object.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.value(name).ok()
    }

    /// All that are a text, a number or a truth value, as texts.
    pub(super) fn texts(&self) -> BTreeMap<String, String> {
        let all = self.0.0.iter().filter(|(name, _)| !is_private(name));
        let kept = |text: &String| text.len() <= LONGEST_KEPT;
        all.filter_map(|(name, value)| Some((name.clone(), scalar(value).filter(kept)?))).collect()
    }
}

/// What is longer, in bytes, may be ruled on and is not kept with the event.
const LONGEST_KEPT: usize = 1024;

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a claim's name says that it is for nobody's eyes. None of the known issuers has such a claim; where people
/// write claims themselves (Jenkins), it may slip in.
fn is_private(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["secret", "password", "credential", "private_key", "token"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Claims {
        Claims(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_name_twice_is_no_object() {
        for json in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":1}"#, "[]", "null", "7", r#""a""#, "{", "{} {}", ""] {
            assert!(serde_json::from_str::<Members>(json).is_err(), "{json}");
        }
        assert!(serde_json::from_str::<Members>(r#"{"a":{"b":1},"b":2}"#).is_ok());
    }

    #[test]
    fn a_time_is_a_number_of_seconds() {
        for (json, time) in
            [("0", 0), ("1700000000", 1_700_000_000), ("1700000000.9", 1_700_000_000), ("1.7e9", 1_700_000_000)]
        {
            assert_eq!(claims(&format!(r#"{{"exp":{json}}}"#)).time("exp"), Ok(Some(time)), "{json}");
        }
        for json in
            ["\"1700000000\"", "-1", "1e15", "1e300", "1700000000000", "18446744073709551615", "true", "[1]", "{}"]
        {
            assert!(claims(&format!(r#"{{"exp":{json}}}"#)).time("exp").is_err(), "{json}");
        }
        assert_eq!(claims(r#"{"exp":null}"#).time("exp"), Ok(None));
    }

    #[test]
    fn the_leeway_is_a_minute_on_either_side() {
        let at = |now: i64| {
            let claims = claims(r#"{"exp":2000,"iat":1000,"nbf":1000}"#);
            claims.are_valid_at(Timestamp(now * 1000)).is_ok()
        };
        assert_eq!([939, 940, 1000, 2059, 2060].map(at), [false, true, true, true, false]);
    }

    #[test]
    fn what_is_told_of_a_token_is_flat_and_holds_no_secret() {
        let texts =
            claims(r#"{"jti":"1","n":17,"yes":true,"list":[1],"in":{"a":1},"no":null,"api_token":"x","Password":"x"}"#);
        let texts = texts.texts();
        let pairs: Vec<(&str, &str)> = texts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("jti", "1"), ("n", "17"), ("yes", "true")]);
    }
}
