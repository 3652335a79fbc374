//! What statements on rows need.

use std::borrow::Cow;

use super::Scope;
use crate::cql::functions::is_native;
use crate::cql::need::{Need, Needs};
use crate::cql::permission::Permission;
use crate::cql::refusal::Refusal;
use crate::cql::resource::{Resource, is_readable_by_all};
use crate::cql::schema::{Relation, RelationKind, Schema};
use crate::cql::statement::{FunctionName, Modification, Name, Select};

impl<'s, S: Schema> Scope<'s, S> {
    /// A table or view that must exist and must not be masked.
    fn relation(&self, keyspace: &str, table: &str) -> Result<Relation<'s>, Refusal> {
        let Some(relation) = self.schema.relation(keyspace, table) else {
            return Err(if self.schema.has_keyspace(keyspace) {
                Refusal::UnknownTable { keyspace: keyspace.to_owned(), table: table.to_owned() }
            } else {
                Refusal::UnknownKeyspace(keyspace.to_owned())
            });
        };
        let base_masked = match relation.kind {
            RelationKind::View { base } => {
                self.schema.relation(keyspace, base).is_none_or(|base| base.masked)
            }
            RelationKind::Table { .. } => false,
        };
        if relation.masked || base_masked {
            return Err(Refusal::Masked { keyspace: keyspace.to_owned(), table: table.to_owned() });
        }
        Ok(relation)
    }

    /// Every function must be a native one. An unqualified name is looked up in the table's keyspace too,
    /// where a user function may take a native one's place.
    fn functions(&self, functions: &[FunctionName<'_>], keyspace: &str) -> Result<(), Refusal> {
        for function in functions {
            let native = match function.keyspace.as_deref() {
                Some("system") => true,
                Some(_) => false,
                None => {
                    is_native(&function.name) && self.schema.functions(keyspace, &function.name).is_empty()
                }
            };
            if !native {
                let name = match &function.keyspace {
                    Some(keyspace) => format!("{keyspace}.{}", function.name),
                    None => function.name.clone().into_owned(),
                };
                return Err(Refusal::Function { name });
            }
        }
        Ok(())
    }

    pub(super) fn select<'a>(&self, select: &Select<'a>) -> Result<Needs<'a>, Refusal>
    where
        's: 'a,
    {
        let keyspace = self.resolve(&select.table)?;
        let table = &select.table.name;
        let named = |keyspace: Name<'a>, why| {
            Need::new(Permission::Select, Resource::Table { keyspace, table: table.clone() }, why)
        };
        let mut needs = Needs::default();
        if is_readable_by_all(&keyspace, table) {
            self.functions(&select.functions, &keyspace)?;
            needs.named.push(named(keyspace, "names the table"));
            return Ok(needs);
        }
        let relation = self.relation(&keyspace, table)?;
        self.functions(&select.functions, &keyspace)?;
        let (table, why) = match relation.kind {
            RelationKind::Table { .. } => (table.clone(), "reads the table"),
            RelationKind::View { base } => {
                needs.named.push(named(keyspace.clone(), "names the view"));
                (Cow::Borrowed(base), "reads a view of the table")
            }
        };
        needs.needs.push(Need::new(Permission::Select, Resource::Table { keyspace, table }, why));
        Ok(needs)
    }

    pub(super) fn change<'a>(&self, change: &Modification<'a>, needs: &mut Needs<'a>) -> Result<(), Refusal>
    where
        's: 'a,
    {
        let keyspace = self.resolve(&change.table)?;
        let relation = self.relation(&keyspace, &change.table.name)?;
        self.functions(&change.functions, &keyspace)?;
        let resource = |table: Name<'a>| Resource::Table { keyspace: keyspace.clone(), table };
        let table = resource(change.table.name.clone());
        needs.add(Need::new(Permission::Modify, table.clone(), "changes the table"));
        // A node refuses to write to a view, after the same check.
        let views = match relation.kind {
            RelationKind::Table { views } => views,
            RelationKind::View { .. } => &[],
        };
        if change.conditional {
            needs.add(Need::new(Permission::Select, table, "a conditional write reads the table"));
        } else if !views.is_empty() {
            needs.add(Need::new(Permission::Select, table, "a write to a table with views reads it"));
        }
        for view in views {
            let why = "a write to the table writes its view";
            needs.add(Need::new(Permission::Modify, resource(Cow::Borrowed(view)), why));
        }
        Ok(())
    }
}
