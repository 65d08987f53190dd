//! Requests and answers against a description in Swagger 2.0.
//!
//! Where the descriptions come from is in the folder `forge-api`. Keys of a body that a description does not name are
//! errors here, though forges ignore them: a typo would never show. Any field of an answer may be `null`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// What any operation may answer with.
const GENERAL: [u16; 2] = [401, 403];

/// One description.
pub(crate) struct Description {
    document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// What a request asks for, found in a description.
pub(crate) struct Operation {
    /// `GET /repos/{owner}/{repo}/pulls`.
    pub(crate) name: String,
    /// Values of the parameters in the path, decoded.
    pub(crate) path: BTreeMap<String, String>,
    described: Value,
}

impl Description {
    pub(crate) fn load(text: &str) -> Self {
        let mut document: Value = serde_json::from_str(text).unwrap();
        for schema in document["definitions"].as_object_mut().unwrap().values_mut() {
            let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { continue };
            for property in properties.values_mut() {
                *property = json!({ "anyOf": [property.take(), { "type": "null" }] });
            }
        }
        Self { document, validators: Mutex::new(HashMap::new()) }
    }

    /// The operation with this method and path, below the interface's own path.
    pub(crate) fn find(&self, method: &str, path: &str) -> Option<Operation> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let mut best: Option<(usize, Operation)> = None;
        for (template, operations) in self.document["paths"].as_object().unwrap() {
            let Some(described) = operations.get(method.to_ascii_lowercase()) else { continue };
            let parts: Vec<&str> = template.trim_start_matches('/').split('/').collect();
            let Some(found) = matched(&parts, &segments) else { continue };
            let literal = parts.iter().filter(|part| !part.starts_with('{')).count();
            if best.as_ref().is_none_or(|(most, _)| literal > *most) {
                let name = format!("{method} {template}");
                best = Some((literal, Operation { name, path: found, described: described.clone() }));
            }
        }
        best.map(|(_, operation)| operation)
    }

    /// What is wrong with a request.
    pub(crate) fn request_errors(
        &self,
        operation: &Operation,
        query: &BTreeMap<String, String>,
        body: Option<&Value>,
    ) -> Vec<String> {
        let described: Vec<&Value> = operation.described["parameters"].as_array().into_iter().flatten().collect();
        let mut errors = Vec::new();
        for (name, value) in operation.path.iter().chain(query) {
            let parameter = described.iter().find(|it| it["name"] == name.as_str() && it["in"] != "body");
            match parameter {
                Some(parameter) => {
                    let schema = json!({ "type": parameter["type"], "enum": parameter["enum"] });
                    errors.extend(self.value_errors(&schema, parameter, name, value));
                }
                None => errors.push(format!("the parameter {name} is not described")),
            }
        }
        for parameter in &described {
            let name = parameter["name"].as_str().unwrap_or_default();
            if parameter["in"] == "query" && parameter["required"] == true && !query.contains_key(name) {
                errors.push(format!("the parameter {name} is missing"));
            }
        }
        match (described.iter().find(|it| it["in"] == "body"), body) {
            (Some(parameter), Some(body)) => {
                errors.extend(self.errors(&parameter["schema"], body));
                errors.extend(self.unknown_keys(&parameter["schema"], body));
            }
            (Some(parameter), None) if parameter["required"] == true => errors.push("the body is missing".to_owned()),
            (None, Some(_)) => errors.push("a body where none is described".to_owned()),
            _ => {}
        }
        errors
    }

    /// A parameter is text until its type says otherwise.
    fn value_errors(&self, schema: &Value, parameter: &Value, name: &str, value: &str) -> Vec<String> {
        let typed = match parameter["type"].as_str() {
            Some("integer") => value.parse::<i64>().map_or_else(|_| Value::from(value), Value::from),
            Some("boolean") => value.parse::<bool>().map_or_else(|_| Value::from(value), Value::from),
            _ => Value::from(value),
        };
        let mut schema = schema.clone();
        if let Some(entries) = schema.as_object_mut() {
            entries.retain(|_, entry| !entry.is_null());
        }
        self.errors(&schema, &typed).into_iter().map(|error| format!("the parameter {name}{error}")).collect()
    }

    /// What is wrong with an answer. `None` is a body that is no JSON, or empty.
    pub(crate) fn answer_errors(&self, operation: &Operation, status: u16, body: Option<&Value>) -> Vec<String> {
        let Some(response) = operation.described["responses"].get(status.to_string()) else {
            let is_general = GENERAL.contains(&status);
            return if is_general { Vec::new() } else { vec![format!("the status {status} is not described")] };
        };
        match (self.resolved(response).get("schema"), body) {
            (Some(schema), Some(body)) => self.errors(schema, body),
            (Some(_), None) => vec![format!("{status} without the body that is described")],
            (None, _) => Vec::new(),
        }
    }

    fn resolved<'a>(&'a self, mut value: &'a Value) -> &'a Value {
        while let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            value = self.document.pointer(reference.trim_start_matches('#')).expect("a reference leads somewhere");
        }
        value
    }

    fn errors(&self, schema: &Value, value: &Value) -> Vec<String> {
        let validator = {
            let mut validators = self.validators.lock().unwrap();
            let entry = validators.entry(schema.to_string()).or_insert_with(|| {
                let root = json!({ "allOf": [schema], "definitions": self.document["definitions"] });
                Arc::new(jsonschema::validator_for(&root).unwrap_or_else(|error| panic!("a schema: {error}")))
            });
            Arc::clone(entry)
        };
        validator.iter_errors(value).take(5).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    fn unknown_keys(&self, schema: &Value, body: &Value) -> Vec<String> {
        let empty = Map::new();
        let known = self.resolved(schema)["properties"].as_object().unwrap_or(&empty);
        let keys = body.as_object().into_iter().flat_map(Map::keys);
        keys.filter(|key| !known.contains_key(*key)).map(|key| format!("the key {key} is not described")).collect()
    }
}

/// The parameters of a path, if it has the form of a template. Paths of files have slashes.
fn matched(parts: &[&str], segments: &[&str]) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for (index, part) in parts.iter().enumerate() {
        let segment = segments.get(index)?;
        let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
            if part != segment {
                return None;
            }
            continue;
        };
        if name == "filepath" && index + 1 == parts.len() {
            found.insert(name.to_owned(), decoded(&segments[index..].join("/")));
            return Some(found);
        }
        found.insert(name.to_owned(), decoded(segment));
    }
    (parts.len() == segments.len()).then_some(found)
}

/// A text without percent signs.
pub(crate) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let code = text.get(index + 1..index + 3).filter(|_| bytes[index] == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                index += 3;
            }
            None => {
                plain.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_described_is_an_error() {
        let description = Description::load(include_str!("../../forge-api/gitea/swagger.json"));
        let operation = description.find("POST", "/repos/o/r/pulls").unwrap();
        assert_eq!(operation.path["owner"], "o");
        let right = json!({ "title": "t", "head": "h", "base": "main" });
        let errors = |body: &Value| description.request_errors(&operation, &BTreeMap::new(), Some(body));
        assert_eq!(errors(&right), Vec::<String>::new());
        assert_eq!(errors(&json!({ "titel": "t" })), ["the key titel is not described"]);
        assert_eq!(errors(&json!({ "title": 7 })).len(), 1);
        assert_eq!(description.answer_errors(&operation, 418, None).len(), 1);
        assert!(description.find("GET", "/repos/o/r/unheard").is_none());
    }

    #[test]
    fn paths_of_files_have_slashes() {
        let description = Description::load(include_str!("../../forge-api/gitea/swagger.json"));
        let operation = description.find("GET", "/repos/o/r/raw/apps/a%20b.yaml").unwrap();
        assert_eq!(operation.path["filepath"], "apps/a b.yaml");
        assert_eq!(decoded("100%"), "100%");
    }
}
