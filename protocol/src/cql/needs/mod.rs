//! What a statement needs to be permitted: pure data from the statement, the keyspace in use and the schema.
//!
//! In: a [`Statement`], the keyspace that names without one take, a view of the schema. Out: the needs in
//! the order in which Cassandra checks them, or a [`Refusal`]. As in Cassandra, statements on rows name
//! what must exist (an unknown table is INVALID before any check), TRUNCATE and definitions do not.

mod access;
mod calls;
mod candidates;
mod columns;
mod definitions;
mod masks;
mod order;
mod rows;
mod typing;

pub use columns::unknown_column;
use rows::Rows;

use super::need::{Need, Needs};
use super::permission::Permission;
use super::refusal::Refusal;
use super::resource::{Resource, is_local_system_keyspace, is_system_keyspace};
use super::schema::Schema;
use super::statement::{Name, Statement, TableName};

/// What `statement` needs, in the order in which Cassandra checks it. `keyspace` is the one that names
/// without a keyspace take: the request's own, or the session's; the session's alone where
/// [`Statement::takes_session_keyspace`].
///
/// # Errors
/// A [`Refusal`] where nothing can be permitted, or where something must be found out first.
pub fn needs<'a>(
    statement: &Statement<'a>,
    keyspace: Option<&'a str>,
    schema: &'a impl Schema,
) -> Result<Needs<'a>, Refusal> {
    let scope = Scope { keyspace, schema };
    match statement {
        Statement::Select(select) => scope.select(select, &Rows::new(statement)),
        Statement::Insert(change) | Statement::Update(change) | Statement::Delete(change) => {
            let mut needs = Needs::default();
            scope.change(change, &Rows::new(statement), 0, &mut needs)?;
            Ok(needs)
        }
        Statement::Batch(batch) => {
            let mut needs = Needs::default();
            let rows = Rows::new(statement);
            for (place, child) in batch.children.iter().enumerate() {
                scope.change(child, &rows, place, &mut needs)?;
            }
            Ok(needs)
        }
        Statement::Truncate(table) => {
            let resource = scope.table(table)?;
            Ok(Needs::one(Need::new(Permission::Modify, resource, "truncates the table")))
        }
        Statement::Definition(definition) => scope.definition(definition),
        Statement::Access(access) => scope.access(access),
        // Nobody needs a permission for these; Cassandra describes whatever there is to everybody.
        Statement::Use(_) | Statement::Describe(_) => Ok(Needs::default()),
    }
}

/// What an INSERT, UPDATE or DELETE needs as a child of a BATCH message: where its condition is not met, the answer
/// holds the keys of the rows, too. Of any other statement it is what [`needs`] says.
///
/// # Errors
/// As [`needs`].
pub fn child_needs<'a>(
    statement: &Statement<'a>,
    keyspace: Option<&'a str>,
    schema: &'a impl Schema,
) -> Result<Needs<'a>, Refusal> {
    match statement {
        Statement::Insert(change) | Statement::Update(change) | Statement::Delete(change) => {
            let mut needs = Needs::default();
            Scope { keyspace, schema }.change(change, &Rows::of_child(statement), 0, &mut needs)?;
            Ok(needs)
        }
        other => needs(other, keyspace, schema),
    }
}

/// Where names are looked up.
struct Scope<'s, S> {
    keyspace: Option<&'s str>,
    schema: &'s S,
}

impl<'s, S: Schema> Scope<'s, S> {
    /// The keyspace of a name that may lack one.
    fn keyspace_of<'a>(&self, keyspace: Option<&Name<'a>>) -> Result<Name<'a>, Refusal>
    where
        's: 'a,
    {
        match (keyspace, self.keyspace) {
            (Some(keyspace), _) => Ok(keyspace.clone()),
            (None, Some(keyspace)) => Ok(Name::Borrowed(keyspace)),
            (None, None) => Err(Refusal::NoKeyspace),
        }
    }

    fn resolve<'a>(&self, table: &TableName<'a>) -> Result<Name<'a>, Refusal>
    where
        's: 'a,
    {
        self.keyspace_of(table.keyspace.as_ref())
    }

    fn table<'a>(&self, table: &TableName<'a>) -> Result<Resource<'a>, Refusal>
    where
        's: 'a,
    {
        Ok(Resource::Table { keyspace: self.resolve(table)?, table: table.name.clone() })
    }
}

/// A permission to change a definition; nobody does that to Cassandra's own keyspaces, except that ALTER
/// reaches the replication of those that the nodes share.
fn changes<'a>(
    permission: Permission,
    resource: Resource<'a>,
    why: &'static str,
) -> Result<Need<'a>, Refusal> {
    match resource.keyspace() {
        Some(keyspace) if is_local_system_keyspace(keyspace) => {
            Err(Refusal::SystemKeyspace(keyspace.to_owned()))
        }
        Some(keyspace) if is_system_keyspace(keyspace) => match resource {
            Resource::Keyspace(_) if permission == Permission::Alter => {
                Ok(Need::new(permission, resource, why))
            }
            resource => Err(Refusal::SystemResource(permission, resource.into_owned())),
        },
        _ => Ok(Need::new(permission, resource, why)),
    }
}
