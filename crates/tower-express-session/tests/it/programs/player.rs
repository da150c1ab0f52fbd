//! One side of a run: its server, its cookie jars, and the ids that have appeared.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use testkit::{Client, Method, Response};

use super::Post;
use super::observe::{Observation, observe};
use super::pair::Side;
use super::placeholder::{Ids, expand};

pub(crate) struct Player<'a> {
    side: &'a mut Side,
    jars: HashMap<String, Client>,
    ids: Ids,
    now_ms: i64,
}

/// A request to one side, ready to be sent from any task.
#[derive(Debug)]
pub(crate) struct Request {
    client: Client,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// How long a jar keeps a cookie beyond its expiry. Otherwise it would depend on the exact time
/// whether a cookie that lasts for one second is still sent; the server must detect the expiry.
const COOKIE_GRACE: Duration = Duration::from_secs(3);

impl<'a> Player<'a> {
    /// Starts with an empty database. `now_ms` is the value of `now` in the program.
    pub(crate) fn new(side: &'a mut Side, now_ms: i64) -> Player<'a> {
        redis::cmd("FLUSHDB").exec(&mut side.redis).expect("a database can be emptied");
        Player { side, jars: HashMap::new(), ids: Ids::default(), now_ms }
    }

    pub(crate) fn redis(&mut self, words: &[String]) -> redis::RedisResult<()> {
        let words: Vec<String> = words.iter().map(|word| self.expand(word)).collect();
        let (name, args) = words.split_first().expect("a command has a name");
        redis::cmd(name).arg(args).exec(&mut self.side.redis)
    }

    /// Returns the request with the current cookies of its jar.
    pub(crate) fn prepare(&mut self, post: &Post) -> Request {
        let mut headers: Vec<(String, String)> =
            post.headers.iter().map(|(name, text)| (name.clone(), self.expand(text))).collect();
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        let client = self.jar(post).clone();
        if !brings_cookies(post) {
            headers.extend(client.jar().header().map(|cookies| ("cookie".to_owned(), cookies)));
        }
        Request { client, path: post.path.clone(), headers, body: self.body(post) }
    }

    /// Stores the cookies of a response in the jar.
    pub(crate) fn take(&mut self, post: &Post, response: &Response) {
        if brings_cookies(post) {
            return;
        }
        let now = SystemTime::now() - COOKIE_GRACE;
        let jar = self.jar(post).jar_mut();
        response.set_cookies().iter().for_each(|line| jar.take(line, now));
    }

    pub(crate) fn observe(&mut self, answers: &[(&Post, Response)]) -> Observation {
        observe(self.side, &mut self.ids, answers).expect("Redis answers")
    }

    fn jar(&mut self, post: &Post) -> &mut Client {
        self.jars.entry(post.jar.clone()).or_insert_with(|| self.side.client.clone())
    }

    fn expand(&self, text: &str) -> String {
        expand(text, &self.ids, &self.side.settings, self.now_ms)
    }

    /// Only `cookie.set` may contain times; elsewhere a `<` is an ordinary character.
    fn body(&self, post: &Post) -> String {
        let operations = post
            .operations
            .iter()
            .map(|text| if text.contains("\"<now") { self.expand(text) } else { text.clone() });
        format!("[{}]", operations.collect::<Vec<_>>().join(","))
    }
}

/// Returns whether the request has its own `Cookie` header and so does not use the jar.
fn brings_cookies(post: &Post) -> bool {
    post.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("cookie"))
}

impl Request {
    pub(crate) async fn send(self) -> Result<Response, String> {
        let Request { mut client, path, headers, body } = self;
        // The headers already contain the jar's cookies.
        let mut request = client.request(Method::POST, &path).body(body).without_jar();
        for (name, value) in headers {
            request = request.header(&name, value);
        }
        request.try_send().await.map_err(|error| format!("no answer: {error:?}"))
    }
}
