//! The conformance suite, which every implementation of the storage traits must pass.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Admission, Applied, Batch, FoundLocations, Lease, NewUser, Page, Position, Ranked, Storage,
};
use checkin_domain::{
    Category, Checkin, Coordinates, Location, LocationDetails, LocationId, NewCheckin,
    OpeningHours, PasswordHash, Social, StarRating, User, UserId,
};

mod accounts;
mod admission;
mod applier;
mod attempts;
mod bulk;
mod clock;
mod comments;
mod directory;
mod log;
mod nearby;
mod privacy;
mod private;
mod retention;
mod retractions;
mod retries;
mod search;
mod searches;
mod second_factors;
mod security_events;
mod standings;
mod swarm;
mod weather;

pub use {
    accounts::*, admission::*, applier::*, attempts::*, bulk::*, clock::*, comments::*,
    directory::*, log::*, nearby::*, privacy::*, private::*, retention::*, retractions::*,
    retries::*, search::*, searches::*, second_factors::*, security_events::*, standings::*,
    swarm::*, weather::*,
};

/// An empty store under test.
#[expect(missing_debug_implementations, reason = "a closure")]
pub struct StoreUnderTest {
    pub storage: Arc<dyn Storage>,
    /// Advances the store's clock by this time, or waits for it.
    pub advance: Box<dyn Fn(Duration) -> Passing>,
}

/// A future that is ready when the time has passed.
type Passing = Pin<Box<dyn Future<Output = ()>>>;

/// Passes the names of all checks to the macro `$run`, after its other arguments.
#[macro_export]
macro_rules! conformance_checks {
    ($run:ident: $($given:tt)*) => {
        $run! {
            $($given)*;
            an_account_is_found_by_id_and_address
            names_are_read_together
            an_address_has_one_account_in_each_normal_form
            parallel_registrations_of_an_address_open_one_account
            parallel_registrations_get_ids_of_their_own
            a_password_changes_only_in_the_expected_epoch
            an_epoch_is_raised_and_keeps_one_session
            parallel_raises_are_each_counted
            a_change_of_an_account_ends_its_sessions
            what_was_valid_in_an_earlier_epoch_changes_nothing
            an_account_that_is_not_active_keeps_its_password_and_no_session
            a_deleted_account_is_erased_and_frees_its_address
            an_erased_account_keeps_its_figures
            accounts_are_listed_in_pages
            a_search_is_due_until_it_is_done
            one_owner_searches_at_a_time
            each_raise_of_an_epoch_is_searched_for
            of_parallel_attempts_only_the_free_ones_are_taken
            attempts_are_given_back_and_forgotten
            a_second_factor_changes_only_from_the_expected_one
            of_parallel_changes_of_a_second_factor_one_succeeds
            a_pending_step_is_taken_once_within_its_life
            locations_are_listed_in_pages
            entries_come_back_in_order_and_in_pages
            a_reader_follows_the_log
            ids_increase_with_parallel_appends
            parallel_identical_checkins_are_stored_once
            only_the_same_user_location_and_rating_is_a_duplicate
            a_window_of_zero_refuses_nothing
            a_window_ends
            a_shorter_window_finds_fewer_duplicates
            a_retry_gets_the_first_result
            a_retry_with_another_checkin_is_refused
            a_key_belongs_to_one_user
            the_key_of_a_refused_duplicate_is_not_kept
            parallel_retries_store_one_checkin
            a_store_is_empty_until_something_is_loaded
            loaded_records_are_found
            loading_twice_changes_nothing
            loading_an_address_in_use_returns_its_owner
            the_first_of_two_equal_records_in_a_batch_is_stored
            new_accounts_get_ids_after_the_loaded_ones
            checkins_of_unknown_users_and_places_are_refused
            a_late_checkin_is_stored_with_its_time
            while_ids_are_ahead_check_ins_have_the_time_of_their_append
            while_ids_are_ahead_figures_use_the_times
            while_ids_are_ahead_dead_letters_have_their_times
            while_ids_are_ahead_the_rules_are_the_same
            the_diagnosis_of_a_sound_store_has_no_problems
            a_venue_has_the_location_that_was_recorded_last
            parallel_imports_create_one_location_for_a_venue
            a_new_location_gets_an_unused_id
            a_visit_is_identified_by_its_swarm_id
            a_visit_loaded_without_its_swarm_id_is_recognized
            a_visit_stays_private_or_public
            figures_are_the_sums_over_the_log
            a_large_batch_of_one_location_is_applied
            applying_a_batch_again_changes_nothing
            a_part_has_one_holder_at_a_time
            processors_share_the_parts
            live_processors_are_listed_with_their_parts
            parallel_processors_apply_each_entry_once
            an_entry_that_cannot_be_applied_becomes_a_dead_letter
            a_late_checkin_is_applied_and_is_not_the_last
            imported_figures_are_kept
            histories_are_read_in_pages
            a_comment_is_shown_with_its_check_in
            loaded_check_ins_keep_their_comments
            a_dead_letter_keeps_its_comment
            comments_leave_with_their_check_ins_and_accounts
            a_private_check_in_is_in_the_history_of_its_user_alone
            private_check_ins_are_stored_once
            private_check_ins_are_loaded
            a_loaded_check_in_stays_private_or_public
            one_batch_of_check_ins_in_both_forms_is_like_two
            private_check_ins_are_forgotten
            a_private_check_in_is_retracted
            a_private_check_in_may_have_the_id_of_a_public_one
            a_full_backlog_refuses_checkins
            a_full_log_accepts_checkins_only_when_entries_are_applied
            old_checkins_are_folded_into_the_figures
            a_retracted_checkin_leaves_everything_once
            a_checkin_that_waits_is_retracted
            a_checkin_is_retracted_while_a_batch_has_it
            a_retracted_checkin_is_not_imported_again
            a_dead_letter_is_retracted
            imported_figures_are_kept_without_the_retracted_checkins
            what_left_the_log_is_retracted_and_what_is_folded_is_not
            retractions_and_batches_at_the_same_time_agree
            a_deleted_account_takes_its_checkins_along
            users_are_listed_by_their_figures
            records_of_equal_rank_are_listed_once_each
            a_page_begins_after_a_record_that_moved_or_was_deleted
            users_are_listed_at_their_location
            locations_are_listed_by_their_figures
            a_week_has_leaderboards_of_its_own
            locations_are_listed_by_category
            details_are_returned_in_order_with_gaps
            locations_near_a_point_are_found_by_distance
            locations_are_near_across_the_antimeridian_and_the_poles
            distances_use_the_exact_coordinates_everywhere
            a_page_of_many_locations_is_found_from_near_and_from_far
            locations_behind_many_of_another_category_are_found
            locations_are_found_by_the_words_of_their_names
            a_name_in_any_script_is_found_by_typing_it
            search_results_are_returned_in_pages
            names_behind_many_others_are_found
            a_search_has_no_query_syntax
            the_audience_of_a_user_is_kept
            an_account_is_new_for_a_time
            weather_is_kept_for_its_lifetime
            security_events_are_read_in_order_and_in_pages
            security_events_of_a_list_push_none_of_another_out
            old_security_events_leave_all_lists
        }
    };
}
pub use conformance_checks as checks;

/// Makes a test of each check. `$subject` returns a value that keeps the store alive, and the store
/// under test.
#[macro_export]
macro_rules! conformance_tests {
    ($subject:expr; $($check:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                let (_alive, subject) = $subject.await;
                $crate::conformance::$check(subject).await;
            }
        )*
    };
}
pub use conformance_tests as tests;

fn user_id(id: u64) -> UserId {
    UserId::try_from(id).unwrap()
}

fn location_id(id: u64) -> LocationId {
    LocationId::try_from(id).unwrap()
}

fn password(number: u8) -> PasswordHash {
    PasswordHash::parse(format!("$2b$05${}{number:03}", "a".repeat(50))).unwrap()
}

pub fn new_user(email: &str) -> NewUser {
    NewUser {
        first_name: "Zoë".to_owned(),
        last_name: String::new(),
        email: email.parse().unwrap(),
        password: password(1),
    }
}

pub fn user(id: u64, email: &str) -> User {
    User {
        id: user_id(id),
        first_name: "Al".to_owned(),
        last_name: "Appelhof".to_owned(),
        email: email.parse().unwrap(),
        password: password(1),
        num_checkins: 3,
        last_checkin: Some(1_609_602_085_397),
        last_seen_at: Some(location_id(2)),
    }
}

pub fn location(id: u64) -> Location {
    Location {
        id: location_id(id),
        name: "Quillback Coffee".to_owned(),
        category: Category::Cafe,
        coordinates: Coordinates::new(-122.2711, 37.8044).unwrap(),
        num_checkins: 2,
        num_stars: 9,
    }
}

/// Another location, at longitude and latitude.
fn place(id: u64, name: &str, longitude: f64, latitude: f64) -> Location {
    let coordinates = Coordinates::new(longitude, latitude).unwrap();
    Location { name: name.to_owned(), coordinates, ..location(id) }
}

pub fn details(id: u64) -> LocationDetails {
    let hours = |hours: &str| Some(hours.parse().unwrap());
    let days =
        [hours("8-19"), hours("8-19"), None, hours("22-2"), hours("9-24"), None, hours("closed")];
    LocationDetails {
        id: location_id(id),
        description: "Coffee, and what is left of the cake.".to_owned(),
        website: Some("https://quillback.example".parse().unwrap()),
        phone: Some("510-555-0100".to_owned()),
        socials: vec![Social { network: "mastodon".to_owned(), handle: "@quillback".to_owned() }],
        hours: OpeningHours::known(days).unwrap(),
    }
}

pub fn new_checkin(user: u64, location: u64, stars: u64) -> NewCheckin {
    NewCheckin {
        user: user_id(user),
        location: location_id(location),
        stars: StarRating::try_from(stars).unwrap(),
        comment: None,
        is_private: false,
    }
}

/// A check-in with a comment.
pub fn remarked(user: u64, location: u64, comment: &str) -> NewCheckin {
    NewCheckin { comment: Some(comment.parse().unwrap()), ..new_checkin(user, location, 3) }
}

/// Longer than any check takes.
const LEASE: Duration = Duration::from_secs(60);

/// A time to wait for, within which a busy machine carries out some commands: the clock of Redis cannot be moved, or stopped.
const SHORT: Duration = Duration::from_secs(2);

/// Acquires every lease that this processor can get.
async fn acquire_all(storage: &dyn Storage, processor: &str, lifetime: Duration) -> Vec<Lease> {
    let mut held = Vec::new();
    while let Some(lease) = storage.acquire(processor, &held, lifetime).await.unwrap() {
        held.push(lease);
    }
    held
}

/// Reads the next batch under a lease.
async fn next_batch(storage: &dyn Storage, lease: &Lease, limit: usize) -> Batch {
    let checkpoint = storage.renew(lease, LEASE).await.unwrap().unwrap();
    storage.read(lease, checkpoint, limit).await.unwrap()
}

/// Applies everything that is not yet applied, in batches of this size.
pub async fn apply_all(storage: &dyn Storage, limit: usize) -> Applied {
    let mut sum = Applied::default();
    for lease in acquire_all(storage, "apply all", LEASE).await {
        loop {
            let batch = next_batch(storage, &lease, limit).await;
            if batch.entries.is_empty() {
                break;
            }
            let applied = storage.apply(&batch).await.unwrap();
            sum.new += applied.new;
            sum.dead += applied.dead;
        }
        storage.release(&lease).await.unwrap();
    }
    sum
}

/// Accepts every check-in except identical ones within this time.
pub const fn window(duplicate_window: Duration) -> Admission {
    Admission { duplicate_window, ..Admission::ALL }
}

pub fn checkin(id: &str, user: u64, location: u64) -> Checkin {
    new_checkin(user, location, 4).with_id(id.parse().unwrap())
}

pub const fn first(limit: usize) -> Page {
    Page { after: None, limit }
}

/// Reads a complete list in pages of `limit` records, and returns the rank and id of each record.
pub async fn listed<T: Record>(
    limit: usize,
    page: impl AsyncFn(Page) -> crate::Result<Vec<Ranked<T>>>,
) -> Vec<(u64, u64)> {
    let (mut after, mut list) = (None, Vec::new());
    loop {
        let records = page(Page { after, limit }).await.unwrap();
        let positions = records.iter().map(|record| (record.rank, record.item.id()));
        list.extend(positions);
        if records.len() < limit {
            return list;
        }
        after = list.last().map(|&(rank, id)| Position { rank, id });
    }
}

/// Returns the positions of all locations that a search finds, page by page.
pub async fn listed_places(
    limit: usize,
    page: impl AsyncFn(Page) -> crate::Result<FoundLocations>,
) -> Vec<(u64, u64)> {
    let (mut after, mut list) = (None, Vec::new());
    loop {
        let FoundLocations { locations, next } = page(Page { after, limit }).await.unwrap();
        let is_full = locations.len() == limit;
        assert!(next.is_none() || !is_full, "a full page is followed by its last location");
        assert!(next.is_none() || next != after, "the search goes on");
        list.extend(locations.iter().map(|place| (place.rank, place.item.id.get())));
        after = next.or(locations.last().filter(|_| is_full).map(Ranked::position));
        if after.is_none() {
            return list;
        }
    }
}

pub trait Record {
    fn id(&self) -> u64;
}

impl Record for User {
    fn id(&self) -> u64 {
        self.id.get()
    }
}

impl Record for Location {
    fn id(&self) -> u64 {
        self.id.get()
    }
}

/// Runs `count` futures at the same time, on several threads.
async fn together<T, F>(count: usize, make: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(make(number))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}
