//! The one writer: group commit with a savepoint per operation. Compiled once for each database.
//!
//! A connection on which a transaction could not begin or end is given up: the next group is tried on a new one, so that
//! nobody has to restart a process whose disk was full, or whose database was.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use tagboat_ports::{NewDelivery, StoreError, Stored, Written};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    dialect::{BEGIN, COMMIT, COMMIT_AND_WAKE, Connection, Connector, LONGEST},
    statements::deliveries,
};

/// Rows, about, that operations of one transaction write together at most; bounds how long the first of them waits. One that
/// writes more is alone.
const MOST_IN_A_GROUP: usize = 256;
/// Operations that may wait; beyond it callers wait before they are queued, but not for long.
const QUEUE: usize = 1024;
const LONGEST_QUEUED: Duration = Duration::from_secs(5);

struct Operation {
    /// Rows that it writes, about.
    weight: usize,
    /// Whether it may make work due.
    wakes: bool,
    work: What,
}

/// Deliveries of one group are written together, with a few statements for all of them: a statement, which goes to another
/// thread or another machine and back, costs more than a row.
enum What {
    Delivery(Box<NewDelivery>, oneshot::Sender<Result<Stored, String>>),
    Other(Run),
}

/// Runs one operation (or, without a connection, does not) and returns whether it was done and how to answer its
/// caller once it is known whether the commit came about.
type Run = Box<dyn for<'c> FnOnce(Option<&'c mut Connection>) -> BoxFuture<'c, (bool, Answer)> + Send>;
type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

pub(super) struct Writer {
    queue: mpsc::Sender<Operation>,
    counts: Arc<Counts>,
}

/// What was written so far.
#[derive(Default)]
struct Counts {
    committed: AtomicU64,
    failed: AtomicU64,
    operations: AtomicU64,
    microseconds: AtomicU64,
}

impl Counts {
    fn note(&self, operations: usize, took: Duration, is_committed: bool) {
        let transactions = if is_committed { &self.committed } else { &self.failed };
        transactions.fetch_add(1, Ordering::Relaxed);
        self.operations.fetch_add(operations as u64, Ordering::Relaxed);
        self.microseconds.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Writer {
    /// Connect, bring the schema up to date, and start the task. It ends when the writer is dropped. `changed` hears of what
    /// may have made work due.
    pub(super) async fn start(connector: Connector, changed: Arc<Notify>) -> Result<Self, sqlx::Error> {
        let connection = connector.connect(true).await?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let counts = Arc::new(Counts::default());
        let task = Task { connector, connection: Some(connection), changed, counts: Arc::clone(&counts) };
        tokio::spawn(task.run(waiting));
        Ok(Self { queue, counts })
    }

    /// What was written so far.
    pub(super) fn written(&self) -> Written {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { committed, failed, operations, microseconds } = &*self.counts;
        Written {
            committed: of(committed),
            failed: of(failed),
            operations: of(operations),
            microseconds: of(microseconds),
        }
    }

    /// Run `work`, which writes about so many rows, in the next group and return when it is durable. `wakes` says that it
    /// may make work due.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        weight: usize,
        wakes: bool,
        work: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let failed = |source| StoreError { operation, source };
        let (reply, answer) = oneshot::channel();
        let run: Run = Box::new(move |connection| {
            Box::pin(async move {
                let result = match connection {
                    Some(connection) => work(connection).await,
                    None => Err(sqlx::Error::WorkerCrashed),
                };
                let done = result.is_ok();
                // The caller may have gone away; its operation is part of the group all the same.
                let answer: Answer = Box::new(move |committed| {
                    let _ = reply.send(match committed {
                        Ok(()) => result.map_err(Into::into),
                        Err(error) => Err(error.into()),
                    });
                });
                (done, answer)
            })
        });
        self.queue(Operation { weight, wakes, work: What::Other(run) }).await.map_err(|why| failed(why.into()))?;
        let result: Result<T, Box<dyn std::error::Error + Send + Sync>> =
            answer.await.map_err(|_| failed("the database gave no answer".into()))?;
        result.map_err(failed)
    }

    /// Store a delivery, which writes about so many rows, in the next group and return when it is durable.
    pub(super) async fn deliver(&self, weight: usize, delivery: NewDelivery) -> Result<Stored, StoreError> {
        let failed = |source| StoreError { operation: "store a delivery", source };
        let (reply, answer) = oneshot::channel();
        let work = What::Delivery(Box::new(delivery), reply);
        self.queue(Operation { weight, wakes: true, work }).await.map_err(|why| failed(why.into()))?;
        let result = answer.await.map_err(|_| failed("the database gave no answer".into()))?;
        result.map_err(|error| failed(error.into()))
    }

    async fn queue(&self, operation: Operation) -> Result<(), &'static str> {
        let queued = tokio::time::timeout(LONGEST_QUEUED, self.queue.send(operation)).await;
        queued.map_err(|_| "too much waits to be written")?.map_err(|_| "the writer has ended")
    }
}

/// What writes.
struct Task {
    connector: Connector,
    connection: Option<Connection>,
    changed: Arc<Notify>,
    counts: Arc<Counts>,
}

impl Task {
    async fn run(mut self, mut waiting: mpsc::Receiver<Operation>) {
        // One that would make a group too heavy begins the next.
        let mut left = None;
        loop {
            let first = match left.take() {
                Some(first) => first,
                None => match waiting.recv().await {
                    Some(first) => first,
                    None => return,
                },
            };
            let mut weight = first.weight;
            let mut group = vec![first];
            while weight < MOST_IN_A_GROUP && left.is_none() {
                match waiting.try_recv() {
                    Ok(next) if weight + next.weight > MOST_IN_A_GROUP => left = Some(next),
                    Ok(next) => {
                        weight += next.weight;
                        group.push(next);
                    }
                    Err(_) => break,
                }
            }
            let (operations, begin) = (group.len(), Instant::now());
            let is_committed = self.write(group).await;
            self.counts.note(operations, begin.elapsed(), is_committed);
        }
    }

    /// One transaction. Without one (disk full, read-only, away) nothing is run and every caller hears why. Returns whether it was
    /// committed.
    async fn write(&mut self, group: Vec<Operation>) -> bool {
        let wakes = group.iter().any(|operation| operation.wakes);
        let mut connection = match self.begin().await {
            Ok(connection) => connection,
            Err(error) => {
                for operation in group {
                    match operation.work {
                        What::Delivery(_, reply) => drop(reply.send(Err(error.clone()))),
                        What::Other(run) => (run)(None).await.1(Err(error.clone())),
                    }
                }
                return false;
            }
        };
        let written = in_time(async {
            let answers = run_all(&mut connection, group).await;
            let committed = execute(&mut connection, if wakes { COMMIT_AND_WAKE } else { COMMIT }).await;
            (connection, answers, committed)
        });
        // Out of time, everything is dropped: the connection, with it the transaction, and whoever waits for an answer.
        let Some((mut connection, answers, committed)) = written.await else { return false };
        match committed.is_ok() || execute(&mut connection, "ROLLBACK").await.is_ok() {
            true => self.connection = Some(connection),
            false => drop(connection),
        }
        if committed.is_ok() && wakes {
            self.changed.notify_one();
        }
        for answer in answers {
            answer(committed.clone());
        }
        committed.is_ok()
    }

    /// A connection in a transaction; a new one where the last one does no longer.
    async fn begin(&mut self) -> Result<Connection, String> {
        if let Some(mut connection) = self.connection.take()
            && let Some(Ok(())) = in_time(execute(&mut connection, BEGIN)).await
        {
            return Ok(connection);
        }
        let connected = in_time(self.connector.connect(false)).await;
        let mut connection = connected.ok_or(NO_ANSWER)?.map_err(|error| error.to_string())?;
        in_time(execute(&mut connection, BEGIN)).await.ok_or(NO_ANSWER)??;
        Ok(connection)
    }
}

const NO_ANSWER: &str = "the database gave no answer in time";

/// Nothing when it takes longer than anything may.
async fn in_time<T>(work: impl Future<Output = T>) -> Option<T> {
    match LONGEST {
        Some(longest) => tokio::time::timeout(longest, work).await.ok(),
        None => Some(work.await),
    }
}

/// Each operation within a savepoint of its own; deliveries, of which no order was promised, come first and together.
async fn run_all(connection: &mut Connection, group: Vec<Operation>) -> Vec<Answer> {
    let (mut all, mut replies, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for operation in group {
        match operation.work {
            What::Delivery(delivery, reply) => {
                all.push(*delivery);
                replies.push(reply);
            }
            What::Other(run) => others.push(run),
        }
    }
    let stored = deliver_all(connection, &all).await;
    let mut answers: Vec<Answer> =
        replies.into_iter().zip(stored).map(|(reply, stored)| answer_of(reply, stored)).collect();
    for run in others {
        // Without a savepoint the operation could not be undone alone, so it is not begun.
        let savepoint = execute(connection, "SAVEPOINT one").await.is_ok();
        let (done, answer) = run(savepoint.then_some(&mut *connection)).await;
        answers.push(answer);
        if savepoint && !done {
            let _ = execute(connection, "ROLLBACK TO one").await;
        }
        if savepoint {
            let _ = execute(connection, "RELEASE one").await;
        }
    }
    answers
}

/// All of them together; if that fails, each alone, so that one that fails undoes only itself.
async fn deliver_all(connection: &mut Connection, all: &[NewDelivery]) -> Vec<Result<Stored, String>> {
    if all.len() > 1 && execute(connection, "SAVEPOINT one").await.is_ok() {
        let stored = deliveries::accept_all(connection, all).await;
        if stored.is_err() {
            let _ = execute(connection, "ROLLBACK TO one").await;
        }
        let _ = execute(connection, "RELEASE one").await;
        if let Ok(stored) = stored {
            return stored.into_iter().map(Ok).collect();
        }
    }
    let mut results = Vec::with_capacity(all.len());
    for delivery in all {
        if let Err(error) = execute(connection, "SAVEPOINT one").await {
            results.push(Err(error));
            continue;
        }
        let stored = deliveries::accept(connection, delivery).await;
        if stored.is_err() {
            let _ = execute(connection, "ROLLBACK TO one").await;
        }
        let _ = execute(connection, "RELEASE one").await;
        results.push(stored.map_err(|error| error.to_string()));
    }
    results
}

fn answer_of(reply: oneshot::Sender<Result<Stored, String>>, stored: Result<Stored, String>) -> Answer {
    Box::new(move |committed| {
        // The caller may have gone away.
        let _ = reply.send(committed.and(stored));
    })
}

async fn execute(connection: &mut Connection, sql: &'static str) -> Result<(), String> {
    sqlx::raw_sql(sql).execute(connection).await.map(|_| ()).map_err(|error| error.to_string())
}
