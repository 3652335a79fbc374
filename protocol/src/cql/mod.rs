//! CQL statements: lexed and parsed as Cassandra does it, and what each of them needs to be permitted.

mod functions;
pub mod keyword;
pub mod lexer;
mod need;
pub mod needs;
mod permission;
mod refusal;
mod resource;
mod schema;
pub mod statement;

pub use keyword::Release;
pub use need::{Need, NeedList, Needs, Unseen, Words};
pub use needs::{child_needs, needs, unknown_column};
pub use permission::Permission;
pub use refusal::Refusal;
pub use resource::{Resource, is_readable_by_all, is_system_keyspace};
pub use schema::{Aggregate, Column, Function, Identity, Relation, RelationKind, Role, Schema};
pub use statement::{Kind, Limits, ParseError, Statement, canonical_type, parse};
