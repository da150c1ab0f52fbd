//! Requests that should be refused, and what they are sent to.

use testkit::{Client, Method, Response};

use crate::harness::{CHECKIN, Service, Site, accepted, expect_plain, problem_flaw};

pub(crate) const JSON: (&str, &[u8]) = ("content-type", b"application/json");
pub(crate) const VISIT: &str = r#"{"userId":77,"locationId":2,"starRating":5}"#;

/// A request that is refused, and how.
pub(crate) struct Bad {
    pub(crate) what: String,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) fields: Vec<&'static str>,
}

/// A body that is JSON, or says so.
pub(crate) fn post(
    path: &'static str,
    body: impl Into<Vec<u8>>,
    status: u16,
    fields: &[&'static str],
) -> Bad {
    let body = body.into();
    let start = String::from_utf8_lossy(&body).chars().take(100).collect::<String>();
    let fields = fields.to_vec();
    let what = format!("POST {path} {start}");
    Bad { what, method: Method::POST, path, headers: Vec::new(), body, status, fields }
        .header(JSON.0, JSON.1)
}

pub(crate) fn bare(method: Method, path: &'static str, status: u16) -> Bad {
    let what = format!("{method} {path}");
    let (headers, body, fields) = (Vec::new(), Vec::new(), Vec::new());
    Bad { what, method, path, headers, body, status, fields }
}

impl Bad {
    pub(crate) fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Bad {
        let value = value.as_ref();
        self.what +=
            &format!(" [{name}: {}]", String::from_utf8_lossy(&value[..value.len().min(80)]));
        self.headers.push((name, value.to_vec()));
        self
    }

    pub(crate) fn without_headers(mut self) -> Bad {
        self.headers.clear();
        self.what += " [no headers]";
        self
    }

    pub(crate) async fn send(&self, client: &mut Client) -> Response {
        let mut request = client.request(self.method.clone(), self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(self.body.clone()).send().await
    }
}

/// Sends all, and says of all at once which are not refused as they should be.
pub(crate) async fn refuse_all(client: &mut Client, table: &[Bad]) {
    let mut flaws = Vec::new();
    for bad in table {
        let response = bad.send(client).await;
        if let Some(flaw) = problem_flaw(&response, bad.status, &bad.fields) {
            let (status, fields) = (bad.status, &bad.fields);
            flaws.push(format!("{}\n    expected {status} {fields:?}\n    got {flaw}", bad.what));
        }
        if !response.set_cookies().is_empty() {
            flaws.push(format!("{}\n    got {:?}", bad.what, response.set_cookies()));
        }
    }
    assert!(flaws.is_empty(), "{} of {}:\n{}", flaws.len(), table.len(), flaws.join("\n"));
}

/// A receiver and an authentication service on Redis, and Al's browser.
pub(crate) struct Scene {
    pub(crate) site: Site,
    pub(crate) auth: Service,
    pub(crate) receiver: Service,
    pub(crate) al: Client,
}

impl Scene {
    pub(crate) async fn new() -> Scene {
        // The documented users have no permission for the keys beside a session whose id has braces.
        let site = Site::redis().without_logins();
        let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
        let al = auth.logged_in().await;
        Scene { site, auth, receiver, al }
    }

    /// The processes live, and Al's session opens what it opened before.
    pub(crate) async fn still_works(&mut self) {
        for service in [&self.auth, &self.receiver] {
            expect_plain(&service.client().get("/healthz").await, 200, "OK");
        }
        assert_eq!(self.auth.client_like(&self.al).get("/session").await.status, 200);
        let mut at_receiver = self.receiver.client_like(&self.al);
        let good = at_receiver.request(Method::POST, CHECKIN);
        let good = good.header("content-type", "application/json; charset=utf-8").body(VISIT);
        accepted(&good.send().await);
        assert!(self.auth.program.is_running() && self.receiver.program.is_running());
    }
}
