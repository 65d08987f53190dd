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
DROP INDEX hold_released;
DROP INDEX command_answered;
DROP INDEX decision_event_by_decision;
DROP INDEX decision_by_gathering;
DROP TABLE pulse;
UPDATE branch SET not_before = 0 WHERE parked_at IS NOT NULL;
ALTER TABLE branch DROP COLUMN parked_at;
DROP INDEX branch_by_turn;
ALTER TABLE branch DROP COLUMN leased_at;
