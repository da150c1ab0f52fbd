-- Version 11 had no retracted check-ins. A program of that version could count one that it had read before, or
-- use the id of one again.

ALTER TABLE accounts ADD COLUMN base_last_seen_at INTEGER;
UPDATE accounts SET base_last_seen_at = (
    SELECT last_seen_at FROM user_figures
    WHERE user_figures.id = accounts.id AND last_checkin = base_last_checkin
);
