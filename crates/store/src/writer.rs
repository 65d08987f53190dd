//! The one writer: group commit with a savepoint per operation.

use futures_util::future::BoxFuture;
use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tagboat_ports::StoreError;
use tokio::sync::{mpsc, oneshot};

use crate::schema;

/// Rows, about, that operations of one transaction write together at most; bounds how long the first of them waits. One that
/// writes more is alone.
const MOST_IN_A_GROUP: usize = 256;
/// Operations that may wait; beyond it callers wait before they are queued.
const QUEUE: usize = 1024;

struct Operation {
    /// Rows that it writes, about.
    weight: usize,
    run: Run,
}
/// Runs one operation (or, without a connection, does not) and returns whether it was done and how to answer its
/// caller once it is known whether the commit came about.
type Run = Box<dyn for<'c> FnOnce(Option<&'c mut SqliteConnection>) -> BoxFuture<'c, (bool, Answer)> + Send>;
type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

pub(crate) struct Writer {
    queue: mpsc::Sender<Operation>,
}

impl Writer {
    /// Connect, bring the schema up to date, and start the task. It ends when the writer is dropped.
    pub(crate) async fn start(options: &SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let mut connection = options.connect().await?;
        schema::bring_up_to_date(&mut connection).await.map_err(|error| sqlx::Error::Migrate(Box::new(error)))?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(run(connection, waiting));
        Ok(Self { queue })
    }

    /// Run `work`, which writes about so many rows, in the next group and return when it is durable.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        weight: usize,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
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
        self.queue.send(Operation { weight, run }).await.map_err(|_| failed("the writer has ended".into()))?;
        let result: Result<T, Box<dyn std::error::Error + Send + Sync>> =
            answer.await.map_err(|_| failed("the writer has ended".into()))?;
        result.map_err(failed)
    }
}

async fn run(mut connection: SqliteConnection, mut waiting: mpsc::Receiver<Operation>) {
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
        let (answers, result) = run_group(&mut connection, group).await;
        for answer in answers {
            answer(result.clone());
        }
    }
}

/// One transaction. Without one (disk full, read-only, locked) nothing is run and every caller hears why.
async fn run_group(connection: &mut SqliteConnection, group: Vec<Operation>) -> (Vec<Answer>, Result<(), String>) {
    let mut answers = Vec::with_capacity(group.len());
    if let Err(error) = execute(connection, "BEGIN IMMEDIATE").await {
        for operation in group {
            answers.push((operation.run)(None).await.1);
        }
        return (answers, Err(error));
    }
    for operation in group {
        // Without a savepoint the operation could not be undone alone, so it is not begun.
        let savepoint = execute(connection, "SAVEPOINT one").await.is_ok();
        let (done, answer) = (operation.run)(savepoint.then_some(&mut *connection)).await;
        answers.push(answer);
        if savepoint && !done {
            let _ = execute(connection, "ROLLBACK TO one").await;
        }
        if savepoint {
            let _ = execute(connection, "RELEASE one").await;
        }
    }
    let result = execute(connection, "COMMIT").await;
    if result.is_err() {
        let _ = execute(connection, "ROLLBACK").await;
    }
    (answers, result)
}

async fn execute(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), String> {
    sqlx::raw_sql(sql).execute(connection).await.map(|_| ()).map_err(|error| error.to_string())
}
