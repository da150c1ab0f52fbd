//! The program `checkin`.

use std::process::ExitCode;

fn main() -> ExitCode {
    checkin::cli::main(std::env::args_os())
}
