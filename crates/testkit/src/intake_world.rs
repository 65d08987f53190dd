//! The real binary with its SQLite on a faulty disk, and senders. Nothing else: events are taken, and nobody wants them.

use std::{
    path::PathBuf,
    process::{Command, ExitStatus},
    time::{Duration, Instant, SystemTime},
};

use reqwest::Client;
use serde_json::Value;
use tagboat_intake::sign_standard_webhook;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{BareRepository, FaultyDisk, Process, free_port, world::CI_SECRET};

/// A start, or an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a request was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The events of which an answer to a sender speaks.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        let told: Value = serde_json::from_str(&self.body).unwrap_or_default();
        told["events"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// All of it. Dropping it stops the server.
pub struct IntakeWorld {
    /// The server's working folder.
    pub folder: tempfile::TempDir,
    /// Below the database.
    pub disk: FaultyDisk,
    binary: PathBuf,
    port: u16,
    http: Client,
    tagboat: Option<Process>,
    _config: BareRepository,
}

impl IntakeWorld {
    /// Prepare it; the server is not started.
    ///
    /// # Panics
    /// When a file cannot be written.
    #[must_use]
    pub fn new(binary: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let config = BareRepository::with_files(&[(".tagboat.yaml", "images: []\n")]);
        std::fs::write(folder.path().join("ci-secret"), format!("{CI_SECRET}\n")).unwrap();
        let settings = format!(
            "listen: 127.0.0.1:{port}\nrepositories:\n  - name: config\n    url: {url}\nreceivers:\n  - name: ci\n    kind: generic\n\
             \x20   images: [\"registry.example/acme/*\"]\n    secretFiles: [ci-secret]\n",
            url = config.url(),
        );
        std::fs::write(folder.path().join("tagboat.yaml"), settings).unwrap();
        let disk = FaultyDisk::below(&folder.path().canonicalize().unwrap().join("data/tagboat.db"));
        let http = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { folder, disk, binary: PathBuf::from(binary), port, http, tagboat: None, _config: config }
    }

    /// Start the server; it is not waited for.
    pub fn start(&mut self) {
        let mut command = Command::new(&self.binary);
        command.current_dir(self.folder.path()).args(["serve", "--config", "tagboat.yaml"]).env("TAGBOAT_LOG", "info");
        self.disk.put_below(&mut command);
        self.tagboat = Some(Process::start(&mut command, Some(&self.folder.path().join("log"))));
    }

    /// Start the server, and wait until it listens.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start_and_wait(&mut self) {
        self.start();
        let until = Instant::now() + PATIENCE;
        // It listens a little before it has begun.
        while self.get("/healthz").await.is_none_or(|answer| answer.status != 200) {
            let ended = self.ended();
            assert!(ended.is_none() && Instant::now() < until, "not there: {ended:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// As a power cut stops it, with what the disk is set to lose.
    pub fn kill(&mut self) {
        if let Some(tagboat) = &mut self.tagboat {
            tagboat.kill();
        }
    }

    /// As an operator stops it.
    ///
    /// # Panics
    /// When it did not run.
    pub fn terminate(&mut self) -> ExitStatus {
        self.tagboat.take().unwrap().terminate()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.tagboat.as_mut().and_then(Process::ended)
    }

    /// What it wrote to its log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("data/tagboat.db")
    }

    /// What SQLite itself answers about the database, or about a copy of it while the server runs or will run again: who
    /// opens it last puts its log away.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn ask_sqlite(&self, sql: &str) -> String {
        let copy = tempfile::tempdir().unwrap();
        for name in ["tagboat.db", "tagboat.db-wal"] {
            // There is no log when it was put away.
            let _ = std::fs::copy(self.folder.path().join("data").join(name), copy.path().join(name));
        }
        let output = Command::new("sqlite3").arg(copy.path().join("tagboat.db")).arg(sql).output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What is answered at an address, if anything is.
    pub async fn get(&self, path: &str) -> Option<Answer> {
        answered(self.http.get(format!("http://127.0.0.1:{}{path}", self.port))).await
    }

    /// Someone who announces things to this server, on connections of their own.
    #[must_use]
    pub fn sender(&self) -> Sender {
        Sender { http: self.http.clone(), port: self.port }
    }
}

/// Announces things.
#[derive(Debug, Clone)]
pub struct Sender {
    http: Client,
    port: u16,
}

impl Sender {
    /// Announce an image under this id. What is answered, if anything is.
    pub async fn send(&self, id: &str) -> Option<Answer> {
        let (body, headers) = request(id);
        let mut request = self.http.post(format!("http://127.0.0.1:{}/hooks/ci", self.port)).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        answered(request).await
    }

    /// The same, and go away: the connection is reset at once.
    pub async fn send_and_go_away(&self, id: &str) {
        let (body, headers) = request(id);
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let text =
            format!("POST /hooks/ci HTTP/1.1\r\nhost: tagboat\r\n{headers}content-length: {length}\r\n\r\n{body}");
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)).await {
            // Whether it arrives is what is not known.
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.set_zero_linger();
        }
    }
}

fn request(id: &str) -> (String, [(&'static str, String); 3]) {
    let body = format!(r#"{{"image":"registry.example/acme/web","tag":"{id}"}}"#);
    let seconds = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let signature = sign_standard_webhook(&CI_SECRET.to_owned().into(), id, seconds, body.as_bytes());
    let headers =
        [("webhook-id", id.to_owned()), ("webhook-timestamp", seconds.to_string()), ("webhook-signature", signature)];
    (body, headers)
}

async fn answered(request: reqwest::RequestBuilder) -> Option<Answer> {
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    Some(Answer { status, retry_after, body: answer.text().await.ok()? })
}
