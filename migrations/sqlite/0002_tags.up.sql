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

-- A reading now tells platforms and build time, since when the tag names what it names, and what it named before.
-- `created` is the build time at the first reading: a tag that is pushed again is not newer. Old readings lack all of it:
-- without platforms they count as unread, and still tell which tag a digest was.
ALTER TABLE observation RENAME TO old_observation;
CREATE TABLE observation (
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
INSERT INTO observation (tenant, image, tag, manifest, created, since, replaced, seen_at)
  SELECT tenant, image, tag, json_set(manifest, '$.created', NULL, '$.platforms', json('[]')), NULL, first_seen_at, '[]', seen_at
  FROM old_observation;
DROP TABLE old_observation;

-- When a branch is to be looked at again although nothing happened, because versions of some images wait until they are
-- old enough, signed, …; and by which rules an image was looked at last.
ALTER TABLE branch ADD COLUMN wake_at INTEGER;
ALTER TABLE interest ADD COLUMN look_at INTEGER;
ALTER TABLE interest ADD COLUMN rules TEXT NOT NULL DEFAULT '';
