//! What a request gives in its path and in its query, each of them looked at.

use std::collections::HashSet;
use std::fmt;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;

use super::paging::{Cursor, Limits, Paging};
use super::routes::now_ms;
use crate::domain::{LocationId, UserId};
use crate::http::{FieldError, Problem};
use crate::storage::Period;

/// The parameters of a request, to be taken one by one. What is wrong is gathered, and
/// [`read`](Self::read) answers all of it at once.
#[derive(Debug)]
pub(super) struct Parameters {
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
    errors: Vec<FieldError>,
    /// The path as it was sent.
    address: String,
}

impl Parameters {
    /// Takes all that the request needs.
    ///
    /// # Errors
    ///
    /// A problem that names each parameter that breaks a rule or was not taken.
    pub(super) fn read<T>(
        mut self,
        take: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<T, Problem> {
        let taken = take(&mut self);
        let mut unknown = HashSet::new();
        for (name, _) in std::mem::take(&mut self.query) {
            if unknown.insert(name.clone()) {
                self.refuse(&name, "must not be sent: this request has no such parameter");
            }
        }
        match taken {
            _ if !self.errors.is_empty() => Err(Problem::invalid(self.errors)),
            taken => taken.ok_or_else(Problem::internal),
        }
    }

    /// A part of the path.
    pub(super) fn path<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let at = self.path.iter().position(|(parameter, _)| parameter == name)?;
        let (_, text) = self.path.swap_remove(at);
        parse(&text).map_err(|rule| self.refuse(name, rule)).ok()
    }

    /// A parameter of the query, that may be missing.
    pub(super) fn query<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let at = self.query.iter().position(|(parameter, _)| parameter == name)?;
        let (_, text) = self.query.remove(at);
        if self.query.iter().any(|(parameter, _)| parameter == name) {
            self.query.retain(|(parameter, _)| parameter != name);
            self.refuse(name, "must be given once");
            return None;
        }
        parse(&text).map_err(|rule| self.refuse(name, rule)).ok()
    }

    /// A parameter of the query, that must be there.
    pub(super) fn required<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let is_given = self.query.iter().any(|(parameter, _)| parameter == name)
            || self.errors.iter().any(|error| error.field == name);
        if !is_given {
            self.refuse(name, "must be given");
        }
        self.query(name, parse)
    }

    /// Which page of a list is asked for: `limit` and `cursor`.
    pub(super) fn paging<C: Cursor>(&mut self, limits: Limits) -> Paging<C> {
        let others = self.query.iter().filter(|(name, _)| name != "limit" && name != "cursor");
        let mut paging = Paging::first(&self.address, others, limits);
        if let Some(limit) = self.query("limit", |text| limits.parse(text)) {
            paging.limit = limit;
        }
        paging.after = self.query("cursor", |text| paging.cursor(text));
        paging
    }

    /// Notes that a parameter breaks a rule.
    pub(super) fn refuse(&mut self, name: &str, rule: impl fmt::Display) {
        self.errors.push(FieldError::new(name, rule.to_string()));
    }

    fn new(address: &str, query: &str) -> Self {
        let mut parameters = Self {
            path: Vec::new(),
            query: Vec::new(),
            errors: Vec::new(),
            address: address.to_owned(),
        };
        let mut refused = HashSet::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decoded(name), decoded(value)) {
                (Some(name), Some(value)) => parameters.query.push((name, value)),
                (name, _) => {
                    let name = name.unwrap_or_default();
                    if refused.insert(name.clone()) {
                        parameters.refuse(&name, "must be UTF-8");
                    }
                }
            }
        }
        parameters
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = RawPathParams::from_request_parts(parts, state).await;
        let mut given = Self::new(parts.uri.path(), parts.uri.query().unwrap_or_default());
        match path {
            Ok(path) => {
                given.path =
                    path.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
            }
            Err(RawPathParamsRejection::InvalidUtf8InPathParam(which)) => {
                // Invalid UTF-8 in `id`
                let text = which.body_text();
                given.refuse(text.split('`').nth(1).unwrap_or_default(), "must be UTF-8");
            }
            // A route without any.
            Err(_) => {}
        }
        Ok(given)
    }
}

/// A name or a value of a query, as forms write them.
fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    Some(percent_decode_str(&text).decode_utf8().ok()?.into_owned())
}

/// The user of the path.
pub(super) fn user_id(given: &mut Parameters) -> Option<UserId> {
    given.path("id", str::parse)
}

/// The place of the path.
pub(super) fn location_id(given: &mut Parameters) -> Option<LocationId> {
    given.path("id", str::parse)
}

/// `period`: from the beginning, or this week.
pub(super) fn period(given: &mut Parameters) -> Period {
    let period = given.query("period", |text| match text {
        "all" => Ok(Period::AllTime),
        "week" => Ok(Period::WeekOf(now_ms())),
        _ => Err("must be all or week"),
    });
    period.unwrap_or(Period::AllTime)
}

/// `true` or `false`.
pub(super) fn boolean(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "must be true or false")
}

/// A number as JSON writes it: `inf`, `nan`, `+1` and `.5` are none.
pub(super) fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if plain { serde_json::from_str(text).ok() } else { None }
}

/// A whole number from 0 to 2^53-1, in its one spelling.
pub(super) fn integer(text: &str) -> Result<u64, &'static str> {
    let rule = "must be an integer from 0 to 9007199254740991";
    crate::domain::number::decimal(text)
        .filter(|number| *number <= crate::domain::MAX_SAFE_INTEGER)
        .ok_or(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str) -> Vec<String> {
        let read = Parameters::new("/x", query).read(|given| {
            let flag = given.query("flag", boolean);
            let number = given.required("number", integer);
            flag.zip(number)
        });
        match read {
            Ok(_) => Vec::new(),
            Err(problem) => {
                let named = problem.errors().iter();
                named.map(|error| format!("{} {}", error.field, error.rule)).collect()
            }
        }
    }

    #[test]
    fn each_bad_parameter_is_named() {
        assert_eq!(refused("flag=true&number=7"), [""; 0]);
        assert_eq!(refused("fl%61g=true&&number=%37"), [""; 0]);
        let whole = "number must be an integer from 0 to 9007199254740991";
        for (query, wrong) in [
            ("flag=true", vec!["number must be given"]),
            ("number=7&flag=1", vec!["flag must be true or false"]),
            ("number=7&flag=true&flag=true", vec!["flag must be given once"]),
            ("number=07&flag=true", vec![whole]),
            ("number=+7&flag=true", vec![whole]),
            ("number=9007199254740992&flag=true", vec![whole]),
            (
                "number=7&flag=true&x&x=1",
                vec!["x must not be sent: this request has no such parameter"],
            ),
            ("number=%ff&flag=true", vec!["number must be UTF-8"]),
            ("number=%ff&number=%fe&number=7", vec!["number must be UTF-8"]),
            ("flag=%ff", vec!["flag must be UTF-8", "number must be given"]),
        ] {
            assert_eq!(refused(query), wrong, "{query}");
        }
    }

    #[test]
    fn numbers_are_those_of_json() {
        for (text, expected) in [("0", 0.0), ("-1.5", -1.5), ("1e3", 1000.0), ("1E-2", 0.01)] {
            assert_eq!(number(text), Some(expected));
        }
        for text in ["", "nan", "inf", "-", "+1", "1.", ".5", " 1", "1 ", "0x1", "01", "1e999"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }
}
