DROP INDEX decision_by_repository;
ALTER TABLE branch DROP COLUMN gate_at;
DROP TABLE kept;
DROP TABLE command;
DROP TABLE hold;
DROP TABLE ran;
-- The program of the step before knows no decisions that wait. They planned nothing, so nothing follows from them.
DELETE FROM decision WHERE json_extract(decision, '$.outcome') = 'waiting';
