//! Comments on check-ins.

use serde_json::{Value, json};
use testkit::{Client, Method, Response};

use crate::api_stream::Events;
use crate::harness::{CHECKIN, EMAIL, Site, accepted, at, expect_problem};

/// Looks like a formula and like an element.
const COMMENT: &str = "=1 <b>Zo\u{eb}</b> says \"hi\"";

/// A check-in at a location with this comment.
fn remarked(location: u64, comment: &str) -> Value {
    json!({"userId": 77, "locationId": location, "starRating": 4, "comment": comment})
}

async fn with_key(client: &mut Client, body: &Value) -> Response {
    client.request(Method::POST, CHECKIN).header("idempotency-key", "k").json(body).send().await
}

/// Checks in twice, the first time with a comment.
async fn a_comment_is_shown_with_its_check_in(site: &Site) {
    let console = site.console(&[]);
    let mut al = console.logged_in().await;
    let mut events = Events::open(&console, &al, None);
    events.start();
    // In another normal form, which is the same text.
    let decomposed = remarked(5, &COMMENT.replace('\u{eb}', "e\u{308}"));
    let id = accepted(&with_key(&mut al, &decomposed).await);
    assert_eq!(events.next().unwrap().checkin["comment"], COMMENT);
    assert_eq!(accepted(&with_key(&mut al, &remarked(5, COMMENT)).await), id);
    for other in [at(5, 4), remarked(5, "other")] {
        expect_problem(&with_key(&mut al, &other).await, 422, &["Idempotency-Key"]);
        assert_eq!(al.post(CHECKIN, &other).await.status, 422, "a duplicate");
    }
    accepted(&al.post(CHECKIN, &at(6, 4)).await);
    let plain = events.next().unwrap().checkin;
    assert!(plain["locationId"] == 6 && plain.get("comment").is_none(), "{plain}");

    site.count_all();
    let since = id.split('-').next().unwrap();
    for path in [
        "/api/checkins/latest?limit=2".to_owned(),
        format!("/api/checkins/{since}/9007199254740991"),
        "/api/user/77/checkins?limit=2".to_owned(),
        "/api/location/5/visitors?limit=1".to_owned(),
    ] {
        let list = al.get(&path).await.json();
        let comments = list.as_array().unwrap().iter().filter_map(|it| it.get("comment"));
        assert_eq!(comments.collect::<Vec<_>>(), [COMMENT], "{path}: {list}");
    }
    let escaped = "<q>=1 &#60;b&#62;Zo\u{eb}&#60;/b&#62; says &#34;hi&#34;</q>";
    for path in ["/", "/me", "/places/5"] {
        let page = al.get(path).await;
        let page = page.text();
        assert!(page.contains(escaped) && !page.contains("<b>Zo"), "{path}: {page}");
    }

    let export = |format: &str| site.run("export", &["--user", EMAIL, "--format", format]).stdout;
    assert!(export("csv").contains(",4,\"'=1 <b>Zo\u{eb}</b> says \"\"hi\"\"\""));
    assert!(export("gpx").contains("<cmt>=1 &lt;b&gt;"));
    let text = export("csv");
    let file = site.directory.path().join("al.csv");
    std::fs::write(&file, text).unwrap();
    let again = site.run("load", &[file.to_str().unwrap()]);
    assert!(again.stdout.contains("check-ins: 0 loaded"), "{}{}", again.stdout, again.stderr);
}

#[tokio::test]
async fn a_comment_is_shown_with_its_check_in_on_sqlite() {
    a_comment_is_shown_with_its_check_in(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_comment_is_shown_with_its_check_in_on_redis() {
    let site = Site::redis();
    a_comment_is_shown_with_its_check_in(&site).await;
    // Programs of others read the log: an entry without a comment is what it always was.
    let last: Vec<(String, Vec<String>)> =
        site.redis_cli(&["XREVRANGE", "ncc:checkins", "+", "-", "COUNT", "2"]);
    let fields = ["userId", "77", "locationId", "6", "starRating", "4"];
    assert_eq!(last[0].1, fields);
    let fields = ["userId", "77", "locationId", "5", "starRating", "4", "comment", COMMENT];
    assert_eq!(last[1].1, fields);
}

/// What another program calls a comment may be anything.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_text_of_another_program_that_is_no_comment_is_not_shown() {
    let site = Site::redis();
    let long = "é".repeat(201);
    for comment in ["", " a\nb", &long, "fine"] {
        let words = ["XADD", "ncc:checkins", "*", "userId", "77", "locationId", "5", "starRating"];
        let _: String = site.redis_cli(&[&words[..], &["1", "comment", comment]].concat());
    }
    site.count_all();
    let console = site.console(&[]);
    let mut al = console.logged_in().await;
    let list = al.get("/api/user/77/checkins?limit=4").await.json();
    let comments: Vec<_> =
        list.as_array().unwrap().iter().map(|it| it["comment"].clone()).collect();
    assert_eq!(comments, [json!("fine"), Value::Null, Value::Null, Value::Null]);
}

#[tokio::test]
async fn a_comment_must_be_a_short_line() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut al = console.logged_in().await;
    for (comment, rule) in [
        (json!(""), "must not be empty"),
        (json!(" a"), "must not begin or end with a blank"),
        (json!("a\nb"), "must not contain control characters"),
        (json!("a\u{202e}b"), "must not contain characters that change the direction of text"),
        (json!("é".repeat(201)), "must be at most 200 characters long"),
        (json!(5), "must be a text"),
    ] {
        let body = json!({"userId": 77, "locationId": 5, "starRating": 4, "comment": comment});
        let refused = al.post(CHECKIN, &body).await;
        expect_problem(&refused, 400, &["comment"]);
        assert_eq!(refused.json()["errors"][0]["rule"], rule);
    }
    let none = json!({"userId": 77, "locationId": 5, "starRating": 4, "comment": null});
    accepted(&al.post(CHECKIN, &none).await);
    accepted(&al.post(CHECKIN, &remarked(6, &"e\u{301}".repeat(200))).await);

    // The form of the page has a field of several lines.
    let form = async |client: &mut Client, fields: &str| {
        let request = client.request(Method::POST, "/places/7");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(fields).send().await
    };
    let refused = form(&mut al, "starRating=3&comment=a%E2%80%AE%3Cb").await;
    assert_eq!(refused.status, 400);
    let page = refused.text();
    assert!(page.contains("The comment must not contain characters that change"), "{page}");
    assert!(page.contains("\u{202e}&#60;b</textarea>"), "the text is not lost: {page}");
    let done = form(&mut al, "starRating=3&comment=+two%0D%0A++lines+").await;
    assert_eq!(done.status, 303, "{}", done.text());
    let latest = al.get("/api/checkins/latest?limit=1").await.json();
    assert_eq!(latest[0]["comment"], "two lines");
    assert_eq!(form(&mut al, "starRating=4&comment=++").await.status, 303);
    assert!(al.get("/api/checkins/latest?limit=1").await.json()[0].get("comment").is_none());
}
