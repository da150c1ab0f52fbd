-- Version 2 had an index of the names as SQLite splits and folds them.

DROP TRIGGER IF EXISTS locations_are_indexed;
DROP TABLE IF EXISTS location_names;
ALTER TABLE locations ADD COLUMN words TEXT;
