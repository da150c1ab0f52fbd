//! The command line: one file for each command.

mod auth;
mod doctor;
mod load;
mod receiver;
mod up;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::Common;
use crate::config_file::with_file_defaults;
use crate::http::chain;
use crate::telemetry;

/// A check-in service: people check in at places and rate them.
#[derive(Debug, Parser)]
#[command(name = "checkin", version, about, subcommand_required = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every service in one process; an empty store gets the demo data
    Up(up::Options),
    /// The authentication service
    Auth(auth::Options),
    /// The check-in receiver
    Receiver(receiver::Options),
    /// Loads users, locations, location details and check-ins
    Load(load::Options),
    /// Checks the settings and the store, and says what is wrong and how to mend it
    Doctor,
}

/// The exit code of a wrong flag or setting.
const USAGE: u8 = 2;

/// Runs the program with these arguments, its own name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    telemetry::init(&cli.common);
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .and_then(|runtime| runtime.block_on(run(cli)));
    ran.unwrap_or_else(|error| fail(chain(error.as_ref()), 1))
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = cli.common;
    match cli.command {
        Command::Up(options) => up::run(&config, options).await,
        Command::Auth(options) => auth::run(&config, options).await,
        Command::Receiver(options) => receiver::run(&config, options).await,
        Command::Load(options) => load::run(&config, options).await,
        Command::Doctor => doctor::run(&config).await,
    }
}

fn parse(arguments: &[OsString]) -> Result<Cli, ExitCode> {
    let command = with_file_defaults(Cli::command(), arguments)
        .map_err(|error| fail(chain(error.as_ref()), USAGE))?;
    let matches = command.try_get_matches_from(arguments);
    matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| {
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                drop(error.print());
                ExitCode::SUCCESS
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
                fail("no command; see checkin --help", USAGE)
            }
            _ => fail(format!("{}; see checkin --help", one_line(&error)), USAGE),
        }
    })
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

fn fail(what: impl Display, code: u8) -> ExitCode {
    // Nothing is left to be done when even this cannot be written.
    drop(writeln!(io::stderr(), "checkin: {what}"));
    ExitCode::from(code)
}

/// Prints a line for the person at the terminal.
fn say(line: impl Display) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
