-- Everything but the sessions, which have a table of their own in the same file.

CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    email TEXT NOT NULL,
    -- What addresses are compared by.
    email_canonical TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    num_checkins INTEGER NOT NULL DEFAULT 0,
    last_checkin INTEGER,
    last_seen_at INTEGER
) STRICT;

CREATE TABLE IF NOT EXISTS locations (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    longitude REAL NOT NULL,
    latitude REAL NOT NULL,
    num_checkins INTEGER NOT NULL DEFAULT 0,
    num_stars INTEGER NOT NULL DEFAULT 0
) STRICT;

-- JSON in the form of an import file.
CREATE TABLE IF NOT EXISTS location_details (
    location_id INTEGER PRIMARY KEY,
    details TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS checkins (
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    location_id INTEGER NOT NULL,
    stars INTEGER NOT NULL,
    PRIMARY KEY (ms, seq)
) STRICT, WITHOUT ROWID;

-- Finds the last identical check-in.
CREATE INDEX IF NOT EXISTS checkins_by_content
    ON checkins (user_id, location_id, stars, ms, seq);

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

CREATE INDEX IF NOT EXISTS idempotency_keys_by_expiry ON idempotency_keys (expires_ms);

-- The session store has an index of its own now.
DROP TABLE IF EXISTS account_sessions;
