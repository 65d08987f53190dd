//! Programs at the other end of a pipe: `ssh`, and `git` for repositories on this machine.
//!
//! Started with an argument list and a bare environment, never by a shell; stopped when they take too long or are no
//! longer needed. What they complain of is kept.

use std::{
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use gix::protocol::transport::{
    Protocol, Service,
    client::git::{ConnectMode, blocking_io::Connection},
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{Failure, link::Link, settings::SshKey};

/// Longer than any healthy exchange takes, with the largest repository on the slowest line.
const TIMEOUT: Duration = Duration::from_secs(1800);
/// For what a program that has ended said last.
const LAST_WORDS: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// What is kept of a program's complaints.
const MOST_COMPLAINTS: usize = 64 * 1024;

pub(super) fn over_ssh(url: &gix::Url, key: &SshKey, service: Service) -> Result<Link, Failure> {
    let host = url.host().ok_or_else(|| Failure::permanent("the URL names no host"))?;
    let user = url.user().unwrap_or("git");
    if host.starts_with('-') || user.starts_with('-') {
        return Err(Failure::permanent("the host or the user in the URL starts with `-`"));
    }
    let mut command = bare("ssh");
    let option = |command: &mut Command, text: &str| {
        command.arg("-o").arg(text);
    };
    // Verbose, because only then ssh tells the fingerprint of a key that it does not know.
    command.arg("-v").arg("-F").arg("none").arg("-i").arg(&key.key_file);
    option(&mut command, &format!("UserKnownHostsFile={}", quoted(&key.known_hosts_file)?));
    option(&mut command, "GlobalKnownHostsFile=none");
    option(&mut command, "StrictHostKeyChecking=yes");
    option(&mut command, "IdentitiesOnly=yes");
    option(&mut command, "IdentityAgent=none");
    option(&mut command, "BatchMode=yes");
    option(&mut command, "SendEnv=GIT_PROTOCOL");
    // A line that is dead is noticed within a minute.
    option(&mut command, "ServerAliveInterval=15");
    option(&mut command, &format!("ConnectTimeout={}", CONNECT_TIMEOUT.as_secs()));
    if let Some(port) = url.port {
        command.arg("-p").arg(port.to_string());
    }
    let path = gix::quote::single(url.path.as_ref());
    command.arg(format!("{user}@{host}")).arg(format!("{} {path}", service.as_str()));
    start(command, url, service)
}

/// A path as ssh reads it in an option, where blanks separate several and percent signs mean something.
fn quoted(path: &Path) -> Result<String, Failure> {
    let text = path.to_string_lossy();
    if text.contains(['"', '\\']) || text.starts_with('~') {
        return Err(Failure::permanent(format!("ssh cannot use the path {text}: give the file another name")));
    }
    Ok(format!("\"{}\"", text.replace('%', "%%")))
}

pub(super) fn to_files(url: &gix::Url, service: Service) -> Result<Link, Failure> {
    let path = gix::path::from_bstr(gix::bstr::BStr::new(&url.path))
        .map_err(|error| Failure::permanent("the path cannot be used here").because(error))?;
    let mut command = bare("git");
    command.arg(service.as_str().trim_start_matches("git-")).arg(path.as_ref());
    start(command, url, service)
}

fn start(mut command: Command, url: &gix::Url, service: Service) -> Result<Link, Failure> {
    if service == Service::UploadPack {
        command.env("GIT_PROTOCOL", "version=2");
    }
    let (program, input, output) = launch(command)?;
    let connection =
        Connection::new(output, input, Protocol::V2, url.path.clone(), None::<(&str, _)>, ConnectMode::Process, false);
    Ok(Link { transport: Box::new(connection), program: Some(program) })
}

fn launch(mut command: Command) -> Result<(Program, ChildStdin, ChildStdout), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Of its own group, so that what it starts is stopped with it.
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| {
        Failure::permanent(format!("`{name}` could not be started; is it installed?")).because(error)
    })?;
    match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
        (Some(input), Some(output), Some(complaints)) => Ok((Program::watch(child, complaints), input, output)),
        _ => Err(Failure::temporary(format!("`{name}` has no pipes"))),
    }
}

/// A running program: what it complains of, and its end.
pub(super) struct Program {
    child: Arc<Mutex<Child>>,
    complaints: mpsc::Receiver<String>,
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
        let (tell, complaints) = mpsc::channel();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            let mut buffer = [0_u8; 1024];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                let room = MOST_COMPLAINTS.saturating_sub(kept.len()).min(length);
                kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
            }
            // Nobody may be listening any more.
            let _ = tell.send(String::from_utf8_lossy(&kept).into_owned());
        });
        Self { child, complaints, _done: done }
    }

    /// Wait for its end. Only where its output was read to the end, so that it is about to come.
    fn wait(&self) -> bool {
        loop {
            let Ok(mut child) = self.child.lock() else { return false };
            match child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => {}
                Err(_) => return false,
            }
            // Whoever has to stop it can.
            drop(child);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Stop the program and return what it complained of.
    pub(super) fn complaints(&mut self) -> String {
        // Its last words come when it ends by itself; it has failed already, so that is soon.
        std::thread::sleep(Duration::from_millis(50));
        stop(&self.child);
        self.last_words()
    }

    /// What it complained of, once it has ended. A daemon that it left behind may keep the pipe open.
    fn last_words(&self) -> String {
        self.complaints.recv_timeout(LAST_WORDS).unwrap_or_default()
    }
}

/// One that is done ends by itself.
impl Drop for Program {
    fn drop(&mut self) {
        stop(&self.child);
    }
}

fn stop(child: &Mutex<Child>) {
    if let Ok(mut child) = child.lock() {
        // One that has ended and was waited for is nobody's any more, and its number may be somebody else's.
        if matches!(child.try_wait(), Ok(None))
            && let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw)
        {
            // They may end at this moment by themselves, which is no failure.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait();
    }
}

/// What a program came to.
pub(crate) struct Ended {
    /// Whether it said that it succeeded.
    pub(crate) success: bool,
    /// What it printed.
    pub(crate) output: Vec<u8>,
    /// What it complained of.
    pub(crate) complaints: String,
}

/// Run a program to its end with `input`.
pub(crate) fn run_to_end(command: Command, input: &[u8]) -> Result<Ended, Failure> {
    let (program, mut sent, mut printed) = launch(command)?;
    let input = input.to_vec();
    // Written beside, since a program may answer before it has read everything. One that stops early says why itself.
    let writer = std::thread::spawn(move || sent.write_all(&input));
    let mut output = Vec::new();
    let read = printed.read_to_end(&mut output);
    let _ = writer.join();
    let success = program.wait();
    read.map_err(|error| Failure::temporary("a program broke off").because(error))?;
    let complaints = program.last_words();
    Ok(Ended { success, output, complaints })
}

/// A program with only what it needs in its environment: none of our own secrets, and no Git settings from outside.
pub(crate) fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for variable in ["PATH", "HOME", "LANG"] {
        command.envs(std::env::var_os(variable).map(|value| (variable, value)));
    }
    command
}
