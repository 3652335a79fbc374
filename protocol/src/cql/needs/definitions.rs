//! What CREATE, ALTER and DROP need.

use super::{Scope, changes};
use crate::cql::need::{Need, Needs};
use crate::cql::permission::Permission;
use crate::cql::refusal::Refusal;
use crate::cql::resource::Resource;
use crate::cql::schema::Schema;
use crate::cql::statement::Statement;

impl<'s, S: Schema> Scope<'s, S> {
    pub(super) fn definition<'a>(&self, statement: &Statement<'a>) -> Result<Needs<'a>, Refusal>
    where
        's: 'a,
    {
        let need = match statement {
            Statement::CreateKeyspace(keyspace) => {
                let create = |resource, why| Need::new(Permission::Create, resource, why);
                let mut needs = Needs::one(create(Resource::AllKeyspaces, "creates a keyspace"));
                needs.named.push(create(Resource::Keyspace(keyspace.clone()), "names the keyspace"));
                return Ok(needs);
            }
            Statement::DropKeyspace(keyspace) => {
                changes(Permission::Drop, Resource::Keyspace(keyspace.clone()), "drops the keyspace")?
            }
            Statement::CreateTable(table) => {
                let resource = Resource::AllTables(self.resolve(table)?);
                changes(Permission::Create, resource, "creates a table in the keyspace")?
            }
            Statement::DropTable(table) => changes(Permission::Drop, self.table(table)?, "drops the table")?,
            other => return Err(Refusal::NotJudged(other.kind())),
        };
        Ok(Needs::one(need))
    }
}
