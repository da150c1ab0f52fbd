CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    email TEXT NOT NULL,
    email_canonical TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    num_checkins INTEGER NOT NULL DEFAULT 0,
    last_checkin INTEGER,
    last_seen_at INTEGER
) STRICT;
CREATE TABLE locations (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    longitude REAL NOT NULL,
    latitude REAL NOT NULL,
    num_checkins INTEGER NOT NULL DEFAULT 0,
    num_stars INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE checkins (
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    location_id INTEGER NOT NULL,
    stars INTEGER NOT NULL,
    PRIMARY KEY (ms, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX checkins_by_content ON checkins (user_id, location_id, stars, ms, seq);
INSERT INTO users VALUES (7, 'Al', 'Appelhof', 'al@example.com', 'al@example.com',
    '$2b$05$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa001', 3, 1609602085397, 2);
INSERT INTO locations VALUES (2, 'Quillback Coffee', 'cafe', -122.2711, 37.8044, 2, 9);
INSERT INTO checkins VALUES (1609602085397, 0, 7, 2, 4);
PRAGMA user_version = 1;
