//! Imports users, locations, location details and check-ins from files.
//!
//! A file is a table of check-ins (by its name, `.csv`), a Swarm export (a list of check-ins, or an
//! object with `items`), or our own JSON: an object with any of the lists below. The fields of a
//! record have the names of the stored hashes. Numbers may be JSON numbers or strings of digits,
//! because hashes contain strings.
//!
//! ```json
//! {
//!   "users": [{
//!     "id": 77, "firstName": "Al", "lastName": "Appelhof", "email": "al.appelhof@example.com",
//!     "password": "secret123",
//!     "numCheckins": 1, "lastCheckin": 1609602085397, "lastSeenAt": 2
//!   }],
//!   "locations": [{
//!     "id": 2, "name": "Quillback Coffee", "category": "cafe", "location": "-122.2711,37.8044",
//!     "numCheckins": 1, "numStars": 3, "averageStars": 3
//!   }],
//!   "locationDetails": [{
//!     "id": 2, "description": "Coffee and a quiet yard.",
//!     "website": "https://quillback.example.com", "phone": "(510) 555-0123", "socials": [{"instagram": "quillback"}],
//!     "hours": [
//!       {"day": "Monday", "hours": "closed"}, {"day": "Tuesday", "hours": "8:30-17"},
//!       {"day": "Wednesday", "hours": "8:30-17"}, {"day": "Thursday", "hours": "8:30-17"},
//!       {"day": "Friday", "hours": "8:30-14,18-2"}, {"day": "Saturday", "hours": "10-26"},
//!       {"day": "Sunday", "hours": "10-14"}
//!     ]
//!   }],
//!   "checkins": [{"id": "1609602085397-0", "userId": 77, "locationId": 2, "starRating": 3}]
//! }
//! ```
//!
//! | field | rule |
//! | --- | --- |
//! | `id` of a user or a location | at most 2^52: new accounts and locations get the ids after the highest |
//! | `id` of a check-in | may be absent if there is a `time` |
//! | `time` | RFC 3339, or milliseconds since 1970; without it, the time is that of the id. It must not be before the year 2000 or later than now |
//! | `locationName` `longitude` `latitude` of a check-in | optional and ignored; our exports contain them |
//! | `comment` of a check-in | absent, `null` or empty if there is none; one line of at most 200 characters |
//! | `private` of a check-in | `true` if only its user sees it; absent, `null`, empty or `false` otherwise |
//! | `lastName` | may be empty |
//! | `password` | an argon2 PHC string or a bcrypt hash is stored; a text that looks like a hash of another kind or like the mark of a locked account, or a hash that costs too much to check, is refused; anything else is the password itself, of at least 8 characters |
//! | `numCheckins` `numStars` | default 0; at most five stars per check-in |
//! | `lastCheckin` `lastSeenAt` | absent, `null`, empty or 0 before the first check-in; `lastCheckin` must not be before the year 2000 |
//! | `averageStars` | optional, from 0 to 5, and ignored: it follows from the other two |
//! | `website` `phone` `socials` | absent, `null` or empty if there is none |
//! | `socials` | network and handle, as one object or as a list of objects |
//! | `hours` | every day once, in any order, in the forms of `import::door`; a wrong day is left out and reported |
//!
//! All other fields are required, and unknown fields are errors, because a misspelt field would
//! otherwise be lost unnoticed. A record with an error is reported and left out; the rest of the
//! file is loaded. The columns of a table are the fields of a check-in, with the same rules. The
//! store checks whether a check-in's user and location exist.
//!
//! The figures of users and locations (`numCheckins`, `numStars`, `lastCheckin`, `lastSeenAt`)
//! include the check-ins of the same run. The stored figures do not, see [`take_out_checkins`]: the
//! processor adds them when it applies the log.

mod decode;
mod door;
mod door_text;
mod error;
mod figures;
mod importer;
mod intake;
mod json;
mod matching;
mod records;
mod seen;
mod swarm;
mod table;
mod time;
mod value;

#[cfg(test)]
mod other_files_tests;
#[cfg(test)]
mod tests;

pub use door::{Clock, HoursForm};
pub use error::{Position, RecordError, RecordPlace, Rule, Section, day_names};
pub use figures::take_out_checkins;
pub use importer::{Counts, Importer, NotPublic};
pub use intake::MAX_ERRORS;
pub use matching::{Places, Venues, add_visits};
pub use records::{Import, Password, UserRecord};
pub use seen::Seen;
pub use swarm::{SwarmVisit, Venue, Visibility};
