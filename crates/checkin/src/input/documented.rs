//! Describes inputs in the API's document.

use serde_json::Value;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema};

use super::fields::At;
use super::given::Input;

/// A value that the document describes.
pub(crate) trait Documented: Input {
    /// Returns the schema of the values that the rule allows.
    fn schema() -> ObjectBuilder;
}

impl<T: Documented> Documented for Option<T> {
    fn schema() -> ObjectBuilder {
        T::schema()
    }
}

/// Returns the schema of a JSON object that has no members yet.
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

/// Returns the description of a parameter.
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

/// Sorts parameters: those of the path first, then the query and the headers, then those of nested
/// records.
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

/// Returns the text of a doc comment, without the blank at the start of each line.
fn said(comment: &str) -> Option<String> {
    let lines: Vec<&str> = comment.lines().map(str::trim).collect();
    Some(lines.join("\n").trim().to_owned()).filter(|text| !text.is_empty())
}
