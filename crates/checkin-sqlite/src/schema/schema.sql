-- All data except the sessions, which have their own table in the same file.

CREATE TABLE IF NOT EXISTS accounts (
    id INTEGER PRIMARY KEY,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    email TEXT NOT NULL,
    -- The form in which addresses are compared.
    email_canonical TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    -- Figures from before the first entry of the log.
    base_checkins INTEGER NOT NULL DEFAULT 0,
    base_last_checkin INTEGER,
    -- Where that was; NULL if it is not known.
    base_last_seen_at INTEGER
) STRICT;

-- The figures of each account. They change with each check-in, so they have small rows of their own:
-- a batch then writes few pages.
CREATE TABLE IF NOT EXISTS user_figures (
    id INTEGER PRIMARY KEY,
    num_checkins INTEGER NOT NULL DEFAULT 0,
    last_checkin INTEGER,
    last_seen_at INTEGER
) STRICT;

-- Both together, which other programs may read and change like a table.
CREATE VIEW IF NOT EXISTS users AS
    SELECT id, first_name, last_name, email, email_canonical, password,
           num_checkins, last_checkin, last_seen_at, base_checkins, base_last_checkin
    FROM accounts JOIN user_figures USING (id);

CREATE TRIGGER IF NOT EXISTS users_are_inserted INSTEAD OF INSERT ON users BEGIN
    INSERT INTO accounts
        (id, first_name, last_name, email, email_canonical, password, base_checkins,
         base_last_checkin)
    VALUES (
        new.id, new.first_name, new.last_name, new.email, new.email_canonical, new.password,
        coalesce(new.base_checkins, 0), new.base_last_checkin);
    INSERT INTO user_figures (id, num_checkins, last_checkin, last_seen_at) VALUES (
        coalesce(new.id, last_insert_rowid()), coalesce(new.num_checkins, 0), new.last_checkin,
        new.last_seen_at);
END;

CREATE TRIGGER IF NOT EXISTS users_are_updated INSTEAD OF UPDATE ON users BEGIN
    UPDATE accounts SET
        id = new.id, first_name = new.first_name, last_name = new.last_name, email = new.email,
        email_canonical = new.email_canonical, password = new.password,
        base_checkins = new.base_checkins, base_last_checkin = new.base_last_checkin
    WHERE id = old.id;
    UPDATE user_figures SET
        id = new.id, num_checkins = new.num_checkins, last_checkin = new.last_checkin,
        last_seen_at = new.last_seen_at
    WHERE id = old.id;
END;

CREATE TRIGGER IF NOT EXISTS users_are_deleted INSTEAD OF DELETE ON users BEGIN
    DELETE FROM accounts WHERE id = old.id;
    DELETE FROM user_figures WHERE id = old.id;
END;

-- The epoch of each account, the handle of the session that ended the others, and whether it is disabled or
-- deleted, and an operator. No row means an epoch of 0; no status means active, and no role means user.
CREATE TABLE IF NOT EXISTS account_standings (
    user_id INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL DEFAULT 0,
    kept TEXT,
    status TEXT,
    role TEXT
) STRICT;

-- Finds the first epoch of new accounts, which is the highest one of all deleted accounts.
CREATE INDEX IF NOT EXISTS deleted_accounts ON account_standings (epoch) WHERE status = 'deleted';

-- Who may see where each user checks in (no audience means all users), and until when an account is new (ms).
CREATE TABLE IF NOT EXISTS account_privacy (
    user_id INTEGER PRIMARY KEY,
    audience TEXT,
    new_until_ms INTEGER
) STRICT;

-- The accounts whose sessions have to be searched for. No number is used twice.
CREATE TABLE IF NOT EXISTS session_searches (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL UNIQUE
) STRICT;

-- At most one row: the process that searches, and until when (ms).
CREATE TABLE IF NOT EXISTS session_search_lease (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    owner TEXT NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;

-- The attempts to give a password, by the name of their budget.
CREATE TABLE IF NOT EXISTS attempts (
    budget TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    -- The time until which the next attempt has to wait, and at which all are forgotten (ms).
    until_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS attempts_by_expiry ON attempts (expires_ms);

CREATE INDEX IF NOT EXISTS users_by_checkins
    ON user_figures (num_checkins DESC, id) WHERE num_checkins > 0;
CREATE INDEX IF NOT EXISTS users_by_last_checkin
    ON user_figures (last_checkin DESC, id) WHERE last_checkin IS NOT NULL;
CREATE INDEX IF NOT EXISTS users_by_place
    ON user_figures (last_seen_at, last_checkin DESC, id) WHERE last_seen_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS locations (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    longitude REAL NOT NULL,
    latitude REAL NOT NULL,
    num_checkins INTEGER NOT NULL DEFAULT 0,
    num_stars INTEGER NOT NULL DEFAULT 0,
    -- Figures from before the first entry of the log.
    base_checkins INTEGER NOT NULL DEFAULT 0,
    base_stars INTEGER NOT NULL DEFAULT 0,
    -- The words by which the name is found, separated by blanks. NULL means: not indexed yet.
    words TEXT
) STRICT;

CREATE INDEX IF NOT EXISTS locations_without_words ON locations (id) WHERE words IS NULL;
CREATE INDEX IF NOT EXISTS locations_by_category ON locations (category, id);
CREATE INDEX IF NOT EXISTS locations_by_checkins
    ON locations (num_checkins DESC, id) WHERE num_checkins > 0;

-- The coordinates of the places. Its numbers have 32 bits, so it also finds places slightly outside.
CREATE VIRTUAL TABLE IF NOT EXISTS location_boxes
    USING rtree (id, west, east, south, north);

-- The words of the names. They are already folded: this tokenizer only splits at blanks.
CREATE VIRTUAL TABLE IF NOT EXISTS location_words
    USING fts5 (words, content = 'locations', content_rowid = 'id',
                tokenize = 'ascii', prefix = '2 3');

CREATE TRIGGER IF NOT EXISTS locations_are_indexed AFTER INSERT ON locations BEGIN
    INSERT INTO location_boxes
        VALUES (new.id, new.longitude, new.longitude, new.latitude, new.latitude);
    INSERT INTO location_words (rowid, words)
        SELECT new.id, new.words WHERE new.words IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS location_words_are_indexed AFTER UPDATE OF words ON locations BEGIN
    INSERT INTO location_words (location_words, rowid, words)
        SELECT 'delete', old.id, old.words WHERE old.words IS NOT NULL;
    INSERT INTO location_words (rowid, words)
        SELECT new.id, new.words WHERE new.words IS NOT NULL;
END;

-- If another program changes a name, the next start indexes it.
CREATE TRIGGER IF NOT EXISTS renamed_locations_have_no_words AFTER UPDATE OF name ON locations BEGIN
    UPDATE locations SET words = NULL WHERE id = new.id;
END;

-- Details as JSON, in the format of an import file.
CREATE TABLE IF NOT EXISTS location_details (
    location_id INTEGER PRIMARY KEY,
    details TEXT NOT NULL
) STRICT;

-- The number of check-ins by place and number of stars.
CREATE TABLE IF NOT EXISTS location_ratings (
    location_id INTEGER NOT NULL,
    stars INTEGER NOT NULL,
    num_checkins INTEGER NOT NULL,
    PRIMARY KEY (location_id, stars)
) STRICT, WITHOUT ROWID;

-- The number of these that are no longer in the log, but in the base figures.
CREATE TABLE IF NOT EXISTS folded_ratings (
    location_id INTEGER NOT NULL,
    stars INTEGER NOT NULL,
    num_checkins INTEGER NOT NULL,
    PRIMARY KEY (location_id, stars)
) STRICT, WITHOUT ROWID;

-- At most one row: the time (ms) before which check-ins may have been removed from the log.
CREATE TABLE IF NOT EXISTS horizon (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    before_ms INTEGER NOT NULL
) STRICT;

-- The log, and the histories.
CREATE TABLE IF NOT EXISTS checkins (
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    -- The time of the check-in: that of the id, unless it was imported behind later ones, or arrived
    -- while the ids were ahead of the clock.
    time_ms INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    location_id INTEGER NOT NULL,
    stars INTEGER NOT NULL,
    comment TEXT,
    PRIMARY KEY (ms, seq)
) STRICT, WITHOUT ROWID;

-- The check-ins that only their users see. They are in no figure.
CREATE TABLE IF NOT EXISTS private_checkins (
    user_id INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    location_id INTEGER NOT NULL,
    stars INTEGER NOT NULL,
    comment TEXT,
    PRIMARY KEY (user_id, time_ms, ms, seq)
) STRICT, WITHOUT ROWID;
-- Finds those that are too old.
CREATE INDEX IF NOT EXISTS private_checkins_by_time ON private_checkins (time_ms);

-- The retracted ones, and the Swarm ids of those that were imported.
CREATE TABLE IF NOT EXISTS private_retractions (
    user_id INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    PRIMARY KEY (user_id, ms, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS private_retractions_by_time ON private_retractions (time_ms);
CREATE TABLE IF NOT EXISTS private_visits (
    user_id INTEGER NOT NULL,
    swarm_id TEXT NOT NULL,
    PRIMARY KEY (user_id, swarm_id)
) STRICT, WITHOUT ROWID;

-- Finds the last identical check-in.
DROP INDEX IF EXISTS checkins_by_content;
CREATE INDEX IF NOT EXISTS identical_checkins
    ON checkins (user_id, location_id, stars, time_ms);
-- Finds check-ins by time if their ids are not their times.
CREATE INDEX IF NOT EXISTS checkins_by_time ON checkins (time_ms, ms, seq) WHERE time_ms <> ms;
CREATE INDEX IF NOT EXISTS checkins_by_user ON checkins (user_id, time_ms, ms, seq);
CREATE INDEX IF NOT EXISTS checkins_by_location ON checkins (location_id, time_ms, ms, seq);

-- The retracted check-ins: what else they had is not kept.
CREATE TABLE IF NOT EXISTS retractions (
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    PRIMARY KEY (ms, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS retractions_by_user ON retractions (user_id, time_ms);

-- The places of Swarm venues.
CREATE TABLE IF NOT EXISTS swarm_venues (
    venue TEXT PRIMARY KEY,
    location_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The Swarm visits in the log, by their ids at Swarm.
CREATE TABLE IF NOT EXISTS swarm_visits (
    user_id INTEGER NOT NULL,
    swarm_id TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    location_id INTEGER NOT NULL,
    PRIMARY KEY (user_id, swarm_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS swarm_visits_by_content
    ON swarm_visits (user_id, time_ms, location_id);

-- One row: the checkpoint, the number of entries, and the lease.
CREATE TABLE IF NOT EXISTS checkpoint (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    appended INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    -- The processor that holds the lease, and until when (ms).
    owner TEXT,
    lease_until_ms INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE IF NOT EXISTS processors (
    owner TEXT PRIMARY KEY,
    until_ms INTEGER NOT NULL
) STRICT;

-- Entries that cannot be applied.
CREATE TABLE IF NOT EXISTS dead_letters (
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    reason TEXT NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (ms, seq)
) STRICT, WITHOUT ROWID;

-- Check-ins of one week, from Monday 00:00 UTC (ms).
CREATE TABLE IF NOT EXISTS user_weeks (
    monday_ms INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    num_checkins INTEGER NOT NULL,
    PRIMARY KEY (monday_ms, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS user_weeks_by_checkins
    ON user_weeks (monday_ms, num_checkins DESC, user_id);

CREATE TABLE IF NOT EXISTS location_weeks (
    monday_ms INTEGER NOT NULL,
    location_id INTEGER NOT NULL,
    num_checkins INTEGER NOT NULL,
    PRIMARY KEY (monday_ms, location_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS location_weeks_by_checkins
    ON location_weeks (monday_ms, num_checkins DESC, location_id);

CREATE TABLE IF NOT EXISTS weather (
    location_id INTEGER PRIMARY KEY,
    json TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;

-- The lists of security events. Each has a table of its own, so that its events push no other event out.
CREATE TABLE IF NOT EXISTS security_events (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    account INTEGER,
    address TEXT,
    source TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS security_events_by_time ON security_events (time_ms);

CREATE TABLE IF NOT EXISTS failed_logins (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    account INTEGER,
    address TEXT,
    source TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS failed_logins_by_time ON failed_logins (time_ms);

CREATE TABLE IF NOT EXISTS login_events (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    account INTEGER,
    address TEXT,
    source TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS login_events_by_time ON login_events (time_ms);

CREATE TABLE IF NOT EXISTS operator_events (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    account INTEGER,
    address TEXT,
    source TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS operator_events_by_time ON operator_events (time_ms);

CREATE TABLE IF NOT EXISTS idempotency_keys (
    user_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    location_id INTEGER NOT NULL,
    stars INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    comment TEXT,
    private INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS idempotency_keys_by_expiry ON idempotency_keys (expires_ms);

CREATE TABLE IF NOT EXISTS second_factors (
    user_id INTEGER PRIMARY KEY,
    factor TEXT NOT NULL
) STRICT;

-- Steps that wait for the next request of a client.
CREATE TABLE IF NOT EXISTS pending_steps (
    name TEXT PRIMARY KEY,
    step TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pending_steps_by_expiry ON pending_steps (expires_ms);

-- The session store has an index of its own now.
DROP TABLE IF EXISTS account_sessions;
