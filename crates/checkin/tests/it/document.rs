//! The API's own document: what it covers, and whether the tools that people use can read it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use testkit::{Client, Program, Stream};

use crate::harness::{EMAIL, PASSWORD, Site};

/// Generators and browsers need some seconds; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a program to its end, which must be a good one, and gives what it wrote.
pub(crate) fn run(command: Command) -> String {
    let what = format!("{command:?}");
    let mut program = Program::spawn(command);
    let status = program.wait(PATIENCE);
    let said = program.text(Stream::Stdout);
    assert!(status.success(), "{what}:\n{said}{}", program.text(Stream::Stderr));
    said
}

pub(crate) fn openapi_directory() -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi");
    assert!(
        directory.join("node_modules").exists(),
        "packages are missing: run scripts/test, or npm ci in openapi/"
    );
    directory
}

/// A program of `openapi/node_modules`, to be run there.
fn tool(name: &str) -> Command {
    let directory = openapi_directory();
    let mut command = Command::new(directory.join("node_modules/.bin").join(name));
    command.current_dir(directory);
    command
}

async fn document(url: &str) -> Value {
    let answer = Client::new(url).get("/openapi.json").await;
    assert_eq!(answer.status, 200, "{url}");
    answer.json()
}

/// Each operation as `GET /session`, with its description.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &'_ Value)| -> Vec<_> {
        let methods = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];
        let of_method =
            |method: &&str| item.get(method).map(|_| format!("{} {path}", method.to_uppercase()));
        methods.iter().filter_map(of_method).collect()
    };
    let names = paths.iter().flat_map(of_path);
    names
        .map(|name| {
            let (method, path) = name.split_once(' ').unwrap();
            let operation = &document["paths"][path][method.to_lowercase()];
            (name, operation)
        })
        .collect()
}

fn names(document: &Value) -> BTreeSet<String> {
    operations(document).into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn the_document_of_a_port_has_the_routes_of_that_port() {
    let site = Site::sqlite();
    let (_up, services) = site.up_everywhere(&[]);
    let mut all = BTreeSet::new();
    for (service, url) in &services[..3] {
        let document = document(url).await;
        let names = names(&document);
        assert_eq!(document["servers"][0]["url"], "/", "{service}");
        assert!(names.contains("GET /readyz"), "{service}: {names:?}");
        for (route, of) in [
            ("POST /login", "auth"),
            ("POST /api/checkin", "receiver"),
            ("GET /api/user/{id}", "api"),
        ] {
            assert_eq!(names.contains(route), of == *service, "{service}: {route}");
        }
        all.extend(names);
    }
    let console = document(&services[3].1).await;
    let (own, of_all): (BTreeSet<_>, BTreeSet<_>) =
        names(&console).into_iter().partition(|name| name.contains(" /operations/"));
    assert_eq!(of_all, all, "the console serves all of them");
    assert_eq!(own.len(), 5, "{own:?}");
    let cookie = &console["components"]["securitySchemes"]["session"];
    assert_eq!((&cookie["in"], &cookie["name"]), (&"cookie".into(), &"checkinapp".into()));

    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&console) {
        // In camel case, of several words: no language reserves such a name.
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        let is_camel_case = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.contains(|c: char| c.is_ascii_uppercase())
            && id.chars().all(|c| c.is_ascii_alphabetic());
        assert!(is_camel_case && ids.insert(id.clone()), "{name}: {id:?}");
        assert!(operation["security"].is_array(), "{name} says who may");
    }
}

/// What the walk-through of the collection asks, and what the document describes.
#[tokio::test]
async fn the_postman_collection_has_every_route() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let document = document(&format!("http://127.0.0.1:{}", console.port())).await;
    let collection = include_str!("../../../../postman/checkin.postman_collection.json");
    let collection: Value = serde_json::from_str(collection).unwrap();
    let mut asked = Vec::new();
    requests(&collection["item"], &mut asked);
    let is_asked = |route: &String| {
        let (method, path) = route.split_once(' ').unwrap();
        asked.iter().any(|(asked, url)| asked == method && fits(url, path))
    };
    let missing: Vec<_> = names(&document).into_iter().filter(|route| !is_asked(route)).collect();
    assert_eq!(missing, Vec::<String>::new());
}

fn requests(items: &Value, found: &mut Vec<(String, Vec<String>)>) {
    for item in items.as_array().into_iter().flatten() {
        requests(&item["item"], found);
        if let Some(path) = item["request"]["url"]["path"].as_array() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            found.push((text(&item["request"]["method"]), path.iter().map(text).collect()));
        }
    }
}

/// Whether a path is one of this template, part by part.
fn fits(path: &[String], template: &str) -> bool {
    let parts: Vec<_> = template.trim_start_matches('/').split('/').collect();
    let fits = |(part, own): (&&str, &String)| part.starts_with('{') || *part == own;
    parts.len() == path.len() && parts.iter().zip(path).all(fits)
}

/// A linter, and a client in two languages: one must compile, the other must be valid.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn tools_can_read_the_document() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let answer = console.client().get("/openapi.json").await;
    let directory = site.directory.path();
    let file = directory.join("openapi.json");
    std::fs::write(&file, &answer.body).unwrap();

    let mut lint = tool("redocly");
    lint.args(["lint", "--format", "stylish"])
        .arg(&file)
        .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    run(lint);

    let types = directory.join("api.ts");
    let mut generate = tool("openapi-typescript");
    generate.arg(&file).arg("--output").arg(&types);
    run(generate);
    let mut compile = tool("tsc");
    run({
        compile.args(["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022"]).arg(&types);
        compile
    });

    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("venv/bin");
    let client = directory.join("client");
    let mut generate = Command::new(python.join("openapi-python-client"));
    // It formats its output with ruff, which lies beside it.
    let path = format!("{}:{}", python.display(), std::env::var("PATH").unwrap());
    generate.env("PATH", path);
    generate.args(["generate", "--fail-on-warning", "--meta", "none", "--path"]).arg(&file);
    generate.arg("--output-path").arg(&client);
    run(generate);
    let mut compile = Command::new(python.join("python"));
    compile.args(["-W", "error", "-m", "compileall", "-q"]).arg(&client);
    run(compile);
}

/// In a real browser, under the page's own security policy.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn swagger_ui_logs_in_and_checks_in() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut browser = Command::new("node");
    browser
        .current_dir(openapi_directory())
        .arg("swagger.js")
        .env("CONSOLE", format!("http://127.0.0.1:{}", console.port()))
        .env("EMAIL", EMAIL)
        .env("PASSWORD", PASSWORD);
    let answers: Value = serde_json::from_str(run(browser).trim()).unwrap();
    let expected = serde_json::json!(
        {"before": 401, "login": 200, "checkin": 202, "user": 200, "problems": []}
    );
    assert_eq!(answers, expected);
}
