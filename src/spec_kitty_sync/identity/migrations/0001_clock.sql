-- The Lamport clock of this home; ticked in the transaction that appends.
-- `journal_seq`: the journal's rows up to here are counted in `value`.
CREATE TABLE identity_clock (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    value       INTEGER NOT NULL CHECK (value >= 0),
    journal_seq INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO identity_clock (id, value) VALUES (1, 0);
