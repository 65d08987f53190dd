//! Environment variables that override values of the server file.
//!
//! `TAGBOAT_` and the path of the value in capitals: `TAGBOAT_LISTEN`, `TAGBOAT_PUBLIC_URL`,
//! `TAGBOAT_REPOSITORIES_0_URL`. The value is read as YAML where the key holds more than text.

use serde_json::Value;

use crate::problem::Problem;

const PREFIX: &str = "TAGBOAT_";

/// Variables that belong to the command line and not to the file; from `TAGBOAT_URL` on those of `tagboat notify` and of
/// the script in its place.
const NOT_SETTINGS: [&str; 16] = [
    "TAGBOAT_CONFIG",
    "TAGBOAT_LOG",
    "TAGBOAT_OUTPUT",
    "TAGBOAT_BIN",
    "TAGBOAT_URL",
    "TAGBOAT_RECEIVER",
    "TAGBOAT_AUDIENCE",
    "TAGBOAT_SECRET",
    "TAGBOAT_SECRET_FILE",
    "TAGBOAT_ID_TOKEN",
    "TAGBOAT_ID_TOKEN_FILE",
    "TAGBOAT_IDEMPOTENCY_KEY",
    "TAGBOAT_TIMEOUT",
    "TAGBOAT_REPOSITORY",
    "TAGBOAT_REVISION",
    "TAGBOAT_RUN",
];

/// Whether a variable is meant to override the server file.
pub(crate) fn concerns(name: &str) -> bool {
    // Kubernetes describes Services (`tagboat`, `tagboat-x`) to every pod of their namespace in such variables; no
    // key of the server file is named like them.
    let injected = ["_PORT", "_SERVICE_HOST", "_SERVICE_PORT"];
    let from_kubernetes = injected.iter().any(|end| name.ends_with(end))
        || ["_PORT_", "_SERVICE_PORT_"].iter().any(|part| name.contains(part));
    name.starts_with(PREFIX) && !NOT_SETTINGS.contains(&name) && !from_kubernetes
}

/// Set the value that `name` points to. `settings` holds every key, so that each can be found.
pub(crate) fn apply(settings: &mut Value, name: &str, value: &str) -> Result<(), Problem> {
    let fail = |message: &str| Problem { source: name.to_owned(), place: None, message: message.to_owned() };
    let path = name.strip_prefix(PREFIX).unwrap_or(name);
    let target = descend(settings, path).ok_or_else(|| fail("no key of the server file has this name"))?;
    *target = match target {
        Value::String(_) => Value::String(value.to_owned()),
        _ => serde_saphyr::from_str(value).map_err(|_| fail("the value is not YAML"))?,
    };
    Ok(())
}

fn descend<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    if path.is_empty() {
        return Some(value);
    }
    let rest_after = |key: &str| {
        let rest = path.strip_prefix(key)?;
        if rest.is_empty() { Some("") } else { rest.strip_prefix('_') }
    };
    match value {
        Value::Object(map) => {
            // The longest key that fits, so that `publicUrl` is not taken for `public`.
            let keys = map.keys().filter_map(|key| Some((key.clone(), rest_after(&capitals(key))?.to_owned())));
            let (key, rest) = keys.max_by_key(|(key, _)| key.len())?;
            descend(map.get_mut(&key)?, &rest)
        }
        Value::Array(items) => {
            let (index, rest) = path.split_once('_').unwrap_or((path, ""));
            descend(items.get_mut(index.parse::<usize>().ok()?)?, rest)
        }
        _ => None,
    }
}

/// `publicUrl` becomes `PUBLIC_URL`.
fn capitals(key: &str) -> String {
    let mut text = String::new();
    for character in key.chars() {
        if character.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(character.to_ascii_uppercase());
    }
    text
}

/// The names of all variables that override values of `settings` as it stands, for `tagboat check`.
#[must_use]
pub fn environment_names(settings: &Value) -> Vec<String> {
    fn collect(value: &Value, name: &str, names: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(key, value)| collect(value, &format!("{name}_{}", capitals(key)), names));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, value)| collect(value, &format!("{name}_{index}"), names));
            }
            _ => names.push(name.to_owned()),
        }
    }
    let mut names = Vec::new();
    collect(settings, PREFIX.trim_end_matches('_'), &mut names);
    names
}
