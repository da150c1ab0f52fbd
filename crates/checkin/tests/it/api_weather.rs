//! The weather: a service of the test plays OpenWeatherMap.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use testkit::Stream;

use crate::harness::{PATIENCE, Service, Site, problem_flaw};

const KEY: &str = "hunter2-of-the-weather";

/// What the weather service does.
#[derive(Clone, Copy)]
enum Manner {
    Well,
    Redirects,
    Refuses,
    NotJson,
    NotAnObject,
    TooLong,
    Never,
}

/// A weather service, and how often it was asked.
struct Sky {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Sky {
    async fn new(manner: Manner) -> Sky {
        let asked = Arc::new(AtomicUsize::new(0));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/weather?lang=en", listener.local_addr().unwrap());
        let count = Arc::clone(&asked);
        let router = Router::new().fallback(async move |request: Request| {
            count.fetch_add(1, Ordering::SeqCst);
            let query = request.uri().query().unwrap_or_default().to_owned();
            answer(manner, query).await
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Sky { url, asked }
    }

    fn api(&self, site: &Site) -> Service {
        site.api(&["--weather-url", &self.url, "--weather-key", KEY])
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(manner: Manner, query: String) -> Response {
    match manner {
        Manner::Well => {
            // Most of the requests come meanwhile. Those that a busy machine sends later find the answer stored, and
            // must not ask again either.
            tokio::time::sleep(Duration::from_millis(300)).await;
            axum::Json(json!({"main": {"temp": 57.2}, "query": query})).into_response()
        }
        Manner::Redirects => Redirect::temporary("/elsewhere").into_response(),
        Manner::Refuses => (StatusCode::UNAUTHORIZED, r#"{"cod":401}"#).into_response(),
        Manner::NotJson => "<html>".into_response(),
        Manner::NotAnObject => "[1]".into_response(),
        Manner::TooLong => Body::from(vec![b' '; 10 << 20]).into_response(),
        Manner::Never => std::future::pending().await,
    }
}

#[tokio::test]
async fn many_ask_and_one_is_asked_on_sqlite() {
    many_ask_and_one_is_asked(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn many_ask_and_one_is_asked_on_redis() {
    let site = Site::redis();
    many_ask_and_one_is_asked(&site).await;
    let ttl: i64 = site.redis_cli(&["TTL", "ncc:weather:5"]);
    assert!((3500..=3600).contains(&ttl), "{ttl}");
}

async fn many_ask_and_one_is_asked(site: &Site) {
    let sky = Sky::new(Manner::Well).await;
    let api = sky.api(site);
    let asks = (0..100).map(|_| {
        let mut client = api.client();
        tokio::spawn(async move { client.get("/api/location/5/weather").await })
    });
    for answer in asks.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        let weather = answer.json();
        assert_eq!(weather["main"]["temp"], 57.2);
        let query = weather["query"].as_str().unwrap();
        for part in ["lang=en", "units=imperial", "lat=37.7", "lon=-122.4", &format!("appid={KEY}")]
        {
            assert!(query.contains(part), "{query}");
        }
    }
    assert_eq!(sky.asked(), 1);
    assert_eq!(api.client().get("/api/location/6/weather").await.status, 200);
    assert_eq!(sky.asked(), 2);
    // The store remembers, for every process.
    let other = sky.api(site);
    assert_eq!(other.client().get("/api/location/5/weather").await.status, 200);
    assert_eq!(sky.asked(), 2);
}

#[tokio::test]
async fn what_is_not_the_weather_is_not_passed_on() {
    for manner in
        [Manner::Redirects, Manner::Refuses, Manner::NotJson, Manner::NotAnObject, Manner::TooLong]
    {
        let site = Site::sqlite();
        let sky = Sky::new(manner).await;
        let api = sky.api(&site);
        for _ in 0..3 {
            let response = api.client().get("/api/location/5/weather").await;
            assert_eq!(problem_flaw(&response, 502, &[]), None);
            assert_eq!(response.header("retry-after"), Some("10"));
        }
        assert_eq!(sky.asked(), 1, "a service in trouble is not asked again and again");
        never_names_the_key(&api);
    }
}

#[tokio::test]
async fn a_weather_service_that_does_not_answer_is_given_up_on() {
    let site = Site::sqlite();
    let sky = Sky::new(Manner::Never).await;
    let api = sky.api(&site);
    let started = Instant::now();
    let response = api.client().get("/api/location/5/weather").await;
    assert_eq!(problem_flaw(&response, 503, &[]), None);
    let waited = started.elapsed();
    // Not at once, and long before the request would run into its own limit on an idle machine.
    assert!((4..60).contains(&waited.as_secs()), "{waited:?}");
    never_names_the_key(&api);
    assert_eq!(api.client().get("/api/location/5").await.status, 200);
}

#[tokio::test]
async fn without_a_key_there_is_no_weather() {
    let site = Site::sqlite();
    let api = site.api(&[]);
    let response = api.client().get("/api/location/5/weather").await;
    assert_eq!(problem_flaw(&response, 503, &[]), None);
    assert!(response.text().contains("no key"), "{}", response.text());
    let help = site.run("api", &["--help"]);
    assert!(help.stdout.contains("--weather-key"), "{}", help.stdout);
    let wrong = site.run("api", &["--weather-url", "file:///etc/passwd"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}

fn never_names_the_key(api: &Service) {
    // The line is on its way when the answer has come.
    api.program.wait_for_line("the weather service", PATIENCE);
    for stream in [Stream::Stdout, Stream::Stderr] {
        let text = api.program.text(stream);
        assert!(!text.contains(KEY), "{text}");
    }
}
