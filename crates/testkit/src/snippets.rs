//! The shell scripts in the files of CI systems, as those would hand them to a shell.
//!
//! Knows where each of them keeps scripts, and nothing else of their formats.

use serde::Deserialize as _;
use yaml_serde::Value;

/// Under these keys stand scripts: one text, or a list of lines.
const KEYS: [&str; 4] = ["script", "run", "command", "bash"];

/// Every script in a YAML file, of all its documents, in order.
///
/// # Panics
/// When the text is not YAML.
#[must_use]
pub fn yaml_scripts(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for document in yaml_serde::Deserializer::from_str(text) {
        collect(&Value::deserialize(document).unwrap(), &mut found);
    }
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Mapping(mapping) => {
            for (key, value) in mapping {
                let script = key.as_str().filter(|key| KEYS.contains(key)).and_then(|_| script(value));
                match script {
                    Some(script) => found.push(script),
                    None => collect(value, found),
                }
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

fn script(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Sequence(lines) => {
            let lines: Option<Vec<&str>> = lines.iter().map(Value::as_str).collect();
            Some(lines?.join("\n"))
        }
        _ => None,
    }
}

/// Every script of a `sh` step in a Jenkinsfile, in order.
#[must_use]
pub fn jenkins_scripts(text: &str) -> Vec<String> {
    text.split("sh '''").skip(1).filter_map(|rest| rest.split("'''").next()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_found_wherever_a_ci_keeps_them() {
        let text = "a:\n  script:\n    - one\n    - two\njobs:\n  b:\n    steps:\n      - checkout\n      - run:\n          name: x\n          command: |\n            three\n            four\n      - run: five\n---\nsteps:\n  - bash: six\n    env: { A: b }\n";
        assert_eq!(yaml_scripts(text), ["one\ntwo", "three\nfour\n", "five", "six"]);
        assert_eq!(jenkins_scripts("steps {\n  sh '''\n    one\n  '''\n  sh '''two'''\n}\n"), ["\n    one\n  ", "two"]);
    }
}
