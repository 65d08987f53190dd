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
-- `created` is the build time at the first reading: a tag that is pushed again is not newer. Old readings do not; reading a tag again costs one request.
DROP TABLE observation;
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

-- When a branch is to be looked at again although nothing happened: a version waits until it is old enough, signed, …
ALTER TABLE branch ADD COLUMN wake_at INTEGER;
