//! A store with the demo data in it, and our services on it.

use std::ffi::OsString;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;
pub(crate) use testkit::PATIENCE;
use testkit::{
    Client, Express, Program, RedisCluster, RedisServer, Response, Stream, signature, wait_for,
    wait_until,
};

use crate::logins;

pub(crate) const EMAIL: &str = "al.appelhof@example.com";
pub(crate) const PASSWORD: &str = "secret123";
pub(crate) const USER: u64 = 77;
pub(crate) const SECRET: &str = "one secret for all of the services";
pub(crate) const COOKIE: &str = "checkinapp";
pub(crate) const CHECKIN: &str = "/api/checkin";

/// The time of a command in a test that waits until one times out. No other command takes so long on a busy machine.
pub(crate) const STORE_TIMEOUT: &str = "3s";

/// Of a Redis cluster.
const SLOTS: u32 = 16_384;

const CONSOLE_READY: &str = "Console listening on port ";
pub(crate) const AUTH_READY: &str = "Authentication service listening on port ";
const API_READY: &str = "API service listening on port ";
pub(crate) const RECEIVER_READY: &str = "Checkin receiver listening on port ";
pub(crate) const PROCESSOR_READY: &str = "Checkin processor ";

/// A store of one test, in a directory of its own.
pub(crate) struct Site {
    pub(crate) store: String,
    pub(crate) directory: TempDir,
    redis: Option<RedisServer>,
    cluster: Option<RedisCluster>,
    /// Whether each program logs in as the user of its service.
    has_logins: bool,
    /// What the programs find in their environment, beside the settings.
    pub(crate) variables: Vec<(&'static str, &'static str)>,
}

/// A running service.
pub(crate) struct Service {
    pub(crate) program: Program,
    address: Ipv4Addr,
    port: u16,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Site {
    /// An SQLite file with the demo data.
    pub(crate) fn sqlite() -> Site {
        let site = Site::empty_sqlite();
        copy_files(sqlite_template(), site.directory.path());
        site
    }

    /// An SQLite file that is not there yet.
    pub(crate) fn empty_sqlite() -> Site {
        let directory = tempfile::tempdir().unwrap();
        let store = format!("sqlite:{}", directory.path().join("checkin.db").display());
        Site {
            store,
            directory,
            redis: None,
            cluster: None,
            has_logins: false,
            variables: Vec::new(),
        }
    }

    /// A Redis with the demo data, which it forgets changes of when it ends.
    pub(crate) fn redis() -> Site {
        let template = redis_template();
        let directory = template.parent().unwrap().to_str().unwrap();
        let file = template.file_name().unwrap().to_str().unwrap();
        // Before Redis 7, a server that gets a replica writes this file by default.
        let args = ["--dir", directory, "--dbfilename", file, "--repl-diskless-sync", "yes"];
        Site::with_logins(&args, &[])
    }

    /// A Redis with the demo data, which keeps everything.
    pub(crate) fn lasting_redis() -> Site {
        let site = Site::with_logins(&["--appendonly", "yes", "--appendfsync", "always"], &[]);
        site.load_demo();
        site
    }

    /// A Redis without data.
    pub(crate) fn empty_redis() -> Site {
        Site::with_logins(&[], &[])
    }

    /// A cluster of one node, without data: it refuses a command across slots as any other does.
    pub(crate) fn redis_cluster() -> Site {
        let mut site = Site::with_logins(&["--cluster-enabled", "yes"], &logins::on_cluster());
        site.store = format!("redis-cluster://127.0.0.1:{}", site.server().port());
        let mut node = site.server().connection();
        let slots = (0..SLOTS).collect::<Vec<u32>>();
        redis::cmd("CLUSTER").arg("ADDSLOTS").arg(slots).exec(&mut node).unwrap();
        wait_until("the cluster is up", || redis::cmd("GET").arg("any").exec(&mut node).is_ok());
        site
    }

    /// A cluster of three servers with the demo data.
    pub(crate) fn redis_cluster_of_three() -> Site {
        let site = Site::empty_cluster_of_three();
        site.load_demo();
        site
    }

    /// A cluster of three servers without data. Its log has four partitions.
    pub(crate) fn empty_cluster_of_three() -> Site {
        let cluster = RedisCluster::start(3);
        let mut site = Site::at(cluster.url());
        site.cluster = Some(cluster);
        site.variables.push(("CHECKIN_PARTITIONS", "4"));
        site
    }

    /// A store that something else has started.
    pub(crate) fn at(store: String) -> Site {
        let directory = tempfile::tempdir().unwrap();
        let variables = vec![("CHECKIN_SESSION_SECRET", SECRET)];
        Site { store, directory, redis: None, cluster: None, has_logins: false, variables }
    }

    /// A Redis that the test starts itself. The programs log in as its default user.
    pub(crate) fn on(redis: RedisServer) -> Site {
        let directory = tempfile::tempdir().unwrap();
        let (store, redis) = (redis.url(), Some(redis));
        Site { store, directory, redis, cluster: None, has_logins: false, variables: Vec::new() }
    }

    /// A Redis on which each program logs in as the user of its service. At the end, none of them has
    /// been refused anything.
    fn with_logins(args: &[&str], rules: &[&'static str]) -> Site {
        let args = [args, &logins::server_arguments(rules)].concat();
        let mut site = Site::on(RedisServer::start_with(&args));
        site.has_logins = true;
        site
    }

    /// Lets the programs log in as the default user. The caller says why.
    pub(crate) fn without_logins(mut self) -> Site {
        self.has_logins = false;
        self
    }

    pub(crate) fn server(&self) -> &RedisServer {
        self.redis.as_ref().expect("the site is on Redis")
    }

    pub(crate) fn server_mut(&mut self) -> &mut RedisServer {
        self.redis.as_mut().expect("the site is on Redis")
    }

    pub(crate) fn cluster(&self) -> &RedisCluster {
        self.cluster.as_ref().expect("the site is on a cluster")
    }

    pub(crate) fn console(&self, args: &[&str]) -> Service {
        Service::ready(self.start("console", args), CONSOLE_READY)
    }

    pub(crate) fn auth(&self, args: &[&str]) -> Service {
        Service::ready(self.start("auth", args), AUTH_READY)
    }

    pub(crate) fn api(&self, args: &[&str]) -> Service {
        Service::ready(self.start("api", args), API_READY)
    }

    pub(crate) fn receiver(&self, args: &[&str]) -> Service {
        Service::ready(self.start("receiver", args), RECEIVER_READY)
    }

    pub(crate) fn processor(&self, args: &[&str]) -> Program {
        let processor = self.start("processor", args);
        processor.wait_for_line(PROCESSOR_READY, PATIENCE);
        processor
    }

    /// Everything in one process: the authentication service, the receiver, and the process.
    pub(crate) fn up(&self, args: &[&str]) -> (Program, Client, Client) {
        let program = self.start("up", args);
        let receiver = Client::new(url(port_in(&program.wait_for_line(RECEIVER_READY, PATIENCE))));
        let auth = Client::new(url(port_in(&program.wait_for_line(AUTH_READY, PATIENCE))));
        (program, auth, receiver)
    }

    /// Everything in one process, and the address of its read API.
    pub(crate) fn up_with_api(&self, args: &[&str]) -> (Program, Client, String) {
        let (program, auth, _) = self.up(args);
        let api = url(port_in(&program.wait_for_line(API_READY, PATIENCE)));
        (program, auth, api)
    }

    /// Everything in one process, and each service's name and address.
    pub(crate) fn up_everywhere(&self, args: &[&str]) -> (Program, [(&'static str, String); 4]) {
        let program = self.start("up", args);
        let services = [
            ("auth", AUTH_READY),
            ("receiver", RECEIVER_READY),
            ("api", API_READY),
            ("console", CONSOLE_READY),
        ];
        let address = |(name, ready)| (name, url(port_in(&program.wait_for_line(ready, PATIENCE))));
        let services = services.map(address);
        (program, services)
    }

    /// An Express service on the site's Redis, in which every account has [`PASSWORD`].
    pub(crate) fn express(&self, secret: &str) -> Express {
        let store = self.server().url();
        Express::start("service.js", &[("STORE", &store), ("SECRET", secret), ("PREFIX", "ncc")])
    }

    /// Runs a command on this store to its end.
    pub(crate) fn run(&self, command: &str, args: &[&str]) -> Ended {
        Ended::of(self.start(command, args))
    }

    /// Runs a command in the site's directory to its end, within a limit of `ulimit`.
    pub(crate) fn run_within(&self, limit: &str, command: &str, args: &[&str]) -> Ended {
        let command = self.command(command, args);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit {limit} && exec \"$0\" \"$@\""));
        shell.arg(command.get_program()).args(command.get_args());
        shell.current_dir(self.directory.path());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Ended::of(Program::spawn(shell))
    }

    /// Counts every check-in, with a processor of its own.
    pub(crate) fn count_all(&self) {
        let _processor = self.start("processor", &[]);
        self.wait_for_doctor(&[], " 0 check-ins wait to be applied");
    }

    /// Runs the doctor until it says this, and gives all that it said.
    #[track_caller]
    pub(crate) fn wait_for_doctor(&self, args: &[&str], what: &str) -> String {
        let mut said = String::new();
        wait_for(PATIENCE, || {
            said = self.run("doctor", args).stdout;
            said.contains(what).then_some(())
        })
        .unwrap_or_else(|| panic!("never {what:?}:\n{said}"));
        said
    }

    /// Starts a command. A service must not log what [`is_secret`] finds.
    pub(crate) fn start(&self, command: &str, args: &[&str]) -> Program {
        let program = Program::spawn(self.command(command, args));
        let is_service =
            ["auth", "receiver", "api", "console", "processor", "up"].contains(&command);
        if is_service { program.discreet(is_secret) } else { program }
    }

    /// Settings come as variables, so that any flag may override them.
    pub(crate) fn command(&self, command: &str, args: &[&str]) -> Command {
        let mut program = checkin(self.directory.path());
        let store = match self.has_logins {
            true => logins::store_of(command, &self.store),
            false => self.store.clone(),
        };
        program
            .envs(self.variables.iter().copied())
            .env("CHECKIN_STORE", store)
            .env("CHECKIN_STORE_TIMEOUT", "5s")
            .env("CHECKIN_FAILED_LOGIN_TIME", "0")
            .env("CHECKIN_MIN_PASSWORD_LENGTH", "8")
            .env("CHECKIN_LISTEN", "127.0.0.1:0");
        for service in ["CONSOLE", "API", "RECEIVER", "AUTH"] {
            program.env(format!("CHECKIN_{service}_LISTEN"), "127.0.0.1:0");
        }
        if self.redis.is_some() {
            program.env("CHECKIN_SESSION_SECRET", SECRET);
        }
        program.arg(command).args(args);
        program
    }

    fn load_demo(&self) {
        let loaded = self.run("load", &["--demo"]);
        assert_eq!(loaded.code, 0, "{}{}", loaded.stdout, loaded.stderr);
    }

    /// A command of `redis-cli`.
    #[track_caller]
    pub(crate) fn redis_cli<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let (name, args) = command.split_first().unwrap();
        let query =
            |server: &RedisServer| redis::cmd(name).arg(args).query(&mut server.connection());
        let Some(cluster) = &self.cluster else { return query(self.server()).unwrap() };
        // Every server but one refuses a command with a key.
        let is_elsewhere = |error: &redis::RedisError| error.code() == Some("MOVED");
        let mut replies = cluster.servers().iter().map(query);
        replies.find(|reply| !reply.as_ref().is_err_and(is_elsewhere)).unwrap().unwrap()
    }

    /// The keys that match a pattern, on every server.
    #[track_caller]
    pub(crate) fn keys(&self, pattern: &str) -> Vec<String> {
        let servers = self
            .cluster
            .as_ref()
            .map_or_else(|| std::slice::from_ref(self.server()), RedisCluster::servers);
        let keys = |server: &RedisServer| -> Vec<String> {
            redis::cmd("KEYS").arg(pattern).query(&mut server.connection()).unwrap()
        };
        servers.iter().flat_map(keys).collect()
    }

    /// How many check-ins and how many keys there are, without the attempts to log in.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let attempts: Vec<String> = self.redis_cli(&["KEYS", "ncc:attempts:*"]);
        let keys = self.redis_cli::<u64>(&["DBSIZE"]) - attempts.len() as u64;
        (self.redis_cli(&["XLEN", "ncc:checkins"]), keys)
    }

    /// The value of the client's session, as it lies in Redis.
    pub(crate) fn session_value(&self, client: &Client) -> Option<String> {
        self.redis_cli(&["GET", &format!("ncc:session:{}", session_id(client))])
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.has_logins && !std::thread::panicking() {
            let refused = logins::refused(&self.server().url());
            assert!(
                refused.is_empty(),
                "docs/redis-permissions.md has not all permissions: {refused:?}"
            );
        }
    }
}

impl Service {
    pub(crate) fn ready(program: Program, line: &str) -> Service {
        Service::ready_at(Ipv4Addr::LOCALHOST, program, line)
    }

    pub(crate) fn ready_at(address: Ipv4Addr, program: Program, line: &str) -> Service {
        let port = port_in(&program.wait_for_line(line, PATIENCE));
        Service { program, address, port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A browser that has not been here.
    pub(crate) fn client(&self) -> Client {
        Client::new(format!("http://{}:{}", self.address, self.port))
    }

    /// A browser with the cookies of another one: ports do not keep cookies apart.
    pub(crate) fn client_like(&self, other: &Client) -> Client {
        let mut client = self.client();
        *client.jar_mut() = other.jar().clone();
        client
    }

    /// A browser in which Al has logged in.
    pub(crate) async fn logged_in(&self) -> Client {
        let mut client = self.client();
        expect_plain(&log_in(&mut client).await, 200, "OK");
        client
    }
}

impl Ended {
    pub(crate) fn of(mut program: Program) -> Ended {
        let status = program.wait(PATIENCE);
        Ended {
            code: status.code().expect("it ends by itself"),
            stdout: program.text(Stream::Stdout),
            stderr: program.text(Stream::Stderr),
        }
    }
}

/// Returns whether a line of a log has a secret of these tests, an e-mail address, a signed cookie or the
/// id of a session.
fn is_secret(line: &str) -> bool {
    let is_demo_login = line.trim_start().starts_with("demo login ");
    let is_id_part = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    // Trace ids are as long, and hexadecimal.
    let is_id = |word: &str| {
        word.len() == 32
            && word.contains(|c: char| c.is_ascii_uppercase())
            && word.contains(|c: char| ('g'..='z').contains(&c))
    };
    let secrets = [SECRET, PASSWORD, "@example.com", "s%3A"];
    !is_demo_login
        && (secrets.iter().any(|secret| line.contains(secret))
            || line.split(|c| !is_id_part(c)).any(is_id))
}

#[test]
fn a_secret_in_a_line_is_recognised() {
    let id = "Zk3jQ0-mB_x8Jq2dYw7RtUvA1cEgHiLn";
    for secret in [EMAIL, PASSWORD, SECRET, id, "checkinapp=s%3Aabc"] {
        assert!(is_secret(&format!("INFO a line with {secret} in it")), "{secret}");
    }
    for line in [
        "  demo login         al.appelhof@example.com with password secret123",
        "trace.id=4bf92f3577b34da6a3ce929d0e0e4736 Authentication service listening on port 8083.",
    ] {
        assert!(!is_secret(line), "{line}");
    }
}

/// Our program, in a directory where it finds nothing, and without the developer's settings.
pub(crate) fn checkin(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_checkin"));
    command.current_dir(directory);
    let ours = |name: &OsString| name.to_string_lossy().starts_with("CHECKIN_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command
}

pub(crate) async fn log_in(client: &mut Client) -> Response {
    client.post("/login", &json!({"email": EMAIL, "password": PASSWORD})).await
}

/// Al's check-in.
pub(crate) fn at(location: u64, stars: u64) -> Value {
    json!({"userId": USER, "locationId": location, "starRating": stars})
}

/// The id in the client's cookie, which must be signed with [`SECRET`].
#[track_caller]
pub(crate) fn session_id(client: &Client) -> String {
    let value = signature::decode(client.jar().get(COOKIE).expect("a session cookie")).unwrap();
    signature::unsign(&value, SECRET).expect("a cookie signed with our secret").to_owned()
}

/// The id of the check-in that was accepted.
#[track_caller]
pub(crate) fn accepted(response: &Response) -> String {
    assert_eq!(response.status, 202, "{}", response.text());
    response.header("checkin-id").expect("a Checkin-Id").to_owned()
}

#[track_caller]
pub(crate) fn expect_plain(response: &Response, status: u16, text: &str) {
    assert_eq!((response.status, response.text()), (status, text));
    let content_type = response.header("content-type").unwrap_or_default();
    assert!(content_type.starts_with("text/plain"), "{content_type:?}");
}

/// What is wrong with an answer that should be a problem (RFC 9457) with these bad fields.
pub(crate) fn problem_flaw(response: &Response, status: u16, fields: &[&str]) -> Option<String> {
    let content_type = response.header("content-type").unwrap_or_default();
    if response.status != status || content_type != "application/problem+json" {
        let text = String::from_utf8_lossy(&response.body);
        return Some(format!("{} {content_type:?} {text}", response.status));
    }
    let problem: Value = response.json();
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let named: Vec<&str> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
    let is_rule = |error: &Value| error["rule"].as_str().is_some_and(|r| r.starts_with("must "));
    let right = problem["status"] == status
        && problem["title"].is_string()
        && named == fields
        && errors.iter().all(is_rule);
    (!right).then(|| problem.to_string())
}

#[track_caller]
pub(crate) fn expect_problem(response: &Response, status: u16, fields: &[&str]) {
    let flaw = problem_flaw(response, status, fields);
    assert_eq!(flaw, None, "not a problem with status {status} and fields {fields:?}");
}

#[track_caller]
pub(crate) fn retry_after(response: &Response) -> u64 {
    response.header("retry-after").expect("a Retry-After").parse().unwrap()
}

/// A line about the memory of a process, in KiB: `VmRSS` for what it has now, `VmHWM` for the most that
/// it ever had.
pub(crate) fn memory_kib(program: &Program, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Asks again until the answer is the one that is waited for.
pub(crate) async fn until(
    what: &str,
    mut ask: impl AsyncFnMut() -> Response,
    mut done: impl FnMut(&Response) -> bool,
) -> Response {
    let mut answer = None;
    let is_done = async || {
        let response = ask().await;
        let is_done = done(&response);
        answer = Some(response);
        is_done
    };
    testkit::until(what, is_done).await;
    answer.unwrap()
}

fn port_in(line: &str) -> u16 {
    // A line may be JSON.
    let number = line.trim_end_matches(['.', '"', '}']).rsplit(' ').next().unwrap();
    number.parse().unwrap_or_else(|_| panic!("no port in {line:?}"))
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The files of a store with the demo data: made once, as every test would wait for it.
fn sqlite_template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let site = Site::empty_sqlite();
        site.load_demo();
        let template = own_directory("sqlite");
        copy_files(site.directory.path(), &template);
        template
    })
}

/// A snapshot of a Redis with the demo data.
fn redis_template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let template = own_directory("redis");
        let directory = template.to_str().unwrap();
        let args = ["--dir", directory, "--dbfilename", "demo.rdb"];
        let site = Site::on(RedisServer::start_with(&args));
        site.load_demo();
        site.redis_cli::<()>(&["SAVE"]);
        template.join("demo.rdb")
    })
}

/// A directory that this process may fill. What an earlier run left there goes.
fn own_directory(name: &str) -> PathBuf {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("demo-{name}"));
    let directory = parent.join(std::process::id().to_string());
    forget_ended_runs(&parent);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// Removes the directories of processes that are gone. Others may be doing the same.
fn forget_ended_runs(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let process = Path::new("/proc").join(entry.file_name());
        if Path::new("/proc/self").exists() && !process.exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The doctor's warnings and problems. A folder for temporary files may be in memory, which the doctor warns of.
pub(crate) fn complaints(doctor: &str) -> Vec<&str> {
    let complains = |line: &&str| line.starts_with("warning") || line.starts_with("PROBLEM");
    doctor
        .lines()
        .filter(complains)
        .filter(|line| !line.contains(" is in memory (tmpfs)"))
        .collect()
}

/// The names in a directory, in order.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
