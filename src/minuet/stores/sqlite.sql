-- What a service keeps in SQLite, beside its own tables. Instants are seconds since 1970-01-01 UTC.

-- name: schema
CREATE TABLE IF NOT EXISTS minuet_inbox (
    consumer TEXT NOT NULL, source TEXT NOT NULL, event_id TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (event_id, consumer, source)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS minuet_inbox_age ON minuet_inbox (at);

CREATE TABLE IF NOT EXISTS minuet_outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL, key TEXT, event_id TEXT, source TEXT, headers TEXT, body NOT NULL,
    at REAL NOT NULL, owner TEXT
);
CREATE INDEX IF NOT EXISTS minuet_outbox_held ON minuet_outbox (owner) WHERE owner IS NOT NULL;

-- A parked delivery is `due` at its instant, `behind` an older one of its key, `running` outside a transaction, or
-- `held`: dead, and its key waits for that. Settled ones are `handled` or `dead` and stay for the trace until trimmed.
CREATE TABLE IF NOT EXISTS minuet_parked (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer TEXT NOT NULL, topic TEXT NOT NULL, key TEXT, event_id TEXT, source TEXT, headers TEXT, body NOT NULL,
    attempts INTEGER NOT NULL, history TEXT NOT NULL, dead_letter INTEGER,
    state TEXT NOT NULL, due_at REAL, owner TEXT, settled_at REAL
);
CREATE INDEX IF NOT EXISTS minuet_parked_due ON minuet_parked (consumer, due_at) WHERE state = 'due';
CREATE INDEX IF NOT EXISTS minuet_parked_open ON minuet_parked (consumer, key, id) WHERE settled_at IS NULL;
CREATE INDEX IF NOT EXISTS minuet_parked_running ON minuet_parked (owner) WHERE state = 'running';
CREATE INDEX IF NOT EXISTS minuet_parked_age ON minuet_parked (settled_at) WHERE settled_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS minuet_dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer TEXT NOT NULL, topic TEXT NOT NULL, key TEXT, event_id TEXT, source TEXT, correlation_id TEXT, type TEXT,
    headers TEXT, body NOT NULL, reason TEXT NOT NULL, error TEXT NOT NULL, trace TEXT NOT NULL,
    attempts INTEGER NOT NULL, history TEXT NOT NULL, at REAL NOT NULL,
    state TEXT NOT NULL, difference TEXT, because TEXT, changed_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS minuet_dead_letters_open ON minuet_dead_letters (event_id) WHERE state IN ('open', 'redriven');
CREATE INDEX IF NOT EXISTS minuet_dead_letters_instance ON minuet_dead_letters (correlation_id);

CREATE TABLE IF NOT EXISTS minuet_counters (
    service TEXT NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (service, name)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS minuet_manifests (service TEXT PRIMARY KEY, manifest TEXT NOT NULL) WITHOUT ROWID;

-- name: inbox_seen
SELECT i.source, i.event_id FROM json_each(:identities) e
JOIN minuet_inbox i ON i.event_id = e.value ->> 1 AND i.consumer = :consumer AND i.source = e.value ->> 0;

-- name: inbox_seen_one
SELECT source, event_id FROM minuet_inbox WHERE consumer = ? AND source = ? AND event_id = ?;

-- name: inbox_remember
INSERT INTO minuet_inbox (consumer, source, event_id, at) VALUES (?, ?, ?, ?);

-- name: outbox_owe
INSERT INTO minuet_outbox (topic, key, event_id, source, headers, body, at) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: outbox_free
UPDATE minuet_outbox SET owner = NULL WHERE owner = :owner;

-- name: outbox_oldest
SELECT id, topic, key, event_id, source, headers, body, at, owner FROM minuet_outbox ORDER BY id LIMIT ?;

-- name: outbox_claimable
SELECT id, topic, key, event_id, source, headers, body, at, owner FROM minuet_outbox
WHERE topic NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?;

-- name: outbox_hold
UPDATE minuet_outbox SET owner = ? WHERE id = ?;

-- name: outbox_paid
DELETE FROM minuet_outbox WHERE id = ? AND owner = ?;

-- name: outbox_unclaim
UPDATE minuet_outbox SET owner = NULL WHERE id = ? AND owner = ?;

-- name: outbox_any
SELECT 1 FROM minuet_outbox LIMIT 1;

-- name: parked_busy
SELECT 1 FROM minuet_parked WHERE consumer = ? AND settled_at IS NULL LIMIT 1;

-- name: parked_blocked
-- One look for each key, however many wait behind it.
SELECT k.key FROM (SELECT value AS key FROM json_each(:listed) UNION SELECT :whole) k
WHERE EXISTS (SELECT 1 FROM minuet_parked p WHERE p.consumer = :consumer AND p.key = k.key AND p.settled_at IS NULL);

-- name: parked_behind
SELECT count(*) FROM (
    SELECT 1 FROM minuet_parked WHERE consumer = :consumer AND settled_at IS NULL AND state = 'behind'
    AND (EXISTS (SELECT 1 FROM minuet_parked WHERE state = 'running' AND owner IS NOT NULL AND consumer = :consumer)
         OR EXISTS (SELECT 1 FROM minuet_parked WHERE consumer = :consumer AND state = 'due' AND due_at <= :now))
    LIMIT :most
);

-- name: park
INSERT INTO minuet_parked
    (consumer, topic, key, event_id, source, headers, body, attempts, history, dead_letter, state, due_at, owner)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: last_parked
SELECT last_insert_rowid();

-- name: parked_due
SELECT id, consumer, topic, key, event_id, source, headers, body, attempts, history, dead_letter FROM minuet_parked
WHERE consumer = ? AND state = 'due' AND due_at <= ? ORDER BY due_at, id LIMIT ?;

-- name: parked_run
UPDATE minuet_parked SET state = 'running', due_at = NULL, owner = ?, attempts = attempts + 1 WHERE id = ?;

-- name: parked_postpone
UPDATE minuet_parked SET state = 'due', due_at = ?, owner = NULL, attempts = ?, history = ? WHERE id = ?;

-- name: parked_settle
UPDATE minuet_parked SET state = :state, settled_at = :at, due_at = NULL, owner = NULL
WHERE id IN (SELECT value FROM json_each(:ids));

-- name: parked_forget
DELETE FROM minuet_parked
WHERE id IN (SELECT value FROM json_each(?)) AND attempts <= 1 AND history = '[]' AND dead_letter IS NULL;

-- name: parked_promote
-- One look for each key, however many wait behind it.
UPDATE minuet_parked SET state = 'due', due_at = :at
WHERE state = 'behind' AND id IN (
    SELECT (SELECT min(p.id) FROM minuet_parked p
            WHERE p.consumer = :consumer AND p.key = k.key AND p.settled_at IS NULL)
    FROM (SELECT value AS key FROM json_each(:listed) UNION SELECT :whole) k
);

-- name: owners
SELECT owner FROM minuet_parked WHERE state = 'running' UNION SELECT owner FROM minuet_outbox WHERE owner IS NOT NULL;

-- name: parked_reclaim
UPDATE minuet_parked SET state = 'due', due_at = :now, owner = NULL
WHERE state = 'running' AND owner = :owner;

-- name: parked_running
SELECT id FROM minuet_parked
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'running' AND owner = :owner;

-- name: parked_owned
SELECT id, consumer, topic, key, event_id, source, headers, body, attempts, history, dead_letter FROM minuet_parked
WHERE consumer = ? AND state = 'running' AND owner = ? ORDER BY id;

-- name: parked_give_back
UPDATE minuet_parked SET state = 'due', due_at = ?, owner = NULL, attempts = attempts - 1
WHERE id = ? AND state = 'running' AND owner = ?;

-- name: parked_next_due
SELECT min(due_at) FROM minuet_parked WHERE consumer = ? AND state = 'due';

-- name: parked_waiting_behind
SELECT count(*) FROM minuet_parked WHERE consumer = ? AND key = ? AND settled_at IS NULL AND state <> 'held';

-- name: parked_standing
SELECT id, consumer, topic, key, event_id, source, headers, body, attempts, history, dead_letter,
       state, due_at, settled_at, owner
FROM minuet_parked
WHERE (:event_ids IS NULL OR event_id IN (SELECT value FROM json_each(:event_ids)))
  AND (:consumer IS NULL OR consumer = :consumer) AND (:key IS NULL OR key = :key)
  AND (NOT :unsettled OR settled_at IS NULL)
  AND (:states IS NULL OR state IN (SELECT value FROM json_each(:states)))
ORDER BY id LIMIT :limit;

-- name: parked_held
-- Through its key, which an index knows: only what has one is held.
SELECT p.id FROM minuet_dead_letters d
JOIN minuet_parked p ON p.consumer = d.consumer AND p.key = d.key AND p.settled_at IS NULL
WHERE d.id = ? AND p.dead_letter = d.id AND p.state = 'held';

-- name: parked_hold
UPDATE minuet_parked SET state = 'held', due_at = NULL, owner = NULL, dead_letter = ?, attempts = ?, history = ?
WHERE id = ?;

-- name: parked_release_held
UPDATE minuet_parked SET state = 'due', due_at = ?, attempts = 0, body = ?, headers = ? WHERE id = ?;

-- name: unsettled
SELECT event_id FROM minuet_dead_letters WHERE state IN ('open', 'redriven') AND event_id IS NOT NULL
UNION SELECT event_id FROM minuet_parked WHERE settled_at IS NULL AND event_id IS NOT NULL;

-- name: anything_to_trim
SELECT 1 WHERE EXISTS (SELECT 1 FROM minuet_inbox WHERE at < :before)
    OR EXISTS (SELECT 1 FROM minuet_parked WHERE settled_at IS NOT NULL AND settled_at < :before)
    OR EXISTS (SELECT 1 FROM minuet_dead_letters WHERE state IN ('resolved', 'discarded') AND changed_at < :before);

-- name: parked_trim
DELETE FROM minuet_parked WHERE id IN (
    SELECT id FROM minuet_parked WHERE settled_at IS NOT NULL AND settled_at < ? ORDER BY settled_at LIMIT 2000
);

-- name: inbox_trim
DELETE FROM minuet_inbox WHERE (event_id, consumer, source) IN (
    SELECT event_id, consumer, source FROM minuet_inbox i WHERE at < ?
    AND NOT EXISTS (SELECT 1 FROM minuet_dead_letters d
                    WHERE d.event_id = i.event_id AND d.state IN ('open', 'redriven'))
    AND event_id NOT IN (SELECT event_id FROM minuet_parked WHERE settled_at IS NULL AND event_id IS NOT NULL)
    LIMIT 2000
);

-- name: dead_letters_trim
DELETE FROM minuet_dead_letters WHERE id IN (
    SELECT id FROM minuet_dead_letters WHERE state IN ('resolved', 'discarded') AND changed_at < ? LIMIT 2000
);

-- name: bury
INSERT INTO minuet_dead_letters
    (consumer, topic, key, event_id, source, correlation_id, type, headers, body, reason, error, trace,
     attempts, history, at, state, changed_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?);

-- name: bury_again
UPDATE minuet_dead_letters SET state = 'open', reason = ?, error = ?, trace = ?, attempts = attempts + ?,
    history = ?, at = ?, changed_at = ? WHERE id = ?;

-- name: dead_letters_resolved
UPDATE minuet_dead_letters SET state = 'resolved', changed_at = :at WHERE id IN (SELECT value FROM json_each(:ids));

-- name: dead_letter_leave_open
UPDATE minuet_dead_letters SET state = :state, difference = :difference, because = :because, changed_at = :at
WHERE id = :id AND state = 'open';

-- name: dead_letters
SELECT id, consumer, topic, key, event_id, source, correlation_id, type, headers, body, reason, error, trace,
       attempts, history, at, state, difference, because
FROM minuet_dead_letters
WHERE (:state IS NULL OR state = :state)
  AND (:consumer IS NULL OR consumer = :consumer OR substr(consumer, 1, length(:consumer) + 1) = :consumer || '.')
  AND (:topic IS NULL OR topic = :topic) AND (:reason IS NULL OR reason = :reason)
  AND (:correlation_id IS NULL OR correlation_id = :correlation_id) AND (:key IS NULL OR key = :key)
  AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
  AND (:event_ids IS NULL OR event_id IN (SELECT value FROM json_each(:event_ids)))
ORDER BY id LIMIT :limit;

-- name: dead_letters_survey
SELECT id, consumer, topic, key, event_id, correlation_id, type, reason, error, attempts, at, state
FROM minuet_dead_letters
WHERE (:state IS NULL OR state = :state)
  AND (:consumer IS NULL OR consumer = :consumer OR substr(consumer, 1, length(:consumer) + 1) = :consumer || '.')
  AND (:topic IS NULL OR topic = :topic) AND (:reason IS NULL OR reason = :reason)
  AND (:correlation_id IS NULL OR correlation_id = :correlation_id) AND (:key IS NULL OR key = :key)
  AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
  AND (:event_ids IS NULL OR event_id IN (SELECT value FROM json_each(:event_ids)))
ORDER BY id;

-- name: dead_letters_by_id
SELECT id, consumer, topic, key, event_id, source, correlation_id, type, headers, body, reason, error, trace,
       attempts, history, at, state, difference, because
FROM minuet_dead_letters WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id;

-- name: count
INSERT INTO minuet_counters (service, name, count) VALUES (?, ?, ?)
ON CONFLICT (service, name) DO UPDATE SET count = count + excluded.count;

-- name: counts
SELECT service, name, count FROM minuet_counters ORDER BY service, name;

-- name: manifest_keep
INSERT INTO minuet_manifests (service, manifest) VALUES (?, ?)
ON CONFLICT (service) DO UPDATE SET manifest = excluded.manifest WHERE manifest IS NOT excluded.manifest;

-- name: manifests
SELECT service, manifest FROM minuet_manifests ORDER BY service;
