//! Facts, decisions, and what became of the commits that carry them out.

use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use tagboat_model::{BranchKey, CommitId, DecisionId, EventId, TenantName, Timestamp};
use tagboat_ports::{DecisionRecord, PendingChange, Recorded, ToRecord, Work};

use crate::{
    branches::about,
    rows::{branch_key, json, optional, parsed, time, to_json},
};

pub(crate) async fn record(c: &mut SqliteConnection, work: &Work, record: &ToRecord) -> Result<Recorded, sqlx::Error> {
    let held = about!("SELECT fence FROM branch WHERE tenant = $1 AND repository = $2 AND branch = $3", work.key)
        .fetch_optional(&mut *c)
        .await?;
    if held.map(|row| row.try_get::<i64, _>("fence")).transpose()? != Some(work.fence) {
        return Ok(Recorded::StaleFence);
    }
    for image in &record.listed {
        about!(
            "UPDATE interest SET listed = 1 WHERE tenant = $1 AND repository = $2 AND branch = $3 AND image = $4",
            work.key
        )
        .bind(image.to_string())
        .execute(&mut *c)
        .await?;
    }
    let mut gathering = None;
    let mut times = Vec::new();
    for (id, decision, planned) in &record.decisions {
        let known = sqlx::query("SELECT decided_at FROM decision WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&mut *c)
            .await?;
        let at = match known {
            Some(row) => {
                if *planned {
                    // Given up before and decided again: it is planned again.
                    sqlx::query("UPDATE decision SET change = 'planned' WHERE id = $1 AND change = 'given up'")
                        .bind(id.as_str())
                        .execute(&mut *c)
                        .await?;
                }
                time(&row, "decided_at")?
            }
            None => {
                let gathered = match gathering {
                    Some(id) => id,
                    None => *gathering.insert(insert_facts(c, work, record).await?),
                };
                insert(c, work, record, (id, &to_json(decision)?, &decision.image.to_string(), *planned), gathered)
                    .await?;
                record.at
            }
        };
        link_events(c, work, id, &decision.image.to_string()).await?;
        times.push(at);
    }
    Ok(Recorded::At(times))
}

async fn insert_facts(c: &mut SqliteConnection, work: &Work, record: &ToRecord) -> Result<i64, sqlx::Error> {
    let row = about!(
        "INSERT INTO gathering (tenant, repository, branch, gathered_at, facts) VALUES ($1, $2, $3, $4, $5) RETURNING id",
        work.key
    )
    .bind(record.at.0)
    .bind(&record.facts)
    .fetch_one(c)
    .await?;
    row.try_get("id")
}

async fn insert(
    c: &mut SqliteConnection,
    work: &Work,
    record: &ToRecord,
    (id, decision, image, planned): (&DecisionId, &str, &str, bool),
    gathering: i64,
) -> Result<(), sqlx::Error> {
    about!(
        "INSERT INTO decision (tenant, repository, branch, id, head, decided_at, image, decision, gathering, change)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        work.key
    )
    .bind(id.as_str())
    .bind(record.head.as_str())
    .bind(record.at.0)
    .bind(image)
    .bind(decision)
    .bind(gathering)
    .bind(if planned { "planned" } else { "none" })
    .execute(c)
    .await
    .map(|_| ())
}

/// The decision answers every event about its image that this work serves.
async fn link_events(c: &mut SqliteConnection, work: &Work, id: &DecisionId, image: &str) -> Result<(), sqlx::Error> {
    about!(
        "INSERT INTO decision_event (decision, event)
           SELECT $4, e.id FROM event e JOIN event_branch eb ON eb.event = e.id
             JOIN branch b ON b.tenant = eb.tenant AND b.repository = eb.repository AND b.branch = eb.branch
           WHERE eb.tenant = $1 AND eb.repository = $2 AND eb.branch = $3
             AND eb.sequence > b.served AND eb.sequence <= $5 AND e.image = $6
         ON CONFLICT DO NOTHING",
        work.key
    )
    .bind(id.as_str())
    .bind(work.sequence)
    .bind(image)
    .execute(c)
    .await
    .map(|_| ())
}

pub(crate) async fn pending_changes(
    c: &mut SqliteConnection,
    key: &BranchKey,
) -> Result<Vec<PendingChange>, sqlx::Error> {
    let rows = about!(
        "SELECT id, head FROM decision WHERE tenant = $1 AND repository = $2 AND branch = $3 AND change = 'planned'
         ORDER BY decided_at, id",
        key
    )
    .fetch_all(c)
    .await?;
    rows.iter().map(|row| Ok(PendingChange { decision: parsed(row, "id")?, base: parsed(row, "head")? })).collect()
}

pub(crate) async fn settle(
    c: &mut SqliteConnection,
    key: &BranchKey,
    landed: &[(DecisionId, CommitId)],
    given_up: &[DecisionId],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    for (decision, commit) in landed {
        about!(
            "UPDATE decision SET change = 'landed', commit_id = $5, settled_at = $6
             WHERE tenant = $1 AND repository = $2 AND branch = $3 AND id = $4",
            key
        )
        .bind(decision.as_str())
        .bind(commit.as_str())
        .bind(now.0)
        .execute(&mut *c)
        .await?;
    }
    for decision in given_up {
        about!(
            "UPDATE decision SET change = 'given up', settled_at = $5
             WHERE tenant = $1 AND repository = $2 AND branch = $3 AND id = $4 AND change = 'planned'",
            key
        )
        .bind(decision.as_str())
        .bind(now.0)
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}

pub(crate) async fn own_commits(
    c: &mut SqliteConnection,
    tenant: &TenantName,
    commits: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    let mut own = Vec::new();
    for commit in commits {
        let found = sqlx::query("SELECT 1 FROM decision WHERE tenant = $1 AND commit_id = $2 LIMIT 1")
            .bind(tenant.as_str())
            .bind(commit)
            .fetch_optional(&mut *c)
            .await?;
        if found.is_some() {
            own.push(commit.clone());
        }
    }
    Ok(own)
}

pub(crate) async fn newest(
    c: &mut SqliteConnection,
    event: Option<&EventId>,
    limit: u32,
) -> Result<Vec<DecisionRecord>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT * FROM decision WHERE $1 IS NULL OR id IN (SELECT decision FROM decision_event WHERE event = $1)
         ORDER BY decided_at DESC, rowid DESC LIMIT $2",
    )
    .bind(event.map(EventId::as_str))
    .bind(limit)
    .fetch_all(c)
    .await?;
    let record = |row: &SqliteRow| {
        Ok(DecisionRecord {
            id: parsed(row, "id")?,
            key: branch_key(row)?,
            head: parsed(row, "head")?,
            decided_at: time(row, "decided_at")?,
            decision: json(row, "decision")?,
            commit: optional(row, "commit_id")?,
        })
    };
    rows.iter().map(record).collect()
}
