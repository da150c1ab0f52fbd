//! Draws the user, the location and the stars of each check-in.

use crate::domain::{LocationId, NewCheckin, StarRating};
use crate::random::{Random, Weighted};

/// Evens out the popularity of the first locations. Otherwise one location would get a sixth of all
/// check-ins.
const HEAD: u64 = 6;

/// The check-ins of a run, one after the other. The same seed and locations give the same
/// check-ins.
///
/// Users take turns, because the receiver limits the check-ins of a user per second.
pub struct Plan {
    random: Random,
    users: usize,
    next_user: usize,
    places: Vec<LocationId>,
    popularity: Weighted,
}

/// A check-in before it has a user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedCheckin {
    /// The position of the user.
    pub user: usize,
    /// The location.
    pub location: LocationId,
    /// The rating.
    pub stars: StarRating,
}

impl Plan {
    /// Creates a plan for this number of users and these locations. Returns `None` without a user
    /// or a location.
    #[must_use]
    pub fn new(seed: u64, users: usize, mut places: Vec<LocationId>) -> Option<Self> {
        if users == 0 || places.is_empty() {
            return None;
        }
        let mut random = Random::new(seed);
        random.shuffle(&mut places);
        let weights = (0..places.len() as u64).map(|rank| 1_000_000 / (rank + HEAD));
        let popularity = Weighted::new(weights);
        Some(Self { random, users, next_user: 0, places, popularity })
    }

    /// Returns the next check-in.
    pub fn visit(&mut self) -> PlannedCheckin {
        let user = self.next_user;
        self.next_user = (user + 1) % self.users;
        let location = self.places[self.popularity.pick(&mut self.random)];
        let stars = self.random.below(u64::from(StarRating::MAX) + 1);
        let stars = StarRating::try_from(stars).expect("below the maximum and one");
        PlannedCheckin { user, location, stars }
    }
}

impl PlannedCheckin {
    /// Returns the check-in of this user.
    #[must_use]
    pub fn by(self, user: crate::domain::UserId) -> NewCheckin {
        NewCheckin {
            user,
            location: self.location,
            stars: self.stars,
            comment: None,
            is_private: false,
        }
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("users", &self.users).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn visits(seed: u64) -> Vec<PlannedCheckin> {
        let places = (1..=200).map(|id| LocationId::try_from(id).unwrap()).collect();
        let mut plan = Plan::new(seed, 7, places).unwrap();
        (0..7000).map(|_| plan.visit()).collect()
    }

    #[test]
    fn a_seed_gives_the_same_check_ins() {
        assert_eq!(visits(1), visits(1));
        assert_ne!(visits(1), visits(2));
    }

    #[test]
    fn users_take_turns_and_locations_differ_in_popularity() {
        let visits = visits(3);
        assert!(visits.iter().enumerate().all(|(number, visit)| visit.user == number % 7));
        let mut places = HashMap::new();
        let mut stars = [0; 6];
        for visit in &visits {
            *places.entry(visit.location).or_insert(0) += 1;
            stars[usize::from(visit.stars.get())] += 1;
        }
        let mut places: Vec<i32> = places.into_values().collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        assert!(places[0] > 10 * places[150], "{places:?}");
        assert!(stars.iter().all(|&count| (900..1500).contains(&count)), "{stars:?}");
    }

    #[test]
    fn a_plan_needs_a_user_and_a_location() {
        assert!(Plan::new(1, 1, Vec::new()).is_none());
        assert!(Plan::new(1, 0, vec![LocationId::try_from(1).unwrap()]).is_none());
    }
}
