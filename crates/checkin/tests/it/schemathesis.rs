//! Every route against the API's own document: schemathesis asks what the document allows and what it does
//! not, and looks whether the answers are those that it promises.

use std::path::Path;
use std::process::Command;

use testkit::{Program, Stream};

use crate::harness::{COOKIE, PATIENCE, Site};

/// Enough to reach each rule of each parameter, and done in some ten seconds.
const EXAMPLES: &str = "15";

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
    let settings = ["--checkin-rate=0", "--min-password-length=15", "--failed-login-time=0"];
    let console = site.console(&settings);
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
    // All that the settings do not leave out.
    let number = |what: &str| -> u32 {
        let digits = said.split(what).nth(1).unwrap().chars().take_while(char::is_ascii_digit);
        digits.collect::<String>().parse().unwrap()
    };
    let (selected, tested) = (number("  Selected: "), number("  Tested: "));
    assert!(tested == selected && tested > 30, "{said}");
}
