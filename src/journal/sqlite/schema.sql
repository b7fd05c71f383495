-- The journal of zec-gateway, version 4. docs/journal-format.md says what an entry's content is, and what its
-- hash is over.
CREATE TABLE entries (
  seq      INTEGER PRIMARY KEY,
  content  TEXT NOT NULL,
  previous BLOB NOT NULL CHECK (length(previous) = 32),
  hash     BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Derived from the entries in the same transactions, and not part of the chain: the columns by which
-- operations are found. `journal verify` compares them with the entries.
CREATE TABLE operations (
  seq        INTEGER PRIMARY KEY, -- seq of the intent
  id         TEXT NOT NULL UNIQUE,
  last       INTEGER NOT NULL, -- the seq of its last entry
  at         INTEGER NOT NULL, -- time of the intent, in milliseconds since 1970
  last_at    INTEGER NOT NULL, -- time of its last entry
  action     TEXT NOT NULL,
  caller     TEXT NOT NULL,
  request_id TEXT NOT NULL,
  outcome    TEXT NOT NULL, -- the last one
  given_up   INTEGER NOT NULL, -- whether the gateway has given up finding the outcome
  class      INTEGER NOT NULL -- pending and done share class 0: a usual write changes only the index of pending ones
    CHECK (class = CASE outcome WHEN 'pending' THEN 0 WHEN 'done' THEN 0 WHEN 'unknown' THEN 1
      WHEN 'rejected' THEN 2 WHEN 'not-sent' THEN 3 WHEN 'not-done' THEN 4 ELSE -1 END)
) STRICT;

-- Each ends with `seq`, which orders lists.
CREATE INDEX operations_by_caller ON operations (caller, class);
CREATE INDEX operations_by_class ON operations (class);
CREATE INDEX operations_by_request ON operations (request_id);
CREATE INDEX operations_by_request_and_caller ON operations (request_id, caller);
CREATE INDEX operations_pending ON operations (seq) WHERE outcome = 'pending';

-- The resources of each operation, with its caller and class.
CREATE TABLE resources (
  resource TEXT NOT NULL, -- such as `nic/1612345678901234567`
  class    INTEGER NOT NULL,
  seq      INTEGER NOT NULL, -- seq of the intent
  caller   TEXT NOT NULL,
  PRIMARY KEY (resource, class, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX resources_by_caller ON resources (resource, caller, class, seq);

-- Where the chain of the entries that were deleted after their time ended: the remaining entries follow it.
CREATE TABLE dropped (
  seq  INTEGER PRIMARY KEY,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  at   INTEGER NOT NULL -- when they were deleted, in milliseconds since 1970
) STRICT;

-- These triggers guard against mistakes. The chain guards against intent.
CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER entries_are_never_removed BEFORE DELETE ON entries
WHEN OLD.seq > (SELECT coalesce(max(seq), 0) FROM dropped)
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER entries_have_no_gaps BEFORE INSERT ON entries
WHEN NEW.seq <> 1 + coalesce((SELECT max(seq) FROM entries), (SELECT max(seq) FROM dropped), 0)
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

-- Claims of idempotency keys, for a day: not a record, only a way to find one.
CREATE TABLE idempotency_keys (
  caller      TEXT NOT NULL,
  key         TEXT NOT NULL,
  fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
  operation   TEXT, -- or, if there was nothing to write,
  answer      TEXT, -- the answer that the caller gets again
  at          INTEGER NOT NULL, -- when its day began, in milliseconds since 1970; the greatest number
                                -- while its write has no final outcome
  CHECK ((operation IS NULL) <> (answer IS NULL)),
  PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_operation ON idempotency_keys (operation);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (at);
CREATE INDEX idempotency_answers ON idempotency_keys (caller, at) WHERE answer IS NOT NULL; -- they are counted

-- Filled and emptied, to find out whether the file can be written.
CREATE TABLE trial (filler BLOB NOT NULL) STRICT;
