//! The fields of one input, and everything that is wrong with them.

use std::borrow::Cow;
use std::collections::HashSet;

use super::given::{Given, Input};

/// The part of the input that a field is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum At {
    /// In the path of a request.
    Path,
    /// In its query.
    Query,
    /// Among its headers, whose names have no case.
    Header,
    /// In a JSON object, or a row of a table.
    Member,
}

/// A field, and the rule that it breaks: "must …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokenRule {
    pub(crate) field: String,
    pub(crate) rule: String,
}

/// An input of several fields.
pub(crate) trait FromFields: Sized {
    /// Other data that the rules depend on.
    type Context;

    /// Takes its fields out of `fields`, checks every rule, and records those that are broken.
    /// Returns `None` if a field could not be read.
    fn read(fields: &mut Fields<'_>, context: &Self::Context) -> Option<Self>;
}

/// Fields in their order, and the broken rules so far.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    given: Vec<(At, Cow<'a, str>, Given<'a>)>,
    broken: Vec<BrokenRule>,
}

impl<'a> Fields<'a> {
    /// Creates the fields of a JSON object or of a row of a table. Names may repeat.
    pub(crate) fn members<N: Into<Cow<'a, str>>, G: Into<Given<'a>>>(
        members: impl IntoIterator<Item = (N, G)>,
    ) -> Self {
        let mut fields = Self::default();
        members.into_iter().for_each(|(name, given)| fields.add(At::Member, name, given));
        fields
    }

    /// Adds a field.
    pub(crate) fn add(
        &mut self,
        at: At,
        name: impl Into<Cow<'a, str>>,
        given: impl Into<Given<'a>>,
    ) {
        self.given.push((at, name.into(), given.into()));
    }

    /// Reads a record. `unknown` is the rule that unknown members and parameters break.
    ///
    /// # Errors
    ///
    /// Every rule that is broken, those of unknown fields last; an unknown parameter is named once.
    pub(crate) fn read<T: FromFields>(
        mut self,
        context: &T::Context,
        unknown: &str,
    ) -> Result<T, Vec<BrokenRule>> {
        let record = T::read(&mut self, context);
        let mut named = HashSet::new();
        for (at, name, _) in std::mem::take(&mut self.given) {
            let is_wrong = match at {
                At::Query => named.insert(name.clone()),
                At::Member => true,
                At::Path | At::Header => false,
            };
            if is_wrong {
                self.refuse(&name, unknown);
            }
        }
        record.filter(|_| self.broken.is_empty()).ok_or(self.broken)
    }

    /// Takes a field out and reads it. If it breaks a rule, records the rule and returns `None`.
    pub(crate) fn take<T: Input>(&mut self, at: At, name: &str) -> Option<T> {
        let is_it = |own: &str| match at {
            At::Header => own.eq_ignore_ascii_case(name),
            At::Path | At::Query | At::Member => own == name,
        };
        // In one pass: there may be as many twins as fit into a request.
        let mut found =
            self.given.extract_if(.., |(own_at, own, _)| *own_at == at && is_it(own.as_ref()));
        let (given, twins) = (found.next(), found.count());
        let Some((_, _, given)) = given else {
            let absent = T::absent();
            // A part of the path is there, or the route would not fit. It is not known only where
            // another part is not text.
            if absent.is_none() && at != At::Path {
                self.refuse(name, "must be given");
            }
            return absent;
        };
        if twins > 0 {
            self.refuse(name, "must be given once");
            return None;
        }
        T::read(&given).map_err(|rule| self.refuse(name, rule)).ok()
    }

    /// Records that a field breaks a rule.
    pub(crate) fn refuse(&mut self, name: &str, rule: impl Into<String>) {
        self.broken.push(BrokenRule { field: name.to_owned(), rule: rule.into() });
    }

    /// Returns whether this field breaks a rule already.
    pub(crate) fn is_refused(&self, name: &str) -> bool {
        self.broken.iter().any(|broken| broken.field == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{LocationId, UserId};
    use crate::input::record;

    record! {
        struct Visits(u64) {
            user "user" in Path: UserId;
            location "location" in Path: LocationId;
            from "from" in Query: Option<UserId>;
        }
        check |fields, most| {
            if user.is_some_and(|user| user.get() > *most) {
                fields.refuse("user", "must be one that there is");
            }
        }
    }

    fn broken(given: &[(At, &'static str, &'static str)]) -> Vec<String> {
        let mut fields = Fields::default();
        for (at, name, text) in given {
            let value = if *text == "%ff" { Given::NoText } else { Given::bare(text) };
            fields.add(*at, *name, value);
        }
        match fields.read::<Visits>(&100, "must not be sent") {
            Ok(Visits { user, location, from }) => {
                vec![format!("{user} {location} {:?}", from.map(UserId::get))]
            }
            Err(broken) => {
                broken.into_iter().map(|one| format!("{} {}", one.field, one.rule)).collect()
            }
        }
    }

    /// With a search for each twin this test would take minutes.
    #[test]
    fn many_twins_are_refused_quickly() {
        let mut given = vec![(At::Query, "from", "1"); 500_000];
        given.extend([(At::Path, "user", "1"), (At::Path, "location", "2")]);
        assert_eq!(broken(&given), ["from must be given once"]);
    }

    #[test]
    fn all_errors_are_reported() {
        let (user, location) = ((At::Path, "user", "1"), (At::Path, "location", "2"));
        let from = |text| (At::Query, "from", text);
        assert_eq!(broken(&[user, location]), ["1 2 None"]);
        assert_eq!(broken(&[user, location, from("3")]), ["1 2 Some(3)"]);
        for (given, wrong) in [
            (vec![user, location, from("0")], vec!["from must be at least 1"]),
            (vec![user, location, from("1"), from("1")], vec!["from must be given once"]),
            (vec![(At::Path, "user", "101"), location], vec!["user must be one that there is"]),
            (
                vec![(At::Path, "user", "101"), (At::Path, "location", "x")],
                vec!["location must be an integer", "user must be one that there is"],
            ),
            // The same name elsewhere is another field.
            (vec![user, location, (At::Query, "user", "1")], vec!["user must not be sent"]),
            (
                vec![
                    (At::Query, "b", ""),
                    user,
                    (At::Query, "a", ""),
                    (At::Query, "b", ""),
                    location,
                ],
                vec!["b must not be sent", "a must not be sent"],
            ),
            // If one part of a path is not text, the others are unknown, but not missing.
            (vec![(At::Path, "user", "%ff")], vec!["user must be UTF-8"]),
            (vec![user, location, (At::Header, "from", "x")], vec!["1 2 None"]),
        ] {
            assert_eq!(broken(&given), wrong, "{given:?}");
        }
    }
}
