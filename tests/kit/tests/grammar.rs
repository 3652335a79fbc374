//! Thousands of texts, read by cqlgate and by the parsers of Cassandra 4.0, 4.1 and 5.0.
//!
//! What both read must be the same kind of statement on the same names. What only cqlgate reads must be on a
//! list with its reason; it does no harm, since the node refuses it. What only Cassandra reads would be
//! refused to somebody who did nothing wrong: there is nothing but what goes beyond a limit.
//!
//! `CQLGATE_TEXTS` is how many texts are made, `CQLGATE_SEED` which; a failure says both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests state what they expect"
)]

#[path = "grammar/agree.rs"]
mod agree;
#[path = "../../../protocol/tests/cql/printer.rs"]
mod printer;

use std::collections::BTreeMap;

use cqlgate_protocol::cql::{Limits, ParseError, Release, parse};
use cqlgate_testkit::cassandra::{RELEASE, Reading, readings};
use cqlgate_testkit::texts;
use serde_json::Value;

/// What Cassandra refuses as it parses and cqlgate reads: why, a part of Cassandra's words, a part of the
/// text's tokens. All but the first two are not refused by the grammar but by what it does as it goes.
const READ_HERE_ALONE: [(&str, &str, &str); 11] = [
    ("`(a)[..`: whether the name is a type is decided behind it", " input '['", ") ["),
    ("GROUP BY a field or element, when a semicolon follows", " expecting EOF", "GROUP BY"),
    ("a type's class is looked up: only the node has it", "Unable to find abstract-type class", "'"),
    ("a type's class that is not there, within frozen<..>", "NullPointerException: ", "'"),
    (
        "a function is looked up: the parser alone has no schema",
        "ConfigurationException: Keyspace",
        "FUNCTION",
    ),
    (
        "a function's type is looked up: the parser alone has no schema",
        "NoSuchElementException: ",
        "FUNCTION",
    ),
    ("names of JMX have rules of their own", "is not a valid JMX object name", "MBEAN"),
    ("a constant twice in a map", "Multiple definition for property", "{"),
    ("a column or key twice", "InvalidRequestException: ", "CREATE"),
    ("a timestamp of more than 64 bits", "NumberFormatException: For input string", "USING TIMESTAMP"),
    ("ACCESS twice, or to all and to some", "IllegalArgumentException: ", "ACCESS"),
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Texts that real nodes were asked.
fn corpus() -> Vec<String> {
    let rows = |file: &'static str| file.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let texts = rows(include_str!("../../../protocol/tests/data/texts.jsonl")).filter_map(|row| {
        let hex = row["hex"].as_str().unwrap();
        let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        String::from_utf8(bytes.collect()).ok()
    });
    let statements = |row: Value| row["statement"].as_str().map(str::to_owned);
    texts
        .chain(rows(include_str!("../../../protocol/tests/data/permissions.jsonl")).filter_map(statements))
        .chain(rows(include_str!("../../promises/corpus/statements.jsonl")).filter_map(statements))
        .collect()
}

/// What became of the texts.
#[derive(Default)]
struct Outcome {
    read: usize,
    refused: usize,
    /// Listed differences, by reason.
    listed: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

fn compare(release: Release, version: &str) {
    let (seed, count) = (number("CQLGATE_SEED", 1), number("CQLGATE_TEXTS", 8_000));
    let limits = Limits { release, ..Limits::default() };
    let corpus = corpus();
    let mut texts = texts::texts(seed, usize::try_from(count).unwrap(), &corpus);
    texts.extend(corpus);
    // What goes beyond a limit might keep Cassandra busy for hours.
    let made = texts.len();
    texts.retain(|text| !matches!(parse(text, &limits), Err(ParseError::Limit { .. })));
    let mut outcome = Outcome::default();
    for (text, reading) in texts.iter().zip(readings(version, &texts).unwrap()) {
        one(&mut outcome, text, reading, &limits);
    }
    println!(
        "Cassandra {version}: {made} texts, {} beyond a limit, {} read by both, {} refused by both, listed {:#?}",
        made - texts.len(),
        outcome.read,
        outcome.refused,
        outcome.listed
    );
    outcome.wrong.sort_by_key(String::len);
    let shown = outcome.wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        outcome.wrong.is_empty(),
        "Cassandra {version}, seed {seed}, {count} texts: {} differences off the lists:\n{shown}",
        outcome.wrong.len()
    );
    assert!(outcome.read > texts.len() / 5 && outcome.refused > texts.len() / 5, "too one-sided");
}

/// The tokens of a text in capitals with blanks between them.
fn tokens(text: &str) -> String {
    texts::plain(&texts::tokens(text)).to_ascii_uppercase()
}

fn one(outcome: &mut Outcome, text: &str, reading: Reading, limits: &Limits) {
    match (parse(text, limits), reading) {
        (Ok(our), Reading::Read(their)) => {
            outcome.read += 1;
            if let Err(why) = agree::agree(text, &our, &their) {
                outcome.wrong.push(format!("READ DIFFERENTLY {text:?}: {why}, Cassandra has {their:?}"));
            }
        }
        (Ok(_), Reading::Refused { refused }) => {
            let tokens = tokens(text);
            let listed = READ_HERE_ALONE
                .iter()
                .find(|(_, words, part)| refused.contains(words) && tokens.contains(part));
            match listed {
                Some((reason, ..)) => *outcome.listed.entry(reason).or_default() += 1,
                None => outcome.wrong.push(format!("read here alone {text:?}: {refused}")),
            }
        }
        (Err(error), Reading::Read(_)) => {
            outcome.wrong.push(format!("READ BY CASSANDRA ALONE {text:?}: {error}"));
        }
        (Err(_), Reading::Refused { .. }) => outcome.refused += 1,
    }
}

#[test]
fn what_is_written_anew_is_read_the_same() {
    let count = usize::try_from(number("CQLGATE_TEXTS", 8_000)).unwrap();
    let texts = texts::texts(number("CQLGATE_SEED", 1) + 1_000, count, &corpus());
    for (text, release) in texts.iter().zip(Release::ALL.into_iter().cycle()) {
        printer::check(text, &Limits { release, ..Limits::default() });
    }
}

#[test]
fn texts_are_read_as_cassandra_5_0_reads_them() {
    compare(Release::V5_0, RELEASE);
}

#[test]
fn texts_are_read_as_cassandra_4_1_reads_them() {
    compare(Release::V4_1, "4.1.10");
}

#[test]
fn texts_are_read_as_cassandra_4_0_reads_them() {
    compare(Release::V4_0, "4.0.19");
}
