//! The tables that are worth taking elsewhere, as both databases have them. Left out are what is only a cache, and who
//! holds leases.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use Kind::{Bytes, Number, Text};

/// What a column holds. Each may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// Bytes.
    Bytes,
}

/// A table.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    pub(crate) name: &'static str,
    /// In which order its rows are handed over: where the order of insertion means something, that one.
    pub(crate) order: &'static str,
    pub(crate) columns: &'static [(&'static str, Kind)],
}

/// What stands in a column of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text, or nothing.
    Text(Option<String>),
    /// A number, or nothing.
    Number(Option<i64>),
    /// Bytes, or nothing.
    Bytes(Option<Vec<u8>>),
}

impl Value {
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.clone().into(),
            Self::Number(number) => (*number).into(),
            Self::Bytes(bytes) => bytes.as_ref().map(|bytes| BASE64_STANDARD.encode(bytes)).into(),
        }
    }

    /// Nothing when it is no value of this kind.
    pub(crate) fn from_json(kind: Kind, json: &serde_json::Value) -> Option<Self> {
        let text = || json.as_str().map(str::to_owned);
        Some(match kind {
            Text if json.is_null() => Self::Text(None),
            // PostgreSQL keeps no zero in text.
            Text => Self::Text(Some(text()?.replace('\0', "\u{fffd}"))),
            Number if json.is_null() => Self::Number(None),
            Number => Self::Number(Some(json.as_i64()?)),
            Bytes if json.is_null() => Self::Bytes(None),
            Bytes => Self::Bytes(Some(BASE64_STANDARD.decode(text()?).ok()?)),
        })
    }
}

/// Those that others refer to come first.
pub(crate) const TABLES: [Table; 16] = [
    Table {
        name: "delivery",
        order: "rowid",
        columns: &[
            ("id", Text),
            ("tenant", Text),
            ("receiver", Text),
            ("delivery_key", Text),
            ("verdict", Text),
            ("reasons", Text),
            ("body", Bytes),
            ("received_at", Number),
            ("kind", Text),
            ("trust", Text),
            ("headers", Text),
            ("body_hash", Text),
            ("body_pruned", Number),
            ("once", Text),
        ],
    },
    Table {
        name: "event",
        order: "rowid",
        columns: &[
            ("id", Text),
            ("delivery", Text),
            ("tenant", Text),
            ("image", Text),
            ("tag", Text),
            ("claimed_digest", Text),
            ("trust", Text),
            ("received_at", Number),
            ("detail", Text),
        ],
    },
    Table {
        name: "branch",
        order: "rowid",
        columns: &[
            ("tenant", Text),
            ("repository", Text),
            ("branch", Text),
            ("dirty", Number),
            ("served", Number),
            ("first_dirty_at", Number),
            ("last_dirty_at", Number),
            ("urgent", Number),
            ("attempts", Number),
            ("not_before", Number),
            ("failed_sequence", Number),
            ("fence", Number),
            ("head", Text),
            ("swept_at", Number),
            ("served_at", Number),
            ("problem", Text),
            ("wake_at", Number),
            ("gate_at", Number),
            ("leased_at", Number),
            ("parked_at", Number),
        ],
    },
    Table {
        name: "event_branch",
        order: "tenant, repository, branch, sequence, event",
        columns: &[
            ("event", Text),
            ("tenant", Text),
            ("repository", Text),
            ("branch", Text),
            ("sequence", Number),
            ("since", Number),
        ],
    },
    Table {
        name: "interest",
        order: "tenant, repository, branch, image",
        columns: &[
            ("tenant", Text),
            ("repository", Text),
            ("branch", Text),
            ("image", Text),
            ("listed", Number),
            ("look_at", Number),
            ("rules", Text),
            ("asked", Number),
        ],
    },
    Table {
        name: "gathering",
        order: "id",
        columns: &[
            ("id", Number),
            ("tenant", Text),
            ("repository", Text),
            ("branch", Text),
            ("gathered_at", Number),
            ("facts", Bytes),
        ],
    },
    Table {
        name: "decision",
        order: "rowid",
        columns: &[
            ("id", Text),
            ("tenant", Text),
            ("repository", Text),
            ("branch", Text),
            ("head", Text),
            ("decided_at", Number),
            ("seen_at", Number),
            ("image", Text),
            ("entry", Text),
            ("decision", Text),
            ("gathering", Number),
            ("change", Text),
            ("commit_id", Text),
            ("settled_at", Number),
        ],
    },
    Table { name: "decision_event", order: "event, decision", columns: &[("decision", Text), ("event", Text)] },
    Table {
        name: "baseline",
        order: "tenant, image",
        columns: &[("tenant", Text), ("image", Text), ("listed_at", Number)],
    },
    Table {
        name: "sighting",
        order: "tenant, image, tag",
        columns: &[("tenant", Text), ("image", Text), ("tag", Text), ("seen_at", Number), ("baseline", Number)],
    },
    Table {
        name: "announced",
        order: "place",
        columns: &[
            ("place", Number),
            ("tenant", Text),
            ("image", Text),
            ("tag", Text),
            ("digest", Text),
            ("announced_at", Number),
            ("source", Text),
            ("origin", Text),
        ],
    },
    Table {
        name: "reading",
        order: "tenant, image, tag",
        columns: &[
            ("tenant", Text),
            ("image", Text),
            ("tag", Text),
            ("manifest", Text),
            ("created", Number),
            ("since", Number),
            ("replaced", Text),
            ("seen_at", Number),
        ],
    },
    Table {
        name: "ran",
        order: "place",
        columns: &[
            ("place", Number),
            ("tenant", Text),
            ("repository", Text),
            ("environment", Text),
            ("entry", Text),
            ("tag", Text),
            ("digest", Text),
            ("since", Number),
            ("until", Number),
            ("decision", Text),
            ("commit_id", Text),
            ("taken_back", Number),
            ("rollout", Text),
        ],
    },
    Table {
        name: "hold",
        order: "rowid",
        columns: &[
            ("tenant", Text),
            ("repository", Text),
            ("id", Text),
            ("environment", Text),
            ("entry", Text),
            ("hold", Text),
            ("placed_at", Number),
            ("released_at", Number),
            ("released_by", Text),
        ],
    },
    Table {
        name: "command",
        order: "rowid",
        columns: &[
            ("tenant", Text),
            ("id", Text),
            ("repository", Text),
            ("record", Text),
            ("given_at", Number),
            ("answered_at", Number),
            ("answer", Text),
        ],
    },
    Table {
        name: "kept",
        order: "tenant, repository, key",
        columns: &[("tenant", Text), ("repository", Text), ("key", Text), ("value", Text)],
    },
];
