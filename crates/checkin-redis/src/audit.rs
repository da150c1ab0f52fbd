//! Recounts everything from the log and the histories.
//!
//! It works beside running processors: a user's or place's figures are compared with the length of
//! the history in one step, and histories with the log only where both stand still, from the first
//! entry that the log still has to the checkpoint.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::entry::{self};
use super::history::Member;
use super::{RedisStorage, Reply, at_once, text, texts, unexpected};
use checkin_domain::{Checkin, CheckinId, LocationId, StarRating, UserId};
use checkin_storage::{Audit, Difference, Result, StorageError, Subject};

/// Entries asked for at a time.
const PAGE: usize = 1000;

/// What differs is looked at so often: figures may have been read in the middle of a change.
const LOOKS: usize = 3;

/// Differences, and records that cannot be read, that are named one by one.
const NAMED: usize = 100;

/// What stands still of a partition.
struct Window {
    first: CheckinId,
    last: CheckinId,
    dead: HashSet<CheckinId>,
}

impl Window {
    fn holds(&self, id: CheckinId) -> bool {
        (self.first..=self.last).contains(&id) && !self.dead.contains(&id)
    }
}

/// A set of check-ins: how many, and a sum that tells two sets of one size apart.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    print: u64,
}

impl Sum {
    fn add(&mut self, id: CheckinId, other: u64, stars: StarRating) {
        let mut hasher = DefaultHasher::new();
        (id, other, stars).hash(&mut hasher);
        self.count += 1;
        self.print = self.print.wrapping_add(hasher.finish());
    }
}

/// What the log says.
#[derive(Default)]
struct Sums {
    users: BTreeMap<UserId, Sum>,
    locations: BTreeMap<LocationId, Sum>,
}

impl RedisStorage {
    pub(super) async fn recount(&self) -> Result<Audit> {
        let (mut audit, mut windows, mut sums) = (Audit::default(), Vec::new(), Sums::default());
        for partition in 0..self.keys.partitions() {
            let window = self.window(partition).await?;
            self.sum_up(partition, &window, &mut sums, &mut audit).await?;
            windows.push(window);
        }
        let users = self.ids(&self.keys.user_ids(), sums.users.keys().map(|id| id.get())).await?;
        let users = users.into_iter().filter_map(|id| UserId::try_from(id).ok());
        let users: Vec<UserId> = users.collect();
        let locations = self.keys.location_ids();
        let locations = self.ids(&locations, sums.locations.keys().map(|id| id.get())).await?;
        let locations = locations.into_iter().filter_map(|id| LocationId::try_from(id).ok());
        let locations: Vec<LocationId> = locations.collect();
        audit.compared = (users.len() + locations.len()) as u64;

        for users in users.chunks(PAGE) {
            let compare = users.iter().map(|id| self.compare(Subject::User(*id), &windows, &sums));
            note(&mut audit, at_once(compare.collect()).await?);
        }
        for locations in locations.chunks(PAGE) {
            let compare =
                locations.iter().map(|id| self.compare(Subject::Location(*id), &windows, &sums));
            note(&mut audit, at_once(compare.collect()).await?);
        }
        Ok(audit)
    }

    async fn window(&self, partition: usize) -> Result<Window> {
        let checkpoint = self.keys.checkpoint(partition);
        let mut fields =
            texts_or_none(self.call(&["HMGET", &checkpoint, "id", "trimmed"]).await?)?.into_iter();
        let id = fields.next().flatten();
        let trimmed = fields.next().flatten().is_some_and(|trimmed| trimmed != "0");
        let last = match id {
            Some(id) => id.parse().map_err(|_| unexpected("the id of an entry"))?,
            None => CheckinId::MIN,
        };
        let first = match trimmed {
            true => self.first_entry(partition).await?,
            false => CheckinId::MIN,
        };
        Ok(Window { first, last, dead: self.dead_ids(partition).await? })
    }

    async fn first_entry(&self, partition: usize) -> Result<CheckinId> {
        let log = self.keys.log(partition);
        let first = entry::read_all(self.call(&["XRANGE", &log, "-", "+", "COUNT", "1"]).await?)?;
        Ok(first.first().map_or(CheckinId::MAX, |entry| entry.id))
    }

    async fn dead_ids(&self, partition: usize) -> Result<HashSet<CheckinId>> {
        let (key, mut from, mut ids) =
            (self.keys.dead_letters(partition), "-".to_owned(), HashSet::new());
        loop {
            let range = ["XRANGE", &key, &from, "+", "COUNT", &PAGE.to_string()];
            let letters = entry::read_all(self.call(&range).await?)?;
            let Some(last) = letters.last() else {
                return Ok(ids);
            };
            from = format!("({}", last.id);
            ids.extend(letters.iter().map(|letter| letter.id));
        }
    }

    /// Reads a partition of the log from its first entry to its last.
    async fn sum_up(
        &self,
        partition: usize,
        window: &Window,
        sums: &mut Sums,
        audit: &mut Audit,
    ) -> Result<()> {
        audit.dead += window.dead.len() as u64;
        let mut after = CheckinId::MIN;
        loop {
            let entries = self.entries_after(partition, after, PAGE).await?;
            let Some(last) = entries.last() else {
                return Ok(());
            };
            after = last.id;
            for entry in entries {
                audit.entries += 1;
                if entry.id > window.last {
                    audit.waiting += 1;
                } else if window.holds(entry.id)
                    && let Ok(Checkin { id, user, location, stars, .. }) = entry.checkin()
                {
                    audit.counted += 1;
                    sums.users.entry(user).or_default().add(id, location.get(), stars);
                    sums.locations.entry(location).or_default().add(id, user.get(), stars);
                }
            }
        }
    }

    /// The ids in a list of all, and those that the log names besides.
    async fn ids(&self, key: &str, named: impl Iterator<Item = u64>) -> Result<BTreeSet<u64>> {
        let mut ids: BTreeSet<u64> = named.collect();
        let mut cursor = "0".to_owned();
        loop {
            let step = self.call(&["ZSCAN", key, &cursor, "COUNT", "10000"]).await?;
            let mut step = super::array(step)?.into_iter();
            cursor = text(step.next().unwrap_or(Reply::Nil))?;
            let members = texts(step.next().unwrap_or(Reply::Nil))?;
            ids.extend(members.chunks(2).filter_map(|pair| pair[0].parse::<u64>().ok()));
            if cursor == "0" {
                return Ok(ids);
            }
        }
    }

    async fn compare(&self, of: Subject, windows: &[Window], sums: &Sums) -> Result<Found> {
        let mut found = Vec::new();
        for _ in 0..LOOKS {
            let compared = match of {
                Subject::User(user) => self.compare_user(user, windows, sums).await,
                Subject::Location(location) => self.compare_location(location, windows, sums).await,
            };
            found = match compared {
                Err(error) if error.is_unreadable() => return Ok(Found::Unreadable(of)),
                compared => compared?,
            };
            if found.is_empty() {
                break;
            }
        }
        let difference = |(figure, stored, counted)| Difference { of, figure, stored, counted };
        Ok(Found::Different(found.into_iter().map(difference).collect()))
    }

    async fn compare_user(
        &self,
        user: UserId,
        windows: &[Window],
        sums: &Sums,
    ) -> Result<Vec<Unequal>> {
        let (key, base) = (self.keys.user_history(user), self.keys.user_base(user));
        let keys = [self.keys.user(user), key.clone(), base];
        let figures = self.figures(&self.scripts.figures_of_user, &keys).await?;
        let [stored, last, base, base_last, length, latest] = figures;
        let window = &windows[self.keys.partition_of(user)];
        let history = self.sum_of(&key, |member| window.holds(member.id)).await?;
        let sum = sums.users.get(&user).copied().unwrap_or_default();
        let mut found = unequal_sums(history, sum);
        // Without a history, the figures are the base.
        if length > 0 {
            found.extend(unequal("numCheckins", stored, base + length));
            found.extend(unequal("lastCheckin", last, base_last.max(latest)));
        }
        Ok(found)
    }

    async fn compare_location(
        &self,
        location: LocationId,
        windows: &[Window],
        sums: &Sums,
    ) -> Result<Vec<Unequal>> {
        let key = self.keys.location_history(location);
        let (ratings, base) = (self.keys.ratings(location), self.keys.location_base(location));
        let keys = [self.keys.location(location), key.clone(), ratings, base];
        let figures = self.figures(&self.scripts.figures_of_location, &keys).await?;
        let [stored, stars, base, base_stars, length, rated] = figures;
        let holds = |member: &Member| {
            let user = UserId::try_from(member.other);
            user.is_ok_and(|user| windows[self.keys.partition_of(user)].holds(member.id))
        };
        let history = self.sum_of(&key, holds).await?;
        let sum = sums.locations.get(&location).copied().unwrap_or_default();
        let mut found = unequal_sums(history, sum);
        if length > 0 {
            found.extend(unequal("numCheckins", stored, base + length));
            found.extend(unequal("numStars", stars, base_stars + rated));
        }
        Ok(found)
    }

    async fn figures<const N: usize>(
        &self,
        script: &redis_link::Script,
        keys: &[String; N],
    ) -> Result<[u64; 6]> {
        let keys = keys.each_ref().map(String::as_str);
        let numbers = texts(self.run(script, &keys, &[]).await?)?;
        let numbers = numbers.iter().map(|number| number.parse::<u64>());
        let numbers: Vec<u64> =
            numbers.collect::<std::result::Result<_, _>>().map_err(StorageError::new)?;
        numbers.try_into().map_err(|_| unexpected("six figures"))
    }

    async fn sum_of(&self, key: &str, holds: impl Fn(&Member) -> bool) -> Result<Sum> {
        let (mut sum, mut from) = (Sum::default(), Some(0));
        while let Some(first) = from {
            let (members, next) = self.history_page(key, first).await?;
            for member in members.iter().filter(|member| holds(member)) {
                sum.add(member.id, member.other, member.stars);
            }
            from = next;
        }
        Ok(sum)
    }
}

/// What was found of one user or place.
enum Found {
    /// What differs; nothing if all is well.
    Different(Vec<Difference>),
    Unreadable(Subject),
}

/// The name of a figure, what is stored, and what it should be.
type Unequal = (&'static str, u64, u64);

fn unequal(figure: &'static str, stored: u64, counted: u64) -> Option<Unequal> {
    (stored != counted).then_some((figure, stored, counted))
}

fn unequal_sums(history: Sum, log: Sum) -> Vec<Unequal> {
    if history == log { Vec::new() } else { vec![("history", history.count, log.count)] }
}

fn note(audit: &mut Audit, found: Vec<Found>) {
    for found in found {
        match found {
            Found::Different(differences) => {
                audit.different += u64::from(!differences.is_empty());
                audit.differences.extend(differences);
            }
            Found::Unreadable(of) => audit.unreadable.push(of),
        }
    }
    audit.differences.truncate(NAMED);
    audit.unreadable.truncate(NAMED);
}

fn texts_or_none(reply: Reply) -> Result<Vec<Option<String>>> {
    let text_or_none = |reply| match reply {
        Reply::Nil => Ok(None),
        reply => text(reply).map(Some),
    };
    super::array(reply)?.into_iter().map(text_or_none).collect()
}
