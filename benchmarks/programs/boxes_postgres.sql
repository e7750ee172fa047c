-- An inbox and an outbox as one writes them by hand.

CREATE TABLE inbox (consumer TEXT NOT NULL, event_id TEXT NOT NULL, PRIMARY KEY (event_id, consumer));
CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL
);
