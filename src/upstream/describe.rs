//! What a node says of its cluster.

use super::Cluster;
use crate::config::limits;

impl Cluster {
    /// DESCRIBE CLUSTER: name, partitioner and snitch; `None` where no node answers.
    ///
    /// Asked over the control connection, which has no keyspace in use: with one, a node adds which nodes own
    /// which tokens.
    pub async fn describe_cluster(&self) -> Option<[String; 3]> {
        let client = self.shared.client()?;
        let asked = client.query("DESCRIBE CLUSTER", &[]);
        let table = tokio::time::timeout(limits::CONTROL_QUERY, asked).await.ok()?.ok()?;
        let row = table.rows.first()?;
        let text = |at: usize| -> Option<String> {
            std::str::from_utf8(row.get(at)?.as_deref()?).ok().map(str::to_owned)
        };
        Some([text(0)?, text(1)?, text(2)?])
    }
}
