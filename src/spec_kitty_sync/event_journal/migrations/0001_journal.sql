-- What happened: one row per event, never renumbered, the exact bytes that were accepted.
-- gc, archive and discard clear `body` and keep everything else.
CREATE TABLE event_journal (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id          TEXT    NOT NULL UNIQUE,
    event_type        TEXT    NOT NULL,
    tier              INTEGER NOT NULL CHECK (tier BETWEEN 0 AND 4),
    team              TEXT,
    hold              TEXT,
    superseded_by     INTEGER,
    removed           TEXT CHECK (removed IN ('archived', 'collected', 'discarded')),
    body_bytes        INTEGER NOT NULL,
    appended_at_ms    INTEGER NOT NULL,
    occurred_at       TEXT,
    project_uuid      TEXT,
    lamport_clock     INTEGER,
    coalesce_identity TEXT,
    hold_detail       TEXT,
    removed_at_ms     INTEGER,
    body_sha256       BLOB    NOT NULL CHECK (length(body_sha256) = 32),
    canonical_hash    BLOB,
    -- Last, so that a look at the columns before it never reads the bytes.
    body              BLOB,
    CHECK ((body IS NULL) = (removed IS NOT NULL)),
    CHECK (body IS NOT NULL OR canonical_hash IS NOT NULL)
) STRICT;

CREATE INDEX event_journal_coalesce ON event_journal (coalesce_identity, seq)
    WHERE coalesce_identity IS NOT NULL AND superseded_by IS NULL AND removed IS NULL;

CREATE INDEX event_journal_held ON event_journal (hold, seq) WHERE hold IS NOT NULL;

-- The only window other domains have on the journal.
CREATE VIEW journal_ids (
    seq, event_id, tier, team, project_uuid, hold, superseded, archived, bytes
) AS
SELECT seq, event_id, tier, team, project_uuid, hold,
       superseded_by IS NOT NULL, removed IS NOT NULL, body_bytes
FROM event_journal;

-- Kept in the transactions that change the rows, so that no report has to count them.
-- `block` is seq / 8192: what stands behind a mark is a sum over blocks and a look into one.
CREATE TABLE event_journal_count (
    block      INTEGER NOT NULL,
    local_only INTEGER NOT NULL,
    team       TEXT    NOT NULL,  -- '' for none
    hold       TEXT    NOT NULL,  -- '' for none
    superseded INTEGER NOT NULL,
    removed    TEXT    NOT NULL,  -- '' while the body is there
    events     INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    PRIMARY KEY (block, local_only, team, hold, superseded, removed)
) STRICT, WITHOUT ROWID;

-- Bytes that a correction replaced, and who removed what, for good.
CREATE TABLE event_journal_audit (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    seq          INTEGER NOT NULL REFERENCES event_journal (seq),
    action       TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    at_ms        INTEGER NOT NULL,
    old_body     BLOB,
    old_sha256   BLOB
) STRICT;

CREATE INDEX event_journal_audit_seq ON event_journal_audit (seq);

-- `first_kept`: no row before this seq has a body, so that the oldest kept event is found at once.
CREATE TABLE event_journal_mark (
    name TEXT PRIMARY KEY,
    seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO event_journal_mark (name, seq) VALUES ('first_kept', 0);
