-- What services that share one SQLite file have yet to do. Each statement sees one moment of the file.

-- name: pulse
SELECT (SELECT max(seq) FROM minuet_log),
       (SELECT sum(position) FROM minuet_positions),
       (SELECT count(*) FROM minuet_positions),
       (SELECT count(*) FROM minuet_outbox),
       (SELECT sum(id) FROM minuet_parked WHERE settled_at IS NULL),
       (SELECT sum(attempts) FROM minuet_parked WHERE settled_at IS NULL),
       (SELECT sum(count) FROM minuet_counters);

-- name: waiting
SELECT p.consumer,
       (SELECT count(*) FROM minuet_log l
        WHERE l.seq > p.position AND l.topic IN (SELECT value FROM json_each(p.topics))) AS unread,
       (SELECT count(*) FROM minuet_parked k
        WHERE k.consumer = p.consumer AND k.settled_at IS NULL) AS parked,
       (SELECT count(*) FROM minuet_outbox) AS owed
FROM minuet_positions p;

-- name: events
SELECT id, topic, correlationid, causationid FROM minuet_log ORDER BY seq;

-- name: open_instances
SELECT count(*) FROM (
    SELECT correlationid FROM minuet_log WHERE topic IN (SELECT value FROM json_each(:starts))
    EXCEPT
    SELECT correlationid FROM minuet_log WHERE topic IN (SELECT value FROM json_each(:ends))
);
