//! Requests to the API of a server, by whoever holds its token.
//!
//! No redirect is followed: a token must not leave for another server.

use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tagboat_settings::SecretSource;

use crate::{
    cli::Reach,
    commands::notify::{
        self,
        answer::Answer,
        request::{self, exchange},
    },
    exit::{Code, Failure},
    secrets,
};

/// The variable with the token.
const VARIABLE: &str = "TAGBOAT_API_TOKEN";

/// The API of a server.
pub(in crate::commands) struct Api {
    http: Client,
    /// Its address without a slash at its end.
    pub(in crate::commands) server: String,
    token: Option<SecretString>,
}

impl Api {
    /// As the arguments say.
    pub(in crate::commands) fn of(reach: &Reach) -> Result<Self, Failure> {
        let server = notify::address(&reach.server);
        if !request::is_reachable(&reach.server, reach.insecure) {
            let message = format!(
                "{server} is not https, so that everybody on the way could read the token; `--insecure` permits it"
            );
            return Err(Failure::invalid(message));
        }
        let is_set = std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty());
        let of_variable = is_set.then(|| SecretSource::Env(VARIABLE.to_owned()));
        let source = reach.token_file.clone().map(SecretSource::File).or(of_variable);
        let token = source.map(|source| secrets::read("the API's token", &source)).transpose()?;
        Ok(Self { http: request::client(&reach.server)?, server, token })
    }

    /// Ask for something; the answer, read and whole.
    pub(in crate::commands) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<(T, Value), Failure> {
        self.send(self.http.get(format!("{}{path}", self.server))).await
    }

    /// Why senders are told to come again, if they are. An older server does not say.
    pub(in crate::commands) async fn trouble(&self) -> Option<String> {
        let answer = exchange(self.http.get(format!("{}/readyz", self.server))).await.ok()?;
        let told: Value = serde_json::from_slice(&answer.body).ok()?;
        let detail = told["detail"].as_str().filter(|_| told["ready"] == false)?;
        Some(detail.to_owned())
    }

    /// Say something. What may have been heard is not said again.
    pub(in crate::commands) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<(T, Value), Failure> {
        let request = self.http.post(format!("{}{path}", self.server));
        self.send(request.header("content-type", "application/json").body(body.to_string())).await
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<(T, Value), Failure> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        let answer = exchange(request).await.map_err(|why| Failure {
            code: Code::Failed,
            message: format!("{} cannot be reached: {why}", self.server),
        })?;
        read(&answer)
    }
}

/// What an answer says, or else why there is none.
fn read<T: DeserializeOwned>(answer: &Answer) -> Result<(T, Value), Failure> {
    let told = answer.error();
    let (code, usual) = match answer.status {
        200 | 202 => {
            let whole: Value = serde_json::from_slice(&answer.body).map_err(|_| not_tagboat())?;
            let read = serde_json::from_value(whole.clone()).map_err(|_| not_tagboat())?;
            return Ok((read, whole));
        }
        400 | 409 | 413 | 415 => (Code::Invalid, "the server cannot use what it was sent"),
        401 => {
            (Code::Refused, "the server wants the token of its API: `--token-file`, or the variable TAGBOAT_API_TOKEN")
        }
        403 => (Code::Refused, "the server does not permit this"),
        404 if told.is_some() => (Code::Invalid, "there is no such thing"),
        404 | 405 | 501 => (Code::Failed, "there is no Tagboat server at this address, or it is an old one"),
        300..=399 => {
            (Code::Failed, "the server sends us elsewhere, which is not followed with a token; give its own address")
        }
        _ => (Code::Failed, "the server gives no answer that can be used"),
    };
    let detail = told.unwrap_or_else(|| usual.to_owned());
    Err(Failure { code, message: format!("{detail} (status {})", answer.status) })
}

fn not_tagboat() -> Failure {
    let message = "the answer is not one of a Tagboat server that this program understands; is the address right?";
    Failure { code: Code::Failed, message: message.to_owned() }
}
