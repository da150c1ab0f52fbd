-- Version 7 had neither roles nor disabled accounts. A program of that version would admit sessions of a
-- disabled account.

ALTER TABLE account_standings ADD COLUMN status TEXT;
ALTER TABLE account_standings ADD COLUMN role TEXT;
