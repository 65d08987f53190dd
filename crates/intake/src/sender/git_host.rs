//! What the bodies of Git hosts have in common, GitHub's as well as Gitea's and GitLab's: fields that are read leniently,
//! and what they say of people, branches and commits.
//!
//! A field that is missing or of another type than expected is none; only a body that cannot be understood at all is
//! unreadable. Bodies have up to 25 MiB, so what is not needed is skipped as it is read and never built up.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use tagboat_model::{BranchName, CommitId, Event, RepositoryChange, RepositoryChanged};

use crate::{
    Ignored,
    read::{Read, Unreadable},
};

/// Nothing that is kept of a body is longer than this, in bytes.
const LONGEST_TEXT: usize = 4096;
/// Names of people and robots are cut to this many characters.
const LONGEST_ACTOR: usize = 200;

/// A text, or a number as a text. An empty one is none.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => Some(text),
        Scalar::Number(number) => Some(number.to_string()),
        Scalar::Flag(_) | Scalar::Other => None,
    })
}

/// A number that counts something, or a text of one.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Number(number) => Some(number),
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Flag(_) | Scalar::Other => None,
    })
}

/// Whether the field is there and true.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(matches!(Scalar::deserialize(deserializer)?, Scalar::Flag(true)))
}

/// An object.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(ObjectVisitor::<T> { of_text: |_: &str| None })
}

/// An object, or a text that is one in JSON.
pub(crate) fn object_or_json<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    deserializer.deserialize_any(ObjectVisitor::<T> { of_text: |text: &str| serde_json::from_str(text).ok() })
}

/// A field of one value.
enum Scalar {
    Text(String),
    Number(u64),
    Flag(bool),
    Other,
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        let is_kept = !text.is_empty() && text.len() <= LONGEST_TEXT;
        Ok(if is_kept { Scalar::Text(text.to_owned()) } else { Scalar::Other })
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Scalar, A::Error> {
        IgnoredAny.visit_seq(parts).map(|_| Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Scalar, A::Error> {
        IgnoredAny.visit_map(fields).map(|_| Scalar::Other)
    }
}

struct ObjectVisitor<T> {
    of_text: fn(&str) -> Option<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Some)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<T>, E> {
        Ok((self.of_text)(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Option<T>, A::Error> {
        IgnoredAny.visit_seq(parts).map(|_| None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
}

/// A person or a robot. GitHub writes `login`, GitLab `username`, Gitea both.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct User {
    #[serde(deserialize_with = "text")]
    pub(crate) login: Option<String>,
    #[serde(deserialize_with = "text")]
    username: Option<String>,
}

impl User {
    /// The name, cut to what is kept.
    pub(crate) fn name(&self) -> Option<String> {
        self.login.as_deref().or(self.username.as_deref()).map(actor)
    }
}

/// A name, cut to what is kept.
pub(crate) fn actor(name: &str) -> String {
    name.chars().take(LONGEST_ACTOR).collect()
}

/// That a body cannot be understood, for want of this field.
pub(crate) fn missing(field: &str) -> Unreadable {
    Unreadable(format!("the body says nothing in `{field}`"))
}

/// Host and port in an address.
pub(crate) fn host_of(address: &str) -> Option<&str> {
    let authority = parts_of(address).0;
    authority.rsplit('@').next().filter(|host| !host.is_empty())
}

/// What stands behind the host in an address.
pub(crate) fn path_of(address: &str) -> Option<&str> {
    Some(parts_of(address).1.trim_matches('/')).filter(|path| !path.is_empty())
}

/// An address without its scheme, before and after the first slash.
fn parts_of(address: &str) -> (&str, &str) {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split_once('/').unwrap_or((rest, ""))
}

/// A branch by its plain name; none when it is not one that Tagboat can name.
pub(crate) fn branch(name: Option<&str>) -> Option<BranchName> {
    name?.parse().ok()
}

/// A commit; none for the id of zeros, which stands for no commit.
pub(crate) fn commit(id: Option<&str>) -> Option<CommitId> {
    id.filter(|id| id.bytes().any(|digit| digit != b'0'))?.parse().ok()
}

/// A change at these addresses of which no more is known yet.
pub(crate) fn change(change: RepositoryChange, addresses: Vec<String>) -> Result<RepositoryChanged, Unreadable> {
    if addresses.is_empty() {
        return Err(missing("repository"));
    }
    Ok(RepositoryChanged { addresses, change, branch: None, commit: None, number: None, actor: None })
}

/// A push as a body tells of it.
pub(crate) struct Pushed {
    /// The reference, `refs/heads/…`.
    pub(crate) reference: Option<String>,
    /// What it names now.
    pub(crate) after: Option<String>,
    pub(crate) addresses: Vec<String>,
    pub(crate) actor: Option<String>,
}

impl Pushed {
    /// Take it, if it is one of a branch.
    pub(crate) fn take(self, read: &mut Read) -> Result<(), Unreadable> {
        let reference = self.reference.ok_or_else(|| missing("ref"))?;
        let Some(name) = reference.strip_prefix("refs/heads/") else {
            read.ignored.push(Ignored::NotUsed { event: format!("push of {reference}") });
            return Ok(());
        };
        read.events.push(Event::RepositoryChanged(RepositoryChanged {
            branch: branch(Some(name)),
            commit: commit(self.after.as_deref()),
            actor: self.actor,
            ..change(RepositoryChange::BranchMoved, self.addresses)?
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Body {
        #[serde(deserialize_with = "text")]
        text: Option<String>,
        #[serde(deserialize_with = "number")]
        number: Option<u64>,
        #[serde(deserialize_with = "flag")]
        flag: bool,
        #[serde(deserialize_with = "object")]
        user: Option<User>,
        #[serde(deserialize_with = "object_or_json")]
        written: Option<User>,
    }

    fn body(json: &str) -> Body {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_field_of_another_type_is_none_and_the_rest_is_read() {
        for other in ["null", "-1", "1.5", "[]", "[{\"a\":[1]}]", "{}", "{\"a\":{\"b\":[]}}", "\"\""] {
            let read = body(&format!(
                r#"{{"text":{other},"number":{other},"flag":{other},"written":{other},"user":{{"login":"mona"}}}}"#
            ));
            assert_eq!((read.text, read.number, read.flag), (None, None, false), "{other}");
            assert_eq!(read.written.and_then(|user| user.login), None, "{other}");
            assert_eq!(read.user.unwrap().login.as_deref(), Some("mona"), "{other}");
        }
        for other in ["null", "true", "7", "-7", "1.5", "\"mona\"", "[{\"login\":\"mona\"}]"] {
            let read = body(&format!(r#"{{"user":{other},"text":"read"}}"#));
            assert!(read.user.is_none(), "{other}");
            assert_eq!(read.text.as_deref(), Some("read"), "{other}");
        }
    }

    #[test]
    fn numbers_and_texts_of_numbers_are_either() {
        let read = body(r#"{"text":7,"number":"7","flag":true}"#);
        assert_eq!((read.text.as_deref(), read.number, read.flag), (Some("7"), Some(7), true));
        assert!(!body(r#"{"flag":"true"}"#).flag);
    }

    #[test]
    fn an_object_may_stand_in_a_text_where_that_is_said() {
        let user = |json: &str| body(json).written.and_then(|user| user.login);
        assert_eq!(user(r#"{"written":{"login":"mona"}}"#).as_deref(), Some("mona"));
        assert_eq!(user(r#"{"written":"{\"login\":\"mona\"}"}"#).as_deref(), Some("mona"));
        assert_eq!(user(r#"{"written":"{\"login\""}"#), None);
    }

    #[test]
    fn texts_beyond_any_use_are_dropped() {
        let long = "x".repeat(LONGEST_TEXT + 1);
        assert_eq!(body(&format!(r#"{{"text":"{long}"}}"#)).text, None);
    }

    #[test]
    fn names_are_cut_to_what_is_kept() {
        let user = User { login: Some("ä".repeat(300)), username: None };
        assert_eq!(user.name().unwrap().chars().count(), LONGEST_ACTOR);
    }

    #[test]
    fn the_id_of_zeros_is_no_commit() {
        assert_eq!(commit(Some(&"0".repeat(40))), None);
        assert_eq!(commit(Some("6113728")), None);
        assert!(commit(Some("6113728f27ae82c7b1a177c8d03f9e96e0adf246")).is_some());
    }

    #[test]
    fn an_address_has_a_host_and_a_path() {
        for (address, host, path) in [
            ("https://git.example:3000/acme/web", Some("git.example:3000"), Some("acme/web")),
            ("https://someone:secret@git.example/acme/web/", Some("git.example"), Some("acme/web")),
            ("ghcr.io/acme/web:1", Some("ghcr.io"), Some("acme/web:1")),
            ("git.example", Some("git.example"), None),
            ("https:///acme", None, Some("acme")),
            ("", None, None),
        ] {
            assert_eq!((host_of(address), path_of(address)), (host, path), "{address}");
        }
    }
}
