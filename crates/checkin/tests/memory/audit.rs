//! Recounts everything from the log and the histories.

use std::collections::BTreeMap;

use async_trait::async_trait;
use checkin_domain::{Checkin, CheckinId};
use checkin_storage::{Audit, AuditReport, Audited, Figure, Result, Unequal};

use crate::log::Part;
use crate::store::{Contents, MemoryStorage, StoredLocation, StoredUser};

#[async_trait]
impl Audit for MemoryStorage {
    async fn audit(&self) -> Result<AuditReport> {
        let contents = self.contents();
        let applied =
            || contents.parts.iter().flat_map(Part::counted).filter(|c| !contents.is_dead(c));
        let mut audit = AuditReport {
            entries: contents.entries().count() as u64,
            counted: applied().count() as u64,
            waiting: contents.parts.iter().map(Part::waiting).sum(),
            dead: contents.dead.len() as u64,
            compared: (contents.users.len() + contents.places.len()) as u64,
            ..AuditReport::default()
        };
        // Those that left the log are in the histories alone.
        let all =
            applied().chain(contents.history.values()).map(|checkin| (checkin.id, checkin.clone()));
        let all: BTreeMap<CheckinId, Checkin> = all.collect();
        for (id, user) in &contents.users {
            let is_own = |checkin: &&Checkin| checkin.user == *id;
            let own: Vec<&Checkin> = all.values().filter(is_own).collect();
            let history = contents.history.values().filter(is_own).count();
            audit.add(Audited::User(*id), &user.unequal(&own, history));
        }
        for (id, place) in &contents.places {
            let own: Vec<&Checkin> = all.values().filter(|c| c.location == *id).collect();
            audit.add(Audited::Location(*id), &place.unequal(&own));
        }
        Ok(audit)
    }
}

impl Contents {
    pub(crate) fn is_dead(&self, checkin: &Checkin) -> bool {
        self.dead.values().any(|dead| dead.checkin.id == checkin.id)
    }
}

impl StoredUser {
    fn unequal(&self, own: &[&Checkin], history: usize) -> Vec<Unequal> {
        let (Self { user, first, .. }, number) = (self, own.len() as u64);
        let last = own.iter().map(|checkin| checkin.time_ms).max().max(first.last_checkin);
        let last = (user.last_checkin.unwrap_or(0), last.unwrap_or(0));
        let compared = [
            Unequal::of(Figure::NumCheckins, user.num_checkins, first.num_checkins + number),
            Unequal::of(Figure::LastCheckin, last.0, last.1),
            Unequal::of(Figure::History, history as u64, number),
        ];
        compared.into_iter().flatten().collect()
    }
}

impl StoredLocation {
    fn unequal(&self, own: &[&Checkin]) -> Vec<Unequal> {
        let (Self { place, first, ratings, folded, .. }, number) = (self, own.len() as u64);
        let stars: u64 = own.iter().map(|checkin| u64::from(checkin.stars.get())).sum();
        let ratings = ratings.iter().zip(folded).map(|(rated, folded)| rated - folded);
        let ratings: Vec<u64> = ratings.collect();
        let rated = (0..).zip(&ratings).map(|(stars, number): (u64, &u64)| stars * number).sum();
        let compared = [
            Unequal::of(Figure::NumCheckins, place.num_checkins, first.num_checkins + number),
            Unequal::of(Figure::NumStars, place.num_stars, first.num_stars + stars),
            Unequal::of(Figure::Ratings, ratings.iter().sum(), number),
            Unequal::of(Figure::RatedStars, rated, stars),
        ];
        compared.into_iter().flatten().collect()
    }
}
