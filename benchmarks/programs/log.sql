-- minuet's event log, column for column, and how far each consumer has read it.

CREATE TABLE minuet_log (
    seq INTEGER PRIMARY KEY, topic TEXT NOT NULL, key TEXT, id TEXT, source TEXT, headers TEXT, body NOT NULL
);
CREATE UNIQUE INDEX minuet_log_identity ON minuet_log (id, source);
CREATE TABLE minuet_positions (consumer TEXT PRIMARY KEY, position INTEGER);
