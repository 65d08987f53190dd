//! TOML: values by their path. Nothing is inserted.

use std::ops::Range;

use tagboat_model::{Edit, Scalar, ScalarStyle};
use toml_edit::{Document, Item, Table, Value};

use super::{
    Claimed,
    path::{Step, ValuePath},
};
use crate::{Refusal, Unreadable, position::Lines};

/// Whether a file of this name is TOML.
pub(crate) fn is_toml(path: &str) -> bool {
    path.ends_with(".toml")
}

fn read(source: &str) -> Result<Document<&str>, Unreadable> {
    Document::parse(source).map_err(|error| Unreadable::NotToml { detail: error.message().to_owned() })
}

/// Collect the value at a path.
pub(super) fn find(path: &ValuePath, source: &str, claimed: &mut Claimed<'_>) -> Result<(), Unreadable> {
    let document = read(source)?;
    let Some(value) = value_at(document.as_item(), &path.steps) else {
        claimed.uneditable(1, format!("there is no `{}` in it", path.written));
        return Ok(());
    };
    let Some((text, span)) = value.as_str().zip(value.span()) else {
        claimed.uneditable(1, format!("`{}` is no text", path.written));
        return Ok(());
    };
    let at = Lines::of(source).position(span.start);
    let raw = source.get(span.clone()).unwrap_or_default();
    let style = match raw.get(..1) {
        Some("\"") => ScalarStyle::DoubleQuoted,
        _ => ScalarStyle::SingleQuoted,
    };
    // Strings of three quotes, and those with escapes, read as something else than their bytes.
    if raw.get(1..raw.len().saturating_sub(1)) != Some(text) {
        claimed.uneditable(at.line, "it is not written on one line without escapes".to_owned());
        return Ok(());
    }
    claimed.scalar(Scalar { span, style, value: text.to_owned() }, at, &path.written);
    Ok(())
}

fn value_at<'t>(item: &'t Item, steps: &[Step]) -> Option<&'t Value> {
    let mut item = Found::Item(item);
    for step in steps {
        item = item.step(step)?;
    }
    match item {
        Found::Item(item) => item.as_value(),
        Found::Value(value) => Some(value),
        Found::Table(_) => None,
    }
}

/// TOML's three kinds of place.
#[derive(Clone, Copy)]
enum Found<'t> {
    Item(&'t Item),
    Value(&'t Value),
    Table(&'t Table),
}

impl<'t> Found<'t> {
    fn step(self, step: &Step) -> Option<Self> {
        match (self, step) {
            (Self::Item(Item::Value(value)), step) => Self::Value(value).step(step),
            (Self::Item(item), Step::Key(key)) => item.get(key).map(Self::Item),
            (Self::Table(table), Step::Key(key)) => table.get(key).map(Self::Item),
            (Self::Value(Value::InlineTable(table)), Step::Key(key)) => table.get(key).map(Self::Value),
            (Self::Value(Value::Array(array)), Step::Index(index)) => array.get(*index).map(Self::Value),
            (Self::Item(Item::ArrayOfTables(tables)), Step::Index(index)) => tables.get(*index).map(Self::Table),
            (Self::Item(Item::ArrayOfTables(tables)), Step::Where(key, value)) => {
                let is = |table: &&Table| table.get(key).and_then(Item::as_str) == Some(value);
                tables.iter().find(is).map(Self::Table)
            }
            _ => None,
        }
    }
}

/// Both texts say the same but for the edited values.
pub(crate) fn prove(before: &str, after: &str, edits: &[Edit]) -> Result<(), Refusal> {
    let refuse = |unreadable: Unreadable| Refusal::new(unreadable.to_string());
    let differs = || Refusal::new("more than the intended value would change");
    let (old, new) = (values(before).map_err(refuse)?, values(after).map_err(refuse)?);
    if old.len() != new.len() {
        return Err(differs());
    }
    let mut edited = 0;
    for ((key, value, span), (new_key, new_value, _)) in old.iter().zip(&new) {
        let here = edits.iter().find(|edit| Some(&edit.span) == span.as_ref());
        let expected = here.map_or(value.as_str(), |edit| edit.text.trim_matches(['"', '\'']));
        edited += usize::from(here.is_some());
        if key != new_key || expected != new_value {
            return Err(differs());
        }
    }
    if edited == edits.len() { Ok(()) } else { Err(differs()) }
}

/// The path of a value, what it says, its bytes.
type Stated = (String, String, Option<Range<usize>>);

fn values(source: &str) -> Result<Vec<Stated>, Unreadable> {
    let document = read(source)?;
    let mut all = Vec::new();
    collect(source, "", Found::Item(document.as_item()), &mut all);
    Ok(all)
}

fn collect(source: &str, path: &str, found: Found<'_>, all: &mut Vec<Stated>) {
    let at = |key: &str| format!("{path}.{key:?}");
    match found {
        Found::Item(Item::Value(value)) => collect(source, path, Found::Value(value), all),
        Found::Item(Item::Table(table)) | Found::Table(table) => {
            table.iter().for_each(|(key, item)| collect(source, &at(key), Found::Item(item), all));
        }
        Found::Item(Item::ArrayOfTables(tables)) => {
            tables
                .iter()
                .enumerate()
                .for_each(|(index, it)| collect(source, &at(&index.to_string()), Found::Table(it), all));
        }
        Found::Item(Item::None) => {}
        Found::Value(Value::InlineTable(table)) => {
            table.iter().for_each(|(key, value)| collect(source, &at(key), Found::Value(value), all));
        }
        Found::Value(Value::Array(array)) => {
            array
                .iter()
                .enumerate()
                .for_each(|(index, it)| collect(source, &at(&index.to_string()), Found::Value(it), all));
        }
        Found::Value(value) => {
            let span = value.span();
            let raw = span.clone().and_then(|span| source.get(span)).unwrap_or_default();
            all.push((path.to_owned(), value.as_str().unwrap_or(raw).to_owned(), span));
        }
    }
}
