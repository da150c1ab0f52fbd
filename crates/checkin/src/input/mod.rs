//! Reads untrusted input: bodies, queries, paths, headers, and records of files.
//!
//! The shape of an input is declared once, with [`record!`], [`body!`] or [`parameters!`]. The
//! declaration makes the struct, reads it and gathers all errors, and describes it in the API's
//! document. The rule of a single value is in its type, which implements [`Input`], and also
//! [`Documented`] if the document describes it.

mod declare;
mod documented;
mod fields;
mod given;
mod members;
mod values;

pub(crate) use declare::{body, parameters, record};
pub(crate) use documented::{Documented, in_order, member, object, parameter};
pub(crate) use fields::{At, BrokenRule, Fields, FromFields};
pub(crate) use given::{Given, HALF_A_CHARACTER, Input};
pub(crate) use members::Members;
pub(crate) use values::{DisplayName, Integer, KnownEmail, number};
