ALTER TABLE interest DROP COLUMN rules;
ALTER TABLE interest DROP COLUMN look_at;
ALTER TABLE branch DROP COLUMN wake_at;
ALTER TABLE observation RENAME TO new_observation;
CREATE TABLE observation (
  tenant        TEXT NOT NULL,
  image         TEXT NOT NULL,
  tag           TEXT NOT NULL,
  manifest      TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL,
  seen_at       INTEGER NOT NULL,
  PRIMARY KEY (tenant, image, tag)
) STRICT;
INSERT INTO observation (tenant, image, tag, manifest, first_seen_at, seen_at)
  SELECT tenant, image, tag, json_remove(manifest, '$.created', '$.platforms'), since, seen_at FROM new_observation;
DROP TABLE new_observation;
DROP TABLE announcement;
DROP TABLE sighting;
DROP TABLE baseline;
