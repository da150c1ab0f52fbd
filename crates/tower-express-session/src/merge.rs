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

    use super::*;
    use crate::record::Reading;

    fn record(attributes: &str) -> Record {
        let json = format!(r#"{{"cookie":{{}}{attributes}}}"#);
        Record::parse(&Bytes::from(json), Reading::Verbatim, 0.0).unwrap().unwrap()
    }

    #[test]
    fn changes_of_both_sides_are_kept() {
        let base = r#","a":1,"b":1,"c":1"#;
        for (mine, theirs, expected) in [
            (base, r#","a":2,"b":1,"c":1"#, r#"{"a":2,"b":1,"c":1}"#),
            (r#","a":2,"b":1,"c":1"#, base, r#"{"a":2,"b":1,"c":1}"#),
            (r#","a":2,"b":1,"c":1"#, r#","a":1,"b":2,"c":1"#, r#"{"a":2,"b":2,"c":1}"#),
            (r#","a":2,"b":1,"c":1"#, r#","a":3,"b":1,"c":1"#, r#"{"a":2,"b":1,"c":1}"#),
            (r#","b":1,"c":1"#, r#","a":1,"b":2,"c":1,"d":4"#, r#"{"b":2,"c":1,"d":4}"#),
            (
                r#","a":1,"b":1,"c":1,"d":1"#,
                r#","a":1,"c":1,"e":5"#,
                r#"{"a":1,"c":1,"e":5,"d":1}"#,
            ),
        ] {
            let merged = merge(&record(base), &record(mine), &record(theirs));
            assert_eq!(merged.attributes.to_object(), expected, "{mine} | {theirs}");
        }
    }
}
