//! What statements on rows need: on their tables, on the views of those, on the functions that they call, on
//! masked columns.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::Scope;
use super::calls::Calls;
use super::masks::Masks;
use crate::cql::functions::is_native;
use crate::cql::need::{Need, Needs};
use crate::cql::permission::Permission;
use crate::cql::refusal::Refusal;
use crate::cql::resource::{Resource, is_readable_by_all};
use crate::cql::schema::{Relation, RelationKind, Schema};
use crate::cql::statement::tree::{Node, Place, Row, Tree};
use crate::cql::statement::{FunctionName, Modification, Name, Select, Statement};

/// A statement about rows, and what a second reading tells of it: read when that decides something.
pub(super) struct Rows<'r, 'a> {
    statement: &'r Statement<'a>,
    /// Whether what is not applied is answered as a batch: with the keys of the rows.
    in_batch: bool,
    tree: OnceCell<Option<Tree<'a>>>,
}

impl<'r, 'a> Rows<'r, 'a> {
    pub(super) fn new(statement: &'r Statement<'a>) -> Self {
        Self { statement, in_batch: matches!(statement, Statement::Batch(_)), tree: OnceCell::new() }
    }

    /// Of a statement that is a child of a BATCH message.
    pub(super) fn of_child(statement: &'r Statement<'a>) -> Self {
        Self { in_batch: true, ..Self::new(statement) }
    }

    /// What is recorded of the statement's row at a place; 0 unless it is a batch.
    fn details(&self, place: usize) -> Option<(&Tree<'a>, &Row<'a>)> {
        let tree = self.tree.get_or_init(|| self.statement.details()).as_ref()?;
        Some((tree, tree.rows.get(place)?))
    }
}

/// What somebody must hold where a statement cannot be read again: everything. It never happens.
fn everything(needs: &mut Needs<'_>) {
    let why = "calls what cannot be told";
    needs.add(Need::new(Permission::Execute, Resource::AllFunctions, why));
    needs.add(Need::new(Permission::Unmask, Resource::AllKeyspaces, why));
}

impl<'s, S: Schema> Scope<'s, S> {
    /// A table or view that must exist.
    fn relation(&self, keyspace: &str, table: &str) -> Result<Relation<'s>, Refusal> {
        self.schema.relation(keyspace, table).ok_or_else(|| {
            if self.schema.has_keyspace(keyspace) {
                Refusal::UnknownTable { keyspace: keyspace.to_owned(), table: table.to_owned() }
            } else {
                Refusal::UnknownKeyspace(keyspace.to_owned())
            }
        })
    }

    fn masks(&self, keyspace: &str, relation: Relation<'s>) -> Option<Masks<'s>> {
        let base = match relation.kind {
            RelationKind::View { base } => self.schema.relation(keyspace, base),
            RelationKind::Table { .. } => None,
        };
        Masks::of(relation, base)
    }

    /// Whether a call is of a native function and no user function can be meant. An unqualified name is
    /// looked up in the table's keyspace too, where a user function may take a native one's place.
    fn is_plainly_native(&self, function: &FunctionName<'_>, keyspace: &str) -> bool {
        match function.keyspace.as_deref() {
            Some(keyspace) => keyspace == "system",
            None => is_native(&function.name) && self.schema.functions(keyspace, &function.name).is_empty(),
        }
    }

    pub(super) fn select<'a>(&self, select: &Select<'a>, rows: &Rows<'_, 'a>) -> Result<Needs<'a>, Refusal>
    where
        's: 'a,
    {
        let keyspace = self.resolve(&select.table)?;
        let table = &select.table.name;
        let readable = is_readable_by_all(&keyspace, table);
        let relation = match self.relation(&keyspace, table) {
            // Every node has these, whatever is known of them.
            Err(_) if readable => {
                Relation { kind: RelationKind::Table { views: &[] }, columns: &[], masked: false }
            }
            found => found?,
        };
        let resource = |table: Name<'a>| Resource::Table { keyspace: keyspace.clone(), table };
        let named = |why| Need::new(Permission::Select, resource(table.clone()), why);
        let mut needs = Needs::default();
        match relation.kind {
            _ if readable || reads_ids(&keyspace, select, rows) => {
                needs.named.push(named("names the table"));
            }
            RelationKind::Table { .. } => needs.needs.push(named("reads the table")),
            RelationKind::View { base } => {
                needs.named.push(named("names the view"));
                let why = "reads a view of the table";
                needs.needs.push(Need::new(Permission::Select, resource(Cow::Borrowed(base)), why));
            }
        }
        let masks = self.masks(&keyspace, relation);
        let calls = select.calls.functions(select.text, select.release);
        let calls_users = !calls.all(|function| self.is_plainly_native(function, &keyspace));
        if calls_users || masks.is_some() {
            let Some((tree, row)) = rows.details(0) else {
                everything(&mut needs);
                return Ok(needs);
            };
            if calls_users {
                Calls::needs(tree, row, &keyspace, relation, self.schema, &mut needs)?;
            }
            if let Some(masks) = masks {
                masks.select(tree, row, &resource(table.clone()), &mut needs);
            }
        }
        Ok(needs)
    }

    /// Adds what a change needs: the one at a place of a batch, or a statement of its own.
    pub(super) fn change<'a>(
        &self,
        change: &Modification<'a>,
        rows: &Rows<'_, 'a>,
        place: usize,
        needs: &mut Needs<'a>,
    ) -> Result<(), Refusal>
    where
        's: 'a,
    {
        let keyspace = self.resolve(&change.table)?;
        let relation = self.relation(&keyspace, &change.table.name)?;
        let resource = |table: Name<'a>| Resource::Table { keyspace: keyspace.clone(), table };
        let table = || resource(change.table.name.clone());
        needs.add(Need::new(Permission::Modify, table(), "changes the table"));
        // A node refuses to write to a view, after the same check.
        let views = match relation.kind {
            RelationKind::Table { views } => views,
            RelationKind::View { .. } => &[],
        };
        let reads = match (change.conditional, views) {
            (true, _) => Some("a conditional write reads the table"),
            (false, [_, ..]) => Some("a write to a table with views reads it"),
            (false, []) => None,
        };
        if let Some(why) = reads
            && !is_readable_by_all(&keyspace, &change.table.name)
        {
            needs.add(Need::new(Permission::Select, table(), why));
        }
        for view in views {
            let why = "a write to the table writes its view";
            needs.add(Need::new(Permission::Modify, resource(Cow::Borrowed(view)), why));
        }
        let masks = if change.conditional { self.masks(&keyspace, relation) } else { None };
        let calls = change.calls.functions(change.text, change.release);
        let calls_users = !calls.all(|function| self.is_plainly_native(function, &keyspace));
        if calls_users || masks.is_some() {
            let Some((tree, row)) = rows.details(place) else {
                everything(needs);
                return Ok(());
            };
            if calls_users {
                Calls::needs(tree, row, &keyspace, relation, self.schema, needs)?;
            }
            if let Some(masks) = masks {
                masks.conditional(tree, row, rows.in_batch, &table(), needs);
            }
        }
        Ok(())
    }
}

/// Whether a SELECT asks which ids are prepared and nothing else: everybody may. The texts behind them are
/// other people's.
fn reads_ids(keyspace: &str, select: &Select<'_>, rows: &Rows<'_, '_>) -> bool {
    if keyspace != "system" || select.table.name != "prepared_statements" || !select.calls.is_empty() {
        return false;
    }
    let Some((tree, row)) = rows.details(0) else { return false };
    let is_id = |node: Option<&Node<'_>>| matches!(node, Some(Node::Column(name)) if name == "prepared_id");
    let mut selected = tree.list(row.selected);
    let mut named = row.uses.iter().flat_map(|part| tree.list(part.columns));
    !row.star
        && !select.json
        && selected.all(|id| is_id(tree.node(id)))
        && row.uses.iter().all(|part| matches!(part.place, Place::Where(_)))
        && named.all(|id| is_id(tree.node(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_cannot_be_told_needs_every_function_and_sees_every_column() {
        let mut needs = Needs::default();
        everything(&mut needs);
        let asked = needs.needs.iter().map(|need| format!("{} {}", need.permission, need.resource));
        assert!(asked.eq(["EXECUTE <all functions>", "UNMASK <all keyspaces>"]));
    }
}
