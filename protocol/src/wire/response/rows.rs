//! RESULT of kind Rows (spec section 4.2.5.2): metadata, then rows one by one, borrowed.

use super::types::ColumnType;
use crate::wire::error::WireError;
use crate::wire::read::Reader;

const GLOBAL_TABLES_SPEC: i32 = 0x01;
const HAS_MORE_PAGES: i32 = 0x02;
const NO_METADATA: i32 = 0x04;

/// One column's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The table's keyspace.
    pub keyspace: String,
    /// The table.
    pub table: String,
    /// The column's name, or its alias.
    pub name: String,
    /// Its type.
    pub ty: ColumnType,
}

/// A page of rows.
#[derive(Debug)]
pub struct Rows<'a> {
    /// The columns; empty if the request asked for no metadata.
    pub columns: Vec<Column>,
    /// Where the next page starts; `None` on the last page.
    pub paging_state: Option<&'a [u8]>,
    width: usize,
    count: usize,
    content: Reader<'a>,
}

impl<'a> Rows<'a> {
    pub(super) fn read(mut reader: Reader<'a>) -> Result<Self, WireError> {
        let flags = reader.int()?;
        let width = count(reader.int()?, "columns")?;
        let paging_state = if flags & HAS_MORE_PAGES == 0 {
            None
        } else {
            Some(reader.bytes()?.ok_or(WireError::NotEnoughBytes("a paging state"))?)
        };
        let mut columns = Vec::new();
        if flags & NO_METADATA == 0 {
            let global = if flags & GLOBAL_TABLES_SPEC == 0 {
                None
            } else {
                Some((reader.string()?, reader.string()?))
            };
            for _ in 0..width {
                let (keyspace, table) = match global {
                    Some(names) => names,
                    None => (reader.string()?, reader.string()?),
                };
                columns.push(Column {
                    keyspace: keyspace.to_owned(),
                    table: table.to_owned(),
                    name: reader.string()?.to_owned(),
                    ty: ColumnType::read(&mut reader)?,
                });
            }
        }
        let count = count(reader.int()?, "rows")?;
        // Every value takes at least its length, so this bounds the walk by the bytes that are there.
        if width.saturating_mul(count).saturating_mul(4) > reader.rest().len() || (width == 0 && count > 0) {
            return Err(WireError::NotEnoughBytes("the rows that were announced"));
        }
        Ok(Self { columns, paging_state, width, count, content: reader })
    }

    /// Rows on this page.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Is the page empty?
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) const fn width(&self) -> usize {
        self.width
    }

    /// From the first row on.
    pub(super) const fn content(&self) -> Reader<'a> {
        self.content
    }

    /// The position of the column with this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The rows, each a list of values, `None` for null. Ends after the first error; bytes behind the last
    /// row are an error, too.
    pub const fn iter(&self) -> RowIter<'a> {
        RowIter { left: self.count, width: self.width, reader: self.content, failed: false }
    }
}

impl<'a> IntoIterator for &Rows<'a> {
    type Item = Result<Vec<Option<&'a [u8]>>, WireError>;
    type IntoIter = RowIter<'a>;

    fn into_iter(self) -> RowIter<'a> {
        self.iter()
    }
}

fn count(n: i32, of: &'static str) -> Result<usize, WireError> {
    usize::try_from(n).map_err(|_| WireError::Invalid(format!("{n} {of}")))
}

/// Walks over the rows of a page.
#[derive(Clone, Debug)]
pub struct RowIter<'a> {
    left: usize,
    width: usize,
    reader: Reader<'a>,
    failed: bool,
}

impl<'a> RowIter<'a> {
    fn row(&mut self) -> Result<Vec<Option<&'a [u8]>>, WireError> {
        let mut row = Vec::new();
        for _ in 0..self.width {
            row.push(self.reader.bytes()?);
        }
        if self.left == 0 {
            self.reader.end()?;
        }
        Ok(row)
    }
}

impl<'a> Iterator for RowIter<'a> {
    type Item = Result<Vec<Option<&'a [u8]>>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let row = self.row();
        self.failed = row.is_err();
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::response::{Response, ResultBody, RowSet, rows};
    use crate::wire::{HEADER_LENGTH, Header, Opcode, Version, Writer};

    fn read(body: &[u8]) -> Result<Rows<'_>, WireError> {
        Rows::read(Reader::new(body))
    }

    fn body(writer: Writer) -> Vec<u8> {
        writer.finish().split_off(HEADER_LENGTH)
    }

    fn begin() -> Writer {
        Writer::response(Version::V4, 0, Opcode::Result)
    }

    proptest! {
        #[test]
        fn what_is_built_is_read_back(
            values in prop::collection::vec(prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..9)), 3), 0..5),
            metadata: bool,
        ) {
            let set = RowSet {
                keyspace: "system", table: "local",
                columns: &[("a", &ColumnType::INT), ("b", &ColumnType::VARCHAR), ("c", &ColumnType::INET)],
            };
            let bytes = rows(Version::V4, 5, &set, &values, metadata);
            let header = Header::parse(&bytes).unwrap();
            let Response::Result(ResultBody::Rows(read)) = Response::parse(&header, &bytes[HEADER_LENGTH..]).unwrap() else {
                panic!()
            };
            prop_assert_eq!(read.columns.len(), if metadata { 3 } else { 0 });
            prop_assert_eq!(read.len(), values.len());
            prop_assert_eq!(read.position("b"), metadata.then_some(1));
            for (row, expected) in read.iter().zip(&values) {
                let row: Vec<Option<Vec<u8>>> = row.unwrap().into_iter().map(|v| v.map(<[u8]>::to_vec)).collect();
                prop_assert_eq!(&row, expected);
            }
        }
    }

    #[test]
    fn every_cut_is_refused() {
        let set = RowSet { keyspace: "k", table: "t", columns: &[("a", &ColumnType::INT)] };
        let whole =
            rows(Version::V4, 0, &set, &[vec![Some([0, 0, 0, 1])]], true).split_off(HEADER_LENGTH + 4);
        assert!(read(&whole).unwrap().iter().all(|row| row.is_ok()));
        for cut in 0..whole.len() {
            let failed = match read(&whole[..cut]) {
                Err(_) => true,
                Ok(rows) => rows.iter().any(|row| row.is_err()),
            };
            assert!(failed, "cut at {cut}");
        }
        let mut trailing = whole;
        trailing.push(0);
        assert!(read(&trailing).unwrap().iter().any(|row| row.is_err()));
    }

    #[test]
    fn counts_that_lie_are_refused() {
        for (columns, count) in [(-1, 0), (0, -1), (0, i32::MAX), (i32::MAX, i32::MAX), (1, 1)] {
            let bytes = body(begin().int(NO_METADATA).int(columns).int(count));
            assert!(read(&bytes).is_err(), "{columns} {count}");
        }
        // A paging state is announced and null.
        assert!(read(&body(begin().int(NO_METADATA | HAS_MORE_PAGES).int(0).int(-1).int(0))).is_err());
    }

    #[test]
    fn paging_state_and_a_table_for_each_column() {
        let bytes = body(
            begin()
                .int(HAS_MORE_PAGES)
                .int(2)
                .bytes(Some(b"next"))
                .string("k")
                .string("t")
                .string("a")
                .short(9)
                .string("k")
                .string("u")
                .string("b")
                .short(0x22)
                .short(0x0D)
                .int(0),
        );
        let rows = read(&bytes).unwrap();
        assert_eq!(rows.paging_state, Some(&b"next"[..]));
        assert_eq!(rows.columns[1].table, "u");
        assert_eq!(rows.columns[1].ty, ColumnType::VARCHAR.set_of());
        assert!(rows.is_empty());
    }
}
