//! Instructions of the serving thread, counted by callgrind between [`boundary`]s.

use std::path::Path;
use std::process::{Command, Stdio};

use cqlgate_testkit::parts::on_path;
use cqlgate_testkit::scratch::Scratch;
use cqlgate_testkit::trouble::During as _;
use cqlgate_testkit::{Result, Trouble};

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

/// Instructions a request, one figure for each of [`DEPTHS`].
pub fn count(who: &str) -> Result<[u64; 2]> {
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
        .args(["workload", who])
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
    // Parts 1 and 3 are what came before; the first thread serves.
    Ok([total(scratch.path(), 2)? / REQUESTS, total(scratch.path(), 4)? / REQUESTS])
}

/// The instructions of the first thread in one part.
fn total(folder: &Path, part: u32) -> Result<u64> {
    let file = folder.join(format!("out.{part}-01"));
    let text = std::fs::read_to_string(&file).during(format!("reading {}", file.display()))?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    total.and_then(|total| total.trim().parse().ok()).ok_or_else(|| Trouble::new("callgrind counted nothing"))
}
