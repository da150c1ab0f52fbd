//! Which options the help of a command shows.

use clap::{Arg, Command, CommandFactory};

use super::Cli;
use crate::config::SERVICE_OPTIONS;

/// The commands for which the options of services have a meaning: the services, and the doctor, which checks
/// all settings.
const SHOW_SERVICE_OPTIONS: [&str; 7] =
    ["up", "auth", "api", "receiver", "console", "processor", "doctor"];

/// Returns the program with all of its commands. Every command accepts the options of services, because all
/// commands may share one file of settings; only the services and the doctor show them.
pub(super) fn program() -> Command {
    // `-h` is a summary.
    let program = with_service_options(Cli::command(), |arg| arg.hide_short_help(true));
    let shown: Vec<Arg> =
        program.get_arguments().filter(|arg| is_for_services(arg)).cloned().collect();
    // A subcommand gets from clap the global arguments that it has not got yet.
    let program = SHOW_SERVICE_OPTIONS.iter().fold(program, |program, name| {
        program.mut_subcommand(name, |service| service.args(shown.iter().cloned()))
    });
    with_service_options(program, |arg| arg.hide(true))
}

/// Changes the options of services among the arguments of the program itself.
fn with_service_options(program: Command, change: impl Fn(Arg) -> Arg) -> Command {
    program.mut_args(|arg| if is_for_services(&arg) { change(arg) } else { arg })
}

fn is_for_services(arg: &Arg) -> bool {
    arg.get_help_heading() == Some(SERVICE_OPTIONS)
}
