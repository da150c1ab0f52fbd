//! The clients of a run: people who check in and delete some of it, and an Express service that writes to the log.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, Response, StatusCode};
use redis_link::redis::aio::ConnectionLike;
use redis_link::redis::cmd;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use crate::PREFIX;
use crate::deployment::Deployment;
use crate::network::{Process, Wire};
use crate::redis::EntryId;
use crate::watch::{Content, FOREIGN};

/// The header of an answer with the id of a check-in.
const CHECKIN_ID: &str = "checkin-id";

/// A check-in that a client sends.
struct Checkin {
    number: u64,
    content: Content,
    has_key: bool,
    is_private: bool,
}

/// Sends check-ins, those with an idempotency key until there is an answer, and deletes some of them.
pub(crate) async fn check_in(deployment: Arc<Deployment>, client: usize) {
    for position in 0..deployment.plan.checkins {
        let checkin = deployment.checkin((client * deployment.plan.checkins + position) as u64);
        deployment.pause().await;
        deployment.world.lock().watch.sending(checkin.content);
        while !deployment.send(&checkin).await && deployment.tries_again(&checkin) {
            let pause = deployment.world.lock().random.u64(10..150);
            sleep(Duration::from_millis(pause)).await;
        }
        deployment.perhaps_delete(&checkin).await;
    }
}

/// Sends private check-ins, each until there is an answer, and deletes some of them.
pub(crate) async fn check_in_privately(deployment: Arc<Deployment>) {
    let numbers = (deployment.plan.clients * deployment.plan.checkins) as u64..;
    for number in numbers.take(deployment.plan.checkins) {
        let content = deployment.content();
        let checkin = Checkin { number, content, has_key: true, is_private: true };
        deployment.pause().await;
        while !deployment.send(&checkin).await && deployment.tries_again(&checkin) {
            let pause = deployment.world.lock().random.u64(10..150);
            sleep(Duration::from_millis(pause)).await;
        }
        deployment.perhaps_delete(&checkin).await;
    }
}

/// Writes check-ins to the log as an Express service does.
pub(crate) async fn write_as_express(deployment: Arc<Deployment>) {
    let process = Process::new(&deployment.world, "express", &deployment.plan, true);
    let mut wire = Wire(process);
    for _ in 0..deployment.plan.checkins {
        deployment.pause().await;
        let [user, location, stars] = deployment.content();
        deployment.world.lock().watch.sending([user, location, stars]);
        let mut add = cmd("XADD");
        add.arg(format!("{PREFIX}:checkins")).arg("*").arg("userId").arg(user);
        add.arg("locationId")
            .arg(location)
            .arg("starRating")
            .arg(stars)
            .arg(FOREIGN)
            .arg("express");
        // It does not try again.
        let _ = timeout(deployment.plan.response, wire.req_packed_command(&add)).await;
    }
}

impl Deployment {
    fn content(&self) -> Content {
        let (users, locations) = (self.plan.last_user(), self.plan.locations);
        let random = &mut self.world.lock().random;
        [random.u64(1..=users), random.u64(1..=locations), random.u64(0..=5)]
    }

    fn checkin(&self, number: u64) -> Checkin {
        let (content, has_key) = (self.content(), self.world.lock().random.u32(0..4) > 0);
        Checkin { number, content, has_key, is_private: false }
    }

    /// Returns whether a client sends a check-in again. A deleted account may never get a 202.
    fn tries_again(&self, checkin: &Checkin) -> bool {
        checkin.has_key && !self.world.lock().watch.leaves(checkin.content[0])
    }

    /// Waits before a check-in, so that they spread over the time with faults.
    async fn pause(&self) {
        let most = 2 * self.plan.duration.as_millis() as u64 / self.plan.checkins as u64;
        let pause = self.world.lock().random.u64(0..most);
        sleep(Duration::from_millis(pause)).await;
    }

    /// Sends a check-in, sometimes to two receivers at the same time. Returns whether it is done.
    async fn send(&self, checkin: &Checkin) -> bool {
        if checkin.has_key && self.world.lock().random.u32(0..10) == 0 {
            let (one, other) = tokio::join!(self.send_once(checkin), self.send_once(checkin));
            return one || other;
        }
        self.send_once(checkin).await
    }

    /// Sends a check-in to a receiver, and waits no longer than the client's patience.
    async fn send_once(&self, checkin: &Checkin) -> bool {
        let receiver = self.receiver();
        let patience = Duration::from_millis(self.world.lock().random.u64(20..1500));
        let request = timeout(patience, receiver.router.oneshot(request(checkin)));
        tokio::select! {
            biased;
            () = receiver.ended.cancelled() => false,
            response = request => match response {
                Ok(response) => self.is_done(checkin, &response.unwrap()),
                Err(_) => false,
            },
        }
    }

    /// Deletes a check-in that was accepted, or not, and tries again until there is an answer.
    async fn perhaps_delete(&self, checkin: &Checkin) {
        let id = self.world.lock().watch.id_of(checkin.number);
        let Some(id) = id.filter(|_| self.world.lock().random.u32(0..4) == 0) else { return };
        let pause = self.world.lock().random.u64(0..400);
        sleep(Duration::from_millis(pause)).await;
        while !self.delete(checkin.content[0], id).await {
            let pause = self.world.lock().random.u64(10..150);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn delete(&self, user: u64, id: EntryId) -> bool {
        let receiver = self.receiver();
        let patience = Duration::from_millis(self.world.lock().random.u64(20..1500));
        let request = Request::delete(format!("/api/checkin/{id}?userId={user}"));
        let request = receiver.router.oneshot(request.body(Body::empty()).unwrap());
        let response = tokio::select! {
            biased;
            () = receiver.ended.cancelled() => return false,
            response = timeout(patience, request) => match response {
                Ok(response) => response.unwrap(),
                Err(_) => return false,
            },
        };
        let mut state = self.world.lock();
        match response.status() {
            StatusCode::NO_CONTENT => state.watch.deleted(user, id),
            StatusCode::NOT_FOUND if state.watch.leaves(user) => {}
            StatusCode::SERVICE_UNAVAILABLE => return false,
            status => state.watch.violated(format!("a deletion was answered with {status}")),
        }
        true
    }

    fn is_done(&self, checkin: &Checkin, response: &Response<Body>) -> bool {
        let mut state = self.world.lock();
        match response.status() {
            StatusCode::ACCEPTED => {
                let id = response.headers().get(CHECKIN_ID).unwrap().as_bytes();
                let id = EntryId::read(id, 0).unwrap();
                match checkin.is_private {
                    true => state.watch.accepted_privately(checkin.number, checkin.content, id),
                    false => state.watch.accepted(checkin.number, checkin.content, id),
                }
                true
            }
            StatusCode::SERVICE_UNAVAILABLE => false,
            StatusCode::UNPROCESSABLE_ENTITY
                if !self.plan.admission.duplicate_window.is_zero()
                    || state.watch.leaves(checkin.content[0]) =>
            {
                if checkin.is_private {
                    state.watch.refused_privately(checkin.content);
                }
                true
            }
            status => {
                state.watch.violated(format!("a check-in was answered with {status}"));
                true
            }
        }
    }
}

fn request(
    Checkin { number, content: [user, location, stars], has_key, is_private }: &Checkin,
) -> Request<Body> {
    let body = format!(
        r#"{{"userId":{user},"locationId":{location},"starRating":{stars},"private":{is_private}}}"#
    );
    let mut request = Request::post("/api/checkin").header(CONTENT_TYPE, "application/json");
    if *has_key {
        request = request.header("Idempotency-Key", number.to_string());
    }
    request.body(Body::from(body)).unwrap()
}
