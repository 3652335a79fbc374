//! What is measured from outside: the released gateway and the blind relay, each a process of its own in
//! front of the same stub.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cqlgate_testkit::gateway::{Gateway, Settings};
use cqlgate_testkit::issuer::Issuer;
use cqlgate_testkit::trouble::During as _;
use cqlgate_testkit::{Result, Trouble};

use crate::load::Load;
use crate::statements::{POLICY, SERVICE};

/// How long the token of a run lasts.
pub const TOKEN_LIFE: Duration = Duration::from_hours(1);

/// One process that requests go through. Dropped, it ends.
#[derive(Debug)]
pub struct Subject {
    /// What it is called in a report.
    pub name: &'static str,
    address: SocketAddr,
    password: String,
    process: Held,
}

#[derive(Debug)]
enum Held {
    /// Ends when its standard input does.
    Relay(Child),
    Gateway(Box<Gateway>),
}

impl Subject {
    /// A blind relay: this program again.
    pub fn relay(name: &'static str, stub: SocketAddr) -> Result<Self> {
        let program = std::env::current_exe().during("finding this program")?;
        let mut child = Command::new(program)
            .args(["relay", &stub.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .during("starting the relay")?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).during("reading the relay's address")?;
        }
        let address = line.trim().parse().during(format!("the relay's address {line:?}"))?;
        Ok(Self { name, address, password: "none".into(), process: Held::Relay(child) })
    }

    /// The gateway, judging and counting; with `data_all`, also an audit line for each request.
    pub async fn gateway(
        name: &'static str,
        stub: SocketAddr,
        issuer: &Issuer,
        data_all: bool,
    ) -> Result<Self> {
        let mut settings = Settings::new(program()?, issuer.url(), &stub, ("gateway", "secret"))
            .policy(POLICY)
            .service(SERVICE, &[("sub", "bench-loader")]);
        settings.log = "warn".into();
        if data_all {
            settings.audit_extra = "data = \"all\"".into();
        }
        let gateway = Gateway::start(settings).await?;
        let password = issuer.token("bench-loader").lifetime(TOKEN_LIFE).sign();
        let address = gateway.cql_addr();
        Ok(Self { name, address, password, process: Held::Gateway(Box::new(gateway)) })
    }

    /// A client of it.
    pub fn connect(&self) -> Result<Load> {
        Load::connect(self.address, "token", &self.password).during(self.name)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        match &self.process {
            Held::Relay(child) => child.id(),
            Held::Gateway(gateway) => gateway.process().pid(),
        }
    }

    /// The audit log, if it is a gateway.
    pub fn audit_log(&self) -> Option<PathBuf> {
        match &self.process {
            Held::Relay(_) => None,
            Held::Gateway(gateway) => Some(gateway.folder().join("audit.jsonl")),
        }
    }

    /// Ends it and waits until it is gone.
    pub async fn stop(self) -> Result<()> {
        match self.process {
            Held::Relay(mut child) => {
                drop(child.stdin.take());
                child.wait().during("stopping the relay").map(drop)
            }
            Held::Gateway(gateway) => gateway.stop().await,
        }
    }
}

/// The gateway's program, built beside this one.
fn program() -> Result<PathBuf> {
    let own = std::env::current_exe().during("finding this program")?;
    let program = own.parent().unwrap_or(Path::new(".")).join("cqlgate");
    if program.is_file() {
        return Ok(program);
    }
    Err(Trouble::new(format!("{} is missing: cargo build --release --package cqlgate", program.display())))
}
