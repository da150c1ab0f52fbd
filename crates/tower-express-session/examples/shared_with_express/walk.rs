//! The steps of the example, alternating between both services.

use std::time::Duration;

use redis::Commands as _;
use testkit::{Client, Express, Method, RedisServer};

/// One browser. It sends the same cookies to both services, because cookies do not depend on the
/// port.
struct Browser {
    express: Client,
    rust: Client,
    all_well: bool,
}

#[derive(Clone, Copy)]
enum Service {
    Express,
    Rust,
}
use Service::{Express as Node, Rust};

/// Sends requests to both services. Returns whether each response was the expected one.
pub(crate) async fn walk(redis: &RedisServer, express: &mut Express, rust: &str) -> bool {
    let (at_express, at_rust) = (Client::new(express.url()), Client::new(rust));
    let mut browser = Browser { express: at_express, rust: at_rust, all_well: true };

    println!("Log in at Express: Rust knows the user");
    browser.expect(Node, "POST /login/al", "welcome, al").await;
    browser.expect(Rust, "GET /me", "al").await;

    println!("Each service sees the attributes that the other one stored");
    browser.expect(Rust, "POST /cart/tea", "tea").await;
    browser.expect(Node, "POST /cart/milk", "tea, milk").await;
    browser.expect(Rust, "POST /cart/sugar", "tea, milk, sugar").await;
    show(redis, "sess:*");

    println!("Log out at Express: Rust no longer knows the user");
    browser.expect(Node, "POST /logout", "bye").await;
    browser.expect(Rust, "GET /me", "nobody").await;

    println!("Log in at Rust: Express knows the user");
    browser.expect(Rust, "POST /login/berta", "welcome, berta").await;
    browser.expect(Node, "GET /me", "berta").await;

    println!("Log out at Rust while Express handles a request of the same session");
    let mut slow = browser.express.clone();
    let slow = tokio::spawn(async move { slow.request(Method::POST, "/slow").send().await });
    tokio::task::block_in_place(|| {
        express.program().wait_for_line("slow request in progress", Duration::from_secs(10))
    });
    let cookies = browser.rust.jar().clone();
    browser.expect(Rust, "POST /logout", "bye").await;
    browser.expect(Node, "GET /me", "nobody").await;

    println!("Express finishes its request and writes the session back: Rust does not accept it");
    browser.expect(Node, "POST /finish", "OK").await;
    browser.all_well &= slow.await.is_ok_and(|response| response.text() == "done");
    show(redis, "*sess:*");
    *browser.rust.jar_mut() = cookies;
    browser.expect(Rust, "GET /me", "nobody").await;
    show(redis, "*sess:*");
    browser.expect(Node, "GET /me", "nobody").await;
    browser.all_well
}

impl Browser {
    /// Sends a request, prints the response, and records whether it is the expected one.
    async fn expect(&mut self, service: Service, request: &str, expected: &str) {
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let (name, here, there) = match service {
            Node => ("Express", &mut self.express, &mut self.rust),
            Rust => ("Rust", &mut self.rust, &mut self.express),
        };
        let response = here.request(method, path).send().await;
        *there.jar_mut() = here.jar().clone();
        let answer = format!("{} {}", response.status, response.text());
        let is_right = answer == format!("200 {expected}");
        let verdict = if is_right { String::new() } else { format!("   must be {expected}") };
        println!("  {name:<8} {request:<18} {answer}{verdict}");
        self.all_well &= is_right;
    }
}

/// Prints the matching keys of Redis with their values.
fn show(redis: &RedisServer, pattern: &str) {
    let mut connection = redis.connection();
    let keys: Vec<String> = connection.keys(pattern).unwrap_or_default();
    for key in keys {
        let value: String = connection.get(&key).unwrap_or_default();
        println!("  Redis    {key} = {value}");
    }
}
