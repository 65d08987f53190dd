-- What a delivery's sender is and how far it proved that, the headers that say what the body is, and the body's hash,
-- which outlives it: headers and body are taken away in time (`body_pruned`). Rows of before have no kind and no hash,
-- and the trust of their events. The second index holds what pruning asks for, so that it reads no bodies.
ALTER TABLE delivery ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE delivery ADD COLUMN trust TEXT;
ALTER TABLE delivery ADD COLUMN headers TEXT NOT NULL DEFAULT '[]';
ALTER TABLE delivery ADD COLUMN body_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE delivery ADD COLUMN body_pruned INTEGER NOT NULL DEFAULT 0;
CREATE INDEX delivery_by_receiver ON delivery (receiver, received_at);
CREATE INDEX delivery_with_body ON delivery (received_at, id, length(body)) WHERE body_pruned = 0;

-- The whole event. Rows of before are pushes, of which the columns say all; an event that is no push has '' for image
-- and tag.
ALTER TABLE event ADD COLUMN detail TEXT;

-- A delivery that is signed under an id of its own, or a body that is signed: it is acted on under one key alone.
ALTER TABLE delivery ADD COLUMN once TEXT;
CREATE UNIQUE INDEX delivery_once ON delivery (tenant, receiver, once) WHERE once IS NOT NULL;

-- Since which sequence an event waits for its branch. It may be caused anew while it waits, which raises `sequence`: then
-- it is answered by the work that is under way, and once more by the next.
ALTER TABLE event_branch ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
UPDATE event_branch SET since = sequence;

-- What CI announced, in that order, with what the image was built from and by what. A repetition by the same job adds
-- nothing (`origin` tells jobs apart: a hash of it), and nobody's word takes the place of another's. It takes the place of
-- `announcement`, which the program of the step before still uses and a later step takes away.
CREATE TABLE announced (
  place        INTEGER PRIMARY KEY,
  tenant       TEXT NOT NULL,
  image        TEXT NOT NULL,
  tag          TEXT NOT NULL,
  digest       TEXT NOT NULL,
  announced_at INTEGER NOT NULL,
  source       TEXT NOT NULL,
  origin       TEXT NOT NULL,
  UNIQUE (tenant, image, tag, digest, origin)
) STRICT;
INSERT INTO announced (place, tenant, image, tag, digest, announced_at, source, origin)
  SELECT place, tenant, image, tag, digest, announced_at, '{}', '' FROM announcement;

-- The dirty sequence of the newest event that wants the image to be looked at completely, until work takes that up; else
-- 0. Work that was taken before has not looked at what the event is about.
ALTER TABLE interest ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
