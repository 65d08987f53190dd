//! Traces for OpenTelemetry, where the server file or the environment says so.
//!
//! Ours and not the SDK's: what is sent follows from steps after the fact, under ids that follow from events, and is written in
//! one small fixed form (OTLP over HTTP in JSON), so that the SDK with its exporter would bring more crates than there
//! are functions here. Sent by the HTTP client that is there anyway.

mod export;
mod otlp;
mod spans;

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tagboat_ports::Progress;
use tagboat_settings::{ServerFile, is_loopback};

use self::{
    export::{Collector, Exporter},
    spans::Tracing,
};
use crate::{exit::Failure, system::SystemClock};

/// What is left is sent in this time when the process ends.
const LONGEST_FLUSH: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Traces that are sent, if any are.
pub(crate) struct Telemetry(Option<Exporter>);

impl Telemetry {
    /// Start sending, if somebody wants it; `progress` hears of every step all the same.
    pub(crate) fn start(
        file: &ServerFile,
        variable: impl Fn(&str) -> Option<String>,
        progress: Arc<dyn Progress>,
    ) -> Result<(Self, Arc<dyn Progress>), Failure> {
        let Some(collector) = collector(file, variable)? else { return Ok((Self(None), progress)) };
        let local = is_loopback(collector.address.authority());
        let builder = Client::builder()
            .user_agent(concat!("tagboat/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT);
        let builder = if local { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(|error| Failure::failed("`telemetry`", &error))?;
        let exporter = Exporter::start(collector, http);
        let giving = exporter.clone();
        let tracing = Tracing::new(Arc::new(SystemClock), move |spans| giving.give(spans), progress);
        Ok((Self(Some(exporter)), Arc::new(tracing)))
    }

    /// Send what is left.
    pub(crate) async fn stop(self) {
        if let Some(exporter) = self.0 {
            exporter.flush(LONGEST_FLUSH).await;
        }
    }
}

/// Whether the telemetry of a server file can be used.
pub(crate) fn check(file: &ServerFile) -> Result<(), Failure> {
    collector(file, |_| None).map(|_| ())
}

/// The collector of the server file, else that of the environment, as OpenTelemetry names it.
fn collector(file: &ServerFile, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Collector>, Failure> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let below = |base: &str| format!("{}/v1/traces", base.trim_end_matches('/'));
    let (whose, address) = match &file.telemetry.traces {
        Some(traces) => ("`telemetry.traces.endpoint`", below(&traces.endpoint)),
        None => match (variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), variable("OTEL_EXPORTER_OTLP_ENDPOINT")) {
            (Some(whole), _) => ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", whole),
            (None, Some(base)) => ("OTEL_EXPORTER_OTLP_ENDPOINT", below(&base)),
            (None, None) => return Ok(None),
        },
    };
    let invalid = |detail: &str| Failure::invalid(format!("{whose}: {detail}"));
    let address: Url = address.parse().map_err(|_| invalid("this is not an address"))?;
    if !matches!(address.scheme(), "http" | "https") || !address.has_host() {
        return Err(invalid("a collector is reached over http or https"));
    }
    if !address.username().is_empty() || address.password().is_some() {
        return Err(invalid("an address holds no credential; put it into headers"));
    }
    let headers = match file.telemetry.traces.as_ref().and_then(|traces| traces.headers_file.as_ref()) {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| invalid(&format!("the file {} cannot be read: {error}", path.display())))?;
            headers(text.lines(), ':').map_err(|line| invalid(&format!("{}: line {line}", path.display())))?
        }
        None => {
            let text = variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS").or_else(|| variable("OTEL_EXPORTER_OTLP_HEADERS"));
            headers(text.unwrap_or_default().split(','), '=').map_err(|place| invalid(&format!("header {place}")))?
        }
    };
    let service = variable("OTEL_SERVICE_NAME").unwrap_or_else(|| "tagboat".to_owned());
    Ok(Some(Collector { address, headers, service }))
}

/// Headers, each with a name, a mark, and a value. What is wrong is told by its place: a value may be a secret.
fn headers<'l>(lines: impl Iterator<Item = &'l str>, mark: char) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (index, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = || format!("{} is no header; write `name{mark} value`", index + 1);
        let (name, value) = line.split_once(mark).ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        let mut value: HeaderValue = value.trim().parse().map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_settings::{TelemetryFile, TracesFile};

    fn found(endpoint: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<Collector>, Failure> {
        let traces = endpoint.map(|endpoint| TracesFile { endpoint: endpoint.to_owned(), headers_file: None });
        let file = ServerFile { telemetry: TelemetryFile { traces }, ..ServerFile::default() };
        let value =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        collector(&file, value)
    }

    #[test]
    fn the_server_file_goes_before_the_environment_and_nothing_means_no_traces() {
        let address = |endpoint, variables: &[(&str, &str)]| {
            found(endpoint, variables).unwrap().map(|collector| collector.address.to_string())
        };
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:4318/");
        let whole = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/here");
        assert_eq!(address(None, &[]), None);
        assert_eq!(address(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), None);
        assert_eq!(address(Some("http://a:4318"), &[base]).as_deref(), Some("http://a:4318/v1/traces"));
        assert_eq!(address(None, &[base]).as_deref(), Some("http://b:4318/v1/traces"));
        assert_eq!(address(None, &[base, whole]).as_deref(), Some("http://c:4318/here"));
        assert_eq!(address(Some("http://a:4318"), &[("OTEL_SDK_DISABLED", "true")]), None);
        for wrong in ["nonsense", "ftp://a", "http://user:secret@a:4318"] {
            let failure = found(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", wrong)]).err().unwrap();
            assert!(!failure.message.contains("secret"), "{}", failure.message);
        }
    }

    #[test]
    fn headers_are_read_and_never_told() {
        let headers = headers("authorization=Bearer t,x-scope = a".split(','), '=').unwrap();
        assert_eq!(
            (headers["authorization"].to_str().unwrap(), headers["x-scope"].to_str().unwrap()),
            ("Bearer t", "a")
        );
        assert!(!format!("{headers:?}").contains("Bearer"));
        let wrong = super::headers("a: b\nsecret".lines(), ':').unwrap_err();
        assert_eq!(wrong, "2 is no header; write `name: value`");
    }
}
