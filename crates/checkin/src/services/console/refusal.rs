//! What the services refuse, as the pages show it.

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use serde::Deserialize;

use super::answer::Answer;
use super::client::{LOGIN, encoded};

/// A request that the services refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// A sentence about it, without its full stop.
    pub(super) detail: String,
    /// The fields that break a rule.
    pub(super) errors: Vec<FieldError>,
    /// In how many seconds the visitor may come again.
    pub(super) retry_after: Option<u32>,
    /// What a login with a second factor continues with; the token is empty for other requests that need one.
    pub(super) pending: Option<Box<Pending>>,
    /// The page to which a login returns.
    page: String,
}

/// A second factor that is missing.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) token: String,
    /// The kinds of proofs that the account has, with blanks between them.
    pub(super) methods: String,
}

impl Pending {
    pub(super) fn has(&self, method: &str) -> bool {
        self.methods.split(' ').any(|found| found == method)
    }
}

/// A field that breaks a rule: "must …".
#[derive(Debug, Deserialize)]
pub(super) struct FieldError {
    pub(super) field: String,
    pub(super) rule: String,
}

/// The members of a problem document that the pages show.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProblemBody {
    pub(super) detail: String,
    #[serde(default)]
    pub(super) errors: Vec<FieldError>,
    #[serde(default)]
    pending_login: String,
    methods: Option<Vec<String>>,
}

impl Refusal {
    /// Returns the refusal that an answer to a page says.
    pub(super) fn of(answer: &Answer, page: &str) -> Self {
        let retry_after = answer.header(&RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
        let Ok(body) = answer.content::<ProblemBody>() else {
            let text = answer.text();
            return Self {
                retry_after,
                ..Self::new(answer.status, text.trim_end_matches('.'), page)
            };
        };
        let token = body.pending_login;
        let pending = body.methods.map(|methods| Pending { token, methods: methods.join(" ") });
        let (errors, pending) = (body.errors, pending.map(Box::new));
        Self { errors, retry_after, pending, ..Self::new(answer.status, &body.detail, page) }
    }

    /// Returns a refusal of a page, with a sentence about it.
    pub(super) fn new(status: StatusCode, detail: &str, page: &str) -> Self {
        let (detail, page) = (detail.to_owned(), page.to_owned());
        Self { status, detail, errors: Vec::new(), retry_after: None, pending: None, page }
    }

    /// Returns the rule that a field breaks.
    pub(super) fn rule(&self, field: &str) -> Option<&str> {
        let error = self.errors.iter().find(|error| error.field == field)?;
        Some(&error.rule)
    }

    /// Returns the page of the login, which returns to the page that was refused.
    pub(super) fn login_page(&self) -> String {
        format!("{LOGIN}?next={}", encoded(&self.page))
    }
}
