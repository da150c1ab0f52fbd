//! The one reader of what comes from outside: bodies, queries, paths, headers, and records of files.
//!
//! The shape of an input is declared once, with [`record!`], [`body!`] or [`parameters!`]. The
//! declaration is the struct, reads it with all errors at once, and is what the API's document says
//! of it. The rule of a single value stands at its type, which implements [`Input`], and
//! [`Documented`] if the document shows it.

mod declare;
mod documented;
mod fields;
mod given;
mod values;

pub(crate) use declare::{body, parameters, record};
pub(crate) use documented::{Documented, in_order, member, object, parameter};
pub(crate) use fields::{At, BrokenRule, Fields, Record};
pub(crate) use given::{Given, HALF_A_CHARACTER, Input};
pub(crate) use values::{Integer, KnownEmail, PersonName, number};
