-- What became of the instances of a run whose broker is a database.

-- name: events
SELECT id, topic, correlationid, causationid FROM minuet_log ORDER BY seq;
