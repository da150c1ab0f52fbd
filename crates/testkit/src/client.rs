use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Method, RequestBuilder};
use serde_json::Value;

use crate::jar::Jar;

/// The time-out of a request. It is longer than any request of a test, so that only a server that hangs
/// fails the test.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An HTTP client with the cookies of one browser. It follows no redirect, so that every
/// `Set-Cookie` is seen.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    jar: Jar,
}

/// A request that is not sent yet.
#[derive(Debug)]
#[must_use = "a request is made by `send`"]
pub struct Request<'a> {
    builder: RequestBuilder,
    jar: Option<&'a mut Jar>,
}

/// A complete response.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// False if the connection broke before the end of the body.
    pub is_complete: bool,
}

impl Client {
    /// Creates a client for a server such as `http://127.0.0.1:8080`.
    pub fn new(base: impl Into<String>) -> Client {
        Client::trusting(base, [])
    }

    /// Creates a client for a server such as `https://localhost:8443`, with the one certificate authority,
    /// or the one server certificate, that it trusts.
    ///
    /// # Panics
    ///
    /// If the certificate is not a certificate in PEM.
    pub fn over_tls(base: impl Into<String>, certificate_pem: &[u8]) -> Client {
        let certificate = Certificate::from_pem(certificate_pem).expect("a certificate in PEM");
        Client::trusting(base, [certificate])
    }

    fn trusting<const N: usize>(base: impl Into<String>, certificates: [Certificate; N]) -> Client {
        // Without this, a client would read all root certificates each time. If the program under test enables
        // TLS, this client has it, too, and needs a crypto provider.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .tls_certs_only(certificates)
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .no_proxy()
            .build()
            .expect("a client can always be built");
        let base = base.into().trim_end_matches('/').to_owned();
        Client { http, base, jar: Jar::default() }
    }

    pub fn jar(&self) -> &Jar {
        &self.jar
    }

    pub fn jar_mut(&mut self) -> &mut Jar {
        &mut self.jar
    }

    /// Creates a request to a path, with the cookies of the jar by default.
    pub fn request(&mut self, method: Method, path: &str) -> Request<'_> {
        let builder = self.http.request(method, format!("{}{path}", self.base));
        Request { builder, jar: Some(&mut self.jar) }
    }

    pub async fn get(&mut self, path: &str) -> Response {
        self.request(Method::GET, path).send().await
    }

    pub async fn delete(&mut self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await
    }

    pub async fn post(&mut self, path: &str, json: &Value) -> Response {
        self.request(Method::POST, path).json(json).send().await
    }

    pub async fn put(&mut self, path: &str, json: &Value) -> Response {
        self.request(Method::PUT, path).json(json).send().await
    }
}

impl Request<'_> {
    /// Adds a header, even if the request already has one with this name.
    ///
    /// # Panics
    ///
    /// If the header is not valid.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        let value = HeaderValue::from_bytes(value.as_ref()).expect("a header value");
        self.builder = self.builder.header(name, value);
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.builder = self.builder.body(body.into());
        self
    }

    pub fn json(mut self, json: &Value) -> Self {
        self.builder = self.builder.header(CONTENT_TYPE, "application/json").body(json.to_string());
        self
    }

    /// Does not send the cookies of the jar, and does not store those of the response.
    pub fn without_jar(mut self) -> Self {
        self.jar = None;
        self
    }

    /// Sends the request and reads the response.
    ///
    /// # Panics
    ///
    /// If there is no response.
    pub async fn send(self) -> Response {
        self.try_send().await.unwrap_or_else(|error| panic!("no response: {error:?}"))
    }

    /// Sends the request and reads the response.
    ///
    /// # Errors
    ///
    /// If there is no response. If the body is incomplete, [`Response::is_complete`] returns false.
    pub async fn try_send(self) -> Result<Response, reqwest::Error> {
        let Request { mut builder, jar } = self;
        if let Some(cookies) = jar.as_ref().and_then(|jar| jar.header()) {
            builder = builder.header(COOKIE, cookies);
        }
        let response = Response::read(builder.send().await?).await;
        if let Some(jar) = jar {
            let now = SystemTime::now();
            response.set_cookies().iter().for_each(|line| jar.take(line, now));
        }
        Ok(response)
    }
}

impl Response {
    async fn read(mut response: reqwest::Response) -> Response {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let mut body = Vec::new();
        let is_complete = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        Response { status, headers, body, is_complete }
    }

    /// Returns a header as text, if the response has it.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the values of all `Set-Cookie` lines in their order.
    pub fn set_cookies(&self) -> Vec<String> {
        let lines = self.headers.get_all(SET_COOKIE).iter();
        lines.map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned()).collect()
    }

    /// Returns the body as text.
    ///
    /// # Panics
    ///
    /// If it is not UTF-8.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("the body is text")
    }

    /// Returns the body as JSON.
    ///
    /// # Panics
    ///
    /// If it is not JSON; the message contains the body.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }
}
