//! The extractors of forms: in bodies, and in queries.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::Problem;
use super::json::{check_type, read};
use super::parameters::{decoded_pairs, has_too_many};

/// The media type of forms.
const FORM: &str = "application/x-www-form-urlencoded";

/// The fields of a form by their names, without those that were left empty.
#[derive(Debug)]
pub struct FormBody(pub BTreeMap<String, String>);

/// The fields of a form that is sent as a query, in the same way.
#[derive(Debug)]
pub struct FormQuery(pub BTreeMap<String, String>);

impl<S: Sync> FromRequestParts<S> for FormQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        fields(parts.uri.query().unwrap_or_default()).map(Self).ok_or_else(malformed)
    }
}

impl<S: Sync> FromRequest<S> for FormBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let kind = check_type(request.headers(), |kind| kind == FORM, no_form);
        let body = read(request).await?;
        kind?;
        str::from_utf8(&body).ok().and_then(fields).map(Self).ok_or_else(malformed)
    }
}

/// Returns the fields; `None` if they are not text, or if a name repeats.
fn fields(text: &str) -> Option<BTreeMap<String, String>> {
    let mut fields = BTreeMap::new();
    for (name, value) in decoded_pairs(Some(text).filter(|text| !has_too_many(text))?) {
        let (name, value) = (name?, value?);
        if !value.is_empty() && fields.insert(name, value).is_some() {
            return None;
        }
    }
    Some(fields)
}

/// Returns 415: the content type is not that of a form.
fn no_form() -> Problem {
    let detail =
        "the body must be a form, with one content type: application/x-www-form-urlencoded";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
}

/// Returns 400: the form cannot be read.
fn malformed() -> Problem {
    let detail = "the form must be UTF-8, with each field once";
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};

    use super::*;

    async fn given(kind: &str, body: &str) -> Result<Vec<(String, String)>, u16> {
        let request = Request::builder().header(CONTENT_TYPE, kind);
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let FormBody(fields) = FormBody::from_request(request, &())
            .await
            .map_err(|problem| problem.status.as_u16())?;
        Ok(fields.into_iter().collect())
    }

    #[tokio::test]
    async fn fields_of_forms_are_read() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let read = given(FORM, "email=a%40b.example&password=a+b%2B&code=").await;
        assert_eq!(read, Ok(vec![field("email", "a@b.example"), field("password", "a b+")]));
        assert_eq!(given(&format!("{FORM};charset=UTF-8"), "").await, Ok(vec![]));
        for other in ["application/json", "", &format!("{FORM};charset=iso-8859-1")] {
            assert_eq!(given(other, "a=b").await, Err(415), "{other}");
        }
        let request = Request::builder().header(CONTENT_TYPE, FORM);
        let request = request.header(CONTENT_ENCODING, "gzip").body(Body::empty()).unwrap();
        let refused = FormBody::from_request(request, &()).await.err().unwrap();
        assert_eq!(refused.status.as_u16(), 415);
        for body in ["a=%ff", "%ff=a", "a=1&a=2", &"a&".repeat(100)] {
            assert_eq!(given(FORM, body).await, Err(400), "{body}");
        }
        assert_eq!(given(FORM, &format!("a={}", "x".repeat(5000))).await, Err(413));
    }
}
