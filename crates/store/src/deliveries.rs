//! Deliveries and their events.

use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use tagboat_model::{Event, EventId, Trust};
use tagboat_ports::{DeliveryRecord, EventRecord, NewDelivery, NewEvent, Stored, Work};

use crate::{
    branches, observations,
    rows::{branch_key, json, optional, parsed, time, to_json},
};

pub(crate) async fn accept(c: &mut SqliteConnection, delivery: &NewDelivery) -> Result<Stored, sqlx::Error> {
    let inserted = sqlx::query(
        "INSERT INTO delivery (id, tenant, receiver, delivery_key, verdict, reasons, body, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, receiver, delivery_key) DO NOTHING",
    )
    .bind(delivery.id.as_str())
    .bind(delivery.tenant.as_str())
    .bind(delivery.receiver.as_str())
    .bind(&delivery.key)
    .bind(&delivery.verdict)
    .bind(to_json(&delivery.reasons)?)
    .bind(&delivery.body)
    .bind(delivery.received_at.0)
    .execute(&mut *c)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(Stored::Duplicate);
    }
    let mut stored = Vec::new();
    for event in &delivery.events {
        stored.push((event.id.clone(), accept_event(c, delivery, event).await?));
    }
    Ok(Stored::New(stored))
}

/// Store an event and mark dirty the branches that are interested. Returns how many.
async fn accept_event(
    c: &mut SqliteConnection,
    delivery: &NewDelivery,
    event: &NewEvent,
) -> Result<usize, sqlx::Error> {
    let Event::ImagePushed(pushed) = &event.event;
    sqlx::query(
        "INSERT INTO event (id, delivery, tenant, image, tag, claimed_digest, trust, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(event.id.as_str())
    .bind(delivery.id.as_str())
    .bind(delivery.tenant.as_str())
    .bind(pushed.image.to_string())
    .bind(pushed.tag.as_str())
    .bind(pushed.claimed_digest.as_ref().map(|digest| digest.as_str()))
    .bind(to_json(&event.trust)?)
    .bind(delivery.received_at.0)
    .execute(&mut *c)
    .await?;
    if event.trust >= Trust::Signed {
        let digest = pushed.claimed_digest.as_ref();
        let (tenant, at) = (&delivery.tenant, delivery.received_at);
        observations::announce(c, tenant, &pushed.image, &pushed.tag, digest, at).await?;
    }
    let interested = sqlx::query("SELECT tenant, repository, branch FROM interest WHERE tenant = $1 AND image = $2")
        .bind(delivery.tenant.as_str())
        .bind(pushed.image.to_string())
        .fetch_all(&mut *c)
        .await?;
    for row in &interested {
        let key = branch_key(row)?;
        let sequence = branches::mark_dirty(c, &key, delivery.received_at).await?;
        sqlx::query(
            "INSERT INTO event_branch (event, tenant, repository, branch, sequence) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(event.id.as_str())
        .bind(key.tenant.as_str())
        .bind(key.repository.as_str())
        .bind(key.branch.as_str())
        .bind(sequence)
        .execute(&mut *c)
        .await?;
    }
    Ok(interested.len())
}

pub(crate) async fn pending(c: &mut SqliteConnection, work: &Work) -> Result<Vec<EventRecord>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT e.*, d.receiver FROM event e JOIN delivery d ON d.id = e.delivery
           JOIN event_branch eb ON eb.event = e.id
           JOIN branch b ON b.tenant = eb.tenant AND b.repository = eb.repository AND b.branch = eb.branch
         WHERE eb.tenant = $1 AND eb.repository = $2 AND eb.branch = $3 AND eb.sequence > b.served AND eb.sequence <= $4
         ORDER BY eb.sequence",
    )
    .bind(work.key.tenant.as_str())
    .bind(work.key.repository.as_str())
    .bind(work.key.branch.as_str())
    .bind(work.sequence)
    .fetch_all(&mut *c)
    .await?;
    rows.iter().map(event_record).collect()
}

pub(crate) async fn newest(c: &mut SqliteConnection, limit: u32) -> Result<Vec<DeliveryRecord>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT id, receiver, verdict, reasons, received_at FROM delivery ORDER BY received_at DESC, id DESC LIMIT $1",
    )
    .bind(limit)
    .fetch_all(c)
    .await?;
    let record = |row: &SqliteRow| {
        Ok(DeliveryRecord {
            id: parsed(row, "id")?,
            receiver: parsed(row, "receiver")?,
            verdict: row.try_get("verdict")?,
            reasons: json(row, "reasons")?,
            received_at: time(row, "received_at")?,
        })
    };
    rows.iter().map(record).collect()
}

pub(crate) async fn events(c: &mut SqliteConnection, limit: u32) -> Result<Vec<EventRecord>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT e.*, d.receiver FROM event e JOIN delivery d ON d.id = e.delivery
         ORDER BY e.received_at DESC, e.id DESC LIMIT $1",
    )
    .bind(limit)
    .fetch_all(&mut *c)
    .await?;
    let mut records = Vec::new();
    for row in &rows {
        records.push(with_branches(c, event_record(row)?).await?);
    }
    Ok(records)
}

pub(crate) async fn event(c: &mut SqliteConnection, id: &EventId) -> Result<Option<EventRecord>, sqlx::Error> {
    let row = sqlx::query("SELECT e.*, d.receiver FROM event e JOIN delivery d ON d.id = e.delivery WHERE e.id = $1")
        .bind(id.as_str())
        .fetch_optional(&mut *c)
        .await?;
    match row {
        Some(row) => Ok(Some(with_branches(c, event_record(&row)?).await?)),
        None => Ok(None),
    }
}

async fn with_branches(c: &mut SqliteConnection, mut record: EventRecord) -> Result<EventRecord, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT eb.tenant, eb.repository, eb.branch, eb.sequence <= b.served AS is_served FROM event_branch eb
           JOIN branch b ON b.tenant = eb.tenant AND b.repository = eb.repository AND b.branch = eb.branch
         WHERE eb.event = $1 ORDER BY eb.repository, eb.branch",
    )
    .bind(record.id.as_str())
    .fetch_all(c)
    .await?;
    for row in &rows {
        record.branches.push((branch_key(row)?, row.try_get("is_served")?));
    }
    Ok(record)
}

fn event_record(row: &SqliteRow) -> Result<EventRecord, sqlx::Error> {
    Ok(EventRecord {
        id: parsed(row, "id")?,
        delivery: parsed(row, "delivery")?,
        receiver: parsed(row, "receiver")?,
        image: parsed(row, "image")?,
        tag: parsed(row, "tag")?,
        claimed_digest: optional(row, "claimed_digest")?,
        trust: json::<Trust>(row, "trust")?,
        received_at: time(row, "received_at")?,
        branches: Vec::new(),
    })
}
