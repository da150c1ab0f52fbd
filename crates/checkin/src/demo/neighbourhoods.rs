//! The neighbourhoods around the San Francisco Bay in which the locations lie.
//!
//! Locations are scattered around the centre. `spread` is small near the water, so that no location
//! lies in it.

pub(super) struct Neighbourhood {
    pub(super) name: &'static str,
    pub(super) city: &'static str,
    pub(super) area_code: u16,
    /// The latitude of the centre, in degrees.
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    /// The maximum distance from the centre, north-south and east-west, in hundred-thousandths of a
    /// degree (about a metre).
    pub(super) spread: u64,
}

const fn at(
    city: &'static str,
    area_code: u16,
    name: &'static str,
    latitude: f64,
    longitude: f64,
    spread: u64,
) -> Neighbourhood {
    Neighbourhood { name, city, area_code, latitude, longitude, spread }
}

const SF: &str = "San Francisco";

/// An area code has a hundred fictional numbers, so at most 25 neighbourhoods share one.
pub(super) const NEIGHBOURHOODS: &[Neighbourhood] = &[
    at(SF, 415, "the Mission", 37.7599, -122.4148, 350),
    at(SF, 415, "the Castro", 37.7609, -122.4350, 250),
    at(SF, 415, "Noe Valley", 37.7502, -122.4325, 250),
    at(SF, 415, "Haight-Ashbury", 37.7697, -122.4470, 150),
    at(SF, 415, "the Inner Sunset", 37.7635, -122.4670, 200),
    at(SF, 415, "the Outer Sunset", 37.7555, -122.4960, 400),
    at(SF, 415, "the Inner Richmond", 37.7815, -122.4620, 300),
    at(SF, 415, "the Outer Richmond", 37.7790, -122.4900, 350),
    at(SF, 415, "North Beach", 37.8005, -122.4095, 200),
    at(SF, 415, "Chinatown", 37.7948, -122.4072, 150),
    at(SF, 415, "Nob Hill", 37.7925, -122.4160, 250),
    at(SF, 415, "Russian Hill", 37.8005, -122.4190, 200),
    at(SF, 415, "Hayes Valley", 37.7765, -122.4245, 200),
    at(SF, 415, "South of Market", 37.7785, -122.4055, 300),
    at(SF, 415, "Potrero Hill", 37.7585, -122.3995, 250),
    at(SF, 415, "Dogpatch", 37.7590, -122.3905, 120),
    at(SF, 415, "Bernal Heights", 37.7395, -122.4160, 250),
    at(SF, 415, "Glen Park", 37.7340, -122.4330, 150),
    at(SF, 415, "the Excelsior", 37.7240, -122.4300, 300),
    at(SF, 415, "Cow Hollow", 37.7975, -122.4350, 200),
    at(SF, 415, "Japantown", 37.7853, -122.4300, 120),
    at(SF, 415, "the Bayview", 37.7310, -122.3910, 200),
    at("Sausalito", 628, "New Town", 37.8600, -122.4895, 100),
    at("Sausalito", 628, "Hurricane Gulch", 37.8505, -122.4825, 80),
    at("Mill Valley", 628, "Old Mill", 37.9065, -122.5500, 150),
    at("Larkspur", 628, "Downtown Larkspur", 37.9342, -122.5352, 100),
    at("San Rafael", 628, "Gerstle Park", 37.9690, -122.5330, 200),
    at("San Anselmo", 628, "Downtown San Anselmo", 37.9745, -122.5615, 120),
    at("Oakland", 510, "Temescal", 37.8355, -122.2620, 300),
    at("Oakland", 510, "Rockridge", 37.8440, -122.2520, 250),
    at("Oakland", 510, "Uptown", 37.8100, -122.2690, 200),
    at("Oakland", 510, "Old Oakland", 37.8015, -122.2748, 150),
    at("Oakland", 510, "the Jack London district", 37.7972, -122.2765, 120),
    at("Oakland", 510, "Grand Lake", 37.8140, -122.2440, 150),
    at("Oakland", 510, "the Piedmont Avenue district", 37.8275, -122.2495, 250),
    at("Oakland", 510, "Fruitvale", 37.7785, -122.2200, 300),
    at("Oakland", 510, "the Dimond", 37.8000, -122.2160, 250),
    at("Oakland", 510, "the Laurel", 37.7915, -122.1965, 250),
    at("Oakland", 510, "West Oakland", 37.8095, -122.2930, 250),
    at("Oakland", 510, "Montclair", 37.8260, -122.2090, 150),
    at("Alameda", 341, "the Park Street district", 37.7640, -122.2430, 180),
    at("Alameda", 341, "the West End", 37.7745, -122.2770, 180),
    at("Alameda", 341, "the East End", 37.7575, -122.2340, 120),
    at("Berkeley", 510, "Downtown Berkeley", 37.8700, -122.2680, 250),
    at("Berkeley", 510, "the Elmwood", 37.8575, -122.2530, 200),
    at("Berkeley", 510, "North Berkeley", 37.8790, -122.2695, 250),
    at("Berkeley", 510, "Westbrae", 37.8855, -122.2880, 200),
    at("Berkeley", 510, "the Fourth Street district", 37.8690, -122.3005, 120),
    at("Berkeley", 510, "Southside", 37.8655, -122.2590, 200),
    at("Berkeley", 510, "Lorin", 37.8490, -122.2720, 200),
    at("Albany", 510, "the Solano Avenue district", 37.8905, -122.2870, 200),
    at("El Cerrito", 510, "El Cerrito Plaza", 37.9010, -122.3000, 200),
    at("Emeryville", 510, "the Park Avenue district", 37.8335, -122.2850, 180),
    at("San Mateo", 650, "Downtown San Mateo", 37.5655, -122.3235, 200),
    at("San Mateo", 650, "Hillsdale", 37.5375, -122.3010, 250),
    at("Burlingame", 650, "Downtown Burlingame", 37.5780, -122.3480, 150),
    at("Burlingame", 650, "the Broadway district", 37.5865, -122.3650, 150),
    at("San Carlos", 650, "Downtown San Carlos", 37.5055, -122.2615, 200),
    at("Redwood City", 650, "Downtown Redwood City", 37.4865, -122.2295, 180),
    at("Palo Alto", 650, "Downtown Palo Alto", 37.4450, -122.1605, 250),
    at("Palo Alto", 650, "the California Avenue district", 37.4285, -122.1430, 200),
    at("Menlo Park", 650, "Downtown Menlo Park", 37.4520, -122.1840, 200),
    at("Daly City", 650, "Westlake", 37.7000, -122.4830, 250),
];
