//! The locations: names, coordinates, hours and details.

use std::collections::HashMap;

use super::descriptions::{DescribedLocation, describe};
use super::location_names::{KINDS, Kind};
use super::neighbourhoods::{NEIGHBOURHOODS, Neighbourhood};
use super::weeks;
use crate::domain::{Coordinates, Location, LocationDetails, LocationId, Social};
use crate::random::Random;

pub(super) fn places() -> (Vec<Location>, Vec<LocationDetails>) {
    let mut random = Random::new(2);
    let mut names: Vec<_> =
        KINDS.iter().flat_map(|kind| kind.lines.lines().map(move |line| (kind, line))).collect();
    random.shuffle(&mut names);
    let mut phones = Phones::default();
    (1..)
        .zip(names)
        .zip(NEIGHBOURHOODS.iter().cycle())
        .map(|((id, (kind, line)), neighbourhood)| {
            let place = Place::new(id, kind, line, neighbourhood);
            let phone = phones.next(neighbourhood.area_code);
            (place.location(&mut random), place.details(phone, &mut random))
        })
        .unzip()
}

/// Returns the indexes of the locations of one neighbourhood.
pub(super) fn neighbours(home: usize, places: usize) -> impl Iterator<Item = usize> {
    (home..places).step_by(NEIGHBOURHOODS.len())
}

/// The data of a location from the tables.
struct Place {
    id: LocationId,
    name: &'static str,
    speciality: &'static str,
    kind: &'static Kind,
    neighbourhood: &'static Neighbourhood,
}

impl Place {
    fn new(
        id: u64,
        kind: &'static Kind,
        line: &'static str,
        neighbourhood: &'static Neighbourhood,
    ) -> Self {
        let id = LocationId::try_from(id).expect("ids count from 1");
        let (name, speciality) = line.split_once('|').expect("every line of the tables has one");
        Self { id, name, speciality, kind, neighbourhood }
    }

    fn location(&self, random: &mut Random) -> Location {
        Location {
            id: self.id,
            name: self.name.to_owned(),
            category: self.kind.category,
            coordinates: point(self.neighbourhood, random),
            num_checkins: 0,
            num_stars: 0,
        }
    }

    fn details(&self, phone: String, random: &mut Random) -> LocationDetails {
        let slug = slug(self.name);
        let website = format!("https://{slug}.example.com");
        let subject = DescribedLocation {
            name: self.name,
            speciality: self.speciality,
            neighbourhood: self.neighbourhood.name,
            city: self.neighbourhood.city,
            category: self.kind.category,
        };
        LocationDetails {
            id: self.id,
            description: describe(&subject, random),
            website: Some(website.parse().expect("a slug is a host name")),
            phone: Some(phone),
            socials: socials(&slug, random),
            hours: weeks::hours(self.kind.weeks, random),
        }
    }
}

/// Draws a point around the centre, on a grid of about a metre.
fn point(neighbourhood: &Neighbourhood, random: &mut Random) -> Coordinates {
    let Neighbourhood { latitude, longitude, spread, .. } = neighbourhood;
    let mut strewn = |centre: f64| {
        let offset = random.below(2 * spread + 1) as f64 - *spread as f64;
        (centre * 100_000.0 + offset).round() / 100_000.0
    };
    Coordinates::new(strewn(*longitude), strewn(*latitude))
        .expect("the centres are far from the poles")
}

/// Returns the next number of the area code among the fictional ones, 555-0100 to 555-0199.
#[derive(Default)]
struct Phones(HashMap<u16, u16>);

impl Phones {
    fn next(&mut self, area_code: u16) -> String {
        let used = self.0.entry(area_code).or_default();
        *used += 1;
        format!("({area_code}) 555-01{:02}", *used - 1)
    }
}

fn socials(slug: &str, random: &mut Random) -> Vec<Social> {
    let handle = slug.replace('-', "");
    let all = [
        ("instagram", handle.clone(), 90),
        ("facebook", handle.clone(), 50),
        ("mastodon", format!("@{handle}@social.example.org"), 30),
    ];
    let mut socials = Vec::new();
    for (network, handle, chance) in all {
        if random.percent(chance) {
            socials.push(Social { network: network.to_owned(), handle });
        }
    }
    socials
}

/// Returns the name in lower-case ASCII letters, with hyphens between the words.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.to_lowercase().chars() {
        match letter {
            'a'..='z' | '0'..='9' => slug.push(letter),
            'é' => slug.push('e'),
            'í' => slug.push('i'),
            'ñ' => slug.push('n'),
            '\'' => {}
            _ if slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug
}
