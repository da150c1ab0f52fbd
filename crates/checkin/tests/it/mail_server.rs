//! Messages over SMTP, to a real server.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use testkit::{Program, Stream, wait_until};

use crate::harness::{AUTH_READY, EMAIL, Ended, PATIENCE, Service, Site, expect_plain};
use crate::mail::{forget, reset, token};

const OTHER: &str = "another long password";
const FAILED: &str = "cannot send a message to reset a password";

/// The password of the user `al` of the servers with TLS.
const LOGIN: &str = "open sesame";

/// An SMTP server that keeps its messages in a directory.
struct MailServer {
    _program: Program,
    port: u16,
    directory: tempfile::TempDir,
}

impl MailServer {
    fn start(host: &str, mode: &str) -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut program = Command::new(target.join("venv/bin/python"));
        program.args(["-c", include_str!("mail_server.py")]);
        program.arg(directory.path().join("box")).args([host, mode]);
        if mode != "plain" {
            let CertifiedKey { cert, signing_key } =
                generate_simple_self_signed([host.to_owned()]).unwrap();
            let files = [("certificate.pem", cert.pem()), ("key.pem", signing_key.serialize_pem())];
            for (name, text) in files {
                let path = directory.path().join(name);
                fs::write(&path, text).unwrap();
                program.arg(path);
            }
        }
        let program = Program::spawn(program);
        let ready = program.wait_for_line("ready ", PATIENCE);
        let port = ready["ready ".len()..].parse().unwrap();
        Self { _program: program, port, directory }
    }

    fn certificate(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }

    fn messages(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.directory.path().join("box/new")).into_iter().flatten();
        files.map(|file| file.unwrap().path()).collect()
    }

    /// Waits for the only message.
    fn message(&self) -> String {
        wait_until("a message", || !self.messages().is_empty());
        let [file] = self.messages().try_into().expect("one message");
        fs::read_to_string(file).unwrap().replace("\r\n", "\n").replace('\n', "\r\n")
    }
}

/// An authentication service that sends its messages to this server, with this password if its address has a
/// user. It trusts this certificate.
fn auth(site: &Site, url: &str, password: &str, authority: Option<PathBuf>) -> Service {
    let mut command = site.command("auth", &["--mail-from", "checkin@sender.example"]);
    command.args(["--mail-url", url, "--public-url", "http://a.example"]);
    if url.contains('@') {
        let file = site.directory.path().join("mail-password");
        fs::write(&file, password).unwrap();
        command.arg("--mail-password-file").arg(file);
    }
    if let Some(authority) = authority {
        command.env("SSL_CERT_FILE", authority);
    }
    Service::ready(Program::spawn(command), AUTH_READY)
}

/// The service answers as always, and logs why it could not send the message.
async fn fails(auth: &Service, why: &str) {
    expect_plain(&forget(auth, EMAIL).await, 202, "OK");
    let line = auth.program.wait_for_line(FAILED, PATIENCE);
    assert!(line.contains(why), "{why:?} is missing: {line}");
    let log = auth.program.text(Stream::Stdout);
    assert!(!log.contains(LOGIN) && !log.contains('@'), "{log}");
}

#[tokio::test]
async fn a_message_reaches_a_server_on_the_same_machine() {
    let (site, server) = (Site::sqlite(), MailServer::start("127.0.0.1", "plain"));
    let auth = auth(&site, &format!("smtp://127.0.0.1:{}", server.port), "", None);
    expect_plain(&forget(&auth, EMAIL).await, 202, "OK");
    let message = server.message();
    assert!(message.contains(&format!("X-RcptTo: {EMAIL}\r\n")), "{message}");
    assert!(message.contains("X-MailFrom: checkin@sender.example\r\n"), "{message}");
    expect_plain(&reset(&auth, &token(&message), OTHER).await, 200, "OK");
    // Without the server, a request is answered as before, and the log says why.
    drop(server);
    fails(&auth, "refused").await;
}

/// The addresses are those of this machine, but only those of `localhost` count as the same machine.
#[tokio::test]
async fn a_message_reaches_a_server_over_tls_with_a_login() {
    for (scheme, host, mode) in [("smtp", "127.0.0.2", "starttls"), ("smtps", "127.0.0.1", "tls")] {
        let (site, server) = (Site::sqlite(), MailServer::start(host, mode));
        let url = format!("{scheme}://al@{host}:{}", server.port);
        let friend = auth(&site, &url, LOGIN, Some(server.certificate()));
        expect_plain(&forget(&friend, EMAIL).await, 202, "OK");
        token(&server.message());
        // The login is wrong, or nobody has signed the certificate.
        let wrong = auth(&site, &url, "sesame", Some(server.certificate()));
        fails(&wrong, "refused it with 535").await;
        let stranger = auth(&site, &url, LOGIN, None);
        fails(&stranger, "certificate").await;
        assert_eq!(server.messages().len(), 1, "{mode}");
    }
}

#[tokio::test]
async fn nothing_is_sent_over_a_network_without_tls() {
    let (site, server) = (Site::sqlite(), MailServer::start("127.0.0.2", "plain"));
    let auth = auth(&site, &format!("smtp://al@127.0.0.2:{}", server.port), LOGIN, None);
    fails(&auth, "STARTTLS").await;
    assert!(server.messages().is_empty());
}

/// A server that repeats the address when it refuses it.
#[tokio::test]
async fn a_refusal_is_logged_without_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let lines = BufReader::new(connection.try_clone().unwrap()).lines();
        connection.write_all(b"220 mail.example\r\n").unwrap();
        for line in lines.map_while(Result::ok) {
            let answer = match line.strip_prefix("RCPT TO:") {
                Some(address) => format!("550 5.1.1 {address} is unknown here\r\n"),
                None => "250 OK\r\n".to_owned(),
            };
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    let site = Site::sqlite();
    let auth = auth(&site, &format!("smtp://127.0.0.1:{port}"), "", None);
    fails(&auth, "refused it with 550").await;
    server.join().unwrap();
}

/// It connects and logs in, and sends nothing.
#[test]
fn the_doctor_tries_the_server() {
    let (site, server) = (Site::sqlite(), MailServer::start("127.0.0.1", "tls"));
    let (file, free) = (site.directory.path().join("mail-password"), testkit::free_port());
    for (port, password, code, finding) in [
        (server.port, LOGIN, 0, "ok       the mail server accepts the login\n"),
        (
            server.port,
            "sesame",
            1,
            "PROBLEM  no message can be sent: the server refused it with 535\n",
        ),
        (free, LOGIN, 1, "PROBLEM  no message can be sent: Connection refused"),
    ] {
        fs::write(&file, password).unwrap();
        let url = format!("smtps://al@127.0.0.1:{port}");
        let mut doctor =
            site.command("doctor", &["--mail-url", &url, "--mail-from", "a@sender.example"]);
        doctor.args(["--public-url", "http://a.example", "--mail-password-file"]).arg(&file);
        doctor.env("SSL_CERT_FILE", server.certificate());
        let ended = Ended::of(Program::spawn(doctor));
        assert!(ended.stdout.contains(finding), "{finding}: {}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, code, "{}", ended.stdout);
        assert!(!ended.stdout.contains(password), "{}", ended.stdout);
    }
    assert!(server.messages().is_empty());
}

#[test]
fn the_doctor_looks_for_the_program() {
    let site = Site::sqlite();
    let file = site.directory.path().join("deliver");
    fs::write(&file, "").unwrap();
    let with = ["--mail-from", "a@sender.example", "--public-url", "http://a.example"];
    for (command, code, finding) in [
        ("true", 0, "ok       the program that sends messages is there\n"),
        ("/bin/true -t", 0, "ok       the program that sends messages is there\n"),
        ("no-such-program", 1, "must be a program that exists\n"),
        ("/no/such/program", 1, "must be a program that exists\n"),
        (file.to_str().unwrap(), 1, "must be a program that this user may execute\n"),
    ] {
        let ended = site.run("doctor", &[&["--mail-command", command][..], &with].concat());
        assert!(ended.stdout.contains(finding), "{finding}: {}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, code, "{}", ended.stdout);
    }
    let ended = site.run("doctor", &["--mail-command", "true", "--mail-from", "a@sender.example"]);
    assert!(ended.stdout.contains("PROBLEM  no message can be sent: --public-url must be set"));
}

#[test]
fn the_settings_of_a_server_fit_together() {
    let site = Site::sqlite();
    let file = site.directory.path().join("mail-password");
    fs::write(&file, "open sesame\nand more\n").unwrap();
    let empty = site.directory.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    let (file, empty) = (file.to_str().unwrap(), empty.to_str().unwrap());
    let both = ["--mail-from", "a@sender.example", "--public-url", "http://a.example"];
    for (arguments, rule) in [
        (&["--mail-url", "smtps://al:hunter2@localhost"][..], "must not contain a password"),
        (&["--mail-url", "http://localhost"], "must be smtps://"),
        (&["--mail-url", "smtps://al@localhost"], "must be set together"),
        (
            &["--mail-url", "smtps://localhost", "--mail-password-file", file],
            "must be set together",
        ),
        (
            &["--mail-url", "smtp://al@localhost", "--mail-password-file", file],
            "must hold one line",
        ),
        (
            &["--mail-url", "smtp://al@localhost", "--mail-password-file", empty],
            "must not be empty",
        ),
        (
            &["--mail-url", "smtp://al@localhost", "--mail-password-file", "absent"],
            "cannot be read",
        ),
        (&["--mail-url", "smtp://localhost", "--mail-command", "true"], "must not both be set"),
    ] {
        let ended = site.run("auth", &[arguments, &both[..]].concat());
        assert!(ended.code != 0 && ended.stderr.contains(rule), "{arguments:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    for (left_out, missing) in [(0, "--mail-from"), (2, "--public-url")] {
        let kept = &both[2 - left_out..][..2];
        let ended = site.run("auth", &[&["--mail-url", "smtp://localhost"], kept].concat());
        assert!(ended.stderr.contains(&format!("{missing} must be set")), "{}", ended.stderr);
    }
}
