//! `checkin doctor`

use std::process::ExitCode;

use super::say;
use crate::app::App;
use crate::config::Common;
use crate::http::chain;
use crate::storage::{Finding, Severity};

/// A session secret shorter than this could be guessed.
const MIN_SECRET_BYTES: usize = 32;

/// Says what is wrong and how to mend it; fails when something must be mended.
pub(super) async fn run(config: &Common) -> anyhow::Result<ExitCode> {
    let mut findings = secret_findings(config);
    findings.insert(0, fine(format!("the store is {}", config.store)));
    match App::open(config).await {
        Ok(app) => match app.health.diagnose().await {
            Ok(diagnosis) => findings.extend(diagnosis),
            Err(error) => findings.push(problem(
                format!("the store does not answer: {}", chain(&error)),
                "start it, or name another one with --store",
            )),
        },
        Err(error) => findings
            .push(problem(chain(error.as_ref()), "mend what it says and run the doctor again")),
    }
    for finding in &findings {
        let mark = match finding.severity {
            Severity::Fine => "ok     ",
            Severity::Warning => "warning",
            Severity::Problem => "PROBLEM",
        };
        say(format_args!("{mark}  {}", finding.what))?;
        if !finding.mend.is_empty() {
            say(format_args!("         → {}", finding.mend))?;
        }
    }
    let worst = findings.iter().map(|finding| finding.severity).max();
    Ok(if worst == Some(Severity::Problem) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn secret_findings(config: &Common) -> Vec<Finding> {
    let Some(secret) = &config.session_secret else { return Vec::new() };
    if secret.as_slice().iter().all(|secret| secret.len() >= MIN_SECRET_BYTES) {
        return vec![fine("the session secrets are long enough".to_owned())];
    }
    vec![Finding {
        severity: Severity::Warning,
        what: format!("a session secret is shorter than {MIN_SECRET_BYTES} bytes"),
        mend: "make one with `openssl rand -base64 32`, put it first, and keep the old one behind it until all \
               sessions that it signed are over"
            .to_owned(),
    }]
}

fn fine(what: String) -> Finding {
    Finding { severity: Severity::Fine, what, mend: String::new() }
}

fn problem(what: String, mend: &str) -> Finding {
    Finding { severity: Severity::Problem, what, mend: mend.to_owned() }
}
