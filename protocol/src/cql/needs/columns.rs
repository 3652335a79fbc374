//! Columns that a statement about rows names and its table does not have: INVALID for everybody.

use super::Scope;
use crate::cql::keyword::{Class, Keyword};
use crate::cql::refusal::Refusal;
use crate::cql::schema::{Relation, Schema};
use crate::cql::statement::tree::{Node, NodeId, Place, Row, Tree};
use crate::cql::statement::{Statement, TableName};

/// The first column that a statement about rows names and its table does not have, in the words of a node. To a
/// caller who lacks a permission a node says this first; the statement is read again for it, so it is asked
/// only then. `None` also where the table's columns are not known, and for all other statements.
pub fn unknown_column(
    statement: &Statement<'_>,
    keyspace: Option<&str>,
    schema: &impl Schema,
) -> Option<Refusal> {
    let scope = Scope { keyspace, schema };
    let tree = statement.details()?;
    let tables: Vec<&TableName<'_>> = match statement {
        Statement::Batch(batch) => batch.children.iter().map(|child| &child.table).collect(),
        other => other.table().into_iter().collect(),
    };
    tables.into_iter().zip(&tree.rows).find_map(|(table, row)| {
        let keyspace = scope.resolve(table).ok()?;
        let relation = schema.relation(&keyspace, &table.name)?;
        let column = first_unknown(&tree, row, relation)?;
        Some(Refusal::UnknownColumn {
            keyspace: keyspace.into_owned(),
            table: table.name.clone().into_owned(),
            column: written(column),
        })
    })
}

fn first_unknown<'t>(tree: &'t Tree<'_>, row: &'t Row<'_>, relation: Relation<'_>) -> Option<&'t str> {
    if relation.columns.is_empty() {
        return None;
    }
    let unknown = |name: &&'t str| relation.column(name).is_none();
    let selected = selected(tree, row).into_iter().find(unknown);
    // A node looks at the conditions first, then at what is written, then at the restrictions.
    let turn = |place| match place {
        Place::If(_) => 0,
        Place::Insert | Place::Set | Place::Delete => 1,
        Place::Where(_) | Place::WhereTuple | Place::WhereToken | Place::WhereIndex => 2,
        Place::GroupBy | Place::OrderBy => 3,
    };
    selected.or_else(|| {
        let mut parts: Vec<_> = row.uses.iter().collect();
        parts.sort_by_key(|part| turn(part.place));
        parts.into_iter().flat_map(|part| tree.columns(part.columns).map(|name| &**name)).find(unknown)
    })
}

/// The columns of a selection, in the order of the text. The keys in braces may be names of fields.
fn selected<'t>(tree: &'t Tree<'_>, row: &Row<'_>) -> Vec<&'t str> {
    let mut found = Vec::new();
    let mut open: Vec<NodeId> = Vec::new();
    let push = |open: &mut Vec<NodeId>, first: NodeId| {
        let start = open.len();
        open.extend(tree.list(first));
        open.get_mut(start..).unwrap_or_default().reverse();
    };
    push(&mut open, row.selected);
    while let Some(id) = open.pop() {
        match tree.node(id) {
            Some(Node::Column(name)) => found.push(&**name),
            Some(Node::Braces(first)) => {
                for entry in tree.list(*first) {
                    match tree.node(entry) {
                        Some(Node::Tuple(key)) => open.extend(tree.list(*key).skip(1)),
                        _ => open.push(entry),
                    }
                }
            }
            _ => {
                let [operands, keys] = tree.below(id);
                push(&mut open, keys);
                push(&mut open, operands);
            }
        }
    }
    found
}

/// A name as a node writes it: quoted unless it needs no quotes.
fn written(name: &str) -> String {
    let mut bytes = name.bytes();
    let plain = bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let reserved = Keyword::lookup(name.as_bytes()).is_some_and(|keyword| keyword.class() == Class::Reserved);
    if plain && !reserved { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_a_node_does() {
        for (name, as_written) in [
            ("q", "q"),
            ("a1_b", "a1_b"),
            ("K", "\"K\""),
            ("", "\"\""),
            ("SELECT", "\"SELECT\""),
            ("select", "\"select\""),
            ("json", "json"),
            ("a\"b", "\"a\"\"b\""),
            ("1a", "\"1a\""),
        ] {
            assert_eq!(written(name), as_written);
        }
    }
}
