//! The node's side: roles and their grants written into the node's own tables, and what its audit log says.
//!
//! GRANT would refuse what a case may need (on a system keyspace, on what does not exist) and cost a check
//! each; rows cost neither.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use super::plan::Principal;
use crate::Cassandra;
use crate::cassandra::Options;
use crate::cql::{Answer, Cql};
use crate::trouble::{During, Result, Trouble};

/// Every role's password.
pub(super) const PASSWORD: &str = "p";
/// A line of the audit log is there when the answer is, or a moment later.
const AUDIT_PAUSE: Duration = Duration::from_millis(2);
const AUDIT_PAUSES: u32 = 50;

/// A node that is run against directly.
#[derive(Debug)]
pub struct Direct {
    /// The node.
    pub node: Cassandra,
    root: Cql,
    audit: File,
    /// What was read of the audit log's last line.
    rest: String,
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
        let audit = File::open(node.folder().join("logs/audit.log")).during("opening the audit log")?;
        let mut direct = Self { node, root, audit, rest: String::new(), hash };
        let gate =
            format!("CREATE ROLE gate WITH PASSWORD = '{PASSWORD}' AND LOGIN = true AND SUPERUSER = true");
        direct.root(&gate).await?;
        Ok(direct)
    }

    /// Name and password of a superuser for the gateway: nothing is refused behind it.
    pub fn account() -> (&'static str, &'static str) {
        ("gate", PASSWORD)
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
        let (name, hash, superuser) = (&principal.name, &self.hash, principal.superuser);
        self.root(&format!(
            "INSERT INTO system_auth.roles (role, can_login, is_superuser, salted_hash, member_of) \
             VALUES ('{name}', true, {superuser}, '{hash}', {{}})"
        ))
        .await?;
        self.root(&format!("DELETE FROM system_auth.role_permissions WHERE role = '{name}'")).await?;
        let mut by_resource: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for grant in &principal.grants {
            let resource = grant.resource_name()?.replace("$me", name);
            by_resource.entry(resource).or_default().push(&grant.permission);
        }
        for (resource, permissions) in by_resource {
            self.root(&format!(
                "INSERT INTO system_auth.role_permissions (role, resource, permissions) \
                 VALUES ('{name}', '{resource}', {{'{}'}})",
                permissions.join("', '")
            ))
            .await?;
        }
        Ok(())
    }

    /// What the audit log recorded since the last call of the statement that this role ran.
    pub(super) async fn recorded(&mut self, role: &str) -> Result<Option<Recorded>> {
        let user = format!("user:{role}|");
        for _ in 0..AUDIT_PAUSES {
            self.audit.read_to_string(&mut self.rest).during("reading the audit log")?;
            let whole = self.rest.rfind('\n').map_or(0, |at| at + 1);
            let lines: String = self.rest.drain(..whole).collect();
            let of_role = lines.lines().filter(|line| line.contains(&user)).filter_map(parse);
            let mut statements =
                of_role.filter(|line| line.kind != "PREPARE_STATEMENT" && !line.kind.starts_with("LOGIN_"));
            if let Some(last) = statements.next_back() {
                return Ok(Some(last));
            }
            tokio::time::sleep(AUDIT_PAUSE).await;
        }
        Ok(None)
    }
}

/// `user:..|host:..|..|type:SELECT|category:QUERY|ks:k|scope:t|operation:..`
fn parse(line: &str) -> Option<Recorded> {
    let (fields, _) = line.split_once("|operation:").unwrap_or((line, ""));
    let field = |name: &str| {
        let mut values = fields.split('|').filter_map(|field| field.split_once(':'));
        values.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    Some(Recorded { kind: field("type")?, keyspace: field("ks"), scope: field("scope") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_audit_log_is_read() {
        let line = "user:p1|host:127.0.0.1:7000|source:/127.0.0.1|port:1|timestamp:1|type:SELECT|\
                    category:QUERY|ks:o1|scope:p|operation:SELECT 'type:x|ks:y' FROM o1.p";
        let recorded = parse(line).unwrap();
        assert_eq!((recorded.kind.as_str(), recorded.keyspace.as_deref()), ("SELECT", Some("o1")));
        assert_eq!(recorded.scope.as_deref(), Some("p"));
        assert_eq!(parse("nothing"), None);
    }
}
