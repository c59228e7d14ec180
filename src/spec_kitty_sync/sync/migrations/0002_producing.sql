-- Why events wait, beside the events: runs of consecutive seqs that share a reason. Written with
-- the append, replaced by the outcome of each attempt to deliver.
CREATE TABLE sync_blocked (
    first_seq INTEGER PRIMARY KEY,
    last_seq  INTEGER NOT NULL CHECK (last_seq >= first_seq),
    reason    TEXT    NOT NULL,
    since_ms  INTEGER NOT NULL
) STRICT;

CREATE VIEW sync_blocked_events (seq, event_id, drain_blocked_reason) AS
SELECT j.seq, j.event_id, b.reason
FROM sync_blocked b JOIN journal_ids j ON j.seq BETWEEN b.first_seq AND b.last_seq;

-- The correlation id of each mission that is under way.
CREATE TABLE sync_correlation (
    id             INTEGER PRIMARY KEY,
    project        TEXT NOT NULL,
    mission        TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    UNIQUE (project, mission)
) STRICT;
