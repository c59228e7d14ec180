CREATE TABLE receiver_identity (
    only_row           INTEGER PRIMARY KEY CHECK (only_row = 1),
    server_instance_id TEXT NOT NULL,
    signing_secret     BLOB NOT NULL
) STRICT;

CREATE TABLE receiver_events (
    seq            INTEGER PRIMARY KEY,
    scope          TEXT NOT NULL,
    event_id       TEXT NOT NULL,
    event_type     TEXT NOT NULL,
    project_uuid   TEXT NOT NULL,
    received_at_ms INTEGER NOT NULL,
    settles_at_ms  INTEGER NOT NULL,
    body           BLOB NOT NULL,
    UNIQUE (scope, event_id)
) STRICT;

CREATE INDEX receiver_events_by_project ON receiver_events (scope, project_uuid, seq);
