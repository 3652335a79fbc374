//! CREATE, ALTER and DROP: which definition is meant, and what is kept of it.
//!
//! In: what stands behind the first word. Out: a [`Definition`], which keeps names and signatures; columns,
//! properties and bodies are read and left to the node.

use std::borrow::Cow;

use nom::Parser;

use super::cursor::{Cursor, Parsed};
use super::kind::Kind;
use super::names::{FunctionName, Name, TableName};
use super::parsers::keyword;
use super::{Statement, keyspace, objects, roles, routines, table};
use crate::cql::keyword::Keyword;
use crate::cql::lexer::TokenKind;

/// A statement that changes the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the statement it is called after")]
pub enum Definition<'a> {
    CreateKeyspace(Name<'a>),
    AlterKeyspace(Name<'a>),
    DropKeyspace(Name<'a>),
    CreateTable(TableName<'a>),
    AlterTable(TableName<'a>),
    DropTable(TableName<'a>),
    CreateType(TableName<'a>),
    AlterType(TableName<'a>),
    DropType(TableName<'a>),
    CreateIndex(CreateIndex<'a>),
    /// The index and its keyspace.
    DropIndex(TableName<'a>),
    CreateView(CreateView<'a>),
    AlterView(TableName<'a>),
    DropView(TableName<'a>),
    CreateFunction(CreateFunction<'a>),
    CreateAggregate(Box<CreateAggregate<'a>>),
    DropFunction(DropFunction<'a>),
    DropAggregate(DropFunction<'a>),
    CreateTrigger(CreateTrigger<'a>),
    DropTrigger(DropTrigger<'a>),
}

/// `CREATE [CUSTOM] INDEX`. The index lies in its table's keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateIndex<'a> {
    /// Its name; without one, Cassandra makes one of the table's and the column's.
    pub name: Option<Name<'a>>,
    /// The table.
    pub table: TableName<'a>,
    /// What stands behind USING.
    pub class: Option<Cow<'a, str>>,
    /// Whether it says CUSTOM.
    pub custom: bool,
}

/// `CREATE MATERIALIZED VIEW v AS SELECT .. FROM base`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateView<'a> {
    /// The view.
    pub view: TableName<'a>,
    /// The table it is made of. Without a keyspace it lies in the view's, not in the session's.
    pub base: TableName<'a>,
}

/// `CREATE [OR REPLACE] FUNCTION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateFunction<'a> {
    /// Whether it may take the place of one that exists.
    pub or_replace: bool,
    /// Whether it says IF NOT EXISTS.
    pub if_not_exists: bool,
    /// The function.
    pub function: FunctionName<'a>,
    /// The types of its arguments, in canonical form ([`super::canonical_type`]).
    pub arguments: Vec<String>,
}

/// `CREATE [OR REPLACE] AGGREGATE`. What it is made of lies in its own keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateAggregate<'a> {
    /// The aggregate as a function.
    pub function: CreateFunction<'a>,
    /// SFUNC, called with the state and the arguments.
    pub state_function: Name<'a>,
    /// STYPE, in canonical form.
    pub state_type: String,
    /// FINALFUNC, called with the state.
    pub final_function: Option<Name<'a>>,
}

/// `DROP FUNCTION` and `DROP AGGREGATE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropFunction<'a> {
    /// The function.
    pub function: FunctionName<'a>,
    /// The types of its arguments in canonical form, if the statement says which overload it means.
    pub arguments: Option<Vec<String>>,
}

/// `CREATE TRIGGER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTrigger<'a> {
    /// The trigger.
    pub name: Name<'a>,
    /// Its table.
    pub table: TableName<'a>,
    /// The class that is called.
    pub class: Cow<'a, str>,
}

/// `DROP TRIGGER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropTrigger<'a> {
    /// The trigger.
    pub name: Name<'a>,
    /// Its table.
    pub table: TableName<'a>,
}

impl<'a> Definition<'a> {
    /// The kind of the statement.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::CreateKeyspace(_) => Kind::CreateKeyspace,
            Self::AlterKeyspace(_) => Kind::AlterKeyspace,
            Self::DropKeyspace(_) => Kind::DropKeyspace,
            Self::CreateTable(_) => Kind::CreateTable,
            Self::AlterTable(_) => Kind::AlterTable,
            Self::DropTable(_) => Kind::DropTable,
            Self::CreateType(_) => Kind::CreateType,
            Self::AlterType(_) => Kind::AlterType,
            Self::DropType(_) => Kind::DropType,
            Self::CreateIndex(_) => Kind::CreateIndex,
            Self::DropIndex(_) => Kind::DropIndex,
            Self::CreateView(_) => Kind::CreateView,
            Self::AlterView(_) => Kind::AlterView,
            Self::DropView(_) => Kind::DropView,
            Self::CreateFunction(_) => Kind::CreateFunction,
            Self::CreateAggregate(_) => Kind::CreateAggregate,
            Self::DropFunction(_) => Kind::DropFunction,
            Self::DropAggregate(_) => Kind::DropAggregate,
            Self::CreateTrigger(_) => Kind::CreateTrigger,
            Self::DropTrigger(_) => Kind::DropTrigger,
        }
    }

    /// The table or view that the definition is of or is about; of a view that is made, the view.
    pub const fn table(&self) -> Option<&TableName<'a>> {
        match self {
            Self::CreateTable(table)
            | Self::AlterTable(table)
            | Self::DropTable(table)
            | Self::AlterView(table)
            | Self::DropView(table)
            | Self::CreateIndex(CreateIndex { table, .. })
            | Self::CreateView(CreateView { view: table, .. })
            | Self::CreateTrigger(CreateTrigger { table, .. })
            | Self::DropTrigger(DropTrigger { table, .. }) => Some(table),
            Self::CreateKeyspace(_)
            | Self::AlterKeyspace(_)
            | Self::DropKeyspace(_)
            | Self::CreateType(_)
            | Self::AlterType(_)
            | Self::DropType(_)
            | Self::DropIndex(_)
            | Self::CreateFunction(_)
            | Self::CreateAggregate(_)
            | Self::DropFunction(_)
            | Self::DropAggregate(_) => None,
        }
    }
}

/// Behind `CREATE`.
pub(super) fn create<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Statement<'a>> {
    let (input, or_replace) = routines::or_replace(input)?;
    let TokenKind::Keyword(second) = input.kind() else { return input.fail() };
    let rest = input.next();
    let routine = match second {
        Keyword::Function => Some(
            routines::create_function(rest, or_replace)
                .map(|(rest, f)| (rest, Definition::CreateFunction(f))),
        ),
        Keyword::Aggregate => Some(
            routines::create_aggregate(rest, or_replace)
                .map(|(rest, aggregate)| (rest, Definition::CreateAggregate(Box::new(aggregate)))),
        ),
        _ => None,
    };
    if let Some(routine) = routine {
        return routine.map(|(rest, definition)| (rest, Statement::Definition(definition)));
    }
    if or_replace {
        return input.fail();
    }
    let (rest, definition) = match second {
        Keyword::Keyspace => keyspace::create.map(Definition::CreateKeyspace).parse(rest),
        Keyword::ColumnFamily => table::create.map(Definition::CreateTable).parse(rest),
        Keyword::Index => objects::create_index(rest, false).map(created_index),
        Keyword::Custom => {
            let (rest, ()) = keyword(Keyword::Index)(rest)?;
            objects::create_index(rest, true).map(created_index)
        }
        Keyword::Materialized => {
            let (rest, ()) = keyword(Keyword::View)(rest)?;
            objects::create_view.map(Definition::CreateView).parse(rest)
        }
        Keyword::Type => objects::create_type.map(Definition::CreateType).parse(rest),
        Keyword::Trigger => objects::create_trigger.map(Definition::CreateTrigger).parse(rest),
        Keyword::Role => return roles::create_role.map(Statement::Access).parse(rest),
        Keyword::User => return roles::create_user.map(Statement::Access).parse(rest),
        _ => return input.fail(),
    }?;
    Ok((rest, Statement::Definition(definition)))
}

fn created_index<'a, 'c>(
    (rest, index): (Cursor<'a, 'c>, CreateIndex<'a>),
) -> (Cursor<'a, 'c>, Definition<'a>) {
    (rest, Definition::CreateIndex(index))
}

/// Behind `ALTER`.
pub(super) fn alter<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Statement<'a>> {
    let TokenKind::Keyword(second) = input.kind() else { return input.fail() };
    let rest = input.next();
    let (rest, definition) = match second {
        Keyword::Keyspace => keyspace::alter.map(Definition::AlterKeyspace).parse(rest),
        Keyword::ColumnFamily => table::alter.map(Definition::AlterTable).parse(rest),
        Keyword::Materialized => {
            let (rest, ()) = keyword(Keyword::View)(rest)?;
            objects::alter_view.map(Definition::AlterView).parse(rest)
        }
        Keyword::Type => objects::alter_type.map(Definition::AlterType).parse(rest),
        Keyword::Role => return roles::alter_role.map(Statement::Access).parse(rest),
        Keyword::User => return roles::alter_user.map(Statement::Access).parse(rest),
        _ => return input.fail(),
    }?;
    Ok((rest, Statement::Definition(definition)))
}

/// Behind `DROP`.
pub(super) fn drop_statement<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Statement<'a>> {
    let TokenKind::Keyword(second) = input.kind() else { return input.fail() };
    let rest = input.next();
    let (rest, definition) = match second {
        Keyword::Keyspace => keyspace::drop.map(Definition::DropKeyspace).parse(rest),
        Keyword::ColumnFamily => table::drop.map(Definition::DropTable).parse(rest),
        Keyword::Index => objects::drop_index.map(Definition::DropIndex).parse(rest),
        Keyword::Materialized => {
            let (rest, ()) = keyword(Keyword::View)(rest)?;
            objects::drop_view.map(Definition::DropView).parse(rest)
        }
        Keyword::Type => objects::drop_type.map(Definition::DropType).parse(rest),
        Keyword::Trigger => objects::drop_trigger.map(Definition::DropTrigger).parse(rest),
        Keyword::Function => routines::drop_function.map(Definition::DropFunction).parse(rest),
        Keyword::Aggregate => routines::drop_function.map(Definition::DropAggregate).parse(rest),
        Keyword::Role => return roles::drop_role.map(Statement::Access).parse(rest),
        Keyword::User => return roles::drop_user.map(Statement::Access).parse(rest),
        Keyword::Identity => return roles::drop_identity.map(Statement::Access).parse(rest),
        _ => return input.fail(),
    }?;
    Ok((rest, Statement::Definition(definition)))
}
