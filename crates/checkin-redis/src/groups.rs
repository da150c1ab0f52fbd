//! The check-ins of a batch as the scripts that apply them take them: by user or location, in the order of
//! the history, and in runs that are short.

use checkin_domain::{Checkin, CheckinId, Comment, LocationId, UserId};

/// Maximum number of users or locations in one run of a script. A run takes about a millisecond, during
/// which Redis does nothing else.
const GROUPS_A_RUN: usize = 64;

/// Maximum number of check-ins in one run of a script. Lua can pass some thousand arguments.
const ITEMS_A_RUN: usize = 256;

/// A check-in as it is stored in a history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Applicable<K> {
    /// The user or location of the history.
    pub(crate) of: K,
    pub(crate) time_ms: u64,
    pub(crate) member: String,
    /// In a user's history: the id and the comment, if there is one.
    pub(crate) comment: Option<(CheckinId, Comment)>,
}

/// Returns the check-ins by user, each user's in the order of the history.
pub(crate) fn by_user<'a>(checkins: impl Iterator<Item = &'a Checkin>) -> Vec<Applicable<UserId>> {
    let of_user = |checkin: &Checkin| {
        let Checkin { id, time_ms, user, location, stars, .. } = *checkin;
        let member = format!("{id} {location} {stars}");
        let comment = checkin.comment.clone().map(|comment| (id, comment));
        Applicable { of: user, time_ms, member, comment }
    };
    sorted(checkins.map(of_user))
}

/// Returns the check-ins by location, each location's in the order of the history.
pub(crate) fn by_location<'a>(
    checkins: impl Iterator<Item = &'a Checkin>,
) -> Vec<Applicable<LocationId>> {
    let of_location = |checkin: &Checkin| {
        let Checkin { id, time_ms, user, location, stars, .. } = *checkin;
        let member = format!("{id} {user} {stars}");
        Applicable { of: location, time_ms, member, comment: None }
    };
    sorted(checkins.map(of_location))
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items
}

/// The groups of one run: each has a key and its items.
pub(crate) type Run<'a, K, T> = Vec<(K, &'a [T])>;

/// Splits items, which are sorted by their keys, into groups of one key, and the groups into runs. A key
/// with very many items has several groups. On a cluster a run has one group, because each key has a
/// slot of its own.
pub(crate) fn runs<T, K: PartialEq>(
    items: &[T],
    key: impl Fn(&T) -> K,
    is_cluster: bool,
) -> Vec<Run<'_, K, T>> {
    let most_groups = if is_cluster { 1 } else { GROUPS_A_RUN };
    let groups = items.chunk_by(|a, b| key(a) == key(b)).flat_map(|of| of.chunks(ITEMS_A_RUN));
    let (mut runs, mut length) = (Vec::<Run<'_, K, T>>::new(), 0);
    for items in groups {
        length += items.len();
        let group = (key(&items[0]), items);
        match runs.last_mut() {
            Some(run) if run.len() < most_groups && length <= ITEMS_A_RUN => run.push(group),
            _ => {
                length = items.len();
                runs.push(vec![group]);
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(items: &[usize], is_cluster: bool) -> Vec<Vec<usize>> {
        let runs = runs(items, |item| *item, is_cluster);
        runs.iter().map(|run| run.iter().map(|(_, items)| items.len()).collect()).collect()
    }

    #[test]
    fn a_run_has_few_groups_and_few_items() {
        let distinct: Vec<usize> = (0..100).collect();
        assert_eq!(lengths(&distinct, false), [vec![1; 64], vec![1; 36]]);
        assert_eq!(lengths(&distinct[..3], true), [[1], [1], [1]]);
        assert_eq!(lengths(&[], false), [[0; 0]; 0]);
        let busy = [[7; 100], [8; 100], [9; 100]].concat();
        assert_eq!(lengths(&busy, false), [vec![100, 100], vec![100]]);
    }

    #[test]
    fn a_key_with_very_many_items_has_several_groups() {
        let items = [vec![1; 600], vec![2; 3]].concat();
        assert_eq!(lengths(&items, false), [vec![256], vec![256], vec![88, 3]]);
        assert_eq!(lengths(&items, true), [[256], [256], [88], [3]]);
    }

    #[test]
    fn a_users_check_ins_are_in_the_order_of_the_history() {
        let checkin = |id: &str, time_ms, user: u64, location: u64| Checkin {
            id: id.parse().unwrap(),
            time_ms,
            user: UserId::try_from(user).unwrap(),
            location: LocationId::try_from(location).unwrap(),
            stars: checkin_domain::StarRating::try_from(3).unwrap(),
            comment: None,
            is_private: false,
        };
        let checkins = [checkin("9-0", 5, 2, 1), checkin("5-9", 5, 1, 2), checkin("5-10", 5, 1, 3)];
        let members = |all: Vec<String>| all.join(", ");
        let users = by_user(checkins.iter()).into_iter().map(|one| one.member).collect();
        // Redis sorts members of the same time as text.
        assert_eq!(members(users), "5-10 3 3, 5-9 2 3, 9-0 1 3");
        let places = by_location(checkins.iter()).into_iter().map(|one| one.member).collect();
        assert_eq!(members(places), "9-0 2 3, 5-9 1 3, 5-10 1 3");
    }
}
