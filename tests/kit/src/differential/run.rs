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

/// The gateway's side.
#[derive(Clone, Copy)]
pub struct Through<'a> {
    /// The gateway; its audit log has a line for every statement.
    pub gateway: &'a Gateway,
    /// The token of a person.
    pub token: &'a (dyn Fn(&str) -> String + Sync),
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

struct Runner<'a> {
    direct: &'a mut Direct,
    through: Through<'a>,
    sides: [Side<'a>; 2],
    keeper: Cql,
    /// Was anything defined that the gateway may not know yet?
    unknown: bool,
    fresh: usize,
    ran: Vec<Ran>,
    report: Report,
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
    for principal in &plan.principals {
        direct.set(principal).await?;
    }
    let views = direct.views().await?;
    let addr = through.gateway.cql_addr();
    let keeper = Cql::connect(addr, through.keeper, &(through.token)(through.keeper)).await?;
    let password = &|_: &str| PASSWORD.to_owned();
    let sides = [
        Side { addr: direct.node.addr(), password, open: HashMap::new() },
        Side { addr, password: through.token, open: HashMap::new() },
    ];
    let mut runner = Runner {
        direct,
        through,
        sides,
        keeper,
        unknown: true,
        fresh: 0,
        ran: Vec::new(),
        report: Report::default(),
    };
    for turn in &plan.turns {
        let (Some(case), Some(principal)) =
            (corpus.cases.get(turn.case), plan.principals.get(turn.principal))
        else {
            continue;
        };
        let ways: &[Way] = if case.is_data() && turn.expected != Expected::Unknown {
            &[Way::Query, Way::Prepared]
        } else {
            &[Way::Query]
        };
        for way in ways {
            runner.turn(case, principal, turn.expected, *way, intended).await?;
        }
    }
    let mut report = runner.report;
    // The last refusal is in the log when a later one is: the log is written in order.
    let end = "SELECT end_of_the_run FROM nowhere.at_all WHERE 1";
    let last = runner.keeper.query(end).await;
    if last.is_ok() {
        return Err(Trouble::new("what is no CQL was served"));
    }
    through.gateway.audit_line("the end", |line| line.get("text").is_some_and(|text| text == end)).await?;
    (report.compared, report.misread) = oracle::compare(&runner.ran, &through.gateway.audit()?, &views);
    Ok(report)
}

impl Runner<'_> {
    /// One statement on both sides.
    async fn turn(
        &mut self,
        case: &Case,
        principal: &Principal,
        expected: Expected,
        way: Way,
        intentions: &[Intended],
    ) -> Result<()> {
        let mut outcomes = Vec::with_capacity(2);
        let name = principal.name.as_str();
        let mut said = String::new();
        for side in 0..self.sides.len() {
            for statement in &case.setup {
                self.as_root(statement, name).await?;
            }
            if side == 1 {
                self.settle().await?;
            }
            let text = self.fill(&case.statement, name);
            let Some(connections) = self.sides.get_mut(side) else { continue };
            let outcome = connections.ask(name, case.keyspace.as_deref(), &text, way).await.during(&text)?;
            if side == 0 {
                let recorded = self.direct.recorded(name).await?;
                if let (Outcome::Served, Some(recorded)) = (&outcome, recorded) {
                    let keyspace = case.keyspace.clone();
                    self.ran.push(Ran { name: name.to_owned(), keyspace, text: text.clone(), recorded });
                }
                said = text;
            }
            if outcome == Outcome::Served && case.changes() {
                self.unknown = true;
                for statement in &case.undo {
                    self.as_root(statement, name).await?;
                }
                if side == 0 || !case.undo.is_empty() {
                    // Who made something was granted everything on it.
                    self.direct.set(principal).await?;
                }
            }
            outcomes.push(outcome);
        }
        let [direct, gateway] = outcomes.as_slice() else { return Ok(()) };
        self.report.runs += 1;
        let held: Vec<_> = principal.grants.iter().map(ToString::to_string).collect();
        let superuser = if principal.superuser { ", superuser" } else { "" };
        let situation = format!(
            "{said}\n    by {way:?} in {:?} with {held:?}{superuser}",
            case.keyspace.as_deref().unwrap_or_default()
        );
        let error = case.error.replace("$me", name);
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
            self.report
                .surprises
                .insert(format!("{situation}\n    {direct}\n    instead of {expected:?} {error}"));
        }
        if direct == gateway {
            let which = usize::from(*direct != Outcome::Served);
            if let Some(agreed) = self.report.agreed.get_mut(which) {
                *agreed += 1;
            }
            return Ok(());
        }
        match intentions.iter().find(|entry| entry.explains(&case.statement, direct, gateway)) {
            Some(entry) => *self.report.explained.entry(entry.name.clone()).or_default() += 1,
            None => {
                self.report
                    .differences
                    .insert(format!("{situation}\n    Cassandra {direct}\n    cqlgate   {gateway}"));
            }
        }
        Ok(())
    }

    fn fill(&mut self, text: &str, name: &str) -> String {
        self.fresh += 1;
        text.replace("$me", name).replace("$n", &self.fresh.to_string())
    }

    async fn as_root(&mut self, statement: &str, name: &str) -> Result<()> {
        // A number is fresh once a turn: an undo speaks of the one that its statement used.
        let text = statement.replace("$me", name).replace("$n", &self.fresh.to_string());
        self.unknown |= self.direct.root(&text).await?;
        Ok(())
    }

    /// Waits until the gateway knows what was defined behind its back.
    async fn settle(&mut self) -> Result<()> {
        if std::mem::take(&mut self.unknown) {
            let clock = self.fill(self.through.clock, "");
            self.keeper.query(&clock).await.during(&clock)?;
        }
        Ok(())
    }
}
