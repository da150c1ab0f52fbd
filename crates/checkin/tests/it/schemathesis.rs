//! Every route against the API's own document: schemathesis asks what the document allows and what it does
//! not, and looks whether the answers are those that it promises.

use std::path::Path;
use std::process::Command;

use testkit::{Program, Stream};

use crate::harness::{COOKIE, PATIENCE, Site};

/// Enough to reach each rule of each parameter, and done in some ten seconds.
const EXAMPLES: &str = "25";

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
    let console = site.console(&["--checkin-rate", "0", "--min-password-length", "15"]);
    let al = console.logged_in().await;
    let document = format!("http://127.0.0.1:{}/openapi.json", console.port());
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/schemathesis.toml");
    let mut command = Command::new(schemathesis);
    command
        .current_dir(site.directory.path())
        .env("CHECKIN_COOKIE", al.jar().get(COOKIE).unwrap())
        .args(["--no-color", "--config-file"])
        .arg(settings)
        .args(["run", &document])
        .args(CHECKS)
        .args(["--seed", &testkit::seed().to_string()]);
    let mut run = Program::spawn(command);
    let status = run.wait(PATIENCE);
    let said = run.text(Stream::Stdout) + &run.text(Stream::Stderr);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("Tested: 29"), "{said}");
}
