//! The walk-through of the first page: the life of a session, told by real requests with the demo account. Each
//! step is a request of the visitor, who gets the cookie and loses it again.

use std::fmt::Write as _;

use axum::extract;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::answer::{Answer, Listed};
use super::client::Visitor;
use super::home::Home;
use super::page::Page;
use super::refusal::Refusal;
use super::routes::Console;
use super::views::Place;
use crate::demo;
use crate::http::{FormBody, Problem};
use crate::usecases::accounts::COOKIE;
use crate::usecases::demo_account::{DemoAccount, StoredSession};

/// The number of characters of a session's id that are shown.
const SHOWN: usize = 4;

/// The titles of the steps, and what they show.
const STEPS: [(&str, &str); 6] = [
    (
        "Without a session, a check-in is refused",
        "The request has no cookie, so the check-in receiver responds with 401.",
    ),
    (
        "A login sets the cookie",
        "The authentication service compares the password, stores a session and sends a cookie, which has the \
         session's id and a signature.",
    ),
    (
        "The session is in the store",
        "All services read it there, also those in Node with express-session. When its time is over, the store \
         deletes it.",
    ),
    (
        "With the cookie, a check-in is accepted",
        "202 means that the check-in is stored. A processor will count it.",
    ),
    ("A logout ends the session", "The response also removes the cookie."),
    (
        "The key is gone",
        "Somebody who had kept the cookie could not use it any more, at none of the services.",
    ),
];

/// The walk-through as far as the visitor has come.
pub(super) struct Walk {
    pub(super) steps: Vec<Step>,
    /// The step that comes next, counted from 1; `None` at the end.
    pub(super) next: Option<usize>,
    pub(super) login: &'static str,
    pub(super) password: &'static str,
}

/// A step of the walk-through.
pub(super) struct Step {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) state: State,
    /// What has just been asked and answered.
    pub(super) exchange: Option<Exchange>,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waits,
    /// The answer was the one that the title tells.
    Done,
    /// The answer was another one.
    Failed,
}

/// A question and its answer.
pub(super) enum Exchange {
    /// A request to a service.
    Http { request: String, body: Option<String>, status: StatusCode, answer: String },
    /// A look into the store.
    Store(StoredSession),
}

impl Walk {
    /// Returns the walk-through before its first step, if everybody can log in to the demo account.
    pub(super) async fn offered(console: &Console) -> Option<Self> {
        // If the store cannot be read, the page says so elsewhere.
        console.demo.as_ref()?.id().await.ok().flatten()?;
        Some(Self::after(0, Vec::new()))
    }

    /// Returns the walk-through after so many steps; the exchanges are those of the last ones. After an answer that was
    /// not expected, the step comes again.
    fn after(taken: usize, exchanges: Vec<Exchange>) -> Self {
        let first_new = taken - exchanges.len();
        let mut exchanges = exchanges.into_iter();
        let step = |(at, (title, text))| {
            let exchange = if at < first_new { None } else { exchanges.next() };
            let state = match &exchange {
                Some(exchange) if !exchange.is_expected(at + 1) => State::Failed,
                _ if at < taken => State::Done,
                _ => State::Waits,
            };
            Step { title, text, state, exchange }
        };
        let steps: Vec<Step> = STEPS.into_iter().enumerate().map(step).collect();
        let failed = steps.iter().position(|step| step.state == State::Failed);
        let next = match failed {
            // The last step is a look after the logout, which is over.
            Some(at) if at + 1 == STEPS.len() => Some(1),
            Some(at) => Some(at + 1),
            None => (taken < STEPS.len()).then_some(taken + 1),
        };
        Self { steps, next, login: demo::LOGIN, password: demo::PASSWORD }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.steps.iter().any(Step::has_failed)
    }
}

impl Step {
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state == State::Failed
    }
}

impl Exchange {
    /// Returns whether this is what the title of a step tells, counted from 1.
    fn is_expected(&self, step: usize) -> bool {
        match (step, self) {
            (1, Self::Http { status, .. }) => *status == StatusCode::UNAUTHORIZED,
            (2 | 5, Self::Http { status, .. }) => *status == StatusCode::OK,
            (4, Self::Http { status, .. }) => *status == StatusCode::ACCEPTED,
            (3, Self::Store(stored)) => stored.value.is_some(),
            (6, Self::Store(stored)) => stored.value.is_none(),
            _ => false,
        }
    }
}

/// Takes a step, and shows the first page with what happened.
pub(super) async fn go(
    extract::State(console): extract::State<Console>,
    visitor: Visitor,
    FormBody(form): FormBody,
) -> Response {
    let Some(demo) = &console.demo else { return Problem::not_found().into_response() };
    let user = match demo.id().await {
        Ok(Some(user)) => user,
        Ok(None) => return Problem::not_found().into_response(),
        Err(error) => return Problem::from(error).into_response(),
    };
    // Somebody who has logged in meanwhile, maybe in another tab, keeps that session.
    match visitor.account().await {
        Ok(Some(account)) if account.id != user.get() => return Redirect::to("/").into_response(),
        Ok(_) => {}
        Err(refusal) => return refusal.into_response(),
    }
    let step = form.get("step").and_then(|step| step.parse().ok()).unwrap_or_default();
    let taken = match step {
        1 => check_in(&visitor.without_cookies(), user.get()).await,
        2 => log_in(&visitor).await,
        3 => look(&visitor, demo).await.map(|found| (vec![found], None)),
        4 => check_in(&visitor, user.get()).await,
        5 => log_out(&visitor, demo).await,
        _ => {
            let problem = Problem::new(StatusCode::BAD_REQUEST, "the form names no step");
            return problem.field("step", "must be an integer from 1 to 5").into_response();
        }
    };
    let shown = async {
        let (exchanges, answer) = taken?;
        let walk = Walk::after(step - 1 + exchanges.len(), exchanges);
        let page = Page(Home::of(&visitor, Some(walk)).await?).into_response();
        Ok(match answer {
            Some(answer) => answer.set_cookies(page),
            None => page,
        })
    };
    shown.await.unwrap_or_else(Refusal::into_response)
}

/// What a step found, and the answer whose cookies the visitor gets.
type Taken = Result<(Vec<Exchange>, Option<Answer>), Refusal>;

/// Checks in at one of the popular places: mostly another one than the visitor before, because the receiver
/// refuses the same check-in twice.
async fn check_in(visitor: &Visitor, user: u64) -> Taken {
    let places: Listed<Place> = visitor.list("/api/locations/bycheckins?limit=100").await?;
    let [at, stars] = [(); 2].map(|()| getrandom::u32().unwrap_or_default() as usize);
    let place = places.items.get(at % places.items.len().max(1)).map_or(1, |Place { id, .. }| *id);
    let body = json!({"userId": user, "locationId": place, "starRating": stars % 6});
    let (exchange, answer) = ask(visitor, Method::POST, "/api/checkin", Some(&body)).await?;
    Ok((vec![exchange], Some(answer)))
}

async fn log_in(visitor: &Visitor) -> Taken {
    let body = json!({"email": demo::LOGIN, "password": demo::PASSWORD});
    let (exchange, answer) = ask(visitor, Method::POST, "/login", Some(&body)).await?;
    Ok((vec![exchange], Some(answer)))
}

async fn log_out(visitor: &Visitor, demo: &DemoAccount) -> Taken {
    let (exchange, answer) = ask(visitor, Method::GET, "/logout", None).await?;
    // With the cookie that the request still has.
    Ok((vec![exchange, look(visitor, demo).await?], Some(answer)))
}

/// Looks for the session of the visitor's cookie in the store, if it is one of the demo account.
async fn look(visitor: &Visitor, demo: &DemoAccount) -> Result<Exchange, Refusal> {
    let cookie = visitor.cookie(COOKIE).unwrap_or_default();
    let stored = demo.stored_session(&cookie).await.map_err(|_| visitor.unavailable())?;
    let stored = stored.filter(|stored| stored.is_of(demo::LOGIN));
    stored.map(Exchange::Store).ok_or_else(|| visitor.not_logged_in())
}

async fn ask(
    visitor: &Visitor,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<(Exchange, Answer), Refusal> {
    let request = format!("{method} {path}");
    let answer = visitor.ask(method, path, body).await?;
    let status = answer.status;
    let mut told = status.to_string();
    if let Some(cookie) = answer.first_cookie() {
        // A String takes everything.
        let _ = write!(told, "\nSet-Cookie: {}", shortened(cookie));
    }
    let _ = write!(told, "\n\n{}", answer.text());
    let body = body.map(Value::to_string);
    Ok((Exchange::Http { request, body, status, answer: told }, answer))
}

/// Returns a line that sets the session's cookie with the first characters of the id only.
fn shortened(line: &str) -> String {
    let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let value = match value.strip_prefix("s%3A") {
        Some(id) => format!("s%3A{}…", id.chars().take(SHOWN).collect::<String>()),
        None if value.is_empty() => String::new(),
        None => "…".to_owned(),
    };
    format!("{name}={value};{attributes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_shown_with_the_beginning_of_its_id() {
        for (line, expected) in [
            (
                "checkinapp=s%3Aabcdefgh.signature; Path=/; HttpOnly",
                "checkinapp=s%3Aabcd…; Path=/; HttpOnly",
            ),
            ("checkinapp=; Path=/; Expires=Thu", "checkinapp=; Path=/; Expires=Thu"),
            ("checkin_device=secret; Path=/login", "checkin_device=…; Path=/login"),
        ] {
            assert_eq!(shortened(line), expected);
        }
    }

    #[test]
    fn only_the_last_steps_say_what_happened() {
        let told = |walk: &Walk| {
            let told = |step: &Step| (step.state, step.exchange.is_some());
            walk.steps.iter().map(told).collect::<Vec<_>>()
        };
        let (waits, done) = ((State::Waits, false), (State::Done, false));
        let walk = Walk::after(0, Vec::new());
        assert_eq!((told(&walk), walk.next), (vec![waits; 6], Some(1)));
        let walk = Walk::after(2, vec![answered(200)]);
        assert_eq!(told(&walk)[..3], [done, (State::Done, true), waits]);
        assert_eq!(walk.next, Some(3));
        let walk = Walk::after(6, vec![answered(200), found(false)]);
        assert_eq!(told(&walk)[3..], [done, (State::Done, true), (State::Done, true)]);
        assert_eq!((walk.next, walk.has_failed()), (None, false));
    }

    #[test]
    fn a_step_is_done_only_with_the_answer_that_it_tells() {
        for (taken, exchanges, states, next) in [
            (1, vec![answered(503)], "fwwwww", 1),
            (2, vec![answered(429)], "dfwwww", 2),
            (3, vec![found(true)], "dddwww", 4),
            (3, vec![found(false)], "ddfwww", 3),
            (4, vec![answered(202)], "ddddww", 5),
            (4, vec![answered(422)], "dddfww", 4),
            (6, vec![answered(500), found(true)], "ddddff", 5),
            (6, vec![answered(200), found(true)], "dddddf", 1),
        ] {
            let walk = Walk::after(taken, exchanges);
            let letter = |step: &Step| match step.state {
                State::Waits => 'w',
                State::Done => 'd',
                State::Failed => 'f',
            };
            assert_eq!(walk.steps.iter().map(letter).collect::<String>(), states);
            assert_eq!((walk.next, walk.has_failed()), (Some(next), states.contains('f')));
        }
    }

    fn answered(status: u16) -> Exchange {
        let (request, status) = (String::new(), StatusCode::from_u16(status).unwrap());
        Exchange::Http { request, body: None, status, answer: String::new() }
    }

    fn found(is_there: bool) -> Exchange {
        let value = is_there.then(<_>::default);
        Exchange::Store(StoredSession { key: String::new(), value })
    }
}
