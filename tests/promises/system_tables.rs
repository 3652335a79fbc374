//! `system.local`, `peers` and `peers_v2` are the gateway's own: in every form that drivers ask, and with no
//! address of a node in any answer.

use std::net::{IpAddr, SocketAddr};

use cqlgate_testkit::cql::{Body, Cql, Envelope, opcode};

use crate::world::{World, refusal};

fn bytes(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// Is the node's address anywhere in these bytes, as an inet or as text?
fn shows(haystack: &[u8], node: SocketAddr) -> bool {
    let inet = bytes(node.ip());
    let text = node.ip().to_string();
    haystack.windows(inet.len()).any(|w| w == inet)
        || haystack.windows(text.len()).any(|w| w == text.as_bytes())
}

async fn raw(connection: &mut Cql, text: &str) -> Envelope {
    connection.peer().ask(&Envelope::request(3, opcode::QUERY, Body::query(text))).await.unwrap()
}

#[tokio::test]
async fn the_gateway_is_the_only_node() {
    let world = World::new("local", &[], "").await;
    world.person("alice").await;
    let (gate, node) = (world.gateway.cql_addr(), world.node.addr());
    assert_ne!(gate.ip(), node.ip(), "this test needs two addresses that can be told apart");
    let mut connection = world.connect("alice").await;
    for text in [
        "SELECT * FROM system.local",
        "SELECT * FROM system.local WHERE key='local'",
        "select * from system.local where key = 'local';",
        "SELECT rpc_address AS a, broadcast_address b FROM system.local",
        "SELECT listen_address FROM system . /* x */ \"local\" WHERE key IN ('local') LIMIT 1",
        "SELECT * FROM system.peers",
        "SELECT * FROM system.peers_v2",
    ] {
        let text = text.replace("broadcast_address b", "broadcast_address AS b");
        let answer = raw(&mut connection, &text).await;
        assert_eq!(answer.opcode, opcode::RESULT, "{text}: {answer:?}");
        assert!(!shows(&answer.body, node), "{text}");
    }
    let local = connection.rows("SELECT * FROM system.local").await.unwrap();
    let value = |name: &str| {
        let at = local.columns.iter().position(|column| column.name == name).unwrap();
        local.rows[0][at].clone()
    };
    for name in ["rpc_address", "broadcast_address", "listen_address"] {
        assert_eq!(value(name), Some(bytes(gate.ip())), "{name}");
    }
    for name in ["rpc_port", "broadcast_port", "listen_port"] {
        assert_eq!(value(name), Some(i32::from(gate.port()).to_be_bytes().to_vec()), "{name}");
    }
    for name in
        ["host_id", "schema_version", "tokens", "data_center", "rack", "release_version", "partitioner"]
    {
        assert!(value(name).is_some_and(|value| !value.is_empty()), "{name}");
    }
    assert_eq!(value("key"), Some(b"local".to_vec()));
    assert!(connection.rows("SELECT * FROM system.peers_v2").await.unwrap().rows.is_empty());
    // The same columns, of the same types, as the node has.
    let mut root = world.node.superuser().await.unwrap();
    for table in ["local", "peers", "peers_v2"] {
        let text = format!("SELECT * FROM system.{table}");
        let shape = |columns: &[cqlgate_testkit::cql::Column]| {
            columns.iter().map(|c| (c.name.clone(), c.type_id)).collect::<Vec<_>>()
        };
        let (ours, theirs) =
            (connection.rows(&text).await.unwrap().columns, root.rows(&text).await.unwrap().columns);
        assert_eq!(shape(&ours), shape(&theirs), "{table}");
    }
    assert_eq!(value("host_id"), {
        let mut other = world.connect("alice").await;
        other.rows("SELECT host_id FROM system.local").await.unwrap().rows[0][0].clone()
    });
}

#[tokio::test]
async fn what_drivers_prepare_and_bind_is_evaluated() {
    let world = World::new("bound", &[], "").await;
    world.person("alice").await;
    let gate = world.gateway.cql_addr();
    let mut connection = world.connect("alice").await;
    let local = connection.prepare("SELECT rpc_address AS a FROM system.local WHERE key = ?").await.unwrap();
    let rows = connection.execute(&local, &[Some(b"local")]).await.unwrap().rows();
    assert_eq!(rows.rows, [[Some(bytes(gate.ip()))]]);
    assert_eq!(rows.columns[0].name, "a");
    assert!(connection.execute(&local, &[Some(b"elsewhere")]).await.unwrap().rows().rows.is_empty());
    assert_eq!(refusal(connection.execute(&local, &[]).await).0, 0x2200);
    let id = connection.prepare("SELECT host_id FROM local").await;
    assert_eq!(refusal(id).0, 0x2200, "no keyspace in force");
    connection.query("USE system").await.unwrap();
    let unqualified = connection.prepare("SELECT rpc_address FROM local").await.unwrap();
    let rows = connection.execute(&unqualified, &[]).await.unwrap().rows();
    assert_eq!(rows.rows, [[Some(bytes(gate.ip()))]]);
    // The ids are those of a node.
    let mut root = world.node.superuser().await.unwrap();
    for text in ["SELECT rpc_address AS a FROM system.local WHERE key = ?", "SELECT * FROM system.peers"] {
        assert_eq!(
            connection.prepare(text).await.unwrap().id,
            root.prepare(text).await.unwrap().id,
            "{text}"
        );
    }
    let peers = "SELECT * FROM system.peers_v2 WHERE peer = ? AND peer_port = ?";
    let peers = connection.prepare(peers).await.unwrap();
    let answer = connection.execute(&peers, &[Some(&[127, 0, 0, 1]), Some(&7000_i32.to_be_bytes())]).await;
    assert!(answer.unwrap().rows().rows.is_empty());
}

#[tokio::test]
async fn what_cannot_be_evaluated_is_invalid_and_never_unauthorized() {
    let world = World::new("unevaluated", &[], "").await;
    world.person("alice").await;
    let mut connection = world.connect("alice").await;
    for text in [
        "SELECT nothing FROM system.local",
        "SELECT JSON * FROM system.local",
        "SELECT DISTINCT key FROM system.local",
        "SELECT toJson(rpc_address) FROM system.local",
        "SELECT CAST(rpc_address AS text) FROM system.local",
        "SELECT writetime(rpc_address) FROM system.local",
        "SELECT * FROM system.local WHERE token(key) > 0",
        "SELECT * FROM system.peers WHERE peer > '1.2.3.4' ALLOW FILTERING",
        "SELECT * FROM system.local LIMIT 0",
        "SELECT * FROM system.local WHERE key = ?",
    ] {
        let (code, message) = refusal(connection.query(text).await);
        assert_eq!(code, 0x2200, "{text}: {message}");
        assert!(!shows(message.as_bytes(), world.node.addr()), "{text}");
    }
    let many = vec!["tokens"; 300].join(", ");
    let (code, _) = refusal(connection.query(&format!("SELECT {many} FROM system.local")).await);
    assert_eq!(code, 0x2200, "a short request must not make an answer without bound");
    assert_eq!(
        connection.rows("SELECT count(*) FROM system.local").await.unwrap().rows[0][0],
        Some(1_i64.to_be_bytes().to_vec())
    );
    // What tools ask to see whether anybody is there, with the node's own name and type of it.
    let mut root = world.node.superuser().await.unwrap();
    for text in ["SELECT now() FROM system.local", "SELECT key, system.now() AS n FROM system.local"] {
        let (ours, theirs) = (connection.rows(text).await.unwrap(), root.rows(text).await.unwrap());
        let named = |rows: &cqlgate_testkit::cql::Rows| {
            rows.columns.iter().map(|column| (column.name.clone(), column.type_id)).collect::<Vec<_>>()
        };
        assert_eq!(named(&ours), named(&theirs), "{text}");
        assert_eq!(ours.rows[0].last().unwrap().as_ref().map(Vec::len), Some(16));
    }
    assert_eq!(refusal(connection.query("SELECT now(1) FROM system.local").await).0, 0x2200);
    // Other tables of the drivers' are the node's; unknown ones are 0x2200.
    connection.rows("SELECT * FROM system_schema.tables LIMIT 1").await.unwrap();
    assert_eq!(refusal(connection.query("SELECT * FROM system_schema.scylla_tables").await).0, 0x2200);
}

#[tokio::test]
async fn events_tell_of_the_schema_and_of_no_node() {
    let world = World::new("events", &[], "GRANT ALL ON KEYSPACE $ks TO GROUP \"team\";").await;
    let alice = world.person("alice").await;
    world.group("team", &[&alice]).await;
    let mut listening = world.connect("alice").await;
    let types = Body::new().string_list(&["SCHEMA_CHANGE", "TOPOLOGY_CHANGE", "STATUS_CHANGE"]);
    let ready = listening.peer().ask(&Envelope::request(1, opcode::REGISTER, types)).await.unwrap();
    assert_eq!(ready.opcode, opcode::READY);
    let mut connection = world.connect("alice").await;
    connection.query(&world.cql("CREATE TABLE $ks.t (k int PRIMARY KEY)")).await.unwrap();
    loop {
        let event = listening.peer().answer().await.unwrap();
        assert_eq!((event.opcode, event.stream), (opcode::EVENT, -1));
        assert!(!shows(&event.body, world.node.addr()));
        let body = String::from_utf8_lossy(&event.body).into_owned();
        assert!(body.contains("SCHEMA_CHANGE"), "{body}");
        if body.contains("CREATED") && body.contains(&world.keyspace) {
            break;
        }
    }
}
