//! `telemetry` of the server file: where traces are sent.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `telemetry: { traces: { endpoint: "https://collector.example.org:4318" } }`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TelemetryFile {
    /// Traces, one for each event from its delivery to its commit. Default: none are sent, unless the environment says
    /// where (`OTEL_EXPORTER_OTLP_ENDPOINT`).
    pub traces: Option<TracesFile>,
}

/// A collector that speaks OTLP over HTTP.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TracesFile {
    /// The collector's base address, as in `OTEL_EXPORTER_OTLP_ENDPOINT`; traces go to `/v1/traces` below it.
    pub endpoint: String,
    /// File with headers for the collector, one `name: value` per line: what proves to it who sends.
    #[serde(default)]
    pub headers_file: Option<PathBuf>,
}

impl TelemetryFile {
    /// What is wrong with it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Some(traces) = &self.traces else { return Ok(()) };
        let rest = ["http://", "https://"].iter().find_map(|scheme| traces.endpoint.strip_prefix(scheme));
        match rest {
            None | Some("") => Err(format!(
                "`{}` is not the address of a collector; write scheme, host and port, as in `https://collector.example.org:4318`",
                traces.endpoint
            )),
            Some(rest) if rest.contains(['@', '?', '#']) => {
                Err("an address holds no credential and no query; put credentials into `headersFile`".to_owned())
            }
            Some(_) => Ok(()),
        }
    }
}
