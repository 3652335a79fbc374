//! Cassandra's own parser without a server: what a release makes of texts.
//!
//! The servers of 4.0 and 4.1 do not run on a Java 17, their parsers do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde::Deserialize;

use super::fetch;
use crate::parts;
use crate::trouble::{During, Result, Trouble};

/// What a release makes of a text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Reading {
    /// It is no CQL; why.
    Refused {
        /// In Cassandra's words, behind the class of the exception.
        refused: String,
    },
    /// It is a statement.
    Read(Read),
}

/// A statement as Cassandra's parser holds it, before it is looked up in a schema.
#[derive(Clone, Debug, Deserialize)]
pub struct Read {
    /// Cassandra's class, without its package.
    pub class: String,
    /// The class's own fields, as far as they are names or plain values; a qualified name is a pair of
    /// keyspace, perhaps null, and name.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Names of functions anywhere in the statement, `keyspace.name`, the keyspace perhaps empty.
    pub functions: Vec<String>,
    /// Columns that the WHERE clause restricts.
    pub restricted: Vec<String>,
    /// Names of the bind markers in order; `None` for `?`. A batch's children have none of their own.
    #[serde(default)]
    pub markers: Vec<Option<String>>,
    /// A batch's statements.
    #[serde(default)]
    pub children: Vec<Self>,
}

/// What the parser of `release` makes of each text, in order. One virtual machine reads them all; it is
/// started at once and gone when this returns.
pub fn readings(release: &str, texts: &[String]) -> Result<Vec<Reading>> {
    let java = parts::java()?;
    let classes = fetch::jars(release)?.join("*");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("java/ParserOracle.java");
    let mut child = Command::new(java)
        .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:+PerfDisableSharedMem", "-cp"])
        .arg(classes)
        .arg(source)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .during("starting java")?;
    let answers = converse(&mut child, texts);
    if answers.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().during("waiting for java")?;
    match answers? {
        (answers, _) if answers.len() == texts.len() && status.success() => Ok(answers),
        (answers, said) => Err(Trouble::new(format!(
            "the parser of Cassandra {release} answered {} of {} texts (a JDK 17 is needed, a runtime alone \
             cannot compile it):\n{said}",
            answers.len(),
            texts.len()
        ))),
    }
}

/// Writes the texts, reads an answer for each and what was said beside them.
fn converse(child: &mut Child, texts: &[String]) -> Result<(Vec<Reading>, String)> {
    let missing = || Trouble::new("java has no pipes");
    let mut input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    let mut errors = child.stderr.take().ok_or_else(missing)?;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for text in texts {
                // Who does not read to the end says why on its other pipes.
                if writeln!(input, "{}", hex(text)).is_err() {
                    break;
                }
            }
        });
        let said = scope.spawn(move || {
            let mut said = String::new();
            let _ = errors.read_to_string(&mut said);
            said
        });
        let answers: Result<Vec<Reading>> = BufReader::new(output)
            .lines()
            .map(|line| {
                let line = line.during("reading java's answers")?;
                serde_json::from_str(&line).during(format!("reading {line}"))
            })
            .collect();
        Ok((answers?, said.join().unwrap_or_default()))
    })
}

fn hex(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(2 * text.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
