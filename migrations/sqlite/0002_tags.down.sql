ALTER TABLE branch DROP COLUMN wake_at;
DROP TABLE observation;
CREATE TABLE observation (
  tenant        TEXT NOT NULL,
  image         TEXT NOT NULL,
  tag           TEXT NOT NULL,
  manifest      TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL,
  seen_at       INTEGER NOT NULL,
  PRIMARY KEY (tenant, image, tag)
) STRICT;
DROP TABLE announcement;
DROP TABLE sighting;
DROP TABLE baseline;
