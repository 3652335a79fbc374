//! The gate: no allocation for a forwarded EXECUTE and its RESULT in steady state.
//!
//! The counting allocator counts by thread; the thread that is counted does what a worker of the gateway
//! does and nothing else.
#![allow(clippy::print_stdout, reason = "a report")]

use std::process::ExitCode;

use cqlgate_benches::load::Ask;
use cqlgate_benches::serving::{Nodes, Serving, Who};
use cqlgate_testkit::Result;

/// Requests of each depth that are counted.
const REQUESTS: u64 = 100_000;
/// Requests before that, for buffers and caches to grow.
const WARM_UP: u64 = 5_000;

fn main() -> ExitCode {
    match gate() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("FAILED: a forwarded EXECUTE or its RESULT allocates");
            ExitCode::FAILURE
        }
        Err(trouble) => {
            println!("FAILED: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn gate() -> Result<bool> {
    let serving = Serving::start(Who::Gateway, Nodes::Elsewhere)?;
    let mut good = true;
    for depth in [1, 32] {
        let (count, requests) = count(&serving, Ask::Execute, depth)?;
        good &= count == 0;
        println!("allocations, EXECUTE and RESULT, depth {depth}: {count} in {requests} requests (gate: 0)");
    }
    for depth in [1, 32] {
        let (count, requests) = count(&serving, Ask::Query, depth)?;
        println!("allocations, QUERY and RESULT, depth {depth}: {count} in {requests} requests (no gate)");
    }
    let serving = Serving::start(Who::GatewayAuditAll, Nodes::Elsewhere)?;
    let (count, requests) = count(&serving, Ask::Execute, 32)?;
    println!(
        "allocations, EXECUTE with audit data = \"all\", depth 32: {count} in {requests} requests (no gate)"
    );
    Ok(good)
}

fn count(serving: &Serving, ask: Ask, depth: usize) -> Result<(u64, u64)> {
    serving.run(ask, depth, WARM_UP, |serve| serve())?;
    let (counted, requests) = serving.run(ask, depth, REQUESTS, |serve| {
        // An allocator that does not count would find 0, too.
        let control = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1_u8))));
        assert_eq!(control.count_total, 1, "the counting allocator does not count");
        allocation_counter::measure(serve)
    })?;
    Ok((counted.count_total, requests))
}
