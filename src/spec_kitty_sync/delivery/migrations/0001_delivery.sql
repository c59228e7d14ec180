-- Who has been told. Times are epoch milliseconds; '' stands for "none" in identity columns.

CREATE TABLE delivery_targets(
    target_id          INTEGER PRIMARY KEY,
    url                TEXT NOT NULL,
    url_hash           TEXT NOT NULL,
    team_slug          TEXT NOT NULL DEFAULT '',
    user_email         TEXT NOT NULL DEFAULT '',
    epoch              INTEGER NOT NULL DEFAULT 1,
    created_at         INTEGER NOT NULL,
    retired_at         INTEGER,
    run_at             INTEGER NOT NULL DEFAULT 0,
    last_attempt_at    INTEGER,
    last_delivery_at   INTEGER,
    last_stop          TEXT,
    closed_gate        TEXT,
    closed_login       TEXT,
    max_event_bytes    INTEGER,
    server_instance_id TEXT,
    deployment_id      TEXT,
    environment_name   TEXT,
    git_sha            TEXT,
    UNIQUE(url_hash, team_slug, user_email)
) STRICT;

CREATE TABLE delivery_target_history(
    history_id         INTEGER PRIMARY KEY,
    target_id          INTEGER NOT NULL REFERENCES delivery_targets(target_id),
    seen_at            INTEGER NOT NULL,
    server_instance_id TEXT,
    deployment_id      TEXT,
    environment_name   TEXT,
    git_sha            TEXT
) STRICT;

-- One epoch is one delivery of the whole journal. Nothing at or below its mark lacks a ledger row.
CREATE TABLE delivery_epochs(
    target_id  INTEGER NOT NULL REFERENCES delivery_targets(target_id),
    epoch      INTEGER NOT NULL,
    mark       INTEGER NOT NULL DEFAULT 0 CHECK(mark >= 0),
    started_at INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY(target_id, epoch)
) STRICT, WITHOUT ROWID;

-- A team whose events this run may also send; emptied when the run ends.
CREATE TABLE delivery_included_teams(
    target_id INTEGER NOT NULL,
    team_slug TEXT NOT NULL,
    PRIMARY KEY(target_id, team_slug)
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery_ledger(
    target_id   INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK(state IN ('open', 'held', 'pending', 'transient', 'rejected',
                                              'delivered', 'dead_letter', 'terminal_failed')),
    category    TEXT NOT NULL DEFAULT '',
    claimed     INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    rejections  INTEGER NOT NULL DEFAULT 0,
    not_before  INTEGER NOT NULL DEFAULT 0,
    first_at    INTEGER,
    last_at     INTEGER,
    http_status INTEGER,
    batch_id    INTEGER,
    reason      TEXT,
    PRIMARY KEY(target_id, epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_ledger_open ON delivery_ledger(target_id, epoch, seq)
    WHERE state = 'open';
CREATE INDEX delivery_ledger_due ON delivery_ledger(target_id, epoch, not_before, seq)
    WHERE state IN ('pending', 'transient', 'rejected');

-- What is about to be, or may have been, on the wire without a recorded answer.
CREATE TABLE delivery_claims(
    claim_id   INTEGER NOT NULL,
    first_seq  INTEGER NOT NULL,
    last_seq   INTEGER NOT NULL,
    target_id  INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    claimed_at INTEGER NOT NULL,
    PRIMARY KEY(claim_id, first_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery_counts(
    target_id INTEGER NOT NULL,
    epoch     INTEGER NOT NULL,
    state     TEXT NOT NULL,
    category  TEXT NOT NULL,
    n         INTEGER NOT NULL,
    PRIMARY KEY(target_id, epoch, state, category)
) STRICT, WITHOUT ROWID;

-- One row per answer; a ledger row names the one that settled it.
CREATE TABLE delivery_log(
    batch_id      INTEGER PRIMARY KEY AUTOINCREMENT,
    target_id     INTEGER NOT NULL,
    epoch         INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    endpoint      TEXT NOT NULL,
    user_email    TEXT NOT NULL,
    team_slug     TEXT NOT NULL,
    deployment_id TEXT,
    http_status   INTEGER,
    events        INTEGER NOT NULL,
    delivered     INTEGER NOT NULL DEFAULT 0,
    duplicates    INTEGER NOT NULL DEFAULT 0,
    pending       INTEGER NOT NULL DEFAULT 0,
    rejected      INTEGER NOT NULL DEFAULT 0,
    terminal      INTEGER NOT NULL DEFAULT 0,
    transient     INTEGER NOT NULL DEFAULT 0,
    note          TEXT
) STRICT;

CREATE TABLE delivery_audit(
    audit_id  INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    action    TEXT NOT NULL,
    target_id INTEGER,
    detail    TEXT NOT NULL
) STRICT;

-- What each target may be sent: barrier is NULL, or why this event stays here.
CREATE VIEW delivery_candidates(target_id, seq, event_id, bytes, barrier) AS
SELECT t.target_id, j.seq, j.event_id, j.bytes,
       CASE
           WHEN j.archived THEN 'archived'
           WHEN j.superseded THEN 'superseded'
           WHEN j.hold IS NOT NULL THEN j.hold
           WHEN j.tier = 0 THEN 'local_only'
           WHEN t.team_slug <> '' AND j.team IS NOT NULL AND j.team <> t.team_slug
                AND NOT EXISTS (SELECT 1 FROM delivery_included_teams i
                                WHERE i.target_id = t.target_id AND i.team_slug = j.team)
               THEN 'other_team'
           WHEN j.bytes > t.max_event_bytes THEN 'too_large'
       END
FROM delivery_targets t, journal_ids j;

-- What gc and archive may take, and under which name it has to be asked for (CONTRACT 6, Retention).
-- One plain select, so that a statement which looks at some events does not judge them all; CROSS
-- JOIN keeps SQLite from walking the ledger for each of them.
CREATE VIEW delivery_collectable(seq, reason) AS
SELECT j.seq, r.column1
FROM journal_ids j
CROSS JOIN (VALUES ('delivered'), ('dead'), ('local_only'), ('superseded')) r
WHERE CASE r.column1
    WHEN 'local_only' THEN j.tier = 0
    WHEN 'superseded' THEN j.superseded
    WHEN 'delivered' THEN
        EXISTS (SELECT 1 FROM delivery_epochs e
                CROSS JOIN delivery_ledger l
                  ON l.target_id = e.target_id AND l.epoch = e.epoch AND l.seq = j.seq
                WHERE l.state = 'delivered')
        AND NOT EXISTS (SELECT 1 FROM delivery_targets t
                        WHERE t.retired_at IS NULL
                          AND NOT EXISTS (SELECT 1 FROM delivery_ledger l
                                          WHERE l.target_id = t.target_id AND l.epoch = t.epoch
                                            AND l.seq = j.seq AND l.state = 'delivered'))
    WHEN 'dead' THEN
        EXISTS (SELECT 1 FROM delivery_targets t
                CROSS JOIN delivery_ledger l
                  ON l.target_id = t.target_id AND l.epoch = t.epoch AND l.seq = j.seq
                WHERE l.state IN ('dead_letter', 'terminal_failed'))
        AND NOT EXISTS (SELECT 1 FROM delivery_targets t
                        WHERE t.retired_at IS NULL
                          AND NOT EXISTS (SELECT 1 FROM delivery_ledger l
                                          WHERE l.target_id = t.target_id AND l.epoch = t.epoch
                                            AND l.seq = j.seq
                                            AND l.state IN ('delivered', 'dead_letter',
                                                            'terminal_failed')))
END;
