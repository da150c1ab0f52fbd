-- Check-ins have comments. A file of version 1 has no idempotency keys yet.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    user_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    location_id INTEGER NOT NULL,
    stars INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (user_id, key)
) STRICT, WITHOUT ROWID;
ALTER TABLE checkins ADD COLUMN comment TEXT;
ALTER TABLE idempotency_keys ADD COLUMN comment TEXT;
