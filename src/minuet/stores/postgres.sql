-- What a service keeps in PostgreSQL, beside its own tables. Instants are seconds since 1970-01-01 UTC.
-- A body is text in `body` or bytes in `octets`. Rows come and go in batches: arrays in, one statement each.

-- name: schema
CREATE TABLE IF NOT EXISTS minuet_migrations (part TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (part, version));

CREATE TABLE IF NOT EXISTS minuet_inbox (
    consumer TEXT NOT NULL, source TEXT NOT NULL, event_id TEXT COLLATE "C" NOT NULL, at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (event_id, consumer, source)
);
CREATE INDEX IF NOT EXISTS minuet_inbox_age ON minuet_inbox (at);

CREATE TABLE IF NOT EXISTS minuet_outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic TEXT NOT NULL, key TEXT, event_id TEXT, source TEXT, headers TEXT, body TEXT, octets BYTEA,
    at DOUBLE PRECISION NOT NULL, owner TEXT
);
CREATE INDEX IF NOT EXISTS minuet_outbox_held ON minuet_outbox (owner) WHERE owner IS NOT NULL;

-- A parked delivery is `due` at its instant, `behind` an older one of its key, `running` outside a transaction, or
-- `held`: dead, and its key waits for that. Settled ones are `handled` or `dead` and stay for the trace until trimmed.
CREATE TABLE IF NOT EXISTS minuet_parked (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer TEXT NOT NULL, topic TEXT NOT NULL, key TEXT, event_id TEXT, source TEXT, headers TEXT, body TEXT,
    octets BYTEA, attempts INTEGER NOT NULL, history TEXT NOT NULL, dead_letter BIGINT,
    state TEXT NOT NULL, due_at DOUBLE PRECISION, owner TEXT, settled_at DOUBLE PRECISION
);
CREATE INDEX IF NOT EXISTS minuet_parked_due ON minuet_parked (consumer, due_at) WHERE state = 'due';
CREATE INDEX IF NOT EXISTS minuet_parked_open ON minuet_parked (consumer, key, id) WHERE settled_at IS NULL;
CREATE INDEX IF NOT EXISTS minuet_parked_running ON minuet_parked (owner) WHERE state = 'running';
CREATE INDEX IF NOT EXISTS minuet_parked_age ON minuet_parked (settled_at) WHERE settled_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS minuet_dead_letters (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer TEXT NOT NULL, topic TEXT NOT NULL, key TEXT, event_id TEXT, source TEXT, correlation_id TEXT, type TEXT,
    headers TEXT, body TEXT, octets BYTEA, reason TEXT NOT NULL, error TEXT NOT NULL, trace TEXT NOT NULL,
    attempts INTEGER NOT NULL, history TEXT NOT NULL, at DOUBLE PRECISION NOT NULL,
    state TEXT NOT NULL, difference TEXT, because TEXT, changed_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX IF NOT EXISTS minuet_dead_letters_open ON minuet_dead_letters (event_id)
    WHERE state IN ('open', 'redriven');
CREATE INDEX IF NOT EXISTS minuet_dead_letters_instance ON minuet_dead_letters (correlation_id);

CREATE TABLE IF NOT EXISTS minuet_counters (
    service TEXT NOT NULL, name TEXT NOT NULL, count BIGINT NOT NULL, PRIMARY KEY (service, name)
);

CREATE TABLE IF NOT EXISTS minuet_manifests (service TEXT PRIMARY KEY, manifest TEXT NOT NULL);

-- Who owes holds from the birth, unless others owe of the same key: whose rows there are is asked with every insert.
-- name: schema_2
CREATE INDEX IF NOT EXISTS minuet_outbox_owner ON minuet_outbox (owner COLLATE "C");
DROP INDEX IF EXISTS minuet_outbox_held;

-- name: unit_turn
SELECT pg_advisory_xact_lock($1::int, 5);

-- name: inbox_seen
SELECT i.source, i.event_id FROM unnest($2::text[], $3::text[]) AS e (source, event_id)
JOIN minuet_inbox i ON i.event_id = e.event_id AND i.source = e.source AND i.consumer = $1::text;

-- name: inbox_remember
INSERT INTO minuet_inbox (consumer, source, event_id, at)
SELECT $1::text, e.source, e.event_id, $4::float8 FROM unnest($2::text[], $3::text[]) AS e (source, event_id)
ORDER BY e.event_id, e.source
ON CONFLICT DO NOTHING RETURNING source, event_id;

-- Which database this is: of a server since its start, and there by number, so that no address need be compared.
-- name: whereabouts
SELECT extract(epoch FROM pg_postmaster_start_time())::text || '/' || oid::text
FROM pg_database WHERE datname = current_database();

-- name: own_whereabouts
SELECT extract(epoch FROM pg_postmaster_start_time())::text || '/' || d.oid::text, n.nspname::text
FROM pg_database d, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.datname = current_database() AND c.oid = to_regclass('minuet_outbox');

-- name: outbox_owe
INSERT INTO minuet_outbox (topic, key, event_id, source, headers, body, octets, at)
SELECT m.topic, m.key, m.id, m.source, m.headers, m.body, m.octets, $8::float8
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
    WITH ORDINALITY AS m (topic, key, id, source, headers, body, octets, place)
ORDER BY m.place;

-- Held by who owes it, but for what has something of its key before it that is not: that keeps its place in the order.
-- Of a backlog nothing is held. A claim by $9 is from `member:born1:` to before `member:born1;`.
-- name: outbox_owe_held
WITH others AS MATERIALIZED (
    (SELECT key FROM minuet_outbox WHERE owner COLLATE "C" IS NULL ORDER BY owner COLLATE "C" LIMIT 2000)
    UNION ALL (
        SELECT key FROM minuet_outbox WHERE owner COLLATE "C" < $9::text ORDER BY owner COLLATE "C" LIMIT 2000
    )
    UNION ALL (
        SELECT key FROM minuet_outbox WHERE owner COLLATE "C" > rtrim($9::text, ':') || ';'
        ORDER BY owner COLLATE "C" LIMIT 2000
    )
)
INSERT INTO minuet_outbox (topic, key, event_id, source, headers, body, octets, at, owner)
SELECT m.topic, m.key, m.id, m.source, m.headers, m.body, m.octets, $8::float8,
    CASE WHEN (SELECT count(*) FROM others) >= 2000 OR m.key IN (SELECT key FROM others WHERE key IS NOT NULL) THEN NULL
    ELSE $9::text || (extract(epoch FROM statement_timestamp())::float8 + $10::float8)::text END
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
    WITH ORDINALITY AS m (topic, key, id, source, headers, body, octets, place)
ORDER BY m.place RETURNING id, owner;

-- name: outbox_free
UPDATE minuet_outbox SET owner = NULL WHERE owner = ANY($1::text[]);

-- name: outbox_oldest
SELECT id, topic, key, event_id, source, headers, body, octets, at, owner
FROM minuet_outbox ORDER BY id LIMIT $1::bigint;

-- Rows come and go: to whoever reads the table it is as long as it ever was, and only an index forgets what is gone.
-- name: outbox_by_index
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true);

-- name: outbox_turn
SELECT pg_advisory_xact_lock($1::int, 2);

-- A claim reads `member:number:until`; the number of what is held from its birth begins with `born`.
-- name: outbox_end_leases
UPDATE minuet_outbox SET owner = NULL WHERE id IN (
    SELECT id FROM (SELECT id, owner FROM minuet_outbox ORDER BY id LIMIT 1024) oldest
    WHERE nullif(split_part(owner, ':', 3), '')::float8 <= extract(epoch FROM clock_timestamp())::float8
);

-- The oldest rows that nobody holds. Behind what somebody else has claimed nothing is given, and behind what is held
-- from its birth nothing of its key, by whomever.
-- name: outbox_hold
WITH free AS MATERIALIZED (
    SELECT id, key, coalesce(octet_length(body), octet_length(octets)) AS bytes
    FROM minuet_outbox WHERE owner IS NULL AND NOT topic = ANY($1::text[]) ORDER BY id LIMIT $2::bigint
),
held AS MATERIALIZED (
    SELECT id, key, topic, split_part(owner, ':', 1) AS member, starts_with(split_part(owner, ':', 2), 'born') AS born
    FROM minuet_outbox WHERE owner COLLATE "C" IS NOT NULL AND id < (SELECT max(id) FROM free)
),
barrier AS MATERIALIZED (
    SELECT min(id) AS id FROM held
    WHERE NOT born AND member <> split_part($3::text, ':', 1) AND NOT topic = ANY($1::text[])
),
given AS (
    SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS before_it FROM free f
    WHERE id < coalesce((SELECT id FROM barrier), id + 1)
        AND NOT EXISTS (SELECT FROM held h WHERE h.born AND h.key = f.key AND h.id < f.id)
)
UPDATE minuet_outbox o SET owner = $3::text || (extract(epoch FROM clock_timestamp())::float8 + $4::float8)::text
FROM given g WHERE o.id = g.id AND g.before_it < $5::bigint
RETURNING o.id, o.topic, o.key, o.event_id, o.source, o.headers, o.body, o.octets, o.at, o.owner;

-- Who holds the oldest rows; NULL where nobody does.
-- name: outbox_holders
SELECT DISTINCT owner FROM (SELECT owner, topic FROM minuet_outbox ORDER BY id LIMIT 1024) oldest
WHERE NOT topic = ANY($1::text[]);

-- A transaction of its own. Should the server forget it, they are published again, under the ids that they had.
-- name: outbox_paid
DELETE FROM minuet_outbox o
USING unnest($1::bigint[], $2::text[]) AS p (id, claim), set_config('synchronous_commit', 'off', true)
WHERE o.id = p.id AND o.owner = p.claim;

-- name: outbox_unclaim
UPDATE minuet_outbox o SET owner = NULL FROM unnest($1::bigint[], $2::text[]) AS p (id, claim)
WHERE o.id = p.id AND o.owner = p.claim;

-- name: parked_busy
SELECT 1 FROM minuet_parked WHERE consumer = $1::text AND settled_at IS NULL LIMIT 1;

-- A plan outlives the moment it was made in, when next to nothing may have been parked.
-- name: parked_by_index
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true);

-- Locked is the newest of each key, so that what settles it waits until whoever parks behind it has committed, and
-- promotes that too. Any one would do; the oldest is what others run. One that was settled meanwhile is seen and not
-- locked: then ask again, because what others parked before that may not be in this look.
-- name: parked_blocked
WITH seen AS MATERIALIZED (
    SELECT k.key, newest.id FROM unnest($2::text[]) AS k (key) CROSS JOIN LATERAL (
        SELECT p.key, p.id FROM minuet_parked p
        WHERE p.consumer = $1::text AND p.key <= k.key AND p.settled_at IS NULL ORDER BY p.key DESC, p.id DESC LIMIT 1
    ) newest
    WHERE newest.key = k.key
),
locked AS MATERIALIZED (
    SELECT p.id FROM minuet_parked p
    WHERE p.id = ANY(ARRAY(SELECT id FROM seen)) AND p.state NOT IN ('handled', 'dead')
    ORDER BY p.id FOR SHARE
)
SELECT s.key, EXISTS (SELECT FROM locked l WHERE l.id = s.id) FROM seen s;

-- name: parked_behind
SELECT count(*) FROM (
    SELECT FROM minuet_parked WHERE consumer = $1::text AND state = 'behind' AND settled_at IS NULL
    AND EXISTS (
        SELECT FROM minuet_parked WHERE consumer = $1::text AND state = 'running'
        UNION ALL SELECT FROM minuet_parked WHERE consumer = $1::text AND state = 'due' AND due_at <= $2::float8
    )
    LIMIT $3::bigint
) waiting;

-- name: park
INSERT INTO minuet_parked
    (consumer, topic, key, event_id, source, headers, body, octets, attempts, history, dead_letter, state, due_at, owner)
SELECT p.consumer, p.topic, p.key, p.event_id, p.source, p.headers, p.body, p.octets, p.attempts, p.history,
    nullif(p.dead_letter, 0), $12::text, $13::float8, $14::text
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
    $9::bigint[], $10::text[], $11::bigint[])
    WITH ORDINALITY AS p (consumer, topic, key, event_id, source, headers, body, octets, attempts, history, dead_letter,
        place)
ORDER BY p.place RETURNING id;

-- name: parked_due
SELECT id, consumer, topic, key, event_id, source, headers, body, octets, attempts, history, dead_letter
FROM minuet_parked
WHERE consumer = $1::text AND state = 'due' AND due_at <= $2::float8 ORDER BY due_at, id LIMIT $3::bigint
FOR UPDATE SKIP LOCKED;

-- name: parked_run
UPDATE minuet_parked SET state = 'running', due_at = NULL, owner = $1::text, attempts = attempts + 1
WHERE id = ANY($2::bigint[]);

-- name: parked_postpone
UPDATE minuet_parked SET state = 'due', due_at = $1::float8, owner = NULL, attempts = $2::int, history = $3::text
WHERE id = $4::bigint;

-- name: parked_settle
UPDATE minuet_parked SET state = $1::text, settled_at = $2::float8, due_at = NULL, owner = NULL
WHERE id = ANY($3::bigint[]);

-- name: parked_forget
DELETE FROM minuet_parked
WHERE id = ANY($1::bigint[]) AND attempts <= 1 AND history = '[]' AND dead_letter IS NULL;

-- One look for each key, however many wait behind it: in the order of the one index that has the keys.
-- name: parked_promote
UPDATE minuet_parked SET state = 'due', due_at = $3::float8
WHERE state = 'behind' AND id = ANY(ARRAY(
    SELECT first.id FROM unnest($2::text[]) AS k (key) CROSS JOIN LATERAL (
        SELECT p.key, p.id FROM minuet_parked p
        WHERE p.consumer = $1::text AND p.key >= k.key AND p.settled_at IS NULL ORDER BY p.key, p.id LIMIT 1
    ) first
    WHERE first.key = k.key
));

-- name: owners
SELECT owner FROM minuet_parked WHERE state = 'running' UNION
SELECT owner FROM (SELECT owner FROM minuet_outbox ORDER BY id LIMIT 1024) oldest WHERE owner IS NOT NULL;

-- name: parked_reclaim
UPDATE minuet_parked SET state = 'due', due_at = $1::float8, owner = NULL
WHERE state = 'running' AND owner = ANY($2::text[]);

-- name: parked_running
SELECT id FROM minuet_parked WHERE id = ANY($1::bigint[]) AND state = 'running' AND owner = $2::text FOR UPDATE;

-- name: parked_owned
SELECT id, consumer, topic, key, event_id, source, headers, body, octets, attempts, history, dead_letter
FROM minuet_parked WHERE consumer = $1::text AND state = 'running' AND owner = $2::text ORDER BY id FOR UPDATE;

-- name: parked_give_back
UPDATE minuet_parked SET state = 'due', due_at = $1::float8, owner = NULL, attempts = attempts - 1
WHERE id = ANY($2::bigint[]) AND state = 'running' AND owner = $3::text;

-- name: parked_next_due
SELECT min(due_at) FROM minuet_parked WHERE consumer = $1::text AND state = 'due';

-- name: parked_waiting_behind
SELECT count(*) FROM minuet_parked
WHERE consumer = $1::text AND key = $2::text AND settled_at IS NULL AND state <> 'held';

-- name: parked_standing
SELECT id, consumer, topic, key, event_id, source, headers, body, octets, attempts, history, dead_letter,
       state, due_at, settled_at
FROM minuet_parked
WHERE ($1::text[] IS NULL OR event_id = ANY($1::text[]))
  AND ($2::text IS NULL OR consumer = $2::text) AND ($3::text IS NULL OR key = $3::text)
  AND (NOT $4::boolean OR settled_at IS NULL) AND ($5::text[] IS NULL OR state = ANY($5::text[]))
ORDER BY id LIMIT $6::bigint;

-- name: parked_held
-- Through its key, which an index knows: only what has one is held.
SELECT p.id FROM minuet_dead_letters d
JOIN minuet_parked p ON p.consumer = d.consumer AND p.key = d.key AND p.settled_at IS NULL
WHERE d.id = $1::bigint AND p.dead_letter = d.id AND p.state = 'held' FOR UPDATE OF p;

-- name: parked_hold
UPDATE minuet_parked
SET state = 'held', due_at = NULL, owner = NULL, dead_letter = $1::bigint, attempts = $2::int, history = $3::text
WHERE id = $4::bigint;

-- name: parked_release_held
UPDATE minuet_parked
SET state = 'due', due_at = $1::float8, attempts = 0, body = $2::text, octets = $3::bytea, headers = $4::text
WHERE id = $5::bigint;

-- name: unsettled
SELECT event_id FROM minuet_dead_letters WHERE state IN ('open', 'redriven') AND event_id IS NOT NULL
UNION SELECT event_id FROM minuet_parked WHERE settled_at IS NULL AND event_id IS NOT NULL;

-- name: trimming_turn
SELECT pg_try_advisory_xact_lock($1::int, 3);

-- name: parked_trim
DELETE FROM minuet_parked WHERE id IN (
    SELECT id FROM minuet_parked WHERE settled_at IS NOT NULL AND settled_at < $1::float8 ORDER BY settled_at LIMIT 2000
);

-- name: inbox_trim
DELETE FROM minuet_inbox WHERE (event_id, consumer, source) IN (
    SELECT event_id, consumer, source FROM minuet_inbox i WHERE at < $1::float8
    AND NOT EXISTS (SELECT 1 FROM minuet_dead_letters d
                    WHERE d.event_id = i.event_id AND d.state IN ('open', 'redriven'))
    AND NOT EXISTS (SELECT 1 FROM minuet_parked p WHERE p.settled_at IS NULL AND p.event_id = i.event_id)
    LIMIT 2000
);

-- name: dead_letters_trim
DELETE FROM minuet_dead_letters WHERE id IN (
    SELECT id FROM minuet_dead_letters WHERE state IN ('resolved', 'discarded') AND changed_at < $1::float8 LIMIT 2000
);

-- name: bury
INSERT INTO minuet_dead_letters
    (consumer, topic, key, event_id, source, correlation_id, type, headers, body, octets, reason, error, trace,
     attempts, history, at, state, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'open', $16) RETURNING id;

-- name: bury_again
UPDATE minuet_dead_letters SET state = 'open', reason = $1, error = $2, trace = $3, attempts = attempts + $4::int,
    history = $5, at = $6::float8, changed_at = $6::float8 WHERE id = $7::bigint;

-- name: dead_letters_resolved
UPDATE minuet_dead_letters SET state = 'resolved', changed_at = $1::float8 WHERE id = ANY($2::bigint[]);

-- name: dead_letter_leave_open
UPDATE minuet_dead_letters SET state = $1::text, difference = $2::text, because = $3::text, changed_at = $4::float8
WHERE id = $5::bigint AND state = 'open';

-- name: dead_letters
SELECT id, consumer, topic, key, event_id, source, correlation_id, type, headers, body, octets, reason, error, trace,
       attempts, history, at, state, difference, because
FROM minuet_dead_letters
WHERE ($1::text IS NULL OR state = $1::text)
  AND ($2::text IS NULL OR consumer = $2::text OR starts_with(consumer, $2::text || '.'))
  AND ($3::text IS NULL OR topic = $3::text) AND ($4::text IS NULL OR reason = $4::text)
  AND ($5::text IS NULL OR correlation_id = $5::text) AND ($6::text IS NULL OR key = $6::text)
  AND ($7::bigint[] IS NULL OR id = ANY($7::bigint[])) AND ($8::text[] IS NULL OR event_id = ANY($8::text[]))
ORDER BY id LIMIT $9::bigint;

-- name: dead_letters_survey
SELECT id, consumer, topic, key, event_id, correlation_id, type, reason, error, attempts, at, state
FROM minuet_dead_letters
WHERE ($1::text IS NULL OR state = $1::text)
  AND ($2::text IS NULL OR consumer = $2::text OR starts_with(consumer, $2::text || '.'))
  AND ($3::text IS NULL OR topic = $3::text) AND ($4::text IS NULL OR reason = $4::text)
  AND ($5::text IS NULL OR correlation_id = $5::text) AND ($6::text IS NULL OR key = $6::text)
  AND ($7::bigint[] IS NULL OR id = ANY($7::bigint[])) AND ($8::text[] IS NULL OR event_id = ANY($8::text[]))
ORDER BY id;

-- name: dead_letters_by_id
SELECT id, consumer, topic, key, event_id, source, correlation_id, type, headers, body, octets, reason, error, trace,
       attempts, history, at, state, difference, because
FROM minuet_dead_letters WHERE id = ANY($1::bigint[]) ORDER BY id;

-- name: count
INSERT INTO minuet_counters (service, name, count) VALUES ($1, $2, $3)
ON CONFLICT (service, name) DO UPDATE SET count = minuet_counters.count + excluded.count;

-- name: counts
SELECT service, name, count FROM minuet_counters ORDER BY service, name;

-- name: manifest_keep
INSERT INTO minuet_manifests (service, manifest) VALUES ($1, $2)
ON CONFLICT (service) DO UPDATE SET manifest = excluded.manifest WHERE minuet_manifests.manifest <> excluded.manifest;

-- name: manifests
SELECT service, manifest FROM minuet_manifests ORDER BY service;
