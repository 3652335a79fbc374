//! CQL statements: lexed and parsed as Cassandra does it, and what each of them needs to be permitted.

mod functions;
pub mod keyword;
pub mod lexer;
pub mod needs;
pub mod resource;
pub mod statement;

pub use keyword::Release;
pub use needs::{Refusal, Relation, RelationKind, Schema, needs};
pub use resource::{Need, Permission, Resource, is_readable_by_all, is_system_keyspace};
pub use statement::{Kind, Limits, ParseError, Statement, parse};
