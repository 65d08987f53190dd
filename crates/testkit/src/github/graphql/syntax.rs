//! GraphQL documents and schemas as trees (spec.graphql.org, October 2021, section 2): what a client of GitHub writes.
//! Fragments and directives are not read.

use serde_json::{Map, Value};

/// A word of a document.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    /// `{`, `(`, `!`, …
    Mark(char),
    Text(String),
    Number(String),
    /// The end.
    End,
}

/// A type: its name, whether it may be null, and what is in a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    /// A named type.
    Named(String),
    /// A list of something.
    List(Box<Type>),
    /// Something that is never null.
    Required(Box<Type>),
}

impl Type {
    /// The name inside.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::List(inner) | Self::Required(inner) => inner.name(),
        }
    }
}

/// The value of an argument.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// `$name`.
    Variable(String),
    /// An enumeration's word.
    Word(String),
    /// A number, text, boolean or null.
    Plain(Value),
    /// A list.
    List(Vec<Input>),
    /// An object.
    Object(Vec<(String, Input)>),
}

/// A selected field.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// What it is called in the answer.
    pub(super) alias: String,
    /// Its name.
    pub(super) name: String,
    /// Its arguments.
    pub(super) arguments: Vec<(String, Input)>,
    /// What is selected of it.
    pub(super) selection: Vec<Field>,
}

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// `query` or `mutation`.
    pub(super) kind: String,
    /// Variables: name, type, and whether there is a default.
    pub(super) variables: Vec<(String, Type, Option<Input>)>,
    /// What is selected.
    pub(super) selection: Vec<Field>,
}

/// A type with fields or input fields, an enumeration with its words, or a scalar.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    /// `type`, `input`, `enum` or `scalar`.
    pub(super) kind: String,
    /// Name, arguments and type of each field; for enumerations only the name counts.
    pub(super) fields: Vec<(String, Vec<Argument>, Type)>,
    /// Input fields that have a default.
    pub(super) with_default: Vec<String>,
}

/// Name, type and whether there is a default.
pub(super) type Argument = (String, Type, bool);

/// Reads words one after the other.
struct Reader {
    tokens: Vec<Token>,
    place: usize,
}

/// Read a document.
pub(super) fn document(text: &str) -> Result<Document, String> {
    let mut reader = Reader { tokens: tokens(text)?, place: 0 };
    let mut kind = "query".to_owned();
    let mut variables = Vec::new();
    if let Token::Name(_) = reader.peek() {
        kind = reader.name()?;
        if let Token::Name(_) = reader.peek() {
            reader.name()?;
        }
        if reader.takes('(') {
            while !reader.takes(')') {
                reader.expect('$')?;
                let name = reader.name()?;
                reader.expect(':')?;
                let kind = reader.kind()?;
                let default = if reader.takes('=') { Some(reader.input()?) } else { None };
                variables.push((name, kind, default));
            }
        }
    }
    let selection = reader.selection()?;
    if reader.peek() != Token::End {
        return Err("only one operation is read".to_owned());
    }
    Ok(Document { kind, variables, selection })
}

/// Read a schema's definitions with their names.
pub(super) fn schema(text: &str) -> Result<Vec<(String, Definition)>, String> {
    let mut reader = Reader { tokens: tokens(text)?, place: 0 };
    let mut found = Vec::new();
    while reader.peek() != Token::End {
        let (kind, name) = (reader.name()?, reader.name()?);
        let mut definition = Definition { kind: kind.clone(), fields: Vec::new(), with_default: Vec::new() };
        if kind != "scalar" {
            reader.expect('{')?;
            while !reader.takes('}') {
                let field = reader.name()?;
                if kind == "enum" {
                    definition.fields.push((field, Vec::new(), Type::Named(name.clone())));
                    continue;
                }
                let mut arguments = Vec::new();
                if reader.takes('(') {
                    while !reader.takes(')') {
                        arguments.push(reader.argument()?);
                    }
                }
                reader.expect(':')?;
                let kind = reader.kind()?;
                if reader.takes('=') {
                    reader.input()?;
                    definition.with_default.push(field.clone());
                }
                definition.fields.push((field, arguments, kind));
            }
        }
        found.push((name, definition));
    }
    Ok(found)
}

impl Reader {
    fn peek(&self) -> Token {
        self.tokens.get(self.place).cloned().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.place += 1;
        token
    }

    fn takes(&mut self, mark: char) -> bool {
        let there = self.peek() == Token::Mark(mark);
        self.place += usize::from(there);
        there
    }

    fn expect(&mut self, mark: char) -> Result<(), String> {
        if self.takes(mark) { Ok(()) } else { Err(format!("expected {mark}, found {:?}", self.peek())) }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.next() {
            Token::Name(name) => Ok(name),
            other => Err(format!("expected a name, found {other:?}")),
        }
    }

    fn argument(&mut self) -> Result<Argument, String> {
        let name = self.name()?;
        self.expect(':')?;
        let kind = self.kind()?;
        let with_default = self.takes('=');
        if with_default {
            self.input()?;
        }
        Ok((name, kind, with_default))
    }

    fn kind(&mut self) -> Result<Type, String> {
        let kind = if self.takes('[') {
            let inner = self.kind()?;
            self.expect(']')?;
            Type::List(Box::new(inner))
        } else {
            Type::Named(self.name()?)
        };
        Ok(if self.takes('!') { Type::Required(Box::new(kind)) } else { kind })
    }

    fn selection(&mut self) -> Result<Vec<Field>, String> {
        self.expect('{')?;
        let mut fields = Vec::new();
        while !self.takes('}') {
            let mut name = self.name()?;
            let alias = name.clone();
            if self.takes(':') {
                name = self.name()?;
            }
            let mut arguments = Vec::new();
            if self.takes('(') {
                while !self.takes(')') {
                    let argument = self.name()?;
                    self.expect(':')?;
                    arguments.push((argument, self.input()?));
                }
            }
            let selection = if self.peek() == Token::Mark('{') { self.selection()? } else { Vec::new() };
            fields.push(Field { alias, name, arguments, selection });
        }
        if fields.is_empty() { Err("an empty selection".to_owned()) } else { Ok(fields) }
    }

    fn input(&mut self) -> Result<Input, String> {
        match self.next() {
            Token::Mark('$') => Ok(Input::Variable(self.name()?)),
            Token::Mark('[') => {
                let mut items = Vec::new();
                while !self.takes(']') {
                    items.push(self.input()?);
                }
                Ok(Input::List(items))
            }
            Token::Mark('{') => {
                let mut entries = Vec::new();
                while !self.takes('}') {
                    let name = self.name()?;
                    self.expect(':')?;
                    entries.push((name, self.input()?));
                }
                Ok(Input::Object(entries))
            }
            Token::Text(text) => Ok(Input::Plain(Value::String(text))),
            Token::Number(text) => {
                serde_json::from_str(&text).map(Input::Plain).map_err(|_| format!("{text} is no number"))
            }
            Token::Name(name) => Ok(match name.as_str() {
                "true" => Input::Plain(Value::Bool(true)),
                "false" => Input::Plain(Value::Bool(false)),
                "null" => Input::Plain(Value::Null),
                _ => Input::Word(name),
            }),
            other => Err(format!("expected a value, found {other:?}")),
        }
    }
}

/// The words of a text. Commas are blanks.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            _ if first.is_whitespace() || first == ',' => first.len_utf8(),
            '"' => {
                // GraphQL's texts on one line are written as JSON's.
                let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                let parsed = stream.next().and_then(Result::ok).ok_or("a text that does not end")?;
                found.push(Token::Text(parsed));
                stream.byte_offset()
            }
            _ if first.is_ascii_digit() || first == '-' => {
                let end = rest.find(|c: char| !c.is_ascii_digit() && !"-+.eE".contains(c)).unwrap_or(rest.len());
                found.push(Token::Number(rest[..end].to_owned()));
                end
            }
            _ if first.is_ascii_alphabetic() || first == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                found.push(Token::Name(rest[..end].to_owned()));
                end
            }
            _ if "{}()[]:!$=".contains(first) => {
                found.push(Token::Mark(first));
                1
            }
            _ => return Err(format!("unexpected {first}")),
        };
        rest = &rest[length..];
    }
    Ok(found)
}

/// An input with its variables filled in. A variable that was not given leaves its place empty.
pub(super) fn with_variables(input: &Input, variables: &Map<String, Value>) -> Option<Value> {
    Some(match input {
        Input::Variable(name) => variables.get(name)?.clone(),
        Input::Word(word) => Value::String(word.clone()),
        Input::Plain(value) => value.clone(),
        Input::List(items) => items.iter().filter_map(|item| with_variables(item, variables)).collect(),
        Input::Object(entries) => {
            let filled =
                entries.iter().filter_map(|(name, entry)| Some((name.clone(), with_variables(entry, variables)?)));
            Value::Object(filled.collect())
        }
    })
}
