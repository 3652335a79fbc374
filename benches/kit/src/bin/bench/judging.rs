//! Times: to classify a text, to decide on a need, to make the grants of somebody who logs in.

use std::hint::black_box;
use std::time::{Duration, Instant};

use cqlgate_benches::judging::{self, Office, RULES, Remembered, Shop};
use cqlgate_testkit::Result;

/// People and groups in the directory.
const PEOPLE: usize = 100_000;
const GROUPS: usize = 10_000;

/// Prints all of them. No gate: a busy machine would fail it.
pub(crate) fn report() -> Result<()> {
    let (shop, limits) = (Shop::default(), judging::limits());
    for (name, text) in judging::STATEMENTS {
        let time = nanoseconds(|| judging::classify(text, &limits, &shop));
        println!("classify, {name}, {} bytes: {time:.0} ns", text.len());
    }
    for (name, text) in judging::long(1024 * 1024) {
        let time = nanoseconds(|| judging::classify(&text, &limits, &shop));
        println!("classify, {name}, {} bytes: {:.0} MB/s", text.len(), per_microsecond(text.len(), time));
    }
    for (name, text) in judging::hostile(1024 * 1024) {
        let time = nanoseconds(|| judging::parse_only(&text, &limits));
        println!("parse, hostile, {name}, {} bytes: {:.3} ms", text.len(), time / 1e6);
    }
    let office = Office::new(PEOPLE, GROUPS)?;
    let grants = office.grants();
    println!("{PEOPLE} people, {GROUPS} groups, {RULES} rules that all reach the person:");
    for (name, need) in judging::needs_to_decide(&grants)? {
        let time = nanoseconds(|| judging::is_permitted(&grants, black_box(&need)));
        println!("decide, {name}: {time:.0} ns");
    }
    let remembered = Remembered::new(&grants)?;
    println!("decide, remembered for a prepared statement: {:.1} ns", nanoseconds(|| remembered.decide()));
    println!("compile grants at log-in: {:.0} us", nanoseconds(|| office.grants()) / 1e3);
    Ok(())
}

/// The median over rounds of what one call takes.
fn nanoseconds<T>(mut what: impl FnMut() -> T) -> f64 {
    const ROUND: Duration = Duration::from_millis(10);
    let began = Instant::now();
    black_box(what());
    let calls = (ROUND.as_nanos() / began.elapsed().as_nanos().max(1)).clamp(1, 1_000_000);
    let mut rounds: Vec<f64> = (0..15)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..calls {
                black_box(what());
            }
            #[expect(clippy::cast_precision_loss, reason = "at most a million")]
            let calls = calls as f64;
            began.elapsed().as_secs_f64() * 1e9 / calls
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds.get(rounds.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "megabytes")]
fn per_microsecond(bytes: usize, nanoseconds: f64) -> f64 {
    bytes as f64 * 1e3 / nanoseconds
}
