//! What a real node says is no CQL, the gateway says is none, and the other way round: texts by chance,
//! prepared on the node, none of them executed.
//!
//! The kit's own tests compare many more texts with the parsers of three releases, offline.

use cqlgate_protocol::cql::{Limits, ParseError, parse};
use cqlgate_testkit::Cassandra;
use cqlgate_testkit::cql::CqlError;
use cqlgate_testkit::texts;

/// Texts prepared; each costs a node a millisecond.
const TEXTS: usize = 1_500;

/// Parts of what a node says with 0x2000 of texts that it has read: it is about what they mean.
const ABOUT_THE_MEANING: [&str; 12] = [
    "abstract-type class",
    "Error setting type",
    "Failed parsing statement",
    "JMX object name",
    "Multiple definition for property",
    "Multiple incompatible setting",
    "Unknown property",
    "Invalid value",
    "doesn't exist",
    "does not support any of the requested permissions",
    "already been set",
    "All has been set",
];

/// Parts of what it says with other codes while it still parses: the text may be no CQL behind that.
const BEFORE_THE_END: [&str; 2] = ["Multiple PRIMARY KEY specified", "Duplicate column"];

#[tokio::test]
async fn what_a_node_prepares_is_read_and_what_it_calls_no_cql_is_not() {
    let node = Cassandra::shared().await;
    let mut cql = node.superuser().await.unwrap();
    let limits = Limits::default();
    let (mut read, mut refused, mut wrong) = (0, 0, Vec::new());
    for text in texts::texts(5, TEXTS, &[]) {
        let ours = parse(&text, &limits);
        // What goes beyond a limit might keep the node busy for hours.
        if matches!(ours, Err(ParseError::Limit { .. })) {
            continue;
        }
        // Whatever it says but that this is no CQL, it has read it.
        let syntax = match cql.prepare(&text).await {
            Err(CqlError::Server { code: 0x2000, message }) => Some(message),
            Err(CqlError::Server { message, .. })
                if BEFORE_THE_END.iter().any(|part| message.contains(part)) =>
            {
                continue;
            }
            Ok(_) | Err(CqlError::Server { .. }) => None,
            Err(error) => panic!("{text:?}: {error}"),
        };
        match (ours, syntax) {
            (Ok(_), None) => read += 1,
            (Err(_), Some(_)) => refused += 1,
            (Ok(_), Some(words)) if ABOUT_THE_MEANING.iter().any(|part| words.contains(part)) => read += 1,
            (Ok(_), Some(words)) => wrong.push(format!("read here alone {text:?}: {words}")),
            (Err(error), None) => wrong.push(format!("READ BY THE NODE ALONE {text:?}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert!(read > TEXTS / 5 && refused > TEXTS / 5, "{read} read, {refused} refused");
}
