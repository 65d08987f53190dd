//! Requests and answers against the description of the REST API.
//!
//! Statuses that GitHub documents once for all operations (401, 403, 404, 429) hold for each of them. Keys of a body that
//! the description does not name are errors here, though GitHub ignores them: a typo would never show.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::description::{Description, rest};

/// Statuses that any operation may answer with, as the general part of GitHub's documentation says.
const GENERAL: [u16; 4] = [401, 403, 404, 429];

/// What a request asks for, found in the description.
pub(super) struct Operation {
    /// `GET /repos/{owner}/{repo}/pulls`.
    pub(super) name: String,
    /// Values of the parameters in the path, decoded.
    pub(super) parameters: BTreeMap<String, String>,
    described: &'static Value,
}

impl Operation {
    /// The operation with this method and path, if there is one.
    pub(super) fn find(method: &str, path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let mut best: Option<(usize, Self)> = None;
        for (template, operations) in rest().paths() {
            let parts: Vec<&str> = template.trim_start_matches('/').split('/').collect();
            let Some(described) = operations.get(method.to_ascii_lowercase()) else { continue };
            let mut parameters = BTreeMap::new();
            if !matches(&parts, &segments, &mut parameters) {
                continue;
            }
            let literal = parts.iter().filter(|part| !part.starts_with('{')).count();
            if best.as_ref().is_none_or(|(most, _)| literal > *most) {
                best = Some((literal, Self { name: format!("{method} {template}"), parameters, described }));
            }
        }
        best.map(|(_, operation)| operation)
    }

    /// What is wrong with a request.
    pub(super) fn request_errors(&self, query: &BTreeMap<String, String>, body: Option<&Value>) -> Vec<String> {
        let description = rest();
        let mut errors = Vec::new();
        let listed = self.described.get("parameters").and_then(Value::as_array).into_iter().flatten();
        let described: Vec<&Value> = listed.map(|parameter| description.resolved(parameter)).collect();
        for (name, value) in query {
            match described.iter().find(|parameter| parameter["in"] == "query" && parameter["name"] == name.as_str()) {
                Some(parameter) => errors.extend(parameter_errors(description, parameter, name, value)),
                None => errors.push(format!("query parameter {name}: GitHub knows no such parameter")),
            }
        }
        for parameter in described {
            let name = parameter["name"].as_str().unwrap_or_default();
            match self.parameters.get(name) {
                Some(value) if parameter["in"] == "path" => {
                    errors.extend(parameter_errors(description, parameter, name, value));
                }
                _ if parameter["in"] == "query" && parameter["required"] == true && !query.contains_key(name) => {
                    errors.push(format!("query parameter {name} is missing"));
                }
                _ => {}
            }
        }
        errors.extend(self.body_errors(body));
        errors
    }

    fn body_errors(&self, body: Option<&Value>) -> Vec<String> {
        let description = rest();
        let Some(described) = self.described.get("requestBody").map(|part| description.resolved(part)) else {
            return match body {
                Some(body) if *body != Value::Object(Map::new()) => vec!["a body where GitHub takes none".to_owned()],
                _ => Vec::new(),
            };
        };
        let Some(body) = body else {
            let required = described["required"] == true;
            return if required { vec!["the body is missing".to_owned()] } else { Vec::new() };
        };
        let schema = &described["content"]["application/json"]["schema"];
        let mut errors = description.errors(schema, body);
        errors.extend(description.unknown_keys(schema, body, "body"));
        errors
    }

    /// What is wrong with an answer. `injected` says that a switch made it, so that any 5xx is right.
    pub(super) fn answer_errors(&self, status: u16, body: Option<&Value>, injected: bool) -> Vec<String> {
        let description = rest();
        let Some(described) = self.described["responses"].get(status.to_string()) else {
            // A GET with an ETag may always be answered so.
            let conditional = status == 304 && self.name.starts_with("GET ") && body.is_none();
            if (injected && status >= 500) || conditional {
                return Vec::new();
            }
            if !GENERAL.contains(&status) {
                return vec![format!("GitHub does not document the status {status} here")];
            }
            let Some(body) = body else { return vec![format!("{status} without a body")] };
            return description.errors(description.schema("basic-error"), body);
        };
        if injected && status >= 500 {
            return Vec::new();
        }
        let schema = description.resolved(described).pointer("/content/application~1json/schema");
        match (schema, body) {
            (Some(schema), Some(body)) => description.errors(schema, body),
            (Some(_), None) => vec![format!("{status} without the body that GitHub describes")],
            (None, Some(_)) if status == 204 || status == 304 => vec![format!("{status} with a body")],
            (None, _) => Vec::new(),
        }
    }
}

fn parameter_errors(description: &Description, parameter: &Value, name: &str, value: &str) -> Vec<String> {
    let schema = &parameter["schema"];
    let kind = description.resolved(schema)["type"].as_str().unwrap_or_default();
    let typed = match kind {
        "integer" => value.parse::<i64>().map_or_else(|_| Value::from(value), Value::from),
        "boolean" => value.parse::<bool>().map_or_else(|_| Value::from(value), Value::from),
        _ => Value::from(value),
    };
    description.errors(schema, &typed).into_iter().map(|error| format!("parameter {name}{error}")).collect()
}

/// Whether a path has the form of a template. Names of branches and paths of files may have slashes.
fn matches(parts: &[&str], segments: &[&str], parameters: &mut BTreeMap<String, String>) -> bool {
    let (Some((part, parts)), Some((segment, rest))) = (parts.split_first(), segments.split_first()) else {
        return parts.is_empty() && segments.is_empty();
    };
    let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
        return part == segment && matches(parts, rest, parameters);
    };
    let longest = match name {
        "ref" | "path" | "basehead" | "branch" => segments.len(),
        _ => 1,
    };
    for length in 1..=longest {
        if matches(parts, &segments[length..], parameters) {
            parameters.insert(name.to_owned(), decoded(&segments[..length].join("/")));
            return !segments[0].is_empty();
        }
    }
    false
}

/// A text without percent signs.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(method: &str, path: &str) -> String {
        Operation::find(method, path).map(|operation| operation.name).unwrap_or_default()
    }

    #[test]
    fn paths_are_found_though_branches_have_slashes() {
        assert_eq!(name("GET", "/repos/o/r/pulls/7"), "GET /repos/{owner}/{repo}/pulls/{pull_number}");
        assert_eq!(name("GET", "/repos/o/r/git/ref/heads/a/b"), "GET /repos/{owner}/{repo}/git/ref/{ref}");
        assert_eq!(name("GET", "/repos/o/r/commits/a/b/status"), "GET /repos/{owner}/{repo}/commits/{ref}/status");
        assert_eq!(name("GET", "/repos/o/r/unheard"), "");
        let found = Operation::find("GET", "/repos/o/r/compare/main...a%2Fb").unwrap();
        assert_eq!(found.parameters["basehead"], "main...a/b");
    }

    #[test]
    fn what_is_not_described_is_an_error() {
        let operation = Operation::find("POST", "/repos/o/r/pulls").unwrap();
        let right = serde_json::json!({ "title": "t", "head": "h", "base": "main" });
        assert_eq!(operation.request_errors(&BTreeMap::new(), Some(&right)), Vec::<String>::new());
        let typo = serde_json::json!({ "title": "t", "head": "h", "base": "main", "bodi": "x" });
        assert_eq!(operation.request_errors(&BTreeMap::new(), Some(&typo)).len(), 1);
        assert_eq!(operation.answer_errors(418, None, false).len(), 1);
        assert_eq!(operation.answer_errors(502, None, true), Vec::<String>::new());
    }
}
