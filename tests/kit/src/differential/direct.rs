//! The node's side: roles and their grants written into the node's own tables, and what its audit log says.
//!
//! GRANT would refuse what a case may need (on a system keyspace, on what does not exist) and cost a check
//! each; rows cost neither.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::grant::Grant;
use super::plan::Principal;
use crate::Cassandra;
use crate::cassandra::Options;
use crate::cql::{Answer, Cql};
use crate::trouble::{During, Result, Trouble};

/// Every role's password.
pub(super) const PASSWORD: &str = "p";
/// The gateway's account.
const GATE: &str = "gate";

/// A node that is run against directly.
#[derive(Debug)]
pub struct Direct {
    /// The node.
    pub node: Cassandra,
    root: Cql,
    hash: String,
}

/// What the audit log recorded of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    /// Its type: SELECT, UPDATE, `CREATE_TABLE`, ..
    pub kind: String,
    /// The keyspace.
    pub keyspace: Option<String>,
    /// The object.
    pub scope: Option<String>,
}

impl Direct {
    /// Starts a node whose caches forget at once, whose log-ins are cheap and whose audit log is a file, and
    /// runs these statements, one a line.
    pub async fn start(schema: &str) -> Result<Self> {
        let options = Options {
            extra_yaml: "roles_validity: 0ms\npermissions_validity: 0ms\n\
                         audit_logging_options: {enabled: true, logger: [{class_name: FileAuditLogger}], \
                         excluded_keyspaces: none}\n"
                .into(),
            jvm: vec!["-Dcassandra.auth_bcrypt_gensalt_log2_rounds=4".into()],
            audit_file: true,
            ..Options::default()
        };
        let node = Cassandra::start(options).await?;
        let mut root = node.superuser().await?;
        for line in schema.lines().map(str::trim).filter(|line| !line.is_empty()) {
            root.query(line).await.during(line)?;
        }
        root.query(&format!("CREATE ROLE template WITH PASSWORD = '{PASSWORD}'")).await.during("a role")?;
        let rows = root.rows("SELECT salted_hash FROM system_auth.roles WHERE role = 'template'").await?;
        let hash = rows.texts("salted_hash").pop().ok_or_else(|| Trouble::new("the role has no hash"))?;
        let mut direct = Self { node, root, hash };
        direct.set(&account()).await?;
        Ok(direct)
    }

    /// Name and password of an account for the gateway that may do everything: nothing is refused behind it.
    /// Not a superuser: a node takes other paths for those, one of which ends in an exception.
    pub fn account() -> (&'static str, &'static str) {
        (GATE, PASSWORD)
    }

    /// Runs a statement as the superuser. Did it change the schema?
    pub async fn root(&mut self, statement: &str) -> Result<bool> {
        let answer = self.root.query(statement).await.during(statement)?;
        Ok(matches!(answer, Answer::SchemaChange(_)))
    }

    /// Which view is of which table, by `keyspace.name`.
    pub async fn views(&mut self) -> Result<BTreeMap<String, String>> {
        let rows = self.root.rows("SELECT * FROM system_schema.views").await?;
        let (keyspaces, views) = (rows.texts("keyspace_name"), rows.texts("view_name"));
        let bases = rows.texts("base_table_name");
        let names = keyspaces.iter().zip(views).zip(bases);
        Ok(names.map(|((k, view), base)| (format!("{k}.{view}"), format!("{k}.{base}"))).collect())
    }

    /// Makes a role what it is to be, whatever was done to it: log-in, superuser, its own grants and no others.
    pub(super) async fn set(&mut self, principal: &Principal) -> Result<()> {
        let (name, hash, superuser) = (&principal.name, self.hash.clone(), principal.superuser);
        self.root(&format!("DELETE FROM system_auth.role_permissions WHERE role = '{name}'")).await?;
        let mut by_resource: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for grant in &principal.grants {
            let resource = grant.resource_name()?.replace("$me", name);
            by_resource.entry(resource).or_default().push(&grant.permission);
        }
        let mut batch = format!(
            "BEGIN UNLOGGED BATCH INSERT INTO system_auth.roles (role, can_login, is_superuser, salted_hash, \
             member_of) VALUES ('{name}', true, {superuser}, '{hash}', {{}});"
        );
        for (resource, permissions) in by_resource {
            let _ = write!(
                batch,
                " INSERT INTO system_auth.role_permissions (role, resource, permissions) \
                 VALUES ('{name}', '{resource}', {{'{}'}});",
                permissions.join("', '")
            );
        }
        batch.push_str(" APPLY BATCH");
        self.root(&batch).await?;
        Ok(())
    }

    /// What the audit log recorded of each statement that was served, by role and text.
    pub(super) fn recorded(&self) -> Result<BTreeMap<(String, String), Recorded>> {
        let file = self.node.folder().join("logs/audit.log");
        let text = std::fs::read_to_string(&file).during("reading the audit log")?;
        Ok(text.lines().filter_map(parse).collect())
    }
}

/// The gateway's account: everything on everything, system keyspaces too.
fn account() -> Principal {
    const ROWS: &str = "CREATE ALTER DROP SELECT MODIFY AUTHORIZE UNMASK SELECT_MASKED";
    let mut all = vec![
        ("ALL KEYSPACES".to_owned(), ROWS),
        ("ALL FUNCTIONS".into(), "CREATE ALTER DROP AUTHORIZE EXECUTE"),
        ("ALL ROLES".into(), "CREATE ALTER DROP AUTHORIZE DESCRIBE"),
        ("ALL MBEANS".into(), "AUTHORIZE DESCRIBE EXECUTE MODIFY SELECT"),
    ];
    for name in ["", "_schema", "_views", "_virtual_schema", "_auth", "_traces", "_distributed"] {
        all.push((format!("KEYSPACE system{name}"), ROWS));
    }
    let grants = all.iter().flat_map(|(resource, permissions)| {
        let permissions = permissions.split(' ').map(ToOwned::to_owned);
        permissions.map(|permission| Grant { permission, resource: resource.clone() })
    });
    Principal { name: GATE.into(), grants: grants.collect(), superuser: false }
}

/// `user:..|host:..|..|type:SELECT|category:QUERY|ks:k|scope:t|operation:..`; `None` for a line that is about
/// no statement that was served.
fn parse(line: &str) -> Option<((String, String), Recorded)> {
    let (fields, text) = line.split_once("|operation:")?;
    let field = |name: &str| {
        let mut values = fields.split('|').filter_map(|field| field.split_once(':'));
        values.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    let kind = field("type")?;
    if ["PREPARE_STATEMENT", "REQUEST_FAILURE", "UNAUTHORIZED_ATTEMPT"].contains(&kind.as_str()) {
        return None;
    }
    let recorded = Recorded { kind, keyspace: field("ks"), scope: field("scope") };
    Some(((field("user")?, text.to_owned()), recorded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_audit_log_is_read() {
        let line = "user:p1|host:127.0.0.1:7000|source:/127.0.0.1|port:1|timestamp:1|type:SELECT|\
                    category:QUERY|ks:o1|scope:p|operation:SELECT 'type:x|ks:y' FROM o1.p";
        let ((user, text), recorded) = parse(line).unwrap();
        assert_eq!((user.as_str(), text.as_str()), ("p1", "SELECT 'type:x|ks:y' FROM o1.p"));
        assert_eq!((recorded.kind.as_str(), recorded.keyspace.as_deref()), ("SELECT", Some("o1")));
        assert_eq!(recorded.scope.as_deref(), Some("p"));
        assert_eq!(parse(&line.replace("type:SELECT", "type:REQUEST_FAILURE")), None);
    }
}
