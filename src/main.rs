//! The `cqlgate` command; `cqlgate::cli` is what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    cqlgate::cli::main(std::env::args_os())
}
