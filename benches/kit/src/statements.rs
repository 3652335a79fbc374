//! What is asked: two prepared statements on one table, and the schema that says there is one.

use cqlgate_protocol::wire::client::prepared_id;

/// The keyspace.
pub const KEYSPACE: &str = "bench";

/// The table.
pub const TABLE: &str = "items";

/// Answered with one row of [`ROW`] bytes.
pub const READ: &str = "SELECT value FROM bench.items WHERE id = ?";

/// Answered with RESULT Void.
pub const WRITE: &str = "UPDATE bench.items SET value = ? WHERE id = ?";

/// Bytes of the value that a read returns and a write binds.
pub const ROW: usize = 64;

/// The name of the workload that asks.
pub const SERVICE: &str = "bench";

/// What it may do.
pub const POLICY: &str = "GRANT SELECT, MODIFY ON KEYSPACE bench TO SERVICE \"bench\";\n";

/// The id that a node gives to a text whose names are all qualified.
pub fn id(text: &str) -> [u8; 16] {
    prepared_id(None, text)
}
