//! The command `checkin doctor`.

use std::io;
use std::process::ExitCode;

use anstyle::AnsiColor;
use clap::Args;
use serde_json::json;

use super::mail_options::{MailOptions, mail_findings};
use super::output::{self, paint};
use super::progress::Working;
use super::say;
use super::table::clean;
use crate::app;
use crate::config::Common;
use crate::storage::{Finding, Severity};

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin doctor
  checkin doctor --verify                    also counts every check-in again
  checkin doctor --config checkin.toml       also tries the mail server of the file
  checkin doctor --json";

#[derive(Args, Debug)]
pub(super) struct Options {
    /// Also counts all check-ins again and compares the result with the figures of users and
    /// locations
    #[arg(long)]
    verify: bool,

    /// Prints one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    mail: MailOptions,
}

/// Prints what is wrong and how to repair it. Returns a failure if something must be repaired.
pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    let working = options.verify.then(|| Working::on("counting every check-in"));
    let mut findings = app::diagnose(config, options.verify).await;
    drop(working);
    findings.extend(mail_findings(options.mail).await);
    for finding in &findings {
        match options.json {
            true => say(output::json(&as_json(finding))?)?,
            false => say_finding(finding)?,
        }
    }
    let worst = findings.iter().map(|finding| finding.severity).max();
    Ok(if worst == Some(Severity::Problem) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn say_finding(finding: &Finding) -> io::Result<()> {
    let (mark, color) = match finding.severity {
        Severity::Fine => ("ok     ", AnsiColor::Green),
        Severity::Warning => ("warning", AnsiColor::Yellow),
        Severity::Problem => ("PROBLEM", AnsiColor::Red),
    };
    say(format_args!("{}  {}", paint(color.on_default(), mark), clean(&finding.what)))?;
    match finding.advice.as_str() {
        "" => Ok(()),
        advice => say(format_args!("         → {}", clean(advice))),
    }
}

fn as_json(finding: &Finding) -> serde_json::Value {
    let severity = match finding.severity {
        Severity::Fine => "ok",
        Severity::Warning => "warning",
        Severity::Problem => "problem",
    };
    json!({"severity": severity, "what": finding.what, "advice": finding.advice})
}
