//! A check-in service.

pub mod domain;
pub mod import;
