//! Facts, decisions, and what became of the commits that carry them out.

use sqlx::Row as _;
use tagboat_model::{BranchKey, DecisionId, EventId, TenantName, Timestamp};
use tagboat_ports::{DecisionRecord, DecisionsAbout, PendingChange, Recorded, Settled, ToRecord, Work};

use super::{
    branches::{self, about},
    dialect::{Connection, Database, Row},
    interests,
    rows::{branch_key, json, optional, parsed, time, to_json},
};

pub(crate) async fn record(c: &mut Connection, work: &Work, record: &ToRecord) -> Result<Recorded, sqlx::Error> {
    if !branches::holds(c, work).await? {
        return Ok(Recorded::StaleFence);
    }
    interests::note_looks(c, work, record).await?;
    let mut gathering = None;
    let mut times = Vec::new();
    for (id, decision, planned) in &record.decisions {
        let known = sqlx::query("SELECT decided_at FROM decision WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&mut *c)
            .await?;
        let at = match known {
            Some(row) => {
                // What became of it since stands in its reasons: a pull request has a number once it is open.
                sqlx::query("UPDATE decision SET seen_at = $2, decision = $3 WHERE id = $1")
                    .bind(id.as_str())
                    .bind(record.at.0)
                    .bind(to_json(decision)?)
                    .execute(&mut *c)
                    .await?;
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
                insert(
                    c,
                    work,
                    record,
                    (id, &to_json(decision)?, &decision.image.to_string(), decision.entry.as_str(), *planned),
                    gathered,
                )
                .await?;
                record.at
            }
        };
        times.push(at);
    }
    // In steps, because of all that wait there may be more than a statement can name.
    for some in record.decisions.chunks(1000) {
        let decided = some.iter().map(|(id, decision, _)| (id.as_str(), decision.image.to_string()));
        link_events(c, work, decided).await?;
        let planned = some.iter().filter(|(_, _, planned)| *planned);
        let planned = planned.filter_map(|(id, decision, _)| {
            Some((id.as_str(), decision.image.to_string(), decision.version.as_ref()?.tag.to_string()))
        });
        link_waiting_events(c, work, planned.collect()).await?;
    }
    Ok(Recorded::At(times))
}

async fn insert_facts(c: &mut Connection, work: &Work, record: &ToRecord) -> Result<i64, sqlx::Error> {
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
    c: &mut Connection,
    work: &Work,
    record: &ToRecord,
    (id, decision, image, entry, planned): (&DecisionId, &str, &str, &str, bool),
    gathering: i64,
) -> Result<(), sqlx::Error> {
    about!(
        "INSERT INTO decision (tenant, repository, branch, id, head, decided_at, seen_at, image, decision, gathering, change, entry)
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10, $11)",
        work.key
    )
    .bind(id.as_str())
    .bind(record.head.as_str())
    .bind(record.at.0)
    .bind(image)
    .bind(decision)
    .bind(gathering)
    .bind(if planned { "planned" } else { "none" })
    .bind(entry)
    .execute(c)
    .await
    .map(|_| ())
}

/// Each decision answers every event about its image that this work serves. An event that names no image has none.
async fn link_events(
    c: &mut Connection,
    work: &Work,
    decided: impl Iterator<Item = (&str, String)>,
) -> Result<(), sqlx::Error> {
    let mut insert = sqlx::QueryBuilder::<Database>::new("WITH decided (decision, image) AS (");
    insert.push_values(decided, |mut row, (id, image)| {
        row.push_bind(id).push_bind(image);
    });
    insert.push(
        ") INSERT INTO decision_event (decision, event)
           SELECT d.decision, e.id FROM branch b CROSS JOIN event_branch eb CROSS JOIN event e CROSS JOIN decided d
           WHERE b.tenant = eb.tenant AND b.repository = eb.repository AND b.branch = eb.branch
             AND eb.event = e.id AND d.image = e.image AND eb.sequence > b.served AND eb.since <= ",
    );
    insert.push_bind(work.sequence).push(" AND b.tenant = ").push_bind(work.key.tenant.as_str());
    insert.push(" AND b.repository = ").push_bind(work.key.repository.as_str());
    insert.push(" AND b.branch = ").push_bind(work.key.branch.as_str()).push(" ON CONFLICT DO NOTHING");
    insert.build().persistent(false).execute(c).await.map(|_| ())
}

/// And every earlier event about its tag: what was said then was that it has to wait.
async fn link_waiting_events(
    c: &mut Connection,
    work: &Work,
    planned: Vec<(&str, String, String)>,
) -> Result<(), sqlx::Error> {
    if planned.is_empty() {
        return Ok(());
    }
    let mut insert = sqlx::QueryBuilder::<Database>::new("WITH planned (decision, image, tag) AS (");
    insert.push_values(planned, |mut row, (id, image, tag)| {
        row.push_bind(id).push_bind(image).push_bind(tag);
    });
    insert.push(
        ") INSERT INTO decision_event (decision, event)
           SELECT p.decision, e.id FROM planned p CROSS JOIN event e CROSS JOIN event_branch eb
           WHERE eb.event = e.id AND p.image = e.image AND p.tag = e.tag AND e.tenant = eb.tenant AND eb.since <= ",
    );
    insert.push_bind(work.sequence).push(" AND e.tenant = ").push_bind(work.key.tenant.as_str());
    insert.push(" AND eb.repository = ").push_bind(work.key.repository.as_str());
    insert.push(" AND eb.branch = ").push_bind(work.key.branch.as_str()).push(" ON CONFLICT DO NOTHING");
    insert.build().persistent(false).execute(c).await.map(|_| ())
}

pub(crate) async fn pending_changes(c: &mut Connection, key: &BranchKey) -> Result<Vec<PendingChange>, sqlx::Error> {
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
    c: &mut Connection,
    key: &BranchKey,
    Settled { landed, given_up, .. }: &Settled,
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
    c: &mut Connection,
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
    c: &mut Connection,
    about: &DecisionsAbout,
    limit: u32,
) -> Result<Vec<DecisionRecord>, sqlx::Error> {
    let query = match about {
        DecisionsAbout::Anything => {
            sqlx::query("SELECT * FROM decision ORDER BY seen_at DESC, rowid DESC LIMIT $1").bind(i64::from(limit))
        }
        DecisionsAbout::Repository { tenant, repository } => sqlx::query(
            "SELECT * FROM decision WHERE tenant = $2 AND repository = $3 ORDER BY seen_at DESC, rowid DESC LIMIT $1",
        )
        .bind(i64::from(limit))
        .bind(tenant.as_str())
        .bind(repository.as_str()),
        DecisionsAbout::One(id) => {
            sqlx::query("SELECT * FROM decision WHERE id = $2 LIMIT $1").bind(i64::from(limit)).bind(id.as_str())
        }
        DecisionsAbout::Event(id) => sqlx::query(
            "SELECT * FROM decision WHERE id IN (SELECT decision FROM decision_event WHERE event = $2)
             ORDER BY seen_at DESC, rowid DESC LIMIT $1",
        )
        .bind(i64::from(limit))
        .bind(id.as_str()),
        DecisionsAbout::Image { image, entry } => sqlx::query(
            "SELECT * FROM decision WHERE image = $2 OR entry = $3 ORDER BY seen_at DESC, rowid DESC LIMIT $1",
        )
        .bind(i64::from(limit))
        .bind(image.as_str())
        .bind(entry.as_str()),
        DecisionsAbout::Updates { image, entry } => sqlx::query(
            "SELECT * FROM decision WHERE (image = $2 OR entry = $3) AND commit_id IS NOT NULL
             ORDER BY seen_at DESC, rowid DESC LIMIT $1",
        )
        .bind(i64::from(limit))
        .bind(image.as_str())
        .bind(entry.as_str()),
    };
    let rows = query.fetch_all(c).await?;
    let record = |row: &Row| {
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

pub(crate) async fn answered(c: &mut Connection, id: &DecisionId) -> Result<Vec<EventId>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT e.id FROM decision_event de JOIN event e ON e.id = de.event WHERE de.decision = $1
         ORDER BY e.received_at, e.rowid",
    )
    .bind(id.as_str())
    .fetch_all(c)
    .await?;
    rows.iter().map(|row| parsed(row, "id")).collect()
}
