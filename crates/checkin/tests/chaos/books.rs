//! What a store has applied, and what else it shows of users and locations.

use std::collections::{BTreeMap, HashSet};

use redis_link::{Client as Redis, Reply};

use super::history::{LOCATIONS, PRIVATE_LOCATIONS, USERS, Visit};
use super::leavers::LEAVERS;

/// The users who are there, and who may delete their accounts.
pub(super) const ALL_USERS: u64 = USERS + LEAVERS;
pub(super) const ALL_LOCATIONS: u64 = LOCATIONS + PRIVATE_LOCATIONS;

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

/// The check-ins in the histories of users or of locations.
#[derive(Default)]
pub(crate) struct Applied {
    pub(crate) visits: HashSet<Visit>,
    /// With repetitions.
    pub(crate) count: usize,
}

/// The histories of a store.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) of_users: Applied,
    pub(crate) of_locations: Applied,
    /// The private check-ins of users.
    pub(crate) private: Applied,
    /// The users whose accounts are deleted.
    pub(crate) deleted: HashSet<u64>,
    /// Where others can see a private check-in.
    pub(crate) leaks: Vec<String>,
    /// Where something of a deleted account is left, and whose it is.
    pub(crate) rests: Vec<(u64, String)>,
}

impl Applied {
    /// Returns the number of check-ins that are there more than once.
    pub(crate) fn repeated(&self) -> usize {
        self.count - self.visits.len()
    }
}

impl FromIterator<Visit> for Applied {
    fn from_iter<I: IntoIterator<Item = Visit>>(visits: I) -> Self {
        let mut applied = Self::default();
        for visit in visits {
            applied.visits.insert(visit);
            applied.count += 1;
        }
        applied
    }
}

impl Books {
    /// Adds a place at which users and locations can be seen.
    pub(super) fn see(&mut self, place: &str, user: Option<u64>, location: Option<u64>) {
        if location.is_some_and(|location| location > LOCATIONS) {
            self.leaks.push(place.to_owned());
        }
        if let Some(user) = user.filter(|user| self.deleted.contains(user)) {
            self.rests.push((user, place.to_owned()));
        }
    }
}

/// A Redis as an observer reads it.
pub(crate) struct Observed<'a>(pub(crate) &'a Redis);

impl Observed<'_> {
    /// Returns the users whose accounts are deleted and not erased.
    pub(crate) async fn not_erased(&self) -> Vec<u64> {
        let mut found = Vec::new();
        for user in self.deleted().await {
            let email = self.text(&["HGET", &format!("ncc:user:{user}"), "email"]).await;
            if !email.is_some_and(|email| email.ends_with("@deleted.invalid")) {
                found.push(user);
            }
        }
        found
    }

    pub(crate) async fn books(&self) -> Books {
        let deleted = self.deleted().await;
        let private = self.histories("user", "private", ALL_USERS, |user, place| (user, place));
        let private = private.await;
        let of_users = self.histories("user", "checkins", ALL_USERS, |user, place| (user, place));
        let of_users = of_users.await;
        let of_locations =
            self.histories("location", "checkins", ALL_LOCATIONS, |place, user| (user, place));
        let of_locations = of_locations.await;
        let mut books = Books { deleted, private, of_users, of_locations, ..Books::default() };
        self.add_histories(&mut books);
        self.add_logs(&mut books).await;
        self.add_lists(&mut books).await;
        self.add_accounts(&mut books).await;
        books
    }

    async fn deleted(&self) -> HashSet<u64> {
        let mut deleted = HashSet::new();
        for user in USERS + 1..=ALL_USERS {
            let status = self.text(&["GET", &format!("{{ncc:user:{user}}}:status")]).await;
            if status.as_deref() == Some("deleted") {
                deleted.insert(user);
            }
        }
        deleted
    }

    fn add_histories(&self, books: &mut Books) {
        let histories = [
            ("the history of a user", books.of_users.visits.clone()),
            ("the history of a location", books.of_locations.visits.clone()),
        ];
        for (place, visits) in histories {
            for (user, location, _) in visits {
                books.see(place, Some(user), Some(location));
            }
        }
        for (user, ..) in books.private.visits.clone() {
            books.see("private check-ins", Some(user), None);
        }
    }

    async fn add_logs(&self, books: &mut Books) {
        let many = (0..4).map(|number| format!("ncc:checkins:{{{number}}}"));
        for log in many.chain(["ncc:checkins".to_owned()]) {
            let entries = self.texts(&["XRANGE", &log, "-", "+"]).await;
            for pair in entries.windows(4).filter(|words| words[0] == "userId") {
                books.see("the log", pair[1].parse().ok(), pair[3].parse().ok());
            }
        }
    }

    async fn add_lists(&self, books: &mut Books) {
        let now = now_ms();
        // 1970 began on a Thursday.
        let monday = (now / DAY - (now / DAY + 3) % 7) * DAY;
        for list in ["ncc:users:recent", "ncc:users:bycheckins"] {
            for key in [list.to_owned(), format!("{list}:{monday}")] {
                for user in self.texts(&["ZRANGE", &key, "0", "-1"]).await {
                    books.see(&key, user.parse().ok(), None);
                }
            }
        }
        let list = "ncc:locations:bycheckins";
        for key in [list.to_owned(), format!("{list}:{monday}")] {
            for location in self.texts(&["ZRANGE", &key, "0", "-1"]).await {
                books.see(&key, None, location.parse().ok());
            }
        }
        for location in 1..=ALL_LOCATIONS {
            let key = format!("ncc:users:at:{location}");
            for user in self.texts(&["ZRANGE", &key, "0", "-1"]).await {
                books.see(&key, user.parse().ok(), Some(location));
            }
        }
        for location in LOCATIONS + 1..=ALL_LOCATIONS {
            let key = format!("ncc:location:{location}");
            let number = self.text(&["HGET", &key, "numCheckins"]).await;
            if number.is_some_and(|number| number != "0") {
                books.see(&key, None, Some(location));
            }
        }
    }

    /// Reads what lies beside a deleted account.
    async fn add_accounts(&self, books: &mut Books) {
        for user in books.deleted.clone() {
            let names = ["private-comments", "private-recent", "private-retracted", "comments"];
            let keys = names.map(|name| format!("{{ncc:user:{user}}}:{name}"));
            for key in keys {
                if self.0.call(&[b"EXISTS", key.as_bytes()]).await.unwrap() == Reply::Int(1) {
                    books.see(&key, Some(user), None);
                }
            }
            let hash = self.texts(&["HGETALL", &format!("ncc:user:{user}")]).await;
            let fields: BTreeMap<_, _> =
                hash.chunks(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
            let number = fields.get("numCheckins").copied().unwrap_or("0");
            if number != "0" || !fields["email"].ends_with("@deleted.invalid") {
                books.see("the hash of the account", Some(user), None);
            }
        }
    }

    async fn histories(
        &self,
        kind: &str,
        name: &str,
        last: u64,
        order: impl Fn(u64, u64) -> (u64, u64),
    ) -> Applied {
        let mut visits = Vec::new();
        for id in 1..=last {
            let key = format!("{{ncc:{kind}:{id}}}:{name}");
            for member in self.texts(&["ZRANGE", &key, "0", "-1"]).await {
                let mut words = member.split(' ').skip(1).map(|word| word.parse::<u64>().unwrap());
                let (user, location) = order(id, words.next().unwrap());
                visits.push((user, location, words.next().unwrap()));
            }
        }
        visits.into_iter().collect()
    }

    async fn text(&self, words: &[&str]) -> Option<String> {
        self.texts(words).await.pop()
    }

    /// Returns all texts of a reply, in order.
    async fn texts(&self, words: &[&str]) -> Vec<String> {
        let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        let mut texts = Vec::new();
        flatten(self.0.call(&words).await.unwrap(), &mut texts);
        texts
    }
}

fn flatten(reply: Reply, texts: &mut Vec<String>) {
    match reply {
        Reply::Array(replies) => replies.into_iter().for_each(|reply| flatten(reply, texts)),
        Reply::Nil => {}
        Reply::Int(number) => texts.push(number.to_string()),
        Reply::Bytes(bytes) => texts.push(String::from_utf8(bytes.to_vec()).unwrap()),
    }
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_millis() as u64
}
