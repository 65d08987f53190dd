//! The fallback for servers that do not get along with the built-in sending side: the `git` program pushes from the mirror.
//!
//! Same commits, same conditions: each branch only from exactly where it is said to be. The credential reaches `git` in a
//! file that exists in memory alone; it is in no argument, in no environment and on no disk. No shell, no hook and no
//! setting of the machine has a say.

use std::{
    fmt::Write as _,
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    os::fd::AsRawFd as _,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::fs::{MemfdFlags, memfd_create};
use secrecy::{ExposeSecret as _, zeroize::Zeroizing};

use crate::{
    Access, Failure, Inner,
    link::{Ended, bare, is_loopback, one_line, parse, run_to_end, unreachable},
    send_pack::RefUpdate,
};

/// What `git` may know of the environment: what Tagboat's own way goes by.
const ENVIRONMENT: [&str; 8] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// What `git` says, before it sends anything, of a server that takes no push options.
const NO_OPTIONS: &str = "does not support push options";

/// Push. Inside, why the server said no.
pub(crate) fn push(inner: &Inner, refs: &[RefUpdate], options: &[String]) -> Result<Result<(), String>, Failure> {
    let mut ended = run(inner, refs, options)?;
    if !ended.success && !options.is_empty() && ended.complaints.contains(NO_OPTIONS) {
        tracing::debug!(repository = inner.name, "the server takes no push options; they are left out");
        ended = run(inner, refs, &[])?;
    }
    if ended.success {
        return Ok(Ok(()));
    }
    let printed = String::from_utf8_lossy(&ended.output).into_owned();
    let refused: Vec<&str> = printed.lines().filter(|line| line.starts_with('!')).collect();
    match refused.is_empty() {
        // It did not come as far as any branch.
        true => Err(unreachable(std::io::Error::other(one_line(&ended.complaints)))),
        false => Ok(Err(format!("{}\n{}", refused.join("\n"), ended.complaints))),
    }
}

fn run(inner: &Inner, refs: &[RefUpdate], options: &[String]) -> Result<Ended, Failure> {
    let settings = settings(inner)?;
    let mut command = bare("git");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "").env("LC_ALL", "C");
    // The number of the file in this process, which its children may read as long as it runs.
    let place = format!("/proc/{}/fd/{}", std::process::id(), settings.as_raw_fd());
    command.env("GIT_CONFIG_GLOBAL", place);
    // Nothing of a home: neither settings nor `.netrc`. Proxies and authorities of the environment hold here too.
    command.env("HOME", inner.mirror.folder());
    for variable in ENVIRONMENT {
        command.envs(std::env::var_os(variable).map(|value| (variable, value)));
    }
    command.arg("--git-dir").arg(inner.mirror.folder());
    command.args(["push", "--porcelain", "--no-verify", "--atomic", "--no-thin"]);
    let id = |id: Option<gix::ObjectId>| id.map(|id| id.to_string()).unwrap_or_default();
    for RefUpdate { name, old, .. } in refs {
        command.arg(format!("--force-with-lease={name}:{}", id(*old)));
    }
    command.args(options.iter().map(|option| format!("--push-option={option}")));
    command.arg("--").arg(&inner.address.url);
    for RefUpdate { name, new, .. } in refs {
        command.arg(format!("{}:{name}", id(*new)));
    }
    run_to_end(command, &[])
}

/// Git's settings for this push, in a file without a name.
fn settings(inner: &Inner) -> Result<File, Failure> {
    let failed = |error: std::io::Error| Failure::temporary("no file in memory can be made").because(error);
    let file = memfd_create("tagboat-git", MemfdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
    let mut file = File::from(file);
    let text = Zeroizing::new(text(inner)?);
    file.write_all(text.as_bytes()).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(failed)?;
    Ok(file)
}

fn text(inner: &Inner) -> Result<String, Failure> {
    let mut text = String::from(
        "[core]\n\thooksPath = /dev/null\n[gc]\n\tauto = 0\n[credential]\n\thelper =\n[protocol]\n\tallow = never\n\
         [protocol \"https\"]\n\tallow = always\n[protocol \"http\"]\n\tallow = always\n\
         [http]\n\tfollowRedirects = false\n\tlowSpeedLimit = 1\n\tlowSpeedTime = 120\n",
    );
    let url = parse(&inner.address.url)?;
    if !matches!(url.scheme, gix::url::Scheme::Http | gix::url::Scheme::Https) {
        return Err(Failure::permanent("`pushWith: git` is for https:// addresses only"));
    }
    let http = &inner.address.transport;
    if http.client_certificate.is_some() || !http.certificate_authorities.is_empty() {
        return Err(Failure::permanent(
            "`pushWith: git` knows neither `certificateAuthorityFiles` nor `clientCertificate`; trust the authority \
             in the system's store, or leave `pushWith` out",
        ));
    }
    match &http.proxy {
        Some(proxy) => {
            let login = proxy
                .credentials
                .as_ref()
                .map(|(user, password)| format!("{}:{}@", escaped(user), escaped(password.expose_secret())));
            let (scheme, rest) = proxy.url.split_once("://").unwrap_or(("http", &proxy.url));
            let _ = writeln!(text, "\tproxy = {}", quoted(&format!("{scheme}://{}{rest}", login.unwrap_or_default())));
        }
        None if is_loopback(&url) => text.push_str("\tproxy =\n"),
        None => {}
    }
    if let Access::Basic { username, password, insecure } = &inner.address.access {
        if url.scheme == gix::url::Scheme::Http && !is_loopback(&url) && !insecure {
            return Err(Failure::permanent("credentials would travel over http:// in clear"));
        }
        let password = password.now().map_err(Failure::permanent)?;
        let pair = Zeroizing::new(format!("{username}:{}", password.expose_secret()));
        let _ =
            writeln!(text, "\textraHeader = {}", quoted(&format!("Authorization: Basic {}", STANDARD.encode(&*pair))));
    }
    Ok(text)
}

/// A value as Git's settings files quote it.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A part of a URL.
fn escaped(part: &str) -> String {
    part.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    })
}
