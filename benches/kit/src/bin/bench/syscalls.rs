//! System calls a request, beside a blind relay's.

use std::collections::BTreeSet;

use cqlgate_benches::load::{Ask, Burst};
use cqlgate_benches::strace::{self, Calls};
use cqlgate_benches::stub;
use cqlgate_benches::subject::Subject;
use cqlgate_testkit::Result;
use cqlgate_testkit::issuer::Issuer;
use cqlgate_testkit::trouble::During as _;

/// Requests of each depth: strace makes every call a hundred times slower.
const REQUESTS: u64 = 6_400;

pub(crate) fn report() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.during("making a runtime")?;
    let stub = stub::start()?;
    let issuer = runtime.block_on(Issuer::start()).during("starting an issuer")?;
    let relay = Subject::relay("blind relay", stub)?;
    let gateway = runtime.block_on(Subject::gateway("gateway", stub, &issuer, false))?;
    for depth in [1, 32] {
        let of_relay = count(&relay, depth)?;
        let of_gateway = count(&gateway, depth)?;
        print(depth, &of_gateway, &of_relay);
    }
    runtime.block_on(gateway.stop())?;
    runtime.block_on(relay.stop())
}

fn count(subject: &Subject, depth: usize) -> Result<Calls> {
    let mut load = subject.connect()?;
    let burst = Burst::new(Ask::Execute, depth);
    load.run(&burst, REQUESTS)?;
    strace::count(subject.pid(), || load.run(&burst, REQUESTS).map(drop))
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn print(depth: usize, gateway: &Calls, relay: &Calls) {
    let each = |n: u64| n as f64 / REQUESTS as f64;
    let total = |calls: &Calls| each(calls.values().sum());
    println!(
        "system calls a request, depth {depth}: gateway {:.3}, blind relay {:.3}",
        total(gateway),
        total(relay)
    );
    let names: BTreeSet<&String> = gateway.keys().chain(relay.keys()).collect();
    for name in names {
        let of = |calls: &Calls| each(calls.get(name).copied().unwrap_or_default());
        println!("  {name:<16} {:>8.3} {:>8.3}", of(gateway), of(relay));
    }
}
