//! Measures the latency of the API, with one request at a time.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use testkit::{Client, Program};

use crate::population::{PASSWORD, address};
use crate::process;
use crate::site::Site;

const PATIENCE: Duration = Duration::from_secs(60);

/// The user who sends the requests.
const USER: u64 = 77;

pub async fn time(site: &Site, users: u64, requests: usize) -> Result<()> {
    let (auth, api) = (site.run("auth", &[]), site.run("api", &[]));
    let memory = || -> Result<[f64; 2]> {
        Ok([process::resident_mib(auth.pid())?, process::resident_mib(api.pid())?])
    };
    let mut client = client(&auth, "Authentication service listening on port ");
    let login = json!({"email": address(USER), "password": PASSWORD});
    ensure!(client.post("/login", &login).await.status == 200);
    let cookies = client.jar().clone();
    let mut client = self::client(&api, "API service listening on port ");
    *client.jar_mut() = cookies;

    let idle = memory()?;

    println!("\n| route | median ms | p99 ms |\n| --- | ---: | ---: |");
    let end = 9_000_000_000_000_u64;
    for path in [
        "/api/user/{user}".to_owned(),
        "/api/users/recent".to_owned(),
        "/api/users/bycheckins".to_owned(),
        "/api/users/bycheckins?period=week".to_owned(),
        "/api/users/at/{location}".to_owned(),
        format!("/api/user/{USER}/checkins"),
        format!("/api/user/{USER}/statistics"),
        "/api/location/{location}?withDetails=true".to_owned(),
        "/api/location/{location}/visitors".to_owned(),
        "/api/locations/bycategory/cafe".to_owned(),
        "/api/locations/bycheckins".to_owned(),
        "/api/locations/37.8/-122.27/5?minStars=2".to_owned(),
        "/api/locations/search?q=co".to_owned(),
        format!("/api/checkins/0/{end}?limit=20"),
        "/api/checkins/latest".to_owned(),
    ] {
        let mut times = Vec::with_capacity(requests);
        for number in 0..requests as u64 {
            let user = number * 7_919 % users + 1;
            let path = path.replace("{user}", &user.to_string());
            let path = path.replace("{location}", &(number % 220 + 1).to_string());
            let started = Instant::now();
            let answer = client.get(&path).await;
            times.push(started.elapsed());
            ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
        }
        times.sort_unstable();
        let ms = |part: usize| {
            times[(times.len() * part / 100).min(times.len() - 1)].as_secs_f64() * 1000.0
        };
        println!("| `{path}` | {:.2} | {:.2} |", ms(50), ms(99));
    }
    let [idle, used] = [idle, memory()?].map(|[auth, api]| format!("auth {auth:.1}, api {api:.1}"));
    println!("\nresident memory in MiB after a login: {idle}; after the requests: {used}\n");
    Ok(())
}

fn client(program: &Program, ready: &str) -> Client {
    let line = program.wait_for_line(ready, PATIENCE);
    let port = line.trim_end_matches('.').rsplit(' ').next().unwrap_or_default();
    Client::new(format!("http://127.0.0.1:{port}"))
}
