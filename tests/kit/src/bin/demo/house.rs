//! Everything that the tour needs, brought up in order and taken down again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cqlgate_testkit::cassandra::{self, Cassandra};
use cqlgate_testkit::cql::Cql;
use cqlgate_testkit::gateway::{Gateway, Settings};
use cqlgate_testkit::issuer::Issuer;
use cqlgate_testkit::python::Python;
use cqlgate_testkit::scratch::Scratch;
use cqlgate_testkit::trouble::{During, Result, Trouble};
use cqlgate_testkit::{parts, place};
use serde_json::{Value, json};

use crate::options::{Cluster, Options};
use crate::say::line;

/// The keyspace that the demo makes and drops.
pub(crate) const KEYSPACE: &str = "cqlgate_demo";
/// The audience of every token that is meant for the gateway.
pub(crate) const AUDIENCE: &str = "cassandra";
/// Tokens to paste live as long as somebody may look at a demo.
const TOKEN_LIFE: Duration = Duration::from_hours(8);

pub(crate) const POLICY: &str = r#"-- What no line grants is refused.
GRANT SELECT, MODIFY ON KEYSPACE cqlgate_demo        TO GROUP "orders-team";
GRANT SELECT         ON TABLE    cqlgate_demo.orders TO GROUP "analysts";
GRANT MODIFY         ON TABLE    cqlgate_demo.orders TO SERVICE "nightly-load";
"#;

/// What is up.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) gateway: Gateway,
    pub(crate) issuer: Issuer,
    pub(crate) python: Python,
    pub(crate) people: People,
    /// Files for the reader: credentials, headers.
    pub(crate) files: Scratch,
    /// The demo's own node; `None`: the reader's cluster.
    node: Option<Cassandra>,
    account: Cluster,
}

/// SCIM ids.
#[derive(Debug, Default)]
pub(crate) struct People {
    pub(crate) alice: String,
    pub(crate) bob: String,
    pub(crate) orders_team: String,
}

impl House {
    pub(crate) async fn bring_up(options: &Options) -> Result<Self> {
        check_parts(options)?;
        let started = Instant::now();
        line("Building the gateway.");
        let binary = tokio::task::spawn_blocking(build).await.during("building the gateway")??;
        let (node, account) = cluster(options).await?;
        line("Making the Python environment (cassandra-driver and cqlsh; fetched the first time).");
        let python = Python::new().await?;
        create_keyspace(&account).await?;

        let issuer = Issuer::start().await.during("starting the issuer")?;
        line(&format!("Issuer       {}", issuer.url()));
        let account_pair = (account.username.as_str(), account.password.as_str());
        let mut settings = Settings::new(binary, issuer.url(), &account.contact_point, account_pair)
            .policy(POLICY)
            .service("nightly-load", &[("client_id", "nightly-load")]);
        settings.audience = AUDIENCE.into();
        settings.listen = Some(options.listen);
        if options.cluster.is_some() {
            line(
                "             the demo speaks plaintext to your cluster: the account's password is in clear",
            );
            settings.cluster_extra = "upstream_plaintext = true\n".into();
        }
        let gateway = match Gateway::start(settings).await {
            Ok(gateway) => gateway,
            Err(trouble) => {
                drop_keyspace(&account).await?;
                return Err(trouble);
            }
        };
        let files = Scratch::new("demo")?;
        let mut house = Self { gateway, issuer, python, people: People::default(), files, node, account };
        line(&format!("CQL          {}", house.gateway.cql_addr()));
        line(&format!("SCIM         {}", house.gateway.scim_url()));
        line(&format!("Status page  {}/", house.gateway.admin_url()));
        house.push_people().await?;
        line(&format!("Up in {:.1} s. The policy:\n", started.elapsed().as_secs_f64()));
        for rule in POLICY.lines() {
            line(&format!("    {rule}"));
        }
        Ok(house)
    }

    /// What an identity provider does first: people, then groups of them.
    async fn push_people(&mut self) -> Result<()> {
        self.people.alice = self.push_user("alice", "Alice Archer").await?;
        self.people.bob = self.push_user("bob", "Bob Bauer").await?;
        self.people.orders_team = self.push_group("orders-team", &self.people.alice).await?;
        self.push_group("analysts", &self.people.bob).await?;
        line("People over SCIM: alice in orders-team, bob in analysts.");
        Ok(())
    }

    async fn push_user(&self, name: &str, display: &str) -> Result<String> {
        let user = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": format!("{name}@acme.example"), "externalId": name, "displayName": display, "active": true,
        });
        self.push("POST", "/Users", &user).await
    }

    async fn push_group(&self, name: &str, member: &str) -> Result<String> {
        let group = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": name, "members": [{"value": member}],
        });
        self.push("POST", "/Groups", &group).await
    }

    /// A PATCH with one operation.
    pub(crate) async fn patch(&self, path: &str, operation: Value) -> Result<()> {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation],
        });
        self.push("PATCH", path, &body).await.map(drop)
    }

    /// One SCIM request that has to succeed; the id in its answer.
    async fn push(&self, method: &str, path: &str, body: &Value) -> Result<String> {
        let answer = self.gateway.scim(method, path, Some(body)).await?;
        if !(200..300).contains(&answer.status) {
            return Err(Trouble::new(format!("{method} {path}: {} {}", answer.status, answer.text())));
        }
        Ok(answer.json().get("id").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// A token as the provider gives it to a person.
    pub(crate) fn token(&self, subject: &str) -> String {
        self.issuer.token(subject).audience(AUDIENCE).lifetime(TOKEN_LIFE).sign()
    }

    /// A token as the provider gives it to a workload.
    pub(crate) fn service_token(&self) -> String {
        let token = self.issuer.token("nightly-load").audience(AUDIENCE).lifetime(TOKEN_LIFE);
        token.claim("client_id", "nightly-load").sign()
    }

    pub(crate) async fn take_down(self) -> Result<()> {
        self.gateway.stop().await?;
        if let Some(node) = self.node {
            return node.stop().await;
        }
        drop_keyspace(&self.account).await
    }
}

/// What would fail later fails now, with the way to get it.
fn check_parts(options: &Options) -> Result<()> {
    parts::setsid()?;
    parts::python3()?;
    if options.cluster.is_none() {
        parts::java()?;
        if !place::is_made(&cassandra::folder_name()) {
            parts::maven()?;
        }
    }
    options.check_ports()
}

async fn cluster(options: &Options) -> Result<(Option<Cassandra>, Cluster)> {
    if let Some(cluster) = &options.cluster {
        line(&format!("Cassandra    {} (yours)", cluster.contact_point));
        let Cluster { contact_point, username, password } = cluster;
        let account = Cluster {
            contact_point: contact_point.clone(),
            username: username.clone(),
            password: password.clone(),
        };
        return Ok((None, account));
    }
    line(&format!(
        "Starting Cassandra {} (fetched the first time, then about ten seconds).",
        cassandra::RELEASE
    ));
    let node = Cassandra::start(cassandra::Options::default()).await?;
    let (username, password) = node.service_account().await;
    line(&format!("Cassandra    {} (log-in and authorization on)", node.addr()));
    let account = Cluster { contact_point: node.addr().to_string(), username: username.to_owned(), password };
    Ok((Some(node), account))
}

async fn connect(account: &Cluster) -> Result<Cql> {
    let addr: SocketAddr = tokio::net::lookup_host(&account.contact_point)
        .await
        .during(format!("looking up {}", account.contact_point))?
        .next()
        .ok_or_else(|| Trouble::new(format!("{} has no address", account.contact_point)))?;
    Cql::connect(addr, &account.username, &account.password).await
}

async fn create_keyspace(account: &Cluster) -> Result<()> {
    let mut cql = connect(account).await?;
    let create = format!(
        "CREATE KEYSPACE {KEYSPACE} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
    );
    cql.query(&create).await.map_err(|error| match error.code() {
        Some(0x2400) => Trouble::new(format!(
            "the keyspace {KEYSPACE} is there already, perhaps from a demo that was killed: DROP KEYSPACE {KEYSPACE}"
        )),
        _ => error.into(),
    })?;
    let table = format!("CREATE TABLE {KEYSPACE}.orders (id int PRIMARY KEY, item text, amount int)");
    cql.query(&table).await.during(&table)?;
    Ok(())
}

async fn drop_keyspace(account: &Cluster) -> Result<()> {
    let drop = format!("DROP KEYSPACE IF EXISTS {KEYSPACE}");
    connect(account).await?.query(&drop).await.during(&drop)?;
    Ok(())
}

/// Builds `cqlgate` in the profile that this program was built in.
fn build() -> Result<PathBuf> {
    let own = std::env::current_exe().during("finding this program")?;
    let folder = own.parent().ok_or_else(|| Trouble::new("this program has no folder"))?;
    let cargo = std::env::var_os("CARGO").map(PathBuf::from).or_else(|| parts::on_path("cargo"));
    let mut command = Command::new(cargo.ok_or_else(|| Trouble::new("cargo is missing: install Rust"))?);
    command
        .args(["build", "--quiet", "--bin", "cqlgate"])
        .current_dir(place::workspace())
        .stdin(Stdio::null());
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().during("starting cargo")?;
    if !status.success() {
        return Err(Trouble::new("the gateway does not build; the compiler's words stand above"));
    }
    Ok(folder.join("cqlgate"))
}
