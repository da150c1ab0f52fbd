//! The commands of the README and of "Going to production", run as they are printed, in the order in which a
//! newcomer types them.
//!
//! A block marked `console` is a transcript: `$ ` begins a command, a backslash at its end continues it
//! on the next line, and the other lines are what it prints. `…` stands for lines that are left out, and
//! `^C` for the keys that end a program in the foreground. Only two programs are replaced: `cargo`, which
//! would build for minutes what the test has built already, and `make`, which would start this test again,
//! as `cargo test` would.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use testkit::{Program, Stream, wait_for};

use crate::harness::{PATIENCE, checkin};

/// What the shell prints when a command is done, before its exit code.
const DONE: &str = "-- exit code";

/// Runs the release binary where the README builds it.
const CARGO: &str = r#"#!/bin/sh
case "$*" in
    "run --release -- "*) shift 3; exec "$BINARY" "$@" ;;
    "test") ;;
    "build --release") mkdir -p target/release && ln -sf "$BINARY" target/release/checkin ;;
    *) echo "the test knows no such build: cargo $*"; exit 1 ;;
esac
"#;

/// The program that is installed on a server.
const CHECKIN: &str = "#!/bin/sh\nexec \"$BINARY\" \"$@\"\n";

/// Makes sure that there is such a target.
const MAKE: &str = "#!/bin/sh\nexec \"$REAL_MAKE\" -C \"$REPOSITORY\" -n \"$@\" >/dev/null\n";

/// A command of the README, and the lines that it shows below it.
#[derive(Debug, Default, PartialEq)]
struct Step {
    command: String,
    shown: Vec<String>,
}

#[cfg(feature = "external-tests")]
#[test]
fn every_command_of_the_readme_runs_as_printed() {
    run("README.md", &[("cargo", CARGO), ("make", MAKE)]);
}

#[cfg(feature = "external-tests")]
#[test]
fn every_command_of_going_to_production_runs_as_printed() {
    run("docs/production.md", &[("checkin", CHECKIN)]);
}

/// Runs the commands of a document, with programs that the test brings.
fn run(document: &str, programs: &[(&str, &str)]) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let steps = steps(&fs::read_to_string(repository.join(document)).unwrap());
    assert!(steps.len() > 10, "{steps:?}");
    let directory = tempfile::tempdir().unwrap();
    let mut shell = shell(&repository.canonicalize().unwrap(), directory.path(), programs);
    let mut seen = 0;
    for step in &steps {
        shell.write_line(&script(step));
        if step.shown.iter().any(|line| line == "^C") {
            wait_for_shown(&shell, step, seen);
            shell.write_line("kill -INT $!; wait $!");
        }
        shell.write_line(&format!("printf '%s %s\\n' '{DONE}' $?"));
        seen = finish(&shell, step, seen);
    }
    drop(shell);
}

/// The commands of all `console` blocks.
fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut in_block, mut continues) = (false, false);
    for line in readme.lines() {
        if line.starts_with("```") {
            in_block = line == "```console";
        } else if !in_block {
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), shown: Vec::new() });
            continues = command.ends_with('\\');
        } else if let Some(step) = steps.last_mut() {
            if continues {
                write!(step.command, "\n{line}").unwrap();
                continues = line.ends_with('\\');
            } else {
                step.shown.push(line.to_owned());
            }
        }
    }
    steps
}

/// One that `^C` ends runs in the background here, as there is no keyboard.
fn script(step: &Step) -> String {
    let interrupted = step.shown.iter().any(|line| line == "^C");
    let background = if interrupted { " &" } else { "" };
    format!("{{ {}{background}\n}} 2>&1 </dev/null", step.command)
}

/// A shell in an empty directory. Where the system allows it, it has a network of its own, in which the
/// README's ports are free, and all that it started ends with it.
fn shell(repository: &Path, directory: &Path, replaced: &[(&str, &str)]) -> Program {
    let programs = directory.join("programs");
    fs::create_dir(&programs).unwrap();
    for (name, text) in replaced {
        let file = programs.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let alone = ["--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let start = "ip link set lo up && exec bash --norc --noprofile -m";
    let can_be_alone = Command::new("unshare")
        .args(alone)
        .args(["sh", "-c", "ip link set lo up"])
        .status()
        .is_ok_and(|status| status.success());
    // `checkin` gives the environment, and where the binary is.
    let ours = checkin(directory);
    let mut command = Command::new(if can_be_alone { "unshare" } else { "bash" });
    match can_be_alone {
        true => command.args(alone).args(["sh", "-c", start]),
        false => command.args(["--norc", "--noprofile", "-m"]),
    };
    for (name, value) in ours.get_envs() {
        assert_eq!(value, None);
        command.env_remove(name);
    }
    let path = std::env::var("PATH").unwrap();
    let real_make = std::env::split_paths(&path).map(|directory| directory.join("make"));
    command
        .current_dir(directory)
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("REAL_MAKE", real_make.into_iter().find(|make| make.exists()).unwrap())
        .env("REPOSITORY", repository)
        .env("BINARY", ours.get_program());
    Program::spawn_interactive(command)
}

/// Waits until the command is done, looks at what it printed, and gives how many lines there are now.
fn finish(shell: &Program, step: &Step, seen: usize) -> usize {
    let mut lines = Vec::new();
    let done = wait_for(PATIENCE, || {
        lines = output(shell);
        lines.iter().skip(seen).position(|line| line.starts_with(DONE))
    });
    let Some(done) = done else { panic!("{step:?} is not done: {:?}", &lines[seen..]) };
    assert_eq!(lines[seen + done], format!("{DONE} 0"), "{step:?}: {:?}", &lines[seen..]);
    wait_for_shown(shell, step, seen);
    seen + done + 1
}

/// Waits until the lines that the README shows were printed, in their order.
fn wait_for_shown(shell: &Program, step: &Step, seen: usize) {
    let mut lines = Vec::new();
    let mut missing = None;
    wait_for(PATIENCE, || {
        lines = output(shell);
        let mut printed = lines.iter().skip(seen);
        missing = step
            .shown
            .iter()
            .filter(|shown| !matches!(shown.trim(), "" | "…" | "^C"))
            .find(|shown| !printed.any(|line| is_like(line, shown, &step.command)));
        missing.is_none().then_some(())
    });
    assert_eq!(missing, None, "{:?} printed {:#?}", step.command, &lines[seen..]);
}

fn output(shell: &Program) -> Vec<String> {
    let lines = shell.lines().into_iter();
    let stdout = lines.filter(|line| line.stream == Stream::Stdout);
    stdout.map(|line| line.text.trim_end().to_owned()).collect()
}

/// The same but for what is different each time: times, ids, ports, and the figures of a load test. A
/// status is not.
fn is_like(line: &str, shown: &str, command: &str) -> bool {
    let any_figure = command.contains("generate");
    masked(line, any_figure) == masked(shown, any_figure)
}

fn masked(line: &str, any_figure: bool) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_%".contains(c);
    let mut masked = String::new();
    for part in line.split_inclusive(|c| !is_word(c)) {
        let (word, end) = match part.char_indices().last() {
            Some((at, last)) if !is_word(last) => part.split_at(at),
            _ => (part, ""),
        };
        let is_figure = word.starts_with(|c: char| c.is_ascii_digit());
        // A processor's random name may have no digit.
        let is_id = word.starts_with("processor-")
            || word.len() >= 10 && word.contains(|c: char| c.is_ascii_digit());
        let varies = is_id || (is_figure && (any_figure || word.len() != 3));
        masked += if varies { "*" } else { word };
        masked += end;
    }
    if any_figure { masked.split_whitespace().collect::<Vec<_>>().join(" ") } else { masked }
}

#[test]
fn a_transcript_has_commands_and_what_they_print() {
    let readme =
        "text\n```console\n$ one \\\n    two\nout\n^C\n$ three\n```\n$ no\n```sh\n$ no\n```\n";
    let step = |command: &str, shown: &[&str]| Step {
        command: command.to_owned(),
        shown: shown.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(steps(readme), [step("one \\\n    two", &["out", "^C"]), step("three", &[])]);
    assert!(is_like("202 1795494578031-0", "202 1795494578999-7", "curl"));
    assert!(is_like("processor-BggJFwRF started", "processor-B9j2kQx1 started", "processor"));
    assert!(!is_like("401 1795494578031-0", "202 1795494578999-7", "curl"));
    assert!(!is_like("users: 1000 loaded", "users: 1000 lost", "load"));
    assert!(is_like("accepted  483", "accepted  1", "generate"));
}
