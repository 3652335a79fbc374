//! The gateway's own session code, or the blind relay, on the thread that calls, with a client on another.
//!
//! In: bursts to run. Out: the caller's thread has done all that a worker of the gateway does for them, from
//! the wake-up to the next sleep, and nothing else; the client, the stub, the control connection and the
//! audit writer run on other threads.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cqlgate::audit::{Audit, AuditGuard};
use cqlgate::auth::Authenticator;
use cqlgate::config::{Config, limits};
use cqlgate::directory::Directory;
use cqlgate::metrics::Metrics;
use cqlgate::policy::{Policies, PolicySource};
use cqlgate::session::{Context, Registry, StatementCache, Traces};
use cqlgate::upstream::{self, Secret};
use cqlgate::{accept, tls};
use cqlgate_testkit::issuer::{Algorithm, Issuer};
use cqlgate_testkit::scratch::Scratch;
use cqlgate_testkit::trouble::During as _;
use cqlgate_testkit::{Result, Trouble};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, Semaphore, watch};

use crate::load::{Ask, Burst, Load};
use crate::relay;
use crate::statements::{POLICY, SERVICE};
use crate::stub;
use crate::subject::TOKEN_LIFE;

/// How long the parts may take to be ready; under callgrind everything is fifty times slower.
const START: Duration = Duration::from_mins(3);

/// What serves on the caller's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The gateway.
    Gateway,
    /// The gateway with an audit line for each request.
    GatewayAuditAll,
    /// The blind relay.
    Relay,
}

/// The thread that the leased connections' sockets wake first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// The caller's, as in the gateway; what the pool and the control connection do is on it, too.
    Here,
    /// Another one, so that nothing but sessions is on the caller's.
    Elsewhere,
}

/// A running instance with one client that is logged in.
#[derive(Debug)]
pub struct Serving {
    here: Runtime,
    go: mpsc::Sender<(Burst, u64)>,
    answered: mpsc::Receiver<Result<u64>>,
    ended: Arc<Notify>,
    _client: JoinHandle<()>,
    _parts: Option<Parts>,
}

/// What the sessions lean on.
#[derive(Debug)]
struct Parts {
    _issuer: Issuer,
    _audit: AuditGuard,
    _stop: watch::Sender<bool>,
    _scratch: Scratch,
    // Last: what the others need is dropped after them.
    _elsewhere: Runtime,
}

impl Serving {
    /// Starts everything and logs the client in.
    pub fn start(who: Who, nodes: Nodes) -> Result<Self> {
        let stub = stub::start()?;
        let here = Builder::new_current_thread().enable_all().build().during("making a runtime")?;
        let listener = here.block_on(TcpListener::bind("127.0.0.1:0")).during("listening")?;
        let address = listener.local_addr().during("listening")?;
        let (parts, password) = if who == Who::Relay {
            here.spawn(relay::serve(listener, stub));
            (None, "none".to_owned())
        } else {
            let (parts, password) = gateway(&here, listener, stub, who, nodes)?;
            (Some(parts), password)
        };
        let (go, bursts) = mpsc::channel::<(Burst, u64)>();
        let (tell, answered) = mpsc::channel();
        let ended = Arc::new(Notify::new());
        let told = Arc::clone(&ended);
        let client = std::thread::Builder::new()
            .name("client".into())
            .spawn(move || {
                let mut load = log_in(address, &password);
                let _ = tell.send(load.as_ref().map(|_| 0).map_err(Clone::clone));
                told.notify_one();
                for (burst, requests) in bursts {
                    let outcome = match &mut load {
                        Ok(load) => load.run(&burst, requests),
                        Err(trouble) => Err(trouble.clone()),
                    };
                    let _ = tell.send(outcome);
                    told.notify_one();
                }
            })
            .during("starting the client's thread")?;
        let serving = Self { here, go, answered, ended, _client: client, _parts: parts };
        serving.here.block_on(serving.ended.notified());
        serving.outcome()?;
        Ok(serving)
    }

    /// Serves `requests` in bursts of `depth`; `measure` is called with what does it on this thread.
    pub fn run<T>(
        &self,
        ask: Ask,
        depth: usize,
        requests: u64,
        measure: impl FnOnce(&mut dyn FnMut()) -> T,
    ) -> Result<(T, u64)> {
        let gone = |_| Trouble::new("the client's thread is gone");
        self.go.send((Burst::new(ask, depth), requests)).map_err(gone)?;
        let measured = measure(&mut || self.here.block_on(self.ended.notified()));
        Ok((measured, self.outcome()?))
    }

    fn outcome(&self) -> Result<u64> {
        self.answered.recv().during("waiting for the client")?
    }
}

/// Logs in as soon as the gateway has a cluster to serve.
fn log_in(address: SocketAddr, password: &str) -> Result<Load> {
    let until = Instant::now() + START;
    loop {
        match Load::connect(address, "token", password) {
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(50)),
            outcome => return outcome,
        }
    }
}

/// Puts a gateway together as `cqlgate serve` does, but for its SCIM and admin listeners.
fn gateway(
    here: &Runtime,
    listener: TcpListener,
    stub: SocketAddr,
    who: Who,
    nodes: Nodes,
) -> Result<(Parts, String)> {
    tls::install_provider();
    let elsewhere =
        Builder::new_multi_thread().worker_threads(1).enable_all().build().during("making a runtime")?;
    let scratch = Scratch::new("bench")?;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let issuer =
        elsewhere.block_on(Issuer::start_with(any, Algorithm::Es256)).during("starting an issuer")?;
    let config = configuration(&scratch, &issuer, stub, who)?;
    let metrics = Metrics::new();
    let (audit, audit_guard) = Audit::start(&config.audit, Arc::clone(&metrics)).during("the audit log")?;
    let authenticator =
        Arc::new(Authenticator::new(&config.identity, &config.service).during("the identities")?);
    let cluster = config.cluster.first().ok_or_else(|| Trouble::new("no cluster"))?;
    let names: Vec<String> = config.identity.iter().map(|identity| identity.name.clone()).collect();
    let (directory, policies) = {
        let _elsewhere = elsewhere.enter();
        let directory = Directory::open(&config.directory.path, &names).during("the directory")?;
        let source = PolicySource::new(&config.folder, &config, cluster);
        let policies = Policies::open(source, metrics.cluster(&cluster.name));
        (directory, policies.map_err(|findings| Trouble::new(format!("{findings:?}")))?)
    };
    let counters = metrics.cluster(&cluster.name);
    let upstream = {
        let _runtime = match nodes {
            Nodes::Here => here.enter(),
            Nodes::Elsewhere => elsewhere.enter(),
        };
        upstream::Cluster::start(cluster, Secret::new("secret"), Arc::clone(&counters))
            .during("the cluster")?
    };
    let context = Arc::new(Context {
        name: cluster.name.as_str().into(),
        config: cluster.clone(),
        authenticator,
        directory,
        policies: Arc::new(policies),
        upstream,
        audit,
        registry: Registry::new(Arc::clone(&metrics)),
        statements: StatementCache::new(cluster),
        traces: Traces::default(),
        budget: Arc::new(Semaphore::new(limits::BUFFER_BUDGET / 1024)),
        metrics: counters,
    });
    let (stop, stopping) = watch::channel(false);
    here.spawn(accept::serve(context, listener, None, stopping));
    let password = issuer.token("bench-loader").lifetime(TOKEN_LIFE).sign();
    let parts =
        Parts { _issuer: issuer, _audit: audit_guard, _stop: stop, _scratch: scratch, _elsewhere: elsewhere };
    Ok((parts, password))
}

fn configuration(scratch: &Scratch, issuer: &Issuer, stub: SocketAddr, who: Who) -> Result<Config> {
    std::fs::create_dir(scratch.path().join("policies")).during("making a folder")?;
    scratch.write("policies/main.cql", POLICY)?;
    let password = scratch.write("password", "secret\n")?;
    std::fs::set_permissions(password, Permissions::from_mode(0o600)).during("hiding the password")?;
    let home = scratch.path().display();
    let data = if who == Who::GatewayAuditAll { "data = \"all\"" } else { "" };
    let text = format!(
        "[directory]\npath = \"{home}/directory\"\n\
         [[identity]]\nname = \"bench\"\nissuer = \"{}\"\naudiences = [\"cassandra\"]\n\
         scim_token_hashes = [\"sha256:{:064x}\"]\n\
         [[service]]\nname = \"{SERVICE}\"\nidentity = \"bench\"\n[service.claims]\nsub = \"bench-loader\"\n\
         [[cluster]]\nname = \"main\"\nlisten = \"127.0.0.1:9042\"\ncontact_points = [\"{stub}\"]\n\
         username = \"gateway\"\npassword_file = \"{home}/password\"\npolicies = [\"policies/*.cql\"]\n\
         [scim]\nlisten = \"127.0.0.1:8480\"\n[admin]\nlisten = \"127.0.0.1:8481\"\n\
         [audit]\nfile = \"{home}/audit.jsonl\"\n{data}\n",
        issuer.url(),
        1,
    );
    Config::parse(&"bench".into(), &text, scratch.path()).during("the configuration")
}
