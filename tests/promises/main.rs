//! The promises of cqlgate, one module each, on a real Cassandra.

mod kit;
