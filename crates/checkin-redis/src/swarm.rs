//! Histories of Swarm in Redis.
//!
//! The id of a venue's location is stored before the location is written. An import that finds the id writes
//! the location with it. So imports that run at the same time, or are interrupted, create one location.

use std::collections::HashSet;

use async_trait::async_trait;

use checkin_domain::{Checkin, Location, LocationId, UserId, Visit};
use checkin_storage::swarm::VISITS_A_SECOND;
use checkin_storage::{Loaded, Result, StorageError, SwarmLoad, UsedUp, VenueLocation};
use redis_link::Reply;

use crate::RedisStorage;
use crate::bulk::Bulk;
use crate::connection::{Connection, at_once};
use crate::history::Histories;
use crate::private::Private;
use crate::reply::{array, indexed_id, number, text, unexpected};

/// Maximum number of venues or visits in one command, during which Redis does nothing else.
const PAGE: usize = 500;

#[async_trait]
impl SwarmLoad for RedisStorage {
    async fn locations_of(&self, venues: &[String]) -> Result<Vec<Option<LocationId>>> {
        let key = self.redis.keys.swarm_venues();
        let mut places = Vec::with_capacity(venues.len());
        for page in venues.chunks(PAGE) {
            let page = page.iter().map(String::as_str);
            let words: Vec<&str> = ["HMGET", &key].into_iter().chain(page).collect();
            for reply in array(self.redis.call(&words).await?)? {
                places.push(location_id(reply)?);
            }
        }
        Ok(places)
    }

    async fn remember_venues(&self, venues: &[(String, LocationId)]) -> Result<()> {
        let key = self.redis.keys.swarm_venues();
        for page in venues.chunks(PAGE) {
            let page: Vec<_> = page.iter().map(|(venue, id)| (venue, id.to_string())).collect();
            let page = page.iter().flat_map(|(venue, id)| [venue.as_str(), id]);
            self.redis.call(&["HSET", &key].into_iter().chain(page).collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    async fn make_locations(&self, venues: &[(String, Location)]) -> Result<Vec<VenueLocation>> {
        let swarm = Swarm(&self.redis);
        at_once(venues.iter().map(|(venue, place)| swarm.make_location(venue, place)).collect())
            .await
    }

    async fn load_visits(&self, visits: &[Visit]) -> Result<Vec<Loaded>> {
        let mut loaded = Vec::with_capacity(visits.len());
        for run in apart(visits) {
            loaded.extend(Swarm(&self.redis).load_run(run).await?);
        }
        Ok(loaded)
    }
}

/// The records about Swarm's venues and visits.
pub(crate) struct Swarm<'a>(pub(crate) &'a Connection);

impl Swarm<'_> {
    /// Looks for the visits, appends those that are not stored, and then stores their Swarm ids. If a
    /// Swarm id was not stored, the visit is found by its user, location and time the next time.
    async fn load_run(&self, visits: &[Visit]) -> Result<Vec<Loaded>> {
        let asked = visits.iter().map(|visit| self.new_checkin(visit)).collect();
        let new: Vec<Option<Checkin>> = at_once(asked).await?;
        let checkins: Vec<Checkin> = new.iter().flatten().cloned().collect();
        let mut answers = Bulk(self.0).load_checkins(&checkins).await?.into_iter();
        let mut loaded = Vec::with_capacity(visits.len());
        let mut known = Vec::new();
        for (visit, new) in visits.iter().zip(new) {
            let Some(checkin) = new else {
                loaded.push(Loaded::Unchanged);
                continue;
            };
            let answer = answers.next().ok_or_else(|| unexpected("more answers"))?;
            if matches!(answer, Loaded::Stored | Loaded::Unchanged) {
                known.push(self.keep_visit(visit, checkin));
            }
            loaded.push(answer);
        }
        at_once(known).await?;
        Ok(loaded)
    }

    /// Returns the check-in for the visit, or `None` if it is already stored.
    async fn new_checkin(&self, visit: &Visit) -> Result<Option<Checkin>> {
        let Visit { checkin, swarm_id } = visit;
        if let Some(id) = swarm_id
            && Private(self.0).has_visit(checkin.user, id).await?
        {
            return Ok(None);
        }
        if checkin.is_private {
            let is_known = self.is_known(checkin.user, swarm_id.as_deref()).await?
                || self.is_public(visit).await?;
            return Ok((!is_known).then(|| checkin.clone()));
        }
        if Private(self.0).has_visited(checkin).await? {
            let kept = Checkin { is_private: true, ..checkin.clone() };
            self.keep_visit(visit, kept).await?;
            return Ok(None);
        }
        let later = self.find(checkin, swarm_id.as_deref()).await?;
        Ok(later.map(|ms| visit.later(ms)))
    }

    /// Returns the answer for a check-in that is there, or was until it was retracted, as a private one if it is public,
    /// or as a public one if it is private, but not as what it is.
    pub(crate) async fn other_form(&self, checkin: &Checkin) -> Result<Option<Loaded>> {
        let private = Private(self.0);
        let is_private = private.has_visited(checkin).await?;
        if is_private == checkin.is_private {
            // A private one is there as what it is, and a public one is not there as a private one.
            return Ok(None);
        }
        let was_public = self.was_retracted(checkin).await?;
        let is_public = self.find(checkin, None).await?.is_none();
        if !checkin.is_private {
            let was_private = private.was_retracted(checkin.user, checkin.id).await?;
            let answer = if was_private { Loaded::Unchanged } else { Loaded::IsPrivate };
            return Ok((!was_public && !is_public).then_some(answer));
        }
        let answer = if was_public { Loaded::Unchanged } else { Loaded::IsPublic };
        Ok((was_public || is_public).then_some(answer))
    }

    /// Returns whether a private visit is stored, or was until it was retracted, as a check-in of the log that belongs
    /// to no other visit. Then the check-in gets its Swarm id.
    async fn is_public(&self, visit: &Visit) -> Result<bool> {
        let Visit { checkin, swarm_id } = visit;
        let is_public =
            self.find(checkin, None).await?.is_none() || self.was_retracted(checkin).await?;
        if !is_public || swarm_id.is_some() && self.belongs(checkin).await? {
            return Ok(false);
        }
        self.keep_visit(visit, Checkin { is_private: false, ..checkin.clone() }).await?;
        Ok(true)
    }

    /// Returns whether the check-in at this location and time belongs to a visit with a Swarm id.
    async fn belongs(&self, Checkin { user, location, time_ms, .. }: &Checkin) -> Result<bool> {
        let key = self.0.keys.swarm_visits(self.0.keys.partition_of(*user));
        let member = format!("at {time_ms} {user} {location}");
        Ok(number(self.0.call(&["SISMEMBER", &key, &member]).await?)? == 1)
    }

    /// Returns whether a check-in with this id was retracted, or one of its user at its time that was imported
    /// behind later ones.
    async fn was_retracted(&self, Checkin { user, id, time_ms, .. }: &Checkin) -> Result<bool> {
        let partition = self.0.keys.partition_of(*user);
        let (retracted, imported) =
            (self.0.keys.retracted(partition), self.0.keys.imported(partition));
        let (by_id, by_time) = (format!("{id} {user}"), format!("{time_ms} {user}"));
        let (marked, behind) = (["ZSCORE", &retracted, &by_id], ["SISMEMBER", &imported, &by_time]);
        Ok(self.0.call(&marked).await? != Reply::Nil || number(self.0.call(&behind).await?)? == 1)
    }

    /// Looks for a check-in of the log. Returns by how many milliseconds later it must be stored, or `None` if it is
    /// stored. Then it gets the Swarm id.
    async fn find(&self, checkin: &Checkin, swarm_id: Option<&str>) -> Result<Option<u64>> {
        let history = self.0.keys.user_history(checkin.user);
        let counted = match Histories(self.0).has_visit(&history, checkin).await? {
            true => "1",
            false => "0",
        };
        let partition = self.0.keys.partition_of(checkin.user);
        let keys = [
            self.0.keys.log(partition),
            self.0.keys.imported(partition),
            self.0.keys.swarm_visits(partition),
        ];
        let [user, location] = [checkin.user.to_string(), checkin.location.to_string()];
        let (time, limit) = (checkin.time_ms.to_string(), VISITS_A_SECOND.to_string());
        let keys = keys.each_ref().map(String::as_str);
        let mut words = vec![&*user, &location, &time, counted, &limit];
        words.extend(swarm_id);
        let later = self.0.run(&self.0.scripts.find_visit, &keys, &words).await?;
        Ok(u64::try_from(number(later)?).ok())
    }

    /// Returns whether this Swarm id belongs to a check-in that is not private.
    async fn is_known(&self, user: UserId, swarm_id: Option<&str>) -> Result<bool> {
        let Some(id) = swarm_id else { return Ok(false) };
        let key = self.0.keys.swarm_visits(self.0.keys.partition_of(user));
        let member = format!("id {user} {id}");
        Ok(number(self.0.call(&["SISMEMBER", &key, &member]).await?)? == 1)
    }

    async fn keep_visit(&self, visit: &Visit, checkin: Checkin) -> Result<()> {
        let Some(id) = &visit.swarm_id else {
            return Ok(());
        };
        let Checkin { user, location, time_ms, is_private, .. } = checkin;
        if is_private {
            return Private(self.0).keep_visit(user, id).await;
        }
        let key = self.0.keys.swarm_visits(self.0.keys.partition_of(user));
        let (id, visit) = (format!("id {user} {id}"), format!("at {time_ms} {user} {location}"));
        self.0.call(&["SADD", &key, &id, &visit]).await.map(drop)
    }

    async fn make_location(&self, venue: &str, place: &Location) -> Result<VenueLocation> {
        let mut taken = None;
        loop {
            let (id, first) = self.claim_venue(venue, place.id, taken).await?;
            let place = Location { id, ..place.clone() };
            let made = Bulk(self.0).load_location(&place).await? == Loaded::Stored;
            if made || !first {
                return Ok(VenueLocation { id, made });
            }
            taken = Some(id);
        }
    }

    /// Returns the id of the venue's location, and whether this call assigned it.
    async fn claim_venue(
        &self,
        venue: &str,
        lowest: LocationId,
        taken: Option<LocationId>,
    ) -> Result<(LocationId, bool)> {
        let keys = [
            self.0.keys.swarm_venues(),
            self.0.keys.last_venue_location(),
            self.0.keys.shared_venue_locations(),
        ];
        let lowest = lowest.to_string();
        let taken = taken.map(|id| id.to_string()).unwrap_or_default();
        let (keys, words) = (keys.each_ref().map(String::as_str), [venue, &lowest, &taken]);
        let mut claimed =
            array(self.0.run(&self.0.scripts.claim_venue, &keys, &words).await?)?.into_iter();
        let (Some(id), Some(first)) = (claimed.next(), claimed.next()) else {
            return Err(unexpected("an id"));
        };
        if id == Reply::Bytes("used up".into()) {
            return Err(StorageError::new(UsedUp("locations")));
        }
        let id = location_id(id)?.ok_or_else(|| unexpected("an id"))?;
        Ok((id, number(first)? == 1))
    }
}

fn location_id(reply: Reply) -> Result<Option<LocationId>> {
    match reply {
        Reply::Nil => Ok(None),
        id => indexed_id(&text(id)?).map(Some),
    }
}

/// Splits the visits into runs in which no user is twice at the same location at the same time. The visits
/// of a run are looked for before any of them is stored.
fn apart(visits: &[Visit]) -> Vec<&[Visit]> {
    let (mut runs, mut start, mut seen) = (Vec::new(), 0, HashSet::new());
    for (position, Visit { checkin, .. }) in visits.iter().enumerate() {
        let content = (checkin.user, checkin.location, checkin.time_ms);
        if position - start == PAGE || seen.contains(&content) {
            runs.push(&visits[start..position]);
            start = position;
            seen.clear();
        }
        seen.insert(content);
    }
    runs.push(&visits[start..]);
    runs
}
