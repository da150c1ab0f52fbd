//! What the programs of this folder share: they start the check-in services and their peers, send
//! them requests, and measure what a request costs. See the README.

pub mod callgrind;
pub mod chart;
pub mod embedded;
pub mod footprint;
pub mod http;
pub mod load;
pub mod measure;
pub mod paths;
pub mod processor;
pub mod programs;
pub mod redis_server;
pub mod report;
pub mod server;
pub mod stacks;
pub mod streams;
pub mod summary;
pub mod workload;
