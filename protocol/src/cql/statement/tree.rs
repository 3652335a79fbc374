//! What a second reading of a statement about rows keeps: its expressions as a tree, and for every column that
//! it names in which part of the statement.
//!
//! The first reading keeps nothing of this, so that common statements cost no allocation; the statement is
//! read again when what it calls or which columns it touches decides something. Nodes of a reading that was
//! given up stay behind unreachable: only what a part of the statement refers to counts.

use super::names::{FunctionName, Name};
use super::relation::Operator;
use crate::cql::lexer::TokenKind;

/// A node of a [`Tree`], or none. Nodes that belong together form a list by way of their successors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

impl NodeId {
    /// No node: nothing stands there, or nothing was recorded.
    pub(crate) const NONE: Self = Self(u32::MAX);

    fn index(self) -> usize {
        self.0 as usize
    }
}

impl Default for NodeId {
    fn default() -> Self {
        Self::NONE
    }
}

/// An expression. Where several nodes stand below one, the first of them is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node<'a> {
    /// A constant of one token, as written.
    Literal(TokenKind, &'a str),
    /// `NULL`.
    Null,
    /// A bind marker.
    Marker,
    /// A column.
    Column(Name<'a>),
    /// `count(*)`.
    CountAll,
    /// A call with its arguments.
    Call {
        /// What is called.
        function: FunctionName<'a>,
        /// The first argument.
        arguments: NodeId,
    },
    /// `CAST(x AS type)` and `(type) x`: the type as written, and what is made one.
    Typed {
        /// The type.
        cql_type: &'a str,
        /// The operand.
        operand: NodeId,
    },
    /// Arithmetic.
    Arithmetic(NodeId),
    /// `[..]`.
    List(NodeId),
    /// `{..}`: a set, a map or the fields of a user type.
    Braces(NodeId),
    /// `(.., ..)`.
    Tuple(NodeId),
    /// `WRITETIME(c)`, `MAXWRITETIME(c)`, `TTL(c)`.
    Attribute(NodeId),
    /// A field of a user type.
    Field {
        /// Of what.
        of: NodeId,
        /// The field.
        field: Name<'a>,
    },
    /// An element of a collection.
    Element {
        /// Of what.
        of: NodeId,
        /// Which.
        key: NodeId,
    },
    /// A slice of a collection: what it is taken of, and its bounds.
    Slice {
        /// Of what.
        of: NodeId,
        /// The first bound that is given.
        bounds: NodeId,
    },
}

/// The part of a statement that names columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// WHERE, one column or an element of one.
    Where(Operator),
    /// WHERE, several columns together: the value is a tuple or a list of tuples.
    WhereTuple,
    /// WHERE, `token(..)`.
    WhereToken,
    /// WHERE, `expr(index, ..)`: which columns is not in the text.
    WhereIndex,
    /// GROUP BY.
    GroupBy,
    /// ORDER BY.
    OrderBy,
    /// IF with a condition.
    If(Operator),
    /// The names of an INSERT, with its values in the same order.
    Insert,
    /// SET.
    Set,
    /// What a DELETE removes of a row.
    Delete,
}

/// A part of a statement that names columns, with the values there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use<'a> {
    /// Which part.
    pub(crate) place: Place,
    /// The first column, a [`Node::Column`].
    pub(crate) columns: NodeId,
    /// The key of the element, if it is about one.
    pub(crate) key: NodeId,
    /// The field, if it is about one.
    pub(crate) field: Option<Name<'a>>,
    /// The first value.
    pub(crate) values: NodeId,
}

/// What one row statement names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// `SELECT *`.
    pub(crate) star: bool,
    /// `INSERT .. JSON`: the columns are in the value.
    pub(crate) json: bool,
    /// `IF EXISTS` or `IF NOT EXISTS`.
    pub(crate) if_exists: bool,
    /// The first entry of a selection.
    pub(crate) selected: NodeId,
    /// All else that names columns, in the order of the text.
    pub(crate) uses: Vec<Use<'a>>,
    /// Its nodes are those from here up to `end`, some of them perhaps of readings that were given up.
    start: usize,
    end: usize,
}

impl Row<'_> {
    /// The place of a node among those of the statement, below [`Row::len`] if it is one of them.
    pub(crate) fn place(&self, id: NodeId) -> usize {
        (id.0 as usize).wrapping_sub(self.start)
    }

    /// How many nodes it has.
    pub(crate) fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }
}

/// The recorded nodes, and the row statements that refer to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree<'a> {
    nodes: Vec<(Node<'a>, NodeId)>,
    /// The statement that is being read.
    draft: Row<'a>,
    /// The row statements: one, or the children of a batch in order.
    pub(crate) rows: Vec<Row<'a>>,
}

impl<'a> Tree<'a> {
    /// Keeps a node.
    pub(crate) fn push(&mut self, node: Node<'a>) -> NodeId {
        // No text within limits has four milliards of nodes; one that had would lose its last ones, and a
        // statement that lacks a node is refused.
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push((node, NodeId::NONE));
        id
    }

    /// Makes `next` the successor of `node`.
    pub(crate) fn link(&mut self, node: NodeId, next: NodeId) {
        if let Some((_, successor)) = self.nodes.get_mut(node.index()) {
            *successor = next;
        }
    }

    /// A node.
    pub(crate) fn node(&self, id: NodeId) -> Option<&Node<'a>> {
        self.nodes.get(id.index()).map(|(node, _)| node)
    }

    /// Every node of a statement with its id: what stands below a node comes before it.
    pub(crate) fn nodes(&self, row: &Row<'a>) -> impl DoubleEndedIterator<Item = (NodeId, &Node<'a>)> {
        let nodes = self.nodes.get(row.start..row.end).unwrap_or_default().iter().enumerate();
        nodes.map(|(at, (node, _))| (NodeId(u32::try_from(row.start + at).unwrap_or(u32::MAX)), node))
    }

    /// The nodes of the list that starts with `first`.
    pub(crate) fn list(&self, first: NodeId) -> impl Iterator<Item = NodeId> + use<'_, 'a> {
        let known = |id: NodeId| (id.index() < self.nodes.len()).then_some(id);
        std::iter::successors(known(first), move |id| {
            self.nodes.get(id.index()).and_then(|(_, next)| known(*next))
        })
    }

    /// The nodes below one, each list by its first, in the order in which a node prepares them.
    pub(crate) fn below(&self, id: NodeId) -> [NodeId; 2] {
        match self.node(id) {
            Some(
                Node::Call { arguments: first, .. }
                | Node::Typed { operand: first, .. }
                | Node::Arithmetic(first)
                | Node::List(first)
                | Node::Braces(first)
                | Node::Tuple(first)
                | Node::Attribute(first)
                | Node::Field { of: first, .. },
            ) => [*first, NodeId::NONE],
            Some(Node::Element { of, key: rest } | Node::Slice { of, bounds: rest }) => [*of, *rest],
            _ => [NodeId::NONE; 2],
        }
    }

    /// The columns of a part of a statement.
    pub(crate) fn columns(&self, first: NodeId) -> impl Iterator<Item = &Name<'a>> + use<'_, 'a> {
        self.list(first).filter_map(|id| match self.node(id) {
            Some(Node::Column(name)) => Some(name),
            _ => None,
        })
    }

    /// The statement that is being read.
    pub(crate) fn draft(&mut self) -> &mut Row<'a> {
        &mut self.draft
    }

    /// Ends the statement that is being read.
    pub(crate) fn finish(&mut self) {
        let end = self.nodes.len();
        self.rows.push(Row { end, ..std::mem::take(&mut self.draft) });
        self.draft.start = end;
    }
}
