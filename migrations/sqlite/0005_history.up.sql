-- What ran in environments, in the order of `place`: the newest of each environment and entry, up to a number. `decision`
-- is the one by which Tagboat put it there; nothing means that others did. `until` is empty for what runs still, and
-- `rollout` what the agent reported last.
CREATE TABLE ran (
  place       INTEGER PRIMARY KEY,
  tenant      TEXT NOT NULL,
  repository  TEXT NOT NULL,
  environment TEXT NOT NULL,
  entry       TEXT NOT NULL,
  tag         TEXT NOT NULL,
  digest      TEXT NOT NULL,
  since       INTEGER NOT NULL,
  until       INTEGER,
  decision    TEXT,
  commit_id   TEXT,
  taken_back  INTEGER NOT NULL DEFAULT 0,
  rollout     TEXT
) STRICT;
CREATE INDEX ran_by_entry ON ran (tenant, repository, environment, entry);

-- Recorded wishes of people. One that was released stays, so that a repetition of it is known for one. `environment` and
-- `entry` stand in `hold` too; nothing there means all.
CREATE TABLE hold (
  tenant      TEXT NOT NULL,
  repository  TEXT NOT NULL,
  id          TEXT NOT NULL,
  environment TEXT,
  entry       TEXT,
  hold        TEXT NOT NULL,
  placed_at   INTEGER NOT NULL,
  released_at INTEGER,
  released_by TEXT,
  PRIMARY KEY (tenant, repository, id)
) STRICT;
CREATE INDEX hold_open ON hold (tenant, repository, placed_at) WHERE released_at IS NULL;

-- Commands of people, with what became of each. Ids are a tenant's own, so that nobody can use up those of another.
CREATE TABLE command (
  tenant      TEXT NOT NULL,
  id          TEXT NOT NULL,
  repository  TEXT NOT NULL,
  record      TEXT NOT NULL,
  given_at    INTEGER NOT NULL,
  answered_at INTEGER,
  answer      TEXT,
  PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX command_by_id ON command (id);
CREATE INDEX command_open ON command (tenant, repository, given_at) WHERE answered_at IS NULL;

-- Small values that the engine keeps for itself about a config repository.
CREATE TABLE kept (
  tenant     TEXT NOT NULL,
  repository TEXT NOT NULL,
  key        TEXT NOT NULL,
  value      TEXT NOT NULL,
  PRIMARY KEY (tenant, repository, key)
) STRICT, WITHOUT ROWID;

-- When a branch is due again although no image is: a gate passes then, a hold ends. It stands beside `wake_at`, which
-- follows from the images that wait and is cleared when the branch becomes dirty; this one stays until that is served.
ALTER TABLE branch ADD COLUMN gate_at INTEGER;

-- What a repository's dashboard shows, and what its commands are about.
CREATE INDEX decision_by_repository ON decision (tenant, repository, seen_at);
