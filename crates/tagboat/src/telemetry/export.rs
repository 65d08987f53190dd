//! Spans on their way to the collector: gathered for a moment, sent together, tried again a little, and given up rather than
//! kept: what is worked on never waits for who watches.

use std::time::Duration;

use reqwest::{Client, Url, header::HeaderMap};
use tagboat_engine::chain;
use tokio::sync::{mpsc, oneshot};

use super::otlp::{Span, body};

/// Batches that may wait.
const QUEUE: usize = 1024;
/// Spans that are sent together.
const MOST_AT_ONCE: usize = 512;
/// How long they are gathered.
const GATHERING: Duration = Duration::from_millis(500);
/// One request.
const LONGEST_REQUEST: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

enum Message {
    Spans(Vec<Span>),
    /// Send what there is, then say so.
    Flush(oneshot::Sender<()>),
}

/// Where spans are given to.
#[derive(Clone)]
pub(crate) struct Exporter(mpsc::Sender<Message>);

/// The collector.
pub(crate) struct Collector {
    /// With the path.
    pub(crate) address: Url,
    /// Marked as sensitive.
    pub(crate) headers: HeaderMap,
    pub(crate) service: String,
}

impl Exporter {
    /// Start sending. It ends when nobody can give anything any more.
    pub(crate) fn start(collector: Collector, http: Client) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(run(collector, http, receiver));
        Self(sender)
    }

    /// Give spans, without waiting. When the collector is slow, they are lost.
    pub(crate) fn give(&self, spans: Vec<Span>) {
        if !spans.is_empty() && self.0.try_send(Message::Spans(spans)).is_err() {
            tracing::debug!("the collector is slow; traces are lost");
        }
    }

    /// Wait until what was given is sent, or given up.
    pub(crate) async fn flush(&self, at_most: Duration) {
        let (done, sent) = oneshot::channel();
        let flushing = async {
            if self.0.send(Message::Flush(done)).await.is_ok() {
                // An error means that the task has ended, which is as good.
                let _ = sent.await;
            }
        };
        let _ = tokio::time::timeout(at_most, flushing).await;
    }
}

async fn run(collector: Collector, http: Client, mut waiting: mpsc::Receiver<Message>) {
    let mut lost = false;
    while let Some(first) = waiting.recv().await {
        let (mut spans, mut flushed) = (Vec::new(), Vec::new());
        take(first, &mut spans, &mut flushed);
        if flushed.is_empty() {
            tokio::time::sleep(GATHERING).await;
        }
        while spans.len() < MOST_AT_ONCE
            && let Ok(next) = waiting.try_recv()
        {
            take(next, &mut spans, &mut flushed);
        }
        for part in spans.chunks(MOST_AT_ONCE) {
            match send(&collector, &http, part).await {
                Ok(()) if lost => {
                    lost = false;
                    tracing::info!("traces are taken again");
                }
                Ok(()) => {}
                // Once is enough to say it.
                Err(_) if lost => {}
                Err(error) => {
                    lost = true;
                    tracing::warn!(error, "traces could not be sent and are lost");
                }
            }
        }
        for done in flushed {
            let _ = done.send(());
        }
    }
}

fn take(message: Message, spans: &mut Vec<Span>, flushed: &mut Vec<oneshot::Sender<()>>) {
    match message {
        Message::Spans(more) => spans.extend(more),
        Message::Flush(done) => flushed.push(done),
    }
}

/// Statuses that pass are tried again, as the protocol says. The address is in no error: it may hold what is not for
/// everybody.
async fn send(collector: &Collector, http: &Client, spans: &[Span]) -> Result<(), String> {
    let text = body(&collector.service, spans).to_string();
    let mut pause = FIRST_PAUSE;
    let mut error = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        let request = http.post(collector.address.clone()).headers(collector.headers.clone());
        let request = request.header("content-type", "application/json").timeout(LONGEST_REQUEST);
        error = match request.body(text.clone()).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) if matches!(answer.status().as_u16(), 429 | 502 | 503 | 504) => {
                format!("the collector answers {}", answer.status())
            }
            Ok(answer) => return Err(format!("the collector answers {}", answer.status())),
            Err(error) => chain(&error.without_url()),
        };
    }
    Err(error)
}
