//! Decides when to write a session and when to send its cookie: express-session's `shouldSave`,
//! `shouldTouch` and `shouldSetCookie`, as pure functions.

use std::time::Duration;

use crate::options::Rules;

/// The facts about a session when its request ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// The cookie of the request has the id of this session (`cookieId === req.sessionID`).
    pub(crate) named_by_cookie: bool,
    /// Its id or an attribute has changed since the request loaded or created it (`isModified`).
    pub(crate) modified: bool,
    /// Its current state is in the store already (`isSaved`).
    pub(crate) saved: bool,
    /// It was saved or loaded before (`savedHash` is set).
    pub(crate) ever_saved: bool,
    /// Its cookie has an expiry (`cookie.expires != null`).
    pub(crate) expires: bool,
    /// Enough of its time to live has passed for a touch.
    pub(crate) touch_due: bool,
    /// The cookie of the request was signed by an old secret and must be signed again.
    pub(crate) signed_by_old_secret: bool,
}

/// The operation on the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreAction {
    Save,
    Touch,
    Nothing,
}

pub(crate) fn store_action(facts: Facts, rules: Rules) -> StoreAction {
    let uninitialized = !rules.save_uninitialized && !facts.ever_saved && !facts.named_by_cookie;
    let save = if uninitialized { facts.modified } else { !facts.saved };
    match (save, facts.named_by_cookie && facts.touch_due) {
        (true, _) => StoreAction::Save,
        (false, true) if rules.refresh_expires && facts.expires => StoreAction::Save,
        (false, true) => StoreAction::Touch,
        (false, false) => StoreAction::Nothing,
    }
}

/// Returns whether a session with `time_left` of its `lifetime` must be touched: if the fraction
/// `touch_after` of the lifetime has passed and a touch prolongs the session, or if the lifetime
/// has become shorter than `time_left`. `is_final` says that no touch prolongs it.
pub(crate) fn touch_due(
    time_left: Duration,
    is_final: bool,
    lifetime: Duration,
    touch_after: f64,
) -> bool {
    let lifetime = lifetime.min(LONGEST);
    let quiet = lifetime.mul_f64(1.0 - touch_after);
    !is_final && time_left < quiet || time_left > lifetime + CLOCK_STEP
}

/// Returns how long a session is not touched after a touch; `None` if it is never touched.
pub(crate) fn quiet_time(lifetime: Duration, touch_after: f64) -> Option<Duration> {
    (touch_after < 1.0).then(|| lifetime.min(LONGEST).mul_f64(touch_after))
}

/// The maximum lifetime in calculations, a thousand years, so that they do not overflow.
const LONGEST: Duration = Duration::from_secs(1000 * 365 * 86_400);

/// The precision of stores, which count whole seconds.
const CLOCK_STEP: Duration = Duration::from_secs(1);

pub(crate) fn sends_cookie(facts: Facts, rules: Rules) -> bool {
    if facts.named_by_cookie {
        rules.rolling || facts.expires && facts.modified || facts.signed_by_old_secret
    } else {
        rules.save_uninitialized || facts.modified
    }
}

#[cfg(test)]
mod tests {
    use super::StoreAction::{Nothing, Save, Touch};
    use super::*;

    const NEW: Facts = Facts {
        named_by_cookie: false,
        modified: false,
        saved: false,
        ever_saved: false,
        expires: false,
        touch_due: false,
        signed_by_old_secret: false,
    };
    const LOADED: Facts =
        Facts { named_by_cookie: true, saved: true, ever_saved: true, touch_due: true, ..NEW };

    fn rules(text: &str) -> Rules {
        Rules {
            resave: text.contains("resave"),
            rolling: text.contains("rolling"),
            save_uninitialized: text.contains("uninitialized"),
            refresh_expires: text.contains("refresh"),
            ..Rules::default()
        }
    }

    #[test]
    fn store_action_and_cookie_for_each_combination_of_facts_and_rules() {
        let changed = Facts { modified: true, saved: false, ..LOADED };
        // With `resave`, a loaded session does not count as saved at first.
        let resaved = Facts { saved: false, ever_saved: false, ..LOADED };
        for (name, facts, options, store, cookie) in [
            ("untouched visitor", NEW, "", Nothing, false),
            ("untouched visitor, rolling", NEW, "rolling", Nothing, false),
            ("untouched visitor, kept", NEW, "uninitialized", Save, true),
            ("first change", Facts { modified: true, ..NEW }, "", Save, true),
            (
                "first change, saved by hand",
                Facts { modified: true, saved: true, ever_saved: true, ..NEW },
                "",
                Nothing,
                true,
            ),
            ("read only", LOADED, "", Touch, false),
            ("read only, just touched", Facts { touch_due: false, ..LOADED }, "", Nothing, false),
            ("signed long ago", Facts { signed_by_old_secret: true, ..LOADED }, "", Touch, true),
            ("read only, refresh", LOADED, "refresh", Touch, false),
            (
                "read only with an expiry, refresh",
                Facts { expires: true, ..LOADED },
                "refresh",
                Save,
                false,
            ),
            ("read only, rolling", LOADED, "rolling", Touch, true),
            ("read only, resave", resaved, "resave", Save, false),
            ("changed", changed, "", Save, false),
            ("changed, with an expiry", Facts { expires: true, ..changed }, "", Save, true),
            ("changed and saved by hand", Facts { saved: true, ..changed }, "", Touch, false),
            ("regenerated", Facts { named_by_cookie: false, ..changed }, "", Save, true),
        ] {
            assert_eq!(store_action(facts, rules(options)), store, "{name}");
            assert_eq!(sends_cookie(facts, rules(options)), cookie, "{name}");
        }
    }

    #[test]
    fn a_touch_is_due_after_its_fraction_of_the_lifetime() {
        let seconds = Duration::from_secs;
        for (left, touch_after, due, final_due) in [
            (100, 0.1, false, false),
            (91, 0.1, false, false),
            (89, 0.1, true, false),
            (0, 0.1, true, false),
            (102, 0.1, true, true),
            (99, 0.0, true, false),
            (1, 1.0, false, false),
        ] {
            for (is_final, due) in [(false, due), (true, final_due)] {
                let found = touch_due(seconds(left), is_final, seconds(100), touch_after);
                assert_eq!(found, due, "{left} {is_final}");
            }
        }
    }

    #[test]
    fn a_session_is_quiet_for_its_fraction_of_the_lifetime() {
        let seconds = Duration::from_secs;
        assert_eq!(quiet_time(seconds(100), 0.5), Some(seconds(50)));
        assert_eq!(quiet_time(seconds(100), 0.0), Some(Duration::ZERO));
        assert_eq!(quiet_time(seconds(100), 1.0), None);
        assert!(quiet_time(Duration::MAX, 0.1).is_some());
    }
}
