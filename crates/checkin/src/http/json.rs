//! The extractor of JSON bodies.

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use futures_util::StreamExt;

use super::Problem;
use super::media_type::MediaType;
use super::waiting_bodies::WaitingBodies;
use crate::input::{Fields, FromFields, Members};

/// The maximum size of a body, many times what any request needs.
const MAX_BODY_BYTES: usize = 4096;

/// A body that is too long is read up to this size before it is refused, so that a client that
/// reads only after it has sent the whole body receives the response.
const MAX_DISCARDED_BYTES: usize = 8 << 20;

/// What some programs write before a text in UTF-8. RFC 8259 allows readers to ignore it, as Express does.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The rule for fields that the request does not have.
const UNKNOWN: &str = "must not be sent: this request has no such field";

/// The extractor of a declared body. All broken rules are reported at once.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<S: Sync, T: FromFields<Context = ()>> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let content_type = check_type(request.headers(), is_json, not_json);
        let body = read(request).await?;
        content_type?;
        let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&body);
        let Members(members) = serde_json::from_slice(text).map_err(|error| {
            let what = if error.is_data() { "is not a JSON object" } else { "is not JSON" };
            let (line, column) = (error.line(), error.column());
            malformed(format!("the body {what} (line {line}, column {column})"))
        })?;
        Fields::members(members).read(&(), UNKNOWN).map(Self).map_err(Problem::invalid)
    }
}

/// Accepts `application/json` and `application/*+json`.
fn is_json(essence: &str) -> bool {
    essence.strip_prefix("application/").is_some_and(|subtype| {
        subtype == "json" || subtype.strip_suffix("+json").is_some_and(|kind| !kind.is_empty())
    })
}

/// Accepts a body in UTF-8, not compressed, of one media type, which is `wanted`. Otherwise it is of the `other` kind.
pub(super) fn check_type(
    headers: &HeaderMap,
    wanted: impl FnOnce(&str) -> bool,
    other: fn() -> Problem,
) -> Result<(), Problem> {
    // `identity` means that it is not encoded.
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
    if !encodings.all(|encoding| encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(encoded());
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else { return Err(other()) };
    let sent = value.to_str().ok().and_then(MediaType::parse).ok_or_else(other)?;
    if !wanted(&sent.essence) {
        return Err(other());
    }
    let is_utf8 = sent.parameter("charset").all(|charset| charset.eq_ignore_ascii_case("utf-8"));
    if is_utf8 { Ok(()) } else { Err(not_utf8()) }
}

/// Reads a body within the limits of the process.
pub(super) async fn read(request: Request) -> Result<Vec<u8>, Problem> {
    let bodies = request.extensions().get::<WaitingBodies>().cloned();
    match bodies.as_ref().map(WaitingBodies::enter) {
        None => whole(request.into_body()).await,
        Some(waiting) => tokio::select! {
            body = whole(request.into_body()) => body,
            () = waiting.given_up() => Err(Problem::busy()),
        },
    }
}

async fn whole(body: Body) -> Result<Vec<u8>, Problem> {
    let mut stream: BodyDataStream = body.into_data_stream();
    let (mut bytes, mut discarded) = (Vec::new(), 0);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| malformed("the body is incomplete".to_owned()))?;
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

/// Returns 400: the body is not a JSON object.
fn malformed(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// Returns 413: the body is too long.
fn too_large() -> Problem {
    let detail = format!("the body must have at most {MAX_BODY_BYTES} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

/// Returns 415: the content type is not JSON.
fn not_json() -> Problem {
    let detail = "the body must be JSON, with one content type: application/json";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
}

/// Returns 415: the charset is not UTF-8.
fn not_utf8() -> Problem {
    let detail = "the charset of the body must be UTF-8";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
}

/// Returns 415: the body is compressed.
fn encoded() -> Problem {
    let detail = "the body must be sent without a Content-Encoding";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::StarRating;
    use crate::input::{DisplayName, Integer, body};

    body! {
        /// A body with fields of several types.
        struct Few {
            _a "a": Option<StarRating>;
            _b "b": Option<StarRating>;
            _c "c": Option<StarRating>;
            _d "d": Option<DisplayName>;
            _e "e": Option<Integer<0, 7>>;
            missing "missing": StarRating;
        }
    }

    async fn few(content_type: &str, body: &str) -> Result<Few, Problem> {
        few_encoded(content_type, None, body).await
    }

    async fn few_encoded(
        content_type: &str,
        encoding: Option<&'static str>,
        body: &str,
    ) -> Result<Few, Problem> {
        let mut request = Request::new(Body::from(body.to_owned()));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        let encoding =
            encoding.map(|encoding| (CONTENT_ENCODING, HeaderValue::from_static(encoding)));
        request.headers_mut().extend(encoding);
        JsonBody::from_request(request, &()).await.map(|JsonBody(few)| few)
    }

    #[tokio::test]
    async fn all_wrong_fields_are_named() {
        let body = r#"{"a":"5","b":5.0,"c":1,"c":2,"d":7,"e":8,"f":7}"#;
        let problem = few("application/json", body).await.err().unwrap();
        let named = problem.errors().iter();
        let said: Vec<_> = named.map(|error| format!("{} {}", error.field, error.rule)).collect();
        assert_eq!(
            said,
            [
                "a must be an integer",
                "b must be an integer from 0 to 5",
                "c must be given once",
                "d must be a text",
                "e must be an integer from 0 to 7",
                "missing must be given",
                "f must not be sent: this request has no such field"
            ]
        );
        let right = few("application/json; charset=UTF-8", r#"{"missing":5,"a":null}"#).await;
        assert_eq!(right.ok().map(|few| few.missing.get()), Some(5));
    }

    #[tokio::test]
    async fn a_value_that_cannot_be_read_is_named_by_its_field() {
        let deep = "[".repeat(1000) + &"]".repeat(1000);
        for (name, value, rule) in [
            ("d", r#""\ud83d""#, "must not contain half a character, such as \\ud83d alone"),
            ("d", &deep, "must be a text"),
            ("a", &deep, "must be an integer"),
            ("a", "1e400", "must be an integer from 0 to 5"),
            ("x", "-1e400", "must not be sent: this request has no such field"),
        ] {
            let body = format!(r#"{{"missing":1,"{name}":{value}}}"#);
            let problem = few("application/json", &body).await.err().unwrap();
            let [error] = problem.errors() else { panic!("{body}") };
            assert_eq!((error.field.as_str(), error.rule.as_str()), (name, rule));
        }
    }

    #[tokio::test]
    async fn a_body_must_be_one_json_object_of_limited_size() {
        for body in ["", "null", "[]", "\"x\"", "{", "{}x", r#"{"a":NaN}"#, r#"{"\ud83d":1}"#] {
            let problem = few("application/json", body).await.err().unwrap();
            assert_eq!((problem.status.as_u16(), problem.errors().len()), (400, 0), "{body}");
        }
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(1 << 20));
        assert_eq!(few("application/json", &long).await.err().unwrap().status, 413);
        for wrong in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json charset=utf-8",
            "application/+json",
            "application/jsonp",
            "text/json",
            "x",
            "application/json; charset=utf-16",
            "application/json;charset=\"iso-8859-1\"",
            "application/json; charset=utf-8; charset=utf-16",
        ] {
            assert_eq!(few(wrong, "{}").await.err().unwrap().status, 415, "{wrong}");
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
            assert!(few(right, r#"{"missing":1}"#).await.is_ok(), "{right}");
        }
        let encoded = async |encoding| {
            let few = few_encoded("application/json", Some(encoding), r#"{"missing":1}"#).await;
            few.map(|few| few.missing.get()).map_err(|problem| problem.status.as_u16())
        };
        assert_eq!((encoded("identity").await, encoded("Identity").await), (Ok(1), Ok(1)));
        for wrong in ["gzip", "identity, gzip", ""] {
            assert_eq!(encoded(wrong).await, Err(415), "{wrong}");
        }
        let marked = few("application/json", "\u{feff}{\"missing\":1}").await;
        assert_eq!(marked.ok().map(|few| few.missing.get()), Some(1));
    }
}
