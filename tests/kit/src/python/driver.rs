//! A session of the real Python driver, told what to do one request at a time (`tests/kit/python/agent.py`).

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::Python;
use crate::place;
use crate::trouble::{Result, Trouble};

/// The longest that one request to the driver may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A driver with an open session.
#[derive(Debug)]
pub struct Driver {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

/// Where and as whom a driver logs in.
#[derive(Clone)]
pub struct LogIn {
    /// The contact point.
    pub addr: SocketAddr,
    /// The user name of SASL PLAIN.
    pub user: String,
    /// The password: a token, for the gateway.
    pub password: String,
    /// Trust anchors (a PEM file); with it, the driver speaks TLS.
    pub ca: Option<PathBuf>,
    /// More keyword arguments for `cassandra.cluster.Cluster`, a JSON object.
    pub options: Value,
}

/// An exception of the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its class: `Unauthorized`, `AuthenticationFailed`, `InvalidRequest`, ..
    pub kind: String,
    /// Its text.
    pub message: String,
}

/// Rows as the driver gave them to the application.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Column names.
    pub columns: Vec<String>,
    /// Values; what JSON cannot hold is text.
    pub rows: Vec<Vec<Value>>,
}

impl LogIn {
    /// Without TLS.
    pub fn new(addr: SocketAddr, user: &str, password: &str) -> Self {
        Self { addr, user: user.into(), password: password.into(), ca: None, options: json!({}) }
    }
}

impl fmt::Debug for LogIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogIn").field("addr", &self.addr).field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self { kind: "Trouble".into(), message: trouble.to_string() }
    }
}

impl Failure {
    fn kit(what: impl fmt::Display) -> Self {
        Trouble::new(what.to_string()).into()
    }
}

impl Driver {
    /// Starts a driver and logs in.
    pub async fn connect(python: &Python, log_in: &LogIn) -> Result<Self, Failure> {
        let mut child = Command::new(python.interpreter())
            .arg(place::workspace().join("tests/kit/python/agent.py"))
            .env_remove("PYTHONPATH")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // The driver's log: hundreds of lines about what the answers say anyway.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(Failure::kit)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure::kit("the driver has no pipes"));
        };
        let mut driver = Self { _child: child, stdin, stdout: BufReader::new(stdout).lines() };
        let request = json!({
            "op": "connect", "host": log_in.addr.ip().to_string(), "port": log_in.addr.port(),
            "user": log_in.user, "password": log_in.password, "ca": log_in.ca, "options": log_in.options,
        });
        driver.ask(&request).await?;
        Ok(driver)
    }

    /// Sends one request to `agent.py` and reads its answer.
    pub async fn ask(&mut self, request: &Value) -> Result<Value, Failure> {
        let line = format!("{request}\n");
        self.stdin.write_all(line.as_bytes()).await.map_err(Failure::kit)?;
        let answer = timeout(LIMIT, self.stdout.next_line())
            .await
            .map_err(|_| Failure::kit(format!("the driver gave no answer within {LIMIT:?}")))?
            .map_err(Failure::kit)?
            .ok_or_else(|| Failure::kit("the driver ended"))?;
        let mut answer: Value = serde_json::from_str(&answer).map_err(Failure::kit)?;
        if let Some(error) = answer.get("error") {
            let text = |key| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            return Err(Failure { kind: text("type"), message: text("message") });
        }
        Ok(answer.get_mut("ok").map(Value::take).unwrap_or_default())
    }

    /// Runs a statement that is not prepared.
    pub async fn execute(&mut self, cql: &str) -> Result<Table, Failure> {
        self.ask(&json!({"op": "execute", "cql": cql})).await.map(table)
    }

    /// Prepares a statement under a name.
    pub async fn prepare(&mut self, name: &str, cql: &str) -> Result<(), Failure> {
        self.ask(&json!({"op": "prepare", "name": name, "cql": cql})).await.map(drop)
    }

    /// Executes what was prepared under that name; `values` is a JSON array.
    pub async fn bound(&mut self, name: &str, values: Value) -> Result<Table, Failure> {
        self.ask(&json!({"op": "bound", "name": name, "params": values})).await.map(table)
    }

    /// How many connections it has open.
    pub async fn connections(&mut self) -> Result<u64, Failure> {
        Ok(self.ask(&json!({"op": "connections"})).await?.as_u64().unwrap_or_default())
    }
}

fn table(mut answer: Value) -> Table {
    let columns = answer.get_mut("columns").map(Value::take).unwrap_or_default();
    let rows = answer.get_mut("rows").map(Value::take).unwrap_or_default();
    Table {
        columns: serde_json::from_value(columns).unwrap_or_default(),
        rows: serde_json::from_value(rows).unwrap_or_default(),
    }
}
