//! A process on a leash: it ends when its owner lets go, and when its owner is killed.
//!
//! Between the owner and the process stands `supervise.sh` in a session of its own, where no Ctrl-C and
//! no hang-up of a terminal reaches it.

use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::parts;
use crate::scratch::{SUPERVISE, Scratch};
use crate::trouble::{During, Result, Trouble};

/// A running (or ended) process and what it printed.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    leash: Option<ChildStdin>,
    shared: Arc<Shared>,
    lines: watch::Receiver<usize>,
    silent: watch::Receiver<bool>,
    exit: watch::Receiver<Option<i32>>,
    gone: watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct Shared {
    printed: Mutex<Vec<String>>,
}

impl Shared {
    fn printed(&self) -> MutexGuard<'_, Vec<String>> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Starts `command` (its program, arguments and environment count) in `scratch`. Let go, it gets TERM
    /// and, when it still runs after `grace`, KILL.
    pub fn spawn(name: &str, scratch: &Scratch, grace: Duration, command: &Command) -> Result<Self> {
        let mut supervisor = Command::new(parts::setsid()?);
        supervisor
            .args(["sh", "-c", SUPERVISE, "supervise", "run"])
            .arg(scratch.path())
            .arg((grace.as_millis() / 100).to_string())
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => supervisor.env(key, value),
                None => supervisor.env_remove(key),
            };
        }
        let mut child = supervisor.spawn().during(format!("starting {name}"))?;
        let (Some(leash), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Trouble::new(format!("{name} has no pipes")));
        };
        let mut words = BufReader::new(stdout);
        let mut first = String::new();
        words.read_line(&mut first).during(format!("starting {name}"))?;
        let pid = first
            .trim()
            .strip_prefix("pid ")
            .and_then(|pid| pid.parse().ok())
            .ok_or_else(|| Trouble::new(format!("{name} was not started: {first:?}")))?;

        let shared = Arc::new(Shared::default());
        let (line_tx, lines) = watch::channel(0);
        let (exit_tx, exit) = watch::channel(None);
        let (gone_tx, gone) = watch::channel(false);
        let (silent_tx, silent) = watch::channel(false);
        let store = Arc::clone(&shared);
        let printing = std::thread::spawn(move || {
            keep_lines(stderr, &store, &line_tx);
            silent_tx.send_replace(true);
        });
        std::thread::spawn(move || {
            for line in words.lines().map_while(std::io::Result::ok) {
                if let Some(code) = line.strip_prefix("exit ").and_then(|code| code.parse().ok()) {
                    exit_tx.send_replace(Some(code));
                }
            }
            let _: std::io::Result<ExitStatus> = child.wait();
            let _ = printing.join();
            gone_tx.send_replace(true);
        });
        Ok(Self { name: name.into(), pid, leash: Some(leash), shared, lines, silent, exit, gone })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Every line it printed so far, on both outputs.
    pub fn printed(&self) -> Vec<String> {
        self.shared.printed().clone()
    }

    /// Its last lines, for an error message.
    pub fn tail(&self, count: usize) -> String {
        let printed = self.shared.printed();
        printed.iter().skip(printed.len().saturating_sub(count)).cloned().collect::<Vec<_>>().join("\n")
    }

    /// Waits for a line that `is_it` takes, looking at those already printed from line `from` on; returns
    /// the line and the number of the one behind it.
    pub async fn wait_for_line(
        &self,
        from: usize,
        limit: Duration,
        what: &str,
        is_it: impl Fn(&str) -> bool,
    ) -> Result<(String, usize)> {
        let (mut lines, mut silent) = (self.lines.clone(), self.silent.clone());
        let deadline = tokio::time::Instant::now() + limit;
        let mut next = from;
        loop {
            let ended = *silent.borrow_and_update();
            lines.mark_unchanged();
            {
                let printed = self.shared.printed();
                for (i, line) in printed.iter().enumerate().skip(next) {
                    if is_it(line) {
                        return Ok((line.clone(), i + 1));
                    }
                }
                next = printed.len();
            }
            if ended {
                return Err(self.trouble(&format!("{} ended before {what}", self.name)));
            }
            let more = async {
                tokio::select! {
                    Ok(()) = lines.changed() => {}
                    Ok(()) = silent.changed() => {}
                    else => {}
                }
            };
            if tokio::time::timeout_at(deadline, more).await.is_err() {
                return Err(self.trouble(&format!("{} did not reach {what} in {limit:?}", self.name)));
            }
        }
    }

    fn trouble(&self, text: &str) -> Trouble {
        Trouble::new(format!("{text}; its last lines:\n{}", self.tail(25)))
    }

    /// Sends a signal (`TERM`, `KILL`, `STOP`, `CONT`, `INT`, `HUP`).
    pub fn signal(&self, signal: &str) -> Result<()> {
        if self.exit.borrow().is_some() {
            return Err(Trouble::new(format!("{} has ended, it takes no {signal}", self.name)));
        }
        let status = Command::new("sh")
            .args(["-c", "kill -\"$1\" \"$2\"", "kill", signal, &self.pid.to_string()])
            .stdin(Stdio::null())
            .status()
            .during(format!("sending {signal} to {}", self.name))?;
        if status.success() { Ok(()) } else { Err(Trouble::new(format!("{} took no {signal}", self.name))) }
    }

    /// Waits until it has ended by itself and all that it printed is here; its exit code (128 + the signal
    /// that ended it).
    pub async fn ended(&self, limit: Duration) -> Result<i32> {
        let (mut exit, mut silent) = (self.exit.clone(), self.silent.clone());
        let ending = async {
            let code = exit.wait_for(Option::is_some).await.map(|code| *code);
            let _ = silent.wait_for(|silent| *silent).await;
            code
        };
        match tokio::time::timeout(limit, ending).await {
            Ok(Ok(code)) => Ok(code.unwrap_or(-1)),
            Ok(Err(_)) => Err(Trouble::new(format!("the supervisor of {} is gone", self.name))),
            Err(_) => Err(self.trouble(&format!("{} still runs after {limit:?}", self.name))),
        }
    }

    /// Has it ended?
    pub fn has_ended(&self) -> bool {
        self.exit.borrow().is_some()
    }

    /// Lets go and waits until it is gone.
    pub async fn stop(&mut self) -> Result<()> {
        drop(self.leash.take());
        let mut gone = self.gone.clone();
        match tokio::time::timeout(Duration::from_secs(90), gone.wait_for(|gone| *gone)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(self.trouble(&format!("{} cannot be stopped", self.name))),
        }
    }
}

fn keep_lines(from: impl Read, into: &Shared, tick: &watch::Sender<usize>) {
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        into.printed().push(text);
        tick.send_modify(|n| *n += 1);
    }
}
