//! A check-in service.
