-- When a repository was listed for the first time: what was in it then is older than that.
CREATE TABLE baseline (
  tenant    TEXT NOT NULL,
  image     TEXT NOT NULL,
  listed_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, image)
) STRICT, WITHOUT ROWID;

-- When each tag was seen for the first time. Kept for images whose policy asks for it.
CREATE TABLE sighting (
  tenant   TEXT NOT NULL,
  image    TEXT NOT NULL,
  tag      TEXT NOT NULL,
  seen_at  INTEGER NOT NULL,
  baseline INTEGER NOT NULL,
  PRIMARY KEY (tenant, image, tag)
) STRICT, WITHOUT ROWID;

-- What authenticated CI events announced, in that order; a repetition adds nothing.
CREATE TABLE announcement (
  place        INTEGER PRIMARY KEY,
  tenant       TEXT NOT NULL,
  image        TEXT NOT NULL,
  tag          TEXT NOT NULL,
  digest       TEXT NOT NULL,
  announced_at INTEGER NOT NULL,
  UNIQUE (tenant, image, tag, digest)
) STRICT;

-- What each tag named when it was read last, since when, and what it named before. `created` is the build time at the
-- first reading: a tag that is pushed again is not newer. It takes the place of `observation`, which the program of the
-- step before still uses and a later step takes away. Its rows lack platforms, so that they count as unread; they tell
-- which tag a digest was.
CREATE TABLE reading (
  tenant   TEXT NOT NULL,
  image    TEXT NOT NULL,
  tag      TEXT NOT NULL,
  manifest TEXT NOT NULL,
  created  INTEGER,
  since    INTEGER NOT NULL,
  replaced TEXT NOT NULL,
  seen_at  INTEGER NOT NULL,
  PRIMARY KEY (tenant, image, tag)
) STRICT;
INSERT INTO reading (tenant, image, tag, manifest, created, since, replaced, seen_at)
  SELECT tenant, image, tag, json_set(manifest, '$.created', NULL, '$.platforms', json('[]')), NULL, first_seen_at, '[]', seen_at
  FROM observation;

-- When a branch is to be looked at again although nothing happened, because versions of some images wait until they are
-- old enough, signed, …; and by which rules an image was looked at last.
ALTER TABLE branch ADD COLUMN wake_at INTEGER;
ALTER TABLE interest ADD COLUMN look_at INTEGER;
ALTER TABLE interest ADD COLUMN rules TEXT NOT NULL DEFAULT '';
