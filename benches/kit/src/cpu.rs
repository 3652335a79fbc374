//! What the kernel says of processors: the time of one process, and how busy the machine is.

use std::fs;

use cqlgate_testkit::Result;
use cqlgate_testkit::trouble::{During as _, Trouble};

/// Nanoseconds of one tick of `/proc/<pid>/stat` (`USER_HZ` is 100 on every Linux that Rust runs on).
const TICK: u64 = 10_000_000;

/// Processor time of one process since its start, all its threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// User and system together, in nanoseconds, exact (`schedstat`).
    pub total: u64,
    /// The user part, in nanoseconds, in steps of a tick.
    pub user: u64,
    /// The system part, likewise.
    pub system: u64,
}

impl Cpu {
    /// Of the process now. Threads that ended are not in `total`: what is measured here ends none.
    pub fn of(pid: u32) -> Result<Self> {
        let mut total = 0;
        let tasks = format!("/proc/{pid}/task");
        for task in fs::read_dir(&tasks).during(format!("reading {tasks}"))?.flatten() {
            // A thread may end between the listing and this.
            if let Ok(text) = fs::read_to_string(task.path().join("schedstat")) {
                total += number(text.split(' ').next())?;
            }
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).during("reading stat")?;
        // The second field is the program's name in parentheses, which may hold anything.
        let (_, rest) = stat.rsplit_once(')').ok_or_else(|| Trouble::new("no name in stat"))?;
        let mut fields = rest.split_whitespace().skip(11);
        let (user, system) = (number(fields.next())? * TICK, number(fields.next())? * TICK);
        // Without CONFIG_SCHEDSTATS, in steps of a tick.
        Ok(Self { total: if total == 0 { user + system } else { total }, user, system })
    }

    /// What was used since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            total: self.total.saturating_sub(earlier.total),
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

/// Processor time of the machine: what was stolen by its host, and all of it, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    steal: u64,
    all: u64,
}

impl Machine {
    /// Now.
    pub fn now() -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat").during("reading /proc/stat")?;
        let line = stat.lines().next().unwrap_or_default();
        let fields: Vec<u64> =
            line.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
        Ok(Self { steal: fields.get(7).copied().unwrap_or_default(), all: fields.iter().sum() })
    }

    /// The part that was stolen since `earlier`, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "ticks of a few seconds")]
    pub fn stolen_since(self, earlier: Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all).max(1);
        self.steal.saturating_sub(earlier.steal) as f64 / all as f64
    }
}

/// The load average of the last minute, and the machine's processor and kernel, for the record.
pub fn describe() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{model}, {cores} cores, Linux {}, load average {}", kernel.trim(), load_average())
}

/// The load average of the last minute.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn number(field: Option<&str>) -> Result<u64> {
    field.unwrap_or_default().trim().parse().during("reading a number of /proc")
}
