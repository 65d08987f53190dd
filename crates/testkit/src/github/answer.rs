//! A request as handlers see it, and what they answer.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A request that was made.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query without the prefix of GitHub Enterprise.
    pub path: String,
    /// What was answered.
    pub status: u16,
    /// Whether the request and its answer are what GitHub describes.
    pub validated: bool,
    /// The operation in the description, or the fields of a GraphQL document.
    pub operation: String,
    /// The body.
    pub body: Value,
}

/// A request on its way to its handler.
pub(super) struct Call {
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) body: Value,
    /// Path and query, for links to other pages.
    pub(super) path: String,
}

impl Call {
    /// A parameter of the path; empty when there is none.
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// The same as a number.
    pub(super) fn number(&self, name: &str) -> u64 {
        self.parameter(name).parse().unwrap_or(0)
    }

    /// A text of the body.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.body[key].as_str()
    }

    /// Texts of the body.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        texts(&self.body[key])
    }

    /// A parameter of the query.
    pub(super) fn asked(&self, key: &str) -> Option<&str> {
        self.query.get(key).map(String::as_str)
    }
}

/// The texts in a list; objects with a `name` are texts too, as labels may be.
pub(super) fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|item| item.as_str().or_else(|| item["name"].as_str())).map(str::to_owned).collect()
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// A handler's answer; the error is an answer too.
pub(super) type Outcome = Result<Answer, Answer>;

impl Answer {
    /// A status and a body.
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), headers: Vec::new() }
    }

    /// 200.
    pub(super) fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    /// 201.
    pub(super) fn created(body: Value) -> Self {
        Self::new(201, body)
    }

    /// 204.
    pub(super) fn nothing() -> Self {
        Self { status: 204, body: None, headers: Vec::new() }
    }

    /// An error in GitHub's form.
    pub(super) fn refused(status: u16, message: &str) -> Self {
        let documentation = "https://docs.github.com/rest";
        Self::new(
            status,
            json!({ "message": message, "documentation_url": documentation, "status": status.to_string() }),
        )
    }

    /// 404, which is also what somebody without access sees.
    pub(super) fn not_found() -> Self {
        Self::refused(404, "Not Found")
    }

    /// 422 with one error, as most are.
    pub(super) fn invalid(resource: &str, field: &str, message: &str) -> Self {
        let error = json!({ "resource": resource, "field": field, "code": "custom", "message": message });
        let mut answer = Self::refused(422, "Validation Failed");
        if let Some(body) = &mut answer.body {
            body["errors"] = json!([error]);
        }
        answer
    }

    /// One page of a list, with links to its neighbours.
    pub(super) fn page(call: &Call, base: &str, items: Vec<Value>, wrapped: Option<&str>) -> Self {
        let number = |name: &str, usual: usize| call.asked(name).and_then(|text| text.parse().ok()).unwrap_or(usual);
        let (size, page) = (number("per_page", 30).clamp(1, 100), number("page", 1).max(1));
        let (total, pages) = (items.len(), items.len().div_ceil(size).max(1));
        let shown: Vec<Value> = items.into_iter().skip((page - 1) * size).take(size).collect();
        let mut links = Vec::new();
        if page < pages {
            links.push(link(call, base, page + 1, "next"));
            links.push(link(call, base, pages, "last"));
        }
        if page > 1 {
            links.push(link(call, base, page - 1, "prev"));
            links.push(link(call, base, 1, "first"));
        }
        let body = match wrapped {
            Some(key) => json!({ "total_count": total, key: shown }),
            None => Value::Array(shown),
        };
        let headers = if links.is_empty() { Vec::new() } else { vec![("link", links.join(", "))] };
        Self { status: 200, body: Some(body), headers }
    }
}

fn link(call: &Call, base: &str, page: usize, relation: &str) -> String {
    let path = call.path.split('?').next().unwrap_or_default();
    let kept = call.query.iter().filter(|(name, _)| name.as_str() != "page");
    let query: String = kept.map(|(name, value)| format!("{name}={}&", value.replace(' ', "%20"))).collect();
    format!("<{base}/api/v3{path}?{query}page={page}>; rel=\"{relation}\"")
}
