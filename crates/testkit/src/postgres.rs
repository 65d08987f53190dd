//! A private PostgreSQL cluster on a free loopback port, with `fsync` on, as an operator would have it.
//!
//! Found in the path or where Debian puts it. PostgreSQL refuses to run as root, so for root it runs as its own user, or
//! as nobody. It knows no passwords: only this machine reaches it.

use std::{
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::{Process, free_port};

/// Who owns the cluster.
const OWNER: &str = "tagboat";
/// A cluster that was killed replays its log first.
const LONGEST_START: Duration = Duration::from_secs(30);

/// A running cluster. Dropping it stops it by its process id and removes its folder.
#[derive(Debug)]
pub struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    server: Option<Process>,
}

impl Postgres {
    /// Make a cluster and start it, with an empty database.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Some((user, group)) = other_user() {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let mut cluster = Self { folder, programs: programs(), port: free_port(), server: None };
        let mut initdb = cluster.command("initdb");
        // Only what initdb itself writes is not synced: a machine that stops now has no test to go on with.
        initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--no-locale", "--username", OWNER, "--pgdata"]);
        let output = initdb.arg(cluster.data()).output().unwrap();
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        cluster.start_again();
        cluster
    }

    /// Start it with what it had.
    ///
    /// # Panics
    /// When it does not answer within half a minute.
    pub fn start_again(&mut self) {
        let mut server = self.command("postgres");
        server.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=on",
            "synchronous_commit=on",
            "max_connections=100",
            "shared_buffers=32MB",
        ] {
            server.arg("-c").arg(setting);
        }
        self.server = Some(Process::start(&mut server, Some(&self.log_file())));
        let until = Instant::now() + LONGEST_START;
        while let Err(words) = self.ask("postgres", "SELECT 1") {
            let log = || std::fs::read_to_string(self.log_file()).unwrap_or_default();
            assert!(Instant::now() < until, "PostgreSQL does not answer: {words}\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stop it as an operator does who does not wait for its clients.
    pub fn stop(&mut self) {
        self.end("INT");
    }

    /// Stop it as a power cut does: nothing is written any more.
    pub fn kill(&mut self) {
        self.end("QUIT");
    }

    fn end(&mut self, signal: &str) {
        if let Some(mut server) = self.server.take() {
            server.signal(signal);
            server.wait_until_ended(Duration::from_secs(20));
        }
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of the database that every cluster has.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://{OWNER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Make a further, empty database. Returns its address.
    ///
    /// # Panics
    /// When there is one of that name, or the cluster does not run.
    pub fn make_database(&self, name: &str) -> String {
        self.query("postgres", &format!("CREATE DATABASE \"{name}\""));
        self.url_of(name)
    }

    /// What a statement answers, a row a line.
    ///
    /// # Panics
    /// When it fails.
    pub fn query(&self, database: &str, sql: &str) -> String {
        self.ask(database, sql).unwrap_or_else(|words| panic!("{sql}: {words}"))
    }

    fn ask(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = self.command("psql");
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--set", "ON_ERROR_STOP=1"]);
        let output = psql.arg("--command").arg(sql).arg(self.url_of(database)).output().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// What it wrote to its log.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of its programs, as whom it runs, untouched by settings of whoever runs the tests.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path()).env("LC_ALL", "C").env("HOME", self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        if let Some((user, group)) = other_user() {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its children would outlive SIGKILL for a while.
        self.kill();
    }
}

/// The folder with PostgreSQL's programs, the newest where there are several.
fn programs() -> PathBuf {
    let has_all = |folder: &Path| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = installed
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort();
    let debians = versions.into_iter().rev().map(|(_, folder)| folder);
    let found = debians.chain(std::env::split_paths(&path)).find(|folder| has_all(folder));
    found.expect("PostgreSQL is installed (initdb, postgres and psql in one folder)")
}

/// As whom it runs, when that is somebody else: user and group.
fn other_user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    let own = std::fs::metadata("/proc/self").unwrap().uid();
    if own != 0 {
        return None;
    }
    let people = std::fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let line = people.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let mut fields = line.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(of("postgres").or_else(|| of("nobody")).expect("there is a user postgres or nobody"))
}
