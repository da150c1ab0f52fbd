//! The command `checkin completions`.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_complete::{Shell, generate};

use super::output::Output;

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin completions bash > ~/.local/share/bash-completion/completions/checkin
  checkin completions zsh > ~/.zfunc/_checkin
  checkin completions fish > ~/.config/fish/completions/checkin.fish";

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints a script that completes the commands and flags of this program in a shell.
pub(super) fn run(mut program: Command, options: &Options) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    generate(options.shell, &mut program, "checkin", &mut script);
    Output.write_all(&script).context("cannot write the completions")?;
    Ok(ExitCode::SUCCESS)
}
