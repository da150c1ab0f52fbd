//! Extractors of declared parameters: in the path, the query and the headers.

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;

use super::Problem;
use crate::input::{At, BrokenRule, Fields, FromFields, Given};

/// The rule for parameters that the request does not have.
const UNKNOWN: &str = "must not be sent: this request has no such parameter";

/// The maximum number of parameters in a query, far above that of any route. To decode and to name all
/// that fit into an address would take a hundred times as long as another request.
const MAX_PARAMETERS: usize = 100;

/// The extractor of the declared parameters of a request. All broken rules are reported at once; a
/// parameter of the query that is not declared also breaks a rule.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

/// The extractor of the declared parameters of a path. The query is not read.
#[derive(Debug)]
pub struct PathParameters<T>(pub T);

/// The extractor of the declared headers of a request. Other headers are ignored.
#[derive(Debug)]
pub struct Headers<T>(pub T);

/// The address of a request.
#[derive(Debug)]
pub struct RequestAddress {
    /// The path as it was sent.
    pub path: String,
    /// The parameters of the query, decoded and in order.
    pub query: Vec<(String, String)>,
}

impl<S: Send + Sync, T: FromFields<Context = RequestAddress>> FromRequestParts<S>
    for Parameters<T>
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = RawPathParams::from_request_parts(parts, state).await;
        let mut fields = Fields::default();
        let query = parts.uri.query().unwrap_or_default();
        if has_too_many(query) {
            return Err(Problem::invalid(vec![BrokenRule {
                field: String::new(),
                rule: format!("must have at most {MAX_PARAMETERS} parameters in the query"),
            }]));
        }
        let pairs = decoded_pairs(query);
        add_query(&mut fields, &pairs);
        add_path(&mut fields, &path);
        let readable = pairs.iter().filter_map(|(name, value)| name.clone().zip(value.clone()));
        let address =
            RequestAddress { path: parts.uri.path().to_owned(), query: readable.collect() };
        fields.read(&address, UNKNOWN).map(Self).map_err(Problem::invalid)
    }
}

impl<S: Send + Sync, T: FromFields<Context = ()>> FromRequestParts<S> for PathParameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = RawPathParams::from_request_parts(parts, state).await;
        let mut fields = Fields::default();
        add_path(&mut fields, &path);
        fields.read(&(), UNKNOWN).map(Self).map_err(Problem::invalid)
    }
}

impl<S: Send + Sync, T: FromFields<Context = ()>> FromRequestParts<S> for Headers<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let mut fields = Fields::default();
        for (name, value) in &parts.headers {
            let value = value.to_str().map_or(Given::NoText, Given::bare);
            fields.add(At::Header, name.as_str(), value);
        }
        fields.read(&(), UNKNOWN).map(Self).map_err(Problem::invalid)
    }
}

fn add_path<'a>(fields: &mut Fields<'a>, path: &'a Result<RawPathParams, RawPathParamsRejection>) {
    match path {
        Ok(path) => {
            path.iter().for_each(|(name, text)| fields.add(At::Path, name, Given::bare(text)));
        }
        Err(RawPathParamsRejection::InvalidUtf8InPathParam(which)) => {
            // The error text of axum for invalid UTF-8 is "Invalid UTF-8 in `id`".
            let text = which.body_text();
            let name = text.split('`').nth(1).unwrap_or_default().to_owned();
            fields.add(At::Path, name, Given::NoText);
        }
        // The route has no parameters.
        Err(_) => {}
    }
}

/// The names and values of a query; `None` for one that is not UTF-8.
pub(super) type Pairs = Vec<(Option<String>, Option<String>)>;

pub(super) fn has_too_many(query: &str) -> bool {
    query.bytes().filter(|byte| *byte == b'&').count() >= MAX_PARAMETERS
}

pub(super) fn decoded_pairs(query: &str) -> Pairs {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

fn add_query<'a>(fields: &mut Fields<'a>, pairs: &'a Pairs) {
    for (name, value) in pairs {
        match (name, value) {
            (Some(name), Some(value)) => fields.add(At::Query, name, Given::bare(value)),
            (Some(name), None) => fields.add(At::Query, name, Given::NoText),
            (None, _) if fields.is_refused("") => {}
            (None, _) => fields.refuse("", "must be UTF-8"),
        }
    }
}

/// Decodes a name or a value of a query, in the encoding of forms.
fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    Some(percent_decode_str(&text).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Integer, parameters};

    parameters! {
        struct Few(()) {
            _flag "flag" in Query: Option<bool>;
            _number "number" in Query: Integer<0, 9_007_199_254_740_991>;
        }
    }

    fn refused(query: &str) -> Vec<String> {
        let pairs = decoded_pairs(query);
        let mut fields = Fields::default();
        add_query(&mut fields, &pairs);
        let broken = fields.read::<Few>(&(), UNKNOWN).err().unwrap_or_default();
        broken.into_iter().map(|broken| format!("{} {}", broken.field, broken.rule)).collect()
    }

    #[test]
    fn a_query_has_a_limited_number_of_parameters() {
        assert!(!has_too_many(&"x&".repeat(MAX_PARAMETERS - 1)));
        assert!(has_too_many(&"x&".repeat(MAX_PARAMETERS)));
    }

    #[test]
    fn all_wrong_parameters_are_named() {
        assert_eq!(refused("flag=true&number=7"), [""; 0]);
        assert_eq!(refused("number=%37&fl%61g=true&&"), [""; 0]);
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
            ("number=%ff&number=%fe&number=7", vec!["number must be given once"]),
            ("flag=%ff", vec!["flag must be UTF-8", "number must be given"]),
            ("%ff=1&%fe=2&number=7", vec![" must be UTF-8"]),
        ] {
            assert_eq!(refused(query), wrong, "{query}");
        }
    }
}
