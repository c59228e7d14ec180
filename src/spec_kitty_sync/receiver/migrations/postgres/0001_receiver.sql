CREATE TABLE receiver_identity (
    only_row           INTEGER PRIMARY KEY CHECK (only_row = 1),
    server_instance_id TEXT NOT NULL,
    signing_secret     BYTEA NOT NULL
);

CREATE TABLE receiver_events (
    seq            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope          TEXT NOT NULL,
    event_id       TEXT COLLATE "C" NOT NULL,
    event_type     TEXT NOT NULL,
    project_uuid   TEXT COLLATE "C" NOT NULL,
    mission        TEXT,
    team           TEXT,
    received_at_ms BIGINT NOT NULL,
    settles_at_ms  BIGINT NOT NULL,
    body           BYTEA NOT NULL,
    UNIQUE (scope, event_id)
);

CREATE INDEX receiver_events_by_project ON receiver_events (scope, project_uuid, seq);
CREATE INDEX receiver_events_by_scope ON receiver_events (scope, seq);
