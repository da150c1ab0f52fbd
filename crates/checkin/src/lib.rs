//! A check-in service.

pub mod domain;
