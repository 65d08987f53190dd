//! What is remembered of files of config repositories. Rows come by ten thousands, so many share a statement. What they
//! say is not looked into here.

use std::collections::{BTreeMap, HashMap};

use sqlx::{QueryBuilder, Row as _};
use tagboat_model::{Duration, RepositoryName, TenantName, Timestamp};
use tagboat_ports::{BlobId, MEMORY_OF_FILES, RememberedFile};

use super::{
    dialect::{Connection, Database, Row},
    rows::{blob_id, time},
};

/// Rows of one statement: to hand one over to SQLite's thread costs more than a row does.
const ROWS_AT_ONCE: usize = 200;

/// How old a note of use becomes before it is written again. Without it each look at a branch would write every row.
const NOTED_EVERY: Duration = Duration::from_seconds(24 * 60 * 60);

/// What is to be written when files are used.
#[derive(Default)]
pub(crate) struct Note {
    /// Used, which was not noted lately.
    used: Vec<(BlobId, String)>,
    /// Whether there is something to forget.
    forget: bool,
}

impl Note {
    pub(crate) fn is_empty(&self) -> bool {
        self.used.is_empty() && !self.forget
    }
}

pub(crate) async fn of(
    c: &mut Connection,
    tenant: &TenantName,
    repository: &RepositoryName,
    finder: &str,
) -> Result<Vec<RememberedFile>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT blob, kind, found FROM file_memory WHERE tenant = $1 AND repository = $2 AND finder = $3")
            .bind(tenant.as_str())
            .bind(repository.as_str())
            .bind(finder)
            .fetch_all(c)
            .await?;
    let file = |row: &Row| {
        Ok(RememberedFile { blob: blob_id(row, "blob")?, kind: row.try_get("kind")?, found: row.try_get("found")? })
    };
    rows.iter().map(file).collect()
}

pub(crate) async fn remember(
    c: &mut Connection,
    tenant: &TenantName,
    repository: &RepositoryName,
    finder: &str,
    files: &[RememberedFile],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    // Files of one content are one row, and PostgreSQL writes a row once with each statement.
    let once: BTreeMap<(BlobId, &str), &RememberedFile> =
        files.iter().map(|file| ((file.blob, file.kind.as_str()), file)).collect();
    let once: Vec<&RememberedFile> = once.into_values().collect();
    for chunk in once.chunks(ROWS_AT_ONCE) {
        let mut statement = QueryBuilder::<Database>::new(
            "INSERT INTO file_memory (tenant, repository, blob, kind, finder, used_at, found) ",
        );
        statement.push_values(chunk, |mut row, file| {
            row.push_bind(tenant.as_str())
                .push_bind(repository.as_str())
                .push_bind(&file.blob.0[..])
                .push_bind(file.kind.as_str())
                .push_bind(finder)
                .push_bind(now.0)
                .push_bind(file.found.as_slice());
        });
        statement.push(
            " ON CONFLICT (tenant, repository, blob, kind) DO UPDATE SET
               finder = excluded.finder, used_at = excluded.used_at, found = excluded.found",
        );
        execute(c, &mut statement, chunk.len()).await?;
    }
    Ok(())
}

/// What [`note`] has to write. It writes nothing itself.
pub(crate) async fn look(
    c: &mut Connection,
    tenant: &TenantName,
    repository: &RepositoryName,
    finder: &str,
    used: &[(BlobId, String)],
    now: Timestamp,
) -> Result<Note, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT blob, kind, used_at, finder = $3 AS ours FROM file_memory
         WHERE tenant = $1 AND repository = $2 AND (finder <> $3 OR used_at <= $4)",
    )
    .bind(tenant.as_str())
    .bind(repository.as_str())
    .bind(finder)
    .bind(before(now, NOTED_EVERY))
    .fetch_all(c)
    .await?;
    let mut forget = false;
    let mut idle: HashMap<(BlobId, String), Timestamp> = HashMap::new();
    for row in &rows {
        if row.try_get::<bool, _>("ours")? {
            idle.insert((blob_id(row, "blob")?, row.try_get("kind")?), time(row, "used_at")?);
        } else {
            forget = true;
        }
    }
    let used: Vec<(BlobId, String)> =
        used.iter().filter_map(|content| idle.remove_entry(content)).map(|(content, _)| content).collect();
    forget |= idle.values().any(|used_at| used_at.0 <= before(now, MEMORY_OF_FILES));
    Ok(Note { used, forget })
}

pub(crate) async fn note(
    c: &mut Connection,
    tenant: &TenantName,
    repository: &RepositoryName,
    finder: &str,
    note: &Note,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    for chunk in note.used.chunks(ROWS_AT_ONCE) {
        // Joined: for `(blob, kind) IN (…)` SQLite would go through all rows of the repository each time.
        let mut statement = QueryBuilder::<Database>::new("WITH used (content, name) AS (");
        statement.push_values(chunk, |mut row, (blob, kind)| {
            row.push_bind(&blob.0[..]).push_bind(kind.as_str());
        });
        statement.push(") UPDATE file_memory SET used_at = ").push_bind(now.0);
        statement.push(" FROM used WHERE tenant = ").push_bind(tenant.as_str());
        statement.push(" AND repository = ").push_bind(repository.as_str());
        statement.push(" AND blob = content AND kind = name");
        execute(c, &mut statement, chunk.len()).await?;
    }
    if note.forget {
        sqlx::query(
            "DELETE FROM file_memory WHERE tenant = $1 AND repository = $2 AND (finder <> $3 OR used_at <= $4)",
        )
        .bind(tenant.as_str())
        .bind(repository.as_str())
        .bind(finder)
        .bind(before(now, MEMORY_OF_FILES))
        .execute(c)
        .await?;
    }
    Ok(())
}

/// Only a statement of full length comes again, so that it is worth being kept prepared.
async fn execute(c: &mut Connection, statement: &mut QueryBuilder<Database>, rows: usize) -> Result<(), sqlx::Error> {
    statement.build().persistent(rows == ROWS_AT_ONCE).execute(c).await?;
    Ok(())
}

fn before(now: Timestamp, length: Duration) -> i64 {
    now.0.saturating_sub_unsigned(length.milliseconds())
}
