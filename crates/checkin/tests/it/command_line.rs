//! What the person at the terminal sees, above all when something is wrong.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;
use testkit::{Program, RedisServer, free_port};

use crate::harness::{Ended, PATIENCE, SECRET, Site, checkin};

/// Stands in secrets and passwords, and never in what is printed.
const HUNTER: &str = "hunter2";

/// An empty directory to run the program in.
struct Desk(TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn start(&self, args: &[&str], env: &[(&str, &str)]) -> Program {
        let mut command = checkin(self.path());
        command.args(args).envs(env.iter().copied());
        Program::spawn(command)
    }

    fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Ended {
        Ended::of(self.start(args, env))
    }

    /// It ends with one line on stderr that names this.
    #[track_caller]
    fn fails(&self, args: &[&str], env: &[(&str, &str)], named: &[&str]) {
        let Ended { code, stdout, stderr } = self.run(args, env);
        let said = format!("{args:?} {env:?}\nexit code {code}\nstdout {stdout}\nstderr {stderr}");
        assert!(code == 1 || code == 2, "{said}");
        let one_line = stderr.lines().count() == 1 && stderr.starts_with("checkin: ");
        assert!(one_line, "not one line beginning with checkin: {said}");
        for name in named {
            assert!(stderr.contains(name), "{name} is not named: {said}");
        }
        let printed = format!("{stdout}{stderr}");
        for never in [HUNTER, "panicked", "backtrace", "RUST_BACKTRACE", "\u{1b}["] {
            assert!(!printed.contains(never), "{never:?} is printed: {said}");
        }
    }
}

const AUTH: [&str; 3] = ["auth", "--listen", "127.0.0.1:0"];

#[test]
fn help_and_version() {
    let desk = Desk::new();
    for args in [
        &["--help"][..],
        &["--version"],
        &["-h"],
        &["-V"],
        &["help"],
        &["up", "--help"],
        &["auth", "--help"],
        &["receiver", "--help"],
        &["load", "--help"],
        &["export", "--help"],
        &["generate", "--help"],
        &["doctor", "--help"],
    ] {
        let ended = desk.run(args, &[("CHECKIN_SESSION_SECRET", HUNTER)]);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{args:?}");
        assert!(ended.stdout.contains("checkin"), "{args:?}: {}", ended.stdout);
        assert!(!ended.stdout.contains(HUNTER), "{args:?}");
    }
    assert_eq!(fs::read_dir(desk.path()).unwrap().count(), 0, "asking makes no store");
}

#[test]
fn every_rule_of_a_flag_says_what_must_be() {
    let desk = Desk::new();
    for args in [
        &["auth", "--partitions", "0"][..],
        &["auth", "--partitions", "x"],
        &["auth", "--max-sessions", "101"],
        &["auth", "--log-level", "loud"],
        &["auth", "--log-format", "xml"],
        &["auth", "--store", "mysql://x"],
        &["auth", "--store-timeout", "soon"],
        &["auth", "--store-timeout", "0"],
        &["auth", "--session-cache", "99999d"],
        &["auth", "--key-prefix", "a b"],
        &["auth", "--session-secret", "a,,b"],
        &["auth", "--listen", "nowhere"],
        &["receiver", "--checkin-rate", "many"],
        &["receiver", "--max-backlog=-1"],
        &["generate", "--rate", "0"],
        &["generate", "--seed", "x"],
        &["generate", "--url", "ftp://x"],
        &["processor", "--batch", "0"],
        &["load", "--stars", "6", "a.json"],
        &["export", "--user", "77", "--format", "xml"],
        &["users", "passwd", "x"],
    ] {
        desk.fails(args, &[], &["must "]);
    }
    for switch in ["CHECKIN_TRUST_PROXY", "CHECKIN_NO_AUTH"] {
        desk.fails(&["receiver"], &[(switch, "perhaps")], &[switch, "must be true or false"]);
    }
}

#[test]
fn a_value_may_begin_with_a_dash() {
    let desk = Desk::new();
    for (args, flag) in [
        (&["auth", "--partitions", "-1"][..], "--partitions"),
        (&["auth", "--max-sessions", "-1"], "--max-sessions"),
        (&["--partitions", "-1", "auth"], "--partitions"),
        (&["auth", "--store-timeout", "-1s"], "--store-timeout"),
        (&["auth", "--store", "-1"], "--store"),
        (&["auth", "--listen", "-x", "--log-level", "info"], "--listen"),
        (&["auth", "--log-level", "-1"], "--log-level"),
        (&["receiver", "--max-backlog", "-1"], "--max-backlog"),
        (&["generate", "--rate", "-0.5"], "--rate"),
        (&["load", "a.json", "--stars", "-1"], "--stars"),
        (&["load", "a.json", "--new-places", "-1"], "--new-places"),
        (&["sessions", "list", "--user", "-1"], "--user"),
        (&["users", "passwd", "-1"], "ID|EMAIL"),
        (&["dead-letters", "replay", "-1"], "ID"),
    ] {
        desk.fails(args, &[], &[flag]);
        assert!(!desk.run(args, &[]).stderr.contains("unexpected argument"), "{args:?}");
    }
    let absent = ["doctor", "--store", "sqlite:a.db", "--session-secret", "-hunter2"];
    assert_eq!(desk.run(&absent, &[]).code, 1, "a secret may be anything");
    // What was forgotten is not taken from the next flag.
    for args in [&["auth", "--session-secret", "--trust-proxy"][..], &["auth", "--store", "--help"]]
    {
        desk.fails(args, &[], &[args[1], "a value is required"]);
    }
}

#[test]
fn no_command_is_a_question_for_the_help() {
    let desk = Desk::new();
    for group in [&[][..], &["dead-letters"]] {
        let (alone, asked) = (desk.run(group, &[]), desk.run(&[group, &["--help"]].concat(), &[]));
        assert_eq!((alone.code, alone.stderr.as_str()), (0, ""), "{group:?}");
        assert_eq!(alone.stdout, asked.stdout, "{group:?}");
    }
}

#[test]
fn each_command_shows_its_own_options_first_and_examples() {
    let desk = Desk::new();
    let commands = desk.run(&[], &[]).stdout;
    let commands = commands.split_once("Commands:\n").unwrap().1;
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let commands: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands.into_iter().filter(|command| *command != "help") {
        let help = desk.run(&[command, "--help"], &[]).stdout;
        let (own, shared) = help.split_once("Options of every command:").expect(command);
        let (shared, examples) = shared.split_once("Examples:").expect(command);
        assert!(!own.contains("--store <URL>") && shared.contains("--store <URL>"), "{help}");
        assert!(examples.contains(&format!("checkin {command}")), "{help}");
        let Some((_, actions)) = own.split_once("Commands:\n") else { continue };
        let actions = actions.lines().take_while(|line| !line.is_empty());
        let actions = actions.filter_map(|line| line.split_whitespace().next());
        for action in actions.filter(|action| *action != "help") {
            let help = desk.run(&[command, action, "--help"], &[]).stdout;
            let (_, examples) = help.split_once("Examples:").expect(action);
            let example = format!("  checkin {command} {action}");
            let others = examples.lines().filter(|line| !line.starts_with(&example)).count();
            assert!(examples.contains(&example) && others == 1, "{help}");
        }
    }
}

#[test]
fn a_help_text_shows_what_concerns_its_command() {
    let desk = Desk::new();
    let shows = |arguments: &[&str], option: &str| {
        let help = desk.run(arguments, &[]).stdout;
        assert!(help.contains("--store <URL>") && help.contains("Examples:"), "{help}");
        help.contains(option)
    };
    for service in ["up", "auth", "api", "receiver", "console", "processor", "doctor"] {
        assert!(shows(&[service, "--help"], "--max-connections"), "{service}");
        assert!(!shows(&[service, "-h"], "--max-connections"), "{service}");
    }
    for command in [&[][..], &["sessions"], &["sessions", "revoke"], &["load"], &["users", "add"]] {
        assert!(!shows(&[command, &["--help"]].concat(), "--max-connections"), "{command:?}");
        assert!(!shows(&[command, &["-h"]].concat(), "--partitions"), "{command:?}");
        assert!(shows(&[command, &["--help"]].concat(), "--partitions"), "{command:?}");
        assert!(shows(&[command, &["-h"]].concat(), "--log-level"), "{command:?}");
    }
}

#[test]
fn options_of_services_are_read_everywhere() {
    let desk = Desk::new();
    let rule = &["--max-connections", "must be"];
    desk.fails(&["--max-connections", "0", "users", "list"], &[], rule);
    desk.fails(&["users", "list", "--max-connections", "0"], &[], rule);
    desk.fails(&["users", "list"], &[("CHECKIN_MAX_CONNECTIONS", "0")], rule);
    desk.fails(&["--max-connections", "0", "receiver"], &[], rule);
    let file = desk.file("settings.toml", "max-connections = 7\n");
    let help = desk.run(&["receiver", "--config", &file, "--help"], &[]).stdout;
    assert!(help.contains("[default: 7]"), "{help}");
}

#[test]
fn a_help_text_shows_no_secret_of_the_file() {
    let desk = Desk::new();
    let file = desk.file(
        "settings.toml",
        "session-secret = \"hunter2\"\nstore = \"redis://al:hunter2@127.0.0.1\"\npassword = \"hunter2\"\n",
    );
    for command in ["auth", "generate"] {
        let help = desk.run(&[command, "--config", &file, "--help"], &[]);
        assert_eq!(help.code, 0);
        assert!(!help.stdout.contains(HUNTER), "{}", help.stdout);
    }
}

#[test]
fn wrong_words() {
    let desk = Desk::new();
    desk.fails(&["--bogus"], &[], &["--bogus", "see checkin --help"]);
    desk.fails(&["bogus"], &[], &["bogus", "see checkin --help"]);
    desk.fails(&["--log-level", "info"], &[], &["a command must be named", "see checkin --help"]);
    let auth = "see checkin auth --help";
    desk.fails(&["auth", "--bogus"], &[], &["--bogus", auth]);
    desk.fails(&["auth", "bogus"], &[], &["bogus", auth]);
    desk.fails(&["auth", "--store"], &[], &["--store", auth]);
    desk.fails(&["--store", "load", "auth"], &[], &["--store", auth]);
    desk.fails(&["auth"], &[("CHECKIN_MAX_SESSIONS", "0")], &["--max-sessions", auth]);
    desk.fails(&["load"], &[], &["FILE", "must be given; see checkin load --help"]);
    let missing = "<ACCOUNT>, <ID>... must be given; see checkin checkins delete --help";
    desk.fails(&["checkins", "delete"], &[], &[missing]);
    let replay = "see checkin dead-letters replay --help";
    desk.fails(&["dead-letters", "replay"], &[], &["ID", replay]);
    desk.fails(&["dead-letters", "bogus"], &[], &["bogus", "see checkin dead-letters --help"]);
    for (flag, value) in [
        ("--listen", "nowhere"),
        ("--listen", "127.0.0.1:99999"),
        ("--store-timeout", "soon"),
        ("--store-timeout", "0"),
        ("--log-format", "xml"),
        ("--log-level", "loud"),
        ("--key-prefix", "a b"),
        ("--key-prefix", ""),
        ("--store", "mysql://127.0.0.1/x"),
        ("--store", "checkin.db"),
        ("--store", ""),
        ("--store", "sqlite:"),
        ("--store", "redis://"),
        ("--store", "redis://127.0.0.1:99999"),
    ] {
        desk.fails(&["auth", flag, value], &[], &[flag]);
    }
    desk.fails(&["receiver", "--duplicate-window=-1s"], &[], &["--duplicate-window"]);
    desk.fails(&["receiver", "--checkin-rate", "many"], &[], &["--checkin-rate"]);
    for number in ["0", "101", "many"] {
        desk.fails(&["auth", "--max-sessions", number], &[], &["--max-sessions"]);
    }
    desk.fails(&["up"], &[("CHECKIN_MAX_SESSIONS", "0")], &["--max-sessions"]);
    // A variable is named with the flag that it stands for.
    desk.fails(&AUTH, &[("CHECKIN_STORE", "mysql://x")], &["--store", "CHECKIN_STORE"]);
    desk.fails(&["auth"], &[("CHECKIN_LISTEN", "nowhere")], &["--listen", "CHECKIN_LISTEN"]);
    desk.fails(&["receiver", "auth", "--no-auth"], &[], &["--no-auth"]);
    desk.fails(&["receiver", "login"], &[], &["must be auth;"]);
    assert_eq!(fs::read_dir(desk.path()).unwrap().count(), 0, "nothing is made");
}

#[cfg(feature = "external-tests")]
#[test]
fn secrets_that_are_none() {
    let desk = Desk::new();
    let secret = "--session-secret";
    desk.fails(&["auth", "--session-secret", ""], &[], &[secret]);
    desk.fails(&["auth", "--session-secret", ","], &[], &[secret]);
    desk.fails(&AUTH, &[("CHECKIN_SESSION_SECRET", "")], &[secret]);
    let server = RedisServer::start();
    desk.fails(&AUTH, &[("CHECKIN_STORE", &server.url())], &[secret, "CHECKIN_SESSION_SECRET"]);
}

#[test]
fn wrong_secrets_are_not_shown_where_they_are_a_flag() {
    Desk::new().fails(&["auth", "--session-secret", "hunter2,"], &[], &["--session-secret"]);
}

#[test]
fn wrong_secrets_are_not_shown_where_they_are_a_variable() {
    let env = [("CHECKIN_SESSION_SECRET", "new,,hunter2")];
    Desk::new().fails(&AUTH, &env, &["--session-secret"]);
}

#[test]
fn wrong_secrets_are_not_shown_where_they_are_in_a_file() {
    let desk = Desk::new();
    let empty = desk.file("empty.toml", "session-secret = \"hunter2,,old\"\n");
    desk.fails(&["auth", "--config", &empty], &[], &["session-secret"]);
}

#[test]
fn a_secret_in_a_malformed_file_is_not_shown() {
    let desk = Desk::new();
    let open = desk.file("open.toml", "store = \"sqlite:a.db\"\nsession-secret = \"hunter2\n");
    desk.fails(&["auth", "--config", &open], &[], &["open.toml", "line 2"]);
}

#[test]
fn a_password_in_a_wrong_store_url_is_not_shown() {
    let desk = Desk::new();
    for url in [
        "redis://al:hunter2@127.0.0.1:99999",
        "redis://al:hunter2@",
        "redis://:hunter2@127.0.0.1:1/many",
        "redis-cluster://al:hunter2@",
        "redis-sentinel://al:hunter2@127.0.0.1:1",
        "postgres://al:hunter2@127.0.0.1/x",
    ] {
        desk.fails(&["auth", "--store", url, "--session-secret", SECRET], &[], &["--store"]);
    }
}

#[test]
fn configuration_files_that_cannot_be_used() {
    let desk = Desk::new();
    desk.fails(&["auth", "--config", "absent.toml"], &[], &["absent.toml"]);
    desk.fails(&["auth"], &[("CHECKIN_CONFIG", "absent.toml")], &["absent.toml"]);
    desk.fails(&["--config=absent.toml", "auth"], &[], &["absent.toml"]);
    let directory = desk.path().to_str().unwrap();
    desk.fails(&["auth", "--config", directory], &[], &[directory]);
    for (name, text, named) in [
        ("malformed.toml", "store = = 1\n", &["malformed.toml", "line 1"][..]),
        ("twice.toml", "store = \"sqlite:a\"\nstore = \"sqlite:b\"\n", &["twice.toml", "line 2"]),
        ("unknown.toml", "colour = \"red\"\n", &["unknown.toml", "colour"]),
        ("config.toml", "config = \"other.toml\"\n", &["config.toml", "config"]),
        ("command.toml", "help = true\n", &["command.toml", "help"]),
        ("table.toml", "[store]\nurl = \"sqlite:a\"\n", &["table.toml", "store"]),
        ("number.toml", "store-timeout = 1.5\n", &["store-timeout: must be a text, an integer"]),
        ("value.toml", "store-timeout = \"soon\"\n", &["store-timeout"]),
        ("url.toml", "store = \"mysql://x\"\n", &["store"]),
        ("level.toml", "log-level = \"loud\"\n", &["log-level"]),
        ("format.toml", "log-format = \"xml\"\n", &["log-format: must be one of text, json"]),
        ("flag.toml", "trust-proxy = \"perhaps\"\n", &["trust-proxy"]),
        ("listen.toml", "listen = \"nowhere\"\n", &["listen"]),
        ("sessions.toml", "max-sessions = 0\n", &["sessions.toml", "max-sessions"]),
    ] {
        let file = desk.file(name, text);
        desk.fails(&["auth", "--config", &file], &[], named);
    }
    let bytes = desk.file("bytes.toml", b"store = \"\xff\"\n");
    desk.fails(&["auth", "--config", &bytes], &[], &["bytes.toml"]);
}

#[test]
fn a_bad_value_in_a_file_names_the_file() {
    let desk = Desk::new();
    let file = desk.file("value.toml", "store-timeout = \"soon\"\n");
    desk.fails(&["auth", "--config", &file], &[], &["value.toml", "store-timeout"]);
}

#[cfg(feature = "external-tests")]
#[test]
fn stores_that_cannot_be_reached() {
    let desk = Desk::new();
    let nobody = format!("127.0.0.1:{}", free_port());
    let url = format!("redis://al:{HUNTER}@{nobody}");
    let env = [("CHECKIN_STORE", url.as_str()), ("CHECKIN_SESSION_SECRET", HUNTER)];
    desk.fails(&["load", "--demo"], &env, &[&nobody]);
    desk.fails(&["export", "--user", "1"], &env, &[&nobody]);

    let server = RedisServer::start();
    let mut connection = server.connection();
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("requirepass").arg("right").exec(&mut connection).unwrap();
    let address = format!("127.0.0.1:{}", server.port());
    let url = format!("redis://:{HUNTER}@{address}");
    desk.fails(&AUTH, &[("CHECKIN_STORE", &url), ("CHECKIN_SESSION_SECRET", HUNTER)], &[&address]);
}

#[test]
fn files_that_are_no_store() {
    let desk = Desk::new();
    desk.fails(&["auth", "--store", "sqlite:absent/checkin.db"], &[], &["absent/checkin.db"]);
    desk.file("notes.txt", "These are notes, and no database.\n".repeat(500));
    desk.fails(&["auth", "--store", "sqlite:notes.txt"], &[], &["notes.txt"]);
    fs::create_dir(desk.path().join("directory")).unwrap();
    desk.fails(&["auth", "--store", "sqlite:directory"], &[], &["directory"]);
    desk.file("kept.db.session-secret", "\n");
    desk.fails(&["auth", "--store", "sqlite:kept.db"], &[], &["kept.db.session-secret"]);
}

#[test]
fn a_port_that_is_taken() {
    let desk = Desk::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    desk.fails(&["auth", "--listen", &address], &[], &[&address, "--listen"]);
    desk.fails(&["receiver", "--listen", &address], &[], &[&address, "--listen"]);
    let free = ["CONSOLE", "API", "RECEIVER", "AUTH"].map(|s| format!("CHECKIN_{s}_LISTEN"));
    let free: Vec<(&str, &str)> = free.iter().map(|name| (name.as_str(), "127.0.0.1:0")).collect();
    for flag in ["--auth-listen", "--receiver-listen"] {
        desk.fails(&["up", flag, &address], &free, &[&address, flag]);
    }
}

#[test]
fn flags_go_before_variables_and_variables_before_the_file() {
    let desk = Desk::new();
    let file = desk.file("settings.toml", "store = \"sqlite:file.db\"\n");
    let store = |args: &[&str], env: &[(&str, &str)]| {
        let ended = desk.run(&[&["doctor"], args].concat(), env);
        // There is no store yet, and the doctor makes none.
        assert_eq!((ended.code, ended.stderr.as_str()), (1, ""), "{}", ended.stdout);
        let line = ended.stdout.lines().find_map(|line| line.split_once("the store is sqlite:"));
        line.unwrap_or_else(|| panic!("{}", ended.stdout)).1.to_owned()
    };
    let config = ["--config", file.as_str()];
    let variable = ("CHECKIN_STORE", "sqlite:variable.db");
    assert_eq!(store(&[], &[]), "checkin.db");
    assert_eq!(store(&config, &[]), "file.db");
    assert_eq!(store(&[], &[("CHECKIN_CONFIG", &file)]), "file.db");
    assert_eq!(store(&config, &[variable]), "variable.db");
    let flag = ["--store", "sqlite:flag.db"];
    assert_eq!(store(&[config, flag].concat(), &[variable]), "flag.db");
    assert_eq!(store(&flag, &[variable]), "flag.db");
}

/// The line with which a receiver says whether it wants sessions.
fn receiver_says(desk: &Desk, args: &[&str], env: &[(&str, &str)]) -> String {
    let args = [&["receiver", "--listen", "127.0.0.1:0"], args].concat();
    let program = desk.start(&args, env);
    program.wait_for_line("valid user session.", PATIENCE)
}

#[test]
fn switches_have_the_same_order() {
    let desk = Desk::new();
    let file = desk.file("settings.toml", "no-auth = true\nduplicate-window = \"0\"\n");
    let config = ["--config", file.as_str()];
    let disabled = |line: String| line.contains("Authentication disabled");
    assert!(!disabled(receiver_says(&desk, &[], &[])));
    assert!(disabled(receiver_says(&desk, &["--no-auth"], &[])));
    assert!(disabled(receiver_says(&desk, &[], &[("CHECKIN_NO_AUTH", "true")])));
    assert!(disabled(receiver_says(&desk, &config, &[])));
    assert!(!disabled(receiver_says(&desk, &config, &[("CHECKIN_NO_AUTH", "false")])));
}

#[test]
fn log_lines_may_be_json() {
    let desk = Desk::new();
    let line = receiver_says(&desk, &["--log-format", "json"], &[]);
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let message = "Authentication enabled, checkins require a valid user session.";
    assert_eq!(line["message"], message);
}

const PEOPLE: &str = r#"{
  "users": [
    {"id": 1, "firstName": "Ann", "lastName": "One", "email": "ann@example.com", "password": "long enough"},
    {"id": 0, "firstName": "Bob", "lastName": "Two", "email": "bob@example.com", "password": "hunter2 hunter2"},
    {"id": 3, "firstName": "", "lastName": "Three", "email": "carol", "password": ""},
    {"id": 4, "firstName": "Dan", "lastName": "Four", "email": "ANN@example.com", "password": "long enough"},
    {"id": 5, "firstName": "Eve", "lastName": "Five", "email": "eve@example.com", "password": "long enough"}
  ],
  "locations": [
    {"id": 1, "name": "Here", "category": "cafe", "location": "-122.4,37.7"},
    {"id": 2, "name": "There", "category": "cafe", "location": "somewhere"}
  ],
  "checkins": [
    {"id": "1609602085397-0", "userId": 1, "locationId": 1, "starRating": 5},
    {"id": "1609602085398-0", "userId": 9, "locationId": 1, "starRating": 5},
    {"id": "1609602085399-0", "userId": 1, "locationId": 1, "starRating": 6}
  ]
}"#;

/// Whether some line has all these words.
fn says(text: &str, words: &[&str]) -> bool {
    text.lines().any(|line| words.iter().all(|word| line.contains(word)))
}

#[test]
fn a_load_names_wrong_records_and_loads_the_rest() {
    let desk = Desk::new();
    let file = desk.file("people.json", PEOPLE);
    let loaded = desk.run(&["load", &file], &[]);
    let out = &loaded.stdout;
    for words in [
        &["people.json", "users[1]", "id"][..],
        &["people.json", "users[2]", "firstName"],
        &["people.json", "users[2]", "email"],
        &["people.json", "users[2]", "password"],
        &["people.json", "users[3]", "email", "1 and 4"],
        &["people.json", "locations[1]", "location"],
        &["people.json", "checkins[2]", "starRating"],
        &["people.json", "checkins[1].userId", "must be the id of a user that exists"],
        &["users: 2 loaded"],
        &["locations: 1 loaded"],
        &["check-ins: 1 loaded"],
    ] {
        assert!(says(out, words), "nothing says {words:?}:\n{out}");
    }
    assert!(!out.contains(HUNTER), "{out}");
    assert_eq!(loaded.code, 1);
    assert!(loaded.stderr.starts_with("checkin: "), "{}", loaded.stderr);
    assert_eq!(loaded.stderr.lines().count(), 1, "{}", loaded.stderr);

    let again = desk.run(&["load", &file], &[]);
    assert_eq!(again.code, 1);
    for line in
        ["users: 0 loaded, 2 there", "locations: 0 loaded, 1 there", "check-ins: 0 loaded, 1 there"]
    {
        assert!(says(&again.stdout, &[line]), "nothing says {line}:\n{}", again.stdout);
    }
    let other = r#"{"users":[{"id":6,"firstName":"F","lastName":"Six","email":"Eve@example.com","password":"long enough"}]}"#;
    let other = desk.run(&["load", &desk.file("other.json", other)], &[]);
    assert_eq!(other.code, 1);
    assert!(
        says(&other.stdout, &["other.json: users[0].email: must not belong to another account"]),
        "{}",
        other.stdout
    );
}

#[test]
fn loads_that_cannot_begin() {
    let desk = Desk::new();
    for path in ["absent.json", desk.path().to_str().unwrap()] {
        let ended = desk.run(&["load", path], &[]);
        let line = format!("{path}: must be a file that can be read");
        assert!(ended.code == 1 && says(&ended.stdout, &[&line]), "{ended:?}");
    }
    for (name, text) in
        [("malformed.json", "{\"users\": [}"), ("list.json", "[]"), ("empty.json", "")]
    {
        let ended = desk.run(&["load", &desk.file(name, text)], &[]);
        assert_eq!(ended.code, 1, "{name}");
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains(name), "{}", ended.stdout);
    }
    let typing_error = desk.file("typo.json", r#"{"user": []}"#);
    let ended = desk.run(&["load", &typing_error], &[]);
    assert_eq!(ended.code, 1);
    assert!(says(&ended.stdout, &["typo.json", "user"]), "{}", ended.stdout);
}

#[cfg(feature = "external-tests")]
#[test]
fn loading_twice_changes_nothing() {
    let site = Site::redis();
    // Time went on: this is what the demo data would overwrite.
    site.redis_cli::<i64>(&["HSET", "ncc:user:77", "firstName", "Alan"]);
    let (checkins, keys) = site.counts();
    let entries: Vec<(String, Vec<String>)> =
        site.redis_cli(&["XREVRANGE", "ncc:checkins", "+", "-", "COUNT", "1"]);
    let again = site.run("load", &["--demo"]);
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
    assert_eq!(again.stderr, "");
    assert!(says(&again.stdout, &["users: 0 loaded, 1000 there already"]), "{}", again.stdout);
    assert!(says(&again.stdout, &["locations: 0 loaded, 220 there already"]), "{}", again.stdout);
    let user: Vec<String> = site.redis_cli(&["HMGET", "ncc:user:77", "firstName"]);
    assert_eq!(user, ["Alan"]);
    assert_eq!(site.counts().1, keys);
    // The demo reaches up to now, and a moment has passed: only the past is as it was.
    let past: Vec<(String, Vec<String>)> =
        site.redis_cli(&["XRANGE", "ncc:checkins", "-", &entries[0].0]);
    assert_eq!((past.len() as u64, past.last()), (checkins, entries.first()));
}

#[cfg(feature = "external-tests")]
#[test]
fn the_doctor_finds_what_is_wrong() {
    let site = Site::sqlite();
    let fine = site.run("doctor", &["--session-profile", "strict"]);
    assert_eq!((fine.code, fine.stderr.as_str()), (0, ""), "{}", fine.stdout);
    assert!(fine.stdout.contains("1000 users"), "{}", fine.stdout);
    assert_eq!(crate::harness::complaints(&fine.stdout), [""; 0], "{}", fine.stdout);

    let site = Site::redis();
    let forgetful = site.run("doctor", &[]);
    assert_eq!((forgetful.code, forgetful.stderr.as_str()), (1, ""), "{}", forgetful.stdout);
    assert!(says(&forgetful.stdout, &["PROBLEM", "append-only"]), "{}", forgetful.stdout);
    let repair = "redis-cli CONFIG SET appendonly yes";
    assert!(forgetful.stdout.contains(repair), "how to repair it: {}", forgetful.stdout);
    // What fails does not hide what was found before.
    site.redis_cli::<()>(&["ACL", "SETUSER", "checkin-admin", "-scan"]);
    let limited = site.run("doctor", &[]);
    assert!(says(&limited.stdout, &["PROBLEM", "append-only"]), "{}", limited.stdout);
    assert!(
        says(&limited.stdout, &["PROBLEM", "the login may not use scan"]),
        "{}",
        limited.stdout
    );
    site.redis_cli::<()>(&["ACL", "SETUSER", "checkin-admin", "+scan"]);
    site.redis_cli::<()>(&["ACL", "LOG", "RESET"]);
    let short = site.run("doctor", &["--session-secret", HUNTER]);
    assert!(says(&short.stdout, &["warning", "secret"]), "{}", short.stdout);
    assert!(!short.stdout.contains(HUNTER), "{}", short.stdout);
}

#[cfg(feature = "external-tests")]
#[test]
fn the_doctor_says_when_the_store_is_away() {
    let desk = Desk::new();
    let nobody = format!("127.0.0.1:{}", free_port());
    let url = format!("redis://al:{HUNTER}@{nobody}");
    let away = desk.run(&["doctor", "--store", &url, "--session-secret", SECRET], &[]);
    assert_eq!(away.code, 1);
    assert!(away.stdout.contains(&nobody) && away.stdout.contains("--store"), "{}", away.stdout);
    assert!(!format!("{}{}", away.stdout, away.stderr).contains(HUNTER), "{}", away.stdout);

    let no_secret = RedisServer::start();
    let no_secret = desk.run(&["doctor", "--store", &no_secret.url()], &[]);
    assert_eq!(no_secret.code, 1);
    assert!(no_secret.stdout.contains("--session-secret"), "{}", no_secret.stdout);
}
