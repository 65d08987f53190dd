//! Events: what deliveries brought, which branches each concerns, what it announces.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use tagboat_model::{BranchKey, DeliveryId, Event, EventId, ImagePushed, Trust};
use tagboat_ports::{EventRecord, NewDelivery, NewEvent, PendingEvent, Work};

use super::{
    branches::{self, about},
    dialect::{Connection, Database, Row},
    interests, observations,
    rows::{branch_key, json, optional, parsed, time, to_json},
};

/// Store an event, mark dirty the branches that it concerns, and have images looked at. Returns how many branches.
pub(crate) async fn accept(c: &mut Connection, delivery: &NewDelivery, new: &NewEvent) -> Result<usize, sqlx::Error> {
    insert(c, delivery, new).await?;
    cause(c, delivery, new, &new.id).await
}

/// The events of new deliveries, in their order: as [`accept`] does with each. Returns for each how many branches.
pub(crate) async fn accept_all(c: &mut Connection, all: &[&NewDelivery]) -> Result<Vec<usize>, sqlx::Error> {
    let all: Vec<(&NewDelivery, &NewEvent)> =
        all.iter().flat_map(|delivery| delivery.events.iter().map(move |new| (*delivery, new))).collect();
    if all.is_empty() {
        return Ok(Vec::new());
    }
    insert_all(c, &all).await?;
    let announced = all.iter().filter(|(_, new)| new.trust >= Trust::Signed);
    let announced = announced.filter_map(|(delivery, new)| Some((*delivery, pushed(&new.event)?)));
    observations::announce_all(c, &announced.collect::<Vec<_>>()).await?;
    // Nearly all are pushes that say all there is to them.
    let is_simple = |new: &NewEvent| new.looks.is_empty() && new.branches.is_empty() && !new.urgent;
    let about = |(delivery, new): &(&NewDelivery, &NewEvent)| {
        let image = pushed(&new.event).filter(|_| is_simple(new) && new.trust > Trust::Url)?;
        Some((delivery.tenant.to_string(), image.image.to_string()))
    };
    let interested = interests::branches_of_all(c, &all.iter().filter_map(about).collect()).await?;
    let mut counts = Vec::with_capacity(all.len());
    let mut of_branches: BTreeMap<&BranchKey, Vec<(&NewDelivery, &EventId)>> = BTreeMap::new();
    for (index, (delivery, new)) in all.iter().enumerate() {
        counts.push(0);
        for key in about(&all[index]).and_then(|about| interested.get(&about)).into_iter().flatten() {
            of_branches.entry(key).or_default().push((delivery, &new.id));
            counts[index] += 1;
        }
    }
    let mut concerned = Vec::new();
    for (key, events) in &of_branches {
        let times = events.iter().map(|(delivery, _)| delivery.received_at);
        let (Some(first), Some(last)) = (times.clone().min(), times.max()) else { continue };
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let newest = branches::mark_dirty_often(c, key, count, first, last).await?;
        concerned.extend(events.iter().zip(newest - count + 1..).map(|((_, id), sequence)| (*key, *id, sequence)));
    }
    // More columns than a statement may have values would be possible with many branches.
    for concerned in concerned.chunks(1000) {
        let mut insert = sqlx::QueryBuilder::<Database>::new(
            "INSERT INTO event_branch (tenant, repository, branch, event, sequence, since) ",
        );
        insert.push_values(concerned, |mut row, (key, id, sequence)| {
            row.push_bind(key.tenant.as_str()).push_bind(key.repository.as_str()).push_bind(key.branch.as_str());
            row.push_bind(id.as_str()).push_bind(sequence).push_bind(sequence);
        });
        insert.build().persistent(false).execute(&mut *c).await?;
    }
    for (index, (delivery, new)) in all.iter().enumerate().filter(|(_, (_, new))| !is_simple(new)) {
        counts[index] = cause(c, delivery, new, &new.id).await?;
    }
    Ok(counts)
}

async fn insert_all(c: &mut Connection, all: &[(&NewDelivery, &NewEvent)]) -> Result<(), sqlx::Error> {
    let texts = |(_, new): &(&NewDelivery, &NewEvent)| Ok((to_json(&new.trust)?, to_json(&new.event)?));
    let texts = all.iter().map(texts).collect::<Result<Vec<_>, sqlx::Error>>()?;
    let mut insert = sqlx::QueryBuilder::<Database>::new(
        "INSERT INTO event (id, delivery, tenant, image, tag, claimed_digest, trust, received_at, detail) ",
    );
    insert.push_values(all.iter().zip(texts), |mut row, ((delivery, new), (trust, detail))| {
        let pushed = pushed(&new.event);
        row.push_bind(new.id.as_str()).push_bind(delivery.id.as_str()).push_bind(delivery.tenant.as_str());
        row.push_bind(pushed.map_or_else(String::new, |pushed| pushed.image.to_string()));
        row.push_bind(pushed.map_or("", |pushed| pushed.tag.as_str()));
        row.push_bind(pushed.and_then(|pushed| pushed.claimed_digest.as_ref()).map(|digest| digest.as_str()));
        row.push_bind(trust).push_bind(delivery.received_at.0).push_bind(detail);
    });
    insert.build().persistent(false).execute(c).await.map(|_| ())
}

/// What was answered is asked once more: the answers of before are void, unless some branch still owes its own.
pub(crate) async fn cause_again(
    c: &mut Connection,
    delivery: &NewDelivery,
    new: &NewEvent,
    id: &EventId,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM decision_event WHERE event = $1 AND NOT EXISTS (
           SELECT 1 FROM event_branch eb
             JOIN branch b ON b.tenant = eb.tenant AND b.repository = eb.repository AND b.branch = eb.branch
           WHERE eb.event = $1 AND eb.sequence > b.served)",
    )
    .bind(id.as_str())
    .execute(&mut *c)
    .await?;
    cause(c, delivery, new, id).await.map(|_| ())
}

/// Everything that an event causes, by the id under which it is stored. It may do so again: what was served is pending
/// once more then.
async fn cause(c: &mut Connection, delivery: &NewDelivery, new: &NewEvent, id: &EventId) -> Result<usize, sqlx::Error> {
    if let Some(pushed) = pushed(&new.event).filter(|_| new.trust >= Trust::Signed) {
        observations::announce(c, &delivery.tenant, pushed, delivery.received_at).await?;
    }
    let concerned = concerned(c, delivery, new).await?;
    for key in &concerned {
        let sequence = branches::mark_dirty(c, key, delivery.received_at).await?;
        if new.urgent {
            branches::hurry(c, key).await?;
        }
        about!(
            "INSERT INTO event_branch (tenant, repository, branch, event, sequence, since) VALUES ($1, $2, $3, $4, $5, $5)
             ON CONFLICT (event, tenant, repository, branch) DO UPDATE SET
               since = CASE WHEN event_branch.sequence > (SELECT b.served FROM branch b
                   WHERE b.tenant = $1 AND b.repository = $2 AND b.branch = $3)
                 THEN event_branch.since ELSE excluded.since END,
               sequence = excluded.sequence",
            key
        )
        .bind(id.as_str())
        .bind(sequence)
        .execute(&mut *c)
        .await?;
    }
    for image in &new.looks {
        interests::ask_for_look(c, &delivery.tenant, image, id).await?;
    }
    Ok(concerned.len())
}

async fn insert(c: &mut Connection, delivery: &NewDelivery, new: &NewEvent) -> Result<(), sqlx::Error> {
    let pushed = pushed(&new.event);
    sqlx::query(
        "INSERT INTO event (id, delivery, tenant, image, tag, claimed_digest, trust, received_at, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(new.id.as_str())
    .bind(delivery.id.as_str())
    .bind(delivery.tenant.as_str())
    .bind(pushed.map_or_else(String::new, |pushed| pushed.image.to_string()))
    .bind(pushed.map_or("", |pushed| pushed.tag.as_str()))
    .bind(pushed.and_then(|pushed| pushed.claimed_digest.as_ref()).map(|digest| digest.as_str()))
    .bind(to_json(&new.trust)?)
    .bind(delivery.received_at.0)
    .bind(to_json(&new.event)?)
    .execute(c)
    .await
    .map(|_| ())
}

/// The branches that are interested in what was pushed (if its sender is believed so far) or in what is to be looked at,
/// and those of the tenant that are named and known; each once.
async fn concerned(
    c: &mut Connection,
    delivery: &NewDelivery,
    new: &NewEvent,
) -> Result<BTreeSet<BranchKey>, sqlx::Error> {
    let candidate = pushed(&new.event).filter(|_| new.trust > Trust::Url).map(|pushed| &pushed.image);
    let mut keys = BTreeSet::new();
    for image in candidate.into_iter().chain(&new.looks) {
        keys.extend(interests::branches_of(c, &delivery.tenant, image).await?);
    }
    for key in new.branches.iter().filter(|key| key.tenant == delivery.tenant) {
        if branches::is_known(c, key).await? {
            keys.insert(key.clone());
        }
    }
    Ok(keys)
}

fn pushed(event: &Event) -> Option<&ImagePushed> {
    match event {
        Event::ImagePushed(pushed) => Some(pushed),
        Event::BuildFinished(_) | Event::RepositoryChanged(_) | Event::InstallationsChanged { .. } => None,
    }
}

pub(crate) async fn pending(
    c: &mut Connection,
    work: &Work,
    each: &mut (dyn FnMut(PendingEvent) + Send),
) -> Result<(), sqlx::Error> {
    let mut rows = about!(
        "SELECT e.id, e.image, e.tag, e.claimed_digest, e.trust, e.received_at, e.detail FROM event e
           JOIN event_branch eb ON eb.event = e.id
           JOIN branch b ON b.tenant = eb.tenant AND b.repository = eb.repository AND b.branch = eb.branch
         WHERE eb.tenant = $1 AND eb.repository = $2 AND eb.branch = $3 AND eb.sequence > b.served AND eb.since <= $4
         ORDER BY eb.sequence",
        work.key
    )
    .bind(work.sequence)
    .fetch(c);
    while let Some(row) = rows.try_next().await? {
        each(PendingEvent {
            id: parsed(&row, "id")?,
            event: event(&row)?,
            trust: json(&row, "trust")?,
            received_at: time(&row, "received_at")?,
        });
    }
    Ok(())
}

pub(crate) async fn newest(c: &mut Connection, limit: u32) -> Result<Vec<EventRecord>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT e.*, d.receiver FROM event e JOIN delivery d ON d.id = e.delivery
         ORDER BY e.received_at DESC, e.id DESC LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(&mut *c)
    .await?;
    with_branches(c, &rows).await
}

/// The events of a delivery, in its order.
pub(crate) async fn of_delivery(c: &mut Connection, id: &DeliveryId) -> Result<Vec<EventRecord>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT e.*, d.receiver FROM event e JOIN delivery d ON d.id = e.delivery
         WHERE e.delivery = $1 ORDER BY e.rowid",
    )
    .bind(id.as_str())
    .fetch_all(&mut *c)
    .await?;
    with_branches(c, &rows).await
}

pub(crate) async fn one(c: &mut Connection, id: &EventId) -> Result<Option<EventRecord>, sqlx::Error> {
    let rows = sqlx::query("SELECT e.*, d.receiver FROM event e JOIN delivery d ON d.id = e.delivery WHERE e.id = $1")
        .bind(id.as_str())
        .fetch_all(&mut *c)
        .await?;
    Ok(with_branches(c, &rows).await?.pop())
}

async fn with_branches(c: &mut Connection, rows: &[Row]) -> Result<Vec<EventRecord>, sqlx::Error> {
    let mut records = Vec::new();
    for row in rows {
        let mut record = record(row)?;
        let branches = sqlx::query(
            "SELECT eb.tenant, eb.repository, eb.branch, eb.sequence <= b.served AS is_served FROM event_branch eb
               JOIN branch b ON b.tenant = eb.tenant AND b.repository = eb.repository AND b.branch = eb.branch
             WHERE eb.event = $1 ORDER BY eb.repository, eb.branch",
        )
        .bind(record.id.as_str())
        .fetch_all(&mut *c)
        .await?;
        for branch in &branches {
            record.branches.push((branch_key(branch)?, branch.try_get("is_served")?));
        }
        records.push(record);
    }
    Ok(records)
}

fn record(row: &Row) -> Result<EventRecord, sqlx::Error> {
    Ok(EventRecord {
        id: parsed(row, "id")?,
        delivery: parsed(row, "delivery")?,
        receiver: parsed(row, "receiver")?,
        event: event(row)?,
        trust: json(row, "trust")?,
        received_at: time(row, "received_at")?,
        branches: Vec::new(),
    })
}

/// An event without detail is a push of before there were others; its columns say all of it.
fn event(row: &Row) -> Result<Event, sqlx::Error> {
    if row.try_get::<Option<String>, _>("detail")?.is_some() {
        return json(row, "detail");
    }
    let (image, tag) = (parsed(row, "image")?, parsed(row, "tag")?);
    Ok(Event::ImagePushed(ImagePushed::new(image, tag, optional(row, "claimed_digest")?)))
}
