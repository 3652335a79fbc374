//! What masked columns need: a node masks by the permissions of the gateway's own account, so whoever is shown
//! one must hold UNMASK here.

use std::borrow::Cow;

use crate::cql::lexer::{TokenKind, next_token};
use crate::cql::need::{Need, Needs, Words};
use crate::cql::permission::Permission;
use crate::cql::resource::Resource;
use crate::cql::schema::{Column, Relation, RelationKind};
use crate::cql::statement::names::{fold, unquote};
use crate::cql::statement::tree::{Node, NodeId, Place, Row, Tree};

/// The masks of a table or view.
#[derive(Clone, Copy)]
pub(super) struct Masks<'s> {
    relation: Relation<'s>,
    /// The table that it is a view of: its masks count too.
    base: Option<Relation<'s>>,
    /// Some mask is known to be there, but not on which column: it may be on any.
    anywhere: bool,
}

impl<'s> Masks<'s> {
    /// The masks of a relation; `None` if it has none.
    pub(super) fn of(relation: Relation<'s>, base: Option<Relation<'s>>) -> Option<Self> {
        let lost = base.is_none() && matches!(relation.kind, RelationKind::View { .. });
        if lost {
            return Some(Self { relation, base, anywhere: true });
        }
        let known = |relation: Relation<'_>| relation.columns.iter().any(|column| column.is_masked);
        let mut masked = [Some(relation), base].into_iter().flatten().filter(|relation| relation.masked);
        let first = masked.next()?;
        let anywhere = !known(first) || masked.any(|relation| !known(relation));
        Some(Self { relation, base, anywhere })
    }

    fn column(&self, column: &Column) -> bool {
        let in_base = |base: Relation<'_>| base.column(&column.name).is_some_and(|column| column.is_masked);
        self.anywhere || column.is_masked || self.base.is_some_and(in_base)
    }

    fn name(&self, name: &str) -> bool {
        match self.relation.column(name) {
            Some(column) => self.column(column),
            // A column that is not known may be one that was added a moment ago.
            None => self.anywhere,
        }
    }

    /// Whether a type begins with the name of a masked column.
    fn begins(&self, cql_type: &str) -> bool {
        let token = next_token(cql_type, 0);
        let word = cql_type.get(token.start..token.end).unwrap_or_default();
        let name = if token.kind == TokenKind::Quoted { unquote(word, '"') } else { fold(word) };
        self.name(&name)
    }

    fn any(&self) -> bool {
        self.anywhere || self.relation.columns.iter().any(|column| self.column(column))
    }

    fn any_key(&self) -> bool {
        self.anywhere || self.relation.columns.iter().any(|column| column.is_key && self.column(column))
    }

    fn any_of(&self, tree: &Tree<'_>, columns: NodeId) -> bool {
        tree.columns(columns).any(|name| self.name(name))
    }

    /// What a SELECT needs on `table`, which is read.
    pub(super) fn select<'n>(
        &self,
        tree: &Tree<'_>,
        row: &Row<'_>,
        table: &Resource<'n>,
        needs: &mut Needs<'n>,
    ) {
        let restricted = self.restricted(tree, row);
        if !restricted.is_empty() {
            let words = Words::MaskedColumns(Cow::Owned(restricted.join(", ")));
            let why = "restricts a masked column";
            let need = Need::new(Permission::SelectMasked, table.clone(), why).saying(words);
            needs.add(Need { or: Some(Permission::Unmask), ..need });
        }
        if self.shown(tree, row) {
            needs.add(Need::new(Permission::Unmask, table.clone(), "shows a masked column"));
        }
    }

    /// The masked columns that a SELECT restricts, in the order in which a node names them.
    fn restricted<'r>(&self, tree: &'r Tree<'_>, row: &Row<'_>) -> Vec<&'r str>
    where
        's: 'r,
    {
        let parts = || {
            row.uses.iter().filter(|part| match part.place {
                Place::Where(_) | Place::WhereTuple | Place::WhereToken => true,
                // ANN OF is a restriction.
                Place::OrderBy => part.values != NodeId::NONE,
                _ => false,
            })
        };
        // The columns of an index expression are the index's, which the text does not say.
        let any = row.uses.iter().any(|part| part.place == Place::WhereIndex);
        let mut found: Vec<&'r str> = Vec::new();
        if any {
            let columns = self.relation.columns;
            found.extend(columns.iter().filter(|column| self.column(column)).map(|column| &*column.name));
        }
        for name in parts().flat_map(|part| tree.columns(part.columns)) {
            if self.name(name) && !found.contains(&&**name) {
                found.push(name);
            }
        }
        if any && found.is_empty() && self.any() {
            found.push("expr(..)");
        }
        in_node_order(&mut found, self.relation.columns.len());
        found
    }

    /// Whether a selection holds a masked column. WRITETIME and TTL say nothing about the value.
    fn shown(&self, tree: &Tree<'_>, row: &Row<'_>) -> bool {
        if row.star {
            return self.any();
        }
        let mut open = vec![row.selected];
        while let Some(first) = open.pop() {
            for id in tree.list(first) {
                match tree.node(id) {
                    Some(Node::Column(name)) if self.name(name) => return true,
                    Some(Node::Attribute(_)) => {}
                    // `(m)['a'..'b']` looks like a type and its value; to a node it is a slice of a column.
                    Some(Node::Typed { cql_type, .. }) if self.begins(cql_type) => return true,
                    _ => open.extend(tree.below(id)),
                }
            }
        }
        false
    }

    /// What a conditional write needs on its table: when it is not applied, its answer shows what is there.
    pub(super) fn conditional<'n>(
        &self,
        tree: &Tree<'_>,
        row: &Row<'_>,
        in_batch: bool,
        table: &Resource<'n>,
        needs: &mut Needs<'n>,
    ) {
        let mut conditions = row.uses.iter().filter(|part| matches!(part.place, Place::If(_)));
        let shown = (row.if_exists && self.any())
            || (in_batch && self.any_key())
            || conditions.any(|part| self.any_of(tree, part.columns));
        if shown {
            let why = "a conditional write that is not applied shows a masked column";
            needs.add(Need::new(Permission::Unmask, table.clone(), why));
        }
    }
}

/// Sorts names of columns as a node lists those of a table: in the order of a Java hash map of their bytes.
fn in_node_order(names: &mut [&str], columns: usize) {
    let mut buckets = 16_usize;
    while columns * 4 > buckets * 3 {
        buckets *= 2;
    }
    let hash = |name: &str| {
        // `ByteBuffer.hashCode` goes from the last byte, signed, to the first.
        let hash = name.bytes().rev().fold(1_u32, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add_signed(i32::from(byte.cast_signed()))
        });
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    };
    names.sort_by(|one, other| hash(one).cmp(&hash(other)).then(one.cmp(other)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_that_is_on_no_known_column_may_be_on_any() {
        let column = |name: &str, is_masked| Column {
            name: name.into(),
            cql_type: "text".into(),
            is_key: false,
            is_masked,
        };
        let (plain, secret) = ([column("a", false)], [column("a", false), column("b", true)]);
        let table = |columns, masked| Relation { kind: RelationKind::Table { views: &[] }, columns, masked };
        let view = |columns, masked| Relation { kind: RelationKind::View { base: "t" }, columns, masked };
        let shows = |relation, base| Masks::of(relation, base).map(|masks| masks.name("a"));
        assert_eq!(shows(table(&plain, false), None), None);
        assert_eq!(shows(table(&secret, true), None), Some(false));
        assert_eq!(shows(table(&plain, true), None), Some(true));
        assert_eq!(shows(view(&plain, false), Some(table(&secret, true))), Some(false));
        assert_eq!(shows(view(&secret, true), Some(table(&plain, true))), Some(true));
        assert_eq!(shows(view(&plain, true), Some(table(&secret, true))), Some(true));
        assert_eq!(shows(view(&plain, false), None), Some(true));
    }

    #[test]
    fn columns_are_listed_as_a_node_does() {
        let mut names = ["id", "name", "ssn", "u"];
        in_node_order(&mut names, 4);
        assert_eq!(names, ["u", "id", "name", "ssn"]);
        // Printed by a `java.util.HashMap<ByteBuffer, String>` of these 12, the most that 16 buckets take.
        let listed = ["ab", "aa", "bb", "c3", "zz", "ba", "c2", "c1", "salary", "pk", "w", "email"];
        let mut names = listed;
        names.sort_unstable();
        in_node_order(&mut names, listed.len());
        assert_eq!(names, listed);
        // The same of these 17.
        let listed = [
            "ab", "aa", "bb", "zz", "ba", "salary", "pk", "email", "c3", "c2", "c1", "w", "x", "y", "ck",
            "z", "phone",
        ];
        let mut names = listed;
        names.sort_unstable();
        in_node_order(&mut names, listed.len());
        assert_eq!(names, listed);
    }
}
