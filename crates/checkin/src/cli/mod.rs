//! The command line: one file for each command.

mod account;
mod api;
mod auth;
mod console;
mod dead_letters;
mod doctor;
mod environment;
mod export;
mod generate;
mod load;
mod output;
mod processor;
mod receiver;
mod reload;
mod up;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::output::Output;
use self::reload::Source;
use crate::config::Common;
use crate::config_file::with_file_defaults;
use crate::http::chain;
use crate::storage::Fault;
use crate::telemetry::{self, Stream};

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
    /// The read API
    Api(api::Options),
    /// The check-in receiver
    Receiver(receiver::Options),
    /// The authentication service, the receiver and the read API on one origin
    Console(console::Options),
    /// The check-in processor
    Processor(processor::Options),
    /// Entries of the log that cannot be counted
    DeadLetters(dead_letters::Options),
    /// Loads users, locations, location details and check-ins
    Load(load::Options),
    /// Writes a user's check-ins for other programs
    Export(export::Options),
    /// Sends check-ins at a steady rate to a running receiver, logged in as users of the store
    Generate(generate::Options),
    /// Checks the settings and the store, and says what is wrong and how to mend it
    Doctor(doctor::Options),
}

/// The exit code of a wrong flag or setting.
const USAGE: u8 = 2;

/// How long the process waits, before it ends, for work that cannot be interrupted.
const LEFT_TASKS: Duration = Duration::from_secs(5);

/// Runs the program with these arguments, its own name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(Refusal::Shown(text)) => {
            drop(text.print());
            return ExitCode::SUCCESS;
        }
        Err(Refusal::Wrong(what)) => return fail(what, USAGE),
    };
    telemetry::init(&cli.common, cli.command.log_stream());
    environment::warn_of_unknown(&Cli::command(), std::env::vars_os());
    // HTTP clients use the cryptography that the Redis client uses. An error means that it is set.
    drop(rustls::crypto::ring::default_provider().install_default());
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .and_then(|runtime| {
            let ran = runtime.block_on(run(cli, arguments));
            // Ends the tasks that are left, such as those of clients that are still connected. They
            // hold handles on the store, and the last handle closes it.
            runtime.shutdown_timeout(LEFT_TASKS);
            ran
        });
    ran.unwrap_or_else(|error| fail(chain(error.as_ref()), exit_code(&error)))
}

/// 2 for what stays wrong until somebody changes a setting, 1 for what may pass.
fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Fault>() {
        Some(fault) if fault.is_lasting() => USAGE,
        _ => 1,
    }
}

impl Command {
    /// Services write their log to standard output; other commands print their results there.
    fn log_stream(&self) -> Stream {
        match self {
            Self::Up(_) | Self::Auth(_) | Self::Api(_) | Self::Receiver(_) | Self::Processor(_) => {
                Stream::Stdout
            }
            _ => Stream::Stderr,
        }
    }
}

async fn run(cli: Cli, arguments: Vec<OsString>) -> anyhow::Result<ExitCode> {
    let config = cli.common;
    let has_file = config.config.is_some() || config.session_secret_file.is_some();
    let source = Source { arguments, has_file };
    match cli.command {
        Command::Up(options) => up::run(&config, options, source).await,
        Command::Auth(options) => auth::run(&config, options, source).await,
        Command::Api(options) => api::run(&config, options, source).await,
        Command::Receiver(options) => receiver::run(&config, options, source).await,
        Command::Console(options) => console::run(&config, options, source).await,
        Command::Load(options) => load::run(&config, options).await,
        Command::Export(options) => export::run(&config, options).await,
        Command::Generate(options) => generate::run(&config, options).await,
        Command::Processor(options) => processor::run(&config, options).await,
        Command::DeadLetters(options) => dead_letters::run(&config, options).await,
        Command::Doctor(options) => doctor::run(&config, options).await,
    }
}

/// Why there is nothing to run.
enum Refusal {
    /// A help text or the version was asked for.
    Shown(clap::Error),
    /// A flag or a setting is wrong.
    Wrong(String),
}

fn parse(arguments: &[OsString]) -> Result<Cli, Refusal> {
    let command = with_file_defaults(Cli::command(), arguments)
        .map_err(|error| Refusal::Wrong(chain(error.as_ref())))?;
    let matches = command.try_get_matches_from(arguments);
    let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    let mut cli = parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Refusal::Shown(error),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            Refusal::Wrong("no command; see checkin --help".to_owned())
        }
        _ => Refusal::Wrong(format!("{}; see checkin --help", one_line(&error))),
    })?;
    cli.common.read_secret_file().map_err(Refusal::Wrong)?;
    Ok(cli)
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
    writeln!(Output, "{line}")
}
