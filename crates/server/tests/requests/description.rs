//! Every answer is held against the description of the API: its path, its status and its body have to be in it.

use serde_json::{Value, json};

fn described() -> Value {
    serde_json::from_str(include_str!("../../openapi.json")).unwrap()
}

/// The described path that a path is one of.
fn template(paths: &Value, path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let own: Vec<&str> = template.split('/').collect();
        own.len() == parts.len() && own.iter().zip(&parts).all(|(own, part)| own.starts_with('{') || own == part)
    };
    paths.as_object().unwrap().keys().find(fits).cloned()
}

/// Fail when an answer is not as it is described. Pages, addresses that do not exist, and those with a secret part have no
/// description.
pub(crate) fn hold(method: &str, path: &str, status: u16, body: &str) {
    let described = described();
    let Some(template) = template(&described["paths"], path) else {
        let undescribed = path == "/" || path.starts_with("/style") || path.starts_with("/hooks/") || status == 404;
        assert!(undescribed, "{path} is not described");
        return;
    };
    let responses = &described["paths"][&template][method]["responses"];
    let response = match &responses[status.to_string()] {
        Value::Null if (200..300).contains(&status) => &responses["2XX"],
        found => found,
    };
    assert!(response.is_object(), "{method} {template}: {status} is not described: {body}");
    let Some(schema) = response["content"]["application/json"].get("schema") else { return };
    let schema = json!({ "allOf": [schema], "components": described["components"] });
    let validator = jsonschema::validator_for(&schema).unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let wrong: Vec<String> =
        validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{method} {template} {status}: {wrong:?}: {body}");
}

#[test]
fn an_answer_that_is_not_as_described_is_found() {
    let hold = |status, body: &str| {
        let body = body.to_owned();
        std::panic::catch_unwind(move || hold("post", "/api/v1/events", status, &body)).is_err()
    };
    let good = r#"{"verdict":"accepted","receiver":"ci","id":"ev-1","events":["ev-1"],"reasons":[]}"#;
    assert!(!hold(202, good));
    assert!(hold(202, &good.replace("accepted", "fine")));
    assert!(hold(202, &good.replace(r#","reasons":[]"#, "")));
    assert!(hold(202, &good.replace(r#"["ev-1"]"#, "[1]")));
    assert!(hold(418, good));
    assert!(hold(400, r#"{"message":"no"}"#));
}
