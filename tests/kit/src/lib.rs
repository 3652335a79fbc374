//! Real parts for the tests and the demo: Cassandra, drivers, the gateway as a process, hostile peers.
//!
//! Everything here ends with the process that started it, whatever ended that one ([`process`]), and a part
//! that the machine lacks is a failure with the way to get it in its first line ([`parts`]).

pub mod cassandra;
pub mod certs;
pub mod cql;
pub mod differential;
pub mod faulty;
pub mod gateway;
pub mod http;
pub mod issuer;
pub mod loopback;
pub mod parts;
pub mod place;
pub mod process;
pub mod pusher;
pub mod python;
pub mod scratch;
pub mod texts;
pub mod trouble;

pub use cassandra::Cassandra;
pub use gateway::Gateway;
pub use trouble::{Result, Trouble};
