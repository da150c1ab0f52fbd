//! A point on the earth, written `longitude,latitude`.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The radius of the earth in metres, as in the geographic commands of Redis.
pub const EARTH_RADIUS_M: f64 = 6_372_797.560856;

/// A point on the earth, in degrees; east and north are positive (WGS 84).
///
/// Longitude comes first, in the text and in the arguments, as in the stored form and in the
/// geographic commands of Redis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coordinates {
    longitude: f64,
    latitude: f64,
}

impl Coordinates {
    /// # Errors
    ///
    /// If a number is outside its range, or not a number.
    pub fn new(longitude: f64, latitude: f64) -> Result<Self, CoordinatesError> {
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(CoordinatesError::Longitude);
        }
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(CoordinatesError::Latitude);
        }
        Ok(Self { longitude, latitude })
    }

    pub fn longitude(self) -> f64 {
        self.longitude
    }

    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// Returns the distance to another point in metres, along the surface of a sphere (the haversine
    /// formula).
    #[must_use]
    pub fn distance_m(self, other: Self) -> f64 {
        let haversine = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let parallels = self.latitude.to_radians().cos() * other.latitude.to_radians().cos();
        let of_the_way = haversine(other.latitude - self.latitude)
            + parallels * haversine(other.longitude - self.longitude);
        // Rounding errors may exceed 1 at the far side of the earth.
        2.0 * EARTH_RADIUS_M * of_the_way.sqrt().min(1.0).asin()
    }
}

impl fmt::Display for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.longitude, self.latitude)
    }
}

impl FromStr for Coordinates {
    type Err = CoordinatesError;

    fn from_str(text: &str) -> Result<Self, CoordinatesError> {
        let (longitude, latitude) = text.split_once(',').ok_or(CoordinatesError::Form)?;
        Self::new(degrees(longitude)?, degrees(latitude)?)
    }
}

/// Reads a decimal number. `str::parse` alone would also accept `inf`, `nan` and `1e2`.
fn degrees(text: &str) -> Result<f64, CoordinatesError> {
    let decimal = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    let number = if decimal { text.parse().ok() } else { None };
    number.ok_or(CoordinatesError::Form)
}

/// The reason why a value is not a point on the earth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoordinatesError {
    Form,
    Longitude,
    Latitude,
}

impl fmt::Display for CoordinatesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "must be longitude and latitude, like -122.2711,37.8044",
            Self::Longitude => "must have a longitude from -180 to 180",
            Self::Latitude => "must have a latitude from -90 to 90",
        })
    }
}

impl Error for CoordinatesError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_round_trips() {
        for text in ["-122.2711,37.8044", "0,0", "180,-90", "-180,90", "0.1,0.2"] {
            assert_eq!(text.parse::<Coordinates>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn distances_are_those_of_a_sphere() {
        let degree = EARTH_RADIUS_M.to_radians();
        for (from, to, degrees) in [
            ("0,0", "0,0", 0.0),
            ("0,0", "0,1", 1.0),
            ("0,0", "1,0", 1.0),
            ("179.5,0", "-179.5,0", 1.0),
            ("180,10", "-180,10", 0.0),
            ("0,89", "180,89", 2.0),
            ("17,90", "-80,90", 0.0),
            ("0,0", "180,0", 180.0),
            ("30,-90", "0,90", 180.0),
        ] {
            let (from, to) = (from.parse::<Coordinates>().unwrap(), to.parse().unwrap());
            for distance in [from.distance_m(to), to.distance_m(from)] {
                assert!((distance - degrees * degree).abs() < 0.001, "{from} {to}: {distance}");
            }
        }
    }

    #[test]
    fn each_rule_has_its_error() {
        for (text, error) in [
            ("", CoordinatesError::Form),
            ("1", CoordinatesError::Form),
            ("1,2,3", CoordinatesError::Form),
            ("1, 2", CoordinatesError::Form),
            ("nan,2", CoordinatesError::Form),
            ("inf,2", CoordinatesError::Form),
            ("1e2,2", CoordinatesError::Form),
            ("1-2,2", CoordinatesError::Form),
            ("180.1,0", CoordinatesError::Longitude),
            ("37.8,-122.27", CoordinatesError::Latitude),
        ] {
            assert_eq!(text.parse::<Coordinates>(), Err(error), "{text:?}");
        }
        assert_eq!(Coordinates::new(f64::NAN, 0.0), Err(CoordinatesError::Longitude));
        assert_eq!(Coordinates::new(0.0, f64::INFINITY), Err(CoordinatesError::Latitude));
    }
}
