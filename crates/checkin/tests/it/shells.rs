//! What shells and readers of manuals get: completions and manual pages.

#[cfg(feature = "external-tests")]
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::{checkin, names};

fn run(arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let output = checkin(directory.path()).args(arguments).output().unwrap();
    assert!(names(directory.path()).is_empty(), "{arguments:?} makes nothing");
    output
}

fn text(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The manual pages of all commands.
fn pages() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let said = text(&["man", directory.path().to_str().unwrap()]);
    let number = names(directory.path()).len();
    assert!(said.starts_with(&format!("{number} pages written to ")), "{said}");
    directory
}

/// What bash offers behind these words, with the completions of the program.
fn offered(script: &Path, words: &[&str]) -> Vec<String> {
    const COMPLETE: &str = r#"
        source "$1" || exit 1
        shift
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        function=$(complete -p checkin | sed 's/.*-F \([^ ]*\).*/\1/')
        "$function" checkin "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-c", COMPLETE, "bash"]).arg(script).args(words);
    let output = bash.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("checkin");
    fs::write(&script, text(&["completions", "bash"])).unwrap();
    for (words, expected) in [
        (&["checkin", "rec"][..], &["receiver"][..]),
        (&["checkin", "sessions", "rev"], &["revoke"]),
        (&["checkin", "users", "second-factor", "sh"], &["show"]),
        (&["checkin", "receiver", "--no-a"], &["--no-auth"]),
        (&["checkin", "doctor", "--key-p"], &["--key-prefix"]),
        (&["checkin", "auth", "--log-format", "js"], &["json"]),
        (&["checkin", "completions", "po"], &["powershell"]),
    ] {
        assert_eq!(offered(&script, words), expected, "{words:?}");
    }
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(text(&["completions", shell]).contains("dead-letters"), "{shell}");
    }
    let wrong = run(&["completions", "cmd"]);
    let stderr = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr.contains("SHELL") && stderr.contains("must be one of bash, "), "{stderr}");
}

#[test]
fn every_command_has_a_page() {
    let directory = pages();
    let pages = names(directory.path());
    for page in ["checkin.1", "checkin-up.1", "checkin-users-second-factor-remove.1"] {
        assert!(pages.iter().any(|name| name == page), "{page} is missing: {pages:?}");
    }
    for name in &pages {
        let page = fs::read_to_string(directory.path().join(name)).unwrap();
        let command = name.trim_end_matches(".1").replace("checkin-", "checkin ");
        let parts = [".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS", ".SH EXAMPLES"];
        assert!(parts.iter().all(|part| page.contains(part)), "{name}: {page}");
        assert!(command == "checkin" || page.contains("checkin"), "{name}");
        // A command refers to the pages of the commands below it.
        for named in page.lines().filter_map(|line| line.strip_suffix("(1)")) {
            let named = format!("{}.1", named.replace('\\', ""));
            assert!(pages.contains(&named), "{name} refers to {named}");
        }
    }
    assert_eq!(text(&["man"]), fs::read_to_string(directory.path().join("checkin.1")).unwrap());
    let nowhere = run(&["man", "/nowhere"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8(nowhere.stderr).unwrap().contains("cannot write to /nowhere"));
}

#[cfg(feature = "external-tests")]
#[test]
fn groff_finds_nothing_wrong_with_the_pages() {
    let directory = pages();
    let mut lint = Command::new("groff");
    lint.args(["-man", "-Tutf8", "-ww", "-z"]).current_dir(directory.path());
    let output = lint.args(names(directory.path())).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().collect::<BTreeSet<_>>(), BTreeSet::new());
}
