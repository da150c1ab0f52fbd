//! Files in, records and errors out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::error::{RecordError, RecordPlace, Rule, Section};
use super::fields::{Entries, Fields};
use super::{Import, records, value};
use crate::domain::{CheckinId, LocationId, UserId};

/// Reads one file after the other, and remembers what it saw, so that ids and addresses are told
/// apart across all of them.
#[derive(Debug, Default)]
pub struct Importer {
    import: Import,
    errors: Vec<RecordError>,
    seen: Seen,
}

/// Only records that were taken are here: a refused one takes nobody's place.
#[derive(Debug, Default)]
struct Seen {
    users: HashMap<UserId, RecordPlace>,
    /// By canonical form.
    emails: HashMap<String, (UserId, RecordPlace)>,
    locations: HashMap<LocationId, RecordPlace>,
    details: HashMap<LocationId, RecordPlace>,
    checkins: HashMap<CheckinId, RecordPlace>,
}

impl Importer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one file; `file` is the name that errors give it.
    ///
    /// Time and memory grow with the length of the text: each section is a list of slices of it.
    pub fn add_file(&mut self, file: &str, text: &str) {
        let file: Arc<str> = file.into();
        // Some editors put a byte order mark first, which JSON does not know.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let entries = match serde_json::from_str(text) {
            Ok(Entries(entries)) => entries,
            Err(error) => return self.errors.push(malformed(file, &error)),
        };
        let mut fields = Fields::new(entries);
        for section in Section::ALL {
            let Some(raw) = fields.take(section.as_str()) else {
                continue;
            };
            match value::list(raw) {
                Ok(raws) => self.add_section(&file, section, raws),
                Err(rule) => self.errors.push(RecordError {
                    file: Arc::clone(&file),
                    section: Some(section),
                    index: None,
                    field: None,
                    rule: Rule::Value(rule),
                }),
            }
        }
        self.errors.extend(fields.finish().into_iter().map(|(field, rule)| RecordError {
            file: Arc::clone(&file),
            section: None,
            index: None,
            field: Some(field),
            rule,
        }));
    }

    /// Everything that was right, and everything that was not.
    pub fn finish(self) -> (Import, Vec<RecordError>) {
        (self.import, self.errors)
    }

    fn add_section(&mut self, file: &Arc<str>, section: Section, raws: Vec<&RawValue>) {
        let add = match section {
            Section::Users => Self::add_user,
            Section::Locations => Self::add_location,
            Section::LocationDetails => Self::add_details,
            Section::Checkins => Self::add_checkin,
        };
        for (index, raw) in raws.into_iter().enumerate() {
            add(self, RecordPlace { file: Arc::clone(file), section, index }, raw);
        }
    }

    fn add_user(&mut self, place: RecordPlace, raw: &RawValue) {
        let Some(user) = self.read(&place, raw, records::user) else {
            return;
        };
        let email = user.email.canonical();
        match self.seen.emails.get(&email) {
            Some((other_user, other)) if *other_user != user.id => {
                let (other_user, other) = (*other_user, other.clone());
                let rule = Rule::SameEmail { user: user.id, other_user, other };
                self.report(&place, Some("email"), rule);
            }
            _ => match claim(&mut self.seen.users, user.id, &place) {
                Ok(()) => {
                    self.seen.emails.insert(email, (user.id, place));
                    self.import.users.push(user);
                }
                Err(rule) => self.report(&place, Some("id"), rule),
            },
        }
    }

    fn add_location(&mut self, place: RecordPlace, raw: &RawValue) {
        let Some(location) = self.read(&place, raw, records::location) else {
            return;
        };
        match claim(&mut self.seen.locations, location.id, &place) {
            Ok(()) => self.import.locations.push(location),
            Err(rule) => self.report(&place, Some("id"), rule),
        }
    }

    fn add_details(&mut self, place: RecordPlace, raw: &RawValue) {
        let Some(details) = self.read(&place, raw, records::details) else {
            return;
        };
        match claim(&mut self.seen.details, details.id, &place) {
            Ok(()) => self.import.details.push(details),
            Err(rule) => self.report(&place, Some("id"), rule),
        }
    }

    fn add_checkin(&mut self, place: RecordPlace, raw: &RawValue) {
        let Some(checkin) = self.read(&place, raw, records::checkin) else {
            return;
        };
        match claim(&mut self.seen.checkins, checkin.id, &place) {
            Ok(()) => self.import.checkins.push(checkin),
            Err(rule) => self.report(&place, Some("id"), rule),
        }
    }

    fn read<T>(
        &mut self,
        place: &RecordPlace,
        raw: &RawValue,
        record: fn(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        let mut fields = match value::entries(raw) {
            Ok(Entries(entries)) => Fields::new(entries),
            Err(rule) => {
                self.report(place, None, Rule::Value(rule));
                return None;
            }
        };
        let record = record(&mut fields);
        let errors = fields.finish();
        let right = errors.is_empty();
        for (field, rule) in errors {
            self.report(place, Some(&field), rule);
        }
        record.filter(|_| right)
    }

    fn report(&mut self, place: &RecordPlace, field: Option<&str>, rule: Rule) {
        self.errors.push(RecordError {
            file: Arc::clone(&place.file),
            section: Some(place.section),
            index: Some(place.index),
            field: field.map(str::to_owned),
            rule,
        });
    }
}

fn claim<K: Eq + Hash>(
    seen: &mut HashMap<K, RecordPlace>,
    id: K,
    place: &RecordPlace,
) -> Result<(), Rule> {
    match seen.entry(id) {
        Entry::Vacant(entry) => {
            entry.insert(place.clone());
            Ok(())
        }
        Entry::Occupied(entry) => Err(Rule::SameId { other: entry.get().clone() }),
    }
}

fn malformed(file: Arc<str>, error: &serde_json::Error) -> RecordError {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let place = format!(" at line {line} column {column}");
    let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
    let rule = Rule::Malformed { line, column, message };
    RecordError { file, section: None, index: None, field: None, rule }
}
