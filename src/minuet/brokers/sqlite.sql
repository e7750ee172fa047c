-- The append-only log of events in a SQLite file, and how far each group has read it.

-- name: schema
-- A CloudEvent has its attributes in columns (time in seconds since 1970-01-01 UTC) and its JSON data as body; what came
-- as bytes from elsewhere has no type, and its headers, if any, and bytes as they were.
CREATE TABLE IF NOT EXISTS minuet_log (
    seq INTEGER PRIMARY KEY, topic TEXT NOT NULL, key TEXT, id TEXT, source TEXT, type TEXT, time REAL,
    correlationid TEXT, causationid TEXT, traceparent TEXT, headers TEXT, body NOT NULL
);
-- Ids of one instance begin alike and in the order of time, so this index grows at its end.
CREATE UNIQUE INDEX IF NOT EXISTS minuet_log_identity ON minuet_log (id, source);
CREATE TABLE IF NOT EXISTS minuet_positions (
    consumer TEXT PRIMARY KEY, service TEXT NOT NULL, topics TEXT NOT NULL, position INTEGER NOT NULL
) WITHOUT ROWID;
-- Deliveries that a subscription holds outside a store's transaction; without an owner they wait their turn.
CREATE TABLE IF NOT EXISTS minuet_claims (
    consumer TEXT NOT NULL, seq INTEGER NOT NULL, key TEXT, owner TEXT, PRIMARY KEY (consumer, seq)
) WITHOUT ROWID;
-- How long the log was at an instant (seconds since 1970-01-01 UTC): what the trimming goes by.
CREATE TABLE IF NOT EXISTS minuet_log_buckets (at REAL PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;

-- name: provision
INSERT INTO minuet_positions (consumer, service, topics, position) VALUES (?, ?, ?, 0)
ON CONFLICT (consumer) DO UPDATE SET topics = excluded.topics WHERE topics <> excluded.topics;

-- name: publish
INSERT OR IGNORE INTO minuet_log
    (topic, key, id, source, type, time, correlationid, causationid, traceparent, headers, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- The same of events without what few have, a traceparent and extensions: to bind a NULL, Python's sqlite3 first asks
-- around whether somebody adapts it.
-- name: publish_plain
INSERT OR IGNORE INTO minuet_log (topic, key, id, source, type, time, correlationid, causationid, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: last
SELECT max(seq) FROM minuet_log;

-- name: position
SELECT position FROM minuet_positions WHERE consumer = ?;

-- name: position_and_last
SELECT position, (SELECT coalesce(max(seq), 0) FROM minuet_log) FROM minuet_positions WHERE consumer = ?;

-- name: move
UPDATE minuet_positions SET position = ? WHERE consumer = ?;

-- name: read
SELECT topic, key, id, source, type, time, correlationid, causationid, traceparent, headers, body, seq
FROM minuet_log
WHERE seq > ? AND topic IN (SELECT value FROM json_each(?)) ORDER BY seq LIMIT ?;

-- name: claims
SELECT seq, key, owner FROM minuet_claims WHERE consumer = ? ORDER BY seq;

-- name: claim
INSERT INTO minuet_claims (consumer, seq, key, owner) VALUES (?, ?, ?, ?);

-- name: claim_again
UPDATE minuet_claims SET owner = ? WHERE consumer = ? AND seq = ?;

-- name: read_claimed
SELECT topic, key, id, source, type, time, correlationid, causationid, traceparent, headers, body, seq
FROM minuet_log
WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq;

-- name: acknowledge
DELETE FROM minuet_claims WHERE consumer = ? AND seq = ? AND owner = ?;

-- name: release
UPDATE minuet_claims SET owner = NULL WHERE consumer = ? AND seq = ? AND owner = ?;

-- name: release_all
UPDATE minuet_claims SET owner = NULL WHERE consumer = ? AND owner = ?;

-- Ids that follow from each other begin alike.
-- name: instance_by_id
SELECT topic, key, id, source, type, time, correlationid, causationid, traceparent, headers, body, seq
FROM minuet_log
WHERE id >= :first AND id < :beyond AND (type IS NULL OR coalesce(correlationid, id) = :correlation_id) ORDER BY seq;

-- name: instance
SELECT topic, key, id, source, type, time, correlationid, causationid, traceparent, headers, body, seq
FROM minuet_log
WHERE type IS NULL OR correlationid = :correlation_id OR (correlationid IS NULL AND id = :correlation_id)
ORDER BY seq;

-- name: claimed
SELECT consumer, seq FROM minuet_claims;

-- name: positions
SELECT consumer, service, topics, position FROM minuet_positions;

-- name: progress
SELECT p.consumer, p.service, p.topics, (
    SELECT count(*) FROM minuet_log l
    WHERE l.seq > p.position AND l.topic IN (SELECT value FROM json_each(p.topics))
) + (SELECT count(*) FROM minuet_claims c WHERE c.consumer = p.consumer)
FROM minuet_positions p ORDER BY p.consumer;

-- name: next_relevant
SELECT min(seq) FROM minuet_log WHERE seq > ? AND topic IN (SELECT value FROM json_each(?));

-- name: oldest_claim
SELECT min(seq) FROM minuet_claims;

-- name: open_bucket
INSERT OR REPLACE INTO minuet_log_buckets (at, seq) SELECT ?, coalesce(max(seq), 0) FROM minuet_log;

-- name: bucket_end
SELECT max(seq) FROM minuet_log_buckets WHERE at <= ?;

-- name: trim_step
SELECT seq FROM minuet_log ORDER BY seq LIMIT 1 OFFSET ?;

-- name: trim
DELETE FROM minuet_log WHERE seq <= ?;

-- name: trim_except
DELETE FROM minuet_log WHERE seq <= ? AND (id IS NULL OR id NOT IN (SELECT value FROM json_each(?)));

-- name: drop_buckets
DELETE FROM minuet_log_buckets WHERE at < (SELECT max(at) FROM minuet_log_buckets WHERE at <= ?);
