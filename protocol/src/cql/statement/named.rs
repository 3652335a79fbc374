//! What statements about rows name besides their tables: the functions they call, the columns they restrict.
//!
//! In: a statement. Out: names in the order of the text, read again when somebody asks.

use super::Statement;
use super::names::{FunctionName, Name};
use super::tree::{Node, NodeId, Place};

impl<'a> Statement<'a> {
    /// The functions that a statement about rows calls anywhere, those of a batch's children one after the
    /// other; none of any other statement. `count(*)`, casts, operators and `WRITETIME` and its like are no
    /// functions here, and neither is `token(..)` in a WHERE clause.
    pub fn called_functions(&self) -> Vec<FunctionName<'a>> {
        let Some(tree) = self.details() else { return Vec::new() };
        let mut called = Vec::new();
        for row in &tree.rows {
            // What is to be visited, the next at the end.
            let parts = row.uses.iter().flat_map(|part| [part.columns, part.key, part.values]);
            let parts: Vec<_> = std::iter::once(row.selected).chain(parts).collect();
            let mut waiting: Vec<NodeId> = parts.into_iter().flat_map(|first| tree.list(first)).collect();
            waiting.reverse();
            while let Some(id) = waiting.pop() {
                if let Some(Node::Call { function, .. }) = tree.node(id) {
                    called.push(function.clone());
                }
                let below: Vec<_> = tree.below(id).into_iter().flat_map(|first| tree.list(first)).collect();
                waiting.extend(below.into_iter().rev());
            }
        }
        called
    }

    /// The columns that the WHERE clauses of a statement about rows restrict, each as often as it stands
    /// there.
    pub fn restricted_columns(&self) -> Vec<Name<'a>> {
        let Some(tree) = self.details() else { return Vec::new() };
        let is_where = |place| matches!(place, Place::Where(_) | Place::WhereTuple | Place::WhereToken);
        let uses = tree.rows.iter().flat_map(|row| &row.uses).filter(|one| is_where(one.place));
        uses.flat_map(|one| tree.columns(one.columns)).cloned().collect()
    }
}
