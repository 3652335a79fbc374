//! What CREATE, ALTER and DROP need.

use super::{Scope, changes};
use crate::cql::keyword::Release;
use crate::cql::need::{Need, Needs, Unseen};
use crate::cql::permission::Permission;
use crate::cql::refusal::Refusal;
use crate::cql::resource::{Resource, is_local_system_keyspace, is_system_keyspace};
use crate::cql::schema::{RelationKind, Schema};
use crate::cql::statement::{
    CreateAggregate, CreateFunction, CreateView, Definition, DropFunction, Name, TableName,
};

impl<'s, S: Schema> Scope<'s, S> {
    pub(super) fn definition<'a>(&self, definition: &Definition<'a>) -> Result<Needs<'a>, Refusal>
    where
        's: 'a,
    {
        use Permission::{Alter, Create, Drop};
        let need = match definition {
            Definition::CreateKeyspace(keyspace) => {
                let create = |resource, why| Need::new(Create, resource, why);
                let mut needs = Needs::one(create(Resource::AllKeyspaces, "creates a keyspace"));
                needs.named.push(create(Resource::Keyspace(keyspace.clone()), "names the keyspace"));
                return Ok(needs);
            }
            Definition::AlterKeyspace(keyspace) => {
                changes(Alter, Resource::Keyspace(keyspace.clone()), "changes the keyspace")
            }
            Definition::DropKeyspace(keyspace) => {
                changes(Drop, Resource::Keyspace(keyspace.clone()), "drops the keyspace")
            }
            Definition::CreateTable(table) => {
                changes(Create, self.all_tables(table)?, "creates a table in the keyspace")
            }
            Definition::AlterTable(table) => changes(Alter, self.table(table)?, "changes the table"),
            Definition::DropTable(table) => changes(Drop, self.table(table)?, "drops the table"),
            Definition::CreateType(name) => {
                changes(Create, self.all_tables(name)?, "creates a type in the keyspace")
            }
            Definition::AlterType(name) => {
                changes(Alter, self.all_tables(name)?, "changes a type, which any table there may use")
            }
            Definition::DropType(name) => {
                changes(Drop, self.all_tables(name)?, "drops a type, which any table there may use")
            }
            Definition::CreateIndex(index) => {
                changes(Alter, self.table(&index.table)?, "an index changes its table")
            }
            Definition::DropIndex(index) => {
                let keyspace = self.resolve(index)?;
                let Some(table) = self.schema.index_table(&keyspace, &index.name) else {
                    let (keyspace, name) = (keyspace.into_owned(), index.name.clone().into_owned());
                    return Ok(Needs { unseen: Some(Unseen::Index { keyspace, name }), ..Needs::default() });
                };
                let table = Resource::Table { table: Name::Owned(table.to_owned()), keyspace };
                changes(Alter, table, "dropping an index changes its table")
            }
            Definition::CreateView(create) => return self.create_view(create),
            Definition::AlterView(view) => return self.view(view, Alter, "changes a view of the table"),
            Definition::DropView(view) => return self.view(view, Drop, "drops a view of the table"),
            Definition::CreateFunction(create) => {
                let mut needs = Needs::default();
                self.create_function(create, &mut needs)?;
                return Ok(needs);
            }
            Definition::CreateAggregate(create) => return self.create_aggregate(create),
            Definition::DropFunction(drop) | Definition::DropAggregate(drop) => {
                return self.drop_function(drop);
            }
            Definition::CreateTrigger(trigger) => {
                self.resolve(&trigger.table)?;
                return Err(Refusal::Superuser(
                    "Only superusers are allowed to perform CREATE TRIGGER queries",
                ));
            }
            Definition::DropTrigger(trigger) => {
                self.resolve(&trigger.table)?;
                // In Cassandra's spelling.
                return Err(Refusal::Superuser(
                    "Only superusers are allowed to perfrom DROP TRIGGER queries",
                ));
            }
        };
        Ok(Needs::one(need?))
    }

    /// All tables of the keyspace that a name lies in. Cassandra 4.0 has no such resource and asks for the
    /// same on the keyspace.
    fn all_tables<'a>(&self, name: &TableName<'a>) -> Result<Resource<'a>, Refusal>
    where
        's: 'a,
    {
        let keyspace = self.resolve(name)?;
        let old = self.schema.release() < Release::V4_1 && !is_system_keyspace(&keyspace);
        Ok(if old { Resource::Keyspace(keyspace) } else { Resource::AllTables(keyspace) })
    }

    /// A view lies where its base does: what the base's name lacks is the view's keyspace, and a base that
    /// names another one is refused by the node. Until then it is judged in both.
    fn create_view<'a>(&self, create: &CreateView<'a>) -> Result<Needs<'a>, Refusal>
    where
        's: 'a,
    {
        let keyspace = self.resolve(&create.view)?;
        let base = |keyspace| Resource::Table { keyspace, table: create.base.name.clone() };
        let why = "a view changes the table it is made of";
        let mut needs = Needs::one(changes(Permission::Alter, base(keyspace.clone()), why)?);
        if let Some(other) = &create.base.keyspace {
            needs.add(changes(Permission::Alter, base(other.clone()), why)?);
        }
        let tables = Resource::AllTables(keyspace);
        needs.named.push(Need::new(Permission::Create, tables, "creates a view in the keyspace"));
        Ok(needs)
    }

    /// ALTER and DROP of a view: Cassandra asks for ALTER on its base. Where there is no such view, it asks
    /// for nothing and does nothing.
    fn view<'a>(
        &self,
        view: &TableName<'a>,
        permission: Permission,
        why: &'static str,
    ) -> Result<Needs<'a>, Refusal>
    where
        's: 'a,
    {
        let keyspace = self.resolve(view)?;
        let mut needs = Needs::default();
        if let Some(RelationKind::View { base }) =
            self.schema.relation(&keyspace, &view.name).map(|relation| relation.kind)
        {
            let base = Resource::Table { keyspace: keyspace.clone(), table: Name::Owned(base.to_owned()) };
            needs.needs.push(changes(Permission::Alter, base, why)?);
        } else {
            let (keyspace, table) = (keyspace.clone().into_owned(), view.name.clone().into_owned());
            needs.unseen = Some(Unseen::Table { keyspace, table });
        }
        let view = Resource::Table { keyspace, table: view.name.clone() };
        needs.named.push(Need::new(permission, view, "names the view"));
        Ok(needs)
    }

    /// Adds what making a function or an aggregate needs; returns its keyspace.
    fn create_function<'a>(
        &self,
        create: &CreateFunction<'a>,
        needs: &mut Needs<'a>,
    ) -> Result<Name<'a>, Refusal>
    where
        's: 'a,
    {
        let CreateFunction { function, arguments, .. } = create;
        let keyspace = self.keyspace_of(function.keyspace.as_ref())?;
        if is_local_system_keyspace(&keyspace) {
            return Err(Refusal::SystemFunction(keyspace.into_owned()));
        }
        if create.or_replace {
            for overload in self.overloads(&keyspace, &function.name, arguments) {
                let resource = self::function(&keyspace, &function.name, overload);
                needs.add(Need::new(Permission::Alter, resource, "replaces the function"));
            }
        }
        if create.or_replace && needs.needs.is_empty() {
            needs.unseen = Some(unseen(&keyspace, &function.name));
        }
        if needs.needs.is_empty() || arguments.iter().any(|argument| is_opaque(argument)) {
            let all = Resource::FunctionsIn(keyspace.clone());
            needs.add(Need::new(Permission::Create, all, "creates a function in the keyspace"));
        }
        Ok(keyspace)
    }

    fn create_aggregate<'a>(&self, create: &CreateAggregate<'a>) -> Result<Needs<'a>, Refusal>
    where
        's: 'a,
    {
        let mut needs = Needs::default();
        let keyspace = self.create_function(&create.function, &mut needs)?;
        let mut calls = |name: &Name<'a>, arguments: &[String], why| {
            let resource = function(&keyspace, name, arguments);
            needs.add(Need::new(Permission::Execute, resource, why));
            if arguments.iter().any(|argument| is_opaque(argument)) {
                for overload in self.overloads(&keyspace, name, arguments) {
                    let resource = function(&keyspace, name, overload);
                    needs.add(Need::new(Permission::Execute, resource, why));
                }
            }
        };
        let mut arguments = vec![create.state_type.clone()];
        if let Some(name) = &create.final_function {
            let state = arguments.clone();
            arguments.extend_from_slice(&create.function.arguments);
            calls(&create.state_function, &arguments, "the aggregate calls its state function");
            calls(name, &state, "the aggregate calls its final function");
        } else {
            arguments.extend_from_slice(&create.function.arguments);
            calls(&create.state_function, &arguments, "the aggregate calls its state function");
        }
        Ok(needs)
    }

    /// DROP on every overload that is meant, functions and aggregates alike. Where there is none, Cassandra
    /// asks for nothing and does nothing.
    fn drop_function<'a>(&self, drop: &DropFunction<'a>) -> Result<Needs<'a>, Refusal>
    where
        's: 'a,
    {
        let DropFunction { function, arguments } = drop;
        let keyspace = self.keyspace_of(function.keyspace.as_ref())?;
        if is_local_system_keyspace(&keyspace) {
            return Err(Refusal::SystemFunction(keyspace.into_owned()));
        }
        let mut needs = Needs::default();
        for overload in self.schema.functions(&keyspace, &function.name) {
            if arguments.as_ref().is_none_or(|arguments| may_be(arguments, &overload.arguments)) {
                let resource = self::function(&keyspace, &function.name, &overload.arguments);
                needs.add(Need::new(Permission::Drop, resource, "drops the function"));
            }
        }
        if needs.needs.is_empty() {
            needs.unseen = Some(unseen(&keyspace, &function.name));
        }
        Ok(needs)
    }

    /// The arguments of the functions of that name that a signature means, or may mean.
    fn overloads(
        &self,
        keyspace: &str,
        name: &str,
        arguments: &[String],
    ) -> impl Iterator<Item = &'s [Box<str>]> {
        let functions = self.schema.functions(keyspace, name).iter();
        functions.map(|overload| &*overload.arguments).filter(move |known| may_be(arguments, known))
    }
}

fn unseen(keyspace: &str, name: &str) -> Unseen {
    Unseen::Function { keyspace: keyspace.to_owned(), name: name.to_owned() }
}

fn function<'a>(keyspace: &Name<'a>, name: &Name<'a>, arguments: &[impl AsRef<str>]) -> Resource<'a> {
    let mut joined = String::new();
    for argument in arguments {
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(argument.as_ref());
    }
    Resource::Function { keyspace: keyspace.clone(), name: name.clone(), arguments: Name::Owned(joined) }
}

/// Whether a type holds a class in quotes: only a node knows what type that is.
fn is_opaque(argument: &str) -> bool {
    argument.contains('\'')
}

/// Whether a signature is that of a known function; types that only a node knows may be any.
fn may_be(arguments: &[String], known: &[Box<str>]) -> bool {
    arguments.len() == known.len()
        && arguments.iter().zip(known).all(|(argument, known)| is_opaque(argument) || **argument == **known)
}
