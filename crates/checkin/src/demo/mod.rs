//! A made-up Bay Area to try the system with: a thousand people, 220 places, about 20,000
//! check-ins of the last ninety days.
//!
//! The same moment gives the same data, byte for byte, on every machine: the only chance in it
//! comes from a generator with a fixed seed, and the only clock is the caller's.

mod calendar;
mod checkins;
mod descriptions;
mod names;
mod neighbourhoods;
mod place_names;
mod places;
mod tally;
mod users;
mod weeks;

#[cfg(test)]
mod tests;

use crate::import::Import;

/// The password of every demo user. Hash it once and give that hash to all of them, with
/// `UserRecord::with_password`: a thousand slow hashes would make the demo wait for a minute.
pub const PASSWORD: &str = "secret123";

/// The address to log in with: user 77, who has checked in often.
pub const LOGIN: &str = "al.appelhof@example.com";

/// Everything, with the check-ins in the ninety days before `now_ms`.
///
/// The figures of users and places are the sums over exactly these check-ins.
pub fn data(now_ms: u64) -> Import {
    let mut users = users::users();
    let (mut locations, details) = places::places();
    let checkins = checkins::checkins(&users, &details, now_ms);
    tally::count(&checkins, &mut users, &mut locations);
    Import { users, locations, details, checkins, visits: Vec::new() }
}
