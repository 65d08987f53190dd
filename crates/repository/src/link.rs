//! A connection to a Git server for one service: over http(s) by gix, over ssh and to files by a program.
//!
//! One link makes one handshake: gix's HTTP transport cannot do a second. Programs are started with an
//! argument list, never by a shell, and are stopped when they take too long or the link is dropped.

use std::{
    io::Read as _,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gix::protocol::transport::{
    Protocol, Service,
    client::{
        blocking_io::{Transport, connect, http},
        git::{ConnectMode, blocking_io::Connection},
    },
};
use secrecy::ExposeSecret as _;

use crate::{Access, Address, Failure, SshKey};

/// Longer than any healthy exchange takes.
const TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// What is kept of a program's complaints.
const MOST_COMPLAINTS: usize = 64 * 1024;

/// An open connection.
pub(crate) struct Link {
    pub(crate) transport: Box<dyn Transport + Send>,
    program: Option<Program>,
}

impl Link {
    /// Connect for `service`.
    pub(crate) fn open(address: &Address, service: Service) -> Result<Self, Failure> {
        let url = gix::url::parse(gix::bstr::BStr::new(&address.url)).map_err(|error| {
            Failure::permanent(format!("`{}` is not a URL of a Git repository", address.url)).because(error)
        })?;
        match (&url.scheme, &address.access) {
            (gix::url::Scheme::Https | gix::url::Scheme::Http, access) => over_http(url, access),
            (gix::url::Scheme::Ssh, Access::Ssh(key)) => over_ssh(&url, key, service),
            (gix::url::Scheme::Ssh, _) => Err(Failure::permanent("ssh needs a key file and a known hosts file")),
            (gix::url::Scheme::File, _) => to_files(&url, service),
            (other, _) => Err(Failure::permanent(format!("URLs of the kind `{other}` are not supported"))),
        }
    }

    /// Make a failure of this link say what the program on it complained of.
    pub(crate) fn explain(&mut self, failure: Failure) -> Failure {
        match self.program.as_mut().map(|program| plain_words(&program.complaints())).filter(|text| !text.is_empty()) {
            Some(words) => failure.with_detail(words),
            None => failure,
        }
    }
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

fn over_http(url: gix::Url, access: &Access) -> Result<Link, Failure> {
    let mut headers = Vec::new();
    if let Access::Basic { username, password, insecure } = access {
        let loopback = matches!(url.host(), Some("localhost" | "127.0.0.1" | "[::1]" | "::1"));
        if url.scheme == gix::url::Scheme::Http && !loopback && !insecure {
            return Err(Failure::permanent(
                "credentials would travel over http:// in clear; use https:// or set `insecure: true`",
            ));
        }
        let pair = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
        headers.push(format!("Authorization: Basic {pair}"));
    }
    let options = connect::Options { version: Protocol::V2, ..Default::default() };
    let mut transport = connect::connect(url, options).map_err(unreachable)?;
    let backend = http::reqwest::Options {
        configure_client: Some(Box::new(|client| {
            Ok(client.timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true))
        })),
        configure_request: None,
    };
    let options = http::Options {
        extra_headers: headers,
        // A redirect could carry the credentials to another host.
        follow_redirects: http::options::FollowRedirects::None,
        user_agent: Some(concat!("tagboat/", env!("CARGO_PKG_VERSION")).to_owned()),
        backend: Some(Arc::new(Mutex::new(backend))),
        ..Default::default()
    };
    transport.configure(&options).map_err(unreachable)?;
    Ok(Link { transport, program: None })
}

fn over_ssh(url: &gix::Url, key: &SshKey, service: Service) -> Result<Link, Failure> {
    let host = url.host().ok_or_else(|| Failure::permanent("the URL names no host"))?;
    let user = url.user().unwrap_or("git");
    if host.starts_with('-') || user.starts_with('-') {
        return Err(Failure::permanent("the host or the user in the URL starts with `-`"));
    }
    let mut command = Command::new("ssh");
    let option = |command: &mut Command, text: &str| {
        command.arg("-o").arg(text);
    };
    // Verbose, because only then ssh tells the fingerprint of a key that it does not know.
    command.arg("-v").arg("-F").arg("none").arg("-i").arg(&key.key_file);
    option(&mut command, &format!("UserKnownHostsFile={}", key.known_hosts_file.display()));
    option(&mut command, "GlobalKnownHostsFile=none");
    option(&mut command, "StrictHostKeyChecking=yes");
    option(&mut command, "IdentitiesOnly=yes");
    option(&mut command, "IdentityAgent=none");
    option(&mut command, "BatchMode=yes");
    option(&mut command, "SendEnv=GIT_PROTOCOL");
    option(&mut command, &format!("ConnectTimeout={}", CONNECT_TIMEOUT.as_secs()));
    if let Some(port) = url.port {
        command.arg("-p").arg(port.to_string());
    }
    let path = gix::quote::single(url.path.as_ref());
    command.arg(format!("{user}@{host}")).arg(format!("{} {path}", service.as_str()));
    start(command, url, service)
}

fn to_files(url: &gix::Url, service: Service) -> Result<Link, Failure> {
    let path = gix::path::from_bstr(gix::bstr::BStr::new(&url.path))
        .map_err(|error| Failure::permanent("the path cannot be used here").because(error))?;
    let mut command = Command::new("git");
    command.arg(service.as_str().trim_start_matches("git-")).arg(path.as_ref());
    start(command, url, service)
}

fn start(mut command: Command, url: &gix::Url, service: Service) -> Result<Link, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    // Only what the program needs: none of our own secrets, and no Git settings from outside.
    command.env_clear();
    for variable in ["PATH", "HOME", "LANG"] {
        command.envs(std::env::var_os(variable).map(|value| (variable, value)));
    }
    if service == Service::UploadPack {
        command.env("GIT_PROTOCOL", "version=2");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        Failure::permanent(format!("`{name}` could not be started; is it installed?")).because(error)
    })?;
    let (Some(input), Some(output), Some(complaints)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Failure::temporary(format!("`{name}` has no pipes")));
    };
    let connection =
        Connection::new(output, input, Protocol::V2, url.path.clone(), None::<(&str, _)>, ConnectMode::Process, false);
    Ok(Link { transport: Box::new(connection), program: Some(Program::watch(child, complaints)) })
}

/// A running program: what it complains of, and its end.
struct Program {
    child: Arc<Mutex<Child>>,
    complaints: Option<std::thread::JoinHandle<String>>,
    /// Dropping it tells the watch that the program is no longer needed.
    _done: mpsc::Sender<()>,
}

impl Program {
    fn watch(child: Child, mut stderr: std::process::ChildStderr) -> Self {
        let child = Arc::new(Mutex::new(child));
        let (done, watch) = mpsc::channel();
        let watched = Arc::clone(&child);
        std::thread::spawn(move || {
            if watch.recv_timeout(TIMEOUT) == Err(mpsc::RecvTimeoutError::Timeout) {
                stop(&watched);
            }
        });
        let complaints = std::thread::spawn(move || {
            let mut kept = Vec::new();
            let mut buffer = [0_u8; 1024];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                let room = MOST_COMPLAINTS.saturating_sub(kept.len()).min(length);
                kept.extend_from_slice(&buffer[..room]);
            }
            String::from_utf8_lossy(&kept).into_owned()
        });
        Self { child, complaints: Some(complaints), _done: done }
    }

    /// Stop the program and return what it complained of.
    fn complaints(&mut self) -> String {
        // Its last words come when it ends by itself; it has failed already, so that is soon.
        std::thread::sleep(Duration::from_millis(50));
        stop(&self.child);

        self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        stop(&self.child);
    }
}

fn stop(child: &Mutex<Child>) {
    if let Ok(mut child) = child.lock() {
        // It may have ended by itself, which is no failure.
        let _ = child.kill();
        let _ = child.wait();
    }
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
    if refused || all.contains("HTTP status 403") {
        return Failure::permanent(format!("the server does not accept the credential ({all})")).because(error);
    }
    if all.contains("HTTP status 404") {
        return Failure::permanent(format!("there is no such repository, or the credential may not see it ({all})"))
            .because(error);
    }
    Failure::temporary(format!("the server could not be reached or broke off ({all})")).because(error)
}
