//! The command `checkin doctor`.

use std::io;
use std::process::ExitCode;

use anstyle::AnsiColor;
use clap::Args;
use serde_json::json;

use super::output::paint;
use super::progress::Working;
use super::say;
use crate::app::{self, Examination};
use crate::config::{Common, Lifetimes};
use crate::domain::PasswordScheme;
use crate::session_secret;
use crate::storage::{AuditReport, Audited, Difference, Fault, Finding, Severity, Status, Storage};
use crate::telemetry::chain;

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin doctor
  checkin doctor --verify                    also counts every check-in again
  checkin doctor --json";

/// The number of accounts that are read at once.
const PAGE: usize = 500;

/// The maximum number of accounts that a finding names.
const MAX_NAMED: usize = 10;

#[derive(Args, Debug)]
pub(super) struct Options {
    /// Also counts all check-ins again and compares the result with the figures of users and
    /// locations
    #[arg(long)]
    verify: bool,

    /// Prints one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Prints what is wrong and how to repair it. Returns a failure if something must be repaired.
pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    let mut findings = secret_findings(config);
    findings.push(lifetime_finding(&config.lifetimes.lifetimes()));
    findings.insert(0, Finding::fine(format!("the store is {}", config.store)));
    findings
        .extend(examine(config, options.verify).await.unwrap_or_else(|error| vec![found(&error)]));
    for finding in &findings {
        match options.json {
            true => say(as_json(finding))?,
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
    say(format_args!("{}  {}", paint(color.on_default(), mark), finding.what))?;
    match finding.advice.as_str() {
        "" => Ok(()),
        advice => say(format_args!("         → {advice}")),
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

/// Returns the lifetimes of sessions, and a warning if they are longer than recommended.
fn lifetime_finding(lifetimes: &Lifetimes) -> Finding {
    let shown = |time| humantime::format_duration(time).to_string();
    let absolute = match lifetimes.absolute {
        Some(timeout) => format!("an absolute timeout of {}", shown(timeout)),
        None => "no absolute timeout".to_owned(),
    };
    let idle = shown(lifetimes.idle);
    let what = format!("sessions have an idle timeout of {idle} and {absolute}");
    let advice = "NIST SP 800-63B-4 recommends at most 1h and 24h (AAL2): set --session-profile strict for all \
                  services, unless sessions must live as long as those of Express";
    match lifetimes.level() {
        Some(level @ 2..) => {
            Finding::fine(format!("{what}, within AAL{level} of NIST SP 800-63B-4"))
        }
        Some(_) => Finding::warning(format!("{what}, within AAL1 only"), advice),
        None => Finding::warning(format!("{what}, beyond AAL1"), advice),
    }
}

/// Returns the finding for an error that prevents the diagnosis.
fn found(error: &anyhow::Error) -> Finding {
    match error.downcast_ref::<Fault>() {
        Some(fault) => Finding::problem(fault.what().to_owned(), fault.advice()),
        None => Finding::problem(chain(error.as_ref()), "repair it and run the doctor again"),
    }
}

async fn examine(config: &Common, verify: bool) -> anyhow::Result<Vec<Finding>> {
    let Examination { mut findings, store } = app::examine(config).await?;
    if let Some(store) = store {
        let diagnosed = diagnose(config, &*store, verify).await;
        findings.extend(diagnosed.unwrap_or_else(|error| vec![found(&error)]));
    }
    Ok(findings)
}

async fn diagnose(
    config: &Common,
    store: &dyn Storage,
    verify: bool,
) -> anyhow::Result<Vec<Finding>> {
    store.check().await?;
    let mut findings = store.diagnose().await?;
    let waiting = store.backlog().await?;
    findings.push(Finding::fine(format!("{waiting} check-ins wait to be applied")));
    if !store.dead_letters(None, 1).await?.is_empty() {
        findings.push(Finding::warning(
            "there are dead letters: entries of the log that cannot be applied",
            "look at them with `checkin dead-letters list`, load the missing records, and replay them",
        ));
    }
    findings.extend(password_finding(store).await?);
    findings.extend(app::session_findings(config).await?);
    if verify {
        let _working = Working::on("counting every check-in");
        findings.extend(audit_findings(&store.audit().await?));
    }
    Ok(findings)
}

/// Returns a finding if there are accounts whose stored password hash no login verifies.
async fn password_finding(store: &dyn Storage) -> anyhow::Result<Option<Finding>> {
    let (mut after, mut named, mut number) = (None, Vec::new(), 0_u64);
    loop {
        let page = store.users_after(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        let unusable =
            page.iter().filter(|user| user.password.scheme() == PasswordScheme::Unusable);
        for user in unusable {
            if store.standing(user.id).await?.status == Status::Deleted {
                continue;
            }
            number += 1;
            named.extend((named.len() < MAX_NAMED).then(|| format!("user {}", user.id)));
        }
    }
    let named = named.join(", ");
    Ok((number > 0).then(|| {
        Finding::warning(
            format!(
                "accounts with a password hash that no login verifies, because its kind is unknown or because \
                 it costs too much: {number} ({named}{})",
                if number > MAX_NAMED as u64 { ", …" } else { "" }
            ),
            "set a new password with `checkin users passwd ID`, unless the account is locked on purpose",
        )
    }))
}

fn audit_findings(audit: &AuditReport) -> Vec<Finding> {
    let AuditReport {
        entries,
        counted,
        waiting,
        dead,
        compared,
        different,
        differences,
        unreadable,
        advice,
    } = audit;
    let mut findings = vec![Finding::fine(format!(
        "the log has {entries} entries: {counted} counted, {waiting} waiting, {dead} dead letters"
    ))];
    findings.extend(unreadable.iter().map(|of| {
        Finding::problem(
            format!("{}: the stored record cannot be read", name(*of)),
            "look at the record and repair it, or delete it and load it again",
        )
    }));
    if *different == 0 {
        let compared = compared.saturating_sub(unreadable.len() as u64);
        findings.push(Finding::fine(format!(
            "the figures of {compared} users and locations are the sums over the log"
        )));
        return findings;
    }
    const UNKNOWN: &str = "find out what else writes to them; restore a backup, or set them to the figures of the log";
    findings.push(Finding::problem(
        format!("{different} of {compared} users and locations have other figures than the log"),
        advice.as_deref().unwrap_or(UNKNOWN),
    ));
    findings.extend(differences.iter().map(|Difference { of, figure, stored, counted }| {
        Finding::problem(
            format!("{}: {figure} is {stored}, counted {counted}", name(*of)),
            "find out what else writes to it",
        )
    }));
    findings
}

fn name(of: Audited) -> String {
    match of {
        Audited::User(id) => format!("user {id}"),
        Audited::Location(id) => format!("location {id}"),
    }
}

fn secret_findings(config: &Common) -> Vec<Finding> {
    match session_secret::warnings(config) {
        warnings if !warnings.is_empty() => warnings,
        _ if config.session_secret.is_none() => Vec::new(),
        _ => vec![Finding::fine("the session secrets are long enough".to_owned())],
    }
}
