//! The account that a gateway uses: the same grants here, in the README and in what `cqlgate check` prints.

use super::Cassandra;
use crate::trouble::{During, Result};

/// The service account's role.
pub const SERVICE_ROLE: &str = "cqlgate";

/// Every GRANT that the service account needs.
pub const SERVICE_GRANTS: [&str; 14] = [
    "GRANT CREATE ON ALL KEYSPACES TO cqlgate",
    "GRANT ALTER ON ALL KEYSPACES TO cqlgate",
    "GRANT DROP ON ALL KEYSPACES TO cqlgate",
    "GRANT SELECT ON ALL KEYSPACES TO cqlgate",
    "GRANT MODIFY ON ALL KEYSPACES TO cqlgate",
    "GRANT AUTHORIZE ON ALL KEYSPACES TO cqlgate",
    "GRANT UNMASK ON ALL KEYSPACES TO cqlgate",
    "GRANT SELECT_MASKED ON ALL KEYSPACES TO cqlgate",
    "GRANT ALL ON ALL FUNCTIONS TO cqlgate",
    "GRANT ALL ON ALL ROLES TO cqlgate",
    "GRANT SELECT ON TABLE system_auth.roles TO cqlgate",
    "GRANT SELECT ON TABLE system_auth.role_members TO cqlgate",
    "GRANT SELECT ON TABLE system_auth.identity_to_role TO cqlgate",
    "GRANT SELECT ON TABLE system.prepared_statements TO cqlgate",
];

/// Creates it; returns its password.
pub(super) async fn create(node: &Cassandra) -> Result<String> {
    let password = format!("service-{}", std::process::id());
    let mut cql = node.superuser().await?;
    let role = format!(
        "CREATE ROLE {SERVICE_ROLE} WITH PASSWORD = '{password}' AND LOGIN = true AND SUPERUSER = false"
    );
    cql.query(&role).await.during("creating the service account")?;
    for grant in SERVICE_GRANTS {
        cql.query(grant).await.during(grant)?;
    }
    Ok(password)
}
