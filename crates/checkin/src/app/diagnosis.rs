//! The diagnosis: what is wrong with the settings and the store, and how to repair it. For `checkin doctor`,
//! and, within a limited time, for a running service.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::account_findings::account_findings;
use super::embedded::examine;
use super::session_stores::session_findings;
use crate::config::{Common, Lifetimes, shown_time};
use crate::session_secret;
use crate::storage::{AuditReport, Audited, Difference, Fault, Finding, Storage};
use crate::telemetry::chain;
use crate::usecases::demo_account::is_open_operator;

/// What is wrong with a demo account that is an operator's.
pub(crate) const OPEN_OPERATOR: &str =
    "the demo account is an operator's, and everybody knows its password";

/// Returns what is found about the settings and the store. With `verify`, all check-ins are counted again.
pub async fn diagnose(config: &Common, verify: bool) -> Vec<Finding> {
    let mut findings = of_settings(config);
    let examined = examine_store(config, verify, &mut findings).await;
    findings.extend(examined.err().map(|error| found(&error)));
    findings
}

/// Returns what is found within a limited time about the settings, and about the store that this process uses.
pub(super) async fn diagnose_within(
    config: Common,
    store: Arc<dyn Storage>,
    limit: Duration,
) -> Vec<Finding> {
    let mut findings = of_settings(&config);
    let examined = timeout(limit, of_store(&config, &*store, false, &mut findings)).await;
    findings.extend(match examined {
        Ok(examined) => examined.err().map(|error| found(&error)),
        Err(_) => Some(Finding::warning(
            format!("not everything was looked at within {limit:?}"),
            "run `checkin doctor`, which has no limit",
        )),
    });
    findings
}

fn of_settings(config: &Common) -> Vec<Finding> {
    let mut findings = vec![Finding::fine(format!("the store is {}", config.store))];
    findings.extend(secret_findings(config));
    findings.push(lifetime_finding(&config.lifetimes.lifetimes()));
    findings
}

/// Returns the lifetimes of sessions, and a warning if they are longer than recommended.
fn lifetime_finding(lifetimes: &Lifetimes) -> Finding {
    let absolute = match lifetimes.absolute {
        Some(timeout) => format!("an absolute timeout of {}", shown_time(timeout)),
        None => "no absolute timeout".to_owned(),
    };
    let idle = shown_time(lifetimes.idle);
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

/// Returns the finding for an error that ends the diagnosis.
fn found(error: &anyhow::Error) -> Finding {
    match error.chain().find_map(|cause| cause.downcast_ref::<Fault>()) {
        Some(fault) => Finding::problem(fault.what().to_owned(), fault.advice()),
        None => Finding::problem(chain(error.as_ref()), "repair it and run the doctor again"),
    }
}

/// Examines a store that is not in use by this process.
async fn examine_store(
    config: &Common,
    verify: bool,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    let examination = examine(config).await?;
    findings.extend(examination.findings);
    match examination.store {
        Some(store) => of_store(config, &*store, verify, findings).await,
        None => Ok(()),
    }
}

/// Adds what is found until something fails. The slower parts come later: they read each account, each session, or each
/// check-in.
async fn of_store(
    config: &Common,
    store: &dyn Storage,
    verify: bool,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    store.diagnose(findings).await?;
    findings.extend(state_findings(store).await?);
    findings.extend(account_findings(config, store).await?);
    findings.extend(session_findings(config).await?);
    if verify {
        findings.extend(audit_findings(&store.audit().await?));
    }
    Ok(())
}

/// Returns what is found about the store as a whole, whichever it is.
async fn state_findings(store: &dyn Storage) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let waiting = store.backlog().await?;
    findings.push(Finding::fine(match waiting {
        1 => "1 check-in waits to be applied".to_owned(),
        _ => format!("{waiting} check-ins wait to be applied"),
    }));
    if !store.dead_letters(None, 1).await?.is_empty() {
        findings.push(Finding::warning(
            "there are dead letters: entries of the log that cannot be applied",
            "look at them with `checkin dead-letters list`, load the missing records, and replay them",
        ));
    }
    if is_open_operator(store).await? {
        findings.push(Finding::warning(
            OPEN_OPERATOR.to_owned(),
            "give another account this role, and then `checkin users role` the demo account the role user, or \
             `checkin users passwd` it",
        ));
    }
    Ok(findings)
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
