//! From arguments to a command, or to what is to be said instead.

use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory, FromArgMatches};

use super::Cli;
use crate::config_file::with_file_defaults;
use crate::http::chain;

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
    let help = format!("see {} --help", named.get_bin_name().unwrap_or("checkin"));
    let matches = command.try_get_matches_from(arguments);
    let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    let mut cli = parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Refusal::Shown(error.to_string()),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            match names_only {
                true => Refusal::Shown(named.clone().render_long_help().to_string()),
                false => Refusal::Wrong(format!("a command must be named; {help}")),
            }
        }
        _ => Refusal::Wrong(format!("{}; {help}", one_line(&error))),
    })?;
    cli.common.read_secret_file().map_err(Refusal::Wrong)?;
    Ok(cli)
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
fn one_line(error: &clap::Error) -> String {
    if let (Some(argument), Some(rule)) =
        (error.get(ContextKind::InvalidArg), std::error::Error::source(error))
    {
        return format!("{argument}: {rule}");
    }
    let text = error.to_string();
    let said = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let said: Vec<_> = said.filter(|line| !line.is_empty()).collect();
    said.join(" ").trim_start_matches("error: ").to_owned()
}
