//! CQL as a real Cassandra 5.0.8 answered it, and texts made to mislead a reader of CQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "tests state what they expect"
)]

mod access;
mod calls;
mod corpus;
mod fixture;
mod functions;
mod hostile;
mod masks;
mod permissions;
mod printer;
mod reading;
mod releases;
mod table;
mod texts;
mod words;

use cqlgate_protocol::cql::{Resource, canonical_type};
use serde_json::Value;

/// The rows of a file of JSON lines.
fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// The bytes that a row writes in hex.
fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A resource as Cassandra names it, but with the types of a function's arguments and not their classes.
fn with_types(resource: &str) -> String {
    let Some((name, classes)) = resource.strip_suffix(']').and_then(|function| function.split_once('['))
    else {
        return resource.to_owned();
    };
    let types = classes.split('^').filter(|class| !class.is_empty());
    let types: Vec<_> = types.map(|class| canonical_type(&format!("'{class}'")).unwrap()).collect();
    format!("{name}({})", types.join(", "))
}

/// A resource as Cassandra's tables and its audit log name it; types of arguments as CQL has them.
fn path(resource: &Resource<'_>) -> String {
    match resource {
        Resource::AllKeyspaces => "data".to_owned(),
        Resource::Keyspace(keyspace) => format!("data/{keyspace}"),
        Resource::AllTables(keyspace) => format!("data/{keyspace}/*"),
        Resource::Table { keyspace, table } => format!("data/{keyspace}/{table}"),
        Resource::AllFunctions => "functions".to_owned(),
        Resource::FunctionsIn(keyspace) => format!("functions/{keyspace}"),
        Resource::Function { keyspace, name, arguments } => {
            format!("functions/{keyspace}/{name}({arguments})")
        }
        Resource::AllRoles => "roles".to_owned(),
        Resource::Role(role) => format!("roles/{role}"),
        Resource::AllMbeans => "mbean".to_owned(),
        Resource::Mbean(name) => format!("mbean/{name}"),
        other => panic!("{other}"),
    }
}
