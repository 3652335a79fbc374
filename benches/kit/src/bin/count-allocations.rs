//! The gate: no allocation for a forwarded EXECUTE and its RESULT in steady state, none for judging.
//!
//! The counting allocator counts by thread; the thread that is counted does what a worker of the gateway
//! does and nothing else.
#![allow(clippy::print_stdout, reason = "a report")]

use std::hint::black_box;
use std::process::ExitCode;

use cqlgate_benches::judging::{self, Office, Remembered, Shop};
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
            println!("FAILED: judging, or a forwarded EXECUTE or its RESULT, allocates");
            ExitCode::FAILURE
        }
        Err(trouble) => {
            println!("FAILED: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn gate() -> Result<bool> {
    let mut good = judging()?;
    let serving = Serving::start(Who::Gateway, Nodes::Elsewhere)?;
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

/// Classifying the common statements and deciding on needs.
fn judging() -> Result<bool> {
    let (shop, limits) = (Shop::default(), judging::limits());
    let grants = Office::new(1000, 100)?.grants();
    let mut good = true;
    let mut tell = |what: &str, once: &dyn Fn()| {
        once();
        let counted = allocation_counter::measure(|| (0..REQUESTS).for_each(|_| once())).count_total;
        println!("allocations, {what}: {counted} in {REQUESTS} (gate: 0)");
        good &= counted == 0;
    };
    for (name, text) in judging::STATEMENTS {
        tell(&format!("classify {name}"), &|| {
            black_box(judging::classify(text, &limits, &shop));
        });
    }
    for (name, need) in judging::needs_to_decide(&grants)? {
        tell(&format!("decide {name}"), &|| {
            black_box(judging::is_permitted(&grants, &need));
        });
    }
    let remembered = Remembered::new(&grants)?;
    tell("decide, remembered", &|| {
        black_box(remembered.decide());
    });
    Ok(good)
}

fn count(serving: &Serving, ask: Ask, depth: usize) -> Result<(u64, u64)> {
    serving.run(ask, depth, WARM_UP, |serve| serve())?;
    let (counted, requests) = serving.run(ask, depth, REQUESTS, |serve| {
        // An allocator that does not count would find 0, too.
        let control = allocation_counter::measure(|| drop(black_box(Box::new(1_u8))));
        assert_eq!(control.count_total, 1, "the counting allocator does not count");
        allocation_counter::measure(serve)
    })?;
    Ok((counted.count_total, requests))
}
