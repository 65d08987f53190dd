//! Senders that obey their own rule: again, until it is answered with success. Each announcement is delivered one to five
//! times, in any order, over several connections; some are sent by somebody who does not wait for the answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tagboat_intake::sign_standard_webhook;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::trap::{Moment, Trap};
use crate::world::CI_SECRET;

/// The place of the trap.
pub(super) const SENDER: &str = "sender";
/// A server that was just killed is back in a moment.
const AGAIN: Duration = Duration::from_millis(25);
/// Longer than any answer takes.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);

/// Something that is announced.
#[derive(Debug, Clone)]
pub(super) struct Announcement {
    /// Of the delivery.
    pub(super) id: String,
    pub(super) entry: String,
    pub(super) tag: String,
    pub(super) body: String,
}

/// Everything that was announced, and what was answered.
#[derive(Debug, Default)]
struct Post {
    announcements: Vec<Announcement>,
    /// Copies under way, by the place of what they announce, and whether their sender goes away the first time.
    queue: Vec<(usize, bool)>,
    /// Copies that are being sent.
    out: usize,
    /// The events of which a success spoke.
    acknowledged: BTreeMap<usize, BTreeSet<String>>,
    copies: u64,
    successes: u64,
    wrong: Vec<String>,
}

/// The senders, shared by all connections.
#[derive(Debug, Clone)]
pub(super) struct Senders {
    post: Arc<Mutex<Post>>,
    port: u16,
    trap: Trap,
}

/// What was answered, when all was.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) announcement: Announcement,
    pub(super) events: BTreeSet<String>,
}

impl Senders {
    pub(super) fn new(port: u16, trap: &Trap) -> Self {
        Self { post: Arc::default(), port, trap: trap.clone() }
    }

    fn post(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Have it delivered so many times.
    pub(super) fn announce(&self, announcement: Announcement, copies: u64, goes_away: bool) {
        let mut post = self.post();
        let place = post.announcements.len();
        post.announcements.push(announcement);
        post.copies += copies;
        post.queue.extend((0..copies).map(|copy| (place, goes_away && copy == 0)));
    }

    /// Whether every copy was answered with success.
    pub(super) fn are_done(&self) -> bool {
        let post = self.post();
        post.queue.is_empty() && post.out == 0
    }

    /// Copies, and how many of them were answered with success.
    pub(super) fn counts(&self) -> (u64, u64) {
        let post = self.post();
        (post.copies, post.successes)
    }

    /// What every announcement came to, and what was wrong with answers.
    pub(super) fn answers(&self) -> (Vec<Answered>, Vec<String>) {
        let post = self.post();
        let answered = |(place, events): (&usize, &BTreeSet<String>)| Answered {
            announcement: post.announcements[*place].clone(),
            events: events.clone(),
        };
        (post.acknowledged.iter().map(answered).collect(), post.wrong.clone())
    }

    /// One connection after the other, for ever.
    pub(super) async fn run(self, mut random: fastrand::Rng) {
        loop {
            let taken = {
                let mut post = self.post();
                let count = post.queue.len();
                let taken = (count > 0).then(|| post.queue.swap_remove(random.usize(..count)));
                post.out += usize::from(taken.is_some());
                taken
            };
            let Some((place, goes_away)) = taken else {
                tokio::time::sleep(AGAIN / 5).await;
                continue;
            };
            let announcement = self.post().announcements[place].clone();
            let answer = tokio::time::timeout(LONGEST_ANSWER, self.send(&announcement, goes_away)).await;
            let succeeded = match answer {
                Ok(Ok(Some((200..=299, body)))) => {
                    self.note(place, &body);
                    self.trap.reach(SENDER, Moment::Answered);
                    true
                }
                Ok(Ok(Some((status, body)))) if status != 503 => {
                    self.post().wrong.push(format!("{}: answered with {status}: {body}", announcement.id));
                    false
                }
                _ => false,
            };
            {
                let mut post = self.post();
                post.out -= 1;
                if !succeeded {
                    post.queue.push((place, false));
                }
            }
            if !succeeded {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// Status and body of the answer, if there is one.
    async fn send(&self, announcement: &Announcement, goes_away: bool) -> std::io::Result<Option<(u16, String)>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(request(announcement).as_bytes()).await?;
        self.trap.reach(SENDER, Moment::Asked);
        if goes_away {
            // With a reset, so that the server hears of it while it works.
            stream.set_zero_linger()?;
            return Ok(None);
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(parsed(&answer))
    }

    fn note(&self, place: usize, body: &str) {
        let told: Value = serde_json::from_str(body).unwrap_or_default();
        let events = told["events"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        let events: BTreeSet<String> = events.collect();
        let mut post = self.post();
        post.successes += 1;
        let id = post.announcements[place].id.clone();
        if events.is_empty() {
            post.wrong.push(format!("{id}: a success without an event: {body}"));
        }
        post.acknowledged.entry(place).or_default().extend(events);
    }
}

fn request(announcement: &Announcement) -> String {
    let Announcement { id, body, .. } = announcement;
    let seconds = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let signature = sign_standard_webhook(&CI_SECRET.to_owned().into(), id, seconds, body.as_bytes());
    format!(
        "POST /hooks/ci HTTP/1.1\r\nhost: tagboat\r\nconnection: close\r\nwebhook-id: {id}\r\nwebhook-timestamp: {seconds}\r\n\
         webhook-signature: {signature}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An answer that came to its end.
fn parsed(answer: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse::<usize>().ok()?;
    (body.len() == length).then(|| (status, body.to_owned()))
}
