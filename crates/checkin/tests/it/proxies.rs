//! The site as it is deployed: the services on a Redis with the settings and the users of `compose.yaml`,
//! behind each of the proxies.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Client, Method, Program, RedisServer, free_port};

use crate::deployment::{Ingress, approved, composed, deploy};
use crate::harness::{CHECKIN, EMAIL, PASSWORD, PATIENCE, Service, Site, accepted, expect_plain};

/// The pages behind the links of messages, whose paths are those of routes.
const PAGES_OF_LINKS: [&str; 2] = ["/password/reset", "/register/confirm"];

/// What the public must not reach.
const PRIVATE: [&str; 4] = ["/metrics", "/healthz", "/readyz", "/nothing"];

/// A user and a location, and the details of the location.
fn data() -> Value {
    let days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let hours = days.map(|day| json!({"day": day, "hours": "8:00-17:00"}));
    json!({
        "users": [{"id": 77, "firstName": "Al", "lastName": "Appelhof", "email": EMAIL, "password": PASSWORD}],
        "locations": [{"id": 5, "name": "Here", "category": "cafe", "location": "-122.4,37.7"}],
        "locationDetails": [{"id": 5, "description": "A café", "hours": hours, "website": "https://example.com", "phone": "510-555-0100", "socials": []}],
    })
}

struct Deployment {
    site: Site,
    services: [(&'static str, Service); 4],
}

impl Deployment {
    fn start() -> Deployment {
        let redis = redis_as_composed();
        let mut site = Site::on(redis);
        let secrets = site.directory.path().join("secrets");
        approved(Command::new(deploy("compose/secrets.sh")).arg(&secrets));
        let config = secrets.join("checkin.toml");
        let address = format!("127.0.0.1:{}", site.server().port());
        let text = fs::read_to_string(&config).unwrap();
        let store = text.lines().find_map(|line| line.strip_prefix("store = ")).unwrap();
        site.store = store.trim_matches('"').replace("redis:6379", &address);
        add_users(&site, &secrets.join("users.acl"));
        let file = site.directory.path().join("data.json");
        fs::write(&file, data().to_string()).unwrap();
        let loaded = site.run("load", &[file.to_str().unwrap()]);
        assert_eq!(loaded.code, 0, "{}{}", loaded.stdout, loaded.stderr);
        let args = ["--trust-proxy", "--config", config.to_str().unwrap()];
        // With mail, because some routes answer 404 otherwise.
        let mail =
            ["--mail-command=true", "--mail-from=a@example.com", "--public-url=https://x.example"];
        let services = [
            ("auth", site.auth(&[&args[..], &mail].concat())),
            ("receiver", site.receiver(&args)),
            ("api", site.api(&args)),
            ("console", site.console(&[&args[..], &mail].concat())),
        ];
        Deployment { site, services }
    }

    fn address(&self, service: &str) -> String {
        let (_, service) = self.services.iter().find(|(name, _)| *name == service).unwrap();
        format!("127.0.0.1:{}", service.port())
    }

    /// The method and the path of each route, with the service that has it.
    async fn routes(&self) -> Vec<(&'static str, Method, String)> {
        let mut routes = Vec::new();
        for (name, service) in &self.services {
            let document: Value = service.client().get("/openapi.json").await.json();
            for (path, methods) in document["paths"].as_object().unwrap() {
                let is_elsewhere = *name == "console" || PRIVATE.contains(&path.as_str());
                // There are pages on these paths, too, so the console has them.
                let name = if PAGES_OF_LINKS.contains(&path.as_str()) { "console" } else { *name };
                for method in methods.as_object().unwrap().keys().filter(|_| !is_elsewhere) {
                    let method = method.to_uppercase().parse().unwrap();
                    routes.push((name, method, with_parameters(path)));
                }
            }
        }
        let pages = [
            "/",
            "/log-in",
            "/sign-up",
            "/places",
            "/places/5",
            "/leaders",
            "/map",
            "/me",
            "/me/account",
            "/password/reset",
            "/register/confirm",
            "/operator",
            "/operator/sessions",
            "/operations/overview",
            "/assets/1/console.css",
            "/docs",
            "/docs/",
            "/docs/swagger-ui.css",
            "/openapi.json",
        ];
        routes.extend(pages.map(|path| ("console", Method::GET, path.to_owned())));
        let forms = [
            "/log-in",
            "/log-in/second-factor",
            "/sign-up",
            "/log-out",
            "/places/5",
            "/me/password",
            "/me/audience",
            "/me/sessions/end",
            "/sign-up/confirm",
            "/walk-through",
            "/operator/dead-letters",
        ];
        routes.extend(forms.map(|path| ("console", Method::POST, path.to_owned())));
        routes
    }
}

/// A path of the document with a value for each parameter.
fn with_parameters(path: &str) -> String {
    let value = |part: &str| if part.starts_with('{') { "5".to_owned() } else { part.to_owned() };
    path.split('/').map(value).collect::<Vec<_>>().join("/")
}

fn redis_as_composed() -> RedisServer {
    let text = fs::read_to_string(deploy("compose/redis.conf")).unwrap();
    let is_here = |line: &&str| !(line.starts_with("dir ") || line.starts_with("aclfile "));
    let lines =
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).filter(is_here);
    let args: Vec<String> = lines
        .map(|line| line.split_once(' ').unwrap())
        .flat_map(|(name, value)| [format!("--{name}"), value.to_owned()])
        .collect();
    RedisServer::start_with(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The users of the file, the last of which ends the one without a name.
fn add_users(site: &Site, file: &Path) {
    let mut connection = site.server().connection();
    let text = fs::read_to_string(file).unwrap();
    for line in text.lines().rev() {
        let rules: Vec<&str> = line.strip_prefix("user ").unwrap().split(' ').collect();
        redis::cmd("ACL").arg("SETUSER").arg(&rules).exec(&mut connection).unwrap();
    }
    assert!(redis::cmd("PING").exec(&mut site.server().connection()).is_err());
}

/// Goes through the site as a browser does.
async fn walk(proxy: &str, site: &str, mut browser: Client, deployment: &Deployment) {
    let accepts = async || browser.request(Method::GET, "/docs/").try_send().await.is_ok();
    testkit::until("the proxy accepts connections", accepts).await;
    let before = browser.get("/session").await;
    assert_eq!(before.status, 401, "{proxy}: {}", before.text());
    let login = browser
        .request(Method::POST, "/login")
        .header("x-forwarded-proto", "http")
        .header("x-forwarded-for", "203.0.113.9")
        .json(&json!({"email": EMAIL, "password": PASSWORD}))
        .send()
        .await;
    expect_plain(&login, 200, "OK");
    let cookies = login.set_cookies();
    assert!(cookies.iter().all(|cookie| cookie.contains("; Secure")), "{proxy}: {cookies:?}");
    assert!(login.header("strict-transport-security").is_some(), "{proxy}");
    let sessions = browser.get("/sessions").await.json();
    let address = sessions["sessions"][0]["address"].as_str();
    assert!(address.is_some_and(|address| address.contains("127.0.0.1")), "{proxy}: {sessions}");
    let stars = if proxy == "caddy" { 3 } else { 4 };
    let checkin = json!({"userId": 77, "locationId": 5, "starRating": stars});
    accepted(&browser.post(CHECKIN, &checkin).await);
    assert_eq!(browser.get("/api/user/77").await.json()["email"], EMAIL, "{proxy}");
    for path in PRIVATE {
        let response = browser.get(path).await;
        assert_eq!(response.status, 404, "{proxy} {path}");
        assert_eq!(response.header("x-request-id"), None, "{proxy}: {path} is a service's");
    }
    let logout = browser.request(Method::POST, "/logout").header("origin", site).send().await;
    expect_plain(&logout, 200, "OK");
    assert_eq!(browser.get("/session").await.status, 401, "{proxy}");
    for (service, method, path) in deployment.routes().await {
        let answer = browser.request(method.clone(), &path).without_jar().send().await;
        let is_right = answer.status != 404 && answer.header("x-request-id").is_some();
        assert!(is_right, "{proxy}: {service} did not get {method} {path}: {}", answer.status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_behind_the_proxies() {
    let deployment = Deployment::start();
    let ingress = Ingress::read();
    for (service, _, path) in deployment.routes().await {
        assert_eq!(ingress.service(&path), Some(service), "{path}");
    }
    for path in PRIVATE {
        assert_eq!(ingress.service(path), None, "{path}");
    }
    let (caddy, site, authority) = caddy(&deployment);
    walk("caddy", &site, Client::over_tls(&site, &authority), &deployment).await;
    drop(caddy);
    let (_nginx, site, certificate) = nginx(&deployment);
    walk("nginx", &site, Client::over_tls(&site, &certificate), &deployment).await;
    deployment.site.count_all();
    let doctor = deployment.site.run("doctor", &["--verify", "--session-profile", "strict"]);
    assert_eq!((doctor.code, doctor.stdout.contains("warning")), (0, false), "{}", doctor.stdout);
}

/// The configuration of `compose.yaml`, with the addresses of the services and of nginx itself, and with the
/// certificate that `secrets.sh` made. Both instances of a service are the same one here.
fn nginx(deployment: &Deployment) -> (Program, String, Vec<u8>) {
    let directory = deployment.site.directory.path();
    let at = directory.to_str().unwrap();
    let mut text = fs::read_to_string(deploy("compose/nginx.conf")).unwrap();
    let composed = composed();
    for (service, _) in &deployment.services {
        for instance in [format!("{service}-1"), format!("{service}-2")] {
            let network = &composed["services"][&instance]["networks"]["outside"];
            let composed = format!("{}:8080", network["ipv4_address"].as_str().unwrap());
            assert!(text.contains(&composed), "{composed}");
            text = text.replace(&composed, &deployment.address(service));
        }
    }
    let port = free_port();
    let text = text
        .replace("/tmp/", &format!("{at}/"))
        .replace("/run/secrets/", &format!("{at}/secrets/"))
        .replace("listen 8080;", &format!("listen 127.0.0.1:{};", free_port()))
        .replace("listen 8443 ssl;", &format!("listen 127.0.0.1:{port} ssl;"));
    fs::write(directory.join("nginx.conf"), text).unwrap();
    let routes = "checkin-routes.conf";
    fs::copy(deploy("nginx").join(routes), directory.join(routes)).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut nginx = Command::new("nginx");
    // Debian has it where only root looks for programs.
    nginx.env("PATH", format!("{path}:/usr/sbin"));
    nginx.args(["-g", "daemon off; master_process off;", "-p", at, "-c"]);
    nginx.arg(directory.join("nginx.conf"));
    let certificate = fs::read(directory.join("secrets/tls.crt")).unwrap();
    (Program::spawn(nginx), format!("https://localhost:{port}"), certificate)
}

/// The Caddyfile with the services' addresses, and a certificate authority of its own. Gives the address of
/// the site, too, and the authority.
fn caddy(deployment: &Deployment) -> (Program, String, Vec<u8>) {
    let directory = deployment.site.directory.path();
    let (storage, settings) = (directory.join("caddy"), directory.join("Caddyfile"));
    let global = format!(
        "{{\nadmin off\nskip_install_trust\nauto_https disable_redirects\nstorage file_system {}\n}}\nimport {}\n",
        storage.display(),
        deploy("caddy/Caddyfile").display()
    );
    fs::write(&settings, global).unwrap();
    let port = free_port();
    let mut caddy = Command::new("caddy");
    caddy
        .env("HOME", directory)
        .env("XDG_CONFIG_HOME", directory)
        .env("CHECKIN_SITE", format!("localhost:{port}"))
        .env("CHECKIN_AUTH", deployment.address("auth"))
        .env("CHECKIN_RECEIVER", deployment.address("receiver"))
        .env("CHECKIN_API", deployment.address("api"))
        .env("CHECKIN_CONSOLE", deployment.address("console"))
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(&settings);
    let caddy = Program::spawn(caddy);
    let authority = storage.join("pki/authorities/local/root.crt");
    caddy.wait_for_line("certificate obtained successfully", PATIENCE);
    (caddy, format!("https://localhost:{port}"), fs::read(authority).unwrap())
}

#[test]
fn the_caddyfile_is_valid_and_formatted() {
    let file = deploy("caddy/Caddyfile");
    approved(
        Command::new("caddy").args(["validate", "--adapter", "caddyfile", "--config"]).arg(&file),
    );
    let formatted = approved(Command::new("caddy").arg("fmt").arg(&file));
    assert_eq!(formatted, fs::read_to_string(&file).unwrap());
}
