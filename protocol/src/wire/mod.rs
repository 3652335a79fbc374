//! The native protocol on the wire, v3 and v4: headers, requests as a server reads them, responses as a
//! server writes them and a client reads them.
//!
//! The specifications are `native_protocol_v3.spec` and `native_protocol_v4.spec` of Apache Cassandra;
//! where the server differs from them, the server is followed and the place says so.

pub mod client;
pub mod error;
pub mod header;
pub mod opcode;
pub mod read;
pub mod request;
pub mod response;
pub mod version;
pub mod write;

pub use error::{ErrorCode, WireError};
pub use header::{Flags, HEADER_LENGTH, Header};
pub use opcode::Opcode;
pub use read::Reader;
pub use version::Version;
pub use write::Writer;
