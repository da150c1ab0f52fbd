//! Reads files, and returns records and errors.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::decode::{decode, other_text};
use super::door::{self, Clock, HoursForm};
use super::error::{NO_SECTIONS, Position, RecordError, RecordPlace, Rule, Section};
use super::intake::Intake;
use super::json::{each, members};
use super::records::{Import, UserRecord};
use super::seen::Seen;
use super::swarm::{self, SwarmVisit, Visibility};
use super::table;
use super::time::{LATER_THAN_NOW, TimeLimit};
use super::value::Days;
use crate::domain::{CLOCK_TOLERANCE_MS, Location, NewCheckin};
use crate::input::{Fields, Given, Input, Members};

/// Reads one file after the other and remembers the ids and addresses, so that duplicates are found
/// across all files.
#[derive(Debug, Default)]
pub struct Importer {
    intake: Intake,
    counts: Counts,
    visits: Vec<SwarmVisit>,
    unknown_venues: Vec<RecordError>,
    /// Files that contain no records and no errors.
    empty_files: Vec<Arc<str>>,
    not_public: NotPublic,
    /// The first file that is a Swarm export.
    export: Option<Arc<str>>,
    hours: HoursForm,
    clocks: Vec<(Arc<str>, Clock)>,
}

/// The numbers of check-ins of exports that are left out because they were not public. Private ones stay
/// private, unless they cannot be read or are at an unknown location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NotPublic {
    pub private: usize,
    /// Check-ins that friends could see, unless the caller wants them.
    pub for_friends: usize,
}

/// The contents of the files, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// The number of records in each section, including check-ins of tables and of other services'
    /// exports.
    records: [usize; Section::ALL.len()],
    /// The number of empty rows of tables. They are not records.
    pub empty_rows: usize,
    /// The number of files whose records cannot be counted.
    pub damaged_files: usize,
}

impl Counts {
    /// Returns the number of records of a kind, with and without errors.
    pub fn of(&self, section: Section) -> usize {
        self.records[section as usize]
    }
}

impl Importer {
    /// Creates an importer. Times later than `now_ms` (milliseconds since 1970) are errors, with a
    /// tolerance for clocks that differ.
    pub fn new(now_ms: u64) -> Self {
        let latest = TimeLimit(now_ms.saturating_add(CLOCK_TOLERANCE_MS));
        Self { intake: Intake { latest, ..Intake::default() }, ..Self::default() }
    }

    /// Sets how opening hours without am and pm are read.
    #[must_use]
    pub fn hours(self, hours: HoursForm) -> Self {
        Self { hours, ..self }
    }

    /// Reads one file if it is text; see [`add_file`](Self::add_file).
    pub fn add_bytes(&mut self, file: &str, bytes: &[u8]) {
        match decode(bytes) {
            Ok(text) => self.add_file(file, &text),
            Err((line, rule)) => {
                self.counts.damaged_files += 1;
                let place = RecordPlace { file: file.into(), position: Position::Line(line) };
                self.intake.keep(place, None, Rule::Value(rule));
            }
        }
    }

    /// Records an error for a file that cannot be read.
    pub fn add_unreadable(&mut self, file: &str, error: &std::io::Error) {
        self.counts.damaged_files += 1;
        let place = RecordPlace { file: file.into(), position: Position::File };
        self.report(&place, None, Rule::Value(format!("must be a file that can be read: {error}")));
    }

    /// Returns the files so far that contain no records.
    pub fn empty_files(&self) -> &[Arc<str>] {
        &self.empty_files
    }

    /// Returns the places of the accepted records so far, and clears them.
    pub fn take_seen(&mut self) -> Seen {
        std::mem::take(&mut self.intake.seen)
    }

    /// Returns the check-ins so far that are left out because no location matches their venue.
    pub fn unknown_venues(&self) -> &[RecordError] {
        &self.unknown_venues
    }

    /// Leaves out a check-in whose venue matches no location.
    pub(super) fn leave_out_visit(&mut self, place: RecordPlace, field: &str, rule: Rule) {
        self.unknown_venues.push(RecordError { place, field: Some(field.to_owned()), rule });
    }

    /// Leaves out a private check-in.
    pub(super) fn leave_out_private_visit(&mut self) {
        self.not_public.private += 1;
    }

    /// Returns the contents of the files so far, in numbers.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Reads one file; `file` is its name in errors. The file name shows whether it is a table. If
    /// the name does not, a file that does not begin like JSON is a table.
    ///
    /// Time grows with the length of the text, and memory with that of the valid records, of the first errors and of the
    /// opening hours.
    pub fn add_file(&mut self, file: &str, text: &str) {
        // Some editors write a byte order mark at the start, which JSON does not allow.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let of_file = RecordPlace { file: file.into(), position: Position::File };
        let before = self.found();
        if let Some(rule) = other_text(text) {
            self.counts.damaged_files += 1;
            self.report(&of_file, None, Rule::Value(rule));
        } else if table::is_table(file, text) {
            self.add_table(&of_file, text);
        } else if let Some(items) = swarm::items(text) {
            let added =
                items.and_then(|items| self.add_visits(&of_file, items).map_err(Rule::Value));
            if let Err(rule) = added {
                self.counts.damaged_files += 1;
                self.report(&of_file, Some("items"), rule);
            }
        } else {
            self.add_sections(&of_file, text);
        }
        if before == self.found() {
            self.empty_files.push(of_file.file);
        }
    }

    /// Returns the numbers of records and errors so far.
    fn found(&self) -> ([usize; Section::ALL.len()], usize) {
        (self.counts.records, self.intake.errors.len() + self.intake.more_errors)
    }

    /// Returns the accounts without errors so far.
    pub fn users(&self) -> &[UserRecord] {
        &self.intake.import.users
    }

    /// Returns the locations without errors so far.
    pub fn locations(&self) -> &[Location] {
        &self.intake.import.locations
    }

    /// Returns the first file that is a Swarm export and contains a check-in.
    pub fn export(&self) -> Option<&Arc<str>> {
        self.export.as_ref()
    }

    /// Takes the visits of Swarm exports out of the importer. Those that only friends could see are
    /// left out unless `friends_too` is set.
    pub fn take_visits(&mut self, friends_too: bool) -> Vec<SwarmVisit> {
        let mut visits = std::mem::take(&mut self.visits);
        let all = visits.len();
        visits.retain(|visit| friends_too || visit.visibility != Visibility::Friends);
        self.not_public.for_friends += all - visits.len();
        visits
    }

    /// Returns the numbers of check-ins that are left out so far.
    pub fn not_public(&self) -> NotPublic {
        self.not_public
    }

    /// Returns the errors so far of fields that were left out of otherwise valid records.
    pub fn left_out_fields(&self) -> &[RecordError] {
        &self.intake.left_out_fields
    }

    /// Returns the clocks on which the opening hours of files were read.
    pub fn clocks(&self) -> &[(Arc<str>, Clock)] {
        &self.clocks
    }

    /// Returns the number of errors so far that are not kept, because there are too many.
    pub fn more_errors(&self) -> usize {
        self.intake.more_errors
    }

    /// Records an error that only the caller can find.
    pub fn report(&mut self, place: &RecordPlace, field: Option<&str>, rule: Rule) {
        self.intake.report(place, field, rule);
    }

    /// Adds a Swarm check-in with this id.
    pub(super) fn add_swarm_visit(
        &mut self,
        place: RecordPlace,
        swarm_id: Option<String>,
        time_ms: u64,
        checkin: NewCheckin,
    ) {
        self.intake.add_swarm_visit(place, swarm_id, time_ms, checkin);
    }

    /// Returns all valid records, and all errors.
    pub fn finish(self) -> (Import, Vec<RecordError>) {
        (self.intake.import, self.intake.errors)
    }

    fn add_sections(&mut self, of_file: &RecordPlace, text: &str) {
        let members = match serde_json::from_str(text) {
            Ok(Members(members)) => members,
            Err(error) => {
                self.counts.damaged_files += 1;
                return self.report(of_file, None, Rule::malformed(text, &error));
            }
        };
        let is_known =
            |(name, _): &(String, &RawValue)| Section::ALL.iter().any(|it| it.as_str() == name);
        if !members.is_empty() && !members.iter().any(is_known) {
            self.counts.damaged_files += 1;
            return self.report(of_file, None, Rule::Value(NO_SECTIONS.to_owned()));
        }
        for section in Section::ALL {
            let Some((_, raw)) = members.iter().find(|(name, _)| name == section.as_str()) else {
                continue;
            };
            if let Err(rule) = self.add_section(of_file, section, raw.get()) {
                let position = Position::Section(section);
                self.report(&of_file.at(position), None, Rule::Value(rule));
            }
        }
        let mut known: Vec<&str> = Section::ALL.map(Section::as_str).to_vec();
        for (name, _) in &members {
            let is_first = known.iter().position(|section| section == name);
            match is_first {
                Some(position) => drop(known.swap_remove(position)),
                None if Section::ALL.iter().any(|section| section.as_str() == name) => {
                    self.report(of_file, Some(name), Rule::Twice);
                }
                None => self.report(of_file, Some(name), Rule::Unknown),
            }
        }
    }

    /// Adds the records of a list, or returns the rule that it breaks.
    fn add_section(
        &mut self,
        of_file: &RecordPlace,
        section: Section,
        records: &str,
    ) -> Result<(), String> {
        let clock = match section {
            Section::LocationDetails => self.clock_of(&of_file.file, records)?,
            _ => Clock::TwentyFourHours,
        };
        let mut count = 0;
        each(records, |raw| {
            let place = of_file.at(Position::Record(section, count));
            self.add_record(place, section, clock, raw);
            count += 1;
        })?;
        self.counts.records[section as usize] += count;
        Ok(())
    }

    fn add_record(&mut self, place: RecordPlace, section: Section, clock: Clock, raw: &RawValue) {
        let fields = match members(raw.get()) {
            Ok(Members(members)) => Fields::members(members),
            Err(rule) => return self.report(&place, None, Rule::Value(rule)),
        };
        match section {
            Section::Users => self.intake.add_user(place, fields),
            Section::Locations => self.intake.add_location(&place, fields),
            Section::LocationDetails => self.intake.add_details(&place, fields, clock),
            Section::Checkins => self.intake.add_checkin(&place, fields),
        }
    }

    /// Returns the clock of the opening hours in this list of details.
    fn clock_of(&mut self, file: &Arc<str>, details: &str) -> Result<Clock, String> {
        if let HoursForm::Given(clock) = self.hours {
            return Ok(clock);
        }
        let mut texts = Vec::new();
        each(details, |raw| texts.extend(hours_of(raw)))?;
        Ok(match door::clock(texts.iter().map(String::as_str)) {
            Some(clock) => {
                self.clocks.push((Arc::clone(file), clock));
                clock
            }
            None => Clock::TwentyFourHours,
        })
    }

    fn add_table(&mut self, of_file: &RecordPlace, text: &str) {
        let table = table::read(text, |row| {
            let place = of_file.at(Position::Line(row.line));
            match row.cells {
                Ok(cells) => {
                    let cells = cells.iter().map(|(name, cell)| (name, Given::bare(cell)));
                    self.intake.add_checkin(&place, Fields::members(cells));
                }
                Err((column, rule)) => self.report(&place, column.as_deref(), rule),
            }
        });
        if let Some((line, rule)) = table.damage {
            self.intake.keep(of_file.at(Position::Line(line)), None, rule);
        }
        self.counts.records[Section::Checkins as usize] += table.rows;
        self.counts.empty_rows += table.empty;
    }

    /// Adds the check-ins of a list of another service, or returns the rule that it breaks.
    fn add_visits(&mut self, of_file: &RecordPlace, items: &str) -> Result<(), String> {
        let mut count = 0;
        each(items, |raw| {
            self.add_visit(&of_file.at(Position::Item(count)), raw);
            count += 1;
        })?;
        if count > 0 {
            self.export.get_or_insert_with(|| Arc::clone(&of_file.file));
        }
        self.counts.records[Section::Checkins as usize] += count;
        Ok(())
    }

    fn add_visit(&mut self, place: &RecordPlace, raw: &RawValue) {
        match swarm::visit(raw, place.clone()) {
            Ok(Some(visit)) if visit.time_ms > self.intake.latest.0 => {
                let rule = Rule::Value(LATER_THAN_NOW.to_owned());
                self.report(place, Some("createdAt"), rule);
            }
            Ok(Some(visit)) => self.visits.push(visit),
            Ok(None) => self.leave_out_private_visit(),
            Err((field, rule)) => self.report(place, field, rule),
        }
    }
}

/// Returns the texts of the opening hours in a record of details.
fn hours_of(details: &RawValue) -> Vec<String> {
    let Ok(Members(members)) = members(details.get()) else { return Vec::new() };
    let hours = members.into_iter().find(|(name, _)| name == "hours");
    let days = hours.and_then(|(_, raw)| Days::read(&raw.into()).ok());
    let days = days.into_iter().flat_map(|days| days.0).flatten();
    days.filter_map(|(_, text)| text.ok()).collect()
}
