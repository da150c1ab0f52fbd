//! Real deployments that are broken while clients use them, and the comparison of what the clients were
//! answered with what the store has.

mod books;
pub(crate) mod clocks;
mod deletions;
pub(crate) mod deployment;
pub(crate) mod faults;
pub(crate) mod history;
mod leavers;
mod network;
pub(crate) mod processes;
pub(crate) mod rows;
pub(crate) mod run;
mod sqlite_books;
mod verdict;
mod volume;
