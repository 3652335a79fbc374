//! The CQL native protocol and the CQL language, as far as a proxy that judges requests needs them.
//!
//! Sans-IO: bytes in, values and bytes out. No runtime, no clock, no locks, no logging. Everything here
//! reads bytes of strangers, so nothing here may panic, recurse without a bound or allocate by a number
//! that a peer declared.
//!
//! ```text
//!            wire                                cql
//! bytes ──> header ──> request ── text ──> lexer ──> statement ──> needs
//! bytes <── response                                               │
//!                                                 (permission, resource, why) for a policy to judge
//! ```

pub mod cql;
pub mod wire;
