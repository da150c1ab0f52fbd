-- Tables of version 1 get the columns of version 2. Their figures contained the entries that were
-- loaded with them. From now on, the entries of the log are added to the base.

ALTER TABLE users ADD COLUMN base_checkins INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN base_last_checkin INTEGER;
ALTER TABLE locations ADD COLUMN base_checkins INTEGER NOT NULL DEFAULT 0;
ALTER TABLE locations ADD COLUMN base_stars INTEGER NOT NULL DEFAULT 0;

CREATE TABLE checkins_2 (
    ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    location_id INTEGER NOT NULL,
    stars INTEGER NOT NULL,
    PRIMARY KEY (ms, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO checkins_2 SELECT ms, seq, ms, user_id, location_id, stars FROM checkins;
DROP TABLE checkins;
ALTER TABLE checkins_2 RENAME TO checkins;

UPDATE users SET num_checkins = max(0, num_checkins -
    (SELECT count(*) FROM checkins WHERE user_id = users.id));
UPDATE users SET base_checkins = num_checkins, base_last_checkin = last_checkin;
UPDATE locations SET
    num_stars = max(0, num_stars -
        (SELECT coalesce(sum(stars), 0) FROM checkins WHERE location_id = locations.id)),
    num_checkins = max(0, num_checkins -
        (SELECT count(*) FROM checkins WHERE location_id = locations.id));
UPDATE locations SET base_checkins = num_checkins, base_stars = num_stars;

CREATE VIRTUAL TABLE location_boxes USING rtree (id, west, east, south, north);
INSERT INTO location_boxes SELECT id, longitude, longitude, latitude, latitude FROM locations;
