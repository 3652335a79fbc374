//! The runner: each turn of a plan, directly and through the gateway.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

use super::corpus::{Case, Corpus};
use super::direct::{Direct, PASSWORD};
use super::intended::{self, Intended, Outcome};
use super::oracle::{self, Ran};
use super::plan::{Expected, Plan, Principal};
use crate::Gateway;
use crate::cql::Cql;
use crate::trouble::{During, Result, Trouble};

/// Connections that are kept open on each side.
const OPEN: usize = 64;
/// Statements that leave nothing behind are run this many at a time.
const LANES: usize = 4;

/// The gateway's side.
#[derive(Clone, Copy)]
pub struct Through<'a> {
    /// The gateway; its audit log has a line for every statement.
    pub gateway: &'a Gateway,
    /// The token of a person.
    pub token: &'a (dyn Fn(&str) -> String + Sync),
    /// Run statements on rows as prepared ones, too.
    pub prepared: bool,
    /// Who runs [`Through::clock`].
    pub keeper: &'a str,
    /// A definition that changes the schema each time (`$n` is a fresh number) and that the keeper may run. The
    /// gateway answers it when it knows the schema behind it: so what was defined behind its back is known too.
    pub clock: &'a str,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Statements that were run on both sides.
    pub runs: usize,
    /// Of those, how many both served, and how many both refused with one code and text.
    pub agreed: [usize; 2],
    /// How often each intended difference was seen.
    pub explained: BTreeMap<String, usize>,
    /// Every other difference.
    pub differences: BTreeSet<String>,
    /// Where the node did not do what the corpus says.
    pub surprises: BTreeSet<String>,
    /// Statements whose audit lines were compared.
    pub compared: usize,
    /// Where they disagree.
    pub misread: BTreeSet<String>,
}

/// How a statement is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Query,
    Prepared,
}

/// One side's connections, by principal and keyspace in use.
struct Side<'a> {
    addr: SocketAddr,
    password: &'a (dyn Fn(&str) -> String + Sync),
    open: HashMap<(String, Option<String>), Cql>,
}

impl Side<'_> {
    async fn ask(&mut self, name: &str, keyspace: Option<&str>, text: &str, way: Way) -> Result<Outcome> {
        let key = (name.to_owned(), keyspace.map(ToOwned::to_owned));
        let mut connection = if let Some(connection) = self.open.remove(&key) {
            connection
        } else {
            let mut connection = Cql::connect(self.addr, name, &(self.password)(name)).await?;
            if let Some(keyspace) = keyspace {
                connection.query(&format!("USE \"{keyspace}\"")).await.during("USE")?;
            }
            connection
        };
        let outcome = match way {
            Way::Query => Outcome::of(connection.query(text).await)?,
            Way::Prepared => match connection.prepare(text).await {
                Ok(prepared) => Outcome::of(connection.execute(&prepared, &[]).await)?,
                Err(error) => Outcome::of::<()>(Err(error))?,
            },
        };
        if self.open.len() >= OPEN {
            self.open.clear();
        }
        // A USE left another keyspace behind.
        if !text.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("USE")) {
            self.open.insert(key, connection);
        }
        Ok(outcome)
    }
}

/// What runs turns one after the other.
struct Lane<'a> {
    sides: [Side<'a>; 2],
    fresh: usize,
    ran: Vec<Ran>,
    report: Report,
}

impl<'a> Lane<'a> {
    fn new(node: SocketAddr, through: &Through<'a>) -> Self {
        let password: &'a (dyn Fn(&str) -> String + Sync) = &|_: &str| PASSWORD.to_owned();
        let sides = [
            Side { addr: node, password, open: HashMap::new() },
            Side { addr: through.gateway.cql_addr(), password: through.token, open: HashMap::new() },
        ];
        Self { sides, fresh: 0, ran: Vec::new(), report: Report::default() }
    }

    /// Statements that leave nothing behind.
    async fn work(&mut self, turns: &[Ready<'_>], intended: &[Intended], prepared: bool) -> Result<()> {
        for turn in turns {
            for way in turn.ways(prepared) {
                let mut outcomes = Vec::with_capacity(2);
                for side in 0..self.sides.len() {
                    outcomes.push(self.ask(side, turn, *way).await?);
                }
                self.compare(turn, *way, &outcomes, intended);
            }
        }
        Ok(())
    }

    async fn ask(&mut self, side: usize, turn: &Ready<'_>, way: Way) -> Result<Outcome> {
        let name = turn.principal.name.as_str();
        let text = fill(&turn.case.statement, name, self.fresh);
        let connections = self.sides.get_mut(side).ok_or_else(|| Trouble::new("there are two sides"))?;
        let keyspace = turn.case.keyspace.as_deref();
        let outcome = connections.ask(name, keyspace, &text, way).await.during(&text)?;
        if side == 0 && outcome == Outcome::Served {
            let keyspace = turn.case.keyspace.clone();
            self.ran.push(Ran { name: name.to_owned(), keyspace, text });
        }
        Ok(outcome)
    }

    fn compare(&mut self, turn: &Ready<'_>, way: Way, outcomes: &[Outcome], intended: &[Intended]) {
        let [direct, gateway] = outcomes else { return };
        let (case, name) = (turn.case, turn.principal.name.as_str());
        let report = &mut self.report;
        report.runs += 1;
        let held: Vec<_> = turn.principal.grants.iter().map(ToString::to_string).collect();
        let superuser = if turn.principal.superuser { ", superuser" } else { "" };
        let situation = format!(
            "{}\n    by {way:?} in {:?} with {held:?}{superuser}",
            case.statement.replace("$me", name),
            case.keyspace.as_deref().unwrap_or_default()
        );
        let error = case.error.replace("$me", name);
        let expected = turn.expected;
        let as_told = match expected {
            Expected::Granted if error.is_empty() => *direct == Outcome::Served,
            Expected::Granted => intended::matches(&error, &direct.to_string()),
            // PREPARE is not authorized, but it finds what is invalid.
            Expected::Missing => {
                direct.is_unauthorized()
                    || way == Way::Prepared && intended::matches(&error, &direct.to_string())
            }
            Expected::Unknown => true,
        };
        if !as_told {
            report
                .surprises
                .insert(format!("{situation}\n    {direct}\n    instead of {expected:?} {error}"));
        }
        if direct == gateway {
            let which = usize::from(*direct != Outcome::Served);
            if let Some(agreed) = report.agreed.get_mut(which) {
                *agreed += 1;
            }
            return;
        }
        match intended.iter().find(|entry| entry.explains(&case.statement, direct, gateway)) {
            Some(entry) => *report.explained.entry(entry.name.clone()).or_default() += 1,
            None => {
                report
                    .differences
                    .insert(format!("{situation}\n    Cassandra {direct}\n    cqlgate   {gateway}"));
            }
        }
    }
}

/// A turn, with what it speaks of.
struct Ready<'a> {
    case: &'a Case,
    principal: &'a Principal,
    expected: Expected,
}

impl Ready<'_> {
    /// Every statement on rows is prepared, too, if that is asked for and its grants were not only tried.
    fn ways(&self, prepared: bool) -> &'static [Way] {
        if prepared && self.case.is_data() && self.expected != Expected::Unknown {
            &[Way::Query, Way::Prepared]
        } else {
            &[Way::Query]
        }
    }
}

fn fill(text: &str, name: &str, fresh: usize) -> String {
    text.replace("$me", name).replace("$n", &fresh.to_string())
}

/// Runs statements that change what others see, one at a time.
struct Changes<'a> {
    direct: &'a mut Direct,
    keeper: Cql,
    clock: &'a str,
    lane: Lane<'a>,
    /// Was anything defined that the gateway may not know yet?
    unknown: bool,
}

/// Runs a plan. The persons are pushed, and the plan's policy is in force.
///
/// # Errors
/// When a side does not answer, or an undo fails. What the sides answer is in the report.
pub async fn run(
    corpus: &Corpus,
    plan: &Plan,
    intended: &[Intended],
    direct: &mut Direct,
    through: Through<'_>,
) -> Result<Report> {
    let prepared = through.prepared;
    for principal in &plan.principals {
        direct.set(principal).await?;
    }
    let (views, node) = (direct.views().await?, direct.node.addr());
    let turns = plan.turns.iter().filter_map(|turn| {
        let (case, principal) = (corpus.cases.get(turn.case)?, plan.principals.get(turn.principal)?);
        Some(Ready { case, principal, expected: turn.expected })
    });
    // Two conditional writes of one row at a time would make one another wait.
    let (alone, together): (Vec<_>, Vec<_>) = turns
        .partition(|turn| turn.case.changes() || turn.case.statement.to_ascii_uppercase().contains(" IF "));
    let keeper =
        Cql::connect(through.gateway.cql_addr(), through.keeper, &(through.token)(through.keeper)).await?;
    let mut changes =
        Changes { direct, keeper, clock: through.clock, lane: Lane::new(node, &through), unknown: true };
    changes.settle().await?;
    // Most of a run is waiting for an answer.
    let share = together.len().div_ceil(LANES).max(1);
    let mut shares = together.chunks(share);
    let mut lanes: Vec<_> = (0..LANES).map(|_| Lane::new(node, &through)).collect();
    if let [a, b, c, d] = lanes.as_mut_slice() {
        let mut next = || shares.next().unwrap_or_default();
        tokio::try_join!(
            a.work(next(), intended, prepared),
            b.work(next(), intended, prepared),
            c.work(next(), intended, prepared),
            d.work(next(), intended, prepared)
        )?;
    }
    for turn in &alone {
        for way in turn.ways(prepared) {
            changes.turn(turn, *way, intended).await?;
        }
    }
    // The last refusal is in the log when a later one is: the log is written in order.
    let end = "SELECT end_of_the_run FROM nowhere.at_all WHERE 1";
    if changes.keeper.query(end).await.is_ok() {
        return Err(Trouble::new("what is no CQL was served"));
    }
    through.gateway.audit_line("the end", |line| line.get("text").is_some_and(|text| text == end)).await?;
    lanes.push(changes.lane);
    let (mut report, mut ran) = (Report::default(), Vec::new());
    for lane in lanes {
        report.add(lane.report);
        ran.extend(lane.ran);
    }
    let recorded = direct.recorded()?;
    (report.compared, report.misread) = oracle::compare(&ran, &recorded, &through.gateway.audit()?, &views);
    Ok(report)
}

impl Report {
    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        for (sum, more) in self.agreed.iter_mut().zip(other.agreed) {
            *sum += more;
        }
        for (name, count) in other.explained {
            *self.explained.entry(name).or_default() += count;
        }
        self.differences.extend(other.differences);
        self.surprises.extend(other.surprises);
    }
}

impl Changes<'_> {
    /// One statement on both sides.
    async fn turn(&mut self, turn: &Ready<'_>, way: Way, intended: &[Intended]) -> Result<()> {
        let mut outcomes = Vec::with_capacity(2);
        for side in 0..2 {
            self.lane.fresh += 1;
            for statement in &turn.case.setup {
                self.as_root(statement, turn.principal).await?;
            }
            if side == 1 {
                self.settle().await?;
            }
            let outcome = self.lane.ask(side, turn, way).await?;
            if outcome == Outcome::Served && turn.case.changes() {
                self.unknown = true;
                for statement in &turn.case.undo {
                    self.as_root(statement, turn.principal).await?;
                }
                // Who made something was granted everything on it.
                self.direct.set(turn.principal).await?;
            }
            outcomes.push(outcome);
        }
        self.lane.compare(turn, way, &outcomes, intended);
        Ok(())
    }

    async fn as_root(&mut self, statement: &str, principal: &Principal) -> Result<()> {
        let text = fill(statement, &principal.name, self.lane.fresh);
        self.unknown |= self.direct.root(&text).await?;
        Ok(())
    }

    /// Waits until the gateway knows what was defined behind its back.
    async fn settle(&mut self) -> Result<()> {
        if std::mem::take(&mut self.unknown) {
            self.lane.fresh += 1;
            let clock = fill(self.clock, "", self.lane.fresh);
            self.keeper.query(&clock).await.during(&clock)?;
        }
        Ok(())
    }
}
