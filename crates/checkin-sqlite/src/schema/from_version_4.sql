-- Version 4 had the figures of a user beside the e-mail address and the password hash: a batch of
-- check-ins wrote as many pages as it had users.

CREATE TABLE user_figures (
    id INTEGER PRIMARY KEY,
    num_checkins INTEGER NOT NULL DEFAULT 0,
    last_checkin INTEGER,
    last_seen_at INTEGER
) STRICT;
INSERT INTO user_figures SELECT id, num_checkins, last_checkin, last_seen_at FROM users;
DROP INDEX IF EXISTS users_by_checkins;
DROP INDEX IF EXISTS users_by_last_checkin;
DROP INDEX IF EXISTS users_by_place;
ALTER TABLE users RENAME TO accounts;
ALTER TABLE accounts DROP COLUMN num_checkins;
ALTER TABLE accounts DROP COLUMN last_checkin;
ALTER TABLE accounts DROP COLUMN last_seen_at;
