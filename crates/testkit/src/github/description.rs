//! GitHub's published descriptions as JSON Schema: of its REST API (OpenAPI 3.0) and of its webhooks (3.1).
//!
//! Where they come from and how they are renewed is in the folder `github-api`. A schema is compiled when it is first
//! used and kept, since all of them together take seconds.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, OnceLock},
};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

/// One description.
pub(super) struct Description {
    document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// The description of the REST API.
pub(super) fn rest() -> &'static Description {
    static LOADED: OnceLock<Description> = OnceLock::new();
    LOADED.get_or_init(|| Description::load(include_str!("../../github-api/openapi.json")))
}

/// The description of webhooks.
pub(super) fn hooks() -> &'static Description {
    static LOADED: OnceLock<Description> = OnceLock::new();
    LOADED.get_or_init(|| Description::load(include_str!("../../github-api/webhooks.json")))
}

impl Description {
    fn load(text: &str) -> Self {
        let document: Value = serde_json::from_str(text).unwrap();
        Self { document: normalized(document), validators: Mutex::new(HashMap::new()) }
    }

    /// The paths and their operations.
    pub(super) fn paths(&self) -> &Map<String, Value> {
        self.document["paths"].as_object().unwrap()
    }

    /// The schema of an event's body, by its name in the description (`pull-request-opened`).
    pub(super) fn event(&self, name: &str) -> Option<&Value> {
        self.document["webhooks"].get(name)
    }

    /// A named schema.
    pub(super) fn schema(&self, name: &str) -> &Value {
        let schema = self.document["components"]["schemas"].get(name);
        schema.unwrap_or_else(|| panic!("GitHub describes no schema {name}"))
    }

    /// What a value means after its `$ref` was followed.
    pub(super) fn resolved<'a>(&'a self, mut value: &'a Value) -> &'a Value {
        while let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            value = self.document.pointer(reference.trim_start_matches('#')).expect("a reference leads somewhere");
        }
        value
    }

    /// What is wrong with a value, in words that begin with where.
    pub(super) fn errors(&self, schema: &Value, value: &Value) -> Vec<String> {
        let validator = self.validator(schema);
        validator.iter_errors(value).take(8).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let key = schema.to_string();
        if let Some(known) = self.validators.lock().unwrap().get(&key) {
            return Arc::clone(known);
        }
        let mut names = BTreeSet::new();
        self.reached(schema, &mut names);
        let schemas: Map<String, Value> =
            names.into_iter().map(|name| (name.clone(), self.schema(&name).clone())).collect();
        let root = json!({ "allOf": [schema], "components": { "schemas": schemas } });
        // GitHub's own bots have addresses with brackets, which are none by the letter of the format.
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .with_format("email", |text: &str| text.contains('@'));
        let validator = Arc::new(options.build(&root).unwrap_or_else(|error| panic!("a schema of GitHub: {error}")));
        self.validators.lock().unwrap().insert(key, Arc::clone(&validator));
        validator
    }

    /// The names of all schemas that one refers to.
    fn reached(&self, value: &Value, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(entries) => {
                let reference = entries.get("$ref").and_then(Value::as_str);
                if let Some(name) = reference.and_then(|text| text.strip_prefix("#/components/schemas/"))
                    && names.insert(name.to_owned())
                {
                    self.reached(self.schema(name), names);
                }
                entries.values().for_each(|entry| self.reached(entry, names));
            }
            Value::Array(items) => items.iter().for_each(|item| self.reached(item, names)),
            _ => {}
        }
    }

    /// Keys of a value that the schema does not name. A schema that allows any key names them all.
    pub(super) fn unknown_keys(&self, schema: &Value, value: &Value, place: &str) -> Vec<String> {
        match value {
            Value::Array(items) => {
                let inner = self.alternatives(schema).into_iter().find_map(|schema| schema.get("items"));
                let Some(inner) = inner else { return Vec::new() };
                items.iter().flat_map(|item| self.unknown_keys(inner, item, &format!("{place}[]"))).collect()
            }
            Value::Object(entries) => {
                let alternatives = self.alternatives(schema);
                let named: Vec<&Map<String, Value>> =
                    alternatives.iter().filter_map(|schema| schema.get("properties")?.as_object()).collect();
                let allows = |schema: &&Value| {
                    schema.get("additionalProperties").is_some_and(|rest| *rest != Value::Bool(false))
                };
                // The parts of a schema that has keys of its own say only that they do not speak of the others.
                let closed = alternatives.first().is_some_and(|own| own.get("properties").is_some() && !allows(own));
                let open = !closed && alternatives.iter().any(allows);
                if open || named.is_empty() {
                    return Vec::new();
                }
                let mut unknown = Vec::new();
                for (key, entry) in entries {
                    match named.iter().find_map(|properties| properties.get(key)) {
                        Some(schema) => unknown.extend(self.unknown_keys(schema, entry, &format!("{place}/{key}"))),
                        None => unknown.push(format!("{place}/{key}: GitHub knows no such key")),
                    }
                }
                unknown
            }
            _ => Vec::new(),
        }
    }

    /// The schema with everything that it is made of, references followed.
    fn alternatives<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolved(schema);
        let mut all = vec![schema];
        for word in ["allOf", "anyOf", "oneOf"] {
            let parts = schema.get(word).and_then(Value::as_array).into_iter().flatten();
            all.extend(parts.flat_map(|part| self.alternatives(part)));
        }
        all
    }
}

/// OpenAPI 3.0 says `nullable` where JSON Schema has the type `null`.
fn normalized(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(normalized).collect(),
        Value::Object(entries) => {
            let mut entries: Map<String, Value> =
                entries.into_iter().map(|(key, entry)| (key, normalized(entry))).collect();
            let nullable = match entries.get("nullable") {
                Some(Value::Bool(nullable)) => *nullable,
                // Also a property may be called so.
                _ => return Value::Object(entries),
            };
            entries.remove("nullable");
            if !nullable {
                return Value::Object(entries);
            }
            let composed = ["$ref", "allOf", "anyOf", "oneOf"].iter().any(|word| entries.contains_key(*word));
            match entries.get("type").cloned() {
                Some(Value::String(kind)) if !composed => {
                    entries.insert("type".to_owned(), json!([kind, "null"]));
                    if let Some(Value::Array(choices)) = entries.get_mut("enum")
                        && !choices.contains(&Value::Null)
                    {
                        choices.push(Value::Null);
                    }
                    Value::Object(entries)
                }
                _ => json!({ "anyOf": [entries, { "type": "null" }] }),
            }
        }
        other => other,
    }
}
