//! A SELECT over rows in memory: projection, aliases, `count(*)`, equality, IN, LIMIT; and `now()`, which tools
//! ask of `system.local` to see whether anybody is there.

use std::borrow::Cow;

use cqlgate_protocol::cql::statement::{Operator, Select, Selection, SelectorExpr, Subject, Term};
use cqlgate_protocol::wire::read::Value;
use cqlgate_protocol::wire::request::Values;
use cqlgate_protocol::wire::response::ColumnType;

use super::tables::Contents;
use super::{LocalError, LocalTable, value};
use crate::config::limits;

/// What one column of the result is.
enum Output {
    /// The table's column of this index.
    Column(usize),
    /// `count(*)`.
    Count,
    /// `now()`.
    Now,
}

/// One restriction of the WHERE clause: the column's value is one of these.
struct Restriction<'a> {
    column: usize,
    any_of: Vec<Term<'a>>,
    /// `IN ?`: the one bound value is a list.
    list: bool,
}

/// A SELECT, resolved against a table.
pub(super) struct Selected<'a> {
    table: LocalTable,
    contents: &'a Contents,
    outputs: Vec<(String, Output)>,
    restrictions: Vec<Restriction<'a>>,
    limit: Option<Term<'a>>,
    markers: usize,
}

const COUNT_TYPE: ColumnType = ColumnType::BIGINT;
const LIMIT_TYPE: ColumnType = ColumnType::INT;
const NOW_TYPE: ColumnType = ColumnType::TIMEUUID;

impl<'a> Selected<'a> {
    pub(super) fn new(
        table: LocalTable,
        select: &Select<'a>,
        markers: usize,
        contents: &'a Contents,
    ) -> Result<Self, LocalError> {
        let unsupported = |what: &str| LocalError::Unsupported { table: table.name(), what: what.to_owned() };
        for (present, what) in [
            (select.json, "JSON"),
            (select.distinct, "DISTINCT"),
            (select.has_group_by, "GROUP BY"),
            (select.has_order_by, "ORDER BY"),
            (select.has_per_partition_limit, "PER PARTITION LIMIT"),
        ] {
            if present {
                return Err(unsupported(what));
            }
        }
        let position =
            |name: &str| {
                contents.columns.iter().position(|(column, _)| column == name).ok_or_else(|| {
                    LocalError::UndefinedColumn { column: name.to_owned(), table: table.name() }
                })
            };
        let mut outputs = Vec::new();
        match select.selection {
            Selection::Star => {
                let all = contents.columns.iter().enumerate();
                outputs.extend(all.map(|(i, (name, _))| (name.clone(), Output::Column(i))));
            }
            Selection::List => {
                for selector in select.selectors() {
                    let (name, output) = match &selector.expr {
                        SelectorExpr::Column(name) => (name.to_string(), Output::Column(position(name)?)),
                        SelectorExpr::CountAll => ("count".to_owned(), Output::Count),
                        SelectorExpr::Function { function, arguments }
                            if matches!(function.keyspace.as_deref(), None | Some("system"))
                                && function.name == "now"
                                && arguments.clone().next().is_none() =>
                        {
                            ("system.now()".to_owned(), Output::Now)
                        }
                        _ => return Err(unsupported(selector.text)),
                    };
                    if outputs.len() >= limits::LOCAL_COLUMNS {
                        return Err(unsupported("so many columns"));
                    }
                    outputs.push((selector.alias.map_or(name, Cow::into_owned), output));
                }
            }
        }
        let mixed = outputs.iter().any(|(_, output)| matches!(output, Output::Count));
        if mixed && outputs.len() > 1 {
            return Err(unsupported("count(*) beside columns"));
        }
        let mut restrictions = Vec::new();
        for restriction in select.restrictions() {
            let Subject::Column(column) = &restriction.subject else {
                return Err(unsupported("such a restriction"));
            };
            let column = position(column)?;
            let (any_of, list) = match (restriction.operator, restriction.value) {
                (Operator::Equal, Term::List(_) | Term::Other(_) | Term::Null) => {
                    return Err(unsupported("such a value"));
                }
                (Operator::Equal, term) => (vec![term], false),
                (Operator::In, Term::List(terms)) => (terms.collect(), false),
                (Operator::In, term @ Term::Bind { .. }) => (vec![term], true),
                (operator, _) => return Err(unsupported(&format!("the operator {operator:?}"))),
            };
            restrictions.push(Restriction { column, any_of, list });
        }
        Ok(Self { table, contents, outputs, restrictions, limit: select.limit(), markers })
    }

    fn column_type(&self, column: usize) -> &'a ColumnType {
        self.contents.columns.get(column).map_or(&COUNT_TYPE, |(_, ty)| ty)
    }

    /// Names and types of the result.
    pub(super) fn columns(&self) -> Vec<(&str, &ColumnType)> {
        self.outputs
            .iter()
            .map(|(name, output)| match output {
                Output::Column(column) => (name.as_str(), self.column_type(*column)),
                Output::Count => (name.as_str(), &COUNT_TYPE),
                Output::Now => (name.as_str(), &NOW_TYPE),
            })
            .collect()
    }

    /// The rows of the result.
    pub(super) fn rows(&self, values: &Values<'_>) -> Result<Vec<Vec<Option<Vec<u8>>>>, LocalError> {
        if values.len() != self.markers {
            return Err(LocalError::BindVariables);
        }
        let mut kept = Vec::new();
        let mut wanted = Vec::new();
        for restriction in &self.restrictions {
            wanted.push((restriction.column, self.wanted(restriction, values)?));
        }
        for row in &self.contents.rows {
            let matches = wanted.iter().all(|(column, any_of)| {
                row.get(*column).and_then(Option::as_ref).is_some_and(|value| any_of.contains(value))
            });
            if matches {
                kept.push(row);
            }
        }
        if self.outputs.iter().any(|(_, output)| matches!(output, Output::Count)) {
            let count = i64::try_from(kept.len()).unwrap_or(i64::MAX);
            kept.clear();
            self.limit(values)?;
            return Ok(vec![vec![Some(count.to_be_bytes().to_vec())]]);
        }
        if let Some(limit) = self.limit(values)? {
            kept.truncate(limit);
        }
        let project = |row: &Vec<Option<Vec<u8>>>| {
            let cell = |(_, output): &(String, Output)| match output {
                Output::Column(column) => row.get(*column).cloned().flatten(),
                Output::Count => None,
                Output::Now => Some(value::now().as_bytes().to_vec()),
            };
            self.outputs.iter().map(cell).collect()
        };
        Ok(kept.into_iter().map(project).collect())
    }

    fn wanted(&self, restriction: &Restriction<'_>, values: &Values<'_>) -> Result<Vec<Vec<u8>>, LocalError> {
        let ty = self.column_type(restriction.column);
        let name = || self.contents.columns.get(restriction.column).map(|(name, _)| name.clone());
        let invalid = || LocalError::InvalidValue(name().unwrap_or_default());
        let mut wanted = Vec::new();
        for term in &restriction.any_of {
            match term {
                Term::Bind { index, name } => {
                    let bytes = bound(values, *index, name.as_deref()).ok_or_else(invalid)?;
                    if restriction.list {
                        wanted.extend(list(bytes).ok_or_else(invalid)?);
                    } else {
                        wanted.push(bytes.to_vec());
                    }
                }
                literal => wanted.push(value::encode(literal, ty).ok_or_else(invalid)?),
            }
        }
        Ok(wanted)
    }

    fn limit(&self, values: &Values<'_>) -> Result<Option<usize>, LocalError> {
        let number = match &self.limit {
            None => return Ok(None),
            Some(Term::Integer(digits)) => digits.parse::<i64>().map_err(|_| LocalError::Limit)?,
            Some(Term::Bind { index, name }) => {
                let bytes = bound(values, *index, name.as_deref()).ok_or(LocalError::Limit)?;
                i64::from(i32::from_be_bytes(bytes.try_into().map_err(|_| LocalError::Limit)?))
            }
            Some(_) => return Err(LocalError::Limit),
        };
        if number < 1 {
            return Err(LocalError::Limit);
        }
        Ok(Some(usize::try_from(number).unwrap_or(usize::MAX)))
    }

    /// The bind markers by name and type, in order, and which of them make the partition key.
    #[allow(clippy::type_complexity, reason = "two lists, read once by the caller beside")]
    pub(super) fn markers(&self) -> Result<(Vec<(String, &ColumnType)>, Vec<u16>), LocalError> {
        let mut markers: Vec<Option<(String, &ColumnType)>> = vec![None; self.markers];
        let mut partition_key = Vec::new();
        let mut put = |index: usize, name: String, ty| {
            if let Some(slot) = markers.get_mut(index) {
                *slot = Some((name, ty));
            }
        };
        for restriction in &self.restrictions {
            let Some((column, ty)) = self.contents.columns.get(restriction.column) else { continue };
            for term in &restriction.any_of {
                let Term::Bind { index, name } = term else { continue };
                if restriction.list {
                    return Err(LocalError::Unsupported {
                        table: self.table.name(),
                        what: "IN with one bind marker for the list, prepared".into(),
                    });
                }
                let name = name.as_ref().map_or_else(|| column.clone(), ToString::to_string);
                put(*index, name, ty);
                if column == self.table.partition_key() && restriction.any_of.len() == 1 {
                    partition_key.extend(u16::try_from(*index));
                }
            }
        }
        if let Some(Term::Bind { index, name }) = &self.limit {
            let name = name.as_ref().map_or_else(|| "[limit]".to_owned(), ToString::to_string);
            put(*index, name, &LIMIT_TYPE);
        }
        let markers = markers.into_iter().collect::<Option<Vec<_>>>().ok_or(LocalError::BindVariables)?;
        Ok((markers, partition_key))
    }
}

/// The bytes bound to a marker: by its name if the values have names, else by its place. A name that is there
/// twice has no value here: which one a node takes is its own affair.
pub(in crate::session) fn bound<'v>(
    values: &Values<'v>,
    index: usize,
    name: Option<&str>,
) -> Option<&'v [u8]> {
    let bytes = |value| match value {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    };
    let mut named = values.iter().filter(|(named, _)| named.is_some() && *named == name);
    if let Some((_, value)) = named.next() {
        return if named.next().is_none() { bytes(value) } else { None };
    }
    let (named, value) = values.iter().nth(index)?;
    if named.is_some() { None } else { bytes(value) }
}

/// The elements of a serialized list: a count, then each with its length.
fn list(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = cqlgate_protocol::wire::Reader::new(bytes);
    let count = reader.int().ok()?;
    let mut elements = Vec::new();
    for _ in 0..count {
        elements.push(reader.bytes().ok()??.to_vec());
    }
    reader.end().ok()?;
    Some(elements)
}
