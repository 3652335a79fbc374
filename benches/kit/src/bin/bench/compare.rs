//! CPU a request beside a blind relay's: the same bursts in turn through each, round by round, and the median
//! of each round's ratios.

use std::time::{Duration, Instant};

use cqlgate_benches::cpu::{self, Cpu, Machine};
use cqlgate_benches::load::{Ask, Burst, Load};
use cqlgate_benches::stats::{Median, median};
use cqlgate_benches::stub;
use cqlgate_benches::subject::Subject;
use cqlgate_testkit::issuer::Issuer;
use cqlgate_testkit::trouble::During as _;
use cqlgate_testkit::{Result, Trouble};

/// Connections through each, all at once.
const CLIENTS: u64 = 4;

/// Requests of a slice, all connections together, by depth.
const DEPTHS: [(usize, u64); 2] = [(1, 16_000), (32, 128_000)];

/// A round in which the host took more than this of the machine says nothing.
const STOLEN: f64 = 0.02;

/// What one slice cost, in nanoseconds a request.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    total: f64,
    user: f64,
    system: f64,
}

struct Runner {
    subject: Subject,
    clients: Vec<Load>,
}

pub(crate) fn report(rounds: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.during("making a runtime")?;
    println!("{}", cpu::describe());
    let stub = stub::start()?;
    let issuer = runtime.block_on(Issuer::start()).during("starting an issuer")?;
    let subjects = [
        Subject::relay("blind relay", stub)?,
        runtime.block_on(Subject::gateway("gateway", stub, &issuer, false))?,
        runtime.block_on(Subject::gateway("gateway, audit data = \"all\"", stub, &issuer, true))?,
        // What the method finds between two that are the same.
        Subject::relay("blind relay again", stub)?,
    ];
    let mut runners = Vec::new();
    for subject in subjects {
        let clients = (0..CLIENTS).map(|_| subject.connect()).collect::<Result<_>>()?;
        runners.push(Runner { subject, clients });
    }
    for (depth, requests) in DEPTHS {
        compare(&mut runners, depth, requests, rounds)?;
    }
    for runner in runners {
        drop(runner.clients);
        runtime.block_on(runner.subject.stop())?;
    }
    Ok(())
}

fn compare(runners: &mut [Runner], depth: usize, requests: u64, rounds: usize) -> Result<()> {
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); runners.len()];
    let (mut voided, mut worst) = (0, 0.0_f64);
    let loads = (cpu::load_average(), Instant::now());
    // The first round only warms up.
    for round in 0..=rounds {
        let before = Machine::now()?;
        let mut found = vec![Cost::default(); runners.len()];
        for n in order(round, runners.len()) {
            if let (Some(runner), Some(cost)) = (runners.get_mut(n), found.get_mut(n)) {
                *cost = runner.slice(depth, requests)?;
            }
        }
        let stolen = Machine::now()?.stolen_since(before);
        if round == 0 {
            continue;
        }
        worst = worst.max(stolen);
        if stolen > STOLEN {
            voided += 1;
            continue;
        }
        for (all, cost) in costs.iter_mut().zip(found) {
            all.push(cost);
        }
    }
    let (load_before, started) = loads;
    println!(
        "\ndepth {depth}: {} rounds of {requests} requests over {CLIENTS} connections, {voided} voided; most stolen \
         {:.2} %; load average {load_before} before, {} after {} s",
        rounds - voided,
        worst * 100.0,
        cpu::load_average(),
        started.elapsed().as_secs()
    );
    let base = costs.first().cloned().unwrap_or_default();
    for (runner, costs) in runners.iter().zip(&costs) {
        let of = |part: fn(&Cost) -> f64| micros(costs.iter().map(part));
        let ratios: Vec<f64> = costs.iter().zip(&base).map(|(cost, base)| cost.total / base.total).collect();
        let ratio = median(&ratios).ok_or_else(|| Trouble::new("every round was voided"))?;
        println!(
            "  {:<28} {:>7.2} us a request (user {:.2}, system {:.2})   ratio {ratio}",
            runner.subject.name,
            of(|cost| cost.total),
            of(|cost| cost.user),
            of(|cost| cost.system),
        );
    }
    Ok(())
}

/// The order of a round: another one first each time, and other neighbours, since what one leaves behind (caches,
/// pages still to be written) is paid by the next.
fn order(round: usize, of: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..of).map(|turn| (turn + round) % of).collect();
    if (round / of) % 2 == 1 {
        order.reverse();
    }
    if (round / (2 * of)) % 2 == 1 {
        order.swap(0, of / 2);
    }
    order
}

fn micros(nanos: impl Iterator<Item = f64>) -> f64 {
    median(&nanos.collect::<Vec<_>>()).map_or(0.0, |Median { value, .. }| value / 1000.0)
}

impl Runner {
    fn slice(&mut self, depth: usize, requests: u64) -> Result<Cost> {
        let burst = Burst::new(Ask::Execute, depth);
        let pid = self.subject.pid();
        let before = Cpu::of(pid)?;
        let answered = std::thread::scope(|scope| {
            let running: Vec<_> = self
                .clients
                .iter_mut()
                .map(|client| scope.spawn(|| client.run(&burst, requests / CLIENTS)))
                .collect();
            let mut answered = 0;
            for client in running {
                answered += client.join().map_err(|_| Trouble::new("a client panicked"))??;
            }
            Ok::<_, Trouble>(answered)
        })?;
        let used = settled(pid)?.since(before);
        if let Some(log) = self.subject.audit_log() {
            // It is written by appending: what a slice wrote is not kept for the next.
            let file = std::fs::OpenOptions::new().write(true).open(log).during("the audit log")?;
            file.set_len(0).during("emptying the audit log")?;
        }
        Ok(used.each(answered))
    }
}

trait Each {
    fn each(self, requests: u64) -> Cost;
}

impl Each for Cpu {
    #[expect(clippy::cast_precision_loss, reason = "seconds in nanoseconds")]
    fn each(self, requests: u64) -> Cost {
        let each = |nanos: u64| nanos as f64 / requests as f64;
        Cost { total: each(self.total), user: each(self.user), system: each(self.system) }
    }
}

/// The time of a process that has come to rest: the audit writer may have work left when the last answer is
/// there, and that is a part of the price.
fn settled(pid: u32) -> Result<Cpu> {
    let pause = Duration::from_millis(10);
    let mut last = Cpu::of(pid)?;
    for _ in 0..500 {
        std::thread::sleep(pause);
        let now = Cpu::of(pid)?;
        // Less than a hundredth of the pause: nothing but ticks of its clock.
        if now.since(last).total < 100_000 {
            return Ok(now);
        }
        last = now;
    }
    Err(Trouble::new("the process does not come to rest"))
}
