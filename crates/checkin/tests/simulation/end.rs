//! The end of a run: everything must come to rest, and then be equal to what was accepted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use checkin_storage::{Applier, Audit};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::PREFIX;
use crate::deployment::Deployment;
use crate::network::Process;
use crate::plan::Plan;
use crate::redis::{EntryId, Keyspace, SortedSet, hash_field};
use crate::watch::{Watch, histories};
use crate::world::World;

/// The longest time without faults until all clients have an answer, and all check-ins are applied.
const REST: Duration = Duration::from_secs(20);

/// Waits until all clients have their answers and all check-ins are applied, and compares everything.
pub(crate) async fn come_to_rest(
    deployment: &Arc<Deployment>,
    mut clients: JoinSet<()>,
) -> Result<(), String> {
    let finish = async { while clients.join_next().await.is_some() {} };
    timeout(REST, finish).await.map_err(|_| "a client did not get an answer")?;
    let process = Process::new(&deployment.world, "observer", &deployment.plan, false);
    let storage = process.storage(deployment.plan.partitions);
    let (mut reason, mut rests_since) = (String::new(), None);
    let rest = async {
        loop {
            let waiting = storage.backlog().await.map_err(|error| error.to_string())?;
            match is_at_rest(deployment, waiting) {
                // A hand-over may be about to begin.
                Ok(()) => {
                    let since = *rests_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= deployment.plan.lease {
                        return Ok::<(), String>(());
                    }
                }
                Err(why) => (reason, rests_since) = (why, None),
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    match timeout(REST, rest).await {
        Ok(rested) => rested?,
        Err(_) => return Err(format!("it did not come to rest: {reason}")),
    }
    let audit = storage.audit().await.map_err(|error| error.to_string())?;
    if audit.different > 0 || audit.waiting > 0 || audit.dead > 0 || !audit.unreadable.is_empty() {
        return Err(format!("the audit found {audit:?}"));
    }
    let states = storage.part_states().await.map_err(|error| error.to_string())?;
    if states.iter().any(|state| state.lost > 0) {
        return Err(format!("entries are reported as lost: {states:?}"));
    }
    recount(&deployment.world, &deployment.plan)
}

/// Nothing is under way, and nothing waits.
fn is_at_rest(deployment: &Deployment, waiting: u64) -> Result<(), String> {
    if waiting > 0 {
        return Err(format!("{waiting} check-ins are not applied"));
    }
    let state = deployment.world.lock();
    if state.late > 0 {
        return Err("late requests are under way".to_owned());
    }
    if state.watch.has_retractions(&mut state.redis.keyspace()) {
        return Err("retractions are not applied".to_owned());
    }
    if let Some(id) = state.watch.ownerless(&mut state.redis.keyspace()) {
        return Err(format!("{id} of a deleted account is in the log"));
    }
    drop(state);
    if deployment.has_ended_wrongly() {
        return Err("a processor ended by itself, or does not stop".to_owned());
    }
    is_balanced(deployment)
}

/// Each partition is held by a live processor, and their numbers differ by at most one.
fn is_balanced(deployment: &Deployment) -> Result<(), String> {
    let state = deployment.world.lock();
    let holders = state.watch.holders(&mut state.redis.keyspace());
    let mut shares: BTreeMap<String, usize> =
        deployment.live().into_iter().map(|name| (name, 0)).collect();
    for holder in &holders {
        match holder.as_ref().and_then(|name| shares.get_mut(name)) {
            Some(share) => *share += 1,
            None => return Err(format!("a partition has no live processor: {holders:?}")),
        }
    }
    let (most, least) = (shares.values().max(), shares.values().min());
    if most.zip(least).is_some_and(|(most, least)| most - least > 1) {
        return Err(format!("the shares are not equal: {holders:?}"));
    }
    Ok(())
}

/// Counts everything that ever was in the log, and compares it with the histories, the figures and the lists.
fn recount(world: &World, plan: &Plan) -> Result<(), String> {
    let state = world.lock();
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    for (id, content) in state.watch.all() {
        for (history, member) in histories(id, content) {
            let wanted = wanted.entry(history).or_default();
            wanted.members.push(member);
            wanted.stars += content[2];
        }
    }
    let private = |user: u64| format!("{{{PREFIX}:user:{user}}}:private");
    for (id, [user, location, stars]) in state.watch.private() {
        let history = wanted.entry(private(user)).or_default();
        history.members.push(format!("{id} {location} {stars}"));
    }
    let keyspace = &mut state.redis.keyspace();
    let mut recount = Recount { keyspace, wanted, locations: plan.locations };
    for [user, location, stars] in state.watch.possibly_private() {
        recount.allow(&private(user), [location, stars], &state.watch)?;
    }
    for id in 1..=plan.last_user() {
        recount.compare("user", id)?;
        recount.history(&private(id))?;
    }
    (1..=plan.locations).try_for_each(|id| recount.compare("location", id))
}

/// What a user or location must have.
#[derive(Default)]
struct Wanted {
    members: Vec<String>,
    stars: u64,
}

struct Recount<'a> {
    keyspace: &'a mut Keyspace,
    wanted: BTreeMap<String, Wanted>,
    locations: u64,
}

impl Recount<'_> {
    fn compare(&mut self, kind: &str, id: u64) -> Result<(), String> {
        let wanted = self.history(&format!("{{{PREFIX}:{kind}:{id}}}:checkins"))?;
        let number = wanted.members.len() as u64;
        let last = self.figure(kind, id, "lastCheckin")?;
        let list = |name: &str| format!("{PREFIX}:{kind}s:{name}");
        let mut found = vec![
            ("numCheckins".to_owned(), self.figure(kind, id, "numCheckins")?, number),
            (list("bycheckins"), self.score(&list("bycheckins"), id)?, number),
        ];
        if kind == "location" {
            let stars = self.figure(kind, id, "numStars")?;
            found.push(("numStars".to_owned(), stars, wanted.stars));
        } else {
            found.push((list("recent"), self.score(&list("recent"), id)?, last));
            // The list of another location may still have the user, whom its readers pass over; not without check-ins.
            let place = self.figure(kind, id, "lastSeenAt")?;
            let places = if number == 0 { 1..=self.locations } else { place..=place };
            for at in places.map(|at| list(&format!("at:{at}"))) {
                found.push((at.clone(), self.score(&at, id)?, last));
            }
        }
        match found.into_iter().find(|(_, found, wanted)| found != wanted) {
            Some((what, found, wanted)) => {
                Err(format!("{what} of {kind} {id} is {found}, and should be {wanted}"))
            }
            None => Ok(()),
        }
    }

    /// Compares a history, and returns what it must have.
    fn history(&mut self, key: &str) -> Result<Wanted, String> {
        let mut wanted = self.wanted.remove(key).unwrap_or_default();
        wanted.members.sort_unstable();
        let mut members = self.members(key)?;
        members.sort_unstable();
        match members == wanted.members {
            true => Ok(wanted),
            false => Err(format!("{key} has {members:?}, and should have {:?}", wanted.members)),
        }
    }

    /// Allows one more private check-in at this location with these stars, unless it was deleted.
    fn allow(
        &mut self,
        key: &str,
        [location, stars]: [u64; 2],
        watch: &Watch,
    ) -> Result<(), String> {
        let (end, members) = (format!(" {location} {stars}"), self.members(key)?);
        let wanted = &mut self.wanted.entry(key.to_owned()).or_default().members;
        let is_allowed = |member: &String| {
            let id = member.strip_suffix(&end).and_then(|id| EntryId::read(id.as_bytes(), 0).ok());
            id.is_some_and(|id| !watch.is_deleted_privately(id)) && !wanted.contains(member)
        };
        let allowed = members.into_iter().find(is_allowed);
        wanted.extend(allowed);
        Ok(())
    }

    fn members(&mut self, key: &str) -> Result<Vec<String>, String> {
        let Some(set) = self.keyspace.get::<SortedSet>(key.as_bytes())? else {
            return Ok(Vec::new());
        };
        Ok(set.members().map(|(member, _)| String::from_utf8_lossy(member).into_owned()).collect())
    }

    fn figure(&mut self, kind: &str, id: u64, name: &str) -> Result<u64, String> {
        let text = hash_field(self.keyspace, &format!("{PREFIX}:{kind}:{id}"), name)?;
        Ok(String::from_utf8_lossy(&text.unwrap_or_default()).parse().unwrap_or(0))
    }

    fn score(&mut self, list: &str, id: u64) -> Result<u64, String> {
        let set = self.keyspace.get::<SortedSet>(list.as_bytes())?;
        Ok(set.and_then(|set| set.score(id.to_string().as_bytes())).unwrap_or(0.0) as u64)
    }
}
