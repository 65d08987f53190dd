-- What was found in files of config repositories, by their content: a cache, which may be emptied at any time. `kind` is
-- how the file's name makes it be read, `finder` what found it: a program that finds differently has another. `used_at`
-- is, to a day, when the content was last in use. It stands before `found`, so that looking for what is unused does not
-- read all of that.
CREATE TABLE file_memory (
  tenant     TEXT NOT NULL,
  repository TEXT NOT NULL,
  blob       BLOB NOT NULL,
  kind       TEXT NOT NULL,
  finder     TEXT NOT NULL,
  used_at    INTEGER NOT NULL,
  found      BLOB NOT NULL,
  PRIMARY KEY (tenant, repository, blob, kind)
) STRICT, WITHOUT ROWID;
