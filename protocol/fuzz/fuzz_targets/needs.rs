//! Whatever is read and judged asks for something, unless it is free for all.

#![no_main]

use arbitrary::Arbitrary;
use cqlgate_protocol::cql::statement::{Access, Definition};
use cqlgate_protocol::cql::{
    Aggregate, Function, Identity, Limits, Relation, RelationKind, Role, Schema, Statement,
    is_system_keyspace, needs, parse,
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
    role: u8,
    arguments: Vec<String>,
    #[arbitrary(default)]
    functions: Vec<Function>,
}

impl AnySchema {
    /// The same, with functions of the arguments it was given.
    fn filled(mut self) -> Self {
        let arguments: Box<[Box<str>]> = self.arguments.iter().map(|one| one.as_str().into()).collect();
        let aggregate =
            Aggregate { state_function: "sf".into(), state_type: "int".into(), final_function: None };
        for aggregate in [None, Some(aggregate)] {
            let arguments = arguments.clone();
            self.functions.push(Function { arguments, returns: "int".into(), aggregate });
        }
        self
    }
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
        let kind = if view {
            RelationKind::View { base: "base" }
        } else {
            RelationKind::Table { views: &self.views }
        };
        Some(Relation { kind, columns: &[], masked: chosen(self.masked, keyspace, name) })
    }

    fn functions(&self, keyspace: &str, name: &str) -> &[Function] {
        if chosen(self.function, keyspace, name) { &self.functions } else { &[] }
    }

    fn index_table(&self, keyspace: &str, index: &str) -> Option<&str> {
        chosen(self.view, keyspace, index).then_some("base")
    }

    fn field_type(&self, keyspace: &str, user_type: &str, field: &str) -> Option<&str> {
        chosen(self.function, keyspace, user_type).then_some(if field.len() > 3 { "int" } else { "text" })
    }

    fn role(&self, role: &str) -> Role {
        let all = [Role::NotAsked, Role::Unreadable, Role::Missing, Role::Plain, Role::Superuser];
        all[(role.len() + usize::from(self.role)) % all.len()]
    }

    fn identity(&self, identity: &str) -> Identity<'_> {
        match (identity.len() + usize::from(self.role)) % 4 {
            0 => Identity::NotAsked,
            1 => Identity::Unreadable,
            2 => Identity::Unbound,
            _ => Identity::Bound("r"),
        }
    }

    fn own_role(&self) -> Option<&str> {
        Some("gateway")
    }
}

/// Whether a statement may need nothing.
fn is_free(statement: &Statement<'_>, keyspace: Option<&str>) -> bool {
    match statement {
        Statement::Use(_) | Statement::Describe(_) => true,
        Statement::Batch(batch) => batch.children.is_empty(),
        Statement::Select(select) => {
            select.table.keyspace.as_deref().or(keyspace).is_some_and(is_system_keyspace)
        }
        // There may be nothing of that name.
        Statement::Definition(definition) => matches!(
            definition,
            Definition::DropIndex(_)
                | Definition::AlterView(_)
                | Definition::DropView(_)
                | Definition::DropFunction(_)
                | Definition::DropAggregate(_)
        ),
        Statement::Access(access) => matches!(access, Access::ListRoles { of: None, .. } | Access::ListUsers),
        _ => false,
    }
}

fuzz_target!(|input: Input<'_>| {
    let schema = input.schema.filled();
    let Ok(statement) = parse(input.text, &Limits::default()) else { return };
    match needs(&statement, input.keyspace, &schema) {
        Ok(all) => {
            assert!(is_free(&statement, input.keyspace) || !all.needs.is_empty());
            for need in all.needs.iter().chain(&all.named) {
                assert!(need.resource.parents().count() <= 3 && !need.why.is_empty());
                let _ = need.clone().into_owned();
            }
        }
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            assert!(refusal.unseen().is_none() || refusal.code() == 0x2200);
        }
    }
});
