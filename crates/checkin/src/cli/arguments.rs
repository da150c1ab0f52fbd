//! From arguments to a command, or to what is to be said instead.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, CommandFactory, FromArgMatches};

use super::Cli;
use crate::config_file::with_file_defaults;
use crate::telemetry::chain;

/// Why there is nothing to run.
pub(super) enum Refusal {
    /// A help text or the version was asked for.
    Shown(String),
    /// A flag or a setting is wrong.
    Wrong(String),
}

/// Reads the arguments, the program's own name first, over the environment and the configuration
/// file. Arguments that name a group of commands, or nothing, ask for its help.
pub(super) fn parse(arguments: &[OsString]) -> Result<Cli, Refusal> {
    let command = with_file_defaults(Cli::command(), arguments)
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
    cli.common.read_secret_file().map_err(Refusal::Wrong)?;
    Ok(cli)
}

/// Takes a number below 0 for an argument and not for a flag, so that its own rule refuses it. Other
/// arguments that begin with a dash stand behind `--` when they are [`arranged`]: an argument that may
/// stand several times and begin with a dash would take the flags behind it for its values.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let allow = |arg: Arg| match arg.is_positional() {
        true => arg.allow_negative_numbers(true).allow_hyphen_values(false),
        false => arg,
    };
    command.mut_args(allow).mut_subcommands(with_negative_numbers)
}

/// Joins a flag with a value that begins with a dash (`--rate -1` becomes `--rate=-1`), which would be
/// taken for a flag, and moves arguments that may begin with a dash behind `--`. What begins with two
/// dashes is a flag, so that a forgotten value is noticed.
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
            // Two characters are a short flag.
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

/// The command that the arguments name, for its help, and whether they are names of commands only.
fn named_command(mut command: clap::Command, arguments: &[OsString]) -> (clap::Command, bool) {
    // Gives each subcommand its whole name, and the flags that all of them take.
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
            // Its value could be the name of a command.
            Some(Some(flag)) if flag.get_action().takes_values() => drop(arguments.next()),
            Some(_) => {}
            None => break,
        }
    }
    (command, names_only)
}

/// What clap says in a paragraph, up to where it shows the usage. A value that broke a rule of ours
/// is not repeated: it may hold a password.
fn one_line(error: &clap::Error, command: &clap::Command, arguments: &[OsString]) -> String {
    let rule = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) if error.kind() == ErrorKind::InvalidValue => {
            match values.as_slice() {
                [] => None,
                [value] => Some(format!("must be {value}")),
                values => Some(format!("must be one of {}", values.join(", "))),
            }
        }
        _ => std::error::Error::source(error).map(ToString::to_string),
    };
    if let (Some(argument), Some(rule)) = (error.get(ContextKind::InvalidArg), rule) {
        let argument = argument.to_string();
        return match variable(&argument, command, arguments) {
            Some(name) => format!("{argument} (from {name}): {rule}"),
            None => format!("{argument}: {rule}"),
        };
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

/// The environment variable that a value came from, unless the arguments have the flag.
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
