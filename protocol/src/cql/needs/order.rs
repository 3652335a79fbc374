//! In which order a node checks the calls of a statement about rows.

use crate::cql::schema::Relation;
use crate::cql::statement::tree::{NodeId, Place, Row, Tree, Use};

/// The nodes of a row statement, its calls in the order of Cassandra's checks: in a selection a function
/// before its arguments, elsewhere behind them; the values of key columns first.
pub(super) fn order(tree: &Tree<'_>, row: &Row<'_>, relation: Relation<'_>) -> Vec<NodeId> {
    let mut found = Vec::new();
    walk(tree, row.selected, true, &mut found);
    let is_key = |part: &Use<'_>| {
        tree.columns(part.columns).next().is_some_and(|name| relation.column(name).is_some_and(|c| c.is_key))
    };
    let group = |part: &Use<'_>| match part.place {
        Place::Where(_) | Place::WhereTuple | Place::WhereToken => u8::from(!is_key(part)),
        Place::Insert | Place::Set | Place::Delete => 2,
        Place::WhereIndex | Place::OrderBy => 3,
        Place::If(_) => 4,
        Place::GroupBy => 5,
    };
    let mut parts: Vec<&Use<'_>> = row.uses.iter().collect();
    parts.sort_by_key(|part| group(part));
    for part in parts {
        if part.place == Place::Insert {
            // The values of key columns are restrictions.
            let keys = tree.columns(part.columns).map(|name| relation.column(name).is_some_and(|c| c.is_key));
            let mut values: Vec<_> =
                tree.list(part.values).zip(keys.chain(std::iter::repeat(false))).collect();
            values.sort_by_key(|(_, key)| !key);
            for (id, _) in values {
                walk_one(tree, id, false, &mut found);
            }
        } else {
            walk(tree, part.key, false, &mut found);
            walk(tree, part.values, part.place == Place::GroupBy, &mut found);
        }
    }
    // Every call stands somewhere in there. Should one not, it is asked for all the same.
    let mut reached = vec![false; row.len()];
    for id in &found {
        if let Some(reached) = reached.get_mut(row.place(*id)) {
            *reached = true;
        }
    }
    let ids = tree.nodes(row).map(|(id, _)| id);
    found.extend(ids.filter(|id| reached.get(row.place(*id)).is_none_or(|reached| !reached)));
    found
}

/// The calls of the list that starts with `first`.
fn walk(tree: &Tree<'_>, first: NodeId, before: bool, found: &mut Vec<NodeId>) {
    for id in tree.list(first) {
        walk_one(tree, id, before, found);
    }
}

/// The calls of one expression: nothing nests so deep that it could not be gone through with a list of what
/// is left to do.
fn walk_one(tree: &Tree<'_>, id: NodeId, before: bool, found: &mut Vec<NodeId>) {
    let mut open = vec![(id, false)];
    while let Some((id, done)) = open.pop() {
        if done || before {
            found.push(id);
        }
        if done {
            continue;
        }
        if !before {
            open.push((id, true));
        }
        let below: Vec<_> = tree.below(id).iter().flat_map(|first| tree.list(*first)).collect();
        open.extend(below.into_iter().rev().map(|id| (id, false)));
    }
}
