//! Whether two readings of a text are the same: kind, names, children.

use cqlgate_protocol::cql::Statement;
use cqlgate_protocol::cql::statement::{Definition, Modification, TableName};
use cqlgate_testkit::cassandra::Read;
use serde_json::{Value, json};

/// The audit type of a class of Cassandra's.
fn kind(class: &str) -> &str {
    let outer = class.split('$').next().unwrap();
    match outer.strip_suffix("Statement").unwrap() {
        "Select" => "SELECT",
        "Update" => "UPDATE",
        "Delete" => "DELETE",
        "Batch" => "BATCH",
        "Truncate" => "TRUNCATE",
        "Use" => "USE_KEYSPACE",
        "CreateKeyspace" => "CREATE_KEYSPACE",
        "AlterKeyspace" => "ALTER_KEYSPACE",
        "DropKeyspace" => "DROP_KEYSPACE",
        "CreateTable" => "CREATE_TABLE",
        "AlterTable" => "ALTER_TABLE",
        "DropTable" => "DROP_TABLE",
        "CreateIndex" => "CREATE_INDEX",
        "DropIndex" => "DROP_INDEX",
        "CreateView" => "CREATE_VIEW",
        "AlterView" => "ALTER_VIEW",
        "DropView" => "DROP_VIEW",
        "CreateType" => "CREATE_TYPE",
        "AlterType" => "ALTER_TYPE",
        "DropType" => "DROP_TYPE",
        "CreateFunction" => "CREATE_FUNCTION",
        "DropFunction" => "DROP_FUNCTION",
        "CreateAggregate" => "CREATE_AGGREGATE",
        "DropAggregate" => "DROP_AGGREGATE",
        "CreateTrigger" => "CREATE_TRIGGER",
        "DropTrigger" => "DROP_TRIGGER",
        "CreateRole" => "CREATE_ROLE",
        "AlterRole" => "ALTER_ROLE",
        "DropRole" => "DROP_ROLE",
        "ListRoles" | "ListUsers" => "LIST_ROLES",
        "GrantRole" | "GrantPermissions" => "GRANT",
        "RevokeRole" | "RevokePermissions" => "REVOKE",
        "ListPermissions" => "LIST_PERMISSIONS",
        "AddIdentity" => "CREATE_IDENTITY",
        "DropIdentity" => "DROP_IDENTITY",
        "Describe" => "DESCRIBE",
        _ => class,
    }
}

/// Compares a statement as cqlgate reads it with the same as Cassandra does; `Err` is what differs here.
pub(super) fn agree(our: &Statement<'_>, their: &Read) -> Result<(), String> {
    same("kind", our.kind().as_str(), kind(&their.class))?;
    match our {
        Statement::Select(select) => table(&select.table, their),
        Statement::Insert(change) | Statement::Update(change) | Statement::Delete(change) => {
            modification(change, their)
        }
        Statement::Batch(batch) => {
            same("number of children", &batch.children.len(), &their.children.len())?;
            batch.children.iter().zip(&their.children).try_for_each(|(our, their)| modification(our, their))
        }
        Statement::Truncate(name) => table(name, their),
        Statement::Use(name) => same("keyspace", &json!(name), field(their, "keyspace")),
        Statement::Definition(Definition::CreateTable(name) | Definition::DropTable(name)) => {
            table(name, their)
        }
        Statement::Definition(Definition::CreateKeyspace(name) | Definition::DropKeyspace(name)) => {
            same("keyspace", &json!(name), field(their, "keyspaceName"))
        }
        Statement::Definition(_) | Statement::Access(_) | Statement::Describe(_) => Ok(()),
    }
}

fn modification(our: &Modification<'_>, their: &Read) -> Result<(), String> {
    table(&our.table, their)
}

fn table(our: &TableName<'_>, their: &Read) -> Result<(), String> {
    let name = if their.fields.contains_key("qualifiedName") { "qualifiedName" } else { "name" };
    same("table", &json!([our.keyspace, our.name]), field(their, name))
}

fn field<'a>(of: &'a Read, name: &str) -> &'a Value {
    of.fields.get(name).unwrap_or(&Value::Null)
}

fn same<T: PartialEq + std::fmt::Debug + ?Sized>(what: &str, our: &T, their: &T) -> Result<(), String> {
    if our == their { Ok(()) } else { Err(format!("{what}: {our:?} here, {their:?} there")) }
}
