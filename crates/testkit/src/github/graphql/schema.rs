//! Documents, variables and answers against the excerpt of GitHub's public schema.

use std::{collections::HashMap, sync::OnceLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::syntax::{self, Argument, Definition, Document, Field, Input, Type, with_variables};

/// The excerpt.
pub(super) struct Schema {
    definitions: HashMap<String, Definition>,
}

/// The excerpt, read once.
pub(super) fn schema() -> &'static Schema {
    static LOADED: OnceLock<Schema> = OnceLock::new();
    LOADED.get_or_init(|| {
        let read = syntax::schema(include_str!("../../../github-api/schema.graphql")).unwrap();
        Schema { definitions: read.into_iter().collect() }
    })
}

/// The type of a document's own fields.
pub(super) fn root(document: &Document) -> &'static str {
    if document.kind == "mutation" { "Mutation" } else { "Query" }
}

impl Schema {
    /// What is wrong with a document and its variables.
    pub(super) fn request_errors(&self, document: &Document, variables: &Map<String, Value>) -> Vec<String> {
        let mut errors = Vec::new();
        for (name, kind, default) in &document.variables {
            match variables.get(name) {
                Some(value) => self.input(kind, value, &format!("${name}"), &mut errors),
                None if default.is_none() && matches!(kind, Type::Required(_)) => {
                    errors.push(format!("the variable ${name} was not given"));
                }
                None => {}
            }
        }
        for name in variables.keys().filter(|name| !document.variables.iter().any(|(known, _, _)| known == *name)) {
            errors.push(format!("the variable ${name} is not declared"));
        }
        self.selection(document, variables, root(document), &document.selection, &mut errors);
        errors
    }

    fn selection(
        &self,
        document: &Document,
        variables: &Map<String, Value>,
        parent: &str,
        selection: &[Field],
        errors: &mut Vec<String>,
    ) {
        for field in selection.iter().filter(|field| field.name != "__typename") {
            let place = format!("{parent}.{}", field.name);
            let Some((_, arguments, kind)) = self.field(parent, &field.name) else {
                errors.push(format!("{place}: no such field"));
                continue;
            };
            for (name, input) in &field.arguments {
                match arguments.iter().find(|(known, _, _)| known == name) {
                    Some((_, kind, _)) => {
                        self.argument(document, variables, kind, input, &format!("{place}({name})"), errors);
                    }
                    None => errors.push(format!("{place}: no argument {name}")),
                }
            }
            for (name, kind, with_default) in arguments {
                let given = field.arguments.iter().any(|(known, _)| known == name);
                if !given && !with_default && matches!(kind, Type::Required(_)) {
                    errors.push(format!("{place}: the argument {name} is missing"));
                }
            }
            let composed = self.definitions.get(kind.name()).is_some_and(|definition| definition.kind == "type");
            if composed == field.selection.is_empty() {
                errors.push(format!("{place}: select fields of objects, and of objects only"));
            } else if composed {
                self.selection(document, variables, kind.name(), &field.selection, errors);
            }
        }
    }

    fn field(&self, parent: &str, name: &str) -> Option<&(String, Vec<Argument>, Type)> {
        self.definitions.get(parent)?.fields.iter().find(|(known, _, _)| known == name)
    }

    fn argument(
        &self,
        document: &Document,
        variables: &Map<String, Value>,
        kind: &Type,
        input: &Input,
        place: &str,
        errors: &mut Vec<String>,
    ) {
        if let Input::Variable(name) = input {
            match document.variables.iter().find(|(known, _, _)| known == name) {
                None => errors.push(format!("{place}: the variable ${name} is not declared")),
                Some((_, declared, default)) => {
                    let strict = matches!(kind, Type::Required(_));
                    let filled = matches!(declared, Type::Required(_)) || default.is_some();
                    if declared.name() != kind.name() || (strict && !filled) {
                        errors.push(format!("{place}: ${name} is a {declared:?} where {kind:?} is taken"));
                    }
                }
            }
            return;
        }
        self.input(kind, &with_variables(input, variables).unwrap_or(Value::Null), place, errors);
    }

    /// A value that comes in.
    fn input(&self, kind: &Type, value: &Value, place: &str, errors: &mut Vec<String>) {
        match kind {
            Type::Required(_) if value.is_null() => errors.push(format!("{place}: must not be null")),
            Type::Required(inner) => self.input(inner, value, place, errors),
            _ if value.is_null() => {}
            Type::List(inner) => match value {
                Value::Array(items) => items.iter().for_each(|item| self.input(inner, item, place, errors)),
                single => self.input(inner, single, place, errors),
            },
            Type::Named(name) => match self.definitions.get(name).filter(|definition| definition.kind == "input") {
                Some(definition) => self.input_object(definition, value, place, errors),
                None if self.is_leaf(name, value) => {}
                None => errors.push(format!("{place}: {value} is no {name}")),
            },
        }
    }

    fn input_object(&self, definition: &Definition, value: &Value, place: &str, errors: &mut Vec<String>) {
        let Value::Object(entries) = value else {
            errors.push(format!("{place}: {value} is no object"));
            return;
        };
        for (name, entry) in entries {
            match definition.fields.iter().find(|(known, _, _)| known == name) {
                Some((_, _, kind)) => self.input(kind, entry, &format!("{place}.{name}"), errors),
                None => errors.push(format!("{place}: no field {name}")),
            }
        }
        for (name, _, kind) in &definition.fields {
            let needed = matches!(kind, Type::Required(_)) && !definition.with_default.contains(name);
            if needed && !entries.contains_key(name) {
                errors.push(format!("{place}: the field {name} is missing"));
            }
        }
    }

    /// Whether a value is of a scalar type or an enumeration.
    fn is_leaf(&self, name: &str, value: &Value) -> bool {
        let text = value.as_str();
        match name {
            "Int" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            "Float" => value.is_number(),
            "Boolean" => value.is_boolean(),
            "String" => text.is_some(),
            "ID" => text.is_some() || value.is_i64(),
            "GitObjectID" => text.is_some_and(|id| id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit())),
            "GitRefname" => text.is_some_and(|name| name.starts_with("refs/")),
            "Base64String" => text.is_some_and(|text| STANDARD.decode(text).is_ok()),
            _ => match self.definitions.get(name) {
                Some(definition) if definition.kind == "enum" => {
                    text.is_some_and(|word| definition.fields.iter().any(|(known, _, _)| known == word))
                }
                _ => text.is_some(),
            },
        }
    }

    /// What is wrong with an answer's data. With errors beside it, fields of the root may be null.
    pub(super) fn answer_errors(&self, document: &Document, data: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.output_object(root(document), &document.selection, data, "data", &mut errors);
        errors
    }

    fn output_object(&self, parent: &str, selection: &[Field], value: &Value, place: &str, errors: &mut Vec<String>) {
        let Value::Object(entries) = value else {
            errors.push(format!("{place}: {value} is no object"));
            return;
        };
        for field in selection {
            let place = format!("{place}.{}", field.alias);
            let Some(entry) = entries.get(&field.alias) else {
                errors.push(format!("{place}: was selected and is not there"));
                continue;
            };
            if let Some((_, _, kind)) = self.field(parent, &field.name) {
                self.output(kind, &field.selection, entry, &place, errors);
            }
        }
        for name in entries.keys().filter(|name| !selection.iter().any(|field| field.alias == **name)) {
            errors.push(format!("{place}.{name}: was not selected"));
        }
    }

    fn output(&self, kind: &Type, selection: &[Field], value: &Value, place: &str, errors: &mut Vec<String>) {
        match kind {
            Type::Required(_) if value.is_null() => errors.push(format!("{place}: must not be null")),
            Type::Required(inner) => self.output(inner, selection, value, place, errors),
            _ if value.is_null() => {}
            Type::List(inner) => {
                let items = value.as_array().into_iter().flatten();
                items.for_each(|item| self.output(inner, selection, item, place, errors));
            }
            Type::Named(name) if !selection.is_empty() => self.output_object(name, selection, value, place, errors),
            Type::Named(name) if self.is_leaf(name, value) => {}
            Type::Named(name) => errors.push(format!("{place}: {value} is no {name}")),
        }
    }
}
