//! What the schema of a cluster with many tables costs: memory, the time to load it, the time after a change.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cqlgate::config::model;
use cqlgate::metrics::Metrics;
use cqlgate::upstream::{Cluster, LookUp, Secret};
use cqlgate_benches::many_tables::{self, Alterations, CHANGED, COLUMNS, KEYSPACE};
use cqlgate_protocol::cql::Schema as _;
use cqlgate_protocol::wire::response::{Change, SchemaChange, Target};
use cqlgate_testkit::trouble::During as _;
use cqlgate_testkit::{Result, Trouble};

/// Alterations of one table, and look-ups of names that nobody has.
const TIMES: u32 = 200;
/// How long the first reading may take.
const START: Duration = Duration::from_mins(5);

#[expect(clippy::cast_precision_loss, reason = "kilobytes and a number of tables")]
pub(crate) fn report(tables: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.during("making a runtime")?;
    let alterations = Alterations::default();
    let node = many_tables::start(tables, alterations.clone())?;
    let before = memory("VmRSS")?;
    let (cluster, loading) = runtime.block_on(load(node))?;
    // What the reading needed for itself goes back with the last page.
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(500)).await });
    let known = cluster.schema().tables();
    if known != tables {
        return Err(Trouble::new(format!("{known} tables are known, not {tables}")));
    }
    let held = memory("VmRSS")?.saturating_sub(before);
    println!("schema of {tables} tables with {COLUMNS} columns each, in one keyspace:");
    println!("  loaded in {loading:.2?}");
    println!("  {:.0} bytes a table resident, {held} KiB in all", held as f64 * 1024.0 / tables as f64);
    println!("  {} KiB more at the most while it was read", memory("VmHWM")?.saturating_sub(before + held));
    let altering = runtime.block_on(alter(&cluster, &alterations))?;
    println!("  {altering:.2?} from an ALTER TABLE until the cache has it, agreement of the nodes included");
    let looking = runtime.block_on(async {
        let begin = Instant::now();
        for n in 0..TIMES.min(cqlgate::config::limits::LOOKUPS_PER_SECOND) {
            let name = LookUp::Table { keyspace: KEYSPACE.into(), table: format!("nobody_{n}") };
            assert!(!cluster.look_up_name(&name).await, "a table that is not there was found");
        }
        begin.elapsed() / TIMES.min(cqlgate::config::limits::LOOKUPS_PER_SECOND)
    });
    println!("  {looking:.2?} for a table that does not exist");
    Ok(())
}

async fn load(node: SocketAddr) -> Result<(std::sync::Arc<Cluster>, Duration)> {
    let text = format!(
        "name = \"bench\"\nlisten = \"127.0.0.1:0\"\ncontact_points = [\"{node}\"]\nusername = \"gate\"\n\
         password_file = \"/nonexistent\"\npolicies = []\nwarm_connections = 0\n"
    );
    let config: model::Cluster = toml::from_str(&text).during("the configuration")?;
    let begin = Instant::now();
    let started = Cluster::start(&config, Secret::new("bench"), Metrics::new().cluster("bench"));
    let cluster = started.during("starting the upstream side")?;
    let mut generations = cluster.schema_watch();
    let read = tokio::time::timeout(START, generations.wait_for(|generation| *generation > 0)).await;
    read.during("reading the schema")?.during("reading the schema")?;
    let took = begin.elapsed();
    Ok((cluster, took))
}

/// Alters one table again and again; how long one took until the cache had it.
async fn alter(cluster: &Cluster, alterations: &Alterations) -> Result<Duration> {
    let table = many_tables::table(CHANGED);
    let target = Target::Table(table.clone());
    let change = SchemaChange { change: Change::Updated, keyspace: KEYSPACE.into(), target };
    let begin = Instant::now();
    for n in 1..=TIMES as usize {
        alterations.store(n, Ordering::Relaxed);
        let has_it = cluster.await_schema(&change).await
            && cluster
                .schema()
                .relation(KEYSPACE, &table)
                .is_some_and(|relation| relation.columns.len() == COLUMNS - 1 + n % 2);
        if !has_it {
            return Err(Trouble::new("an altered table is not known as it is"));
        }
    }
    Ok(begin.elapsed() / TIMES)
}

/// A line of `/proc/self/status`, in KiB.
fn memory(what: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").during("reading /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.ok_or_else(|| Trouble::new(format!("no {what} in /proc/self/status")))
}
