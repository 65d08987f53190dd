//! Child processes that end with the value that started them.

use std::{
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io::Read as _,
    net::{TcpListener, TcpStream},
    os::unix::fs::MetadataExt as _,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

/// A running program, stopped by its process id when dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Start a program; its output goes to `log` when one is given.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn start(command: &mut Command, log: Option<&std::path::Path>) -> Self {
        let output = || match log {
            Some(path) => Stdio::from(File::options().create(true).append(true).open(path).unwrap()),
            None => Stdio::null(),
        };
        let child = command.stdin(Stdio::null()).stdout(output()).stderr(output()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?} could not be started: {error}")))
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Ask it to end, as an operator would, and wait for it.
    ///
    /// # Panics
    /// When it does not end within ten seconds.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        self.signal("TERM");
        self.wait_until_ended(Duration::from_secs(10))
    }

    /// Send it a signal, by its name without `SIG`.
    ///
    /// # Panics
    /// When there is no such signal.
    pub fn signal(&self, name: &str) {
        Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status().unwrap();
    }

    /// How it ended, if it did.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Wait until it has ended by itself or by a signal.
    ///
    /// # Panics
    /// When it takes longer than this.
    pub fn wait_until_ended(&mut self, longest: Duration) -> std::process::ExitStatus {
        let until = Instant::now() + longest;
        while Instant::now() < until {
            if let Some(status) = self.ended() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the process did not end within {longest:?}");
    }

    /// Stop it without warning.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The ports handed out: below those that Linux gives to outgoing connections by itself.
const PORTS: std::ops::Range<u16> = 10_000..30_000;

/// A loopback port that nobody listens on, and that no other process will be given by this function while this
/// one lives: tests run beside each other, and a port that is merely free now may be two tests' port in a moment.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    static KEPT: Mutex<Vec<File>> = Mutex::new(Vec::new());
    // Another user's locks could not be opened.
    let user = std::fs::metadata("/proc/self").map_or(0, |own| own.uid());
    let folder = std::env::temp_dir().join(format!("tagboat-test-ports-{user}"));
    std::fs::create_dir_all(&folder).unwrap();
    let random = RandomState::new();
    for attempt in 0..1000_u16 {
        let offset = random.hash_one(attempt) % u64::try_from(PORTS.len()).unwrap();
        let port = PORTS.start + u16::try_from(offset).unwrap();
        let lock = File::options().create(true).append(true).open(folder.join(port.to_string())).unwrap();
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            KEPT.lock().unwrap().push(lock);
            return port;
        }
    }
    panic!("no free port among {PORTS:?}");
}

/// Return once somebody listens on the port.
///
/// # Panics
/// When nobody does within ten seconds; the log's text is in the message.
pub fn wait_for_port(port: u16, log: Option<&std::path::Path>) {
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > until {
            let mut text = String::new();
            if let Some(mut file) = log.and_then(|path| File::open(path).ok()) {
                file.read_to_string(&mut text).unwrap_or_default();
            }
            panic!("nothing listens on port {port} after ten seconds\n{text}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
