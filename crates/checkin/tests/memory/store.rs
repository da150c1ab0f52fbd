//! The maps, the lock around them, and the time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use checkin_domain::{Checkin, CheckinId, Location, LocationId, StarRating, User, UserId};
use checkin_storage::{Audience, Counted, DeadLetterId, HistoryPosition, RecordedEvent, Standing};

use crate::dead_letters::Dead;
use crate::log::{IdempotentAnswer, PARTS, Part};

/// Users, locations and check-ins in memory. Its time goes only when it is told to.
///
/// Lists are sorted for each page: that a page takes hardly longer with more records is the one part
/// of the contracts that it does not keep.
#[derive(Debug, Default)]
pub(crate) struct MemoryStorage(Mutex<Contents>);

/// All that is stored, and the time. Each method of a trait takes the lock once, so each is one step.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Milliseconds since 1970.
    pub(crate) now_ms: u64,
    pub(crate) users: BTreeMap<UserId, StoredUser>,
    pub(crate) places: BTreeMap<LocationId, StoredLocation>,
    pub(crate) parts: [Part; PARTS],
    /// The part whose entries cannot be applied, because the store fails.
    pub(crate) failing_part: Option<usize>,
    /// The last id that the log gave out or took.
    pub(crate) last_id: CheckinId,
    /// When each check-in was appended last, in milliseconds since 1970.
    pub(crate) appended_ms: HashMap<(UserId, LocationId, StarRating, bool), u64>,
    pub(crate) idempotency_keys: HashMap<(UserId, String), IdempotentAnswer>,
    /// The live processors, each with the end of its membership in milliseconds since 1970.
    pub(crate) processors: BTreeMap<String, u64>,
    pub(crate) history: BTreeMap<HistoryPosition, Checkin>,
    /// The private check-ins of all users.
    pub(crate) private: BTreeMap<(UserId, HistoryPosition), Checkin>,
    pub(crate) private_retracted: HashSet<(UserId, CheckinId)>,
    /// The Swarm ids of private visits.
    pub(crate) private_visits: HashSet<(UserId, String)>,
    /// Check-ins before this time (ms) may have left the history.
    pub(crate) horizon_ms: u64,
    pub(crate) dead: BTreeMap<DeadLetterId, Dead>,
    /// The user and the time (ms) of each retracted check-in.
    pub(crate) retracted: BTreeMap<CheckinId, (UserId, u64)>,
    /// Check-ins of a user in the week that began at a Monday.
    pub(crate) user_weeks: BTreeMap<(u64, UserId), u64>,
    /// Check-ins at a location in the week that began at a Monday.
    pub(crate) place_weeks: BTreeMap<(u64, LocationId), u64>,
    /// The location of each of Swarm's venues.
    pub(crate) venues: HashMap<String, LocationId>,
    /// The time and location of each visit that is known by Swarm's id.
    pub(crate) visits: HashMap<(UserId, String), (u64, LocationId)>,
    /// The accounts to search for by the numbers of their searches, and the last number.
    pub(crate) searches: BTreeMap<u64, UserId>,
    pub(crate) last_search: u64,
    /// Who searches, and until when in milliseconds since 1970.
    pub(crate) search_lease: Option<(String, u64)>,
    pub(crate) audiences: HashMap<UserId, Audience>,
    /// The new accounts, each with the time (ms) at which it is no longer new.
    pub(crate) new_accounts: HashMap<UserId, u64>,
    /// JSON, and the end of its life in milliseconds since 1970.
    pub(crate) weather: HashMap<LocationId, (String, u64)>,
    /// The attempts of each budget, and when they are forgotten (ms).
    pub(crate) attempts: HashMap<String, (Counted, u64)>,
    /// The pending steps, each with the end of its life in milliseconds since 1970.
    pub(crate) pending: HashMap<String, (String, u64)>,
    /// The lists of security events.
    pub(crate) security_events: [Vec<RecordedEvent>; 4],
}

#[derive(Debug)]
pub(crate) struct StoredUser {
    pub(crate) user: User,
    /// As it was before the first check-in of the log was applied, with those that left the history.
    pub(crate) first: User,
    pub(crate) standing: Standing,
    pub(crate) is_erased: bool,
    pub(crate) second_factor: Option<String>,
}

#[derive(Debug)]
pub(crate) struct StoredLocation {
    pub(crate) place: Location,
    /// As it was before the first check-in of the log was applied, with those that left the history.
    pub(crate) first: Location,
    pub(crate) words: Vec<String>,
    /// JSON.
    pub(crate) details: Option<String>,
    /// Check-ins with no star, with one star, and so on.
    pub(crate) ratings: [u64; 6],
    /// The number of these that left the history.
    pub(crate) folded: [u64; 6],
}

impl MemoryStorage {
    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn advance(&self, time: Duration) {
        let mut contents = self.contents();
        contents.now_ms = contents.until(time);
    }
}

impl Contents {
    pub(crate) fn erase_comments(&mut self, user: UserId) {
        let logged = self.parts.iter_mut().flat_map(|part| part.entries.values_mut());
        let all = logged.chain(self.history.values_mut()).filter(|checkin| checkin.user == user);
        all.for_each(|checkin| checkin.comment = None);
        self.private.retain(|(of, _), _| *of != user);
        self.private_retracted.retain(|(of, _)| *of != user);
        self.private_visits.retain(|(of, _)| *of != user);
        self.idempotency_keys.retain(|(of, _), first| *of != user || !first.is_private());
    }

    /// The end of a time that begins now.
    pub(crate) fn until(&self, time: Duration) -> u64 {
        self.now_ms.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            // 2026-09-01.
            now_ms: 1_788_220_800_000,
            users: BTreeMap::new(),
            places: BTreeMap::new(),
            parts: Default::default(),
            failing_part: None,
            last_id: CheckinId::MIN,
            appended_ms: HashMap::new(),
            idempotency_keys: HashMap::new(),
            processors: BTreeMap::new(),
            history: BTreeMap::new(),
            private: BTreeMap::new(),
            private_retracted: HashSet::new(),
            private_visits: HashSet::new(),
            horizon_ms: 0,
            dead: BTreeMap::new(),
            retracted: BTreeMap::new(),
            user_weeks: BTreeMap::new(),
            place_weeks: BTreeMap::new(),
            venues: HashMap::new(),
            visits: HashMap::new(),
            searches: BTreeMap::new(),
            last_search: 0,
            search_lease: None,
            audiences: HashMap::new(),
            new_accounts: HashMap::new(),
            weather: HashMap::new(),
            attempts: HashMap::new(),
            pending: HashMap::new(),
            security_events: Default::default(),
        }
    }
}
