//! The Python driver and cqlsh, unpatched, in an environment made once from pinned versions.

mod driver;

pub use driver::{Driver, Failure, LogIn, Table};

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use aws_lc_rs::digest;
use tokio::io::AsyncWriteExt;
use tokio::sync::OnceCell;

use crate::trouble::{During, Result, Trouble, or_fail};
use crate::{parts, place};

const REQUIREMENTS: &str = include_str!("../../python/requirements.txt");

/// The environment.
#[derive(Clone, Debug)]
pub struct Python {
    dir: PathBuf,
}

/// What a run printed and how it ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit code; `None`: ended by a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// One run.
#[derive(Debug)]
pub struct Run {
    command: Command,
    input: String,
    limit: Duration,
}

impl Python {
    /// The environment of this process, made at the first call of a version of its pins.
    ///
    /// # Panics
    /// When `python3` is missing or the packages cannot be fetched; the first line says which.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Result<Python>> = OnceCell::const_new();
        let python = SHARED.get_or_init(Self::new).await;
        or_fail(python.as_ref().map_err(Clone::clone))
    }

    /// The same, for those who handle the trouble.
    pub async fn new() -> Result<Self> {
        let dir = tokio::task::spawn_blocking(make).await.during("making the Python environment")??;
        Ok(Self { dir })
    }

    /// The interpreter.
    pub fn interpreter(&self) -> PathBuf {
        self.dir.join("bin/python")
    }

    /// cqlsh.
    pub fn cqlsh_program(&self) -> PathBuf {
        self.dir.join("bin/cqlsh")
    }

    /// A script of `tests/kit/python`, by file name.
    pub fn script(&self, name: &str) -> Run {
        let mut command = Command::new(self.interpreter());
        command.arg(place::workspace().join("tests/kit/python").join(name));
        Run::new(command)
    }

    /// A script given as text.
    pub fn text(&self, text: &str) -> Run {
        let mut command = Command::new(self.interpreter());
        command.args(["-c", text]);
        Run::new(command)
    }

    /// cqlsh, without its own history and configuration: `cqlsh().args(["-e", "..", "127.0.0.1", "9042"])`.
    pub fn cqlsh(&self) -> Run {
        let mut command = Command::new(self.interpreter());
        command.arg(self.cqlsh_program()).env("HOME", "/nonexistent").env("CQL_HISTORY", "/dev/null");
        Run::new(command)
    }
}

impl Run {
    fn new(mut command: Command) -> Self {
        command.env_remove("PYTHONPATH").env("PYTHONDONTWRITEBYTECODE", "1");
        Self { command, input: String::new(), limit: Duration::from_mins(2) }
    }

    /// More arguments. No secrets: others on the machine can read them.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// What it reads on its standard input: the place for secrets.
    #[must_use]
    pub fn input(mut self, text: impl Into<String>) -> Self {
        self.input = text.into();
        self
    }

    /// The longest it may take (two minutes unless set).
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    pub async fn run(self) -> Result<Ran> {
        let name =
            self.command.get_args().next().map(|a| Path::new(a).display().to_string()).unwrap_or_default();
        let mut child = tokio::process::Command::from(self.command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .during(format!("starting {name}"))?;
        let stdin = child.stdin.take();
        let (input, limit) = (self.input, self.limit);
        let whole = async move {
            let feed = async move {
                if let Some(mut stdin) = stdin {
                    // A script that does not read its input is right to close it.
                    let _ = stdin.write_all(input.as_bytes()).await;
                }
            };
            tokio::join!(feed, child.wait_with_output()).1
        };
        let output: Output = tokio::time::timeout(limit, whole)
            .await
            .map_err(|_| Trouble::new(format!("{name} still runs after {limit:?}")))?
            .during(format!("running {name}"))?;
        Ok(Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs it to its end, which must be a good one; returns its standard output.
    pub async fn ok(self) -> Result<String> {
        let ran = self.run().await?;
        if ran.code == Some(0) {
            return Ok(ran.stdout);
        }
        Err(Trouble::new(format!("exit {:?}\n{}\n{}", ran.code, ran.stdout, ran.stderr)))
    }
}

fn make() -> Result<PathBuf> {
    let hash = digest::digest(&digest::SHA256, REQUIREMENTS.as_bytes());
    let number = hash.as_ref().iter().take(6).fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    let pins = format!("{number:012x}");
    place::made_once(&format!("python-{pins}"), |dir| {
        let python = parts::python3()?;
        step(Command::new(python).args(["-m", "venv"]).arg(dir), "making a Python environment")?;
        let requirements = dir.join("requirements.txt");
        std::fs::write(&requirements, REQUIREMENTS).during("writing requirements.txt")?;
        let mut pip = Command::new(dir.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r"]);
        step(pip.arg(requirements), "fetching the Python driver and cqlsh (is the package index reachable?)")
    })
}

fn step(command: &mut Command, what: &str) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().during(what)?;
    if output.status.success() {
        return Ok(());
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    Err(Trouble::new(format!("{what} failed:\n{stdout}{}", String::from_utf8_lossy(&output.stderr))))
}
