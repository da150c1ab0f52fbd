//! The workloads of all programs.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The password of all demo users.
pub const PASSWORD: &str = "secret123";

/// The locations of the check-ins, all in the demo data.
const LOCATIONS: std::ops::RangeInclusive<u32> = 1..=200;
const STARS: std::ops::RangeInclusive<u32> = 0..=5;

/// A demo user.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    pub id: u32,
    pub email: String,
}

/// A session of a user who is logged in.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    pub account: Account,
    pub cookie: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// A route without a session
    Plain,
    /// Returns the logged-in user
    Read,
    /// A check-in of the logged-in user
    Checkin,
}

impl Workload {
    pub const ALL: [Self; 3] = [Self::Plain, Self::Read, Self::Checkin];

    pub fn expected_status(self) -> u16 {
        match self {
            Self::Plain | Self::Read => 200,
            Self::Checkin => 202,
        }
    }

    /// Returns the requests, which are sent in rotation: as many as there are sessions, and at least as
    /// many as there are different check-ins.
    pub fn requests(self, plain_path: &str, sessions: &[LoggedIn]) -> Vec<Vec<u8>> {
        let session = |number: usize| &sessions[number % sessions.len()];
        match self {
            Self::Plain => vec![get(plain_path, "")],
            Self::Read => {
                let cookies = sessions.iter().map(|session| &session.cookie);
                cookies.map(|cookie| get("/session", &format!("Cookie: {cookie}\r\n"))).collect()
            }
            Self::Checkin => {
                let choices = choices().cycle().take(sessions.len().max(choices().count()));
                let choices = choices.enumerate();
                choices.map(|(number, choice)| checkin(choice, session(number), "")).collect()
            }
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain route",
            Self::Read => "Authenticated read",
            Self::Checkin => "Check-in",
        })
    }
}

pub fn login(email: &str) -> Vec<u8> {
    let body = serde_json::json!({ "email": email, "password": PASSWORD });
    post("/login", "", &body.to_string())
}

/// Returns the check-ins of one session, each with an idempotency key.
pub fn keyed_checkins(session: &LoggedIn, run: usize) -> Vec<Vec<u8>> {
    let keyed = |choice: (u32, u32)| {
        let (location, stars) = choice;
        let key = format!("Idempotency-Key: {run:04}-{location:04}-{stars}-of-the-count\r\n");
        checkin(choice, session, &key)
    };
    choices().map(keyed).collect()
}

/// Returns the locations and ratings of the check-ins.
fn choices() -> impl Iterator<Item = (u32, u32)> + Clone {
    STARS.flat_map(|stars| LOCATIONS.map(move |location| (location, stars)))
}

pub fn checkin((location, stars): (u32, u32), session: &LoggedIn, headers: &str) -> Vec<u8> {
    let LoggedIn { account, cookie } = session;
    let body =
        serde_json::json!({ "userId": account.id, "locationId": location, "starRating": stars });
    post("/api/checkin", &format!("Cookie: {cookie}\r\n{headers}"), &body.to_string())
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").into_bytes()
}

fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let kind = "Content-Type: application/json\r\n";
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{kind}Content-Length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_ins_differ_and_are_those_of_all_sessions() {
        for number in [1, 1300] {
            let session = |id| LoggedIn {
                account: Account { id, email: String::new() },
                cookie: format!("a={id}"),
            };
            let sessions: Vec<LoggedIn> = (1..=number).map(session).collect();
            let requests = Workload::Checkin.requests("/", &sessions);
            assert_eq!(requests.len(), number.max(1200) as usize);
            let mut distinct = requests.clone();
            distinct.sort();
            distinct.dedup();
            assert_eq!(distinct.len(), requests.len());
        }
    }
}
