//! The real `cqlgate` binary as a process: a generated configuration, ports of its own, readiness awaited.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use serde_json::Value;
use tokio::time::Instant;

use crate::http::{self, Response};
use crate::process::Process;
use crate::scratch::Scratch;
use crate::trouble::{During, Result, Trouble};
use crate::{Cassandra, loopback};

const CQL_PORT: u16 = 9042;
const SCIM_PORT: u16 = 8480;
const ADMIN_PORT: u16 = 8481;
const READY_LIMIT: Duration = Duration::from_mins(1);
/// The longest wait for a line of the audit log.
const AUDIT_LIMIT: Duration = Duration::from_secs(20);
/// Its own drain is up to 30 s; a test that wants it asks for `stop`.
const GRACE: Duration = Duration::from_secs(5);

/// What a gateway is started with. Every `extra` text is appended to its table of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program: `env!("CARGO_BIN_EXE_cqlgate")` in an integration test.
    pub binary: PathBuf,
    /// The issuer's URL.
    pub issuer: String,
    /// The audience that tokens must name.
    pub audience: String,
    /// The node, `host:port`.
    pub contact_point: String,
    /// The service account.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The policy file's text.
    pub policy: String,
    /// Workloads: name, and the claims that make somebody it.
    pub services: Vec<(String, Vec<(String, String)>)>,
    /// More keys of `[[identity]]`.
    pub identity_extra: String,
    /// More keys of `[[cluster]]`.
    pub cluster_extra: String,
    /// More keys of `[scim]`.
    pub scim_extra: String,
    /// More keys of `[admin]`.
    pub admin_extra: String,
    /// More keys of `[audit]`.
    pub audit_extra: String,
    /// More tables.
    pub extra: String,
    /// Where the three listeners are (CQL, SCIM, admin); by default on a loopback address of its own.
    pub listen: Option<[SocketAddr; 3]>,
    /// The filter of its log (`CQLGATE_LOG`).
    pub log: String,
}

/// A running gateway. Dropped, it is stopped and its files are removed.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    scratch: Scratch,
    binary: PathBuf,
    log: String,
    listen: [SocketAddr; 3],
    scim_token: String,
}

impl Settings {
    /// A gateway in front of `contact_point` that trusts `issuer` for the audience `cassandra`.
    pub fn new(
        binary: impl Into<PathBuf>,
        issuer: &str,
        contact_point: &impl ToString,
        account: (&str, &str),
    ) -> Self {
        Self {
            binary: binary.into(),
            issuer: issuer.into(),
            audience: "cassandra".into(),
            contact_point: contact_point.to_string(),
            username: account.0.into(),
            password: account.1.into(),
            policy: String::new(),
            services: Vec::new(),
            identity_extra: String::new(),
            cluster_extra: String::new(),
            scim_extra: String::new(),
            admin_extra: String::new(),
            audit_extra: String::new(),
            extra: String::new(),
            listen: None,
            log: "info".into(),
        }
    }

    /// The same in front of a node of the kit, with its service account.
    pub async fn for_node(binary: impl Into<PathBuf>, issuer: &str, node: &Cassandra) -> Self {
        let (user, password) = node.service_account().await;
        Self::new(binary, issuer, &node.addr(), (user, &password))
    }

    /// The same with this policy.
    #[must_use]
    pub fn policy(mut self, text: impl Into<String>) -> Self {
        self.policy = text.into();
        self
    }

    /// The same with a workload.
    #[must_use]
    pub fn service(mut self, name: &str, claims: &[(&str, &str)]) -> Self {
        let claims = claims.iter().map(|(claim, value)| ((*claim).into(), (*value).into())).collect();
        self.services.push((name.into(), claims));
        self
    }
}

impl Gateway {
    /// Writes the configuration, starts the process and waits until it is ready.
    pub async fn start(settings: Settings) -> Result<Self> {
        let gateway = Self::launch(settings)?;
        gateway.ready().await?;
        Ok(gateway)
    }

    /// Starts the process without waiting for anything: for those that are to refuse to start.
    pub fn launch(settings: Settings) -> Result<Self> {
        let listen = if let Some(listen) = settings.listen {
            listen
        } else {
            let ports = [CQL_PORT, SCIM_PORT, ADMIN_PORT];
            let ip = IpAddr::V4(loopback::free_address(65, &ports)?);
            ports.map(|port| SocketAddr::new(ip, port))
        };
        let scratch = Scratch::new("gateway")?;
        let scim_token = random_hex()?;
        let digest = digest::digest(&digest::SHA256, scim_token.as_bytes());
        scratch.write("cassandra.password", format!("{}\n", settings.password))?;
        std::fs::create_dir(scratch.path().join("policies")).during("making a folder")?;
        scratch.write("policies/main.cql", &settings.policy)?;
        let config = config(&settings, scratch.path(), &listen, &hex(digest.as_ref()))?;
        scratch.write("cqlgate.toml", config)?;
        let process = spawn(&scratch, &settings.binary, &settings.log)?;
        Ok(Self { process, scratch, binary: settings.binary, log: settings.log, listen, scim_token })
    }

    /// Waits until `/readyz` says so.
    pub async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + READY_LIMIT;
        let url = format!("{}/readyz", self.admin_url());
        loop {
            let answer = http::get(&url).await;
            if matches!(&answer, Ok(response) if response.status == 200) {
                return Ok(());
            }
            if self.process.has_ended() || Instant::now() > deadline {
                let said = answer.map_or_else(|e| e.to_string(), |r| format!("{} {}", r.status, r.text()));
                return Err(Trouble::new(format!(
                    "the gateway is not ready ({said}); its last lines:\n{}",
                    self.process.tail(40)
                )));
            }
            // Nothing tells a stranger that a listener opened.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where drivers connect.
    pub fn cql_addr(&self) -> SocketAddr {
        let [cql, _, _] = self.listen;
        cql
    }

    /// `http://host:port/scim/v2`.
    pub fn scim_url(&self) -> String {
        let [_, scim, _] = self.listen;
        format!("http://{scim}/scim/v2")
    }

    /// The bearer token for SCIM.
    pub fn scim_token(&self) -> &str {
        &self.scim_token
    }

    /// `http://host:port`, without a slash at the end.
    pub fn admin_url(&self) -> String {
        let [_, _, admin] = self.listen;
        format!("http://{admin}")
    }

    /// GET of a path of the admin listener.
    pub async fn admin(&self, path: &str) -> Result<Response> {
        http::get(&format!("{}{path}", self.admin_url())).await
    }

    /// One SCIM request (`path` after `/scim/v2`), with its bearer token.
    pub async fn scim(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Response> {
        let bearer = format!("Bearer {}", self.scim_token);
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/scim+json")];
        let body = body.map(Value::to_string).unwrap_or_default();
        http::send(method, &format!("{}{path}", self.scim_url()), &headers, body).await
    }

    /// The process: its log, its pid, signals.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Where its files are: `cqlgate.toml`, `policies/main.cql`, `directory/`, `audit.jsonl`.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Puts another policy in the place of the one there is.
    pub fn write_policy(&self, text: &str) -> Result<()> {
        let new = self.scratch.write("policies/new", text)?;
        std::fs::rename(new, self.scratch.path().join("policies/main.cql")).during("replacing the policy")
    }

    /// SIGKILL, and wait until it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.signal("KILL")?;
        self.process.ended(Duration::from_secs(10)).await?;
        self.process.stop().await
    }

    /// SIGTERM, and wait; its exit code.
    pub async fn terminate(&mut self) -> Result<i32> {
        self.process.signal("TERM")?;
        let code = self.process.ended(Duration::from_secs(45)).await?;
        self.process.stop().await?;
        Ok(code)
    }

    /// Starts it again on the files there are, after [`Self::kill`] or [`Self::terminate`].
    pub async fn start_again(&mut self) -> Result<()> {
        self.process = spawn(&self.scratch, &self.binary, &self.log)?;
        self.ready().await
    }

    /// Every line of the audit log so far.
    pub fn audit(&self) -> Result<Vec<Value>> {
        let text = match std::fs::read_to_string(self.scratch.path().join("audit.jsonl")) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.during("reading the audit log")?,
        };
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).during(line)).collect()
    }

    /// Waits for a line of the audit log.
    pub async fn audit_line(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + AUDIT_LIMIT;
        loop {
            let lines = self.audit()?;
            if let Some(line) = lines.iter().find(|line| is_it(line)) {
                return Ok(line.clone());
            }
            if Instant::now() > deadline {
                let last: Vec<_> = lines.iter().rev().take(5).map(Value::to_string).collect();
                return Err(Trouble::new(format!(
                    "the audit log has no line about {what}; its last ones:\n{}",
                    last.join("\n")
                )));
            }
            // A file tells nobody that it grew.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets it go and waits until it is gone.
    pub async fn stop(mut self) -> Result<()> {
        self.process.stop().await
    }
}

fn spawn(scratch: &Scratch, binary: &Path, log: &str) -> Result<Process> {
    let mut command = Command::new(binary);
    command.args(["serve", "--config"]).arg(scratch.path().join("cqlgate.toml"));
    command.env("CQLGATE_LOG", log).env("NO_COLOR", "1");
    Process::spawn("the gateway", scratch, GRACE, &command)
}

fn config(settings: &Settings, home: &Path, listen: &[SocketAddr; 3], scim_hash: &str) -> Result<String> {
    let [cql, scim, admin] = listen;
    let home = home.to_str().ok_or_else(|| Trouble::new("the temporary folder's name is not UTF-8"))?;
    let mut text = format!(
        "[directory]\npath = {dir}\n\n\
         [[identity]]\nname = \"acme\"\nissuer = {issuer}\naudiences = [{audience}]\n\
         scim_token_hashes = [\"sha256:{scim_hash}\"]\n{identity}\n\
         [[cluster]]\nname = \"main\"\nlisten = \"{cql}\"\ncontact_points = [{node}]\nusername = {user}\n\
         password_file = {password}\npolicies = [\"policies/*.cql\"]\n{cluster}\n\
         [scim]\nlisten = \"{scim}\"\n{scim_extra}\n[admin]\nlisten = \"{admin}\"\n{admin_extra}\n\
         [audit]\nfile = {audit}\n{audit_extra}\n",
        dir = quoted(&format!("{home}/directory")),
        issuer = quoted(&settings.issuer),
        audience = quoted(&settings.audience),
        identity = settings.identity_extra,
        node = quoted(&settings.contact_point),
        user = quoted(&settings.username),
        password = quoted(&format!("{home}/cassandra.password")),
        cluster = settings.cluster_extra,
        scim_extra = settings.scim_extra,
        admin_extra = settings.admin_extra,
        audit = quoted(&format!("{home}/audit.jsonl")),
        audit_extra = settings.audit_extra,
    );
    for (name, claims) in &settings.services {
        let _ = writeln!(text, "[[service]]\nname = {}\nidentity = \"acme\"\n[service.claims]", quoted(name));
        for (claim, value) in claims {
            let _ = writeln!(text, "{} = {}", quoted(claim), quoted(value));
        }
    }
    text.push_str(&settings.extra);
    Ok(text)
}

/// A TOML basic string; JSON's escapes are a part of TOML's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn random_hex() -> Result<String> {
    let mut bytes = [0; 24];
    SystemRandom::new().fill(&mut bytes).during("drawing a token")?;
    Ok(hex(&bytes))
}
