//! Bodies: a JSON object of a few fields, each of them looked at.

use std::fmt;
use std::str::FromStr;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Number, Value};

use super::media_type::MediaType;
use super::{FieldError, Problem};

/// The longest body: many times what any of our requests needs.
const MAX_BODY_BYTES: usize = 4096;

/// A body that is too long is read to the end up to here before it is refused, so that a client
/// that sends first and reads then gets to see the answer.
const MAX_DISCARDED_BYTES: usize = 8 << 20;

/// 2^63: floats from here on are integers.
const LARGE: f64 = 9_223_372_036_854_775_808.0;

/// The fields of a body, to be taken one by one. What is wrong is gathered, and
/// [`finish`](Self::finish) answers all of it at once.
#[derive(Debug)]
pub struct Fields {
    fields: Vec<(String, Value)>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// A required text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.take(name, "must be a text", |value| value.as_str().map(str::to_owned))
    }

    /// A required integer that the type takes, written as one: not as `"5"`, `5.0` or `1e2`.
    pub fn integer<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.take(name, "must be an integer", |value| value.as_number().map(spelled));
        self.parse(name, text, |text| text.parse())
    }

    /// Turns a value that was taken into a type that cannot be wrong.
    pub fn parse<T, V, E: fmt::Display>(
        &mut self,
        name: &str,
        value: Option<V>,
        parse: impl FnOnce(V) -> Result<T, E>,
    ) -> Option<T> {
        parse(value?).map_err(|rule| self.refuse(name, rule.to_string())).ok()
    }

    /// Notes that a field breaks a rule.
    pub fn refuse(&mut self, name: &str, rule: impl Into<String>) {
        self.errors.push(FieldError::new(name, rule));
    }

    /// Refuses what is left and what was noted.
    ///
    /// # Errors
    ///
    /// A problem that names each bad field.
    pub fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.fields) {
            self.refuse(&name, "must not be sent: this request has no such field");
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid(self.errors)) }
    }

    fn take<T>(
        &mut self,
        name: &str,
        rule: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let Some(at) = self.fields.iter().position(|(field, _)| field == name) else {
            self.refuse(name, "must be given");
            return None;
        };
        let (_, value) = self.fields.swap_remove(at);
        if self.fields.iter().any(|(field, _)| field == name) {
            self.fields.retain(|(field, _)| field != name);
            self.refuse(name, "must be given once");
            return None;
        }
        let read = read(&value);
        if read.is_none() {
            self.refuse(name, rule);
        }
        read
    }
}

impl<S: Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let content_type = check_type(request.headers());
        let body = read(request.into_body()).await?;
        content_type?;
        let object: Object = serde_json::from_slice(&body).map_err(|error| {
            let what = if error.is_data() { "is not a JSON object" } else { "is not JSON" };
            let (line, column) = (error.line(), error.column());
            malformed(format!("the body {what} (line {line}, column {column})"))
        })?;
        Ok(Self { fields: object.0, errors: Vec::new() })
    }
}

/// An integer of any size in its digits; other numbers in some way that is no integer's.
fn spelled(number: &Number) -> String {
    match number.as_f64() {
        // What does not fit into 64 bits is read as one of these.
        Some(large) if number.is_f64() && large.abs() >= LARGE => format!("{large:.0}"),
        _ => number.to_string(),
    }
}

/// `application/json`, and `application/*+json`, in UTF-8.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else { return Err(not_json()) };
    let sent = value.to_str().ok().and_then(MediaType::parse).ok_or_else(not_json)?;
    let is_json = sent.essence.strip_prefix("application/").is_some_and(|subtype| {
        subtype == "json" || subtype.strip_suffix("+json").is_some_and(|kind| !kind.is_empty())
    });
    if !is_json {
        return Err(not_json());
    }
    let is_utf8 = sent.parameter("charset").all(|charset| charset.eq_ignore_ascii_case("utf-8"));
    if is_utf8 { Ok(()) } else { Err(not_utf8()) }
}

async fn read(body: Body) -> Result<Vec<u8>, Problem> {
    let mut stream: BodyDataStream = body.into_data_stream();
    let (mut bytes, mut discarded) = (Vec::new(), 0);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| malformed("the body ended before its end".to_owned()))?;
        if discarded > 0 || bytes.len() + chunk.len() > MAX_BODY_BYTES {
            discarded += chunk.len();
        } else {
            bytes.extend_from_slice(&chunk);
        }
        if discarded > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if discarded > 0 { Err(too_large()) } else { Ok(bytes) }
}

/// 400: the body is not a JSON object.
fn malformed(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// 413.
fn too_large() -> Problem {
    let detail = format!("the body must have at most {MAX_BODY_BYTES} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

/// 415: the body does not say that it is JSON.
fn not_json() -> Problem {
    let detail = "the body must be JSON, with one content type: application/json";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
}

/// 415: the body is in another charset than UTF-8.
fn not_utf8() -> Problem {
    let detail = "the charset of the body must be UTF-8";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
}

/// A JSON object with its members in order, twins included.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Object, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Object(members))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Small(u8);

    impl FromStr for Small {
        type Err = &'static str;

        fn from_str(text: &str) -> Result<Self, &'static str> {
            text.parse().map(Self).map_err(|_| "must be small")
        }
    }

    #[test]
    fn integers_of_any_size_are_spelled_as_such() {
        for (json, expected) in [
            ("7", "7"),
            ("-1", "-1"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "18446744073709551616"),
            ("-18446744073709551616", "-18446744073709551616"),
            ("1.0", "1.0"),
            ("-0.0", "-0.0"),
            ("1.5", "1.5"),
        ] {
            let number: Number = serde_json::from_str(json).unwrap();
            assert_eq!(spelled(&number), expected);
        }
    }

    async fn fields(content_type: &str, body: &str) -> Result<Fields, Problem> {
        let mut request = Request::new(Body::from(body.to_owned()));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        Fields::from_request(request, &()).await
    }

    #[tokio::test]
    async fn each_bad_field_is_named() {
        let body = r#"{"a":"5","b":5.0,"c":1,"c":2,"d":"x","e":null,"f":7}"#;
        let mut fields = fields("application/json", body).await.unwrap();
        for name in ["a", "b", "c", "e", "missing"] {
            assert_eq!(fields.integer::<Small>(name), None, "{name}");
        }
        assert_eq!(fields.integer("f"), Some(Small(7)));
        assert_eq!(fields.text("d"), Some("x".to_owned()));
        let errors = fields.finish().unwrap_err().errors;
        let said: Vec<_> =
            errors.iter().map(|error| format!("{} {}", error.field, error.rule)).collect();
        assert_eq!(
            said,
            [
                "a must be an integer",
                "b must be small",
                "c must be given once",
                "e must be an integer",
                "missing must be given"
            ]
        );
    }

    #[tokio::test]
    async fn unknown_fields_are_refused() {
        let fields = fields("application/json; charset=UTF-8", r#"{"id":"9-9"}"#).await.unwrap();
        let errors = fields.finish().unwrap_err().errors;
        assert_eq!(
            errors,
            [FieldError::new("id", "must not be sent: this request has no such field")]
        );
    }

    #[tokio::test]
    async fn a_body_is_one_json_object_of_moderate_size() {
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(1000), "]".repeat(1000));
        for body in ["", "null", "[]", "\"x\"", "{", "{}x", r#"{"a":1e400}"#, r#"{"a":NaN}"#, &deep]
        {
            let error = fields("application/json", body).await.unwrap_err();
            assert_eq!(error.status, 400, "{body}: {error:?}");
        }
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(1 << 20));
        assert_eq!(fields("application/json", &long).await.unwrap_err().status, 413);
        for wrong in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json charset=utf-8",
            "application/+json",
            "application/jsonp",
            "text/json",
            "x",
        ] {
            assert_eq!(fields(wrong, "{}").await.unwrap_err().status, 415, "{wrong}");
        }
        for wrong in [
            "application/json; charset=utf-16",
            "application/json;charset=\"iso-8859-1\"",
            "application/json; charset=utf-8; charset=utf-16",
        ] {
            assert_eq!(fields(wrong, "{}").await.unwrap_err().status, 415, "{wrong}");
        }
        for right in [
            "application/json ; charset=utf-8",
            "APPLICATION/JSON",
            "application/json\t;\tCharset=\"UTF-8\"",
            "application/json;",
            "application/json;; charset=UTF-8 ;",
            "application/json; profile=\"a; charset=utf-16\"",
            "application/problem+json",
        ] {
            assert!(fields(right, "{}").await.is_ok(), "{right}");
        }
    }
}
