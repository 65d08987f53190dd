ALTER TABLE interest DROP COLUMN rules;
ALTER TABLE interest DROP COLUMN look_at;
ALTER TABLE branch DROP COLUMN wake_at;
DROP TABLE reading;
DROP TABLE announcement;
DROP TABLE sighting;
DROP TABLE baseline;
