CREATE TABLE receiver_rejections (
    number       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope        TEXT NOT NULL,
    at_ms        BIGINT NOT NULL,
    username     TEXT NOT NULL,
    event_id     TEXT,
    event_type   TEXT,
    project_uuid TEXT,
    category     TEXT NOT NULL,
    reason       TEXT NOT NULL
);

CREATE INDEX receiver_rejections_by_scope ON receiver_rejections (scope, number);

CREATE TABLE receiver_users (
    username      TEXT PRIMARY KEY,
    team          TEXT,
    projects      TEXT,
    password_hash TEXT NOT NULL,
    token_hash    TEXT,
    created_at_ms BIGINT NOT NULL
);
