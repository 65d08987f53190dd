//! GraphQL as GitHub answers it: documents are read, held against the excerpt of the schema and carried out; an answer
//! has the fields that were selected and no others.

mod mutations;
mod schema;
mod syntax;

use serde_json::{Map, Value, json};

use self::{
    schema::schema,
    syntax::{Document, Field, with_variables},
};
use super::{
    answer::Answer,
    auth, checks,
    state::{Issue, Pull, Repository, State, Token},
};

/// An error of one field: its type and GitHub's words.
pub(super) type Refusal = (&'static str, String);

/// A document that was read.
pub(super) struct Prepared {
    document: Document,
    variables: Map<String, Value>,
}

/// Read a request's body.
pub(super) fn prepare(body: &Value) -> Result<Prepared, Vec<String>> {
    let text = body["query"].as_str().ok_or_else(|| vec!["the body has no query".to_owned()])?;
    let mut document = syntax::document(text).map_err(|error| vec![error])?;
    let variables = body["variables"].as_object().cloned().unwrap_or_default();
    let errors = schema().request_errors(&document, &variables);
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut filled = variables;
    for (name, _, default) in std::mem::take(&mut document.variables) {
        let default = default.and_then(|input| with_variables(&input, &Map::new()));
        if let Some(value) = default.filter(|_| !filled.contains_key(&name)) {
            filled.insert(name, value);
        }
    }
    Ok(Prepared { document, variables: filled })
}

impl Prepared {
    /// The fields that are asked for, for the log.
    pub(super) fn name(&self) -> String {
        let fields: Vec<&str> = self.document.selection.iter().map(|field| field.name.as_str()).collect();
        format!("{} {}", self.document.kind, fields.join(" "))
    }

    /// Whether something is changed.
    pub(super) fn is_write(&self) -> bool {
        self.document.kind == "mutation"
    }

    /// What is wrong with an answer.
    pub(super) fn answer_errors(&self, body: &Value) -> Vec<String> {
        schema().answer_errors(&self.document, &body["data"])
    }

    /// Carry it out.
    pub(super) fn answer(&self, state: &mut State, token: &Token) -> Answer {
        let (mut data, mut errors) = (Map::new(), Vec::new());
        for field in &self.document.selection {
            let given = field.arguments.iter();
            let arguments: Map<String, Value> = given
                .filter_map(|(name, input)| Some((name.clone(), with_variables(input, &self.variables)?)))
                .collect();
            let resolved = match field.name.as_str() {
                "repository" => self.repository(state, token, field, &arguments),
                "rateLimit" => {
                    let left = state.switches.left();
                    let reset = state.now().to_string();
                    let limit = json!({ "limit": 5000, "cost": 1, "remaining": left, "resetAt": reset });
                    Ok(projected(&field.selection, &limit))
                }
                name => mutations::mutate(state, token, name, &arguments["input"])
                    .map(|payload| projected(&field.selection, &payload)),
            };
            match resolved {
                Ok(value) => {
                    data.insert(field.alias.clone(), value);
                }
                Err((kind, message)) => {
                    data.insert(field.alias.clone(), Value::Null);
                    let place = json!([{ "line": 1, "column": 1 }]);
                    errors.push(json!({ "type": kind, "path": [field.alias], "locations": place, "message": message }));
                }
            }
        }
        let mut body = json!({ "data": data });
        if !errors.is_empty() {
            body["errors"] = Value::Array(errors);
        }
        Answer::ok(body)
    }

    fn repository(
        &self,
        state: &State,
        token: &Token,
        field: &Field,
        arguments: &Map<String, Value>,
    ) -> Result<Value, Refusal> {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
        let (owner, name) = (text("owner"), text("name"));
        let place =
            state.place(owner, name).filter(|place| token.repositories.contains(&state.repositories[*place].id));
        let message = format!("Could not resolve to a Repository with the name '{owner}/{name}'.");
        let repository = &state.repositories[place.ok_or(("NOT_FOUND", message))?];
        let mut found = Map::new();
        for selected in &field.selection {
            let value = match selected.name.as_str() {
                "id" => json!(format!("R_{}", repository.id)),
                "databaseId" => json!(repository.id),
                "nameWithOwner" => json!(repository.full_name()),
                "pullRequest" => {
                    if !auth::holds(token, &["pull_requests"], "read") {
                        return Err(("FORBIDDEN", "Resource not accessible by integration".to_owned()));
                    }
                    let input = selected.arguments.iter().find(|(name, _)| name == "number");
                    let number = input.and_then(|(_, input)| with_variables(input, &self.variables)?.as_u64());
                    let issue = number.and_then(|number| repository.issue(number));
                    let message = "Could not resolve to a PullRequest with the number given.".to_owned();
                    let issue = issue.filter(|issue| issue.pull.is_some()).ok_or(("NOT_FOUND", message))?;
                    projected(&selected.selection, &pull_request(repository, issue))
                }
                _ => json!("Repository"),
            };
            found.insert(selected.alias.clone(), value);
        }
        Ok(Value::Object(found))
    }
}

/// A pull request with all fields of the excerpt.
fn pull_request(repository: &Repository, issue: &Issue) -> Value {
    let Some(pull) = &issue.pull else { return Value::Null };
    let wish = pull
        .auto_merge
        .as_ref()
        .map(|wish| json!({ "enabledAt": wish.at.to_string(), "mergeMethod": wish.method.to_ascii_uppercase() }));
    let entry = pull.queued.then(|| json!({ "id": format!("MQE_{}", pull.id), "position": 1, "state": "QUEUED" }));
    let mergeable = if checks::mergeable(repository, pull) { "MERGEABLE" } else { "CONFLICTING" };
    json!({
        "__typename": "PullRequest", "id": node_id(pull), "number": issue.number, "title": issue.title,
        "isDraft": pull.draft, "isInMergeQueue": pull.queued, "autoMergeRequest": wish, "mergeQueueEntry": entry,
        "reviewDecision": checks::review_decision(repository, pull), "headRefOid": pull.head_id,
        "headRefName": pull.head, "baseRefName": pull.base, "merged": pull.merged.is_some(), "mergeable": mergeable,
        "state": state_of(issue, pull),
    })
}

fn node_id(pull: &Pull) -> String {
    format!("PR_{}", pull.id)
}

fn state_of(issue: &Issue, pull: &Pull) -> &'static str {
    match (issue.open, pull.merged.is_some()) {
        (true, _) => "OPEN",
        (false, true) => "MERGED",
        (false, false) => "CLOSED",
    }
}

/// The selected fields of a value.
fn projected(selection: &[Field], value: &Value) -> Value {
    if selection.is_empty() || value.is_null() {
        return value.clone();
    }
    let fields = selection.iter().map(|field| (field.alias.clone(), projected(&field.selection, &value[&field.name])));
    Value::Object(fields.collect())
}
