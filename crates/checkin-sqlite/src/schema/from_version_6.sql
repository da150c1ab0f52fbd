-- Version 6 had only the epoch of each account, and its first files did not have that.

CREATE TABLE IF NOT EXISTS account_epochs (user_id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS account_standings (
    user_id INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL DEFAULT 0,
    kept TEXT
) STRICT;
INSERT OR IGNORE INTO account_standings (user_id, epoch) SELECT user_id, epoch FROM account_epochs;
DROP TABLE account_epochs;
