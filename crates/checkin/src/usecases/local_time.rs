//! Computes the local time of a location.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tzf_rs::EmbeddedFinder;

use crate::domain::{Coordinates, Weekday};

/// The time zones of the earth. Their borders and rules are part of the program. The borders take 6 MiB
/// of memory from the first question on, which most processes are never asked.
pub(crate) struct LocalTime {
    zones: LazyLock<EmbeddedFinder>,
}

impl LocalTime {
    pub(crate) fn new() -> Self {
        Self { zones: LazyLock::new(EmbeddedFinder::new) }
    }

    /// Returns the day of the week and the minute of the day at a location at a time (milliseconds
    /// since 1970).
    pub(crate) fn at(&self, place: Coordinates, now_ms: u64) -> (Weekday, u16) {
        let name = self.zones.get_tz_name(place.longitude(), place.latitude());
        // The rules do not know the zone yet, or there is none. Ships use universal time, too.
        let zone = TimeZone::get(name).unwrap_or(TimeZone::UTC);
        let now = i64::try_from(now_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let now = now.unwrap_or_default().to_zoned_datetime(zone);
        let day = usize::try_from(now.weekday().to_monday_zero_offset()).unwrap_or_default();
        let minute = i16::from(now.hour()) * 60 + i16::from(now.minute());
        (Weekday::ALL[day % 7], minute.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_have_their_local_time() {
        let times = LocalTime::new();
        // 2026-07-05T23:30:00Z, a Sunday, in the northern summer.
        let now_ms = 1_783_294_200_000;
        for (longitude, latitude, day, hour, minute) in [
            (-122.2711, 37.8044, Weekday::Sunday, 16, 30),
            (13.4050, 52.5200, Weekday::Monday, 1, 30),
            (77.2090, 28.6139, Weekday::Monday, 5, 0),
            (-0.1276, 51.5072, Weekday::Monday, 0, 30),
            (-176.56, -43.95, Weekday::Monday, 12, 15),
            (0.0, 90.0, Weekday::Sunday, 23, 30),
        ] {
            let place = Coordinates::new(longitude, latitude).unwrap();
            assert_eq!(times.at(place, now_ms), (day, hour * 60 + minute), "{place}");
        }
        // Half a year later Berlin is an hour nearer to Greenwich.
        let berlin = Coordinates::new(13.4050, 52.5200).unwrap();
        assert_eq!(times.at(berlin, now_ms + 184 * 86_400_000).1, 30);
    }

    #[test]
    fn every_zone_of_the_map_has_rules() {
        for name in LocalTime::new().zones.timezonenames() {
            assert!(TimeZone::get(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn every_point_of_the_earth_has_a_local_time() {
        let times = LocalTime::new();
        for longitude in [-180.0, -179.99, 0.0, 180.0] {
            for latitude in [-90.0, -60.0, 0.0, 90.0] {
                let place = Coordinates::new(longitude, latitude).unwrap();
                assert!(times.at(place, u64::MAX).1 < 24 * 60, "{place}");
            }
        }
    }
}
