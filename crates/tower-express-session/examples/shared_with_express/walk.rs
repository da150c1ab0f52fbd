//! The walk through both services.

use std::time::Duration;

use redis::Commands as _;
use testkit::{Client, Express, Method, RedisServer};

/// One browser. To it, services on one host are one site: both get the same cookies.
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

/// Visits both services in turn. Returns whether each answered as it should.
pub(crate) async fn walk(redis: &RedisServer, express: &mut Express, rust: &str) -> bool {
    let (at_express, at_rust) = (Client::new(express.url()), Client::new(rust));
    let mut browser = Browser { express: at_express, rust: at_rust, all_well: true };

    println!("Log in at Express, be known at Rust");
    browser.expect(Node, "POST /login/al", "welcome, al").await;
    browser.expect(Rust, "GET /me", "al").await;

    println!("Each sees what the other put into the session");
    browser.expect(Rust, "POST /cart/tea", "tea").await;
    browser.expect(Node, "POST /cart/milk", "tea, milk").await;
    browser.expect(Rust, "POST /cart/sugar", "tea, milk, sugar").await;
    show(redis, "sess:*");

    println!("Log out at Express, be nobody at Rust");
    browser.expect(Node, "POST /logout", "bye").await;
    browser.expect(Rust, "GET /me", "nobody").await;

    println!("Log in at Rust, be known at Express");
    browser.expect(Rust, "POST /login/berta", "welcome, berta").await;
    browser.expect(Node, "GET /me", "berta").await;

    println!("Log out at Rust while Express is busy with a request of the same session");
    let mut slow = browser.express.clone();
    let slow = tokio::spawn(async move { slow.request(Method::POST, "/slow").send().await });
    tokio::task::block_in_place(|| {
        express.program().wait_for_line("slow request under way", Duration::from_secs(10))
    });
    let cookies = browser.rust.jar().clone();
    browser.expect(Rust, "POST /logout", "bye").await;
    browser.expect(Node, "GET /me", "nobody").await;

    println!("Express ends its request, and writes the session back: Rust does not take it");
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
    /// Makes a request, prints its response, and records whether it is the expected one.
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
        let verdict = if is_right { String::new() } else { format!("   should be {expected}") };
        println!("  {name:<8} {request:<18} {answer}{verdict}");
        self.all_well &= is_right;
    }
}

/// Prints keys of Redis with their values.
fn show(redis: &RedisServer, pattern: &str) {
    let mut connection = redis.connection();
    let keys: Vec<String> = connection.keys(pattern).unwrap_or_default();
    for key in keys {
        let value: String = connection.get(&key).unwrap_or_default();
        println!("  Redis    {key} = {value}");
    }
}
