//! Deliveries: stored once each, shown, and emptied in time.

use std::{borrow::Cow, collections::HashSet};

use sqlx::Row as _;
use tagboat_model::{DeliveryId, EventId, ReceiverName, Timestamp};
use tagboat_ports::{DeliveryRecord, NewDelivery, Stored, StoredDelivery};

use super::{
    dialect::{Connection, Database, Row},
    events,
    observations::hash,
    rows::{flag, json, parsed, time, to_json},
};

/// Deliveries that one operation empties; others wait for the writer meanwhile.
const MOST_PRUNED: i64 = 1000;
/// And bytes of their bodies, beyond which it stops.
const MOST_BYTES_PRUNED: i64 = 16 * 1024 * 1024;

/// A longer key is kept as its hash.
const LONGEST_KEY: usize = 500;

pub(crate) async fn accept(c: &mut Connection, delivery: &NewDelivery) -> Result<Stored, sqlx::Error> {
    let inserted = sqlx::query(
        "INSERT INTO delivery (id, tenant, receiver, delivery_key, verdict, reasons, body, received_at, kind, trust, headers, body_hash, once)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING",
    )
    .bind(delivery.id.as_str())
    .bind(delivery.tenant.as_str())
    .bind(delivery.receiver.as_str())
    .bind(bounded(&delivery.key))
    .bind(&delivery.verdict)
    .bind(to_json(&delivery.reasons)?)
    .bind(&delivery.body)
    .bind(delivery.received_at.0)
    .bind(&delivery.kind)
    .bind(to_json(&delivery.trust)?)
    .bind(to_json(&delivery.headers)?)
    .bind(&delivery.body_hash)
    .bind(delivery.once.as_deref().map(bounded))
    .execute(&mut *c)
    .await?;
    if inserted.rows_affected() == 0 {
        return repeated(c, delivery).await;
    }
    let mut stored = Vec::new();
    for event in &delivery.events {
        stored.push((event.id.clone(), events::accept(c, delivery, event).await?));
    }
    Ok(Stored::New(stored))
}

/// A key of senders as a database can keep it: PostgreSQL keeps no zero in text, and nothing long in an index.
fn bounded(key: &str) -> Cow<'_, str> {
    match key.len() > LONGEST_KEY || key.contains('\0') {
        true => Cow::Owned(format!("sha256:{}", hash(key))),
        false => Cow::Borrowed(key),
    }
}

/// Several at once: each statement is for all of them, because a statement costs more than a row. Those that were there are
/// looked at one by one.
pub(crate) async fn accept_all(c: &mut Connection, all: &[NewDelivery]) -> Result<Vec<Stored>, sqlx::Error> {
    let texts = |delivery: &NewDelivery| {
        Ok((to_json(&delivery.reasons)?, to_json(&delivery.trust)?, to_json(&delivery.headers)?))
    };
    let texts = all.iter().map(texts).collect::<Result<Vec<_>, sqlx::Error>>()?;
    let mut insert = sqlx::QueryBuilder::<Database>::new(
        "INSERT INTO delivery (id, tenant, receiver, delivery_key, verdict, reasons, body, received_at, kind, trust, headers, body_hash, once) ",
    );
    insert.push_values(all.iter().zip(&texts), |mut row, (delivery, (reasons, trust, headers))| {
        row.push_bind(delivery.id.as_str()).push_bind(delivery.tenant.as_str()).push_bind(delivery.receiver.as_str());
        row.push_bind(bounded(&delivery.key)).push_bind(&delivery.verdict).push_bind(reasons).push_bind(&delivery.body);
        row.push_bind(delivery.received_at.0).push_bind(&delivery.kind).push_bind(trust).push_bind(headers);
        row.push_bind(&delivery.body_hash).push_bind(delivery.once.as_deref().map(bounded));
    });
    let inserted =
        insert.push(" ON CONFLICT DO NOTHING RETURNING id").build().persistent(false).fetch_all(&mut *c).await?;
    let inserted = inserted.iter().map(|row| row.try_get("id")).collect::<Result<HashSet<String>, sqlx::Error>>()?;
    // Which was stored is told by its id, which then has to be its own.
    if all.iter().map(|delivery| delivery.id.as_str()).collect::<HashSet<&str>>().len() != all.len() {
        return Err(sqlx::Error::Protocol("two deliveries have one id".to_owned()));
    }
    let is_new = |delivery: &NewDelivery| inserted.contains(delivery.id.as_str());
    let new: Vec<&NewDelivery> = all.iter().filter(|delivery| is_new(delivery)).collect();
    let mut counts = events::accept_all(c, &new).await?.into_iter();
    let mut stored = Vec::with_capacity(all.len());
    for delivery in all {
        stored.push(match is_new(delivery) {
            true => Stored::New(delivery.events.iter().map(|new| new.id.clone()).zip(counts.by_ref()).collect()),
            false => repeated(c, delivery).await?,
        });
    }
    Ok(stored)
}

/// What was stored before, under the same key or as the same thing under another. Of a body without a hash that was taken
/// away nothing can be said against it.
async fn repeated(c: &mut Connection, delivery: &NewDelivery) -> Result<Stored, sqlx::Error> {
    let earlier = sqlx::query(
        "SELECT id, CASE WHEN body_hash <> '' THEN body_hash = $4 WHEN body_pruned = 1 THEN TRUE ELSE body = $5 END AS same_body
         FROM delivery WHERE tenant = $1 AND receiver = $2 AND (delivery_key = $3 OR once = $6)
         ORDER BY delivery_key = $3 DESC LIMIT 1",
    )
    .bind(delivery.tenant.as_str())
    .bind(delivery.receiver.as_str())
    .bind(bounded(&delivery.key))
    .bind(&delivery.body_hash)
    .bind(&delivery.body)
    .bind(delivery.once.as_deref().map(bounded))
    .fetch_one(&mut *c)
    .await?;
    let (id, same_body): (String, bool) = (earlier.try_get("id")?, earlier.try_get("same_body")?);
    let rows = sqlx::query("SELECT id FROM event WHERE delivery = $1 ORDER BY rowid").bind(id);
    let rows = rows.fetch_all(&mut *c).await?;
    let events = rows.iter().map(|row| parsed(row, "id")).collect::<Result<Vec<EventId>, sqlx::Error>>()?;
    // Equal bodies are read to equal events, unless the receiver was configured anew in between.
    if delivery.acts_again && same_body && events.len() == delivery.events.len() {
        for (id, event) in events.iter().zip(&delivery.events) {
            events::cause_again(c, delivery, event, id).await?;
        }
    }
    Ok(Stored::Duplicate { events, same_body })
}

/// What is shown of every delivery, with further columns and which ones. One of before its trust was written down has that
/// of its events; where there are none, no sender proved less than this then.
macro_rules! select {
    ($columns:literal, $which:literal) => {
        sqlx::query(concat!(
            "SELECT d.id, d.tenant, d.receiver, d.kind, d.verdict, d.reasons, d.received_at,
               COALESCE(d.trust, (SELECT e.trust FROM event e WHERE e.delivery = d.id LIMIT 1), '\"token\"') AS trust",
            $columns,
            " FROM delivery d ",
            $which
        ))
    };
}

pub(crate) async fn newest(
    c: &mut Connection,
    receiver: Option<&ReceiverName>,
    limit: u32,
) -> Result<Vec<DeliveryRecord>, sqlx::Error> {
    let query = match receiver {
        Some(receiver) => select!("", "WHERE d.receiver = $2 ORDER BY d.received_at DESC, d.id DESC LIMIT $1")
            .bind(i64::from(limit))
            .bind(receiver.as_str()),
        None => select!("", "ORDER BY d.received_at DESC, d.id DESC LIMIT $1").bind(i64::from(limit)),
    };
    query.fetch_all(c).await?.iter().map(record).collect()
}

pub(crate) async fn one(c: &mut Connection, id: &DeliveryId) -> Result<Option<StoredDelivery>, sqlx::Error> {
    let row = select!(", d.delivery_key, d.headers, d.body, d.body_pruned", "WHERE d.id = $1")
        .bind(id.as_str())
        .fetch_optional(&mut *c)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let is_pruned = flag(&row, "body_pruned")?;
    let body: Vec<u8> = row.try_get("body")?;
    Ok(Some(StoredDelivery {
        record: record(&row)?,
        key: row.try_get("delivery_key")?,
        headers: json(&row, "headers")?,
        body: (!is_pruned).then_some(body),
        events: events::of_delivery(c, id).await?,
    }))
}

fn record(row: &Row) -> Result<DeliveryRecord, sqlx::Error> {
    Ok(DeliveryRecord {
        id: parsed(row, "id")?,
        tenant: parsed(row, "tenant")?,
        receiver: parsed(row, "receiver")?,
        kind: row.try_get("kind")?,
        trust: json(row, "trust")?,
        verdict: row.try_get("verdict")?,
        reasons: json(row, "reasons")?,
        received_at: time(row, "received_at")?,
    })
}

/// Of the oldest deliveries, those that are to lose headers and body next: the last of them, by its time and id. Reads no
/// bodies: their lengths stand in the index.
pub(crate) async fn last_to_prune(
    c: &mut Connection,
    before: Timestamp,
    most_bytes: u64,
) -> Result<Option<(Timestamp, String)>, sqlx::Error> {
    let most_bytes = i64::try_from(most_bytes).unwrap_or(i64::MAX);
    let all = sqlx::query("SELECT COALESCE(SUM(length(body)), 0) AS bytes FROM delivery WHERE body_pruned = 0")
        .fetch_one(&mut *c)
        .await?;
    let all: i64 = all.try_get("bytes")?;
    let oldest = sqlx::query(
        "SELECT id, received_at, CAST(length(body) AS BIGINT) AS bytes FROM delivery WHERE body_pruned = 0
         ORDER BY received_at, id LIMIT $1",
    )
    .bind(MOST_PRUNED)
    .fetch_all(c)
    .await?;
    let (mut last, mut taken) = (None, 0);
    for row in &oldest {
        let received_at = time(row, "received_at")?;
        let stays = received_at >= before && all - taken <= most_bytes;
        if stays || taken >= MOST_BYTES_PRUNED {
            break;
        }
        taken += row.try_get::<i64, _>("bytes")?;
        last = Some((received_at, row.try_get("id")?));
    }
    Ok(last)
}

/// Take away headers and bodies up to this delivery. Returns of how many.
pub(crate) async fn prune(c: &mut Connection, (received_at, id): &(Timestamp, String)) -> Result<u64, sqlx::Error> {
    let emptied = sqlx::query(
        "UPDATE delivery SET body = $3, headers = '[]', body_pruned = 1
         WHERE body_pruned = 0 AND (received_at, id) <= ($1, $2)",
    )
    .bind(received_at.0)
    .bind(id)
    .bind(&[0_u8; 0][..])
    .execute(c)
    .await?;
    Ok(emptied.rows_affected())
}
