-- minuet's event log in PostgreSQL, column for column and index for index, and how far each consumer has read it.

CREATE TABLE minuet_log (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xid XID8 NOT NULL DEFAULT pg_current_xact_id(),
    time DOUBLE PRECISION, topic TEXT COLLATE "C" NOT NULL, key TEXT, id TEXT COLLATE "C", source TEXT COLLATE "C",
    type TEXT, correlationid TEXT, causationid TEXT, traceparent TEXT, headers TEXT, body TEXT, octets BYTEA
);
CREATE UNIQUE INDEX minuet_log_identity ON minuet_log (id, source);
CREATE INDEX minuet_log_order ON minuet_log (topic, xid, seq);
CREATE TABLE minuet_positions (
    consumer TEXT PRIMARY KEY, service TEXT NOT NULL, topics TEXT[] NOT NULL,
    xid XID8 NOT NULL DEFAULT '0', seq BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO minuet_positions (consumer, service, topics) VALUES
    ('orders', 'orders', '{OrderRequested}'), ('payments', 'payments', '{OrderAccepted}'),
    ('inventory', 'inventory', '{PaymentTaken}'), ('shipping', 'shipping', '{StockReserved}'),
    ('notification', 'notification', '{ParcelSent}');
