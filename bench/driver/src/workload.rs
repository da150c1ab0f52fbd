//! The workloads of all programs.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// The demo user who is logged in.
pub const EMAIL: &str = "al.appelhof@example.com";
pub const PASSWORD: &str = "secret123";
const USER_ID: u32 = 77;

/// The locations of the check-ins, all in the demo data.
const LOCATIONS: std::ops::RangeInclusive<u32> = 1..=200;
const STARS: std::ops::RangeInclusive<u32> = 0..=5;

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

    /// Returns the requests, which are sent in rotation. Check-ins differ in location and rating.
    pub fn requests(self, plain_path: &str, cookie: &str) -> Vec<Vec<u8>> {
        match self {
            Self::Plain => vec![get(plain_path, "")],
            Self::Read => vec![get("/session", &format!("Cookie: {cookie}\r\n"))],
            Self::Checkin => STARS
                .flat_map(|stars| LOCATIONS.map(move |location| (location, stars)))
                .map(|(location, stars)| checkin(location, stars, cookie, ""))
                .collect(),
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

pub fn login() -> Vec<u8> {
    let body = serde_json::json!({ "email": EMAIL, "password": PASSWORD });
    post("/login", "", &body.to_string())
}

/// Returns as many check-ins as those of the workload, each with an idempotency key.
pub fn keyed_checkins(cookie: &str, run: usize) -> Vec<Vec<u8>> {
    let all = STARS.flat_map(|stars| LOCATIONS.map(move |location| (location, stars)));
    all.map(|(location, stars)| {
        let key = format!("Idempotency-Key: {run:04}-{location:04}-{stars}-of-the-count\r\n");
        checkin(location, stars, cookie, &key)
    })
    .collect()
}

fn checkin(location: u32, stars: u32, cookie: &str, headers: &str) -> Vec<u8> {
    let body =
        serde_json::json!({ "userId": USER_ID, "locationId": location, "starRating": stars });
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
    fn the_check_ins_differ() {
        let requests = Workload::Checkin.requests("/", "a=b");
        assert_eq!(requests.len(), 1200);
        let mut distinct = requests.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), requests.len());
    }
}
