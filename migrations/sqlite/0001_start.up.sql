-- Times are milliseconds since 1970, ids and names are text, values of many parts are JSON text.

-- An authentic inbound request, stored raw before it is answered.
CREATE TABLE delivery (
  id           TEXT PRIMARY KEY,
  tenant       TEXT NOT NULL,
  receiver     TEXT NOT NULL,
  delivery_key TEXT NOT NULL,
  verdict      TEXT NOT NULL,
  reasons      TEXT NOT NULL,
  body         BLOB NOT NULL,
  received_at  INTEGER NOT NULL,
  UNIQUE (tenant, receiver, delivery_key)
) STRICT;
CREATE INDEX delivery_by_time ON delivery (received_at);

-- A fact taken from a delivery.
CREATE TABLE event (
  id             TEXT PRIMARY KEY,
  delivery       TEXT NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
  tenant         TEXT NOT NULL,
  image          TEXT NOT NULL,
  tag            TEXT NOT NULL,
  claimed_digest TEXT,
  trust          TEXT NOT NULL,
  received_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX event_by_time ON event (received_at);
CREATE INDEX event_by_delivery ON event (delivery);

-- What a reconcile is about. Dirty beyond `served` means that work waits.
CREATE TABLE branch (
  tenant          TEXT NOT NULL,
  repository      TEXT NOT NULL,
  branch          TEXT NOT NULL,
  dirty           INTEGER NOT NULL DEFAULT 0,
  served          INTEGER NOT NULL DEFAULT 0,
  first_dirty_at  INTEGER NOT NULL DEFAULT 0,
  last_dirty_at   INTEGER NOT NULL DEFAULT 0,
  urgent          INTEGER NOT NULL DEFAULT 0,
  attempts        INTEGER NOT NULL DEFAULT 0,
  not_before      INTEGER NOT NULL DEFAULT 0,
  -- The dirty sequence that failed: newer work does not wait for `not_before`.
  failed_sequence INTEGER NOT NULL DEFAULT 0,
  lease_owner     TEXT,
  lease_until     INTEGER NOT NULL DEFAULT 0,
  fence           INTEGER NOT NULL DEFAULT 0,
  head            TEXT,
  swept_at        INTEGER,
  served_at       INTEGER,
  problem         TEXT,
  PRIMARY KEY (tenant, repository, branch)
) STRICT;

-- Which branches an event concerns, and the dirty sequence it raised them to.
CREATE TABLE event_branch (
  event      TEXT NOT NULL REFERENCES event (id) ON DELETE CASCADE,
  tenant     TEXT NOT NULL,
  repository TEXT NOT NULL,
  branch     TEXT NOT NULL,
  sequence   INTEGER NOT NULL,
  PRIMARY KEY (event, tenant, repository, branch)
) STRICT;
CREATE INDEX event_branch_by_sequence ON event_branch (tenant, repository, branch, sequence);

-- The images whose pushes a branch wants to know of.
CREATE TABLE interest (
  tenant     TEXT NOT NULL,
  repository TEXT NOT NULL,
  branch     TEXT NOT NULL,
  image      TEXT NOT NULL,
  listed     INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, repository, branch, image)
) STRICT;
CREATE INDEX interest_by_image ON interest (tenant, image);

-- Tags as they were read at the registry.
CREATE TABLE observation (
  tenant        TEXT NOT NULL,
  image         TEXT NOT NULL,
  tag           TEXT NOT NULL,
  manifest      TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL,
  seen_at       INTEGER NOT NULL,
  PRIMARY KEY (tenant, image, tag)
) STRICT;

-- What was gathered when decisions were taken, in its own versioned form.
CREATE TABLE gathering (
  id          INTEGER PRIMARY KEY,
  tenant      TEXT NOT NULL,
  repository  TEXT NOT NULL,
  branch      TEXT NOT NULL,
  gathered_at INTEGER NOT NULL,
  facts       BLOB NOT NULL
) STRICT;

-- Decisions, also those to do nothing. `change` is none, planned, landed or given up.
CREATE TABLE decision (
  id         TEXT PRIMARY KEY,
  tenant     TEXT NOT NULL,
  repository TEXT NOT NULL,
  branch     TEXT NOT NULL,
  head       TEXT NOT NULL,
  decided_at INTEGER NOT NULL,
  -- When the same was decided last.
  seen_at    INTEGER NOT NULL,
  image      TEXT NOT NULL,
  entry      TEXT NOT NULL,
  decision   TEXT NOT NULL,
  gathering  INTEGER NOT NULL REFERENCES gathering (id),
  change     TEXT NOT NULL DEFAULT 'none',
  commit_id  TEXT,
  settled_at INTEGER
) STRICT;
CREATE INDEX decision_by_time ON decision (seen_at);
CREATE INDEX decision_by_image ON decision (image, seen_at);
CREATE INDEX decision_by_entry ON decision (entry, seen_at);
CREATE INDEX decision_planned ON decision (tenant, repository, branch) WHERE change = 'planned';
CREATE INDEX decision_by_commit ON decision (tenant, commit_id) WHERE commit_id IS NOT NULL;

-- Which events a decision answers.
CREATE TABLE decision_event (
  decision TEXT NOT NULL REFERENCES decision (id) ON DELETE CASCADE,
  event    TEXT NOT NULL REFERENCES event (id) ON DELETE CASCADE,
  PRIMARY KEY (event, decision)
) STRICT;

-- Effects that are visible outside, written with the result that causes them and delivered under a key that
-- makes a repetition harmless.
CREATE TABLE outbox (
  id           INTEGER PRIMARY KEY,
  tenant       TEXT NOT NULL,
  effect_key   TEXT NOT NULL,
  kind         TEXT NOT NULL,
  payload      TEXT NOT NULL,
  created_at   INTEGER NOT NULL,
  not_before   INTEGER NOT NULL DEFAULT 0,
  attempts     INTEGER NOT NULL DEFAULT 0,
  delivered_at INTEGER,
  UNIQUE (tenant, effect_key)
) STRICT;
