//! What the doctor finds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::operator::Operator;
use super::state::{Diagnose, Operations};
use super::views::milliseconds;
use crate::http::Problem;
use crate::http::document::{Forbidden, LoginNeeded, Problems};
use crate::storage::{Finding, Severity};

/// How long findings are returned again, so that nobody makes the doctor work all the time.
const KEPT: Duration = Duration::from_secs(10);

/// Examines the settings and the store, once at a time.
pub(super) struct Doctor {
    diagnose: Diagnose,
    /// The latest findings. Locked while others are found.
    latest: Mutex<Option<(Instant, Vec<Finding>)>>,
}

impl Doctor {
    pub(super) fn new(diagnose: Diagnose) -> Self {
        Self { diagnose, latest: Mutex::default() }
    }

    /// Returns the findings, and when they were made.
    async fn findings(&self) -> (Instant, Vec<Finding>) {
        let mut latest = self.latest.lock().await;
        match &*latest {
            Some((at, findings)) if at.elapsed() < KEPT => (*at, findings.clone()),
            _ => {
                let found = (Instant::now(), (self.diagnose)().await);
                latest.insert(found).clone()
            }
        }
    }
}

/// The findings of the doctor.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Diagnosis {
    /// How long ago the doctor began, in milliseconds.
    age_ms: u64,
    findings: Vec<FindingView>,
}

/// A finding.
#[derive(Serialize, ToSchema)]
#[schema(as = Finding)]
struct FindingView {
    /// `ok`, `warning` or `problem`.
    severity: &'static str,
    what: String,
    /// What to do about it; empty if there is nothing to do.
    advice: String,
}

/// Returns what `checkin doctor` finds about the settings and the store of this process, within ten seconds.
/// Findings are returned again for ten seconds.
#[utoipa::path(
    get, operation_id = "getDiagnosis", path = "/operations/doctor", tag = "operators",
    security(("session" = [])),
    responses((status = 200, body = Diagnosis), LoginNeeded, Forbidden, Problems),
)]
pub(super) async fn show(
    State(operations): State<Arc<Operations>>,
    _operator: Operator,
) -> Result<Json<Diagnosis>, Problem> {
    let (at, findings) = operations.doctor.findings().await;
    let findings = findings.into_iter().map(FindingView::from).collect();
    Ok(Json(Diagnosis { age_ms: milliseconds(at.elapsed()), findings }))
}

impl From<Finding> for FindingView {
    fn from(Finding { severity, what, advice }: Finding) -> Self {
        let severity = match severity {
            Severity::Fine => "ok",
            Severity::Warning => "warning",
            Severity::Problem => "problem",
        };
        Self { severity, what, advice }
    }
}
