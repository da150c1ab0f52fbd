//! The domain of a check-in service: users, locations and check-ins.
//!
//! This crate uses only `std`, Unicode's tables and the format of PHC strings: no I/O, no async, no JSON.
//! Every value is parsed once, at the edge, and is valid afterwards, so that no other code checks it
//! again.

pub mod checkin;
pub mod comment;
pub mod coordinates;
pub mod details;
pub mod email;
mod foreign_hash;
pub mod hours;
pub mod id;
pub mod location;
pub mod number;
pub mod password;
pub mod statistics;
pub mod text;
pub mod user;
pub mod visit;
pub mod week;
pub mod weekday;
pub mod words;

pub use checkin::{
    CLOCK_TOLERANCE_MS, Checkin, CheckinId, CheckinIdError, EARLIEST_MS, NewCheckin, StarRating,
    StarRatingError,
};
pub use comment::Comment;
pub use coordinates::{Coordinates, CoordinatesError, EARTH_RADIUS_M};
pub use details::{DetailsSection, LocationDetails, Social, Website, WebsiteError};
pub use email::{Email, EmailError};
pub use hours::{DayHours, HoursError, OpenRange, OpeningHours};
pub use id::{IdError, LocationId, UserId};
pub use location::{Category, CategoryError, Location, average_stars};
pub use number::MAX_SAFE_INTEGER;
pub use password::{
    MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, PasswordHash, PasswordHashError, PasswordScheme,
};
pub use statistics::{Statistics, StatisticsSum};
pub use text::TextError;
pub use user::{Name, User};
pub use visit::Visit;
pub use week::monday_ms;
pub use weekday::{Weekday, WeekdayError};
