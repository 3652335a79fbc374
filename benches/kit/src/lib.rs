//! What one request costs in the gateway, measured beside a relay that looks at nothing.
//!
//! ```text
//!   load ──> the gateway, or a blind relay ──> stub: a node that answers at once
//! ```
//!
//! [`load`] and [`stub`] are plain threads with buffers of their own, so that what is measured between them
//! is the relay alone. [`serving`] runs the gateway's own session code in this process, [`subject`] starts
//! the released program and the relay as processes. [`judging`] is what is judged without any session.

pub mod callgrind;
pub mod cpu;
pub mod judging;
pub mod load;
pub mod many_tables;
pub mod relay;
pub mod serving;
pub mod statements;
pub mod stats;
pub mod strace;
pub mod stub;
pub mod subject;
