//! A check-in service.

pub mod demo;
pub mod domain;
pub mod import;
