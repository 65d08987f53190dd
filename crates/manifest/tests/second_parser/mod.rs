//! A YAML parser that has nothing in common with the one in the product, to read what was edited.

use yaml_serde::Value;

/// Every document of a text.
pub(crate) fn read(text: &str) -> Vec<Value> {
    let documents = yaml_serde::Deserializer::from_str(text);
    documents.map(|document| serde::Deserialize::deserialize(document).unwrap()).collect()
}

/// Every scalar that differs, as (before, after). A difference of any other kind fails the test.
pub(crate) fn differences(before: &Value, after: &Value, found: &mut Vec<(String, String)>) {
    match (before, after) {
        (Value::Mapping(old), Value::Mapping(new)) if old.len() == new.len() => {
            for ((key, value), (new_key, new_value)) in old.iter().zip(new) {
                assert_eq!(key, new_key);
                differences(value, new_value, found);
            }
        }
        (Value::Sequence(old), Value::Sequence(new)) if old.len() == new.len() => {
            old.iter().zip(new).for_each(|(value, new_value)| differences(value, new_value, found));
        }
        (Value::String(old), Value::String(new)) if old != new => found.push((old.clone(), new.clone())),
        // A number that was a tag is text afterwards.
        (Value::Number(old), Value::String(new)) => found.push((old.to_string(), new.clone())),
        (Value::Tagged(old), Value::String(new)) => found.push((format!("{:?}", old.value), new.clone())),
        (old, new) => assert_eq!(old, new),
    }
}
