//! A connection to a Git server for one service: over http(s), over ssh and to files by a program.
//!
//! One link makes one handshake: gix's transports cannot do a second.

mod http;
mod program;

use gix::protocol::transport::{Protocol, Service, client::blocking_io::Transport};
use gix_transport::client::blocking_io::http::connect_http;

pub(crate) use http::client;
pub(crate) use program::{Ended, bare, run_to_end};

use crate::{Access, Failure, Inner, link::program::Program};

/// An open connection.
pub(crate) struct Link {
    pub(crate) transport: Box<dyn Transport + Send>,
    program: Option<Program>,
}

impl Link {
    /// Connect for `service`.
    pub(crate) fn open(inner: &Inner, service: Service) -> Result<Self, Failure> {
        let url = parse(&inner.address.url)?;
        match (&url.scheme, &inner.address.access) {
            (gix::url::Scheme::Https | gix::url::Scheme::Http, _) => over_http(inner, url),
            (gix::url::Scheme::Ssh, Access::Ssh(key)) => program::over_ssh(&url, key, service),
            (gix::url::Scheme::Ssh, _) => Err(Failure::permanent("ssh needs a key file and a known hosts file")),
            (gix::url::Scheme::File, _) => program::to_files(&url, service),
            (other, _) => Err(Failure::permanent(format!("URLs of the kind `{other}` are not supported"))),
        }
    }

    /// Make a failure of this link say what the program on it complained of.
    pub(crate) fn explain(&mut self, failure: Failure) -> Failure {
        match self.program.as_mut().map(|program| plain_words(&program.complaints())).filter(|text| !text.is_empty()) {
            Some(words) if needs_a_person(&words) => failure.with_detail(words).lasting(),
            Some(words) => failure.with_detail(words),
            None => failure,
        }
    }
}

/// Whether what a program complained of stays so until somebody changes something: trying again soon gets one locked out.
fn needs_a_person(words: &str) -> bool {
    let lasting = [
        "host key is not in the known hosts file",
        "Permission denied",
        "does not appear to be a git repository",
        "Could not resolve hostname",
        // What `git` says of objects that it has lost.
        "is corrupt",
        "repository corruption",
        "unable to read",
        "missing blob object",
        "missing tree object",
        "bad tree object",
        "bad object",
    ];
    lasting.iter().any(|lasting| words.contains(lasting)) || words.contains("ERROR: ")
}

pub(crate) fn parse(url: &str) -> Result<gix::Url, Failure> {
    gix::url::parse(gix::bstr::BStr::new(url))
        .map_err(|error| Failure::permanent(format!("`{url}` is not a URL of a Git repository")).because(error))
}

/// Whether a URL leads to this machine.
pub(crate) fn is_loopback(url: &gix::Url) -> bool {
    matches!(url.host(), Some("localhost" | "127.0.0.1" | "[::1]" | "::1"))
}

fn over_http(inner: &Inner, url: gix::Url) -> Result<Link, Failure> {
    let client = inner.http.clone().ok_or_else(|| Failure::permanent("no HTTP client is set up"))?;
    let requests = match &inner.address.access {
        Access::Basic { username, password, insecure } => {
            if url.scheme == gix::url::Scheme::Http && !is_loopback(&url) && !insecure {
                return Err(Failure::permanent(
                    "credentials would travel over http:// in clear; use https:// or set `insecure: true`",
                ));
            }
            let now = password.now().map_err(Failure::permanent)?;
            http::Requests::new(client, Some(http::Credentials::new(username, password, now)))?
        }
        _ => http::Requests::new(client, None)?,
    };
    Ok(Link { transport: Box::new(connect_http(requests, url, Protocol::V2, false)), program: None })
}

/// What ssh or git said, without ssh's talk about itself, and with the fingerprint where the host key is the matter.
fn plain_words(complaint: &str) -> String {
    // What ssh says of itself when it is verbose.
    let own = ["debug1:", "OpenSSH_", "Authenticated to ", "Transferred: ", "Bytes per second: "];
    let (talk, words): (Vec<&str>, Vec<&str>) =
        complaint.lines().partition(|line| own.iter().any(|start| line.starts_with(start)));
    if complaint.contains("Host key verification failed") {
        let seen = talk.iter().find_map(|line| line.strip_prefix("debug1: Server host key: "));
        return format!(
            "the server's host key is not in the known hosts file; it showed {}; check it with the server's operator \
             and add it (`ssh-keyscan` prints the line)",
            one_line(seen.unwrap_or("none"))
        );
    }
    one_line(&words.join("\n"))
}

/// A remote's words, fit for a log line: one line, no control characters, not endless.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}

/// A server that could not be reached or did not answer as a Git server does.
pub(crate) fn unreachable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    let error = error.into();
    let mut words = Vec::new();
    let mut refused = false;
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
    while let Some(cause) = next {
        let text = one_line(&cause.to_string());
        if !text.is_empty() && !words.contains(&text) {
            words.push(text);
        }
        // How gix reports an answer of 401.
        let io = cause.downcast_ref::<std::io::Error>();
        refused |= io.is_some_and(|io| io.kind() == std::io::ErrorKind::PermissionDenied);
        next = cause.source();
    }
    let all = words.join(": ");
    if all.contains("HTTP status 3") {
        return Failure::permanent(format!("the address leads elsewhere ({all})")).because(error);
    }
    let not_accepted = ["HTTP status 401", "HTTP status 403", "Authentication failed", "returned error: 403"];
    if refused || not_accepted.iter().any(|words| all.contains(words)) {
        return Failure::permanent(format!("the server does not accept the credential ({all})")).because(error);
    }
    if all.contains("HTTP status 404") || all.contains("' not found") {
        return Failure::permanent(format!("there is no such repository, or the credential may not see it ({all})"))
            .because(error);
    }
    Failure::temporary(format!("the server could not be reached or broke off ({all})")).because(error)
}

/// Whether the connection broke, rather than what came over it being wrong.
pub(crate) fn is_cut_off(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, TimedOut, UnexpectedEof,
    };
    let broken = [BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, TimedOut, UnexpectedEof];
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.downcast_ref::<std::io::Error>().is_some_and(|io| broken.contains(&io.kind())) {
            return true;
        }
        next = cause.source();
    }
    false
}
