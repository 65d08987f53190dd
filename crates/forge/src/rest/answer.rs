//! What a forge answered: its body, its words when it refuses, and whether a listing goes on.

use bytes::Bytes;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{error::Failure, http::one_line};

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(super) forge: &'static str,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as what it must be.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::permanent(format!("{} answered with what cannot be read: {error}", self.forge)))
    }

    /// The forge's own words.
    pub(crate) fn words(&self) -> String {
        let Ok(body) = serde_json::from_slice::<Value>(&self.body) else { return String::new() };
        let mut found = Vec::new();
        for key in ["message", "error", "error_description", "errors"] {
            collect_words(body.get(key).unwrap_or(&Value::Null), &mut found);
        }
        one_line(&found.join(": "))
    }

    /// The answer, if it is a success.
    pub(crate) fn success(self) -> Result<Self, Failure> {
        if self.is_success() { Ok(self) } else { Err(self.refusal()) }
    }

    /// What a refusal comes to, and what to do where that is known.
    pub(crate) fn refusal(&self) -> Failure {
        let (forge, status, words) = (self.forge, self.status, self.words());
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        Failure::permanent(match status {
            401 => format!(
                "{forge} does not know the token or does not permit this with it (status 401{said}); is it right, not expired, and of a member who may do this?"
            ),
            403 => {
                format!("{forge} refuses (status 403{said}); has the token the scope for it, and its owner the role?")
            }
            404 => format!(
                "{forge} does not have it or does not show it to us (status 404{said}); may the token's owner see this repository?"
            ),
            _ => format!("{forge} refuses (status {status}{said})"),
        })
    }

    /// Whether a listing goes on. `None` when the answer does not say it.
    pub(super) fn has_next(&self) -> Option<bool> {
        let links = self.headers.get(header::LINK)?.to_str().ok()?;
        Some(links.contains("rel=\"next\""))
    }
}

/// Messages are a text, a list, or lists by field.
fn collect_words(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect_words(item, found)),
        Value::Object(fields) => {
            for (field, entry) in fields {
                found.push(field.clone());
                collect_words(entry, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, headers: HeaderMap::new(), body: Bytes::from(body.to_owned()), forge: "GitLab" }
    }

    #[test]
    fn a_refusal_has_the_words_of_the_forge() {
        let listed = answer(409, r#"{"message":["Another open merge request already exists"]}"#);
        assert_eq!(listed.words(), "Another open merge request already exists");
        assert_eq!(answer(400, r#"{"message":{"title":["is too long"]}}"#).words(), "title: is too long");
        assert_eq!(answer(400, r#"{"error":"sha is missing"}"#).words(), "sha is missing");
        assert_eq!(answer(502, "<html>").words(), "");
        assert_eq!(answer(409, r#"{"message":"x"}"#).refusal().detail, "GitLab refuses (status 409: x)");
        assert!(answer(403, "{}").success().is_err() && answer(204, "").success().is_ok());
    }

    #[test]
    fn listings_end_where_the_answer_says() {
        let mut page = answer(200, "[]");
        assert_eq!(page.has_next(), None);
        page.headers.insert(header::LINK, HeaderValue::from_static("<https://x/?page=1>; rel=\"first\""));
        assert_eq!(page.has_next(), Some(false));
        page.headers.insert(header::LINK, HeaderValue::from_static("<https://x/?page=2>; rel=\"next\""));
        assert_eq!(page.has_next(), Some(true));
    }
}
