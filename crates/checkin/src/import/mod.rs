//! Users, locations, location details and check-ins out of files.
//!
//! A file is a table of check-ins (by its name, `.csv`), the check-ins of a Swarm export (a list, or
//! an object with `items`), or our own JSON: one object with any of these lists; what a record may hold has the names of the
//! stored hashes. Numbers may stand as numbers or as strings of digits, since hashes hold strings.
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
//! | `id` of a user or a place | at most 2^52: new accounts and places get the ids behind the highest |
//! | `id` of a check-in | may be absent where there is a `time` |
//! | `time` | RFC 3339, or milliseconds since 1970; when it is not given, the id says it. Neither is before the year 2000 or later than now |
//! | `locationName` `longitude` `latitude` of a check-in | may be there, as our exports have them, and are not used |
//! | `lastName` | may be empty |
//! | `password` | an argon2 PHC string or a bcrypt hash is kept; what looks like a hash of another kind or like the mark of a locked account, or costs too much to check, is refused; anything else is the password itself, of at least 8 characters |
//! | `numCheckins` `numStars` | 0 unless given; at most five stars a check-in |
//! | `lastCheckin` `lastSeenAt` | absent, `null`, empty or 0 before the first check-in; `lastCheckin` is from the year 2000 on |
//! | `averageStars` | may be there, from 0 to 5, and is not used: it follows from the other two |
//! | `website` `phone` `socials` | absent, `null` or empty when there is none |
//! | `socials` | network and handle, as one object or as a list of objects |
//! | `hours` | every day once, in any order, as `import::door` describes; a wrong day is left out and reported |
//!
//! Every other field is required, and fields that are not known are an error, because a misspelt
//! one would otherwise be lost without a word. A wrong record is reported and left out; the rest
//! of the file loads. A table has the fields of a check-in as its columns, and the same rules. Whether a check-in's user and location exist is for the store to say.
//!
//! The figures of users and places (`numCheckins`, `numStars`, `lastCheckin`, `lastSeenAt`) are those
//! with the check-ins of the same run in them. What is stored are the figures without these, see
//! [`take_out_checkins`]: the processor adds them when it counts the log.

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
pub use matching::{Places, Venues, add_visits};
pub use records::{Import, Password, UserRecord};
pub use seen::Seen;
pub use swarm::{SwarmVisit, Venue, Visibility};
