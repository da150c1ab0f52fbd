//! The names of the keys of accounts, of their logins and of their sessions.

use checkin_domain::UserId;
use checkin_storage::{EventList, PendingName};

use super::{Keys, companion};

impl Keys {
    /// Hash: one account.
    pub(crate) fn user(&self, id: UserId) -> String {
        self.of_id("user", id.get())
    }

    /// The pattern of the keys of all accounts.
    pub(crate) fn any_user(&self) -> String {
        self.pattern("user:*")
    }

    /// String: the highest id of an account so far.
    pub(crate) fn last_user_id(&self) -> String {
        self.key("users:last-id")
    }

    /// Sorted set: the ids of all accounts; the scores are the ids.
    pub(crate) fn user_ids(&self) -> String {
        self.key("users:ids")
    }

    /// Hash: canonical address to id.
    pub(crate) fn emails(&self) -> String {
        self.key("users:email")
    }

    /// String with a time to live: a process is about to write the user with this address.
    pub(crate) fn email_claim(&self, canonical: &str) -> String {
        companion(&self.emails(), &format!("claim:{canonical}"))
    }

    /// String with a time to live: the attempts to give a password that are counted under this name.
    pub(crate) fn attempts(&self, name: &str) -> String {
        self.key(&format!("attempts:{name}"))
    }

    /// Stream: the security events of a list.
    pub(crate) fn security_events(&self, list: EventList) -> String {
        match list {
            EventList::FailedLogins => self.key("security-events:failed-logins"),
            EventList::Changes => self.key("security-events"),
            EventList::Logins => self.key("security-events:logins"),
            EventList::Operators => self.key("security-events:operators"),
        }
    }

    /// String: who may see where the user checks in.
    pub(crate) fn audience(&self, id: UserId) -> String {
        companion(&self.user(id), "audience")
    }

    /// String with a time to live: the account is new.
    pub(crate) fn new_account(&self, id: UserId) -> String {
        companion(&self.user(id), "new")
    }

    /// Sorted set: the private check-ins of a user, like a history.
    pub(crate) fn private_history(&self, id: UserId) -> String {
        companion(&self.user(id), "private")
    }

    /// Returns all keys of a user's private check-ins.
    pub(crate) fn all_private(&self, id: UserId) -> [String; 7] {
        let (history, comments) = (self.private_history(id), self.private_comments(id));
        let ([first, second], recent) = (self.private_keys(id), self.private_recent(id));
        let (retracted, visits) = (self.private_retracted(id), self.private_visits(id));
        [history, comments, first, second, recent, retracted, visits]
    }

    /// Hash: from the ids of the private check-ins of a user to their comments.
    pub(crate) fn private_comments(&self, id: UserId) -> String {
        companion(&self.user(id), "private-comments")
    }

    /// Hashes with a time to live, which take turns: the idempotency keys of private check-ins.
    pub(crate) fn private_keys(&self, id: UserId) -> [String; 2] {
        ["private-keys:0", "private-keys:1"].map(|name| companion(&self.user(id), name))
    }

    /// Hash with a time to live: when the user made each private check-in last, for the duplicate window.
    pub(crate) fn private_recent(&self, id: UserId) -> String {
        companion(&self.user(id), "private-recent")
    }

    /// Sorted set: the ids of the retracted private check-ins of a user, by time (ms).
    pub(crate) fn private_retracted(&self, id: UserId) -> String {
        companion(&self.user(id), "private-retracted")
    }

    /// Set: the Swarm ids of the private visits of a user.
    pub(crate) fn private_visits(&self, id: UserId) -> String {
        companion(&self.user(id), "private-visits")
    }

    /// Hash: from the ids of the check-ins in a user's history to their comments.
    pub(crate) fn comments(&self, id: UserId) -> String {
        companion(&self.user(id), "comments")
    }

    /// Returns the keys of an account that the scripts about its standing expect: the user's hash, and
    /// those of the standing.
    pub(crate) fn of_account(&self, id: UserId) -> [String; 5] {
        let user = self.user(id);
        let [epoch, kept, status, role] = standing(&user);
        [user, epoch, kept, status, role]
    }

    /// Returns the keys of an account's standing. Strings: its epoch, the handle of the session that ended its others,
    /// its status and its role.
    pub(crate) fn standing(&self, id: UserId) -> [String; 4] {
        standing(&self.user(id))
    }

    /// String: the epoch of new accounts, which is the highest one of all deleted accounts.
    pub(crate) fn first_epoch(&self) -> String {
        self.key("users:first-epoch")
    }

    /// String: the second factor of an account.
    pub(crate) fn second_factor(&self, id: UserId) -> String {
        companion(&self.user(id), "second-factor")
    }

    /// String with a time to live: a step that waits for the next request of a client.
    pub(crate) fn pending(&self, name: &PendingName) -> String {
        self.key(&format!("pending:{}", name.as_str()))
    }

    /// Sorted set: the ids of the accounts whose sessions have to be searched for, by the numbers of
    /// their searches.
    pub(crate) fn searches(&self) -> String {
        self.key("session-searches")
    }

    /// String: the number of the last search.
    pub(crate) fn last_search(&self) -> String {
        companion(&self.searches(), "last")
    }

    /// String: the number of the last search for sessions of this account that has begun.
    pub(crate) fn searched(&self, id: UserId) -> String {
        companion(&self.user(id), "searched")
    }

    /// String with a time to live: the process that searches.
    pub(crate) fn search_lease(&self) -> String {
        companion(&self.searches(), "lease")
    }
}

fn standing(user: &str) -> [String; 4] {
    ["epoch", "kept", "status", "role"].map(|name| companion(user, name))
}
