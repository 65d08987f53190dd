//! Whole objects out of the description: every required key has a value that the schema allows, and what a test world
//! knows better is laid over it. So an answer never lacks a key that GitHub always sends.

use serde_json::{Map, Value, json};

use super::description::{Description, rest};

/// The REST object of this name with these values. A value replaces, an object is laid over an object.
///
/// # Panics
/// When a key is none of the schema's: a typo in the fake would otherwise be a lie that nobody sees.
pub(super) fn filled(name: &str, values: Value) -> Value {
    let description = rest();
    let schema = description.schema(name);
    let Value::Object(top) = &values else { panic!("{name}: values are an object") };
    let unknown: Vec<String> = top
        .iter()
        .flat_map(|(key, _)| description.unknown_keys(schema, &json!({ key.as_str(): null }), name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    over(least(description, schema), values)
}

/// The body of an event with these values.
pub(super) fn filled_event(description: &Description, schema: &Value, values: Value) -> Value {
    over(least(description, schema), values)
}

/// `values` laid over `base`.
pub(super) fn over(base: Value, values: Value) -> Value {
    match (base, values) {
        (Value::Object(mut base), Value::Object(values)) => {
            for (key, value) in values {
                let below = base.remove(&key).unwrap_or(Value::Null);
                base.insert(key, over(below, value));
            }
            Value::Object(base)
        }
        (_, value) => value,
    }
}

/// The least value that a schema allows.
fn least(description: &Description, schema: &Value) -> Value {
    let schema = description.resolved(schema);
    if let Some(only) = schema.get("const") {
        return only.clone();
    }
    if let Some(first) = schema.get("enum").and_then(|choices| choices.get(0)) {
        return first.clone();
    }
    let mut kind = schema.get("type");
    if let Some(kinds) = kind.and_then(Value::as_array) {
        if kinds.iter().any(|kind| kind == "null") {
            return Value::Null;
        }
        kind = kinds.first();
    }
    let kind = kind.and_then(Value::as_str).unwrap_or_default();
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        let whole = parts.iter().fold(Value::Null, |whole, part| over(whole, least(description, part)));
        return over(required(description, schema), whole);
    }
    if kind != "object" {
        for word in ["anyOf", "oneOf"] {
            let Some(choices) = schema.get(word).and_then(Value::as_array) else { continue };
            let nullable = choices.iter().any(|choice| description.resolved(choice)["type"] == "null");
            return if nullable { Value::Null } else { least(description, &choices[0]) };
        }
    }
    of_kind(description, schema, kind)
}

fn of_kind(description: &Description, schema: &Value, kind: &str) -> Value {
    match kind {
        "array" => {
            let length = schema["minItems"].as_u64().unwrap_or(0);
            (0..length).map(|_| least(description, &schema["items"])).collect()
        }
        "boolean" => Value::Bool(false),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(0)),
        "string" => json!(match schema["format"].as_str() {
            Some("date-time") => "2026-01-01T00:00:00Z".to_owned(),
            Some("uri" | "uri-reference") => "https://github.example/".to_owned(),
            Some("email") => "nobody@example.org".to_owned(),
            _ => "x".repeat(usize::try_from(schema["minLength"].as_u64().unwrap_or(0)).unwrap()),
        }),
        _ if kind == "object" || schema.get("properties").is_some() => required(description, schema),
        _ => Value::Null,
    }
}

/// The keys that an object must have.
fn required(description: &Description, schema: &Value) -> Value {
    let mut entries = Map::new();
    for key in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        let property = schema.get("properties").and_then(|properties| properties.get(key));
        entries.insert(key.to_owned(), property.map_or(Value::Null, |property| least(description, property)));
    }
    Value::Object(entries)
}
