//! The examples of the help texts, which must be commands that this program accepts.

use clap::Command;

use super::help::program;

/// Calls `check` with each command and its full name.
fn each(command: &Command, name: &str, check: &mut impl FnMut(&str, &Command)) {
    check(name, command);
    for subcommand in command.get_subcommands() {
        each(subcommand, &format!("{name} {}", subcommand.get_name()), check);
    }
}

/// Returns the commands below the heading `Examples:`.
fn examples(command: &Command) -> Vec<String> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (_, behind) = text.split_once("Examples:\n").unwrap_or_default();
    behind.lines().map_while(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
}

/// Returns the words of an example, without its comment and without what the shell does.
fn words(example: &str) -> Vec<&str> {
    let command = example.split("   ").next().unwrap_or_default();
    command.split(' ').take_while(|word| !["<", ">", "|"].contains(word)).collect()
}

#[test]
fn each_command_has_two_to_four_examples_of_its_own() {
    let mut number = 0;
    each(&program(), "checkin", &mut |name, command| {
        let examples = examples(command);
        assert!((2..=4).contains(&examples.len()), "{name}: {examples:?}");
        assert!(examples.iter().all(|example| example.starts_with(name)), "{name}: {examples:?}");
        number += 1;
    });
    assert!(number > 25, "{number}");
}

#[test]
fn the_program_accepts_its_examples() {
    each(&program(), "checkin", &mut |name, command| {
        for example in examples(command) {
            let asks_for_help = example.contains("--help");
            let parsed = program().try_get_matches_from(words(&example));
            assert_eq!(parsed.is_err(), asks_for_help, "{name}: {example}: {parsed:?}");
        }
    });
}
