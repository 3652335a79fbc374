//! Column types, the `[option]` of metadata (spec section 4.2.5.2).

use crate::wire::error::WireError;
use crate::wire::read::Reader;
use crate::wire::write::Writer;

/// Types nest this deep at the most. Cassandra has no bound; a schema with more is not met.
const DEPTH: usize = 32;

/// A column's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// A type that is only a number: see the constants.
    Native(u16),
    /// A type that this version of the protocol has no number for: the name of its class.
    Custom(String),
    /// `list<..>`.
    List(Box<Self>),
    /// `map<.., ..>`.
    Map(Box<Self>, Box<Self>),
    /// `set<..>`.
    Set(Box<Self>),
    /// A user-defined type.
    Udt {
        /// Its keyspace.
        keyspace: String,
        /// Its name.
        name: String,
        /// Its fields.
        fields: Vec<(String, Self)>,
    },
    /// `tuple<..>`.
    Tuple(Vec<Self>),
}

impl ColumnType {
    /// `ascii`.
    pub const ASCII: Self = Self::Native(0x01);
    /// `bigint`.
    pub const BIGINT: Self = Self::Native(0x02);
    /// `blob`.
    pub const BLOB: Self = Self::Native(0x03);
    /// `boolean`.
    pub const BOOLEAN: Self = Self::Native(0x04);
    /// `int`.
    pub const INT: Self = Self::Native(0x09);
    /// `uuid`.
    pub const UUID: Self = Self::Native(0x0C);
    /// `varchar`, which CQL also calls `text`.
    pub const VARCHAR: Self = Self::Native(0x0D);
    /// `inet`.
    pub const INET: Self = Self::Native(0x10);
    /// `timeuuid`.
    pub const TIMEUUID: Self = Self::Native(0x0F);

    /// `set<..>` of this type.
    #[must_use]
    pub fn set_of(self) -> Self {
        Self::Set(Box::new(self))
    }

    /// `map<key, value>`.
    #[must_use]
    pub fn map_of(key: Self, value: Self) -> Self {
        Self::Map(Box::new(key), Box::new(value))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Self::read_nested(reader, DEPTH)
    }

    fn read_nested(reader: &mut Reader<'_>, depth: usize) -> Result<Self, WireError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(WireError::Invalid(format!("a type nests deeper than {DEPTH}")));
        };
        Ok(match reader.short()? {
            0x00 => Self::Custom(reader.string()?.to_owned()),
            id @ 0x01..=0x1F => Self::Native(id),
            0x20 => Self::List(Box::new(Self::read_nested(reader, depth)?)),
            0x21 => {
                let key = Self::read_nested(reader, depth)?;
                Self::map_of(key, Self::read_nested(reader, depth)?)
            }
            0x22 => Self::read_nested(reader, depth)?.set_of(),
            0x30 => {
                let keyspace = reader.string()?.to_owned();
                let name = reader.string()?.to_owned();
                let mut fields = Vec::new();
                for _ in 0..reader.short()? {
                    let field = reader.string()?.to_owned();
                    fields.push((field, Self::read_nested(reader, depth)?));
                }
                Self::Udt { keyspace, name, fields }
            }
            0x31 => {
                let mut fields = Vec::new();
                for _ in 0..reader.short()? {
                    fields.push(Self::read_nested(reader, depth)?);
                }
                Self::Tuple(fields)
            }
            other => return Err(WireError::Invalid(format!("unknown type 0x{other:04X}"))),
        })
    }

    pub(super) fn write(&self, writer: Writer) -> Writer {
        let length = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        match self {
            Self::Native(id) => writer.short(*id),
            Self::Custom(class) => writer.short(0x00).string(class),
            Self::List(of) => of.write(writer.short(0x20)),
            Self::Map(key, value) => value.write(key.write(writer.short(0x21))),
            Self::Set(of) => of.write(writer.short(0x22)),
            Self::Udt { keyspace, name, fields } => {
                let head = writer.short(0x30).string(keyspace).string(name).short(length(fields.len()));
                fields.iter().fold(head, |writer, (name, ty)| ty.write(writer.string(name)))
            }
            Self::Tuple(fields) => {
                let head = writer.short(0x31).short(length(fields.len()));
                fields.iter().fold(head, |writer, ty| ty.write(writer))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{HEADER_LENGTH, Opcode, Version};

    fn any_type() -> impl Strategy<Value = ColumnType> {
        let leaf = prop_oneof![
            (1u16..0x20).prop_map(ColumnType::Native),
            "[a-z.]{0,9}".prop_map(ColumnType::Custom)
        ];
        leaf.prop_recursive(6, 24, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|t| ColumnType::List(Box::new(t))),
                inner.clone().prop_map(ColumnType::set_of),
                (inner.clone(), inner.clone()).prop_map(|(k, v)| ColumnType::map_of(k, v)),
                prop::collection::vec(inner.clone(), 0..3).prop_map(ColumnType::Tuple),
                prop::collection::vec(("[a-z]{1,3}", inner), 0..3).prop_map(|fields| ColumnType::Udt {
                    keyspace: "k".into(),
                    name: "u".into(),
                    fields
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn written_and_read_back(ty in any_type()) {
            let bytes = ty.write(Writer::response(Version::V4, 0, Opcode::Result)).finish();
            let mut reader = Reader::new(&bytes[HEADER_LENGTH..]);
            prop_assert_eq!(ColumnType::read(&mut reader).unwrap(), ty);
            prop_assert!(reader.end().is_ok());
        }
    }

    #[test]
    fn depth_is_bounded() {
        let list_of_list = [0x00, 0x20].repeat(10_000);
        assert!(ColumnType::read(&mut Reader::new(&list_of_list)).is_err());
    }

    #[test]
    fn unknown_and_cut_types_are_refused() {
        for bytes in [&[0x00, 0x23][..], &[0x00], &[0x00, 0x21, 0x00, 0x01], &[0x00, 0x31, 0xFF, 0xFF]] {
            assert!(ColumnType::read(&mut Reader::new(bytes)).is_err(), "{bytes:?}");
        }
    }
}
