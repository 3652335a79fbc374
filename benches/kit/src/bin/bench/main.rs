//! `bench instructions`, `bench judging`, `bench syscalls`, `bench compare`, `bench schema`: the figures of
//! `benches/README.md`.
#![allow(clippy::print_stdout, reason = "reports")]

mod compare;
mod instructions;
mod judging;
mod schema;
mod syscalls;

use std::io::Read as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use cqlgate_benches::callgrind;
use cqlgate_benches::relay;
use cqlgate_benches::serving::Who;
use cqlgate_testkit::trouble::During as _;
use cqlgate_testkit::{Result, Trouble};

const USAGE: &str = "\
bench instructions [--renew]  instructions a request, against benches/instructions.toml (needs valgrind)
bench judging                 time to classify and to decide
bench syscalls                system calls a request, beside a blind relay's (needs strace)
bench compare [ROUNDS]        CPU a request, beside a blind relay's, in interleaved rounds [default: 24]
bench schema [TABLES]         memory and time of a schema with many tables [default: 100000]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["instructions"] => instructions::gate(),
        ["instructions", "--renew"] => instructions::renew().map(|()| true),
        ["judging"] => judging::report().map(|()| true),
        ["syscalls"] => syscalls::report().map(|()| true),
        ["compare"] => compare::report(24).map(|()| true),
        ["compare", rounds] => match rounds.parse() {
            Ok(rounds) => compare::report(rounds).map(|()| true),
            Err(_) => Err(Trouble::new(USAGE)),
        },
        ["schema"] => schema::report(100_000).map(|()| true),
        ["schema", tables] => match tables.parse() {
            Ok(tables) => schema::report(tables).map(|()| true),
            Err(_) => Err(Trouble::new(USAGE)),
        },
        // Parts of the above, in processes of their own.
        ["relay", stub] => stub.parse().during("the stub's address").and_then(run_relay).map(|()| true),
        ["workload", "gateway"] => callgrind::workload(Who::Gateway).map(|()| true),
        ["workload", "judging"] => callgrind::judging().map(|()| true),
        ["workload", "relay"] => callgrind::workload(Who::Relay).map(|()| true),
        _ => Err(Trouble::new(USAGE)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            println!("FAILED: {trouble}");
            ExitCode::FAILURE
        }
    }
}

/// The blind relay, until standard input ends.
fn run_relay(stub: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().during("a runtime")?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).during("listening")?;
    println!("{}", listener.local_addr().during("listening")?);
    runtime.spawn(relay::serve(listener, stub));
    std::io::stdin().read_to_end(&mut Vec::new()).during("waiting for the end")?;
    runtime.shutdown_background();
    Ok(())
}
