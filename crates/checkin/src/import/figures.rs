//! Figures without the check-ins that are about to be applied.

use std::collections::{HashMap, HashSet};

use super::records::{Import, UserRecord};
use crate::domain::{Location, LocationId, StarRating, UserId};

/// Subtracts an import's check-ins from the figures of its users and locations.
///
/// The figures of a file include its check-ins. The processor adds every entry of the log to the
/// stored figures, so the stored figures must not include them. No figure becomes negative: a file
/// may have more check-ins than its figures show.
pub fn take_out_checkins(import: &mut Import) {
    let mut of_users: HashMap<UserId, u64> = HashMap::new();
    let mut of_places: HashMap<LocationId, (u64, u64)> = HashMap::new();
    let mut seen = HashSet::new();
    let visits = import.visits.iter().filter(|visit| seen.insert(*visit));
    let checkins = import.checkins.iter().chain(visits.map(|visit| &visit.checkin));
    for checkin in checkins.filter(|checkin| !checkin.is_private) {
        *of_users.entry(checkin.user).or_default() += 1;
        let (checkins, stars) = of_places.entry(checkin.location).or_default();
        *checkins += 1;
        *stars += u64::from(checkin.stars.get());
    }
    for user in &mut import.users {
        take_out_of_user(user, of_users.get(&user.id).copied().unwrap_or(0));
    }
    for location in &mut import.locations {
        let (checkins, stars) = of_places.get(&location.id).copied().unwrap_or((0, 0));
        take_out_of_place(location, checkins, stars);
    }
}

fn take_out_of_user(user: &mut UserRecord, checkins: u64) {
    if checkins == 0 {
        return;
    }
    user.num_checkins = user.num_checkins.saturating_sub(checkins);
    if user.num_checkins == 0 {
        user.last_checkin = None;
        user.last_seen_at = None;
    }
}

/// The average never exceeds five stars afterwards, whatever the file contains.
fn take_out_of_place(location: &mut Location, checkins: u64, stars: u64) {
    location.num_checkins = location.num_checkins.saturating_sub(checkins);
    let most = location.num_checkins.saturating_mul(StarRating::MAX.into());
    location.num_stars = location.num_stars.saturating_sub(stars).min(most);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(figures: (u64, u64, u64), checkins: &[u64]) -> Import {
        let (user_checkins, num_checkins, num_stars) = figures;
        let mut data = crate::demo::data(1_788_220_800_000);
        let mut user = data.users.swap_remove(0);
        user.num_checkins = user_checkins;
        user.last_checkin = Some(5);
        user.last_seen_at = data.locations.first().map(|location| location.id);
        let location = Location { num_checkins, num_stars, ..data.locations.swap_remove(0) };
        let mut checkin = data.checkins.swap_remove(0);
        (checkin.user, checkin.location) = (user.id, location.id);
        let with_stars = |&stars: &u64| {
            let stars = StarRating::try_from(stars).unwrap();
            crate::domain::Checkin { stars, ..checkin.clone() }
        };
        let checkins = checkins.iter().map(with_stars).collect();
        Import { users: vec![user], locations: vec![location], checkins, ..Import::default() }
    }

    #[test]
    fn check_ins_of_the_file_are_subtracted_from_the_figures() {
        for (figures, checkins, left) in [
            ((3, 4, 15), &[5, 2][..], (1, 2, 8)),
            ((2, 2, 7), &[5, 2], (0, 0, 0)),
            // Files whose figures are lower than their check-ins.
            ((1, 0, 0), &[5, 2], (0, 0, 0)),
            ((9, 3, 15), &[0, 0], (7, 1, 5)),
            ((0, 0, 0), &[], (0, 0, 0)),
        ] {
            let mut import = import(figures, checkins);
            take_out_checkins(&mut import);
            let (user, location) = (&import.users[0], &import.locations[0]);
            let found = (user.num_checkins, location.num_checkins, location.num_stars);
            assert_eq!(found, left, "{figures:?} {checkins:?}");
            let never = left.0 == 0 && !checkins.is_empty();
            assert_eq!((user.last_checkin.is_none(), user.last_seen_at.is_none()), (never, never));
        }
    }

    #[test]
    fn the_figures_of_the_demo_data_become_zero() {
        let mut data = crate::demo::data(1_788_220_800_000);
        take_out_checkins(&mut data);
        let counted = |user: &UserRecord| user.num_checkins > 0 || user.last_checkin.is_some();
        assert!(!data.users.iter().any(counted));
        assert!(data.locations.iter().all(|l| (l.num_checkins, l.num_stars) == (0, 0)));
    }
}
