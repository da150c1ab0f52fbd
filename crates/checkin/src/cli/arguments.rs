//! Turns the arguments into a command, or into a text to print instead.

use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, FromArgMatches};

use super::Cli;
use super::help::program;
use crate::config::{rule_of, with_file_defaults};
use crate::telemetry::chain;

/// The reason why there is no command to run.
pub(super) enum Refusal {
    /// The arguments ask for a help text or the version.
    Shown(String),
    /// A flag or a setting is wrong.
    Wrong(String),
}

/// Reads the arguments (the first one is the program's name), the environment and the configuration
/// file. If the arguments name a group of commands, or nothing, the result is the help text.
pub(super) fn parse(arguments: &[OsString]) -> Result<Cli, Refusal> {
    let command = with_file_defaults(program(), arguments)
        .map_err(|error| Refusal::Wrong(chain(error.as_ref())))?;
    let (named, names_only) = named_command(command.clone(), arguments);
    let arguments = &arranged(&named, arguments);
    let help = format!("see {} --help", named.get_bin_name().unwrap_or("checkin"));
    let matches = with_negative_numbers(command).try_get_matches_from(arguments);
    let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    let mut cli = parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Refusal::Shown(error.to_string()),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            match names_only {
                true => Refusal::Shown(named.clone().render_long_help().to_string()),
                false => Refusal::Wrong(format!("a command must be named; {help}")),
            }
        }
        _ => Refusal::Wrong(format!("{}; {help}", one_line(&error, &named, arguments))),
    })?;
    cli.common.read_secret_files().map_err(Refusal::Wrong)?;
    cli.common.read_otlp_variable().map_err(Refusal::Wrong)?;
    Ok(cli)
}

/// Makes clap read a negative number as a value and not as a flag, so that the rule of the argument
/// refuses it. [`arranged`] moves other values that begin with a dash behind `--`: an argument that
/// may be repeated and may begin with a dash would take the flags behind it as its values.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let allow = |arg: Arg| match arg.is_positional() {
        true => arg.allow_negative_numbers(true).allow_hyphen_values(false),
        false => arg,
    };
    command.mut_args(allow).mut_subcommands(with_negative_numbers)
}

/// Joins a flag with a value that begins with a dash (`--rate -1` becomes `--rate=-1`), because
/// clap would read the value as a flag, and moves positional values that begin with a dash behind
/// `--`. An argument that begins with two dashes stays a flag, so that a missing value is noticed.
fn arranged(command: &clap::Command, arguments: &[OsString]) -> Vec<OsString> {
    let takes_value = |flag: &OsString| {
        let long = flag.to_str().and_then(|flag| flag.strip_prefix("--"));
        let known = |arg: &&Arg| arg.get_long() == long && arg.get_action().takes_values();
        long.is_some() && command.get_arguments().any(|arg| known(&arg))
    };
    let begins_with = |argument: &OsString, start: &str| {
        argument.as_encoded_bytes().starts_with(start.as_bytes())
    };
    let may_have_dashes = command.get_positionals().any(Arg::is_allow_hyphen_values_set);
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let (before, behind) = arguments.split_at(end);
    let mut behind: Vec<OsString> = behind.iter().skip(1).cloned().collect();
    let mut arranged: Vec<OsString> = Vec::with_capacity(arguments.len());
    for argument in before {
        let has_dash = begins_with(argument, "-") && !begins_with(argument, "--");
        match arranged.last_mut() {
            Some(flag) if has_dash && takes_value(flag) => {
                flag.push("=");
                flag.push(argument);
            }
            // An argument of two characters is a short flag.
            _ if has_dash && may_have_dashes && argument.len() > 2 => behind.push(argument.clone()),
            _ => arranged.push(argument.clone()),
        }
    }
    if !behind.is_empty() {
        arranged.push("--".into());
        arranged.append(&mut behind);
    }
    arranged
}

/// Returns the command that the arguments name, for its help, and whether they contain only names
/// of commands.
fn named_command(mut command: clap::Command, arguments: &[OsString]) -> (clap::Command, bool) {
    // Adds to each subcommand its full name and the global flags.
    command.build();
    let mut arguments = arguments.iter().skip(1);
    let mut names_only = true;
    while let Some(argument) = arguments.next().and_then(|argument| argument.to_str()) {
        if let Some(named) = command.find_subcommand(argument) {
            command = named.clone();
            continue;
        }
        names_only = false;
        let flag = argument
            .strip_prefix("--")
            .map(|flag| command.get_arguments().find(|known| known.get_long() == Some(flag)));
        match flag {
            // The value of the flag could be the name of a command.
            Some(Some(flag)) if flag.get_action().takes_values() => drop(arguments.next()),
            Some(_) => {}
            None => break,
        }
    }
    (command, names_only)
}

/// Returns clap's message as one line, without the usage. A value that broke one of our rules is
/// not repeated, because it may hold a password.
fn one_line(error: &clap::Error, command: &clap::Command, arguments: &[OsString]) -> String {
    if let (Some(argument), Some(rule)) = (error.get(ContextKind::InvalidArg), rule_of(error)) {
        let argument = argument.to_string();
        return match variable(&argument, command, arguments) {
            Some(name) => format!("{argument} (from {name}): {rule}"),
            None => format!("{argument}: {rule}"),
        };
    }
    if let (ErrorKind::MissingRequiredArgument, Some(missing)) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    {
        return format!("{missing} must be given");
    }
    let text = error.to_string();
    let said = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty() && !line.starts_with("tip: to pass"))
        .map(|line| line.replace("tip: ", "; "));
    let said = said.collect::<Vec<_>>().join(" ").replace(" ; ", "; ");
    said.trim_start_matches("error: ").to_owned()
}

/// Returns the environment variable that a value came from, or `None` if the arguments contain the
/// flag.
fn variable(argument: &str, command: &clap::Command, arguments: &[OsString]) -> Option<String> {
    let known = command.get_arguments().find(|known| known.to_string() == argument)?;
    let flag = format!("--{}", known.get_long()?);
    let is_given = arguments.iter().any(|given| {
        let given = given.to_string_lossy();
        given.strip_prefix(&flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    });
    let name = known.get_env().filter(|name| std::env::var_os(name).is_some())?;
    (!is_given).then(|| name.to_string_lossy().into_owned())
}
