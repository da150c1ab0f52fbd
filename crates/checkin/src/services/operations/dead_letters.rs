//! Dead letters: entries of the log that cannot be applied.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::operator::Operator;
use super::state::Operations;
use crate::http::document::{Forbidden, LoginNeeded, Missing, Problems};
use crate::http::{Parameters, Problem, RequestAddress};
use crate::input::{Documented, Given, Input, Integer, parameters};
use crate::storage::{DeadLetter, DeadLetterId, Replay};

/// The maximum number of dead letters on a page.
const MAX_LISTED: u64 = 100;

/// The maximum number of characters of an entry that are shown. Another program wrote it.
const MAX_FIELDS: usize = 1000;

/// The maximum number of dead letters that one request replays, and the time after which it begins no
/// further one.
const MAX_REPLAYED: usize = 500;
const LONGEST: Duration = Duration::from_secs(5);

impl Input for DeadLetterId {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        given.text()?.parse()
    }
}

impl Documented for DeadLetterId {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]+/[0-9]+-[0-9]+$"))
    }
}

parameters! {
    pub(super) struct DeadLetterPage(RequestAddress) {
        /// Lists those behind this one: `next` of the page before
        after "after" in Query: Option<DeadLetterId>, example "0/1609602085397-0";
        /// The maximum number of dead letters; 100 if it is not given
        limit "limit" in Query: Option<Integer<1, MAX_LISTED>>;
    }
}

parameters! {
    pub(super) struct Replayed(RequestAddress) {
        /// The dead letter to replay. Without it, all are replayed
        id "id" in Query: Option<DeadLetterId>, example "0/1609602085397-0";
        /// Begins behind this one: `next` of the response before
        after "after" in Query: Option<DeadLetterId>, example "0/1609602085397-0";
    }
}

/// A page of dead letters, in the order of their partitions and ids.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeadLetterList {
    dead_letters: Vec<DeadLetterView>,
    /// What the next page begins behind; `null` if there is none.
    next: Option<String>,
}

/// An entry of the log that cannot be applied.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
struct DeadLetterView {
    /// The partition of the log, and the id of the entry.
    id: String,
    /// What is wrong with it.
    reason: String,
    /// The fields of the entry as JSON, at most 1000 characters of it.
    fields: String,
}

/// What became of dead letters that were replayed.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplayView {
    /// The number of those that are counted now.
    applied: u64,
    /// Those that still cannot be applied.
    left: Vec<Left>,
    /// What the next request begins behind; `null` if none is left to try.
    next: Option<String>,
}

/// A dead letter that still cannot be applied.
#[derive(Serialize, ToSchema)]
struct Left {
    id: String,
    reason: String,
}

/// Lists dead letters.
#[utoipa::path(
    get, operation_id = "listDeadLetters", path = "/operations/dead-letters", tag = "operators",
    security(("session" = [])), params(DeadLetterPage),
    responses((status = 200, body = DeadLetterList), LoginNeeded, Forbidden, Problems),
)]
pub(super) async fn list(
    State(operations): State<Arc<Operations>>,
    _operator: Operator,
    Parameters(page): Parameters<DeadLetterPage>,
) -> Result<Json<DeadLetterList>, Problem> {
    let limit = page.limit.map_or(MAX_LISTED, |limit| limit.0) as usize;
    let mut letters = operations.storage.dead_letters(page.after, limit + 1).await?;
    let has_more = letters.len() > limit;
    letters.truncate(limit);
    let next = letters.last().filter(|_| has_more).map(|letter| letter.id.to_string());
    let dead_letters = letters.into_iter().map(DeadLetterView::from).collect();
    Ok(Json(DeadLetterList { dead_letters, next }))
}

/// Tries again to apply dead letters: one, or all of them, at most 500 with a request.
#[utoipa::path(
    post, operation_id = "replayDeadLetters", path = "/operations/dead-letters/replay",
    tag = "operators", security(("session" = [])), params(Replayed),
    responses((status = 200, body = ReplayView), LoginNeeded, Forbidden, Missing, Problems),
)]
pub(super) async fn replay(
    State(operations): State<Arc<Operations>>,
    operator: Operator,
    Parameters(replayed): Parameters<Replayed>,
) -> Result<Json<ReplayView>, Problem> {
    let replay = match replayed.id {
        Some(id) => operations.replay_one(id).await?,
        None => operations.replay_all(replayed.after).await?,
    };
    let (applied, left) = (replay.applied, replay.left.len());
    tracing::info!(user.id = operator.id.get(), applied, left, "an operator replayed dead letters");
    Ok(Json(replay))
}

impl Operations {
    async fn replay_one(&self, id: DeadLetterId) -> Result<ReplayView, Problem> {
        let mut view = ReplayView { applied: 0, left: Vec::new(), next: None };
        match self.storage.replay(id).await? {
            Replay::Unknown => return Err(Problem::missing("dead letter")),
            replay => view.add(id, replay),
        }
        Ok(view)
    }

    async fn replay_all(&self, after: Option<DeadLetterId>) -> Result<ReplayView, Problem> {
        let began = Instant::now();
        let letters = self.storage.dead_letters(after, MAX_REPLAYED + 1).await?;
        let mut view = ReplayView { applied: 0, left: Vec::new(), next: None };
        let mut last = None;
        for (number, DeadLetter { id, .. }) in letters.into_iter().enumerate() {
            if number >= MAX_REPLAYED || began.elapsed() > LONGEST {
                view.next = last.map(|id: DeadLetterId| id.to_string());
                break;
            }
            view.add(id, self.storage.replay(id).await?);
            last = Some(id);
        }
        Ok(view)
    }
}

impl ReplayView {
    /// Adds the result of a dead letter. Somebody else may have replayed it meanwhile.
    fn add(&mut self, id: DeadLetterId, replay: Replay) {
        match replay {
            Replay::Applied => self.applied += 1,
            Replay::Unknown => {}
            Replay::StillDead(reason) => self.left.push(Left { id: id.to_string(), reason }),
        }
    }
}

impl From<DeadLetter> for DeadLetterView {
    fn from(DeadLetter { id, reason, fields }: DeadLetter) -> Self {
        let fields = fields.chars().take(MAX_FIELDS).collect();
        Self { id: id.to_string(), reason, fields }
    }
}
