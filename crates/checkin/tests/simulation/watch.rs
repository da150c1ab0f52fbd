//! What must hold after every command, and what was sent and accepted.

use std::collections::{BTreeMap, BTreeSet};

use crate::PREFIX;
use crate::plan::Plan;
use crate::redis::{Answer, Entry, EntryId, Keyspace, SortedSet, Stream, hash_field};

/// A check-in: user, location and stars.
pub(crate) type Content = [u64; 3];

/// Watches a run.
pub(crate) struct Watch {
    /// The first invariant that did not hold.
    pub violation: Option<String>,
    partitions: Vec<Partition>,
    /// How often each content may be in the log: once for each idempotency key, and once for each request
    /// without one.
    sent: BTreeMap<Content, u64>,
    /// The entries that were accepted, and the number of the check-in for which each was.
    accepted: BTreeMap<EntryId, u64>,
    /// The private check-ins that were accepted and are not deleted, and their numbers.
    private: BTreeMap<EntryId, (u64, Content)>,
    /// The private check-ins that were refused as duplicates. A late copy of the request may have been stored.
    refused_privately: Vec<Content>,
    /// The private check-ins that were deleted.
    deleted_privately: BTreeSet<EntryId>,
    /// The users who have asked to delete their accounts.
    leaving: BTreeSet<u64>,
    duplicate_window_ms: u64,
}

/// A partition of the log as it was after the last command.
struct Partition {
    log: String,
    checkpoint: String,
    lease: String,
    /// The retractions that may not be applied yet, the marks of all, and those whose lists are settled once more.
    retractions: [String; 3],
    retracted: BTreeSet<EntryId>,
    /// All entries that ever were in the log.
    all: BTreeMap<EntryId, Logged>,
    applied: EntryId,
    holder: Option<(Vec<u8>, u64)>,
    /// The latest time of Redis so far.
    latest_ms: u64,
}

#[derive(Clone, Copy)]
struct Logged {
    content: Content,
    at_ms: u64,
    /// An Express service wrote it, which knows no duplicate window.
    is_foreign: bool,
}

impl Watch {
    pub(crate) fn new(plan: &Plan) -> Self {
        let partition = |number| {
            let (log, companion) = match plan.partitions {
                1 => (format!("{PREFIX}:checkins"), format!("{{{PREFIX}:checkins}}")),
                _ => {
                    let log = format!("{PREFIX}:checkins:{{{number}}}");
                    (log.clone(), log)
                }
            };
            Partition {
                checkpoint: format!("{companion}:checkpoint"),
                lease: format!("{companion}:lease"),
                retractions: ["retractions", "retracted", "settling"]
                    .map(|key| format!("{companion}:{key}")),
                retracted: BTreeSet::new(),
                log,
                all: BTreeMap::new(),
                applied: EntryId::default(),
                holder: None,
                latest_ms: 0,
            }
        };
        Self {
            violation: None,
            partitions: (0..plan.partitions).map(partition).collect(),
            sent: BTreeMap::new(),
            accepted: BTreeMap::new(),
            private: BTreeMap::new(),
            refused_privately: Vec::new(),
            deleted_privately: BTreeSet::new(),
            leaving: BTreeSet::new(),
            duplicate_window_ms: plan.admission.duplicate_window.as_millis() as u64,
        }
    }

    pub(crate) fn violated(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// A check-in is about to be sent that may be stored once more than before.
    pub(crate) fn sending(&mut self, content: Content) {
        *self.sent.entry(content).or_default() += 1;
    }

    /// A client was answered that its check-in with this number has this id.
    pub(crate) fn accepted(&mut self, number: u64, content: Content, id: EntryId) {
        let stored = self.partitions.iter().find_map(|partition| partition.all.get(&id));
        if stored.is_none_or(|entry| entry.content != content) {
            self.violated(format!("{content:?} was accepted as {id}, which is not in the log"));
        }
        if *self.accepted.entry(id).or_insert(number) != number {
            self.violated(format!("{id} was accepted for two check-ins"));
        }
    }

    /// The same of a private check-in.
    pub(crate) fn accepted_privately(&mut self, number: u64, content: Content, id: EntryId) {
        let before = self.private.iter().find(|(_, (of, _))| *of == number);
        if before.is_some_and(|(before, _)| *before != id) {
            self.violated(format!("a private check-in was accepted twice, also as {id}"));
        }
        self.private.insert(id, (number, content));
    }

    /// A client was answered that its private check-in is a duplicate.
    pub(crate) fn refused_privately(&mut self, content: Content) {
        self.refused_privately.push(content);
    }

    /// The private check-ins that may be there, each at most once.
    pub(crate) fn possibly_private(&self) -> impl Iterator<Item = Content> {
        self.refused_privately.iter().filter(|[user, ..]| !self.leaves(*user)).copied()
    }

    /// Returns whether a private check-in was deleted.
    pub(crate) fn is_deleted_privately(&self, id: EntryId) -> bool {
        self.deleted_privately.contains(&id)
    }

    /// A user is about to delete the account. Nothing of what it has must be there any more.
    pub(crate) fn leaving(&mut self, user: u64) {
        self.leaving.insert(user);
    }

    pub(crate) fn leaves(&self, user: u64) -> bool {
        self.leaving.contains(&user)
    }

    /// The private check-ins that must be there.
    pub(crate) fn private(&self) -> impl Iterator<Item = (EntryId, Content)> {
        let all = self.private.iter().map(|(id, (_, content))| (*id, *content));
        all.filter(|(_, [user, ..])| !self.leaves(*user))
    }

    /// Returns the id that a client was answered for its check-in with this number.
    pub(crate) fn id_of(&self, number: u64) -> Option<EntryId> {
        let private = self.private.iter().find(|(_, (of, _))| *of == number);
        if let Some((id, _)) = private {
            return Some(*id);
        }
        let found = self.accepted.iter().find(|(_, of)| **of == number);
        found.map(|(id, _)| *id)
    }

    /// A client was answered that its check-in is deleted.
    pub(crate) fn deleted(&mut self, user: u64, id: EntryId) {
        // The marks of a deleted account go with it.
        if self.private.remove(&id).is_some() {
            self.deleted_privately.insert(id);
            return;
        }
        if self.leaves(user) {
            return;
        }
        if !self.partitions.iter().any(|partition| partition.retracted.contains(&id)) {
            self.violated(format!("{id} was deleted, but no retraction is stored"));
        }
    }

    /// The number of check-ins that were accepted, that ever were in the log, and that were retracted, and of deleted
    /// accounts.
    pub(crate) fn counts(&self) -> [usize; 4] {
        let sum = |count: fn(&Partition) -> usize| self.partitions.iter().map(count).sum();
        let (stored, retracted) = (sum(|of| of.all.len()), sum(|of| of.retracted.len()));
        [self.accepted.len(), stored, retracted, self.leaving.len()]
    }

    /// All check-ins that ever were in the log and are not retracted, in the form of a history.
    pub(crate) fn all(&self) -> impl Iterator<Item = (EntryId, Content)> {
        let all = self.partitions.iter().flat_map(Partition::unretracted);
        let all = all.map(|(id, entry)| (*id, entry.content));
        all.filter(|(_, [user, ..])| !self.leaves(*user))
    }

    /// Returns whether retractions wait to be applied.
    pub(crate) fn has_retractions(&self, keyspace: &mut Keyspace) -> bool {
        let mut waits = |partition: &Partition| {
            let [waiting, _, settling] = &partition.retractions;
            [waiting, settling]
                .iter()
                .any(|key| keyspace.get::<SortedSet>(key.as_bytes()).unwrap().is_some())
        };
        self.partitions.iter().any(&mut waits)
    }

    /// Returns an entry of the log whose user has left.
    pub(crate) fn ownerless(&self, keyspace: &mut Keyspace) -> Option<EntryId> {
        self.partitions.iter().find_map(|partition| {
            let stream = keyspace.get::<Stream>(partition.log.as_bytes()).unwrap()?;
            let mut entries = stream.entries.iter();
            let found = entries
                .find(|(_, fields)| content(fields).is_some_and(|[user, ..]| self.leaves(user)));
            found.map(|(id, _)| *id)
        })
    }

    /// Returns the holders of the leases.
    pub(crate) fn holders(&self, keyspace: &mut Keyspace) -> Vec<Option<String>> {
        let holder = |partition: &Partition| {
            let lease = keyspace.get::<Vec<u8>>(partition.lease.as_bytes()).unwrap();
            lease.map(|lease| String::from_utf8_lossy(lease).into_owned())
        };
        self.partitions.iter().map(holder).collect()
    }

    /// Compares the state after a command with the one before.
    pub(crate) fn look(
        &mut self,
        keyspace: &mut Keyspace,
        process: &str,
        words: &[Vec<u8>],
        answer: &Answer,
    ) {
        if let Err(text) = answer
            && !is_expected(text, words)
        {
            self.violated(format!("Redis refused a command: {text}"));
        }
        let Self { partitions, sent, leaving, duplicate_window_ms, .. } = self;
        let touched = |partition: &&mut Partition| {
            let keys = [&partition.log, &partition.checkpoint, &partition.lease];
            words.iter().any(|word| keys.iter().any(|key| key.as_bytes() == word))
        };
        let mut violations = Vec::new();
        for partition in partitions.iter_mut().filter(touched) {
            let window_ms = *duplicate_window_ms;
            violations.extend(partition.new_retractions(keyspace).err());
            violations.extend(partition.new_entries(keyspace, sent, leaving, window_ms).err());
            violations.extend(partition.moved_checkpoint(keyspace, leaving).err());
            violations.extend(partition.trimmed(keyspace, leaving).err());
            violations.extend(partition.changed_lease(keyspace, process).err());
        }
        for violation in violations {
            self.violated(violation);
        }
    }
}

impl Partition {
    fn unretracted(&self) -> impl DoubleEndedIterator<Item = (&EntryId, &Logged)> {
        self.all.iter().filter(|(id, _)| !self.retracted.contains(id))
    }

    fn new_retractions(&mut self, keyspace: &mut Keyspace) -> Result<(), String> {
        let marks = keyspace.get::<SortedSet>(self.retractions[1].as_bytes())?;
        let marks = marks.into_iter().flat_map(SortedSet::members);
        let id = |member: &[u8]| EntryId::read(member.split(|byte| *byte == b' ').next()?, 0).ok();
        self.retracted = marks.filter_map(|(member, _)| id(member)).collect();
        let Some(stream) = keyspace.get::<Stream>(self.log.as_bytes())? else { return Ok(()) };
        match self.retracted.iter().find(|id| stream.entries.contains_key(id)) {
            Some(id) => Err(format!("{id} is retracted, and in the log")),
            None => Ok(()),
        }
    }

    fn new_entries(
        &mut self,
        keyspace: &mut Keyspace,
        sent: &BTreeMap<Content, u64>,
        leaving: &BTreeSet<u64>,
        window_ms: u64,
    ) -> Result<(), String> {
        let at_ms = keyspace.now_ms();
        let latest_ms = self.latest_ms.max(at_ms);
        self.latest_ms = latest_ms;
        let Some(stream) = keyspace.get::<Stream>(self.log.as_bytes())? else { return Ok(()) };
        let last = self.all.last_key_value().map_or(EntryId::default(), |(id, _)| *id);
        let new = stream.entries.range(EntryId(last.0, last.1 + 1)..);
        for (id, fields) in new {
            let content = content(fields).ok_or_else(|| format!("{id} is not a check-in"))?;
            let same = self.all.values().filter(|entry| entry.content == content);
            if same.count() as u64 >= sent.get(&content).copied().unwrap_or(0) {
                return Err(format!("{content:?} was stored as {id}, but was not sent so often"));
            }
            let is_foreign = fields.iter().any(|word| word == FOREIGN.as_bytes());
            // The marker of an entry expires by the clock, which may have been set back since.
            let is_recent = |(_, entry): (&EntryId, &Logged)| {
                let is_own = !is_foreign && !entry.is_foreign && entry.content == content;
                is_own && latest_ms - entry.at_ms < window_ms
            };
            // The check-ins of a deleted account are retracted, and the marks of that are gone.
            if !leaving.contains(&content[0]) && self.unretracted().any(is_recent) {
                return Err(format!("{content:?} was stored twice within the duplicate window"));
            }
            self.all.insert(*id, Logged { content, at_ms, is_foreign });
        }
        Ok(())
    }

    fn moved_checkpoint(
        &mut self,
        keyspace: &mut Keyspace,
        leaving: &BTreeSet<u64>,
    ) -> Result<(), String> {
        let Some(id) = hash_field(keyspace, &self.checkpoint, "id")? else { return Ok(()) };
        let id = EntryId::read(&id, 0)?;
        if id < self.applied {
            return Err(format!("the checkpoint moved back from {} to {id}", self.applied));
        }
        for (entry, Logged { content, .. }) in self.all.range(self.applied..=id) {
            let is_gone = self.retracted.contains(entry) || leaving.contains(&content[0]);
            let is_due = *entry > self.applied && !is_gone;
            if is_due && !is_applied(keyspace, *entry, *content)? {
                return Err(format!("the checkpoint is {id}, but {entry} is not applied"));
            }
        }
        self.applied = id;
        Ok(())
    }

    fn trimmed(&mut self, keyspace: &mut Keyspace, leaving: &BTreeSet<u64>) -> Result<(), String> {
        let Some(stream) = keyspace.get::<Stream>(self.log.as_bytes())? else { return Ok(()) };
        let first = stream.entries.first_key_value().map(|(id, _)| *id);
        let in_log = stream.entries.range(..=self.applied).count() as i64;
        let gone = self.unretracted().rfind(|(id, entry)| {
            first.is_none_or(|first| **id < first) && !leaving.contains(&entry.content[0])
        });
        if let Some((gone, _)) = gone.filter(|(gone, _)| **gone > self.applied) {
            return Err(format!("{gone} left the log before it was applied"));
        }
        let mut figure = |name| -> Result<i64, String> {
            let text = hash_field(keyspace, &self.checkpoint, name)?.unwrap_or_default();
            Ok(String::from_utf8_lossy(&text).parse().unwrap_or(0))
        };
        let counted = figure("counted")? - figure("trimmed")?;
        if counted != in_log {
            return Err(format!(
                "{in_log} applied entries are in the log, and {counted} by its figures"
            ));
        }
        Ok(())
    }

    fn changed_lease(&mut self, keyspace: &mut Keyspace, process: &str) -> Result<(), String> {
        let (key, now_ms) = (self.lease.as_bytes(), keyspace.now_ms());
        let holder = keyspace.get::<Vec<u8>>(key)?.cloned();
        let holder = holder.zip(keyspace.expires_ms(key));
        let before = std::mem::replace(&mut self.holder, holder);
        match (before, &self.holder) {
            (Some((before, expires)), Some((now, _))) if before != *now && now_ms <= expires => {
                let [before, now] = [&before, now].map(|name| String::from_utf8_lossy(name));
                Err(format!("{now} took the lease of {before} before its end"))
            }
            (Some((before, expires)), None)
                if before != process.as_bytes() && now_ms <= expires =>
            {
                let before = String::from_utf8_lossy(&before);
                Err(format!("{process} released the lease of {before}"))
            }
            _ => Ok(()),
        }
    }
}

/// Returns whether a server may refuse a command in this way: it has lost its scripts, its memory is full, the
/// user lacks a permission, or the command is the probe of an outage, which may be sent to a key of any type.
fn is_expected(error: &str, words: &[Vec<u8>]) -> bool {
    let is_probe = words[0] == b"SETRANGE" && error.starts_with("WRONGTYPE");
    let is_refused = ["NOSCRIPT", "OOM", "ERR The user executing"];
    is_refused.iter().any(|text| error.starts_with(text)) || is_probe
}

/// A field that only the entries of an Express service have here.
pub(crate) const FOREIGN: &str = "source";

fn content(fields: &Entry) -> Option<Content> {
    let value = |name: &str| {
        let mut pairs = fields.chunks_exact(2);
        let pair = pairs.find(|pair| pair[0] == name.as_bytes())?;
        String::from_utf8_lossy(&pair[1]).parse().ok()
    };
    Some([value("userId")?, value("locationId")?, value("starRating")?])
}

fn is_applied(keyspace: &mut Keyspace, id: EntryId, content: Content) -> Result<bool, String> {
    let [(of_user, one), (of_location, other)] = histories(id, content);
    let mut has = |key: String, member: String| -> Result<bool, String> {
        let history = keyspace.get::<SortedSet>(key.as_bytes())?;
        Ok(history.and_then(|history| history.score(member.as_bytes())).is_some())
    };
    Ok(has(of_user, one)? && has(of_location, other)?)
}

/// Returns the histories of a check-in's user and location, and its member in each.
pub(crate) fn histories(id: EntryId, [user, location, stars]: Content) -> [(String, String); 2] {
    let key = |kind, number| format!("{{{PREFIX}:{kind}:{number}}}:checkins");
    [
        (key("user", user), format!("{id} {location} {stars}")),
        (key("location", location), format!("{id} {user} {stars}")),
    ]
}
