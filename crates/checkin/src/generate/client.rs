//! An HTTP client for one of our services.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, RETRY_AFTER, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode, Url};
use tokio::time::sleep;

use super::retry;
use crate::domain::{Email, NewCheckin};

/// The maximum time of one attempt. It is longer than the services' own limit for a request.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The name of the session cookie.
const SESSION: &str = "checkinapp";

/// The receiver's response to an identical check-in. Other errors have the same status.
const IDENTICAL: &str = "Multiple identical checkins are not permitted.";

/// The connections to a service. Clones share them.
#[derive(Clone, Debug)]
pub struct HttpClient {
    http: reqwest::Client,
    base: String,
}

/// A session cookie as it is sent back. `Debug` does not show it.
#[derive(Clone)]
pub struct Cookie(HeaderValue);

/// The reason why a login failed.
#[derive(Debug)]
pub enum LoginError {
    /// The account does not exist, or the password is wrong.
    Wrong,
    /// The service responded with another status.
    Refused(StatusCode),
    /// The service responded with 200 but without a session cookie.
    NoCookie,
    /// The service did not respond.
    Unreachable(reqwest::Error),
}

/// The result of one attempt to send a check-in.
pub(super) enum Answer {
    Accepted,
    Duplicate,
    Refused(u16),
    /// 503, with the value of `Retry-After`.
    Away(Option<Duration>),
    Nothing,
}

impl HttpClient {
    /// Creates a client for the service at this address. It speaks HTTP/1.1, follows no redirects
    /// and uses no proxy, because the service itself is measured.
    ///
    /// # Errors
    ///
    /// If the root certificates of this machine cannot be read.
    pub fn new(base: &Url) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .no_proxy()
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { http, base: base.as_str().trim_end_matches('/').to_owned() })
    }

    /// Checks that the service responds.
    ///
    /// # Errors
    ///
    /// If it does not respond, or is not healthy.
    pub async fn reach(&self) -> Result<(), reqwest::Error> {
        let asked = self.http.get(format!("{}/healthz", self.base)).send().await;
        asked.and_then(Response::error_for_status).map(drop).map_err(reqwest::Error::without_url)
    }

    /// Logs a user in. If the service is busy, waits as long as it asks and tries again.
    ///
    /// # Errors
    ///
    /// If the login fails.
    pub async fn log_in(&self, email: &Email, password: &str) -> Result<Cookie, LoginError> {
        let body = serde_json::json!({"email": email.as_str(), "password": password}).to_string();
        let mut attempts = 1;
        loop {
            let response = self.post("/login", &body, HeaderMap::new()).await;
            let response = response.map_err(LoginError::Unreachable)?;
            match response.status() {
                StatusCode::OK => return session(&response).ok_or(LoginError::NoCookie),
                StatusCode::UNAUTHORIZED => return Err(LoginError::Wrong),
                status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                    let wait = retry::wait(attempts, retry_after(&response));
                    sleep(wait.ok_or(LoginError::Refused(status))?).await;
                    attempts += 1;
                }
                status => return Err(LoginError::Refused(status)),
            }
        }
    }

    /// Ends a session. Returns false if the session may still exist.
    pub(super) async fn log_out(&self, cookie: &Cookie) -> bool {
        let mut attempts = 1;
        loop {
            let headers = HeaderMap::from_iter([(COOKIE, cookie.0.clone())]);
            let asked = match self.post("/logout", "", headers).await {
                Ok(response) if response.status().is_success() => return true,
                Ok(response) => retry_after(&response),
                Err(_) => None,
            };
            let Some(wait) = retry::wait(attempts, asked) else {
                return false;
            };
            sleep(wait).await;
            attempts += 1;
        }
    }

    /// Sends a check-in once.
    pub(super) async fn check_in(
        &self,
        cookie: &Cookie,
        key: &HeaderValue,
        checkin: &NewCheckin,
    ) -> Answer {
        let NewCheckin { user, location, stars, .. } = checkin;
        let body = format!(r#"{{"userId":{user},"locationId":{location},"starRating":{stars}}}"#);
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookie.0.clone());
        headers.insert("idempotency-key", key.clone());
        match self.post("/api/checkin", &body, headers).await {
            Ok(response) => answer(response).await,
            Err(_) => Answer::Nothing,
        }
    }

    async fn post(
        &self,
        path: &str,
        body: &str,
        headers: HeaderMap,
    ) -> Result<Response, reqwest::Error> {
        let request = self.http.post(format!("{}{path}", self.base)).headers(headers);
        let request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
        request.send().await.map_err(reqwest::Error::without_url)
    }
}

/// Reads the response to its end. Only then is the connection free for the next request.
async fn answer(response: Response) -> Answer {
    let (status, asked) = (response.status(), retry_after(&response));
    let Ok(body) = response.bytes().await else {
        return Answer::Nothing;
    };
    match status {
        StatusCode::ACCEPTED => Answer::Accepted,
        StatusCode::UNPROCESSABLE_ENTITY if *body == *IDENTICAL.as_bytes() => Answer::Duplicate,
        StatusCode::SERVICE_UNAVAILABLE => Answer::Away(asked),
        refused => Answer::Refused(refused.as_u16()),
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    retry::retry_after(response.headers().get(RETRY_AFTER)?.to_str().ok())
}

fn session(response: &Response) -> Option<Cookie> {
    let lines = response.headers().get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.filter_map(|line| line.split(';').next());
    let pair = pairs.find(|pair| pair.split_once('=').is_some_and(|(name, _)| name == SESSION))?;
    HeaderValue::from_str(pair).ok().map(Cookie)
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(…)")
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong => f.write_str("the password is wrong"),
            Self::Refused(status) => write!(f, "the authentication service answered {status}"),
            Self::NoCookie => write!(f, "the answer came without the cookie {SESSION}"),
            Self::Unreachable(_) => f.write_str("the authentication service does not answer"),
        }
    }
}

impl std::error::Error for LoginError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(cause) => Some(cause),
            _ => None,
        }
    }
}
