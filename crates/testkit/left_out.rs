//! Prints which tests of a package were left out. Each package that has such tests builds this as a test
//! target without a harness, so that `cargo test` shows it.

#![expect(clippy::print_stdout, reason = "printing is its purpose")]

const PACKAGE: &str = env!("CARGO_PKG_NAME");

#[cfg(feature = "external-tests")]
fn main() {
    println!("{PACKAGE}: no test was left out");
}

#[cfg(not(feature = "external-tests"))]
fn main() {
    println!(
        "
{PACKAGE}: LEFT OUT, because they start programs that cargo does not install: {}
To install those programs and to run every test: make test
",
        left_out()
    );
}

#[cfg(not(feature = "external-tests"))]
fn left_out() -> &'static str {
    match PACKAGE {
        "checkin" => {
            "
  - everything on Redis (redis-server), also on Sentinel and Cluster
  - what is shared with Express services (node, npm)
  - the Postman collection (newman), the API's document (schemathesis, redocly, chromium, …)
  - metrics (promtool), GPX (xmllint), iCalendar, and the commands of the README (curl, redis-cli, make)"
        }
        "tower-express-session" => {
            "
  - the store in Redis (redis-server), also on Sentinel and Cluster, and its cache
  - the comparison with express-session, and what is shared with Express services (node, npm)"
        }
        _ => "everything on Redis (redis-server)",
    }
}
