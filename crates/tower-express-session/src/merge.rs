//! Merges three versions of a session into one.

use std::sync::Arc;

use crate::record::Record;

/// Applies the changes from `base` to `mine` to `theirs`, one top-level attribute at a time.
///
/// Setting and removing are both changes. If both sides changed the same attribute, `mine` wins,
/// because it is written last. The cookie is that of `mine`, because every request restarts its
/// lifetime.
pub(crate) fn merge(base: &Record, mine: &Record, theirs: &Record) -> Record {
    let mut merged = Arc::clone(&theirs.attributes);
    for (name, raw) in mine.attributes.iter() {
        if base.attributes.raw(name) != Some(raw) {
            // The name is in a record already, so it is not a reserved one.
            drop(Arc::make_mut(&mut merged).set(name, raw.clone()));
        }
    }
    for (name, _) in base.attributes.iter() {
        if mine.attributes.raw(name).is_none() {
            Arc::make_mut(&mut merged).remove(name);
        }
    }
    Record { cookie: Arc::clone(&mine.cookie), attributes: merged }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;
    use crate::record::Reading;

    /// The store for Express, `packages/express-session-store`, passes the same cases.
    const CASES: &str = include_str!("merge_cases.json");

    #[derive(Deserialize)]
    struct Case<'a> {
        name: String,
        #[serde(borrow)]
        base: &'a RawValue,
        mine: &'a RawValue,
        theirs: &'a RawValue,
        merged: &'a RawValue,
    }

    fn record(attributes: &RawValue) -> Record {
        let members = &attributes.get()[1..];
        let comma = if members == "}" { "" } else { "," };
        let json = format!(r#"{{"cookie":{{}}{comma}{members}"#);
        Record::parse(&Bytes::from(json), Reading::Verbatim, 0.0).unwrap().unwrap()
    }

    #[test]
    fn changes_of_both_sides_are_kept() {
        let cases: Vec<Case<'_>> = serde_json::from_str(CASES).unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let merged = merge(&record(case.base), &record(case.mine), &record(case.theirs));
            let expected = record(case.merged).attributes.to_object();
            assert_eq!(merged.attributes.to_object(), expected, "{}", case.name);
        }
    }
}
