//! What the API's document says of an input.

use serde_json::Value;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema};

use super::fields::At;
use super::given::Input;

/// A value that the document describes.
pub(crate) trait Documented: Input {
    /// Its schema: no more than its rule allows.
    fn schema() -> ObjectBuilder;
}

impl<T: Documented> Documented for Option<T> {
    fn schema() -> ObjectBuilder {
        T::schema()
    }
}

/// The schema of a JSON object without any members yet.
pub(crate) fn object(about: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .description(said(about))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}

/// Adds a member to the schema of an object.
#[expect(deprecated, reason = "not every tool reads `examples` yet")]
pub(crate) fn member<T: Documented>(
    object: ObjectBuilder,
    name: &str,
    about: &str,
    example: Option<Value>,
) -> ObjectBuilder {
    let object = object.property(name, T::schema().description(said(about)).example(example));
    if is_required::<T>() { object.required(name) } else { object }
}

/// A parameter of a request.
pub(crate) fn parameter<T: Documented>(
    at: At,
    name: &str,
    about: &str,
    example: Option<Value>,
) -> Parameter {
    let place = match at {
        At::Path => ParameterIn::Path,
        At::Header => ParameterIn::Header,
        At::Query | At::Member => ParameterIn::Query,
    };
    let required = if is_required::<T>() { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(said(about))
        .schema(Some(T::schema()))
        .example(example)
        .build()
}

/// Parameters in the order in which people look for them: by where they stand, those of parts last.
pub(crate) fn in_order(
    mut own: Vec<(At, Parameter)>,
    parts: Vec<Vec<Parameter>>,
) -> Vec<Parameter> {
    own.sort_by_key(|(at, _)| *at);
    own.into_iter().map(|(_, parameter)| parameter).chain(parts.into_iter().flatten()).collect()
}

fn is_required<T: Input>() -> bool {
    T::absent().is_none()
}

/// A comment of the source as a text: without the blank that each line begins with.
fn said(comment: &str) -> Option<String> {
    let lines: Vec<&str> = comment.lines().map(str::trim).collect();
    Some(lines.join("\n").trim().to_owned()).filter(|text| !text.is_empty())
}
