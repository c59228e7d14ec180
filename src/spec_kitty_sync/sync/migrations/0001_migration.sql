-- Where imported events came from, and what could not be imported as it stood.

-- One row per source that was read to its end, or that the operator told us to ignore.
CREATE TABLE migration_source (
    id                  INTEGER PRIMARY KEY,
    path                TEXT    NOT NULL UNIQUE,
    kind                TEXT    NOT NULL,
    holds               TEXT,               -- the table that its events stood in
    digest              TEXT,
    scope               TEXT,               -- server|user|team; NULL is unknown
    fingerprint         BLOB,               -- of the bytes that were read
    stamp               TEXT,               -- size and times of the files then; '' proves nothing
    outcome             TEXT,
    reason              TEXT,
    remedy              TEXT,
    row_count           INTEGER NOT NULL DEFAULT 0,
    body_uploads        INTEGER NOT NULL DEFAULT 0,
    body_failures       INTEGER NOT NULL DEFAULT 0,
    ignored_reason      TEXT,
    ignored_fingerprint BLOB,
    CHECK ((ignored_reason IS NULL) = (ignored_fingerprint IS NULL))
) STRICT;

-- Every source that held an event. retry_count is what its CLI counted, never ours.
CREATE TABLE migration_provenance (
    seq               INTEGER NOT NULL,
    source_id         INTEGER NOT NULL,
    source_row        INTEGER NOT NULL,
    queued_at         INTEGER,              -- epoch seconds
    retry_count       INTEGER,
    coalesce_identity TEXT,
    note              TEXT,
    PRIMARY KEY (seq, source_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX migration_provenance_coalesce ON migration_provenance (coalesce_identity, seq)
    WHERE coalesce_identity IS NOT NULL;

-- A row whose id the journal holds with other content. `present`: the source still has it.
CREATE TABLE migration_conflict (
    id             INTEGER PRIMARY KEY,
    event_id       TEXT    NOT NULL,
    source_id      INTEGER NOT NULL REFERENCES migration_source (id),
    source_row     INTEGER NOT NULL,
    body           BLOB    NOT NULL,
    content_hash   BLOB    NOT NULL,        -- of the canonical content: spelling decides nothing
    class          TEXT    NOT NULL CHECK (class IN ('divergent', 'volatile')),
    found_at_ms    INTEGER NOT NULL,
    present        INTEGER NOT NULL DEFAULT 1,
    kept           TEXT CHECK (kept IN ('journal', 'source')),
    resolved_at_ms INTEGER,
    UNIQUE (source_id, source_row, content_hash)
) STRICT;

CREATE INDEX migration_conflict_event ON migration_conflict (event_id);

-- A row that cannot become an event: its bytes are kept as they were, NULL if it had none.
CREATE TABLE migration_quarantine (
    id             INTEGER PRIMARY KEY,
    source_id      INTEGER NOT NULL REFERENCES migration_source (id),
    source_row     INTEGER NOT NULL,
    column_id      TEXT,
    body           BLOB,
    body_sha256    BLOB    NOT NULL,
    reason         TEXT    NOT NULL,
    detail         TEXT    NOT NULL,
    found_at_ms    INTEGER NOT NULL,
    present        INTEGER NOT NULL DEFAULT 1,
    accepted_at_ms INTEGER,
    UNIQUE (source_id, source_row, body_sha256)
) STRICT;

-- What the operator decided, and what cleanup deleted.
CREATE TABLE migration_audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms   INTEGER NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    detail  TEXT
) STRICT;
