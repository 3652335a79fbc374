//! Instructions in user space: for a request, to classify a text, to decide on a need; and the gates on them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use cqlgate_benches::callgrind::{self, DEPTHS};
use cqlgate_testkit::trouble::During as _;
use cqlgate_testkit::{Result, Trouble};

/// Growth over the stored figures that is let pass.
const GROWTH: f64 = 0.03;

/// What it should cost to classify a text of 100 bytes: a goal, not a gate.
const CLASSIFY: u64 = 6000;

/// How much dearer a byte of a hostile text may be in one four times as long.
const BEND: f64 = 1.1;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    rustc: String,
    depth_1: u64,
    depth_32: u64,
    /// To classify and to decide.
    #[serde(default)]
    judging: BTreeMap<String, u64>,
}

/// Counts, reports, and compares with what is stored.
pub(crate) fn gate() -> Result<bool> {
    let path = stored_at();
    let text = std::fs::read_to_string(&path).during(format!("reading {}", path.display()))?;
    let stored: Stored = toml::from_str(&text).during(format!("reading {}", path.display()))?;
    let mut good = true;
    for ((depth, counted), stored) in DEPTHS.into_iter().zip(count()?).zip([stored.depth_1, stored.depth_32])
    {
        good &= holds(&format!("EXECUTE and RESULT, depth {depth}"), counted, stored);
    }
    let judging = callgrind::count_judging()?;
    for (name, counted) in &judging.small {
        match stored.judging.get(name) {
            Some(stored) => good &= holds(name, *counted, *stored),
            None => println!("instructions, {name}: {counted}, nothing stored: benches/gates --renew"),
        }
        if name.starts_with("classify") && *counted > CLASSIFY {
            println!("  the goal is {CLASSIFY}");
        }
    }
    for (name, [short, long]) in &judging.hostile {
        let [from, to] = callgrind::SIZES;
        let bend = ratio(*long, *short) / ratio(to as u64, from as u64);
        println!(
            "instructions, hostile, {name}: {short} at {from} bytes, {long} at {to}: {bend:.2} a byte (gate: {BEND})"
        );
        good &= bend <= BEND;
    }
    let compiler = rustc()?;
    if compiler != stored.rustc {
        println!("  note: stored with {}, this is {compiler}", stored.rustc);
    }
    if !good {
        println!(
            "FAILED: a request or its judging costs more instructions than it did. If that is meant, say why in the \
             commit that runs benches/gates --renew"
        );
    }
    Ok(good)
}

/// Prints one figure beside what is stored; true if it did not grow too much.
fn holds(name: &str, counted: u64, stored: u64) -> bool {
    let growth = ratio(counted, stored) - 1.0;
    println!(
        "instructions, {name}: {counted}, stored {stored}: {:+.1} % (gate: +{:.0} %)",
        growth * 100.0,
        GROWTH * 100.0
    );
    if growth < -GROWTH {
        println!("  better than stored: benches/gates --renew");
    }
    growth <= GROWTH
}

/// Counts and stores.
pub(crate) fn renew() -> Result<()> {
    let [depth_1, depth_32] = count()?;
    let mut text = format!(
        "# Instructions in user space for one EXECUTE judged and forwarded and its RESULT passed back, as callgrind\n\
         # counts them on the serving thread, in bursts of 1 and of 32. Written by: benches/gates --renew\n\
         rustc = \"{}\"\ndepth_1 = {depth_1}\ndepth_32 = {depth_32}\n",
        rustc()?
    );
    text.push_str(
        "\n# To classify a text of 100 bytes (parse, and what it needs), and to decide on one need by a thousand rules.\n\
         [judging]\n",
    );
    for (name, counted) in callgrind::count_judging()?.small {
        let _ = writeln!(text, "{name} = {counted}");
    }
    let path = stored_at();
    std::fs::write(&path, text).during(format!("writing {}", path.display()))?;
    println!("stored in {}", path.display());
    Ok(())
}

fn count() -> Result<[u64; 2]> {
    let relay = callgrind::count("relay")?;
    let gateway = callgrind::count("gateway")?;
    for ((depth, gateway), relay) in DEPTHS.into_iter().zip(gateway).zip(relay) {
        println!(
            "instructions a request, depth {depth}: gateway {gateway}, blind relay {relay}, difference {}",
            i128::from(gateway) - i128::from(relay)
        );
    }
    Ok(gateway)
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn ratio(counted: u64, stored: u64) -> f64 {
    counted as f64 / stored.max(1) as f64
}

fn stored_at() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../instructions.toml"))
}

fn rustc() -> Result<String> {
    let told = std::process::Command::new("rustc").arg("--version").output().during("asking rustc")?;
    let told = String::from_utf8_lossy(&told.stdout);
    let version = told.split(' ').nth(1).ok_or_else(|| Trouble::new("rustc says no version"))?;
    Ok(version.trim().to_owned())
}
