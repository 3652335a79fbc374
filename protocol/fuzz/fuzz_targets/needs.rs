//! Whatever is read and judged asks for something, unless it is free for all.

#![no_main]

use arbitrary::Arbitrary;
use cqlgate_protocol::cql::{
    Limits, Relation, RelationKind, Schema, Statement, is_system_keyspace, needs, parse,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    keyspace: Option<&'a str>,
    schema: AnySchema,
    text: &'a str,
}

/// A schema that answers by the length of what it is asked for.
#[derive(Arbitrary, Debug)]
struct AnySchema {
    views: Vec<String>,
    unknown: u8,
    view: u8,
    masked: u8,
    function: u8,
}

fn chosen(one_in: u8, keyspace: &str, name: &str) -> bool {
    one_in != 0 && (keyspace.len() + name.len()) % usize::from(one_in) == 0
}

impl Schema for AnySchema {
    fn has_keyspace(&self, keyspace: &str) -> bool {
        !chosen(self.unknown, keyspace, "")
    }

    fn relation(&self, keyspace: &str, name: &str) -> Option<Relation<'_>> {
        if chosen(self.unknown, keyspace, name) {
            return None;
        }
        let view = chosen(self.view, keyspace, name) && name != "base";
        let kind = if view { RelationKind::View { base: "base" } } else { RelationKind::Table { views: &self.views } };
        Some(Relation { kind, masked: chosen(self.masked, keyspace, name) })
    }

    fn has_function(&self, keyspace: &str, name: &str) -> bool {
        chosen(self.function, keyspace, name)
    }
}

fuzz_target!(|input: Input<'_>| {
    let Ok(statement) = parse(input.text, &Limits::default()) else { return };
    match needs(&statement, input.keyspace, &input.schema) {
        Ok(needs) => {
            assert!(statement.kind().is_judged());
            let free = match &statement {
                Statement::Use(_) => true,
                Statement::Batch(batch) => batch.children.is_empty(),
                Statement::Select(select) => {
                    let keyspace = select.table.keyspace.as_deref().or(input.keyspace);
                    keyspace.is_some_and(is_system_keyspace)
                }
                _ => false,
            };
            assert!(free || !needs.is_empty());
            for need in &needs {
                assert!(need.resource.parents().count() <= 3);
                let _ = need.clone().into_owned();
            }
        }
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            assert!(!refusal.is_unknown_name() || refusal.code() == 0x2200);
        }
    }
});
