//! Bodies: a JSON object of a few fields, each of them looked at.

use std::fmt;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use futures_util::StreamExt;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::error::{ApiError, FieldError};
use super::media_type::MediaType;

/// The longest body: many times what any of our requests needs.
const MAX_BODY_BYTES: usize = 4096;

/// A body that is too long is read to the end up to here before it is refused, so that a client
/// that sends first and reads then gets to see the answer.
const MAX_DISCARDED_BYTES: usize = 8 << 20;

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

    /// A required integer from 0 to 2^53-1, written as one: not as `"5"`, `5.0` or `1e2`.
    pub fn integer(&mut self, name: &str) -> Option<u64> {
        self.take(name, "must be an integer", Value::as_u64)
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
    /// [`ApiError::Invalid`] with each bad field.
    pub fn finish(mut self) -> Result<(), ApiError> {
        for (name, _) in std::mem::take(&mut self.fields) {
            self.refuse(&name, "must not be sent: this request has no such field");
        }
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::Invalid(self.errors)) }
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
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let body = read(request.into_body()).await?;
        if !is_json {
            return Err(ApiError::NotJson);
        }
        let object: Object = serde_json::from_slice(&body).map_err(|error| {
            let what = if error.is_data() { "is not a JSON object" } else { "is not JSON" };
            let (line, column) = (error.line(), error.column());
            ApiError::Malformed(format!("the body {what} (line {line}, column {column})"))
        })?;
        Ok(Self { fields: object.0, errors: Vec::new() })
    }
}

/// `application/json`, and `application/*+json`; a charset other than UTF-8 is not JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else { return false };
    let Some(sent) = value.to_str().ok().and_then(MediaType::parse) else { return false };
    let is_json = sent.essence.strip_prefix("application/").is_some_and(|subtype| {
        subtype == "json" || subtype.strip_suffix("+json").is_some_and(|kind| !kind.is_empty())
    });
    is_json && sent.parameter("charset").all(|charset| charset.eq_ignore_ascii_case("utf-8"))
}

async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    let mut stream: BodyDataStream = body.into_data_stream();
    let (mut bytes, mut discarded) = (Vec::new(), 0);
    while let Some(chunk) = stream.next().await {
        let chunk =
            chunk.map_err(|_| ApiError::Malformed("the body ended before its end".to_owned()))?;
        if discarded > 0 || bytes.len() + chunk.len() > MAX_BODY_BYTES {
            discarded += chunk.len();
        } else {
            bytes.extend_from_slice(&chunk);
        }
        if discarded > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if discarded > 0 { Err(ApiError::TooLarge(MAX_BODY_BYTES)) } else { Ok(bytes) }
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

    async fn fields(content_type: &str, body: &str) -> Result<Fields, ApiError> {
        let mut request = Request::new(Body::from(body.to_owned()));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        Fields::from_request(request, &()).await
    }

    #[tokio::test]
    async fn each_bad_field_is_named() {
        let body = r#"{"a":"5","b":5.0,"c":1,"c":2,"d":"x","e":null,"f":7}"#;
        let mut fields = fields("application/json", body).await.unwrap();
        for name in ["a", "b", "c", "e", "missing"] {
            assert_eq!(fields.integer(name), None, "{name}");
        }
        assert_eq!(fields.integer("f"), Some(7));
        assert_eq!(fields.text("d"), Some("x".to_owned()));
        let Err(ApiError::Invalid(errors)) = fields.finish() else { panic!("not refused") };
        let said: Vec<_> =
            errors.iter().map(|error| format!("{} {}", error.field, error.rule)).collect();
        assert_eq!(
            said,
            [
                "a must be an integer",
                "b must be an integer",
                "c must be given once",
                "e must be an integer",
                "missing must be given"
            ]
        );
    }

    #[tokio::test]
    async fn unknown_fields_are_refused() {
        let fields = fields("application/json; charset=UTF-8", r#"{"id":"9-9"}"#).await.unwrap();
        let Err(ApiError::Invalid(errors)) = fields.finish() else { panic!("not refused") };
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
            assert!(matches!(error, ApiError::Malformed(_)), "{body}: {error:?}");
        }
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(1 << 20));
        assert!(matches!(
            fields("application/json", &long).await,
            Err(ApiError::TooLarge(MAX_BODY_BYTES))
        ));
        for wrong in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=utf-16",
            "application/json;charset=\"iso-8859-1\"",
            "application/json; charset=utf-8; charset=utf-16",
            "application/json charset=utf-8",
            "application/+json",
            "application/jsonp",
            "text/json",
            "x",
        ] {
            assert!(matches!(fields(wrong, "{}").await, Err(ApiError::NotJson)), "{wrong}");
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
