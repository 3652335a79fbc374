//! One node: its configuration, its start, its addresses.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::{fetch, service};
use crate::cql::Cql;
use crate::loopback;
use crate::parts;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::trouble::{During, Result, Trouble, or_fail};

const NATIVE_PORT: u16 = 9042;
const STORAGE_PORT: u16 = 7000;
/// About ten seconds on an idle machine; a busy one gets its time.
const START_LIMIT: Duration = Duration::from_mins(4);
/// A node's data are thrown away, so nothing is gained by waiting for it to drain.
const GRACE: Duration = Duration::from_millis(300);

/// What a node may have that others have not.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Lines appended to `cassandra.yaml`; a key that is there already is replaced.
    pub extra_yaml: String,
    /// `client_encryption_options` with these PEM texts: key, leaf and CA in one, and the CA alone.
    pub tls: Option<Tls>,
    /// More arguments for the virtual machine.
    pub jvm: Vec<String>,
    /// What its audit log says (`extra_yaml` turns that on, with the `FileAuditLogger`) is put into
    /// `logs/audit.log` of its folder, one line a statement.
    pub audit_file: bool,
}

/// TLS of a node's native port.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Private key (PKCS#8), leaf and CA, PEM.
    pub key_and_chain: String,
    /// Trusted authority of client certificates, PEM.
    pub ca: String,
    /// Refuse clients without a certificate.
    pub require_client_auth: bool,
}

/// A running node with log-in and authorization on. Dropped, it is stopped and its data removed.
#[derive(Debug)]
pub struct Cassandra {
    process: Process,
    scratch: Scratch,
    addr: SocketAddr,
    tls: bool,
    service: OnceCell<String>,
}

impl Cassandra {
    /// The node of this process: started by the first who asks, stopped when the process ends.
    ///
    /// # Panics
    /// When a part is missing or the node does not start; the first line says which and what to do.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Result<Cassandra>> = OnceCell::const_new();
        let node = SHARED.get_or_init(|| Self::start(Options::default())).await;
        or_fail(node.as_ref().map_err(Clone::clone))
    }

    /// A node of one's own, ready for log-ins of its superuser.
    pub async fn start(options: Options) -> Result<Self> {
        let java = parts::java()?;
        let jars = tokio::task::spawn_blocking(|| fetch::jars(super::RELEASE))
            .await
            .during("fetching Cassandra")??;
        let ip = loopback::free_address(64, &[NATIVE_PORT, STORAGE_PORT])?;
        let scratch = Scratch::new("cassandra")?;
        let conf = scratch.path().join("conf");
        std::fs::create_dir_all(&conf).during("making the configuration's folder")?;
        std::fs::create_dir_all(scratch.path().join("tmp")).during("making a folder")?;
        scratch.write("conf/logback.xml", logback(&scratch, &options))?;
        scratch.write("conf/cassandra.yaml", yaml(&scratch, ip, &options)?)?;
        let command = command(&java, &jars, scratch.path(), &options)?;
        let process = Process::spawn("Cassandra", &scratch, GRACE, &command)?;
        // The port opens a second before the superuser exists.
        process
            .wait_for_line(0, START_LIMIT, "its superuser", |line| {
                line.contains("Created default superuser role")
            })
            .await?;
        let addr = SocketAddr::new(IpAddr::V4(ip), NATIVE_PORT);
        Ok(Self { process, scratch, addr, tls: options.tls.is_some(), service: OnceCell::new() })
    }

    /// Where its native port listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The process, for signals and its log.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// A connection as `cassandra`, the superuser.
    ///
    /// # Errors
    /// Also on a node with TLS: use a driver there.
    pub async fn superuser(&self) -> Result<Cql> {
        if self.tls {
            return Err(Trouble::new("the superuser's connection does not speak TLS"));
        }
        Cql::connect(self.addr, "cassandra", "cassandra").await
    }

    /// Runs statements as the superuser, one after the other.
    pub async fn run(&self, statements: &[&str]) -> Result<()> {
        let mut cql = self.superuser().await?;
        for statement in statements {
            cql.query(statement).await.during(statement)?;
        }
        Ok(())
    }

    /// A fresh keyspace for one test; `hint` is part of its name.
    ///
    /// # Panics
    /// When the node refuses.
    pub async fn keyspace(&self, hint: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}_{hint}", COUNT.fetch_add(1, Ordering::Relaxed));
        let create = format!(
            "CREATE KEYSPACE {name} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        );
        or_fail(self.run(&[&create]).await);
        name
    }

    /// Name and password of the account that a gateway uses: no superuser, only the grants it needs. Made
    /// at the first call.
    ///
    /// # Panics
    /// When the node refuses.
    pub async fn service_account(&self) -> (&'static str, String) {
        let password = self.service.get_or_try_init(|| service::create(self)).await;
        (service::SERVICE_ROLE, or_fail(password).clone())
    }

    /// Stops it and waits until it is gone.
    pub async fn stop(mut self) -> Result<()> {
        self.process.stop().await
    }

    /// Where its files are while it runs.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }
}

fn yaml(scratch: &Scratch, ip: Ipv4Addr, options: &Options) -> Result<String> {
    let mut yaml = format!(
        r#"cluster_name: cqlgate-test
num_tokens: 1
initial_token: -9223372036854775808
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider: [{{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{{seeds: "{ip}:{STORAGE_PORT}"}}]}}]
listen_address: {ip}
rpc_address: {ip}
storage_port: {STORAGE_PORT}
native_transport_port: {NATIVE_PORT}
auto_bootstrap: false
auto_snapshot: false
cdc_enabled: false
hinted_handoff_enabled: false
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_segment_size: 8MiB
commitlog_total_space: 64MiB
disk_failure_policy: stop
commit_failure_policy: stop
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
role_manager: CassandraRoleManager
roles_validity: 500ms
permissions_validity: 500ms
credentials_validity: 2000ms
materialized_views_enabled: true
user_defined_functions_enabled: true
dynamic_data_masking_enabled: true
# A fortieth of the heap is the default: less than one frame of 16 MiB.
native_transport_max_request_data_in_flight_per_ip: 64MiB
native_transport_max_request_data_in_flight: 128MiB
"#
    );
    if let Some(tls) = &options.tls {
        let keystore = scratch.write("conf/node.pem", &tls.key_and_chain)?;
        let truststore = scratch.write("conf/ca.pem", &tls.ca)?;
        let _ = write!(
            yaml,
            "client_encryption_options:\n  enabled: true\n  optional: false\n  require_client_auth: {}\n  \
             ssl_context_factory: {{class_name: org.apache.cassandra.security.PEMBasedSslContextFactory}}\n  \
             keystore: {}\n  truststore: {}\n",
            tls.require_client_auth,
            keystore.display(),
            truststore.display()
        );
    }
    yaml.push_str(&options.extra_yaml);
    Ok(yaml)
}

fn logback(scratch: &Scratch, options: &Options) -> String {
    let audit = if options.audit_file {
        format!(
            "<appender name=\"A\" class=\"ch.qos.logback.core.FileAppender\">\
             <file>{}/logs/audit.log</file><encoder>\
             <pattern>%replace(%msg){{'[\\r\\n]', ' '}}%n</pattern></encoder></appender>\
             <logger name=\"org.apache.cassandra.audit\" level=\"INFO\" additivity=\"false\">\
             <appender-ref ref=\"A\"/></logger>",
            scratch.path().display()
        )
    } else {
        String::new()
    };
    format!(
        "<configuration><appender name=\"C\" class=\"ch.qos.logback.core.ConsoleAppender\"><encoder>\
         <pattern>%-5level %date{{ISO8601}} %F:%L - %msg%n</pattern></encoder></appender>{audit}\
         <root level=\"INFO\"><appender-ref ref=\"C\"/></root></configuration>"
    )
}

/// What Cassandra 5.0 wants opened on a Java 17, as its own start script does.
const OPENS: [&str; 14] = [
    "java.base/java.lang.module",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.lang.reflect",
    "java.base/java.lang",
    "java.base/java.util",
    "java.base/java.nio",
    "jdk.management/com.sun.management.internal",
];

const EXPORTS: [&str; 8] = [
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.management/com.sun.jmx.remote.security",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "java.base/java.lang.ref",
    "jdk.unsupported/sun.misc",
];

fn command(java: &Path, jars: &Path, home: &Path, options: &Options) -> Result<Command> {
    let home = home.display();
    let mut command = Command::new(java);
    command.env("MALLOC_ARENA_MAX", "4");
    command.arg(format!("-javaagent:{}", jar(jars, "jamm-")?.display()));
    command.args(["-Xms512m", "-Xmx512m", "-Xss256k", "-XX:+UseSerialGC", "-XX:+PerfDisableSharedMem"]);
    for module in OPENS {
        command.args(["--add-opens", &format!("{module}=ALL-UNNAMED")]);
    }
    for module in EXPORTS {
        command.args(["--add-exports", &format!("{module}=ALL-UNNAMED")]);
    }
    command.args([
        "-Djava.net.preferIPv4Stack=true",
        "-Dchronicle.analytics.disable=true",
        "-Djdk.attach.allowAttachSelf=true",
        "-Dio.netty.tryReflectionSetAccessible=true",
        "-Dio.netty.allocator.useCacheForAllThreads=true",
        "-Dio.netty.allocator.maxOrder=11",
        "-Dcassandra-foreground=yes",
        "-Dcassandra.skip_wait_for_gossip_to_settle=0",
        "-Dcassandra.ring_delay_ms=1000",
        "-Dcassandra.superuser_setup_delay_ms=1000",
        "-Dcassandra.consistent.rangemovement=false",
    ]);
    command.args([
        format!("-Djava.io.tmpdir={home}/tmp"),
        format!("-Dcassandra.config=file://{home}/conf/cassandra.yaml"),
        format!("-Dlogback.configurationFile={home}/conf/logback.xml"),
        format!("-Dcassandra.logdir={home}/logs"),
        format!("-Dcassandra.storagedir={home}/data"),
    ]);
    command.args(&options.jvm);
    command.args(["-cp", &format!("{home}/conf:{}/*", jars.display())]);
    command.arg("org.apache.cassandra.service.CassandraDaemon");
    Ok(command)
}

fn jar(jars: &Path, prefix: &str) -> Result<PathBuf> {
    std::fs::read_dir(jars)
        .during(format!("reading {}", jars.display()))?
        .filter_map(std::result::Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .ok_or_else(|| Trouble::new(format!("{} holds no {prefix}*.jar: remove that folder", jars.display())))
}
