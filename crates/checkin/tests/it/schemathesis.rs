//! The read API against its own document: schemathesis asks what the document allows and what it does
//! not, and looks whether the answers are those that it promises.

use std::path::Path;
use std::process::Command;

use testkit::{Program, Stream};

use crate::harness::{COOKIE, PATIENCE, Site, expect_plain, log_in};

/// Enough to reach each rule of each parameter, and done in some ten seconds.
const EXAMPLES: &str = "25";

/// A failure comes again with the seed that schemathesis names.
const CHECKS: [&str; 6] = [
    "--checks=all",
    // What the document cannot say is a 400 too: a cursor is of one list, an end is not before its
    // start.
    "--exclude-checks=positive_data_acceptance",
    "--phases=examples,coverage,fuzzing",
    "--suppress-health-check=all",
    "--max-examples",
    EXAMPLES,
];

#[tokio::test]
async fn answers_are_those_of_the_document() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let schemathesis = target.join("venv/bin/schemathesis");
    assert!(schemathesis.exists(), "{} is missing: run scripts/test", schemathesis.display());
    let site = Site::sqlite();
    let (_up, mut auth, api) = site.up_with_api(&[]);
    expect_plain(&log_in(&mut auth).await, 200, "OK");
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/schemathesis.toml");
    let mut command = Command::new(schemathesis);
    command
        .current_dir(site.directory.path())
        .env("CHECKIN_COOKIE", auth.jar().get(COOKIE).unwrap())
        .args(["--no-color", "--config-file"])
        .arg(settings)
        .args(["run", &format!("{api}/openapi.json")])
        .args(CHECKS);
    let mut run = Program::spawn(command);
    let status = run.wait(PATIENCE);
    let said = run.text(Stream::Stdout) + &run.text(Stream::Stderr);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("Tested: 19"), "{said}");
}
