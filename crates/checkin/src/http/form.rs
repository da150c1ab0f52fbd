//! The extractors of forms: in bodies, and in queries.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};

use super::Problem;
use super::json::read;
use super::media_type::MediaType;
use super::parameters::{decoded_pairs, has_too_many};

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
        let value = request.headers().get(CONTENT_TYPE).map(HeaderValue::to_str);
        let kind = value.and_then(Result::ok).and_then(MediaType::parse);
        let is_form = kind.is_some_and(|kind| kind.essence == "application/x-www-form-urlencoded");
        let body = read(request).await?;
        if !is_form {
            let detail = "the body must be a form: application/x-www-form-urlencoded";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
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

/// Returns 400: the form cannot be read.
fn malformed() -> Problem {
    let detail = "the form must be UTF-8, with each field once";
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

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
        const FORM: &str = "application/x-www-form-urlencoded";
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let read = given(FORM, "email=a%40b.example&password=a+b%2B&code=").await;
        assert_eq!(read, Ok(vec![field("email", "a@b.example"), field("password", "a b+")]));
        assert_eq!(given(&format!("{FORM};charset=UTF-8"), "").await, Ok(vec![]));
        assert_eq!(given("application/json", "{}").await, Err(415));
        for body in ["a=%ff", "%ff=a", "a=1&a=2", &"a&".repeat(100)] {
            assert_eq!(given(FORM, body).await, Err(400), "{body}");
        }
        assert_eq!(given(FORM, &format!("a={}", "x".repeat(5000))).await, Err(413));
    }
}
