//! `POST /api/v1/commands` and `GET /api/v1/commands/<id>`: people say what is to be done, and hear what became of it.
//!
//! Stores, and does nothing else: a command is done by the reconcile of its config repository, which also says who may. Who
//! may give one here at all is in `access`.

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::Value;
use tagboat_model::{
    Command, CommandId, CommandOrigin, CommandRecord, Commander, NameError, RepositoryName, TenantName,
    is_bidirectional, shown,
};
use tagboat_ports::StoreError;
use tokio::time::Instant;

use crate::{ConfigRepositoryAddress, Server, api};

/// Commands have a few hundred bytes.
pub(crate) const LARGEST: usize = 16 * 1024;
/// Longer names of people are none.
const LONGEST_NAME: usize = 100;
/// Nobody is kept waiting for longer with one request.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Between two looks for an answer.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// Who gives a command and says no name.
const NAMELESS: &str = "without a name";

/// What is sent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Given {
    /// May be left out where there is only one.
    repository: Option<RepositoryName>,
    tenant: Option<TenantName>,
    command: Value,
    by: Option<String>,
}

/// `?wait=…`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Waiting {
    wait: Option<u64>,
}

/// Why a command is not taken.
type Against = (StatusCode, String);

pub(crate) async fn post(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> Response {
    // Anything else a page of a browser may send here from elsewhere without asking first.
    if !is_json(&headers) {
        return api::problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send the command as `Content-Type: application/json`",
        );
    }
    let record = match server.command_of(&body) {
        Ok(record) => record,
        Err((status, why)) => return api::problem(status, &why),
    };
    match server.store.take_command(&record, record.given_at).await {
        Ok(_) => (StatusCode::ACCEPTED, Json(record)).into_response(),
        Err(error) => api::unavailable(&error),
    }
}

pub(crate) async fn get(
    State(server): State<Server>,
    Path(id): Path<String>,
    api::Asked(waiting): api::Asked<Waiting>,
) -> Response {
    let unknown = || api::problem(StatusCode::NOT_FOUND, "there is no such command");
    let Ok(id) = id.parse::<CommandId>() else { return unknown() };
    let wait = Duration::from_secs(waiting.wait.unwrap_or(0)).min(LONGEST_WAIT);
    match server.answered_command(&id, wait).await {
        Ok(Some(record)) => Json(record).into_response(),
        Ok(None) => unknown(),
        Err(error) => api::unavailable(&error),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

impl Server {
    /// The command that a body is, ready to be stored.
    fn command_of(&self, body: &[u8]) -> Result<CommandRecord, Against> {
        let given: Given = serde_json::from_slice(body).map_err(|error| bad(&error.to_string()))?;
        let command = command(&given.command).map_err(|why| bad(&why))?;
        let name = person(given.by.as_deref()).map_err(bad)?;
        let repository = meant(&self.repositories.all(), given.tenant.as_ref(), given.repository.as_ref())?;
        let id = self.ids.fresh("c").parse();
        let id = id.map_err(|error: NameError| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        Ok(CommandRecord {
            id,
            tenant: repository.tenant,
            repository: repository.name,
            command,
            by: Commander::Operator { name },
            origin: CommandOrigin::Api,
            given_at: self.clock.now(),
            answer: None,
        })
    }

    /// A command, once it is answered or time is up.
    async fn answered_command(&self, id: &CommandId, wait: Duration) -> Result<Option<CommandRecord>, StoreError> {
        let until = Instant::now() + wait;
        loop {
            let known = self.store.command(id).await?;
            let is_open = known.as_ref().is_some_and(|record| record.answer.is_none());
            if !is_open || Instant::now() >= until {
                return Ok(known);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

fn bad(why: &str) -> Against {
    (StatusCode::BAD_REQUEST, why.to_owned())
}

/// A command, of which everything must be understood: a name that is misspelt and passed over would make more of it than is
/// meant.
fn command(given: &Value) -> Result<Command, String> {
    let command = Command::deserialize(given).map_err(|error| format!("`command`: {error}"))?;
    let known = serde_json::to_value(&command).unwrap_or_default();
    let mut keys = given.as_object().into_iter().flat_map(|fields| fields.keys());
    match keys.find(|key| known.get(key.as_str()).is_none()) {
        Some(key) => Err(format!("`command`: nothing is known of `{}` with this verb", shown(key))),
        None => Ok(command),
    }
}

/// The name of whoever gives a command.
fn person(by: Option<&str>) -> Result<String, &'static str> {
    let name = by.map(str::trim).filter(|name| !name.is_empty()).unwrap_or(NAMELESS);
    let is_plain = name.chars().count() <= LONGEST_NAME && !name.chars().any(|c| c.is_control() || is_bidirectional(c));
    if is_plain { Ok(name.to_owned()) } else { Err("`by` is a name of at most 100 characters in one line") }
}

/// The config repository that is meant.
fn meant(
    all: &[ConfigRepositoryAddress],
    tenant: Option<&TenantName>,
    name: Option<&RepositoryName>,
) -> Result<ConfigRepositoryAddress, Against> {
    let fits = |known: &&ConfigRepositoryAddress| {
        tenant.is_none_or(|tenant| *tenant == known.tenant) && name.is_none_or(|name| *name == known.name)
    };
    let names = || match all {
        [] => "there are none".to_owned(),
        all => {
            let names: Vec<String> = all.iter().map(|known| format!("{}/{}", known.tenant, known.name)).collect();
            format!("there are: {}", names.join(", "))
        }
    };
    match all.iter().filter(fits).collect::<Vec<_>>().as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err((StatusCode::NOT_FOUND, format!("there is no such config repository ({})", names()))),
        _ => Err((
            StatusCode::CONFLICT,
            format!("more than one config repository may be meant; name `repository` and `tenant` ({})", names()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;

    fn known(tenant: &str, name: &str) -> ConfigRepositoryAddress {
        ConfigRepositoryAddress { tenant: tenant.parse().unwrap(), name: name.parse().unwrap(), address: String::new() }
    }

    #[test]
    fn the_config_repository_is_named_as_far_as_that_is_needed() {
        let all = [known("acme", "config"), known("other", "config"), known("acme", "apps")];
        let meant = |tenant: Option<&str>, name: Option<&str>| {
            let tenant = tenant.map(|tenant| tenant.parse().unwrap());
            let name = name.map(|name| name.parse().unwrap());
            meant(&all, tenant.as_ref(), name.as_ref()).map_err(|(status, why)| (status.as_u16(), why))
        };
        assert_eq!(meant(None, Some("apps")), Ok(known("acme", "apps")));
        assert_eq!(meant(Some("other"), None), Ok(known("other", "config")));
        assert_eq!(meant(None, Some("config")).unwrap_err().0, 409);
        let (status, why) = meant(None, Some("nothing")).unwrap_err();
        assert!(status == 404 && why.ends_with("(there are: acme/config, other/config, acme/apps)"), "{why}");
        assert!(super::meant(&[], None, None).unwrap_err().1.ends_with("(there are none)"));
    }

    #[test]
    fn what_is_misspelt_is_not_passed_over() {
        let hold = command(&json!({ "verb": "hold", "environment": "prod", "why": "a fault" })).unwrap();
        assert!(matches!(hold, Command::Hold { target, .. } if target.environment.is_some() && target.entry.is_none()));
        let wrong = command(&json!({ "verb": "hold", "enviroment": "prod" })).unwrap_err();
        assert_eq!(wrong, "`command`: nothing is known of `enviroment` with this verb");
        for bad in
            [json!(null), json!({}), json!({ "verb": "destroy" }), json!({ "verb": "hold", "environment": "a b" })]
        {
            assert!(command(&bad).is_err(), "{bad}");
        }
        assert!(command(&json!({ "verb": "merge" })).is_ok());
    }

    #[test]
    fn a_name_is_plain_or_none() {
        assert_eq!(person(Some(" Ann ")).as_deref(), Ok("Ann"));
        assert_eq!(person(None).as_deref(), Ok(NAMELESS));
        for bad in ["a\nb", "a\u{202e}b", &"a".repeat(101)] {
            assert!(person(Some(bad)).is_err());
        }
    }
}
