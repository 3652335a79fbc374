//! Instructions of the serving thread, counted by callgrind between [`boundary`]s.

use std::path::Path;
use std::process::{Command, Stdio};

use cqlgate_testkit::parts::on_path;
use cqlgate_testkit::scratch::Scratch;
use cqlgate_testkit::trouble::During as _;
use cqlgate_testkit::{Result, Trouble};

use crate::judging::{self, Office, Remembered, Shop};
use crate::load::Ask;
use crate::serving::{Nodes, Serving, Who};

/// Requests of each depth that are counted.
pub const REQUESTS: u64 = 6_400;

/// The depths.
pub const DEPTHS: [usize; 2] = [1, 32];

/// callgrind writes down and forgets what it has counted whenever this is called.
#[inline(never)]
pub fn boundary() {
    std::hint::black_box(());
}

/// What runs under callgrind: the same for both kinds, so that their difference is the judging.
pub fn workload(who: Who) -> Result<()> {
    let serving = Serving::start(who, Nodes::Here)?;
    for depth in DEPTHS {
        // Buffers grow, caches fill.
        serving.run(Ask::Execute, depth, REQUESTS / 4, |serve| serve())?;
        boundary();
        serving.run(Ask::Execute, depth, REQUESTS, |serve| serve())?;
        boundary();
    }
    Ok(())
}

/// What runs under callgrind for [`count_judging`]: each thing is done a hundred times between two boundaries.
pub fn judging() -> Result<()> {
    // A decision does not look at the directory; the grants are made of it.
    let office = Office::new(1000, 100)?;
    let (grants, shop, limits) = (office.grants(), Shop::default(), judging::limits());
    for (_, text) in judging::STATEMENTS {
        counted(JUDGED, || judging::classify(text, &limits, &shop));
    }
    for (_, need) in judging::needs_to_decide(&grants)? {
        counted(JUDGED, || judging::is_permitted(&grants, &need));
    }
    let remembered = Remembered::new(&grants)?;
    counted(JUDGED, || remembered.decide());
    for size in SIZES {
        for (_, text) in judging::hostile(size) {
            counted(1, || judging::parse_only(&text, &limits));
        }
    }
    Ok(())
}

/// How often each small thing is done.
const JUDGED: u64 = 100;

/// The lengths at which hostile texts are counted.
pub const SIZES: [usize; 2] = [16 * 1024, 64 * 1024];

fn counted<T>(times: u64, what: impl Fn() -> T) {
    std::hint::black_box(what());
    boundary();
    for _ in 0..times {
        std::hint::black_box(what());
    }
    boundary();
}

/// Instructions of judging: for a statement each, for a decision each, and for hostile texts at each of [`SIZES`].
#[derive(Debug)]
pub struct Judging {
    /// To classify, and to decide: name and instructions.
    pub small: Vec<(String, u64)>,
    /// Name, and instructions at each size.
    pub hostile: Vec<(&'static str, [u64; 2])>,
}

/// Counts what [`judging()`] does.
pub fn count_judging() -> Result<Judging> {
    let scratch = run(&["workload", "judging"])?;
    // Odd parts are what came between.
    let mut part = 0;
    let mut next = || {
        part += 2;
        total(scratch.path(), part)
    };
    let mut small = Vec::new();
    for (name, _) in judging::STATEMENTS {
        small.push((format!("classify_{name}"), next()? / JUDGED));
    }
    for name in judging::DECIDED {
        small.push((format!("decide_{name}"), next()? / JUDGED));
    }
    small.push(("decide_remembered".to_owned(), next()? / JUDGED));
    let names: Vec<&str> = judging::hostile(64).into_iter().map(|(name, _)| name).collect();
    let of_one_size =
        |next: &mut dyn FnMut() -> Result<u64>| names.iter().map(|_| next()).collect::<Result<Vec<u64>>>();
    let (short, long) = (of_one_size(&mut next)?, of_one_size(&mut next)?);
    let hostile = names.into_iter().zip(short.into_iter().zip(long)).map(|(name, (s, l))| (name, [s, l]));
    Ok(Judging { small, hostile: hostile.collect() })
}

/// Instructions a request, one figure for each of [`DEPTHS`].
pub fn count(who: &str) -> Result<[u64; 2]> {
    let scratch = run(&["workload", who])?;
    // Parts 1 and 3 are what came before; the first thread serves.
    Ok([total(scratch.path(), 2)? / REQUESTS, total(scratch.path(), 4)? / REQUESTS])
}

/// Runs this program under callgrind; its counts are in the folder.
fn run(arguments: &[&str]) -> Result<Scratch> {
    let valgrind = on_path("valgrind")
        .ok_or_else(|| Trouble::new("valgrind is missing: install it (Debian: apt-get install valgrind)"))?;
    let scratch = Scratch::new("callgrind")?;
    let program = std::env::current_exe().during("finding this program")?;
    let out = scratch.path().join("out");
    let ran = Command::new(valgrind)
        // The threads take turns: a fair turn does not let one starve while another spins.
        .args(["--tool=callgrind", "--separate-threads=yes", "--fair-sched=try"])
        .args(["--dump-before=*callgrind::boundary*", "--combine-dumps=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .during("starting valgrind")?;
    let said = String::from_utf8_lossy(&ran.stderr);
    if !ran.status.success() {
        return Err(Trouble::new(format!("the workload failed under valgrind:\n{said}")));
    }
    if let Some(keep) = std::env::var_os("CALLGRIND_KEEP") {
        Command::new("cp").arg("-r").arg(scratch.path()).arg(keep).status().during("keeping the counts")?;
    }
    Ok(scratch)
}

/// The instructions of the first thread in one part.
fn total(folder: &Path, part: u32) -> Result<u64> {
    let file = folder.join(format!("out.{part}-01"));
    let text = std::fs::read_to_string(&file).during(format!("reading {}", file.display()))?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    total.and_then(|total| total.trim().parse().ok()).ok_or_else(|| Trouble::new("callgrind counted nothing"))
}
