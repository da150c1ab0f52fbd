//! What a person at a terminal sees, and what programs get instead. `script` of util-linux is the terminal.

use std::process::Command;

use serde_json::Value;
use testkit::Program;

use crate::harness::{EMAIL, Ended, Site};

/// Runs a command on a terminal of this size, and types these keys.
pub(crate) fn on_terminal(
    site: &Site,
    variables: &[(&str, &str)],
    words: &[&str],
    keys: &str,
) -> Ended {
    let ours = site.command(words[0], &words[1..]);
    let program = ours.get_program().to_str().unwrap();
    let arguments: Vec<&str> = ours.get_args().map(|word| word.to_str().unwrap()).collect();
    let line = format!("stty rows 24 cols 80; exec '{program}' '{}'", arguments.join("' '"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.current_dir(site.directory.path()).env("TERM", "xterm-256color").env_remove("NO_COLOR");
    for (name, value) in ours.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let mut program = Program::spawn_interactive({
        script.envs(variables.iter().copied());
        script
    });
    if !keys.is_empty() {
        program.write_line(keys);
    }
    Ended::of(program)
}

fn bold(text: &str) -> bool {
    text.contains("\u{1b}[1m")
}

#[cfg(feature = "external-tests")]
#[test]
fn a_list_is_a_table_at_a_terminal_only() {
    let site = Site::sqlite();
    let table = on_terminal(&site, &[], &["users", "list"], "");
    assert_eq!(table.code, 0, "{}", table.stderr);
    let lines: Vec<&str> = table.stdout.lines().map(str::trim_end).collect();
    let (heading, al) = (lines[0], lines[77]);
    assert!(bold(heading) && heading.contains("ID") && heading.contains("E-MAIL"), "{heading:?}");
    let at = |line: &str, what: &str| line.replace("\u{1b}[1m", "").find(what).unwrap();
    assert_eq!(at(heading, "E-MAIL"), at(al, EMAIL), "{heading:?} {al:?}");
    let plain = on_terminal(&site, &[("NO_COLOR", "1")], &["users", "list"], "");
    assert!(!bold(&plain.stdout) && plain.stdout.contains("E-MAIL"), "{}", &plain.stdout[..200]);

    let piped = site.run("users", &["list"]);
    let al = piped.stdout.lines().nth(76).unwrap();
    assert_eq!(al, format!("77  {EMAIL}  user  active  Al Appelhof"));
    let mut forced = site.command("doctor", &[]);
    forced.env("CLICOLOR_FORCE", "1");
    let forced = Ended::of(Program::spawn(forced)).stdout;
    assert!(forced.contains("\u{1b}[32mok     \u{1b}[0m  "), "{forced}");
}

#[test]
fn findings_are_lines_or_json() {
    let site = Site::sqlite();
    let lines = site.run("doctor", &[]).stdout;
    let json = site.run("doctor", &["--json"]).stdout;
    let findings: Vec<Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(findings.len() > 4, "{json}");
    for finding in &findings {
        let (severity, what) = (&finding["severity"], finding["what"].as_str().unwrap());
        assert!(["ok", "warning", "problem"].contains(&severity.as_str().unwrap()), "{finding}");
        assert!(finding["advice"].is_string() && lines.contains(what), "{finding}");
    }
    assert!(!lines.contains('\u{1b}'), "{lines}");
}

#[cfg(feature = "external-tests")]
#[test]
fn top_draws_on_a_terminal_and_leaves_it_as_it_was() {
    let site = Site::sqlite();
    let (up, ports) = site.up_everywhere(&[]);
    let ports = ports.map(|(_, url)| url).join(",");
    let top = ["top", "--interval", "100ms", "--metrics", &ports];
    let counted = on_terminal(&site, &[], &[&top[..], &["--count", "1"]].concat(), "");
    let quit = on_terminal(&site, &[], &top, "q");
    for ended in [&counted, &quit] {
        assert_eq!(ended.code, 0, "{ended:?}");
        let (enter, leave) = ("\u{1b}[?1049h", "\u{1b}[?1049l");
        let entered = ended.stdout.find(enter).expect("the alternate screen");
        let left = ended.stdout.rfind(leave).expect("the screen from before");
        assert!(entered < left && ended.stdout.contains("checkin"), "{ended:?}");
    }
    for shown in ["Services", "receiver", "Log", "Processors"] {
        assert!(counted.stdout.contains(shown), "{shown}: {}", counted.stdout);
    }
    drop(up);
}
