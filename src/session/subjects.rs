//! What a statement is about, before anything is known of it.
//!
//! With `strict_names`, who may not touch a table reads the same refusal whether it exists or not: it names
//! what the statement names, never the base of a view or the table of an index.

use std::borrow::Cow;

use cqlgate_protocol::cql::statement::{Definition, Name, TableName};
use cqlgate_protocol::cql::{Need, Permission, Resource, Statement, is_readable_by_all};

/// The permission on the named thing itself; empty where a name is told to nobody or needs no hiding.
pub(super) fn of(statement: &Statement<'_>, keyspace: Option<&str>) -> Box<[Need<'static>]> {
    match statement {
        Statement::Select(select) => on(Permission::Select, &select.table, keyspace),
        Statement::Insert(change) | Statement::Update(change) | Statement::Delete(change) => {
            on(Permission::Modify, &change.table, keyspace)
        }
        Statement::Batch(batch) => {
            let children = batch.children.iter();
            children.flat_map(|child| on(Permission::Modify, &child.table, keyspace)).collect()
        }
        Statement::Definition(definition) => of_definition(definition, keyspace),
        _ => Box::default(),
    }
}

/// Definitions that need nothing where what they name is missing.
fn of_definition(definition: &Definition<'_>, keyspace: Option<&str>) -> Box<[Need<'static>]> {
    let within = |of: &Option<Name<'_>>| of.as_deref().or(keyspace).map(|k| Cow::Owned(k.to_owned()));
    let (permission, resource) = match definition {
        Definition::DropIndex(index) => (Permission::Alter, within(&index.keyspace).map(Resource::AllTables)),
        Definition::AlterView(view) | Definition::DropView(view) => {
            return on(Permission::Alter, view, keyspace);
        }
        Definition::DropFunction(of) | Definition::DropAggregate(of) => {
            (Permission::Drop, within(&of.function.keyspace).map(Resource::FunctionsIn))
        }
        _ => return Box::default(),
    };
    resource.map(|resource| Need::new(permission, resource, WHY)).into_iter().collect()
}

const WHY: &str = "is what the statement names";

fn on(permission: Permission, table: &TableName<'_>, keyspace: Option<&str>) -> Box<[Need<'static>]> {
    let Some(keyspace) = table.keyspace.as_deref().or(keyspace) else { return Box::default() };
    // Everybody reads these; of traces, only their own.
    let open = is_readable_by_all(keyspace, &table.name) && keyspace != "system_traces";
    if permission == Permission::Select && open {
        return Box::default();
    }
    let owned = |name: &str| Cow::Owned(name.to_owned());
    let resource = Resource::Table { keyspace: owned(keyspace), table: owned(&table.name) };
    Box::new([Need::new(permission, resource, WHY)])
}
