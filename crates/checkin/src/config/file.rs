//! Makes the settings of the configuration file the defaults of the flags.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::builder::{OsStr, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

/// Returns the command with the settings of the configuration file, if one is named, as defaults.
///
/// # Errors
///
/// If the file cannot be read or is not TOML, or if it has an unknown key or a value that its
/// setting does not accept. The error contains no values, because they may be secrets.
pub fn with_file_defaults(command: Command, arguments: &[OsString]) -> anyhow::Result<Command> {
    let Some(path) = config_path(arguments) else { return Ok(command) };
    let path_text = path.display();
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read the configuration file {path_text}"))?;
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => bail!("{path_text}: {}", without_source(&error, &text)),
    };
    table.into_iter().try_fold(command, |command, (key, value)| {
        let id = key.replace('-', "_");
        let setting = std::iter::once(&command)
            .chain(command.get_subcommands())
            .flat_map(Command::get_arguments)
            .find(|arg| arg.get_id() == id.as_str() && id != "config");
        let Some(setting) = setting else { bail!("{path_text}: there is no setting named {key}") };
        let Some(value) = as_argument(&value) else {
            let rule = "must be a text, an integer, true or false, or a list of texts";
            bail!("{path_text}: {key}: {rule}");
        };
        if let Some(rule) = broken_rule(setting, &value) {
            bail!("{path_text}: {key}: {rule}");
        }
        Ok(set_default(command, &id, &value))
    })
}

/// Returns the rule that a value breaks, if it breaks one. The value is parsed by a command that
/// has only this setting.
fn broken_rule(setting: &Arg, value: &str) -> Option<String> {
    let alone = setting
        .clone()
        .global(false)
        .env(Resettable::<OsStr>::Reset)
        .default_value(value.to_owned());
    let command = Command::new("setting").no_binary_name(true).arg(alone);
    let error = command.try_get_matches_from([] as [&str; 0]).err()?;
    Some(rule_of(&error).unwrap_or_else(|| "must be a value of this setting".to_owned()))
}

/// Returns the rule that a value breaks, or `None` if the error is about something else.
#[must_use]
pub fn rule_of(error: &clap::Error) -> Option<String> {
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) if error.kind() == ErrorKind::InvalidValue => {
            match values.as_slice() {
                [] => None,
                [value] => Some(format!("must be {value}")),
                values => Some(format!("must be one of {}", values.join(", "))),
            }
        }
        _ => std::error::Error::source(error).map(ToString::to_string),
    }
}

fn set_default(command: Command, id: &str, value: &str) -> Command {
    // Help texts show defaults. A value that may not be shown from a variable may not be shown from
    // the file.
    let set = |arg: Arg| match arg.get_id() == id {
        true => {
            let is_secret = arg.is_hide_env_values_set();
            arg.default_value(value.to_owned()).hide_default_value(is_secret)
        }
        false => arg,
    };
    // Only a setting has a variable: an argument of an action may have the same name.
    let set_of_action = |arg: Arg| if arg.get_env().is_some() { set(arg) } else { arg };
    command.mut_args(set).mut_subcommands(|command| {
        command.mut_args(set).mut_subcommands(|action| action.mut_args(set_of_action))
    })
}

fn as_argument(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(yes) => Some(yes.to_string()),
        toml::Value::Array(list) => {
            let texts: Option<Vec<_>> = list.iter().map(toml::Value::as_str).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}

/// Returns the path of the configuration file. It is needed before the arguments are parsed.
fn config_path(arguments: &[OsString]) -> Option<PathBuf> {
    let flag = arguments.iter().enumerate().find_map(|(at, argument)| {
        let text = argument.to_str()?;
        match text.strip_prefix("--config")? {
            "" => arguments.get(at + 1).map(PathBuf::from),
            rest => rest.strip_prefix('=').map(PathBuf::from),
        }
    });
    flag.or_else(|| {
        std::env::var_os("CHECKIN_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
    })
}

/// Describes an error in the file and its place, without the line itself, which may hold a secret.
fn without_source(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return message };
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}: {message}")
}
