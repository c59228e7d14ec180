ALTER TABLE receiver_events ADD COLUMN mission TEXT;
ALTER TABLE receiver_events ADD COLUMN team TEXT;

UPDATE receiver_events SET
    team = CAST(body AS TEXT) ->> '$.team_slug',
    mission = coalesce(
        CAST(body AS TEXT) ->> '$.payload.mission_slug',
        CAST(body AS TEXT) ->> '$.payload.feature_slug',
        CAST(body AS TEXT) ->> '$.payload.namespace.mission_slug',
        CAST(body AS TEXT) ->> '$.payload.namespace.feature_slug',
        CAST(body AS TEXT) ->> '$.payload.mission_id'
    );

CREATE INDEX receiver_events_by_scope ON receiver_events (scope, seq);

CREATE TABLE receiver_rejections (
    number       INTEGER PRIMARY KEY,
    scope        TEXT NOT NULL,
    at_ms        INTEGER NOT NULL,
    username     TEXT NOT NULL,
    event_id     TEXT,
    event_type   TEXT,
    project_uuid TEXT,
    category     TEXT NOT NULL,
    reason       TEXT NOT NULL
) STRICT;

CREATE INDEX receiver_rejections_by_scope ON receiver_rejections (scope, number);

CREATE TABLE receiver_users (
    username      TEXT PRIMARY KEY,
    team          TEXT,
    projects      TEXT,
    password_hash TEXT NOT NULL,
    token_hash    TEXT,
    created_at_ms INTEGER NOT NULL
) STRICT;
