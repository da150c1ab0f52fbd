//! A location: its category, its coordinates, and its figures.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::coordinates::Coordinates;
use crate::id::LocationId;

/// A location where users check in, with its figures, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Location {
    pub id: LocationId,
    pub name: String,
    pub category: Category,
    pub coordinates: Coordinates,
    pub num_checkins: u64,
    /// The sum of the stars of all check-ins.
    pub num_stars: u64,
}

impl Location {
    /// Returns the average rating. It is computed and not stored as a field, so that the three figures
    /// always agree.
    pub fn average_stars(&self) -> f64 {
        average_stars(self.num_stars, self.num_checkins)
    }
}

/// Returns the average rating to one decimal, half a tenth rounded up; 0 before the first check-in.
///
/// It uses integers up to the last step, because 3.45 has no exact binary form and would be rounded
/// down.
pub fn average_stars(num_stars: u64, num_checkins: u64) -> f64 {
    let (stars, checkins) = (u128::from(num_stars), u128::from(num_checkins));
    match (stars * 20 + checkins).checked_div(checkins * 2) {
        Some(tenths) => tenths as f64 / 10.0,
        None => 0.0,
    }
}

/// The category of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    Retail,
    Cafe,
    Restaurant,
    Bar,
    Hair,
    Gym,
}

impl Category {
    pub const ALL: [Self; 6] =
        [Self::Retail, Self::Cafe, Self::Restaurant, Self::Bar, Self::Hair, Self::Gym];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retail => "retail",
            Self::Cafe => "cafe",
            Self::Restaurant => "restaurant",
            Self::Bar => "bar",
            Self::Hair => "hair",
            Self::Gym => "gym",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Category {
    type Err = CategoryError;

    fn from_str(text: &str) -> Result<Self, CategoryError> {
        Self::ALL.into_iter().find(|category| category.as_str() == text).ok_or(CategoryError)
    }
}

/// The error of a text that is not a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CategoryError;

impl fmt::Display for CategoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be one of retail, cafe, restaurant, bar, hair, gym")
    }
}

impl Error for CategoryError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_have_one_decimal_and_round_half_up() {
        for (stars, checkins, average) in [
            (0, 0, 0.0),
            (0, 3, 0.0),
            (5, 1, 5.0),
            (7, 2, 3.5),
            (10, 3, 3.3),
            (11, 3, 3.7),
            (69, 20, 3.5), // 3.45
            (1, 20, 0.1),  // 0.05
            (1, 21, 0.0),
            (u64::MAX, u64::MAX, 1.0),
        ] {
            assert_eq!(average_stars(stars, checkins), average, "{stars}/{checkins}");
        }
    }

    #[test]
    fn categories_are_known_by_their_names() {
        for category in Category::ALL {
            assert_eq!(category.to_string().parse(), Ok(category));
        }
        for text in ["", "Bar", "pub", "cafe "] {
            assert_eq!(text.parse::<Category>(), Err(CategoryError));
        }
    }
}
