-- Places of version 1 go into the indexes of version 2.

INSERT INTO location_boxes SELECT id, longitude, longitude, latitude, latitude FROM locations;
INSERT INTO location_names (location_names) VALUES ('rebuild');
