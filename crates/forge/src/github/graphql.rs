//! GraphQL: documents, and errors with their types, which octocrab loses.
//!
//! A refusal comes as status 200 with `errors`; what it is stands in `type`, where GitHub gives one, else only in
//! words.

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, Repeat};
use crate::{error::Failure, http::one_line};

/// An answer without transport trouble.
#[derive(Debug)]
pub(crate) enum GraphAnswer {
    /// Its data.
    Data(Value),
    /// Its first error.
    Refused(GraphError),
}

/// An error in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct GraphError {
    #[serde(rename = "type", default)]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) message: String,
}

impl GraphError {
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// Whether GitHub has trouble of its own, and the request may be right.
    pub(crate) fn is_trouble(&self) -> bool {
        let words = self.message.to_ascii_lowercase();
        ["something went wrong", "timeout", "timed out", "internal error"].iter().any(|phrase| words.contains(phrase))
    }

    /// Whether the credential may not do this.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.is("FORBIDDEN") || self.is("INSUFFICIENT_SCOPES") || self.message.contains("not accessible by")
    }

    /// What it comes to where nothing better is known.
    pub(crate) fn failure(&self, permission: &str) -> Failure {
        let words = one_line(&self.message);
        if self.is_forbidden() {
            Failure::permanent(format!("GitHub refuses ({words}); the permission `{permission}` is needed"))
        } else if self.is_trouble() {
            Failure::temporary(format!("GitHub has trouble: {words}")).with_unknown_outcome()
        } else {
            Failure::permanent(format!("GitHub refuses: {words}"))
        }
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    data: Value,
    #[serde(default)]
    errors: Vec<GraphError>,
}

/// Send a document.
pub(crate) async fn run(
    client: &Client,
    document: &str,
    variables: &Value,
    is_write: bool,
    repeat: Repeat,
) -> Result<GraphAnswer, Failure> {
    let body = json!({ "query": document, "variables": variables });
    let answer = client.graphql(&body, is_write, repeat).await?.success()?;
    let body: Body = answer.json()?;
    match body.errors.into_iter().next() {
        Some(error) if error.is("RATE_LIMITED") => Err(client.graphql_is_exhausted()),
        Some(error) => Ok(GraphAnswer::Refused(error)),
        None => Ok(GraphAnswer::Data(body.data)),
    }
}

/// Send a mutation that may be sent again.
pub(crate) async fn change(client: &Client, document: &str, input: &Value) -> Result<GraphAnswer, Failure> {
    run(client, document, &json!({ "input": input }), true, Repeat::Harmless).await
}

#[cfg(test)]
mod tests {
    use tagboat_ports::ForgeErrorKind;

    use super::*;

    fn error(text: &str) -> GraphError {
        let body: Body = serde_json::from_str(text).unwrap();
        body.errors.into_iter().next().unwrap()
    }

    #[test]
    fn an_error_is_known_by_its_type_or_its_words() {
        let stale =
            error(r#"{"data":{"x":null},"errors":[{"type":"STALE_DATA","path":["x"],"message":"Expected …"}]}"#);
        assert!(stale.is("STALE_DATA") && !stale.is_forbidden());
        let trouble = error(r#"{"errors":[{"message":"Something went wrong while executing your query."}]}"#);
        assert!(trouble.is_trouble() && trouble.failure("contents=write").unknown);
        let refused = error(r#"{"errors":[{"type":"FORBIDDEN","message":"Resource not accessible by integration"}]}"#);
        let failure = refused.failure("pull_requests=write");
        assert_eq!(failure.kind, ForgeErrorKind::Permanent);
        assert!(failure.detail.ends_with("the permission `pull_requests=write` is needed"), "{}", failure.detail);
    }
}
