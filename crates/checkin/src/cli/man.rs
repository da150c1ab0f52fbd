//! The command `checkin man`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::Man;

use super::output::Output;
use super::say;

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin man | man -l -
  checkin man /usr/local/share/man/man1";

#[derive(Args, Debug)]
pub(super) struct Options {
    /// An existing directory, to which one page is written for each command. Without it, the page of the
    /// program is printed
    #[arg(value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Prints the manual page of the program, or writes the pages of all commands.
pub(super) fn run(program: Command, options: &Options) -> anyhow::Result<ExitCode> {
    let mut program = program.disable_help_subcommand(true);
    // Gives each command its full name and the flags of every command.
    program.build();
    match &options.directory {
        None => {
            let (_, text) = page(program).context("cannot make the page")?;
            Output.write_all(text.as_bytes()).context("cannot write the page")?;
        }
        Some(directory) => {
            let count = write_all(program, directory)
                .with_context(|| format!("cannot write to {}", directory.display()))?;
            say(format_args!("{count} pages written to {}", directory.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages of a command and of all commands below it, and returns their number.
fn write_all(command: Command, directory: &Path) -> io::Result<usize> {
    let mut count = 1;
    for subcommand in command.get_subcommands() {
        count += write_all(subcommand.clone(), directory)?;
    }
    let (name, text) = page(command)?;
    fs::write(directory.join(name), text)?;
    Ok(count)
}

/// Returns the file name and the text of the page of a command.
fn page(command: Command) -> io::Result<(String, String)> {
    let source = concat!("checkin ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command).source(source).manual("checkin");
    let mut text = Vec::new();
    man.render(&mut text)?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    // The text behind the options of a help text are its examples.
    Ok((man.get_filename(), text.replacen(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n", 1)))
}
