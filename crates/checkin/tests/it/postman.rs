//! The Postman collection, run by newman against a running system.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use testkit::{Program, Stream};

use crate::harness::Site;

/// Newman needs a second or two; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(300);

fn every_request_is_answered_as_the_collection_says(site: &Site) {
    let (_up, urls) = site.up_everywhere(&["--checkin-rate", "0"]);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../postman");
    let newman = directory.join("node_modules/.bin/newman");
    assert!(newman.exists(), "newman is missing: run scripts/test, or npm ci in postman/");
    let mut run = Command::new(newman);
    run.current_dir(directory).args(["run", "checkin.postman_collection.json", "--color", "off"]);
    for (service, url) in urls {
        run.arg("--env-var").arg(format!("{service}={url}"));
    }
    let mut run = Program::spawn(run);
    let status = run.wait(PATIENCE);
    assert!(status.success(), "{}", run.text(Stream::Stdout));
}

#[tokio::test]
async fn every_request_on_redis() {
    every_request_is_answered_as_the_collection_says(&Site::redis());
}

#[tokio::test]
async fn every_request_on_sqlite() {
    every_request_is_answered_as_the_collection_says(&Site::sqlite());
}
