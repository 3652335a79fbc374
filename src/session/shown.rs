//! What shows the schema: DESCRIBE, and SELECTs on `system_schema` and `system_virtual_schema`.
//!
//! With `hide_schema` a person sees only keyspaces on which they hold a permission: rows of others are left
//! out of the node's answer, and naming one is answered as if it did not exist.

use std::sync::Arc;

use cqlgate_protocol::cql::statement::{Describe, Described, Select, Selection, SelectorExpr};

use super::inflight::Kind;
use super::statements::Route;

/// What an answer shows, as far as keyspaces can be told apart in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Each row is about the keyspace that this column names.
    Rows(u8),
    /// It is about this keyspace, and each row's first column names it.
    Keyspace(Arc<str>),
    /// It is about something in the session's keyspace, or a keyspace of this name.
    Anything(Arc<str>),
    /// Whose keyspace a row is about cannot be told.
    Mixed,
}

impl Shown {
    /// A SELECT on a table of which `keyspace_name` is the partition key.
    pub(super) fn by(select: &Select<'_>) -> Self {
        if select.json || select.has_group_by {
            return Self::Mixed;
        }
        if select.selection == Selection::Star {
            // The partition key comes first.
            return Self::Rows(0);
        }
        let mut at = None;
        for (index, selector) in select.selectors().enumerate() {
            match &selector.expr {
                SelectorExpr::Column(name) if name == "keyspace_name" && at.is_none() => at = Some(index),
                SelectorExpr::Column(_) => {}
                // A function may be an aggregate over rows of several keyspaces.
                _ => return Self::Mixed,
            }
        }
        match at.and_then(|at| u8::try_from(at).ok()) {
            Some(column) if column <= Kind::LAST_COLUMN => Self::Rows(column),
            _ => Self::Mixed,
        }
    }

    /// Where a DESCRIBE goes.
    pub(super) fn described(describe: &Describe<'_>) -> Route {
        let named = |keyspace: &str| Self::Keyspace(keyspace.into());
        Route::Schema(match &describe.what {
            Described::Cluster => return Route::Cluster,
            Described::Keyspace { name: Some(name), .. } => named(name),
            Described::Table(of) | Described::Index(of) | Described::View(of) | Described::Type(of) => {
                of.keyspace.as_deref().map_or(Self::Rows(0), named)
            }
            Described::Function(of) | Described::Aggregate(of) => {
                of.keyspace.as_deref().map_or(Self::Rows(0), named)
            }
            Described::Anything(of) => match of.keyspace.as_deref() {
                Some(keyspace) => named(keyspace),
                None => Self::Anything((*of.name).into()),
            },
            _ => Self::Rows(0),
        })
    }

    /// The column of the answer that names the keyspace of a row, if one does.
    pub(super) const fn column(&self) -> Option<u8> {
        match self {
            Self::Rows(column) => Some(*column),
            Self::Keyspace(_) | Self::Anything(_) => Some(0),
            Self::Mixed => None,
        }
    }
}
