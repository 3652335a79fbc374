//! System calls of a process, counted by `strace -c -f` while something happens.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use cqlgate_testkit::parts::on_path;
use cqlgate_testkit::scratch::Scratch;
use cqlgate_testkit::trouble::During as _;
use cqlgate_testkit::{Result, Trouble};

/// Calls by name.
pub type Calls = BTreeMap<String, u64>;

/// Counts the calls that `pid` makes, all its threads, while `work` runs.
pub fn count(pid: u32, work: impl FnOnce() -> Result<()>) -> Result<Calls> {
    let strace = on_path("strace")
        .ok_or_else(|| Trouble::new("strace is missing: install it (Debian: apt-get install strace)"))?;
    let scratch = Scratch::new("strace")?;
    let summary = scratch.path().join("summary");
    let mut child = Command::new(strace)
        .args(["-c", "-f", "-p", &pid.to_string(), "-o"])
        .arg(&summary)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .during("starting strace")?;
    let Some(stderr) = child.stderr.take() else { return Err(Trouble::new("strace has no output")) };
    let mut said = BufReader::new(stderr);
    let mut line = String::new();
    said.read_line(&mut line).during("reading what strace says")?;
    if !line.contains("attached") {
        let _ = child.wait();
        return Err(Trouble::new(format!(
            "strace cannot attach to a process of this user ({}): run as root, or set \
             kernel.yama.ptrace_scope to 0",
            line.trim()
        )));
    }
    let worked = work();
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().during("stopping strace")?;
    // It goes on talking about every thread that it lets go.
    std::io::copy(&mut said, &mut std::io::sink()).during("waiting for strace")?;
    child.wait().during("waiting for strace")?;
    worked?;
    let text = std::fs::read_to_string(&summary).during("reading strace's summary")?;
    Ok(parse(&text))
}

/// Reads the table: share, seconds, microseconds a call, calls, (errors,) name.
fn parse(text: &str) -> Calls {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let calls = fields.get(3)?.parse().ok()?;
        let name = *fields.last()?;
        (name != "total").then(|| (name.to_owned(), calls))
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n \
                    60.00    0.000600           6       100           sendto\n \
                    40.00    0.000400           4       110        10 recvfrom\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.001000           4       210        10 total\n";
        let calls = parse(text);
        assert_eq!(calls.get("sendto"), Some(&100));
        assert_eq!(calls.get("recvfrom"), Some(&110));
        assert_eq!(calls.len(), 2);
    }
}
