//! Check-ins at a rate, and what is in the log afterwards.

use std::time::Duration;

use testkit::{Program, Signal, free_port, wait_until};

use crate::harness::{Ended, PATIENCE, Service, Site};

fn url(service: &Service) -> String {
    format!("http://127.0.0.1:{}", service.port())
}

/// The number behind a word of the summary.
#[track_caller]
fn counted(ended: &Ended, what: &str) -> u64 {
    let line = ended.stdout.lines().find_map(|line| line.strip_prefix(what));
    let number = line.and_then(|line| line.trim().parse().ok());
    number.unwrap_or_else(|| panic!("no {what}: {}{}", ended.stdout, ended.stderr))
}

/// How many check-ins the store holds.
fn stored(site: &Site) -> u64 {
    let doctor = site.run("doctor", &[]);
    let counts = doctor.stdout.lines().find_map(|line| line.strip_suffix(" check-ins"));
    let count = counts.and_then(|counts| counts.rsplit(' ').next()?.parse().ok());
    count.unwrap_or_else(|| panic!("{}", doctor.stdout))
}

fn generate(site: &Site, auth: &Service, receiver: &Service, args: &[&str]) -> Program {
    let (url, auth_url, seed) = (url(receiver), url(auth), testkit::seed().to_string());
    let mut program = [&["--url", &url, "--auth-url", &auth_url], args].concat();
    if !args.contains(&"--users") {
        program.extend(["--users", "5"]);
    }
    if !args.contains(&"--seed") {
        program.extend(["--seed", &seed]);
    }
    site.start("generate", &program)
}

#[test]
fn the_log_holds_what_the_summary_says_on_sqlite() {
    the_log_holds_what_the_summary_says(&Site::sqlite());
}

#[cfg(feature = "external-tests")]
#[test]
fn the_log_holds_what_the_summary_says_on_redis() {
    the_log_holds_what_the_summary_says(&Site::redis());
}

fn the_log_holds_what_the_summary_says(site: &Site) {
    let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
    let before = stored(site);
    let args = ["--rate", "50", "--duration", "3s", "--seed", "7"];
    let ended = Ended::of(generate(site, &auth, &receiver, &args));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    assert!(ended.stdout.starts_with("seed 7: 150 check-ins of 5 users"), "{}", ended.stdout);
    assert_eq!(counted(&ended, "sent"), 150);
    assert_eq!(counted(&ended, "accepted") + counted(&ended, "duplicates"), 150);
    for none in ["refused", "errors", "missed"] {
        assert_eq!(counted(&ended, none), 0, "{none}");
    }
    assert!(ended.stdout.contains("p99.9"), "{}", ended.stdout);
    assert_eq!(stored(site) - before, counted(&ended, "accepted"));

    // The same seed is the same check-ins, which were made a moment ago.
    let again = Ended::of(generate(site, &auth, &receiver, &args));
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
    assert_eq!((counted(&again, "accepted"), counted(&again, "duplicates")), (0, 150));
}

#[test]
fn a_receiver_that_was_killed_loses_nothing_on_sqlite() {
    a_receiver_that_was_killed_loses_nothing(&Site::sqlite());
}

#[cfg(feature = "external-tests")]
#[test]
fn a_receiver_that_was_killed_loses_nothing_on_redis() {
    a_receiver_that_was_killed_loses_nothing(&Site::redis());
}

fn a_receiver_that_was_killed_loses_nothing(site: &Site) {
    let auth = site.auth(&[]);
    let mut receiver = site.receiver(&["--duplicate-window", "0"]);
    let before = stored(site);
    // To look at what is stored takes a busy machine a second and more.
    let program = generate(site, &auth, &receiver, &["--rate", "50", "--duration", "8s"]);
    program.wait_for_line("seed ", PATIENCE);
    wait_until("some of them are stored", || stored(site) > before);
    receiver.program.kill();
    // An outage of half a second.
    std::thread::sleep(Duration::from_millis(500));
    let address = format!("127.0.0.1:{}", receiver.port());
    let _restarted = site.receiver(&["--listen", &address, "--duplicate-window", "0"]);
    let ended = Ended::of(program);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(counted(&ended, "accepted"), 400);
    assert!(counted(&ended, "retries") > 0, "{}", ended.stdout);
    assert_eq!(stored(site) - before, 400, "each once");
}

#[test]
fn refused_check_ins_are_counted_by_their_status() {
    let site = Site::sqlite();
    let (auth, receiver) = (site.auth(&[]), site.receiver(&["--checkin-rate", "1"]));
    let args = ["--rate", "200", "--duration", "1s", "--users", "1"];
    let ended = Ended::of(generate(&site, &auth, &receiver, &args));
    assert_eq!(ended.code, 1);
    assert!(counted(&ended, "refused") > 150, "{}", ended.stdout);
    assert_eq!(counted(&ended, "  with 429"), counted(&ended, "refused"));
    assert!(ended.stdout.contains("--users"), "{}", ended.stdout);
    assert!(ended.stderr.contains("were not accepted"), "{}", ended.stderr);
}

#[test]
fn a_signal_ends_it_with_the_summary() {
    let site = Site::sqlite();
    let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
    let before = stored(&site);
    let program = generate(&site, &auth, &receiver, &["--rate", "50", "--duration", "1h"]);
    wait_until("some are stored", || stored(&site) > before);
    program.signal(Signal::SIGINT);
    let ended = Ended::of(program);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert!((1..1000).contains(&counted(&ended, "sent")), "{}", ended.stdout);
}

/// How many sessions there are.
fn sessions(site: &Site) -> usize {
    site.redis_cli::<Vec<String>>(&["KEYS", "ncc:session:*"]).len()
}

#[cfg(feature = "external-tests")]
#[test]
fn no_session_of_a_run_is_left() {
    let site = Site::redis();
    let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
    let run = |args: &[&str]| generate(&site, &auth, &receiver, args);
    let ended = Ended::of(run(&["--rate", "10", "--duration", "1s"]));
    assert_eq!((ended.code, sessions(&site)), (0, 0), "{}{}", ended.stdout, ended.stderr);

    let stopped = run(&["--rate", "10", "--duration", "1h"]);
    stopped.wait_for_line("seed ", PATIENCE);
    assert_eq!(sessions(&site), 5);
    stopped.signal(Signal::SIGTERM);
    let ended = Ended::of(stopped);
    assert_eq!((ended.code, sessions(&site)), (0, 0), "{}{}", ended.stdout, ended.stderr);

    // One of the users has another password than the others.
    let hash = r"$2b$04$abcdefghijklmnopqrstuuWJfxmDLxDJTYcJgf1xNRK3cC1dlY8rW";
    site.redis_cli::<()>(&["HSET", "ncc:user:5", "password", hash]);
    let ended = Ended::of(run(&["--users", "9"]));
    assert_eq!((ended.code, sessions(&site)), (1, 0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("user 5"), "{}", ended.stderr);

    // While the logins are under way.
    let stopped = run(&["--users", "1000"]);
    wait_until("three have logged in", || sessions(&site) >= 3);
    stopped.signal(Signal::SIGINT);
    let ended = Ended::of(stopped);
    assert_eq!((ended.code, sessions(&site)), (1, 0), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn a_service_that_stands_still_shows_in_the_latencies() {
    let site = Site::sqlite();
    let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
    let program = generate(&site, &auth, &receiver, &["--rate", "50", "--duration", "3s"]);
    program.wait_for_line("seed ", PATIENCE);
    receiver.program.signal(Signal::SIGSTOP);
    // For two of the three seconds.
    std::thread::sleep(Duration::from_secs(2));
    receiver.program.signal(Signal::SIGCONT);
    let ended = Ended::of(program);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    // Of the 150, some hundred came due while it stood still, or fewer, if this test was late. One request at a time would
    // be one that waited.
    let slow = ended.stdout.rsplit("p90 ").next().and_then(|rest| rest.split('.').next());
    assert!(slow.unwrap().parse::<u64>().unwrap() > 200, "{}", ended.stdout);
}

#[test]
fn runs_that_cannot_begin() {
    let site = Site::sqlite();
    let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
    let fails = |program: Program, named: &[&str]| {
        let ended = Ended::of(program);
        assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        let never = ["hunter2", "@example.com"];
        assert!(never.iter().all(|never| !ended.stderr.contains(never)), "{}", ended.stderr);
        for name in named {
            assert!(ended.stderr.contains(name), "{name}: {}", ended.stderr);
        }
    };
    let wrong = generate(&site, &auth, &receiver, &["--password", "hunter2"]);
    fails(wrong, &["user ", "password is wrong", "--password"]);
    fails(generate(&site, &auth, &receiver, &["--users", "1001"]), &["--users", "1000 users"]);
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let there = url(&receiver);
    fails(site.start("generate", &["--url", &nobody]), &["--url", &nobody]);
    let no_auth = ["--url", &there, "--auth-url", &nobody];
    fails(site.start("generate", &no_auth), &["--auth-url", &nobody]);
    let empty = Site::empty_sqlite();
    // A service makes the store; `generate` only reads one.
    drop(empty.auth(&[]));
    let no_users = generate(&empty, &auth, &receiver, &[]);
    fails(no_users, &["0 users"]);
}

#[test]
fn wrong_flags_are_named() {
    let site = Site::empty_sqlite();
    for (flag, value) in [
        ("--rate", "0"),
        ("--rate", "fast"),
        ("--rate", "100001"),
        ("--duration", "0"),
        ("--duration", "soon"),
        ("--users", "0"),
        ("--url", "nowhere"),
        ("--url", "ftp://127.0.0.1"),
        ("--auth-url", "http://al:hunter2@127.0.0.1"),
        ("--password", ""),
        ("--seed", "x"),
    ] {
        let ended = site.run("generate", &[flag, value]);
        assert_eq!(ended.code, 2, "{flag} {value}: {}", ended.stderr);
        assert!(ended.stderr.contains(flag), "{flag} {value}: {}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    let help = Ended::of({
        let mut command = crate::harness::checkin(site.directory.path());
        command.args(["generate", "--help"]).env("CHECKIN_GENERATE_PASSWORD", "hunter2");
        Program::spawn(command)
    });
    assert!(!help.stdout.contains("hunter2") && !help.stdout.contains("secret123"));
}
