//! The floor: the server's own receive-pack, fed a pack that was made before, by a client that does nothing but that. Two
//! requests on one connection, as few as a push can have.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use super::head;

/// A push that only has to be sent.
pub(crate) struct Prepared {
    /// The commit that it puts on the branch.
    pub(crate) commit: String,
    /// Command and pack.
    body: Vec<u8>,
}

/// A repository to read from, and the folder in which new objects are kept from it.
struct Quarantine<'r> {
    repository: &'r Path,
    folder: tempfile::TempDir,
}

impl Quarantine<'_> {
    fn git(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=Floor", "-c", "user.email=floor@example.org"])
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_DIR", self.repository)
            .env("GIT_INDEX_FILE", self.folder.path().join("index"))
            .env("GIT_OBJECT_DIRECTORY", self.folder.path())
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.repository.join("objects"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // Small enough for the pipe; it is closed at once.
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {arguments:?}");
        output.stdout
    }

    /// What git prints in one line.
    fn line(&self, arguments: &[&str], input: &[u8]) -> String {
        String::from_utf8(self.git(arguments, input)).unwrap().trim().to_owned()
    }
}

impl Prepared {
    /// A commit on top of the branch that edits one file. The repository does not have its objects afterwards.
    pub(crate) fn new(repository: &Path, path: &str, edit: impl FnOnce(&str) -> String) -> Self {
        let quarantine = Quarantine { repository, folder: tempfile::tempdir().unwrap() };
        let base = head(repository);
        let old = quarantine.git(&["cat-file", "blob", &format!("{base}:{path}")], b"");
        let new = edit(&String::from_utf8(old).unwrap());
        let blob = quarantine.line(&["hash-object", "-w", "--stdin"], new.as_bytes());
        quarantine.git(&["read-tree", &base], b"");
        quarantine.git(&["update-index", "--cacheinfo", &format!("100644,{blob},{path}")], b"");
        let tree = quarantine.line(&["write-tree"], b"");
        let commit = quarantine.line(&["commit-tree", &tree, "-p", &base, "-m", "Update web"], b"");
        let revisions = format!("{commit}\n^{base}\n");
        let pack = quarantine.git(&["pack-objects", "--revs", "--stdout", "--quiet"], revisions.as_bytes());
        // What Tagboat asks for as well.
        let capabilities = " report-status side-band-64k quiet atomic agent=floor/1";
        let command = format!("{base} {commit} refs/heads/main\0{capabilities}\n");
        let mut body = format!("{:04x}{command}0000", command.len() + 4).into_bytes();
        body.extend_from_slice(&pack);
        Self { commit, body }
    }

    /// Connect and send it. `authorization` is a line of a header, or nothing.
    pub(crate) fn send(&self, port: u16, name: &str, authorization: &str) {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut stream = BufReader::new(stream);
        let head = |request: &str| format!("{request} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{authorization}");
        let get = head(&format!("GET /{name}/info/refs?service=git-receive-pack"));
        assert!(!ask(&mut stream, format!("{get}\r\n").as_bytes()).is_empty());
        let post = head(&format!("POST /{name}/git-receive-pack"));
        let length = self.body.len();
        let kind = "content-type: application/x-git-receive-pack-request\r\n";
        let mut request = format!("{post}{kind}content-length: {length}\r\n\r\n").into_bytes();
        request.extend_from_slice(&self.body);
        let answer = ask(&mut stream, &request);
        let has = |words: &[u8]| answer.windows(words.len()).any(|window| window == words);
        let is_done = has(b"unpack ok\n") && has(b"ok refs/heads/main\n");
        assert!(is_done, "{}", String::from_utf8_lossy(&answer));
    }
}

/// What Tagboat asks the registry about a new tag: its manifest, and the configuration that this names.
pub(crate) fn look(host: &str, repository: &str, tag: &str) {
    let stream = TcpStream::connect(host).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    let accept = "accept: application/vnd.oci.image.manifest.v1+json\r\n";
    let get = |path: &str| format!("GET /v2/{repository}/{path} HTTP/1.1\r\nhost: {host}\r\n{accept}\r\n");
    let manifest = ask(&mut stream, get(&format!("manifests/{tag}")).as_bytes());
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let digest = manifest["config"]["digest"].as_str().unwrap();
    assert!(!ask(&mut stream, get(&format!("blobs/{digest}")).as_bytes()).is_empty());
}

/// Send a request and read the body of the answer.
fn ask(stream: &mut BufReader<TcpStream>, request: &[u8]) -> Vec<u8> {
    stream.get_mut().write_all(request).unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
    let mut length = None;
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse::<usize>().ok();
        }
    }
    // The server of the tests has the whole answer before it sends the first of it.
    let mut body = vec![0; length.unwrap()];
    stream.read_exact(&mut body).unwrap();
    body
}
