//! Real deployments that are broken while clients use them, and the comparison of what the clients were
//! answered with what the store has.

pub(crate) mod deployment;
pub(crate) mod faults;
pub(crate) mod history;
pub(crate) mod run;
