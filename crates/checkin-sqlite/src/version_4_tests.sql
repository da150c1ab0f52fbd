DROP TABLE account_standings;
-- Gives the tables the form of version 4, with what they contain.

CREATE TABLE users_4 (
    id INTEGER PRIMARY KEY,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    email TEXT NOT NULL,
    email_canonical TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    num_checkins INTEGER NOT NULL DEFAULT 0,
    last_checkin INTEGER,
    last_seen_at INTEGER,
    base_checkins INTEGER NOT NULL DEFAULT 0,
    base_last_checkin INTEGER
) STRICT;
INSERT INTO users_4 SELECT * FROM users;
DROP VIEW users;
DROP TABLE accounts;
DROP TABLE user_figures;
ALTER TABLE users_4 RENAME TO users;
CREATE INDEX users_by_checkins ON users (num_checkins DESC, id) WHERE num_checkins > 0;
CREATE INDEX users_by_last_checkin
    ON users (last_checkin DESC, id) WHERE last_checkin IS NOT NULL;
CREATE INDEX users_by_place
    ON users (last_seen_at, last_checkin DESC, id) WHERE last_seen_at IS NOT NULL;
PRAGMA user_version = 4;
