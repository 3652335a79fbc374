//! Events, and the schema change that is both an event and a result (spec sections 4.2.5.5 and 4.2.6).

use std::net::{IpAddr, SocketAddr};

use crate::wire::error::WireError;
use crate::wire::read::Reader;
use crate::wire::write::Writer;

/// EVENT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node joined or left.
    Topology {
        /// It joined; else it left.
        new: bool,
        /// Its native address.
        node: SocketAddr,
    },
    /// A node went up or down.
    Status {
        /// Up; else down.
        up: bool,
        /// Its native address.
        node: SocketAddr,
    },
    /// The schema changed.
    Schema(SchemaChange),
}

/// What happened to a schema object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// It is new.
    Created,
    /// It was altered, or an index or view of it came or went.
    Updated,
    /// It is gone.
    Dropped,
}

impl Change {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Updated => "UPDATED",
            Self::Dropped => "DROPPED",
        }
    }
}

/// What changed inside the keyspace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The keyspace itself.
    Keyspace,
    /// A table or view.
    Table(String),
    /// A user-defined type.
    Type(String),
    /// A function: name and argument types in CQL.
    Function(String, Vec<String>),
    /// An aggregate: name and argument types in CQL.
    Aggregate(String, Vec<String>),
}

/// A change of the schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SchemaChange {
    /// What happened.
    pub change: Change,
    /// The keyspace that was changed, or in which something was.
    pub keyspace: String,
    /// What changed.
    pub target: Target,
}

impl SchemaChange {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let change = match reader.string()? {
            "CREATED" => Change::Created,
            "UPDATED" => Change::Updated,
            "DROPPED" => Change::Dropped,
            other => return Err(WireError::Invalid(format!("unknown schema change '{other}'"))),
        };
        let target = reader.string()?;
        let keyspace = reader.string()?.to_owned();
        let target = match target {
            "KEYSPACE" => Target::Keyspace,
            "TABLE" => Target::Table(reader.string()?.to_owned()),
            "TYPE" => Target::Type(reader.string()?.to_owned()),
            "FUNCTION" => Target::Function(reader.string()?.to_owned(), strings(reader)?),
            "AGGREGATE" => Target::Aggregate(reader.string()?.to_owned(), strings(reader)?),
            other => return Err(WireError::Invalid(format!("unknown target '{other}' of a schema change"))),
        };
        Ok(Self { change, keyspace, target })
    }

    pub(super) fn write(&self, writer: Writer) -> Writer {
        let writer = writer.string(self.change.as_str());
        let (word, name, arguments) = match &self.target {
            Target::Keyspace => ("KEYSPACE", None, None),
            Target::Table(name) => ("TABLE", Some(name), None),
            Target::Type(name) => ("TYPE", Some(name), None),
            Target::Function(name, arguments) => ("FUNCTION", Some(name), Some(arguments)),
            Target::Aggregate(name, arguments) => ("AGGREGATE", Some(name), Some(arguments)),
        };
        let mut writer = writer.string(word).string(&self.keyspace);
        if let Some(name) = name {
            writer = writer.string(name);
        }
        if let Some(arguments) = arguments {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            writer = writer.string_list(&arguments);
        }
        writer
    }
}

impl Event {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match reader.string()? {
            "TOPOLOGY_CHANGE" => {
                let new = match reader.string()? {
                    "NEW_NODE" => true,
                    "REMOVED_NODE" => false,
                    other => return Err(WireError::Invalid(format!("unknown topology change '{other}'"))),
                };
                Ok(Self::Topology { new, node: inet(reader)? })
            }
            "STATUS_CHANGE" => {
                let up = match reader.string()? {
                    "UP" => true,
                    "DOWN" => false,
                    other => return Err(WireError::Invalid(format!("unknown status change '{other}'"))),
                };
                Ok(Self::Status { up, node: inet(reader)? })
            }
            "SCHEMA_CHANGE" => SchemaChange::read(reader).map(Self::Schema),
            other => Err(WireError::Invalid(format!("unknown event '{other}'"))),
        }
    }
}

/// `[inet]`: one byte of length, the address, an int for the port.
fn inet(reader: &mut Reader<'_>) -> Result<SocketAddr, WireError> {
    let length = reader.byte()?;
    let bytes = reader.raw(usize::from(length))?;
    let address: IpAddr = if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        v4.into()
    } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        v6.into()
    } else {
        return Err(WireError::Invalid(format!("an address of {length} bytes")));
    };
    let port = reader.int()?;
    let port = u16::try_from(port).map_err(|_| WireError::Invalid(format!("port {port}")))?;
    Ok(SocketAddr::new(address, port))
}

fn strings(reader: &mut Reader<'_>) -> Result<Vec<String>, WireError> {
    let mut list = Vec::new();
    reader.string_list(|text| list.push(text.to_owned()))?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::response::{
        Response, ResultBody, schema_change_event, schema_change_result, status_event,
    };
    use crate::wire::{HEADER_LENGTH, Header, Opcode, Version};

    fn changes() -> Vec<SchemaChange> {
        let of = |target| SchemaChange { change: Change::Updated, keyspace: "Ks".into(), target };
        vec![
            of(Target::Keyspace),
            of(Target::Table("t".into())),
            of(Target::Type("u".into())),
            of(Target::Function("f".into(), vec!["int".into(), "text".into()])),
            of(Target::Aggregate("a".into(), vec![])),
        ]
    }

    #[test]
    fn changes_are_read_back_as_event_and_as_result() {
        for change in changes() {
            let bytes = schema_change_event(Version::V4, &change);
            let header = Header::parse(&bytes).unwrap();
            assert_eq!(header.stream, -1);
            let Response::Event(Event::Schema(read)) =
                Response::parse(&header, &bytes[HEADER_LENGTH..]).unwrap()
            else {
                panic!()
            };
            assert_eq!(read, change);
            let bytes = schema_change_result(Version::V4, 4, &change);
            let header = Header::parse(&bytes).unwrap();
            let Response::Result(ResultBody::SchemaChange(read)) =
                Response::parse(&header, &bytes[HEADER_LENGTH..]).unwrap()
            else {
                panic!()
            };
            assert_eq!(read, change);
        }
    }

    #[test]
    fn node_events() {
        for node in ["127.0.0.1:9042", "[::1]:9142"] {
            let node: SocketAddr = node.parse().unwrap();
            let bytes = status_event(Version::V4, false, node);
            let header = Header::parse(&bytes).unwrap();
            let Response::Event(event) = Response::parse(&header, &bytes[HEADER_LENGTH..]).unwrap() else {
                panic!()
            };
            assert_eq!(event, Event::Status { up: false, node });
        }
    }

    #[test]
    fn odd_addresses_and_words_are_refused() {
        let event = |kind: &str, word: &str, inet: &[u8]| {
            let bytes =
                Writer::response(Version::V4, -1, Opcode::Event).string(kind).string(word).raw(inet).finish();
            let header = Header::parse(&bytes).unwrap();
            Response::parse(&header, &bytes[HEADER_LENGTH..]).is_ok()
        };
        assert!(event("TOPOLOGY_CHANGE", "NEW_NODE", &[4, 10, 0, 0, 1, 0, 0, 0x23, 0x52]));
        for inet in [&[5, 1, 2, 3, 4, 5, 0, 0, 0, 1][..], &[4, 1, 2, 3, 4, 0, 1, 0, 0], &[4, 1, 2, 3], &[]] {
            assert!(!event("TOPOLOGY_CHANGE", "NEW_NODE", inet), "{inet:?}");
        }
        assert!(!event("TOPOLOGY_CHANGE", "MOVED_NODE", &[4, 10, 0, 0, 1, 0, 0, 0x23, 0x52]));
        assert!(!event("NOPE", "", &[]));
    }
}
