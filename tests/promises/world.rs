//! What most promises are tried on: a real node, an issuer, a gateway in front of the node, and people.

use std::time::Duration;

use cqlgate_testkit::Cassandra;
use cqlgate_testkit::cql::{Cql, CqlError};
use cqlgate_testkit::gateway::{Gateway, Settings};
use cqlgate_testkit::issuer::Issuer;
use serde_json::{Value, json};

/// A gateway with a directory of its own in front of the shared node.
pub(crate) struct World {
    /// The node itself, for what is done behind the gateway.
    pub(crate) node: &'static Cassandra,
    pub(crate) issuer: Issuer,
    pub(crate) gateway: Gateway,
    /// A keyspace of this test's own.
    pub(crate) keyspace: String,
}

impl World {
    /// With this policy and these tables, in which `$ks` stands for the test's keyspace.
    pub(crate) async fn new(hint: &str, schema: &[&str], policy: &str) -> Self {
        Self::with(hint, schema, policy, |settings| settings).await
    }

    /// The same, with other settings.
    pub(crate) async fn with(
        hint: &str,
        schema: &[&str],
        policy: &str,
        change: impl FnOnce(Settings) -> Settings,
    ) -> Self {
        let node = Cassandra::shared().await;
        let issuer = Issuer::start().await.unwrap();
        let keyspace = node.keyspace(hint).await;
        // Before the gateway starts, so that it knows them when it is ready.
        for statement in schema {
            node.run(&[&statement.replace("$ks", &keyspace)]).await.unwrap();
        }
        let settings = Settings::for_node(env!("CARGO_BIN_EXE_cqlgate"), issuer.url(), node)
            .await
            .policy(policy.replace("$ks", &keyspace));
        let gateway = Gateway::start(change(settings)).await.unwrap();
        Self { node, issuer, gateway, keyspace }
    }

    /// `text` with the test's keyspace for `$ks`.
    pub(crate) fn cql(&self, text: &str) -> String {
        text.replace("$ks", &self.keyspace)
    }

    /// Pushes a person; their `externalId` and their tokens' `sub` is `<name>-sub`. Returns the SCIM id.
    pub(crate) async fn person(&self, name: &str) -> String {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": name, "externalId": format!("{name}-sub"), "active": true,
        });
        self.create("/Users", &body).await
    }

    /// Pushes a group with these members. Returns the SCIM id.
    pub(crate) async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<_> = members.iter().map(|id| json!({ "value": id })).collect();
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": name, "members": members,
        });
        self.create("/Groups", &body).await
    }

    async fn create(&self, path: &str, body: &Value) -> String {
        let response = self.gateway.scim("POST", path, Some(body)).await.unwrap();
        assert_eq!(response.status, 201, "{path}: {response:?}");
        response.json()["id"].as_str().unwrap().to_owned()
    }

    /// `PATCHes` with one operation.
    pub(crate) async fn patch(&self, path: &str, operation: Value) {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [operation],
        });
        let response = self.gateway.scim("PATCH", path, Some(&body)).await.unwrap();
        assert!(matches!(response.status, 200 | 204), "{path}: {response:?}");
    }

    /// A token for a person.
    pub(crate) fn token(&self, name: &str) -> String {
        self.issuer
            .token(&format!("{name}-sub"))
            .audience("cassandra")
            .lifetime(Duration::from_mins(10))
            .sign()
    }

    /// A connection through the gateway, logged in as a person.
    pub(crate) async fn connect(&self, name: &str) -> Cql {
        Cql::connect(self.gateway.cql_addr(), name, &self.token(name)).await.unwrap()
    }
}

/// The code and text of a refusal.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, CqlError>) -> (u32, String) {
    match result {
        Err(CqlError::Server { code, message, .. }) => (code, message),
        other => panic!("no refusal: {other:?}"),
    }
}
