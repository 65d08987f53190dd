//! Senders of webhooks at a constant rate, whatever the server does: each request has the moment at which it is to be sent,
//! and its time is counted from that moment. A server that answers late, or takes no connection, does not make its senders
//! slower, and what waits meanwhile counts as waiting.
//!
//! Bodies are signed before. HTTP/1.1 by hand on plain sockets, each request after the answer to the one before it: what the
//! senders need themselves is taken from the same two cores.

use std::{
    collections::HashSet,
    io::{Error, ErrorKind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tagboat_intake::sign_standard_webhook;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Bytes of a body.
const BODY: usize = 8 * 1024;
/// How long a sender waits for an answer, and before it connects again.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);
/// `/proc/…/stat` counts in hundredths of a second.
const TICKS: f64 = 100.0;

/// What CI says.
pub(crate) struct Announcement {
    pub(crate) id: String,
    pub(crate) image: String,
    pub(crate) tag: String,
}

/// A request that only has to be sent: its head, and its body up to what is the same in all.
struct Signed {
    id: String,
    bytes: Vec<u8>,
    body: usize,
}

/// Requests to the receiver `ci`.
pub(crate) struct Load {
    port: u16,
    requests: Vec<Signed>,
    /// What bodies end with.
    filling: Vec<u8>,
}

/// What became of a request. Without a status its connection broke.
struct Answer {
    number: usize,
    status: Option<u16>,
    time: Duration,
}

/// What became of all.
pub(crate) struct Outcome {
    answers: Vec<Answer>,
    /// Of those that were answered with 2xx.
    pub(crate) acknowledged: HashSet<String>,
    /// From the first request to the last answer.
    pub(crate) time: Duration,
    /// Cores that the senders used.
    pub(crate) own_cores: f64,
    /// Cores that the server used.
    pub(crate) server_cores: f64,
}

impl Load {
    /// Sign everything. The signatures hold for five minutes.
    pub(crate) fn sign(port: u16, secret: &str, announcements: impl Iterator<Item = Announcement>) -> Self {
        let filling = [vec![b'x'; BODY], br#""}"#.to_vec()].concat();
        let secret = secret.to_owned().into();
        let seconds = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        let mut body = Vec::with_capacity(BODY);
        let sign = |Announcement { id, image, tag }: Announcement| {
            let start = format!(r#"{{"image":"{image}","tag":"{tag}","source":{{"run":"{id}"}},"log":""#);
            body.clear();
            body.extend_from_slice(start.as_bytes());
            body.extend_from_slice(rest(&filling, start.len()));
            let signature = sign_standard_webhook(&secret, &id, seconds, &body);
            let head = format!(
                "POST /hooks/ci HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\nwebhook-id: {id}\r\n\
                 webhook-timestamp: {seconds}\r\nwebhook-signature: {signature}\r\ncontent-length: {BODY}\r\n\r\n"
            );
            Signed { id, body: start.len(), bytes: (head + &start).into_bytes() }
        };
        let requests = announcements.map(sign).collect();
        Self { port, requests, filling }
    }

    /// Send so many a second (or all at once) over so many connections. `server` is whose work is counted.
    pub(crate) async fn send(self, rate: Option<u32>, connections: usize, server: u32) -> Outcome {
        let (load, next) = (Arc::new(self), Arc::new(AtomicUsize::new(0)));
        let (own, theirs) = (cpu("self"), cpu(&server.to_string()));
        let begin = Instant::now();
        let senders: Vec<_> =
            (0..connections).map(|_| tokio::spawn(Arc::clone(&load).sender(Arc::clone(&next), rate, begin))).collect();
        let mut answers = Vec::with_capacity(load.requests.len());
        for sender in senders {
            answers.extend(sender.await.unwrap());
        }
        let time = begin.elapsed();
        let cores = |used: f64| used / time.as_secs_f64();
        let is_taken = |answer: &&Answer| answer.status.is_some_and(|status| (200..300).contains(&status));
        let acknowledged = answers.iter().filter(is_taken).map(|answer| load.requests[answer.number].id.clone());
        Outcome {
            acknowledged: acknowledged.collect(),
            answers,
            time,
            own_cores: cores(cpu("self") - own),
            server_cores: cores(cpu(&server.to_string()) - theirs),
        }
    }

    /// Takes the next request that nobody took, waits for its moment, sends it, and so on.
    async fn sender(self: Arc<Self>, next: Arc<AtomicUsize>, rate: Option<u32>, begin: Instant) -> Vec<Answer> {
        let (mut answers, mut connection, mut request) = (Vec::new(), None, Vec::with_capacity(2 * BODY));
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(signed) = self.requests.get(number) else { return answers };
            let due = match rate {
                Some(rate) => begin + Duration::from_secs(u64::try_from(number).unwrap()) / rate,
                None => begin,
            };
            tokio::time::sleep_until(due.into()).await;
            request.clear();
            request.extend_from_slice(&signed.bytes);
            request.extend_from_slice(rest(&self.filling, signed.body));
            let asking = ask(&mut connection, self.port, &request);
            let status = tokio::time::timeout(PATIENCE, asking).await.ok().and_then(Result::ok);
            answers.push(Answer { number, status, time: due.elapsed() });
            if status.is_none() {
                connection = None;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// What a body ends with that began with so many bytes.
fn rest(filling: &[u8], begun: usize) -> &[u8] {
    &filling[filling.len() - (BODY - begun)..]
}

/// One request and its answer's status, on the connection that is there.
async fn ask(connection: &mut Option<TcpStream>, port: u16, request: &[u8]) -> Result<u16, Error> {
    if connection.is_none() {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        *connection = Some(stream);
    }
    let stream = connection.as_mut().unwrap();
    stream.write_all(request).await?;
    let (mut answer, mut length) = ([0; 4096], 0);
    loop {
        let read = stream.read(&mut answer[length..]).await?;
        length += read;
        if let Some(status) = whole(&answer[..length]) {
            return Ok(status);
        }
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The status of an answer, when all of it is there.
fn whole(answer: &[u8]) -> Option<u16> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    (answer.len() >= end + 4 + length).then(|| head.split(' ').nth(1).unwrap().parse().unwrap())
}

/// Seconds that a process has used so far.
fn cpu(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
    // User and system time are the 14th and 15th field; the name, which may have blanks, is the second.
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

impl Outcome {
    /// Answers whose status is such a one; none is the connection that broke.
    pub(crate) fn count(&self, is_meant: impl Fn(Option<u16>) -> bool) -> usize {
        self.answers.iter().filter(|answer| is_meant(answer.status)).count()
    }

    /// Answers that are not 2xx.
    pub(crate) fn refused(&self) -> usize {
        self.answers.len() - self.acknowledged.len()
    }

    /// Those among them that a sender does not understand: neither 503 nor an answer at all.
    pub(crate) fn misunderstood(&self) -> usize {
        self.count(|status| !status.is_some_and(|status| status == 503 || (200..300).contains(&status)))
    }

    /// Requests a second that were answered with 2xx.
    pub(crate) fn rate(&self) -> f64 {
        number(self.acknowledged.len()) / self.time.as_secs_f64()
    }

    /// How long so many of a thousand requests took at most, in milliseconds.
    pub(crate) fn most_of(&self, of_a_thousand: usize) -> f64 {
        let mut times: Vec<Duration> = self.answers.iter().map(|answer| answer.time).collect();
        times.sort_unstable();
        let place = (times.len() * of_a_thousand).div_ceil(1000).saturating_sub(1);
        times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

/// As figures are written.
pub(crate) fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}
