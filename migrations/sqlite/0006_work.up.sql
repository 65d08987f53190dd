-- When work on a branch was taken last: tenants and config repositories take turns.
ALTER TABLE branch ADD COLUMN leased_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX branch_by_turn ON branch (tenant, repository, leased_at);

-- Since when a branch is left alone, because the work that it fails with fails every time in the same way. Newer work, a
-- start of the process, or a person takes it up again.
ALTER TABLE branch ADD COLUMN parked_at INTEGER;

-- One row that is written to find out whether anything can be.
CREATE TABLE pulse (
  beats INTEGER NOT NULL
) STRICT;
INSERT INTO pulse VALUES (0);

-- What is asked for retention: which events wait, and what is old.
CREATE INDEX decision_by_gathering ON decision (gathering);
CREATE INDEX decision_event_by_decision ON decision_event (decision);
CREATE INDEX command_answered ON command (answered_at) WHERE answered_at IS NOT NULL;
CREATE INDEX hold_released ON hold (released_at) WHERE released_at IS NOT NULL;

-- Never used: what is to be seen outside follows from recorded decisions, and is recognized there.
DROP TABLE outbox;
