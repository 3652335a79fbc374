//! TLS on the three listeners and towards the nodes: tokens are passwords.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cqlgate_testkit::Cassandra;
use cqlgate_testkit::cassandra::{Options, SERVICE_GRANTS, SERVICE_ROLE, Tls};
use cqlgate_testkit::certs::{self, Authority, Leaf};
use cqlgate_testkit::cql::{Cql, Peer};
use cqlgate_testkit::gateway::{Gateway, Settings};
use cqlgate_testkit::issuer::Issuer;
use cqlgate_testkit::loopback;
use cqlgate_testkit::scratch::Scratch;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const GATE: &str = "gate.test";
const NODE: &str = "node.test";
const LIMIT: Duration = Duration::from_secs(30);

/// One HTTP request over TLS: status and body.
async fn https(
    addr: SocketAddr,
    client: &Arc<ClientConfig>,
    head: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let tcp = TcpStream::connect(addr).await?;
    let name = ServerName::try_from(GATE).unwrap();
    let mut tls = tokio_rustls::TlsConnector::from(Arc::clone(client)).connect(name, tcp).await?;
    let host = format!("Host: {addr}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    tls.write_all(format!("{head}\r\n{host}").as_bytes()).await?;
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no answer: {answer:?}")))?;
    Ok((status, answer))
}

/// A node that speaks TLS to those with a certificate only, and its service account.
async fn node(authority: &Authority, own: &Leaf) -> Cassandra {
    let leaf = authority.leaf(&[NODE]).unwrap();
    let tls = Tls {
        key_and_chain: format!("{}{}{}", leaf.key, leaf.cert, authority.pem()),
        ca: authority.pem(),
        require_client_auth: true,
    };
    let node = Cassandra::start(Options { tls: Some(tls), ..Options::default() }).await.unwrap();
    let client = authority.client(Some(own)).unwrap();
    let peer = certs::connect(node.addr(), NODE, client).await.unwrap();
    let mut cql = Cql::log_in(peer, 4, "cassandra", "cassandra").await.unwrap();
    let role = format!("CREATE ROLE {SERVICE_ROLE} WITH PASSWORD = 'tls' AND LOGIN = true");
    cql.query(&role).await.unwrap();
    for grant in SERVICE_GRANTS {
        cql.query(grant).await.unwrap();
    }
    for statement in [
        "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        "CREATE TABLE k.t (k int PRIMARY KEY)",
    ] {
        cql.query(statement).await.unwrap();
    }
    node
}

#[tokio::test]
async fn everything_over_tls() {
    let (authority, stranger) = (Authority::new("ours").unwrap(), Authority::new("strangers").unwrap());
    let own = authority.leaf(&["somebody"]).unwrap();
    let node = node(&authority, &own).await;
    let issuer = Issuer::start().await.unwrap();
    let files = Scratch::new("tls").unwrap();
    let write = |name: &str, text: &str| files.write(name, text).unwrap().display().to_string();
    let gate = authority.leaf(&[GATE]).unwrap();
    let (cert, key) = (write("gate.pem", &gate.cert), write("gate.key", &gate.key));
    let (own_cert, own_key) = (write("own.pem", &own.cert), write("own.key", &own.key));
    let (ca, strangers) = (write("ca.pem", &authority.pem()), write("strangers.pem", &stranger.pem()));
    let server = format!("tls = {{ cert_file = \"{cert}\", key_file = \"{key}\" }}\n");
    let mutual =
        format!("tls = {{ cert_file = \"{cert}\", key_file = \"{key}\", client_ca_file = \"{ca}\" }}\n");
    let upstream = |ca: &str| {
        format!(
            "upstream_tls = {{ ca_file = \"{ca}\", cert_file = \"{own_cert}\", key_file = \"{own_key}\", \
             server_name = \"{NODE}\" }}\n"
        )
    };

    let ports = [9042, 8480, 8481];
    let ip = loopback::free_address(66, &ports).unwrap();
    let [cql, scim, admin] = ports.map(|port| SocketAddr::from((ip, port)));
    let mut settings =
        Settings::new(env!("CARGO_BIN_EXE_cqlgate"), issuer.url(), &node.addr(), (SERVICE_ROLE, "tls"));
    settings.policy = "GRANT SELECT ON KEYSPACE k TO USER \"alice\";".into();
    settings.listen = Some([cql, scim, admin]);
    settings.cluster_extra = format!("{mutual}{}", upstream(&ca));
    (settings.scim_extra, settings.admin_extra) = (server.clone(), server);
    let gateway = Gateway::launch(settings.clone()).unwrap();
    let listening = |line: &str| line.contains("CQL listener");
    gateway.process().wait_for_line(0, LIMIT, "listening", listening).await.unwrap();

    let (anonymous, known) = (authority.client(None).unwrap(), authority.client(Some(&own)).unwrap());
    let deceived = stranger.client(None).unwrap();
    let ready = async {
        while https(admin, &anonymous, "GET /readyz HTTP/1.1", "").await.unwrap().0 != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, ready).await.unwrap();

    // SCIM, and what comes in clear there.
    let person = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "alice", "externalId": "alice-sub", "active": true });
    let bearer = gateway.scim_token();
    let head = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nAuthorization: Bearer {bearer}\r\nContent-Type: application/scim+json"
    );
    let (status, answer) = https(scim, &anonymous, &head, &person.to_string()).await.unwrap();
    assert_eq!(status, 201, "{answer}");
    assert!(answer.contains(&format!("https://{scim}/scim/v2/Users/")), "meta.location is https: {answer}");
    assert!(gateway.scim("GET", "/Users", None).await.is_err(), "SCIM in clear");
    assert!(gateway.admin("/readyz").await.is_err(), "the admin listener in clear");
    for addr in [scim, admin] {
        assert!(https(addr, &deceived, "GET / HTTP/1.1", "").await.is_err(), "another authority's");
    }

    // CQL: with a certificate, and not without, not in clear, not under another name.
    let token = issuer.token("alice-sub").sign();
    let peer = certs::connect(cql, GATE, Arc::clone(&known)).await.unwrap();
    let mut alice = Cql::log_in(peer, 4, "alice", &token).await.unwrap();
    assert!(alice.rows("SELECT k FROM k.t").await.unwrap().rows.is_empty());
    certs::connect(cql, "another.test", known).await.unwrap_err();
    let foreign = stranger.leaf(&["somebody"]).unwrap();
    for nobody in [anonymous, authority.client(Some(&foreign)).unwrap()] {
        // In TLS 1.3 a client learns of it when it first reads.
        if let Ok(peer) = certs::connect(cql, GATE, nobody).await {
            Cql::log_in(peer, 4, "alice", &token).await.unwrap_err();
        }
    }
    let plain = Peer::connect(cql).await.unwrap();
    Cql::log_in(plain, 4, "alice", &token).await.unwrap_err();
    gateway.stop().await.unwrap();

    // A node whose certificate nobody vouches for gets no password.
    let mut settings = Settings { listen: None, admin_extra: String::new(), ..settings };
    settings.cluster_extra = upstream(&strangers);
    let gateway = Gateway::launch(settings).unwrap();
    gateway.process().wait_for_line(0, LIMIT, "listening", listening).await.unwrap();
    let said = async {
        loop {
            let ready = gateway.admin("/readyz").await.unwrap();
            assert_eq!(ready.status, 503);
            if ready.text().to_lowercase().contains("certificate") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, said).await.unwrap();
}

#[tokio::test]
async fn nothing_leaves_loopback_in_clear_unless_asked_for() {
    let issuer = Issuer::start().await.unwrap();
    let off = SocketAddr::from(([0, 0, 0, 0], 0));
    let on = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings =
        || Settings::new(env!("CARGO_BIN_EXE_cqlgate"), issuer.url(), &"127.0.0.1:1", ("cqlgate", "x"));
    for (listen, node, said) in [
        ([off, on, on], "127.0.0.1:1", "tokens would reach 0.0.0.0:0 in clear"),
        ([on, off, on], "127.0.0.1:1", "tokens would reach 0.0.0.0:0 in clear"),
        ([on, on, off], "127.0.0.1:1", "the status page names people and has no log-in yet"),
        ([on, on, on], "192.0.2.1:9042", "the service account's password would go to this node in clear"),
    ] {
        let refused = Settings { listen: Some(listen), contact_point: node.into(), ..settings() };
        let gateway = Gateway::launch(refused).unwrap();
        assert_eq!(gateway.process().ended(LIMIT).await.unwrap(), 2, "{said}");
        let line =
            gateway.process().wait_for_line(0, LIMIT, said, |line| line.contains(said)).await.unwrap().0;
        assert!(line.contains("cqlgate.toml:"), "file and line: {line}");
    }
    // Asked for, it is taken, with a word of warning.
    let mut asked = Settings { listen: Some([off, off, on]), ..settings() };
    asked.cluster_extra = "plaintext = true".into();
    asked.scim_extra = "plaintext = true".into();
    let gateway = Gateway::launch(asked).unwrap();
    for part in ["cluster", "scim"] {
        let is_it = |line: &str| line.contains("this listener takes tokens in clear") && line.contains(part);
        gateway.process().wait_for_line(0, LIMIT, part, is_it).await.unwrap();
    }
    gateway.process().wait_for_line(0, LIMIT, "listening", |l| l.contains("CQL listener")).await.unwrap();
}
