//! Sentences about locations.

use crate::domain::Category;
use crate::random::Random;

/// The data for the sentences.
pub(super) struct DescribedLocation<'a> {
    pub(super) name: &'a str,
    pub(super) speciality: &'a str,
    pub(super) neighbourhood: &'a str,
    pub(super) city: &'a str,
    pub(super) category: Category,
}

/// Returns a sentence about the location and its speciality, and often a second one.
pub(super) fn describe(subject: &DescribedLocation<'_>, random: &mut Random) -> String {
    let first = opening(subject, random);
    if random.percent(25) {
        return first;
    }
    format!("{first} {}", random.pick(remarks(subject.category)))
}

fn opening(subject: &DescribedLocation<'_>, random: &mut Random) -> String {
    let DescribedLocation { name, speciality, .. } = subject;
    match random.below(4) {
        0 => capitalised(&format!("{speciality} in {}.", locality(subject, ", "))),
        1 => format!("Where {} goes for {speciality}.", locality(subject, " in ")),
        2 => format!("{name} brings {speciality} to {}.", locality(subject, ", ")),
        _ => format!("Known around {} for {speciality}.", locality(subject, " in ")),
    }
}

/// Returns the neighbourhood and the city; only the neighbourhood if its name contains the city.
fn locality(subject: &DescribedLocation<'_>, between: &str) -> String {
    let DescribedLocation { neighbourhood, city, .. } = subject;
    if neighbourhood.ends_with(city) {
        return (*neighbourhood).to_owned();
    }
    format!("{neighbourhood}{between}{city}")
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn remarks(category: Category) -> &'static [&'static str] {
    match category {
        Category::Restaurant => &[
            "Book ahead at weekends.",
            "The counter seats are the best ones.",
            "Cash and cards are both fine.",
            "Ask for what is not on the menu.",
            "There is a table outside for every one inside.",
            "Portions are made for sharing.",
            "The kitchen closes half an hour before the door does.",
        ],
        Category::Cafe => &[
            "Come early for a window seat.",
            "Bring your own cup and save a little.",
            "Laptops are welcome on weekdays.",
            "The pastries are gone by noon.",
            "Dogs get a biscuit.",
            "There is a second room in the back.",
        ],
        Category::Retail => &[
            "The staff know the stock by heart.",
            "Things can be put aside for a week.",
            "Local makers get the front shelf.",
            "Gift wrapping costs nothing.",
            "There is a sale on the first weekend of the month.",
            "Repairs are taken at the counter.",
        ],
        Category::Bar => &[
            "Music at the weekend.",
            "Happy hour ends when the lights change.",
            "Bring your own food.",
            "The patio is heated.",
            "No reservations, and the line moves fast.",
            "The bartender picks if you cannot.",
        ],
        Category::Hair => &[
            "Walk-ins are welcome before noon.",
            "By appointment, with a short waiting list.",
            "The mirror tells the truth and the staff are kind.",
            "First visits include a long talk.",
        ],
        Category::Gym => &[
            "The first class is free.",
            "There are lockers and hot showers.",
            "Beginners get a trainer for an hour.",
            "It is quietest in the early afternoon.",
        ],
    }
}
