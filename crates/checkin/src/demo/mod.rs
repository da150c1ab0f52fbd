//! The demo data, a fictional San Francisco Bay Area: a thousand users, 220 locations, and about
//! 20,000 check-ins of the last ninety days.
//!
//! The same time gives the same data, byte for byte, on every machine: random numbers come from a
//! generator with a fixed seed, and the time comes from the caller.

mod calendar;
mod checkins;
mod descriptions;
mod location_names;
mod locations;
mod names;
mod neighbourhoods;
mod tally;
mod users;
mod weeks;

#[cfg(test)]
mod tests;

use crate::import::Import;

/// The password of every demo user. Hash it once and give all users that hash, with
/// `UserRecord::with_password`: a thousand slow hashes would take a minute.
pub const PASSWORD: &str = "secret123";

/// The e-mail address of the demo login: user 77, who has checked in often.
pub const LOGIN: &str = "al.appelhof@example.com";

/// Returns all demo data, with the check-ins in the ninety days before `now_ms`.
///
/// The figures of users and locations are the sums over exactly these check-ins.
pub fn data(now_ms: u64) -> Import {
    let mut users = users::users();
    let (mut locations, details) = locations::places();
    let checkins = checkins::checkins(&users, &details, now_ms);
    tally::count(&checkins, &mut users, &mut locations);
    Import { users, locations, details, checkins, visits: Vec::new() }
}
