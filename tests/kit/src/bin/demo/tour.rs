//! The tour: each step is printed as what was tried, by whom, and what came back, and has to end as it
//! was foreseen.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cqlgate_testkit::cql::Peer;
use cqlgate_testkit::issuer::{Algorithm, Key};
use cqlgate_testkit::python::{Driver, Failure, LogIn, Table};
use cqlgate_testkit::trouble::{During, Result, Trouble};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::house::{AUDIENCE, House, KEYSPACE};
use crate::say::line;

/// The steps, printed and counted.
struct Tour<'a> {
    house: &'a House,
    step: u32,
}

pub(crate) async fn run(house: &House) -> Result<()> {
    let mut tour = Tour { house, step: 0 };
    line("\nThe tour: Python's cassandra-driver, as it comes from the package index, through the gateway.");
    let alice = tour.alice_reads_and_writes().await?;
    let bob = tour.bob_reads_only().await?;
    tour.bad_tokens().await?;
    tour.bob_leaves(bob).await?;
    tour.alice_loses_her_group(alice).await?;
    tour.a_batch_job().await?;
    line("\nThe tour is over; all of it went as it should.");
    Ok(())
}

impl Tour<'_> {
    fn heading(&mut self, text: &str) {
        self.step += 1;
        line(&format!("\n{}. {text}", self.step));
    }

    async fn log_in(&self, who: &str, token: &str) -> Result<Driver> {
        let log_in = LogIn::new(self.house.gateway.cql_addr(), "token", token);
        let driver = Driver::connect(&self.house.python, &log_in).await;
        let driver = driver.during(format!("{who} could not log in"))?;
        said(who, "logs in, password = token", "welcome");
        Ok(driver)
    }

    async fn alice_reads_and_writes(&mut self) -> Result<Driver> {
        self.heading("Alice is in orders-team: she reads and writes.");
        let mut alice = self.log_in("alice", &self.house.token("alice")).await?;
        let insert = format!("INSERT INTO {KEYSPACE}.orders (id, item, amount) VALUES (1, 'tea', 3)");
        permitted("alice", &mut alice, &insert).await?;
        permitted("alice", &mut alice, &format!("SELECT id, item, amount FROM {KEYSPACE}.orders")).await?;
        Ok(alice)
    }

    async fn bob_reads_only(&mut self) -> Result<Driver> {
        self.heading("Bob is in analysts: he reads. His INSERT is refused, his connection lives on.");
        let mut bob = self.log_in("bob", &self.house.token("bob")).await?;
        let select = format!("SELECT id, item, amount FROM {KEYSPACE}.orders");
        permitted("bob", &mut bob, &select).await?;
        let before = bob.connections().await.during("counting connections")?;
        let insert = format!("INSERT INTO {KEYSPACE}.orders (id, item, amount) VALUES (2, 'rum', 9)");
        refused("bob", &insert, "Unauthorized", bob.execute(&insert).await)?;
        permitted("bob", &mut bob, &select).await?;
        let after = bob.connections().await.during("counting connections")?;
        expect(before == after && after > 0, || format!("bob had {before} connections and has {after}"))?;
        said("bob", "looks at his connections", &format!("{after} open, the same as before"));
        Ok(bob)
    }

    async fn bad_tokens(&mut self) -> Result<()> {
        self.heading("Tokens that are no good.");
        let issuer = &self.house.issuer;
        let now = i64::try_from(UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()).unwrap_or_default();
        let forger = Arc::new(Key::generate(Algorithm::Rs256, issuer.key().kid()));
        let bad = [
            (
                "signed by a key that is not the provider's",
                issuer.token("alice").audience(AUDIENCE).key(forger),
            ),
            (
                "expired a minute ago",
                issuer.token("alice").audience(AUDIENCE).issued_at(now - 600).expires_at(now - 60),
            ),
            ("for another audience", issuer.token("alice").audience("payroll")),
        ];
        for (what, token) in bad {
            let log_in = LogIn::new(self.house.gateway.cql_addr(), "token", &token.sign());
            let outcome = Driver::connect(&self.house.python, &log_in).await.map(|_| Table::default());
            refused("?", &format!("logs in with a token {what}"), "AuthenticationFailed", outcome)?;
        }
        Ok(())
    }

    async fn bob_leaves(&mut self, mut bob: Driver) -> Result<()> {
        self.heading("Bob leaves: the provider sends active: false, and his open connections end.");
        let open = bob.connections().await.during("counting connections")?;
        // A bare connection beside the driver's, whose end is seen the moment it comes.
        let mut idle = Peer::connect(self.house.gateway.cql_addr()).await?;
        idle.log_in(4, "token", &self.house.token("bob")).await?;
        let watch = async {
            let ended = idle.closed(Duration::from_secs(10)).await;
            (SystemTime::now(), ended)
        };
        let watch_driver = async { bob.ask(&json!({"op": "wait_closed", "seconds": 10})).await };
        let path = format!("/Users/{}", self.house.people.bob);
        let off = json!({"op": "replace", "path": "active", "value": false});
        let (count_before, seconds_before) = self.commits().await?;
        let sent = SystemTime::now();
        let ((ended_at, ended), closed, patched) =
            tokio::join!(watch, watch_driver, self.house.patch(&path, off));
        patched?;
        ended.during("bob's idle connection")?;
        let closed = closed.during("bob's driver still has open connections")?;
        said("provider", "PATCH /Users/{bob}  active: false", "200");
        let ms = |from: SystemTime, to: SystemTime| {
            to.duration_since(from).unwrap_or_default().as_secs_f64() * 1e3
        };
        said(
            "bob",
            "his idle connection",
            &format!("ended {:.1} ms after the PATCH was sent", ms(sent, ended_at)),
        );
        let at = closed.get("at").and_then(Value::as_u64).unwrap_or_default();
        let driver_saw = UNIX_EPOCH + Duration::from_nanos(at);
        said(
            "bob",
            &format!("his driver's {open} connections"),
            &format!("all ended, the driver saw the last {:.1} ms after", ms(sent, driver_saw)),
        );
        // The commit lies within that time, so it ended at least its own length after the PATCH was sent.
        let (count, seconds) = self.commits().await?;
        expect(count == count_before + 1, || {
            format!("one commit was to come, not {}", count - count_before)
        })?;
        let commit = (seconds - seconds_before) * 1e3;
        said(
            "gateway",
            "from its COMMIT to the end of his idle connection",
            &format!(
                "{:.1} ms at the most (the COMMIT itself, on the disk, took {commit:.1})",
                ms(sent, ended_at) - commit
            ),
        );
        let log_in = LogIn::new(self.house.gateway.cql_addr(), "token", &self.house.token("bob"));
        let outcome = Driver::connect(&self.house.python, &log_in).await.map(|_| Table::default());
        refused("bob", "logs in again, with a fresh token", "AuthenticationFailed", outcome)
    }

    /// How many commits the directory has made, and the seconds they took, by the gateway's own metrics.
    async fn commits(&self) -> Result<(u64, f64)> {
        let metrics = self.house.gateway.admin("/metrics").await?.text();
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.ok_or_else(|| Trouble::new(format!("/metrics has no {name}")))
        };
        let count = value("cqlgate_directory_commit_seconds_count")?.parse().during("a count")?;
        Ok((count, value("cqlgate_directory_commit_seconds_sum")?.parse().during("a sum")?))
    }

    async fn alice_loses_her_group(&mut self, mut alice: Driver) -> Result<()> {
        self.heading("Alice leaves orders-team: what she prepared before is refused at its next EXECUTE.");
        let insert = format!("INSERT INTO {KEYSPACE}.orders (id, item, amount) VALUES (?, ?, ?)");
        alice.prepare("insert", &insert).await.during("alice's PREPARE")?;
        said("alice", &format!("PREPARE {insert}"), "prepared");
        alice.bound("insert", json!([3, "coffee", 5])).await.during("alice's EXECUTE")?;
        said("alice", "EXECUTE (3, 'coffee', 5)", "done");
        let path = format!("/Groups/{}", self.house.people.orders_team);
        let remove =
            json!({"op": "remove", "path": format!("members[value eq \"{}\"]", self.house.people.alice)});
        self.house.patch(&path, remove).await?;
        said("provider", "PATCH /Groups/{orders-team}  remove alice", "200");
        let outcome = alice.bound("insert", json!([4, "cocoa", 1])).await;
        refused("alice", "EXECUTE (4, 'cocoa', 1)", "Unauthorized", outcome)
    }

    async fn a_batch_job(&mut self) -> Result<()> {
        self.heading("A batch job: a workload without a SCIM user, known by its token's claims.");
        let mut job = self.log_in("nightly-load", &self.house.service_token()).await?;
        let insert = format!("INSERT INTO {KEYSPACE}.orders (id, item, amount) VALUES (5, 'milk', 2)");
        permitted("nightly-load", &mut job, &insert).await?;
        let select = format!("SELECT * FROM {KEYSPACE}.orders");
        refused("nightly-load", &select, "Unauthorized", job.execute(&select).await)
    }
}

/// Runs what has to be permitted.
async fn permitted(who: &str, driver: &mut Driver, cql: &str) -> Result<Table> {
    let table = driver.execute(cql).await.during(format!("{who}: {cql}"))?;
    said(who, cql, &shown(&table));
    Ok(table)
}

/// What has to be refused was.
fn refused(who: &str, what: &str, kind: &str, outcome: Result<Table, Failure>) -> Result<()> {
    match outcome {
        Err(failure) if failure.kind == kind => {
            said(who, what, &failure.to_string());
            Ok(())
        }
        Err(failure) => Err(Trouble::new(format!("{who}: {what}: {kind} was to come, not {failure}"))),
        Ok(table) => Err(Trouble::new(format!("{who}: {what}: {kind} was to come, not {}", shown(&table)))),
    }
}

fn expect(is_so: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if is_so { Ok(()) } else { Err(Trouble::new(otherwise())) }
}

fn said(who: &str, what: &str, answer: &str) {
    line(&format!("   {who:>12}  {what}"));
    line(&format!("   {:>12}    -> {answer}", ""));
}

fn shown(table: &Table) -> String {
    if table.columns.is_empty() {
        return "done".into();
    }
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows: Vec<String> =
        table.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(", ")).collect();
    match rows.len() {
        1 => format!("1 row: {}", rows.join("")),
        n => format!("{n} rows: {}", rows.join(" | ")),
    }
}
