//! `cqlgate serve`: everything put together, started in an order in which nothing is served unjudged, and
//! stopped when the process is told to.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::status::Source;
use crate::audit::{Audit, AuditGuard};
use crate::auth::Authenticator;
use crate::config::{Config, limits, model};
use crate::directory::Directory;
use crate::metrics::{ClusterMetrics, Metrics};
use crate::policy::{Policies, PolicySource};
use crate::session::{Context, Registry, Revoker, StatementCache, Traces};
use crate::upstream::{self, Secret};
use crate::{accept, admin, scim, tls};

/// Why the gateway cannot start. Each names what to mend.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The directory.
    #[error("directory: {0}")]
    Directory(#[from] crate::directory::DirectoryError),
    /// The audit log.
    #[error("audit: {0}")]
    Audit(#[from] crate::audit::AuditError),
    /// The identities.
    #[error("identity: {0}")]
    Auth(#[from] crate::auth::AuthError),
    /// The SCIM tokens.
    #[error(transparent)]
    Scim(#[from] scim::ConfigError),
    /// A cluster's policies: findings, one a line.
    #[error("cluster {cluster}: the policies are not good:\n{findings}")]
    Policy {
        /// The cluster.
        cluster: String,
        /// `file:line:column: ..`, one a line.
        findings: String,
    },
    /// A cluster's nodes or service account.
    #[error("cluster {cluster}: {source}")]
    Upstream {
        /// The cluster.
        cluster: String,
        /// What is wrong.
        source: upstream::UpstreamError,
    },
    /// The service account's password file.
    #[error("cluster {cluster}: password_file: {source}")]
    Password {
        /// The cluster.
        cluster: String,
        /// What is wrong.
        source: upstream::SecretError,
    },
    /// A listener's TLS.
    #[error("{listener}: {source}")]
    Tls {
        /// The listener.
        listener: String,
        /// What is wrong.
        source: tls::TlsError,
    },
    /// A listener's address.
    #[error("{listener}: cannot listen on {address}: {source}")]
    Listen {
        /// The listener.
        listener: String,
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The runtime or its signals.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Runs the gateway until SIGTERM or SIGINT.
pub fn run(config: Config) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let gateway = Gateway::start(config).await?;
        let signal = terminated().await?;
        info!(signal, "stopping");
        gateway.stop().await;
        Ok(())
    });
    // Sessions that are still open end with the runtime.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}

async fn terminated() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    })
}

/// A running gateway.
struct Gateway {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    audit: Audit,
    _audit_guard: AuditGuard,
}

/// A cluster that is set up but not listening yet.
struct Prepared {
    context: Arc<Context>,
    listener: TcpListener,
    tls: Option<tokio_rustls::TlsAcceptor>,
}

impl Gateway {
    async fn start(config: Config) -> Result<Self, ServeError> {
        tls::install_provider();
        let metrics = Metrics::new();
        count_panics(&metrics);
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();

        let (audit, audit_guard) = Audit::start(&config.audit, Arc::clone(&metrics))?;
        let names: Vec<String> = config.identity.iter().map(|identity| identity.name.clone()).collect();
        let directory = Directory::open(&config.directory.path, &names)?;
        directory.measure(Arc::clone(&metrics));
        let registry = Registry::new(Arc::clone(&metrics));
        directory.subscribe(Arc::new(Revoker(Arc::clone(&registry))));
        directory.measure(Arc::clone(&metrics));
        let authenticator = Arc::new(Authenticator::new(&config.identity, &config.service)?);
        authenticator.count_in(&metrics);

        let budget = Arc::new(Semaphore::new(limits::BUFFER_BUDGET / 1024));
        let mut clusters = Vec::new();
        for cluster in &config.cluster {
            let source = PolicySource::new(&config.folder, &config, cluster);
            let policies = open_policies(cluster, source, metrics.cluster(&cluster.name))?;
            let shared =
                Shared { directory: &directory, registry: &registry, audit: &audit, budget: &budget };
            clusters.push(prepare(cluster, policies, &authenticator, &shared, &metrics).await?);
        }
        let contexts: Vec<_> = clusters.iter().map(|cluster| Arc::clone(&cluster.context)).collect();
        // Names get their pins before anybody is judged by them.
        pin_names(&directory, &contexts).await?;

        let source =
            Arc::new(Source::new(&config, contexts.clone(), &directory, &authenticator, &audit, &registry));
        let scim = listen("scim", &config.scim).await?;
        let admin = listen("admin", &config.admin).await?;
        let scim_router = scim::router(
            directory.clone(),
            scim::Options {
                identities: &config.identity,
                public_url: config.scim.public_url.as_deref(),
                tls: config.scim.tls.is_some(),
                audit: audit.clone(),
                metrics: Arc::clone(&metrics),
            },
        )?;
        info!(address = %config.scim.listen, "SCIM listener");
        info!(address = %config.admin.listen, "admin listener");
        tasks.spawn(tls::http::serve("scim", scim.0, scim.1, scim_router, stopping.clone()));
        let admin_router = admin::router(source, Arc::clone(&metrics));
        tasks.spawn(tls::http::serve("admin", admin.0, admin.1, admin_router, stopping.clone()));

        let mut until = stopping.clone();
        tasks.spawn(async move {
            authenticator.run(async { tls::http::stopped(&mut until).await }).await;
        });
        tasks.spawn(on_hangup(audit.clone(), contexts.clone())?);
        for cluster in clusters {
            let context = cluster.context;
            let follow = follow_policy(directory.clone(), contexts.clone(), Arc::clone(&context.policies));
            tasks.spawn(follow);
            tasks.spawn(Arc::clone(&context.policies).watch());
            info!(cluster = &*context.name, address = %context.config.listen, "CQL listener");
            tasks.spawn(accept::serve(context, cluster.listener, cluster.tls, stopping.clone()));
        }
        Ok(Self { stop, tasks, audit, _audit_guard: audit_guard })
    }

    async fn stop(mut self) {
        let _ = self.stop.send(true);
        let listeners = async {
            // Those that watch something never end by themselves.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            self.tasks.shutdown().await;
        };
        listeners.await;
        self.audit.flush().await;
    }
}

struct Shared<'a> {
    directory: &'a Directory,
    registry: &'a Arc<Registry>,
    audit: &'a Audit,
    budget: &'a Arc<Semaphore>,
}

fn open_policies(
    cluster: &model::Cluster,
    source: PolicySource,
    metrics: Arc<ClusterMetrics>,
) -> Result<Arc<Policies>, ServeError> {
    Policies::open(source, metrics).map(Arc::new).map_err(|findings| ServeError::Policy {
        cluster: cluster.name.clone(),
        findings: findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    })
}

async fn prepare(
    cluster: &model::Cluster,
    policies: Arc<Policies>,
    authenticator: &Arc<Authenticator>,
    shared: &Shared<'_>,
    metrics: &Metrics,
) -> Result<Prepared, ServeError> {
    let name = || cluster.name.clone();
    let password = Secret::from_file(&cluster.password_file)
        .map_err(|source| ServeError::Password { cluster: name(), source })?;
    let metrics = metrics.cluster(&cluster.name);
    let upstream = upstream::Cluster::start(cluster, password, Arc::clone(&metrics))
        .map_err(|source| ServeError::Upstream { cluster: name(), source })?;
    let label = format!("cluster {}", cluster.name);
    let tls = acceptor(&label, cluster.tls.as_ref(), &[])?;
    if tls.is_none() && !cluster.listen.ip().is_loopback() {
        warn!(cluster = cluster.name, address = %cluster.listen, "this listener takes tokens in clear");
    }
    let listener = bind(&label, cluster.listen).await?;
    let context = Arc::new(Context {
        name: cluster.name.as_str().into(),
        config: cluster.clone(),
        authenticator: Arc::clone(authenticator),
        directory: shared.directory.clone(),
        policies,
        upstream,
        audit: shared.audit.clone(),
        registry: Arc::clone(shared.registry),
        statements: StatementCache::new(cluster),
        traces: Traces::default(),
        budget: Arc::clone(shared.budget),
        metrics,
    });
    Ok(Prepared { context, listener, tls })
}

fn acceptor(
    listener: &str,
    tls: Option<&model::ServerTls>,
    alpn: &[&str],
) -> Result<Option<tokio_rustls::TlsAcceptor>, ServeError> {
    tls.map(|tls| tls::acceptor(tls, alpn))
        .transpose()
        .map_err(|source| ServeError::Tls { listener: listener.to_owned(), source })
}

async fn bind(listener: &str, address: std::net::SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen {
        listener: listener.to_owned(),
        address,
        source,
    })
}

async fn listen(
    name: &'static str,
    config: &model::Listener,
) -> Result<(TcpListener, Option<tokio_rustls::TlsAcceptor>), ServeError> {
    let tls = acceptor(name, config.tls.as_ref(), &["http/1.1"])?;
    if tls.is_none() && !config.listen.ip().is_loopback() {
        warn!(listener = name, address = %config.listen, "this listener takes tokens in clear");
    }
    Ok((bind(name, config.listen).await?, tls))
}

/// Every name that a policy of any cluster uses gets its pin, or keeps it.
async fn pin_names(
    directory: &Directory,
    contexts: &[Arc<Context>],
) -> Result<(), crate::directory::DirectoryError> {
    let names = contexts.iter().flat_map(|context| context.policies.current().pin_names()).collect();
    directory.watch_names(names).await
}

/// After each reload the names of all policies are told to the directory anew.
async fn follow_policy(directory: Directory, contexts: Vec<Arc<Context>>, policies: Arc<Policies>) {
    let mut generations = policies.subscribe();
    while generations.changed().await.is_ok() {
        if let Err(error) = pin_names(&directory, &contexts).await {
            error!(%error, "the names of the new policy could not be pinned");
        }
        // Whoever looked between the new policy and its pins looks again.
        if let Some(context) = contexts.first() {
            context.registry.refresh_all();
        }
    }
}

/// SIGHUP: log files have been moved away, policies are to be read now and not at the next look.
fn on_hangup(
    audit: Audit,
    contexts: Vec<Arc<Context>>,
) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            audit.reopen();
            for context in &contexts {
                let policies = Arc::clone(&context.policies);
                // It reads files; what it finds is logged there.
                let _ = tokio::task::spawn_blocking(move || policies.reload()).await;
            }
        }
    })
}

/// A panic ends one task; it is counted and logged, and it must never happen.
fn count_panics(metrics: &Arc<Metrics>) {
    let metrics = Arc::clone(metrics);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        metrics.panics.inc();
        before(panic);
    }));
}
