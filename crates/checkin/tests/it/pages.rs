//! The pages of the console: in a real browser, and as clients see them.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use testkit::{Client, Method, Program, Response, Stream};

use crate::harness::{
    COOKIE, EMAIL, PASSWORD, PATIENCE, Site, USER, expect_plain, expect_problem, log_in,
};

async fn form(client: &mut Client, path: &str, fields: &str) -> Response {
    let request = client.request(Method::POST, path);
    request.header("content-type", "application/x-www-form-urlencoded").body(fields).send().await
}

async fn logged_in(client: &mut Client) {
    let fields = format!("email={EMAIL}&password={PASSWORD}&next=%2Fplaces%2F5");
    let answer = form(client, "/log-in", &fields).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/places/5")));
}

/// Returns the address of a user of the demo.
fn email_of(site: &Site, id: usize) -> String {
    let listed = site.run("users", &["list", "--json"]).stdout;
    let user: serde_json::Value =
        serde_json::from_str(listed.lines().nth(id - 1).unwrap()).unwrap();
    user["email"].as_str().unwrap().to_owned()
}

/// Lets a new person use the console in a browser, on a store with the demo data.
#[cfg(feature = "external-tests")]
fn live_the_story(site: &Site, settings: &[(&str, &str)]) {
    let (_up, [.., (_, console)]) = site.up_everywhere(&[]);
    live("story.js", &[&[("CONSOLE", &*console)], settings].concat());
}

/// Runs a story in a browser.
#[cfg(feature = "external-tests")]
fn live(story: &str, settings: &[(&str, &str)]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../console");
    let mut node = Command::new("node");
    node.current_dir(directory).arg(story).envs(settings.iter().copied());
    let mut story = Program::spawn(node);
    let status = story.wait(10 * PATIENCE);
    let (said, failed) = (story.text(Stream::Stdout), story.text(Stream::Stderr));
    assert!(status.success(), "{said}{failed}");
    assert_eq!(said.trim(), "[]", "what is wrong with the pages");
}

#[cfg(feature = "external-tests")]
#[test]
fn a_new_person_finds_the_way_on_sqlite() {
    live_the_story(&Site::sqlite(), &[]);
}

#[cfg(feature = "external-tests")]
#[test]
fn a_new_person_finds_the_way_on_redis() {
    live_the_story(&Site::redis(), &[("INSPECT", "off")]);
}

#[cfg(feature = "external-tests")]
#[test]
fn a_new_person_finds_the_way_without_scripts() {
    live_the_story(&Site::sqlite(), &[("SCRIPTS", "off")]);
}

/// With an authenticator app, recovery codes, a passkey of the browser, and the link of a message.
#[cfg(feature = "external-tests")]
#[test]
fn an_account_has_a_second_factor() {
    let (site, messages) = (Site::sqlite(), tempfile::tempdir().unwrap());
    let path = messages.path().to_str().unwrap();
    let deliver = format!("{path}/deliver.sh");
    std::fs::write(&deliver, format!("cat >'{path}/part' && mv '{path}/part' '{path}/1.mail'\n"))
        .unwrap();
    let port = testkit::free_port();
    let (listen, origin) = (format!("127.0.0.1:{port}"), format!("http://localhost:{port}"));
    let command = format!("/bin/sh {deliver}");
    let mail = ["--mail-command", &command, "--mail-from", "checkin@sender.example"];
    let _console =
        site.console(&[&["--listen", &*listen, "--public-url", &origin][..], &mail].concat());
    // Nobody changes the demo account at the console.
    let email = email_of(&site, 80);
    let account = [("EMAIL", &*email), ("PASSWORD", PASSWORD), ("MESSAGES", path)];
    live("factors.js", &[&[("CONSOLE", &*origin)][..], &account].concat());
}

/// With a mouse, fingers and keys, and with tiles of another server.
#[cfg(feature = "external-tests")]
#[test]
fn a_map_is_moved_and_has_tiles() {
    let (site, tiles) = (Site::sqlite(), testkit::free_port().to_string());
    site.count_all();
    let url = format!("http://127.0.0.1:{tiles}/{{z}}/{{x}}/{{y}}.png");
    let console = site.console(&["--map-tiles-url", &url, "--map-attribution", "© the tests"]);
    let address = format!("http://127.0.0.1:{}", console.port());
    let people = [("EMAIL", EMAIL), ("PASSWORD", PASSWORD), ("TILES", &*tiles)];
    live("map-story.js", &[&[("CONSOLE", &*address)][..], &people].concat());
}

#[test]
fn tiles_have_a_server_of_their_own() {
    let site = Site::sqlite();
    for (flags, says) in [
        (&["--map-attribution", "a"][..], "--map-tiles-url must be set with --map-attribution"),
        (
            &["--map-tiles-url", "https://{s}.example/{z}/{x}/{y}.png"],
            "must be an address that begins",
        ),
    ] {
        let refused = site.run("console", flags);
        assert!(refused.code != 0 && refused.stderr.contains(says), "{}", refused.stderr);
    }
}

/// Lets an operator look after a deployment in a browser. A check-in of a place that is gone is a dead letter.
#[cfg(feature = "external-tests")]
fn live_the_operators_story(settings: &[(&str, &str)]) {
    let site = Site::redis();
    assert_eq!(site.run("users", &["role", EMAIL, "operator"]).code, 0);
    let other: String = site.redis_cli(&["HGET", "ncc:user:80", "email"]);
    let entry = ["userId", "77", "locationId", "900003", "starRating", "4"];
    site.redis_cli::<()>(&[&["XADD", "ncc:checkins", "*"], &entry[..]].concat());
    site.count_all();
    let (_up, [.., (_, console)]) = site.up_everywhere(&[]);
    let people =
        [("CONSOLE", &*console), ("EMAIL", EMAIL), ("PASSWORD", PASSWORD), ("OTHER", &other)];
    live("operator-story.js", &[&people, settings].concat());
}

#[cfg(feature = "external-tests")]
#[test]
fn an_operator_looks_after_a_deployment() {
    live_the_operators_story(&[]);
}

#[cfg(feature = "external-tests")]
#[test]
fn an_operator_looks_after_a_deployment_without_scripts() {
    live_the_operators_story(&[("SCRIPTS", "off")]);
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere_and_files_are_kept() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut client = console.client();
    let home = client.get("/").await;
    assert_eq!(home.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(home.header("cache-control"), Some("no-store"));
    let policy = home.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let html = home.text();
    assert!(!html.contains("style=") && !html.contains("onclick") && !html.contains("<script>"));
    let files: Vec<_> = html.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        let answer = client.get(file).await;
        let control = answer.header("cache-control").map(str::to_owned);
        assert_eq!(
            (answer.status, control.as_deref()),
            (200, Some("public, max-age=31536000, immutable"))
        );
        let (_, name) = file.rsplit_once('/').unwrap();
        let other = client.get(&format!("/assets/other/{name}")).await;
        assert_eq!((other.status, other.header("cache-control")), (200, Some("no-cache")));
    }
    assert_eq!(client.get("/assets/other/secret").await.status, 404);
}

#[tokio::test]
async fn a_login_leads_back_to_its_page() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut client = console.client();
    let refused = client.get("/me?cursor=a").await;
    let to = "/log-in?next=%2Fme%3Fcursor%3Da";
    assert_eq!((refused.status, refused.header("location")), (303, Some(to)));
    assert!(client.get(to).await.text().contains(r#"name="next" value="/me?cursor=a""#));
    let wrong = form(&mut client, "/log-in", &format!("email={EMAIL}&password=wrong")).await;
    assert_eq!((wrong.status, wrong.set_cookies().len()), (401, 0));
    assert!(!wrong.text().contains("value=\"wrong\""), "a password is not shown");
    logged_in(&mut client).await;
    assert_eq!(client.get("/session").await.status, 200, "the session is that of every service");
    let fields = format!("email={EMAIL}&password={PASSWORD}&next=%2F%2Fevil.example");
    assert_eq!(form(&mut client, "/log-in", &fields).await.header("location"), Some("/"));
    let out = form(&mut client, "/log-out", "").await;
    assert_eq!((out.status, out.header("location")), (303, Some("/")));
    assert_eq!(out.header("clear-site-data"), None, "without TLS");
    assert_eq!(client.get("/session").await.status, 401);
}

#[tokio::test]
async fn a_logout_over_tls_clears_what_the_browser_stored() {
    let site = Site::sqlite();
    let console = site.console(&["--trust-proxy"]);
    let mut client = console.client();
    let out = client.request(Method::POST, "/log-out").header("x-forwarded-proto", "https");
    let out = out.header("content-type", "application/x-www-form-urlencoded").send().await;
    assert_eq!(out.header("clear-site-data"), Some("\"cache\", \"storage\""));
}

/// A browser sends a cookie only below its path, so the device's cookie is set for the page of the login, too.
#[tokio::test]
async fn the_login_page_knows_the_device() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let fields = format!("email={EMAIL}&password={PASSWORD}");
    let answer = form(&mut console.client(), "/log-in", &fields).await;
    let device = |path: &str| {
        let path = format!("; Path={path}; ");
        let mut cookies = answer.set_cookies().into_iter();
        cookies.find(|line| line.starts_with("checkin_device=") && line.contains(&path)).unwrap()
    };
    let (page, service) = (device("/log-in"), device("/login"));
    assert_eq!(page.split(';').next(), service.split(';').next());
    let by_program = log_in(&mut console.client()).await;
    assert_eq!(
        by_program.set_cookies().len(),
        2,
        "programs get one cookie for the session, one for the device"
    );
}

/// What lists show others is limited for new accounts; the page of a place is not.
#[tokio::test]
async fn a_new_account_that_has_looked_at_much_can_still_check_in() {
    let site = Site::sqlite();
    let console = site.console(&["--newcomer-rate", "1", "--newcomer-time", "1d"]);
    let mut client = console.client();
    let fields = "firstName=A&lastName=B&email=a%40example.com&password=a+lighthouse+keeper+reads";
    assert_eq!(form(&mut client, "/sign-up", fields).await.status, 303);
    // One look-up brings the check-ins with the names of all who made them.
    let first = client.get("/").await;
    assert_eq!(first.text().matches("<li><b>").count(), 10, "{}", first.text());
    for _ in 0..3 {
        for path in ["/", "/places/5", "/leaders"] {
            assert_eq!(client.get(path).await.status, 200, "{path}");
        }
    }
    assert!(client.get("/places/5").await.text().contains("New accounts can look at"));
    assert_eq!(form(&mut client, "/places/5", "starRating=4").await.status, 303);
    let at_the_service = client.get("/api/checkins/latest").await;
    assert_eq!(at_the_service.status, 429);
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut client = console.client();
    logged_in(&mut client).await;
    for path in [
        "/log-in",
        "/log-out",
        "/places/5",
        "/me/password",
        "/me/sessions/end",
        "/me/delete",
        "/me/checkins/delete",
    ] {
        let request = client.request(Method::POST, path).header("sec-fetch-site", "cross-site");
        let form = request.header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(form.body("starRating=5").send().await.status, 403, "{path}");
    }
    assert_eq!(client.get("/session").await.status, 200);
}

/// The statistics describe the latest check-ins only.
#[tokio::test]
async fn your_page_has_the_number_of_all_your_check_ins() {
    let site = Site::redis();
    site.count_all();
    let console = site.console(&[]);
    let mut al = console.logged_in().await;
    let described = al.get("/api/user/77/statistics").await.json()["numCheckins"].to_string();
    let me = al.get("/me").await.text().to_owned();
    assert!(me.contains(&format!("<dt>Check-ins</dt><dd>{described}</dd>")), "{me}");
    assert!(!me.contains("The other figures"), "{me}");

    site.redis_cli::<()>(&["HSET", "ncc:user:77", "numCheckins", "150000"]);
    let me = al.get("/me").await.text().to_owned();
    assert!(me.contains("<dt>Check-ins</dt><dd>150000</dd>"), "{me}");
    let hint = format!("The other figures are those of your latest {described} check-ins.");
    assert!(me.contains(&hint), "{me}");
}

#[tokio::test]
async fn what_people_wrote_is_shown_as_text() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut client = console.client();
    let name = "%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%27";
    let fields = format!(
        "firstName={name}&lastName=x&email=x%40example.com&password=a+lighthouse+keeper+reads"
    );
    let answer = form(&mut client, "/sign-up", &fields).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    for path in [
        "/",
        "/me",
        "/places?q=%3Cscript%3Ealert(1)%22",
        "/log-in?next=%2F%22%3E%3Cscript%3Ealert(1)",
    ] {
        let page = client.get(path).await;
        assert!(!page.text().contains("<script>"), "{path}");
    }
    // What was typed into a form that is refused stands in it again.
    let refused = form(&mut client, "/sign-up", &format!("firstName={name}&password=x")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("&#60;script&#62;") && !refused.text().contains("<script>"));
}

/// The requests reach no page. Programs, which do not ask for one, get the problem document.
#[tokio::test]
async fn browsers_get_a_page_wherever_they_go() {
    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut client = console.client();
    for (method, path, body, status, says) in [
        (Method::GET, "/no/such/page", "", 404, "There is no such page"),
        (Method::GET, "/places?q=%ff", "", 400, "The form must be UTF-8"),
        (Method::GET, "/api/location/x", "", 400, "Id must be"),
        (Method::POST, "/map", "", 405, "This did not work"),
        (Method::POST, "/log-in", "email=%ff", 400, "The form must be UTF-8"),
        (Method::POST, "/log-in", "email=a&email=b", 400, "with each field once"),
    ] {
        for accept in [BROWSER, "*/*"] {
            let request = client.request(method.clone(), path).header("accept", accept);
            let request = request.header("content-type", "application/x-www-form-urlencoded");
            let answer = request.body(body.to_owned()).send().await;
            let (kind, text) = (answer.header("content-type").unwrap_or_default(), answer.text());
            assert_eq!(answer.status, status, "{path}");
            if accept == BROWSER {
                assert_eq!(kind, "text/html; charset=utf-8", "{path}");
                assert!(text.contains(says) && text.contains("</html>"), "{path}: {text}");
                let policy = answer.header("content-security-policy").unwrap();
                assert!(policy.contains("style-src 'self'"), "{path}: {policy}");
                assert_eq!(answer.header("vary"), Some("accept"), "{path}");
            } else {
                assert_eq!(kind, "application/problem+json", "{path}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn bad_input_gets_a_page_that_says_why() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut client = console.client();
    logged_in(&mut client).await;
    for (path, status, says) in [
        ("/places/0", 400, "Id must be"),
        ("/places/x%2Fdetails", 400, "Id must be"),
        ("/places/999999", 404, "There is no such location"),
        ("/places?lat=91&lng=0", 400, "Lat must be"),
        ("/places?q=%E2%80%8B", 400, "Q must "),
        ("/places?minStars=6&openNow=1", 400, "MinStars must be"),
        ("/me?cursor=x", 400, "Cursor must be"),
        ("/map?lat=86&lng=0&zoom=3", 400, "Lat must be a number"),
        ("/map?lat=0&lng=0&zoom=16", 400, "Lat must be a number"),
        ("/map?lat=NaN&lng=0&zoom=1", 400, "Lat must be a number"),
        ("/map?lat=0", 400, "Lat must be a number"),
    ] {
        let page = client.get(path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.text().contains(says), "{path}: {}", page.text());
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    }
    for (path, fields, status) in [
        ("/places/5", "starRating=6", 400),
        ("/places/5", "", 400),
        ("/places/999999", "starRating=5", 404),
        ("/me/audience", "audience=everybody", 400),
        ("/operator/sessions", "account=80&action=disable", 403),
        ("/me/sessions/end", "handle=none", 403),
        ("/me/sessions/end", "handle=", 400),
        ("/log-in/second-factor", "pendingLogin=x&code=123456", 401),
        ("/log-in/second-factor", "pendingLogin=x&passkey=none", 400),
        ("/log-in/forgotten", "email=al.appelhof%40example.com", 404),
        ("/log-in/reset", "token=x&newPassword=a+lighthouse+keeper", 404),
        ("/sign-up/confirm", "token=x", 404),
        ("/me/delete", "currentPassword=wrong", 400),
        ("/me/checkins/delete", "id=1-0", 404),
        ("/me/checkins/delete", "id=..%2Flogin", 400),
        ("/me/second-factor/totp/confirm", "code=123456", 400),
        ("/me/second-factor/passkeys/remove", "handle=a%2Fb&currentPassword=x", 404),
    ] {
        assert_eq!(form(&mut client, path, fields).await.status, status, "{path} {fields}");
    }
}

#[tokio::test]
async fn a_check_in_from_a_page_is_that_of_the_receiver() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut client = console.client();
    let anonymous = form(&mut client, "/places/5", "starRating=4").await;
    assert_eq!(
        (anonymous.status, anonymous.header("location")),
        (303, Some("/log-in?next=%2Fplaces%2F5"))
    );
    logged_in(&mut client).await;
    let done = form(&mut client, "/places/5", "starRating=4").await;
    assert_eq!((done.status, done.header("location")), (303, Some("/places/5")));
    let page = client.get("/places/5").await.text().to_string();
    assert!(page.contains("You have checked in. Your rating: 4 of 5 stars."), "{page}");
    let latest = client.get("/api/checkins/latest?limit=1").await.json();
    assert_eq!(
        (&latest[0]["userId"], &latest[0]["locationId"], &latest[0]["starRating"]),
        (&json!(USER), &json!(5), &json!(4))
    );
    let again = form(&mut client, "/places/5", "starRating=4").await;
    assert_eq!(again.status, 422);
    assert!(again.text().contains("a moment ago"));
}

async fn step(client: &mut Client, number: u8) -> String {
    let answer = form(client, "/walk-through", &format!("step={number}")).await;
    assert_eq!(answer.status, 200, "{number}: {}", answer.text());
    // What askama escapes.
    answer.text().replace("&#34;", "\"")
}

/// The walk-through with real requests: `key` is what stands before a session's id in the store.
async fn walk_through(site: &Site, key: &str) {
    let console = site.console(&["--checkin-rate", "0", "--duplicate-window", "0"]);
    let mut client = console.client();
    assert!(client.get("/").await.text().contains("See how it works"));
    assert!(step(&mut client, 1).await.contains("401 Unauthorized\n\nAuthentication required."));
    assert_eq!(client.get("/session").await.status, 401);
    let told = step(&mut client, 2).await;
    assert_eq!(client.get("/session").await.status, 200, "the visitor has the session");
    let (_, signed) = client.jar().get(COOKIE).unwrap().split_once("s%3A").unwrap();
    let id = signed.split('.').next().unwrap().to_owned();
    let shown = &id[..4];
    assert!(told.contains(&format!("Set-Cookie: checkinapp=s%3A{shown}…; Path=/; HttpOnly")));
    let told = step(&mut client, 3).await;
    let value = r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"user":"al.appelhof@example.com"}"#;
    assert!(told.contains(&format!("<pre>{key}{shown}…</pre>")) && told.contains(value), "{told}");
    let seconds = told.split_once("data-seconds>").unwrap().1.split_once('<').unwrap().0;
    assert!((86_000..=86_400).contains(&seconds.parse().unwrap()), "{seconds}");
    assert!(!told.contains(&id), "the whole id");
    assert!(step(&mut client, 4).await.contains("<pre>202 Accepted\n"));
    let kept = client.clone();
    let told = step(&mut client, 5).await;
    assert!(told.contains("200 OK\nSet-Cookie: checkinapp=;") && told.contains("OK"), "{told}");
    assert!(told.contains("There is nothing under this key."), "{told}");
    assert!(told.contains("with the password secret123"), "{told}");
    assert_eq!(client.get("/session").await.status, 401);
    // Without the session there is nothing to see.
    for mut gone in [kept, console.client()] {
        let told = form(&mut gone, "/walk-through", "step=3").await;
        let is_empty = told.status == 303 || told.text().contains("nothing under this key");
        assert!(is_empty, "{} {}", told.status, told.text());
    }
    for fields in ["step=0", "step=6", "step=x", ""] {
        assert_eq!(form(&mut client, "/walk-through", fields).await.status, 400, "{fields}");
    }
}

#[tokio::test]
async fn the_walk_through_is_real_on_sqlite() {
    walk_through(&Site::sqlite(), "sessions, id ").await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn the_walk_through_is_real_on_redis() {
    walk_through(&Site::redis(), "ncc:session:").await;
}

/// It shows the sessions of the demo account alone, and only while everybody can log in to that.
#[tokio::test]
async fn the_walk_through_needs_the_demo_account() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut other = console.client();
    let fields = "firstName=A&lastName=B&email=a%40example.com&password=a+lighthouse+keeper+reads";
    assert_eq!(form(&mut other, "/sign-up", fields).await.status, 303);
    assert!(!other.get("/").await.text().contains("See how it works"));
    // A session of somebody else is not replaced: the walk-through may wait in another tab.
    for number in 1..=5 {
        let told = form(&mut other, "/walk-through", &format!("step={number}")).await;
        assert_eq!((told.status, told.header("location")), (303, Some("/")), "{number}");
    }
    assert_eq!(other.get("/session").await.json()["user"]["email"], "a@example.com");
    // Nobody becomes an operator by it.
    for (role, is_offered) in [("operator", false), ("user", true)] {
        assert_eq!(site.run("users", &["role", EMAIL, role]).code, 0);
        let mut client = console.client();
        assert_eq!(client.get("/").await.text().contains("See how it works"), is_offered);
        let taken = form(&mut client, "/walk-through", "step=2").await;
        assert_eq!(taken.status, if is_offered { 200 } else { 404 });
    }
    // An authentication service of its own offers no walk-through.
    let auth = site.auth(&[]);
    let mut al = auth.logged_in().await;
    let new = json!({"currentPassword": PASSWORD, "newPassword": "a lighthouse keeper reads"});
    expect_plain(&al.post("/password", &new).await, 200, "OK");
    let mut client = console.client();
    assert!(!client.get("/").await.text().contains("See how it works"));
    assert_eq!(form(&mut client, "/walk-through", "step=1").await.status, 404);
}

/// All visitors of the walk-through share the demo account, so none of them can take it from the others.
#[tokio::test]
async fn visitors_keep_the_demo_account_for_each_other() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let [mut client, mut other] = [console.client(), console.client()];
    assert!(client.get("/").await.text().contains("All visitors share this account"));
    for visitor in [&mut client, &mut other] {
        assert!(step(visitor, 2).await.contains("200 OK"));
    }
    // Nobody sees from where the others come.
    let listed = client.get("/sessions").await.json();
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!((sessions.len(), &sessions[0]["current"]), (1, &json!(true)), "{listed}");
    let page = client.get("/me/account").await.text().to_string();
    assert!(page.contains("this one") && !page.contains("End all others"), "{page}");
    assert!(
        page.contains("All visitors share the demo account.") && !page.contains("assword</h2>")
    );
    let confirmation = json!({"currentPassword": PASSWORD});
    let change = json!({"currentPassword": PASSWORD, "newPassword": "a lighthouse keeper reads"});
    for (method, path, body) in [
        (Method::POST, "/password", &change),
        (Method::DELETE, "/account", &confirmation),
        (Method::POST, "/second-factor/totp", &confirmation),
        (Method::POST, "/second-factor/remove", &confirmation),
        (Method::POST, "/second-factor/recovery-codes", &confirmation),
    ] {
        let refused = client.request(method, path).json(body).send().await;
        expect_problem(&refused, 403, &[]);
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("shared by all visitors"), "{path}: {detail}");
    }
    // Nobody ends the session of another one, whose handle an authentication service tells.
    let neighbour = site.auth(&[]);
    let mut same = neighbour.client();
    same.jar_mut().set(COOKIE, client.jar().get(COOKIE).unwrap());
    let own = sessions[0]["handle"].as_str().unwrap();
    let listed = same.get("/sessions").await.json();
    let listed =
        listed["sessions"].as_array().unwrap().iter().map(|it| it["handle"].as_str().unwrap());
    let handles: Vec<String> = listed.filter(|it| *it != own).map(str::to_owned).collect();
    assert_eq!(handles.len(), 1, "{handles:?}");
    for path in ["/sessions".to_owned(), format!("/sessions/{}", handles[0]), "/sessions/x".into()]
    {
        let refused = client.request(Method::DELETE, &path).send().await;
        expect_problem(&refused, 403, &[]);
        assert!(
            refused.json()["detail"].as_str().unwrap().contains("sessions of others"),
            "{path}"
        );
    }
    for fields in ["all=others".to_owned(), format!("handle={}", handles[0])] {
        let refused = form(&mut client, "/me/sessions/end", &fields).await;
        assert_eq!(refused.status, 403, "{fields}");
        assert!(refused.text().contains("nobody may end the sessions of others here"), "{fields}");
    }
    assert_eq!(other.get("/session").await.status, 200);
    let mut leaving = console.client();
    assert!(step(&mut leaving, 2).await.contains("200 OK"));
    let listed = leaving.get("/sessions").await.json();
    let own = format!("/sessions/{}", listed["sessions"][0]["handle"].as_str().unwrap());
    assert_eq!(leaving.request(Method::DELETE, &own).send().await.status, 204);
    assert_eq!(leaving.get("/session").await.status, 401);
    let fields = "currentPassword=secret123&newPassword=a+lighthouse+keeper+reads";
    for path in ["/me/password", "/me/delete", "/me/second-factor/totp"] {
        let refused = form(&mut client, path, fields).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.text().contains("The demo account is shared by all visitors"), "{path}");
    }
    assert_eq!(other.get("/session").await.status, 200);
    // Another account, and the demo account when it is not open to everybody any more.
    let login = json!({"email": email_of(&site, 80), "password": PASSWORD});
    let mut user = console.client();
    expect_plain(&user.post("/login", &login).await, 200, "OK");
    expect_plain(&user.post("/password", &change).await, 200, "OK");
    assert_eq!(site.run("users", &["role", EMAIL, "operator"]).code, 0);
    let [mut al, _phone] = [console.logged_in().await, console.logged_in().await];
    assert_eq!(al.get("/sessions").await.json()["sessions"].as_array().unwrap().len(), 2);
    assert_eq!(al.request(Method::DELETE, "/sessions").send().await.status, 200);
    expect_plain(&al.post("/password", &change).await, 200, "OK");
}

/// A step gets its mark only for the answer that it tells.
#[tokio::test]
async fn the_walk_through_says_if_an_answer_is_another_one() {
    let site = Site::sqlite();
    let console = site.console(&["--checkin-rate", "1"]);
    let mut client = console.client();
    let told = step(&mut client, 2).await;
    assert!(told.matches("✓").count() == 2 && !told.contains("✗"), "{told}");
    // The receiver takes ten at once, and no more.
    let mut told = String::new();
    for _ in 0..20 {
        told = step(&mut client, 4).await;
        if told.contains("✗") {
            break;
        }
    }
    assert!(told.contains("<pre>4") && told.contains("This time, the answer was another one."));
    assert!(told.matches("✓").count() == 3 && told.contains("Try again"), "{told}");
    assert!(told.contains(r#"<button name="step" value="4" data-failed>"#), "{told}");
}

/// A notice is that of the form before, once. A link cannot make one.
#[tokio::test]
async fn a_link_makes_no_notice() {
    let site = Site::sqlite();
    let console = site.console(&["--trust-proxy"]);
    let mut client = console.client();
    logged_in(&mut client).await;
    for (path, says) in [
        ("/me/account?done=password", "Your password is changed"),
        ("/log-in?done=reset", "Your password is changed"),
        ("/?done=deleted", "Your account is deleted"),
        ("/me?deleted=1", "The check-in is deleted"),
        ("/places/5?stars=4", "You have checked in"),
    ] {
        let page = client.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.text().contains(says), "{path}");
    }
    let stored = form(&mut client, "/me/audience", "audience=users").await;
    let notice = "checkin_notice=audience; Max-Age=60; Path=/; HttpOnly; SameSite=Lax";
    assert_eq!(stored.set_cookies(), [notice]);
    // A file and a program do not use it up.
    client.get("/session").await;
    let page = client.get("/me/account").await;
    assert!(page.text().contains("Your choice is stored."));
    assert_eq!(page.set_cookies(), ["checkin_notice=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"]);
    let again = client.get("/me/account").await;
    assert!(!again.text().contains("Your choice is stored."));
    assert_eq!(again.set_cookies(), [""; 0]);
    let over_tls =
        client.request(Method::POST, "/me/audience").header("x-forwarded-proto", "https");
    let over_tls = over_tls.header("content-type", "application/x-www-form-urlencoded");
    let over_tls = over_tls.body("audience=users").send().await;
    assert!(over_tls.set_cookies()[0].contains("; Secure"), "{:?}", over_tls.set_cookies());
}

#[tokio::test]
async fn what_is_gone_is_named() {
    let site = Site::sqlite();
    assert_eq!(site.run("users", &["role", EMAIL, "operator"]).code, 0);
    let console = site.console(&[]);
    let mut client = console.client();
    logged_in(&mut client).await;
    for (path, fields, says) in [
        ("/operator/sessions", "account=999999&action=disable", "There is no such account."),
        ("/operator/sessions", "account=999999&action=enable", "There is no such account."),
        ("/operator/sessions", "account=999999&action=end-all", "There is no such account."),
        ("/operator/sessions", "account=999999&action=end&handle=a", "There is no such account."),
        ("/operator/sessions", "account=80&action=end&handle=a", "There is no such session."),
        ("/operator/dead-letters", "id=0%2F1-1", "There is no such dead letter."),
        ("/me/sessions/end", "handle=none", "There is no such session."),
        ("/me/checkins/delete", "id=1-0", "There is no such check-in"),
    ] {
        let page = form(&mut client, path, fields).await;
        assert_eq!(page.status, 404, "{path} {fields}");
        let text = page.text();
        assert!(text.contains(says) && !text.contains("no such page"), "{path} {fields}: {text}");
    }
    let begun = form(&mut client, "/me/second-factor/totp/confirm", "code=123456").await;
    assert_eq!(begun.status, 400);
    assert!(
        begun.text().contains("within the last five minutes; begin again."),
        "{}",
        begun.text()
    );
}

/// The session has ended while somebody typed: the comment waits on the page of the place.
#[tokio::test]
async fn a_comment_survives_a_login() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut client = console.client();
    let refused =
        form(&mut client, "/places/5", "starRating=4&comment=caf%C3%A9%3B+%22good%22&private=true")
            .await;
    assert_eq!(
        (refused.status, refused.header("location")),
        (303, Some("/log-in?next=%2Fplaces%2F5"))
    );
    // Not for somebody who is not logged in.
    assert!(!client.get("/places/5").await.text().contains("You have not checked in yet."));
    logged_in(&mut client).await;
    let page = client.get("/places/5").await.text().to_string();
    assert!(page.contains(">café; &#34;good&#34;</textarea>"), "{page}");
    assert!(page.contains(r#"value="true" checked>"#), "{page}");
    assert!(page.contains("You have not checked in yet."), "{page}");
    let again = client.get("/places/5").await.text().to_string();
    assert!(again.contains("></textarea>"), "{again}");
    assert!(!again.contains("You have not checked in yet."), "{again}");
}

/// As bodies in JSON, forms are in UTF-8 and not compressed. `identity` means that they are not.
#[tokio::test]
async fn forms_are_read_as_json_is() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut client = console.client();
    for (kind, encoding, status) in [
        (FORM, None, 401),
        ("application/x-www-form-urlencoded;charset=UTF-8", None, 401),
        ("application/x-www-form-urlencoded;charset=iso-8859-1", None, 415),
        (FORM, Some("gzip"), 415),
        (FORM, Some("identity"), 401),
        ("text/plain", None, 415),
    ] {
        let request = client.request(Method::POST, "/log-in").header("content-type", kind);
        let request = match encoding {
            Some(encoding) => request.header("content-encoding", encoding),
            None => request,
        };
        let answer = request.body("email=a%40example.com&password=x").send().await;
        assert_eq!(answer.status, status, "{kind} {encoding:?}");
    }
}

/// A page shows what can be read of a place.
#[tokio::test]
async fn a_place_is_shown_without_details_that_are_damaged() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut client = console.client();
    assert!(client.get("/places/5").await.text().contains("Opening hours"));
    let path = site.store.strip_prefix("sqlite:").unwrap();
    let connection = sqlite_writer::rusqlite::Connection::open(path).unwrap();
    let damage = "UPDATE location_details SET details = '{broken' WHERE location_id = 5";
    assert_eq!(connection.execute(damage, []).unwrap(), 1);
    for _ in 0..2 {
        let page = client.get("/places/5").await;
        assert_eq!(page.status, 200);
        let text = page.text();
        assert!(text.contains("Ratings") && !text.contains("Opening hours"), "{text}");
    }
    console.program.wait_for_line("a record cannot be read", PATIENCE);
    let lines = [Stream::Stdout, Stream::Stderr].map(|stream| console.program.text(stream));
    assert_eq!(lines.concat().matches("a record cannot be read").count(), 1, "{lines:?}");
}
