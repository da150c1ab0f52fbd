//! The command line: one file for each command.

mod account;
mod account_changes;
mod api;
mod arguments;
mod auth;
mod backup;
mod checkins;
mod completions;
mod console;
mod dead_letters;
mod doctor;
mod environment;
#[cfg(test)]
mod examples;
mod export;
mod generate;
mod help;
mod load;
mod mail_options;
mod man;
mod metrics_port;
mod one_shot;
mod output;
mod password_rules;
mod processor;
mod progress;
mod receiver;
mod reload;
mod second_factor;
mod security_events;
mod sessions;
mod table;
mod top;
mod up;
mod users;

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::{Parser, Subcommand};

use self::arguments::{Refusal, parse};
use self::help::program;
use self::output::Output;
use self::reload::SettingsSource;
use crate::config::Common;
use crate::lifecycle::raise_file_limit;
use crate::signals::{Interrupted, outlive_file_size_limit};
use crate::storage::Fault;
use crate::telemetry::chain;
use crate::telemetry::{self, Stream};

/// A check-in service: people check in at places and rate them.
#[derive(Debug, Parser)]
#[command(name = "checkin", version, about, subcommand_required = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  checkin up                  every service in one process, with demo data, on http://127.0.0.1:8080
  checkin receiver --help     the options of one command, with examples
  checkin doctor              checks the settings and the store

Every option is also an environment variable and a key of the file that --config names.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs all services in one process. An empty store is filled with the demo data
    #[command(after_help = up::EXAMPLES)]
    Up(up::Options),
    /// Runs the authentication service: logins, logouts, sessions, accounts
    #[command(after_help = auth::EXAMPLES)]
    Auth(auth::Options),
    /// Runs the read API: users, locations, check-ins, statistics
    #[command(after_help = api::EXAMPLES)]
    Api(api::Options),
    /// Runs the check-in receiver
    #[command(after_help = receiver::EXAMPLES)]
    Receiver(receiver::Options),
    /// Runs the web console: pages for people, and the routes of the other services on one origin
    #[command(after_help = console::EXAMPLES)]
    Console(console::Options),
    /// Runs a processor, which applies the check-ins of the log
    #[command(after_help = processor::EXAMPLES)]
    Processor(processor::Options),
    /// Deletes check-ins of a user
    #[command(after_help = checkins::EXAMPLES)]
    Checkins(checkins::Options),
    /// Lists and replays entries of the log that cannot be applied
    #[command(after_help = dead_letters::EXAMPLES)]
    DeadLetters(dead_letters::Options),
    /// Loads users, locations, location details and check-ins from files
    #[command(after_help = load::EXAMPLES)]
    Load(load::Options),
    /// Exports the check-ins of a user as JSON, CSV, GPX or iCalendar
    #[command(after_help = export::EXAMPLES)]
    Export(export::Options),
    /// Sends check-ins to a running receiver at a steady rate, logged in as users of the store
    #[command(after_help = generate::EXAMPLES)]
    Generate(generate::Options),
    /// Copies an embedded store, which may be in use, and its session secret
    #[command(after_help = backup::BACKUP_EXAMPLES)]
    Backup(backup::BackUp),
    /// Restores an embedded store from a backup
    #[command(after_help = backup::RESTORE_EXAMPLES)]
    Restore(backup::Restore),
    /// Lists, shows and ends sessions
    #[command(after_help = sessions::EXAMPLES)]
    Sessions(sessions::Options),
    /// Adds and lists accounts, and changes their passwords, roles, status and second factors
    #[command(after_help = users::EXAMPLES)]
    Users(users::Options),
    /// Lists logins, logouts and changes of accounts
    #[command(after_help = security_events::EXAMPLES)]
    SecurityEvents(security_events::Options),
    /// Checks the settings and the store, and prints how to repair problems
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(doctor::Options),
    /// Shows services, rates and lag, live
    #[command(after_help = top::EXAMPLES)]
    Top(top::Options),
    /// Prints a script that completes commands and flags in a shell
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::Options),
    /// Prints the manual page, or writes the pages of all commands to a directory
    #[command(after_help = man::EXAMPLES)]
    Man(man::Options),
}

/// The exit code of a wrong flag or setting.
const USAGE: u8 = 2;

/// How long the process waits at its end for work that cannot be interrupted.
const LEFT_TASKS: Duration = Duration::from_secs(5);

/// Runs the program with these arguments. The first one is the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Selects the TLS implementation for Redis and HTTP clients, because no library selects one. An
    // error means that one is selected already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(Refusal::Shown(text)) => {
            // It is not an error if the reader closes the output early.
            drop(write!(Output, "{text}"));
            return ExitCode::SUCCESS;
        }
        Err(Refusal::Wrong(what)) => return fail(what, USAGE),
    };
    telemetry::init(&cli.common, cli.command.log_stream(), cli.command.name());
    environment::warn_of_unknown(&program(), std::env::vars_os());
    raise_file_limit();
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .and_then(|runtime| {
            let ran = runtime.block_on(run(cli, arguments));
            // Ends the remaining tasks, such as those of clients that are still connected. They
            // hold handles of the store, and the last handle closes it.
            runtime.shutdown_timeout(LEFT_TASKS);
            ran
        });
    ran.unwrap_or_else(|error| fail(chain(error.as_ref()), exit_code(&error)))
}

/// An error of flags that do not fit the contents of the store or the files.
#[derive(Debug)]
struct Usage(String);

impl Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Returns 2 for errors that stay until somebody changes a setting, 1 for errors that may pass, and
/// the code of the signal if a signal ended the command.
fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        return interrupted.code;
    }
    if error.is::<Usage>() {
        return USAGE;
    }
    match error.downcast_ref::<Fault>() {
        Some(fault) if fault.is_lasting() => USAGE,
        _ => 1,
    }
}

impl Command {
    /// Returns the name of the command, which is that of the service in log lines.
    fn name(&self) -> &'static str {
        match self {
            Self::Up(_) => "up",
            Self::Auth(_) => "auth",
            Self::Api(_) => "api",
            Self::Receiver(_) => "receiver",
            Self::Console(_) => "console",
            Self::Processor(_) => "processor",
            Self::Checkins(_) => "checkins",
            Self::DeadLetters(_) => "dead-letters",
            Self::Load(_) => "load",
            Self::Export(_) => "export",
            Self::Generate(_) => "generate",
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Sessions(_) => "sessions",
            Self::Users(_) => "users",
            Self::SecurityEvents(_) => "security-events",
            Self::Doctor(_) => "doctor",
            Self::Top(_) => "top",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }

    /// Returns the stream for log lines. Services log to standard output; other commands print
    /// their results there and log to standard error.
    fn log_stream(&self) -> Stream {
        match self {
            Self::Up(_)
            | Self::Auth(_)
            | Self::Api(_)
            | Self::Receiver(_)
            | Self::Console(_)
            | Self::Processor(_) => Stream::Stdout,
            Self::Checkins(_)
            | Self::DeadLetters(_)
            | Self::Load(_)
            | Self::Export(_)
            | Self::Generate(_)
            | Self::Sessions(_)
            | Self::Users(_)
            | Self::Backup(_)
            | Self::Restore(_)
            | Self::SecurityEvents(_)
            | Self::Doctor(_)
            | Self::Top(_)
            | Self::Completions(_)
            | Self::Man(_) => Stream::Stderr,
        }
    }
}

async fn run(cli: Cli, arguments: Vec<OsString>) -> anyhow::Result<ExitCode> {
    outlive_file_size_limit().context("cannot handle SIGXFSZ")?;
    let config = cli.common;
    let files = [&config.config, &config.session_secret_file, &config.session_encryption_key_file];
    let has_file = files.into_iter().any(Option::is_some);
    let source = SettingsSource { arguments, has_file };
    match cli.command {
        Command::Up(options) => up::run(&config, options, source).await,
        Command::Auth(options) => auth::run(&config, options, source).await,
        Command::Api(options) => api::run(&config, options, source).await,
        Command::Receiver(options) => receiver::run(&config, options, source).await,
        Command::Console(options) => Box::pin(console::run(&config, options, source)).await,
        Command::Load(options) => load::run(&config, options).await,
        Command::Export(options) => export::run(&config, options).await,
        Command::Generate(options) => generate::run(&config, options).await,
        Command::Processor(options) => processor::run(&config, options).await,
        Command::Checkins(options) => checkins::run(&config, options).await,
        Command::DeadLetters(options) => dead_letters::run(&config, options).await,
        Command::Backup(options) => backup::back_up(&config, options).await,
        Command::Restore(options) => backup::restore(&config, options).await,
        Command::Sessions(options) => sessions::run(&config, options).await,
        Command::Users(options) => users::run(&config, options).await,
        Command::SecurityEvents(options) => security_events::run(&config, options).await,
        Command::Doctor(options) => doctor::run(&config, options).await,
        Command::Top(options) => top::run(&config, options).await,
        Command::Completions(options) => completions::run(program(), &options),
        Command::Man(options) => man::run(program(), &options),
    }
}

fn fail(what: impl Display, code: u8) -> ExitCode {
    // Nothing can be done if even this cannot be written.
    drop(writeln!(io::stderr(), "checkin: {what}"));
    ExitCode::from(code)
}

/// Returns the current time in milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Prints a line for the person at the terminal.
fn say(line: impl Display) -> io::Result<()> {
    writeln!(Output, "{line}")
}
