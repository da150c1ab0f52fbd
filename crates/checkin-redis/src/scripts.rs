//! The scripts. Each runs as one step inside Redis, on keys of one slot.

use redis_link::Script;

pub(crate) struct Scripts {
    pub(crate) append: Script,
    pub(crate) append_private: Script,
    pub(crate) claim_private_key: Script,
    pub(crate) retract_private: Script,
    pub(crate) keep_private_visit: Script,
    pub(crate) load_private: Script,
    pub(crate) fold_private: Script,
    pub(crate) load_checkins: Script,
    pub(crate) arrivals: Script,
    pub(crate) part_state: Script,
    pub(crate) claim: Script,
    pub(crate) join: Script,
    pub(crate) release: Script,
    pub(crate) apply_to_users: Script,
    pub(crate) apply_to_locations: Script,
    pub(crate) leave_locations: Script,
    pub(crate) move_checkpoint: Script,
    pub(crate) figures_of_user: Script,
    pub(crate) figures_of_location: Script,
    pub(crate) fold: Script,
    pub(crate) retract: Script,
    pub(crate) next_retractions: Script,
    pub(crate) finish_retractions: Script,
    pub(crate) retract_from_user: Script,
    pub(crate) retract_from_location: Script,
    pub(crate) add_marks: Script,
    pub(crate) listed_figures: Script,
    pub(crate) forget_figures: Script,
    pub(crate) create_hash: Script,
    pub(crate) account: Script,
    pub(crate) change_password: Script,
    pub(crate) renew_password: Script,
    pub(crate) raise_epoch: Script,
    pub(crate) change_account: Script,
    pub(crate) change_second_factor: Script,
    pub(crate) erase_account: Script,
    pub(crate) time_if_absent: Script,
    pub(crate) open_account: Script,
    pub(crate) add_search: Script,
    pub(crate) due_searches: Script,
    pub(crate) finish_searches: Script,
    pub(crate) find_visit: Script,
    pub(crate) claim_venue: Script,
    pub(crate) raise_last_id: Script,
    pub(crate) claim_email: Script,
    pub(crate) settle_email: Script,
    pub(crate) release_email: Script,
    pub(crate) page: Script,
    pub(crate) remove_own: Script,
    pub(crate) remove_unchanged: Script,
    pub(crate) take_attempt: Script,
    pub(crate) give_back_attempt: Script,
    pub(crate) replace_second_factor: Script,
    pub(crate) take_pending: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            append: Script::named(
                "append",
                concat!(
                    include_str!("scripts/log_ids.lua"),
                    include_str!("scripts/key_turns.lua"),
                    include_str!("scripts/append.lua")
                ),
            ),
            append_private: Script::named(
                "append_private",
                concat!(
                    include_str!("scripts/key_turns.lua"),
                    include_str!("scripts/append_private.lua")
                ),
            ),
            claim_private_key: Script::named(
                "claim_private_key",
                concat!(
                    include_str!("scripts/key_turns.lua"),
                    include_str!("scripts/claim_private_key.lua")
                ),
            ),
            retract_private: Script::named(
                "retract_private",
                include_str!("scripts/retract_private.lua"),
            ),
            keep_private_visit: Script::named(
                "keep_private_visit",
                include_str!("scripts/keep_private_visit.lua"),
            ),
            load_private: Script::named("load_private", include_str!("scripts/load_private.lua")),
            fold_private: Script::named("fold_private", include_str!("scripts/fold_private.lua")),
            load_checkins: Script::named(
                "load_checkins",
                concat!(
                    include_str!("scripts/log_ids.lua"),
                    include_str!("scripts/load_checkins.lua")
                ),
            ),
            arrivals: Script::named("arrivals", include_str!("scripts/arrivals.lua")),
            part_state: Script::named("part_state", include_str!("scripts/part_state.lua")),
            claim: Script::named("claim", include_str!("scripts/claim.lua")),
            join: Script::named("join", include_str!("scripts/join.lua")),
            release: Script::named("release", include_str!("scripts/release.lua")),
            apply_to_users: Script::named(
                "apply_to_users",
                concat!(
                    include_str!("scripts/weeks.lua"),
                    include_str!("scripts/unmarked.lua"),
                    include_str!("scripts/apply_to_users.lua")
                ),
            ),
            apply_to_locations: Script::named(
                "apply_to_locations",
                concat!(
                    include_str!("scripts/weeks.lua"),
                    include_str!("scripts/unmarked.lua"),
                    include_str!("scripts/average.lua"),
                    include_str!("scripts/apply_to_locations.lua")
                ),
            ),
            leave_locations: Script::named(
                "leave_locations",
                include_str!("scripts/leave_locations.lua"),
            ),
            move_checkpoint: Script::named(
                "move_checkpoint",
                include_str!("scripts/move_checkpoint.lua"),
            ),
            figures_of_user: Script::named(
                "figures_of_user",
                include_str!("scripts/figures_of_user.lua"),
            ),
            figures_of_location: Script::named(
                "figures_of_location",
                include_str!("scripts/figures_of_location.lua"),
            ),
            fold: Script::named("fold", include_str!("scripts/fold.lua")),
            retract: Script::named(
                "retract",
                concat!(include_str!("scripts/log_ids.lua"), include_str!("scripts/retract.lua")),
            ),
            next_retractions: Script::named(
                "next_retractions",
                include_str!("scripts/next_retractions.lua"),
            ),
            finish_retractions: Script::named(
                "finish_retractions",
                include_str!("scripts/finish_retractions.lua"),
            ),
            retract_from_user: Script::named(
                "retract_from_user",
                concat!(
                    include_str!("scripts/marks.lua"),
                    include_str!("scripts/retract_from_user.lua")
                ),
            ),
            retract_from_location: Script::named(
                "retract_from_location",
                concat!(
                    include_str!("scripts/marks.lua"),
                    include_str!("scripts/average.lua"),
                    include_str!("scripts/retract_from_location.lua")
                ),
            ),
            add_marks: Script::named(
                "add_marks",
                concat!(include_str!("scripts/marks.lua"), include_str!("scripts/add_marks.lua")),
            ),
            forget_figures: Script::named(
                "forget_figures",
                include_str!("scripts/forget_figures.lua"),
            ),
            listed_figures: Script::named(
                "listed_figures",
                concat!(
                    include_str!("scripts/weeks.lua"),
                    include_str!("scripts/listed_figures.lua")
                ),
            ),
            create_hash: Script::named("create_hash", include_str!("scripts/create_hash.lua")),
            account: Script::named("account", include_str!("scripts/account.lua")),
            change_password: Script::named(
                "change_password",
                concat!(
                    include_str!("scripts/still_admits.lua"),
                    include_str!("scripts/change_password.lua")
                ),
            ),
            renew_password: Script::named(
                "renew_password",
                include_str!("scripts/renew_password.lua"),
            ),
            raise_epoch: Script::named(
                "raise_epoch",
                concat!(
                    include_str!("scripts/still_admits.lua"),
                    include_str!("scripts/raise_epoch.lua")
                ),
            ),
            change_account: Script::named(
                "change_account",
                concat!(
                    include_str!("scripts/still_admits.lua"),
                    include_str!("scripts/change_account.lua")
                ),
            ),
            change_second_factor: Script::named(
                "change_second_factor",
                concat!(
                    include_str!("scripts/still_admits.lua"),
                    include_str!("scripts/change_second_factor.lua")
                ),
            ),
            erase_account: Script::named(
                "erase_account",
                include_str!("scripts/erase_account.lua"),
            ),
            time_if_absent: Script::named(
                "time_if_absent",
                include_str!("scripts/time_if_absent.lua"),
            ),
            open_account: Script::named("open_account", include_str!("scripts/open_account.lua")),
            add_search: Script::named("add_search", include_str!("scripts/add_search.lua")),
            due_searches: Script::named("due_searches", include_str!("scripts/due_searches.lua")),
            finish_searches: Script::named(
                "finish_searches",
                include_str!("scripts/finish_searches.lua"),
            ),
            find_visit: Script::named("find_visit", include_str!("scripts/find_visit.lua")),
            claim_venue: Script::named("claim_venue", include_str!("scripts/claim_venue.lua")),
            raise_last_id: Script::named(
                "raise_last_id",
                include_str!("scripts/raise_last_id.lua"),
            ),
            claim_email: Script::named("claim_email", include_str!("scripts/claim_email.lua")),
            settle_email: Script::named("settle_email", include_str!("scripts/settle_email.lua")),
            release_email: Script::named(
                "release_email",
                include_str!("scripts/release_email.lua"),
            ),
            page: Script::named("page", include_str!("scripts/page.lua")),
            remove_own: Script::named("remove_own", include_str!("scripts/remove_own.lua")),
            remove_unchanged: Script::named(
                "remove_unchanged",
                include_str!("scripts/remove_unchanged.lua"),
            ),
            take_attempt: Script::named("take_attempt", include_str!("scripts/take_attempt.lua")),
            give_back_attempt: Script::named(
                "give_back_attempt",
                include_str!("scripts/give_back_attempt.lua"),
            ),
            replace_second_factor: Script::named(
                "replace_second_factor",
                include_str!("scripts/replace_second_factor.lua"),
            ),
            take_pending: Script::named("take_pending", include_str!("scripts/take_pending.lua")),
        }
    }
}
