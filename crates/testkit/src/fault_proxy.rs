//! Between a client and a registry, with a fault for each request that the test's script names.
//!
//! Speaks HTTP/1.1 over plain TCP by hand where a well-behaved server cannot: answers that end too early, connections that
//! are reset. Every request has a connection of its own. It answers `/token` itself.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What becomes of one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The registry's own answer.
    Pass,
    /// This status with these headers instead of an answer.
    Status(u16, Vec<(&'static str, String)>),
    /// The connection is reset once the request was read.
    Reset,
    /// The body comes a byte at a time, slower than anybody waits; an answer without a body does not come.
    SlowBody,
    /// The body ends before the length that was announced.
    TruncatedBody,
    /// One byte of the body is another.
    ChangedBody,
    /// The token is not accepted any more; `/token` has a new one.
    ExpiredToken,
    /// A list whose every page names another next one, with the same tag on each.
    EndlessPages,
    /// A list of three pages, of which the last leads to the first.
    CyclicPages,
    /// The registry's list in pages of the size that was asked for, which Debian's registry does not make itself.
    Paged,
}

type Script = Arc<dyn Fn(usize, &str) -> Fault + Send + Sync>;

/// The proxy; a registry to its clients.
#[derive(Debug)]
pub struct FaultProxy {
    /// Host and port.
    pub host: String,
    seen: Arc<Mutex<Vec<String>>>,
}

struct Request {
    number: usize,
    method: String,
    path: String,
    accept: String,
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl FaultProxy {
    /// Start it before the registry at `upstream`. The script gets the number of the request, from 0, and its method and
    /// path: `GET /v2/acme/web/tags/list?n=1000`. Requests for tokens are neither numbered nor scripted.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(upstream: &str, script: impl Fn(usize, &str) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, own, upstream): (_, _, Arc<str>) = (Arc::clone(&seen), host.clone(), upstream.into());
        let script: Script = Arc::new(script);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, own, upstream) = (Arc::clone(&log), own.clone(), Arc::clone(&upstream));
                let (script, http) = (Arc::clone(&script), http.clone());
                tokio::spawn(async move {
                    // A client that goes away early is a part of many tests.
                    let _ = serve(stream, &log, &own, &upstream, &script, &http).await;
                });
            }
        });
        Self { host, seen }
    }

    /// Method and path of every request but those for tokens.
    ///
    /// # Panics
    /// When the script panicked.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<String>>,
    own: &str,
    upstream: &str,
    script: &Script,
    http: &reqwest::Client,
) -> std::io::Result<()> {
    let Some(mut request) = read(&mut stream).await? else { return Ok(()) };
    if request.path.starts_with("/token") {
        let token = Answer { status: 200, headers: Vec::new(), body: br#"{"token":"new"}"#.to_vec() };
        return send(&mut stream, &request, &token, token.body.len(), &token.body).await;
    }
    let line = format!("{} {}", request.method, request.path);
    {
        let mut log = log.lock().unwrap();
        request.number = log.len();
        log.push(line.clone());
    }
    let fault = script(request.number, &line);
    let made = match &fault {
        Fault::Reset => return stream.set_zero_linger(),
        Fault::Status(status, headers) => {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            Some(Answer { status: *status, headers, body: Vec::new() })
        }
        Fault::ExpiredToken => {
            let challenge = format!("Bearer realm=\"http://{own}/token\",service=\"proxy\"");
            Some(Answer { status: 401, headers: vec![("www-authenticate".to_owned(), challenge)], body: Vec::new() })
        }
        Fault::EndlessPages => Some(page(&["same".to_owned()], Some(&request.number.to_string()))),
        Fault::CyclicPages => {
            let next = (query(&request.path, "last").and_then(|last| last.parse().ok()).unwrap_or(0_u32) + 1) % 3;
            Some(page(&[format!("tag-{next}")], Some(&next.to_string())))
        }
        _ => None,
    };
    let mut answer = match made {
        Some(answer) => answer,
        None => ask(http, upstream, &request).await,
    };
    if matches!(fault, Fault::Paged) {
        answer = paged(&request.path, &answer.body);
    }
    let length = answer.body.len();
    match fault {
        Fault::SlowBody => return drip(&mut stream, &request, &answer).await,
        Fault::TruncatedBody => answer.body.truncate(length / 2),
        Fault::ChangedBody => {
            if let Some(byte) = answer.body.get_mut(length / 2) {
                *byte ^= 1;
            }
        }
        _ => {}
    }
    send(&mut stream, &request, &answer, length, &answer.body).await
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut words = text.split_ascii_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let accept = text.lines().find_map(|line| line.strip_prefix("accept: ")).unwrap_or("*/*").to_owned();
    Ok(Some(Request { number: 0, method, path, accept }))
}

/// What the registry itself answers.
async fn ask(http: &reqwest::Client, upstream: &str, request: &Request) -> Answer {
    let url = format!("http://{upstream}{}", request.path);
    let builder = http.request(request.method.parse().unwrap(), url).header("accept", &request.accept);
    let answer = builder.send().await.unwrap();
    let kept = ["content-type", "docker-content-digest", "etag", "link"];
    let header = |name: &str| Some((name.to_owned(), answer.headers().get(name)?.to_str().ok()?.to_owned()));
    let headers = kept.into_iter().filter_map(header).collect();
    Answer { status: answer.status().as_u16(), headers, body: answer.bytes().await.unwrap().to_vec() }
}

async fn send(
    stream: &mut TcpStream,
    request: &Request,
    answer: &Answer,
    length: usize,
    body: &[u8],
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Scripted\r\nconnection: close\r\ncontent-length: {length}\r\n", answer.status);
    for (name, value) in &answer.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    if request.method != "HEAD" {
        stream.write_all(body).await?;
    }
    stream.shutdown().await
}

async fn drip(stream: &mut TcpStream, request: &Request, answer: &Answer) -> std::io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(250);
    if request.method == "HEAD" {
        tokio::time::sleep(PAUSE * 200).await;
    }
    stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.body.len()).as_bytes()).await?;
    for byte in &answer.body {
        stream.write_all(&[*byte]).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// A page of tags; `next` is the value of `last` in the link to the next.
fn page(tags: &[String], next: Option<&str>) -> Answer {
    let link = next.map(|next| ("link".to_owned(), format!("</v2/x/tags/list?last={next}&n=1000>; rel=\"next\"")));
    Answer { status: 200, headers: link.into_iter().collect(), body: json!({ "tags": tags }).to_string().into_bytes() }
}

fn paged(path: &str, body: &[u8]) -> Answer {
    let list: Value = serde_json::from_slice(body).unwrap();
    let mut tags: Vec<String> = serde_json::from_value(list["tags"].clone()).unwrap();
    tags.sort();
    let last = query(path, "last").unwrap_or_default();
    tags.retain(|tag| *tag > last);
    let size = query(path, "n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let more = tags.len() > size;
    tags.truncate(size);
    let next = tags.last().filter(|_| more).cloned();
    page(&tags, next.as_deref())
}

fn query(path: &str, name: &str) -> Option<String> {
    let (_, query) = path.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
}
