-- The log of events in PostgreSQL, in the order of its transactions, and how far each group has read it.

-- name: schema
CREATE TABLE IF NOT EXISTS minuet_migrations (part TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (part, version));

-- A CloudEvent has its attributes in columns (time in seconds since 1970-01-01 UTC) and its JSON data as body; what came
-- as bytes from elsewhere has no type, and its headers, if any, and bytes (`octets`) as they were. `xid` is when it was
-- published: the last transaction that was over by then, or its own if that is younger. What was published after
-- another event was committed has no smaller one. Read is what lies below the oldest transaction that still runs, so
-- that no reader passes over a row that is not committed yet.
CREATE TABLE IF NOT EXISTS minuet_log (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xid XID8 NOT NULL DEFAULT pg_current_xact_id(),
    time DOUBLE PRECISION, topic TEXT COLLATE "C" NOT NULL, key TEXT, id TEXT COLLATE "C", source TEXT COLLATE "C",
    type TEXT, correlationid TEXT, causationid TEXT, traceparent TEXT, headers TEXT, body TEXT, octets BYTEA
);
CREATE UNIQUE INDEX IF NOT EXISTS minuet_log_identity ON minuet_log (id, source);
CREATE INDEX IF NOT EXISTS minuet_log_order ON minuet_log (topic, xid, seq);
CREATE TABLE IF NOT EXISTS minuet_positions (
    consumer TEXT PRIMARY KEY, service TEXT NOT NULL, topics TEXT[] NOT NULL,
    xid XID8 NOT NULL DEFAULT '0', seq BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
-- Deliveries that a subscription holds outside a store's transaction; without an owner they wait their turn.
CREATE TABLE IF NOT EXISTS minuet_claims (
    consumer TEXT NOT NULL, seq BIGINT NOT NULL, xid XID8 NOT NULL, key TEXT, owner TEXT, PRIMARY KEY (consumer, seq)
);
CREATE INDEX IF NOT EXISTS minuet_claims_seq ON minuet_claims (seq);
-- Which transactions had begun at an instant (seconds since 1970-01-01 UTC): what the trimming goes by.
CREATE TABLE IF NOT EXISTS minuet_log_buckets (at DOUBLE PRECISION PRIMARY KEY, xid XID8 NOT NULL);

-- name: provision
INSERT INTO minuet_positions (consumer, service, topics) VALUES ($1::text, $2::text, $3::text[])
ON CONFLICT (consumer) DO UPDATE SET topics = excluded.topics WHERE minuet_positions.topics <> excluded.topics;

-- name: publish
INSERT INTO minuet_log
    (xid, topic, key, id, source, type, time, correlationid, causationid, traceparent, headers, body, octets)
SELECT published.after, m.topic, m.key, m.id, m.source, m.type, m.time, m.correlationid, m.causationid, m.traceparent,
    m.headers, m.body, m.octets
FROM (
    SELECT greatest(
        pg_current_xact_id()::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1
    )::text::xid8 AS after
) published, unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::bytea[]) WITH ORDINALITY
    AS m (topic, key, id, source, type, time, correlationid, causationid, traceparent, headers, body, octets, place)
ORDER BY m.place ON CONFLICT (id, source) DO NOTHING;

-- name: lock
SELECT xid::text::bigint, seq FROM minuet_positions WHERE consumer = $1::text FOR UPDATE;

-- name: move
UPDATE minuet_positions SET xid = $2::text::xid8, seq = $3::bigint WHERE consumer = $1::text;

-- name: read
-- What follows a group's position, and whether anything is committed that a transaction before it, which is not over,
-- keeps from being read: always one row at least, without a number where nothing follows. OFFSET 0 has that asked once.
SELECT l.topic, l.key, l.id, l.source, l.type, l.time, l.correlationid, l.causationid, l.traceparent, l.headers,
    l.body, l.octets, l.seq, l.xid::text::bigint, p.xid::text::bigint, p.seq, held.back
FROM minuet_positions p CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT 1 FROM unnest(p.topics) AS t (topic) WHERE EXISTS (
            SELECT 1 FROM minuet_log w
            WHERE w.topic = t.topic AND w.xid >= pg_snapshot_xmin(pg_current_snapshot())
              AND (w.xid, w.seq) > (p.xid, p.seq)
        )
    ) AS back OFFSET 0
) held LEFT JOIN LATERAL (
    SELECT m.* FROM unnest(p.topics) AS t (topic) CROSS JOIN LATERAL (
        SELECT * FROM minuet_log
        WHERE topic = t.topic AND (xid, seq) > (p.xid, p.seq) AND xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xid, seq LIMIT $2::bigint
    ) m
    ORDER BY m.xid, m.seq LIMIT $2::bigint
) l ON true
WHERE p.consumer = $1::text ORDER BY l.xid, l.seq;

-- name: read_after
SELECT l.topic, l.key, l.id, l.source, l.type, l.time, l.correlationid, l.causationid, l.traceparent, l.headers,
    l.body, l.octets, l.seq, l.xid::text::bigint
FROM unnest($1::text[]) AS t (topic) CROSS JOIN LATERAL (
    SELECT * FROM minuet_log
    WHERE topic = t.topic AND (xid, seq) > ($3::bigint::text::xid8, $4::bigint)
      AND xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid, seq LIMIT $2::bigint
) l
ORDER BY l.xid, l.seq LIMIT $2::bigint;

-- name: pending
-- What `read` says at its end, by itself.
SELECT EXISTS (
    SELECT 1 FROM minuet_positions p CROSS JOIN LATERAL unnest(p.topics) AS t (topic)
    WHERE p.consumer = $1::text AND EXISTS (
        SELECT 1 FROM minuet_log w
        WHERE w.topic = t.topic AND w.xid >= pg_snapshot_xmin(pg_current_snapshot()) AND (w.xid, w.seq) > (p.xid, p.seq)
    )
);

-- name: horizon
-- How far `read`, `read_after` and `pending` look while some run in other databases, whose ids $elsewhere are: below the
-- oldest transaction that runs and could publish here.
WITH horizon AS MATERIALIZED (
    SELECT least(pg_current_xact_id_if_assigned(), pg_snapshot_xmax(pg_current_snapshot()), (
        SELECT running FROM pg_snapshot_xip(pg_current_snapshot()) AS running
        WHERE running <> ALL($elsewhere::text::xid8[]) ORDER BY running LIMIT 1
    )) AS xid
)

-- name: claims
SELECT seq, key, owner FROM minuet_claims WHERE consumer = $1::text ORDER BY xid, seq;

-- name: claim
INSERT INTO minuet_claims (consumer, seq, xid, key, owner)
SELECT $1::text, c.seq, c.xid::text::xid8, c.key, $5::text
FROM unnest($2::bigint[], $3::bigint[], $4::text[]) AS c (seq, xid, key);

-- name: claim_again
UPDATE minuet_claims SET owner = $1::text WHERE consumer = $2::text AND seq = ANY($3::bigint[]);

-- name: read_claimed
SELECT topic, key, id, source, type, time, correlationid, causationid, traceparent, headers, body, octets, seq
FROM minuet_log WHERE seq = ANY($1::bigint[]) ORDER BY xid, seq;

-- name: acknowledge
DELETE FROM minuet_claims WHERE consumer = $1::text AND seq = ANY($2::bigint[]) AND owner = $3::text;

-- name: release
UPDATE minuet_claims SET owner = NULL WHERE consumer = $1::text AND seq = ANY($2::bigint[]) AND owner = $3::text;

-- name: release_all
UPDATE minuet_claims SET owner = NULL WHERE consumer = $1::text AND owner = $2::text;

-- Ids that follow from each other begin alike.
-- name: instance_by_id
SELECT topic, key, id, source, type, time, correlationid, causationid, traceparent, headers, body, octets, seq,
    xid::text::bigint
FROM minuet_log
WHERE id >= $2::text AND id < $3::text AND (type IS NULL OR coalesce(correlationid, id) = $1::text) ORDER BY seq;

-- name: instance
SELECT topic, key, id, source, type, time, correlationid, causationid, traceparent, headers, body, octets, seq,
    xid::text::bigint
FROM minuet_log
WHERE type IS NULL OR correlationid = $1::text OR (correlationid IS NULL AND id = $1::text)
ORDER BY seq;

-- name: claimed
SELECT consumer, seq FROM minuet_claims;

-- name: positions
SELECT consumer, service, topics, xid::text::bigint, seq FROM minuet_positions;

-- name: progress
SELECT p.consumer, p.service, p.topics, (
    SELECT count(*) FROM minuet_log l WHERE l.topic = ANY(p.topics) AND (l.xid, l.seq) > (p.xid, p.seq)
) + (SELECT count(*) FROM minuet_claims c WHERE c.consumer = p.consumer)
FROM minuet_positions p ORDER BY p.consumer;

-- name: trimming_turn
SELECT pg_try_advisory_xact_lock($1::int, 4);

-- name: open_bucket
INSERT INTO minuet_log_buckets (at, xid) VALUES ($1::float8, pg_snapshot_xmin(pg_current_snapshot()))
ON CONFLICT (at) DO UPDATE SET xid = excluded.xid;

-- name: drop_buckets
DELETE FROM minuet_log_buckets WHERE at < (SELECT max(at) FROM minuet_log_buckets WHERE at <= $1::float8);

-- name: trim
DELETE FROM minuet_log WHERE seq IN (
    SELECT l.seq FROM minuet_log l
    WHERE l.xid < (SELECT max(b.xid::text::bigint)::text::xid8 FROM minuet_log_buckets b WHERE b.at <= $1::float8)
      AND (l.id IS NULL OR NOT l.id = ANY($2::text[]))
      AND NOT EXISTS (
          SELECT 1 FROM minuet_positions p WHERE l.topic = ANY(p.topics) AND (l.xid, l.seq) > (p.xid, p.seq)
      )
      AND NOT EXISTS (SELECT 1 FROM minuet_claims c WHERE c.seq = l.seq)
    ORDER BY l.seq LIMIT $3::bigint
);
