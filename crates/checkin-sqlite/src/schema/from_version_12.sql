-- Check-ins may be private.
ALTER TABLE idempotency_keys ADD COLUMN private INTEGER NOT NULL DEFAULT 0;
