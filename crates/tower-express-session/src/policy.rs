//! When to write a session and when to send its cookie: the decisions of express-session's
//! `shouldSave`, `shouldTouch` and `shouldSetCookie`, without any effect.

use crate::options::Rules;

/// What is known of a session when its request ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// The cookie that came with the request names this session (`cookieId === req.sessionID`).
    pub(crate) named_by_cookie: bool,
    /// Its id or an attribute differs from how the request found or made it (`isModified`).
    pub(crate) modified: bool,
    /// Its latest state is in the store already (`isSaved`).
    pub(crate) saved: bool,
    /// Something of it was saved or loaded before (`savedHash` is set).
    pub(crate) ever_saved: bool,
    /// Its cookie ends at a given time (`cookie.expires != null`).
    pub(crate) expires: bool,
}

/// What the store is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreAction {
    Save,
    Touch,
    Nothing,
}

pub(crate) fn store_action(facts: Facts, rules: Rules) -> StoreAction {
    let uninitialized = !rules.save_uninitialized && !facts.ever_saved && !facts.named_by_cookie;
    let save = if uninitialized { facts.modified } else { !facts.saved };
    match (save, facts.named_by_cookie) {
        (true, _) => StoreAction::Save,
        (false, true) => StoreAction::Touch,
        (false, false) => StoreAction::Nothing,
    }
}

pub(crate) fn sends_cookie(facts: Facts, rules: Rules) -> bool {
    if facts.named_by_cookie {
        rules.rolling || facts.expires && facts.modified
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
    };
    const LOADED: Facts = Facts { named_by_cookie: true, saved: true, ever_saved: true, ..NEW };

    fn rules(text: &str) -> Rules {
        Rules {
            resave: text.contains("resave"),
            rolling: text.contains("rolling"),
            save_uninitialized: text.contains("uninitialized"),
        }
    }

    #[test]
    fn table() {
        let changed = Facts { modified: true, saved: false, ..LOADED };
        // With `resave`, a loaded session starts as not saved.
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
}
