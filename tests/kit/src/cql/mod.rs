//! A small native-protocol client of the kit's own: it shares no code with the gateway, so that the two
//! judge one another, and it can say what no driver would.

mod body;
mod client;
mod envelope;
mod peer;

pub use body::{Body, Reader};
pub use client::{Answer, Column, Cql, CqlError, Prepared, Rows};
pub use envelope::{Envelope, flag, opcode};
pub use peer::{Peer, Transport};
