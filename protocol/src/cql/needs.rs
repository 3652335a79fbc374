//! What a statement needs to be permitted: pure data from the statement, the keyspace in use and the schema.
//!
//! In: a [`Statement`], the keyspace that names without one take, a view of the schema. Out: the needs in
//! the order in which Cassandra checks them, or a [`Refusal`]. As in Cassandra, statements on rows name
//! what must exist (an unknown table is INVALID before any check), TRUNCATE and definitions do not.

use std::borrow::Cow;
use std::fmt;

use super::functions::is_native;
use super::resource::{
    Need, Permission, Resource, is_local_system_keyspace, is_readable_by_all, is_system_keyspace,
};
use super::statement::{FunctionName, Kind, Modification, Name, Select, Statement, TableName};

/// What must be known of a cluster's schema. Names are internal names.
pub trait Schema {
    /// Whether a keyspace exists.
    fn has_keyspace(&self, keyspace: &str) -> bool;
    /// A table or view.
    fn relation(&self, keyspace: &str, name: &str) -> Option<Relation<'_>>;
    /// Whether a user function or aggregate of that name exists, whatever its arguments.
    fn has_function(&self, keyspace: &str, name: &str) -> bool;
}

/// A table or a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation<'s> {
    /// Which of them.
    pub kind: RelationKind<'s>,
    /// Whether any of its columns is masked.
    pub masked: bool,
}

/// A table with its views, or a view with its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind<'s> {
    /// A table.
    Table {
        /// The views on it, all in its keyspace.
        views: &'s [String],
    },
    /// A materialized view.
    View {
        /// The table it is made of, in the same keyspace.
        base: &'s str,
    },
}

/// Why a statement is refused before any policy is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Nobody has said yet what such a statement needs.
    NotJudged(Kind),
    /// A name lacks its keyspace, and none is in use.
    NoKeyspace,
    /// The keyspace does not exist.
    UnknownKeyspace(String),
    /// The table does not exist.
    UnknownTable {
        /// Its keyspace, which exists.
        keyspace: String,
        /// The table.
        table: String,
    },
    /// The table has masked columns, which are not judged yet.
    Masked {
        /// Its keyspace.
        keyspace: String,
        /// The table.
        table: String,
    },
    /// The function is a user's, or may be: not judged yet.
    Function {
        /// The function as the statement names it.
        name: String,
    },
    /// Nobody changes the definition of what is in this keyspace.
    SystemKeyspace(String),
    /// Nobody does this to a system keyspace that the nodes share.
    SystemResource(Permission, Resource<'static>),
}

impl Refusal {
    /// The code of the ERROR frame: 0x2000 (syntax), 0x2100 (unauthorized) or 0x2200 (invalid).
    pub const fn code(&self) -> u32 {
        match self {
            Self::NotJudged(_)
            | Self::Masked { .. }
            | Self::Function { .. }
            | Self::SystemKeyspace(_)
            | Self::SystemResource(..) => 0x2100,
            Self::NoKeyspace | Self::UnknownKeyspace(_) | Self::UnknownTable { .. } => 0x2200,
        }
    }

    /// Whether the schema that was asked did not know a name: worth one look-up before it is believed.
    pub const fn is_unknown_name(&self) -> bool {
        matches!(self, Self::UnknownKeyspace(_) | Self::UnknownTable { .. })
    }
}

/// What the client reads, in Cassandra's words where Cassandra has some.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJudged(kind) => {
                write!(f, "cqlgate does not judge {kind} statements yet and refuses them")
            }
            Self::NoKeyspace => f.write_str(
                "No keyspace has been specified. USE a keyspace, or explicitly specify keyspace.tablename",
            ),
            Self::UnknownKeyspace(keyspace) => write!(f, "keyspace {keyspace} does not exist"),
            Self::UnknownTable { table, .. } => write!(f, "table {table} does not exist"),
            Self::Masked { keyspace, table } => {
                write!(
                    f,
                    "cqlgate does not judge tables with masked columns yet and refuses {keyspace}.{table}"
                )
            }
            Self::Function { name } => {
                write!(f, "cqlgate does not judge functions other than native ones yet and refuses {name}")
            }
            Self::SystemKeyspace(keyspace) => write!(f, "{keyspace} keyspace is not user-modifiable."),
            Self::SystemResource(permission, resource) => write!(f, "Cannot {permission} {resource}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// So many needs of a batch are compared with those of later children.
const COMPARED: usize = 32;

/// What `statement` needs, in the order in which Cassandra checks it. `keyspace` is the one that names
/// without a keyspace take: the request's own, or the session's.
///
/// # Errors
/// A [`Refusal`] where nothing can be permitted, or where cqlgate does not know what to ask for.
pub fn needs<'a>(
    statement: &Statement<'a>,
    keyspace: Option<&str>,
    schema: &impl Schema,
) -> Result<Vec<Need<'a>>, Refusal> {
    let scope = Scope { keyspace, schema };
    match statement {
        Statement::Select(select) => scope.select(select),
        Statement::Insert(change) | Statement::Update(change) | Statement::Delete(change) => {
            scope.change(change)
        }
        Statement::Batch(batch) => {
            let mut all = Vec::with_capacity(batch.children.len());
            for child in &batch.children {
                for need in scope.change(child)? {
                    // Most batches write to few tables; a need is asked once if it is among the first.
                    if !all.iter().take(COMPARED).any(|other| *other == need) {
                        all.push(need);
                    }
                }
            }
            Ok(all)
        }
        Statement::Truncate(table) => {
            let resource = scope.table(table)?;
            Ok(vec![Need { permission: Permission::Modify, resource, why: "truncates the table" }])
        }
        Statement::Use(_) => Ok(Vec::new()),
        Statement::CreateKeyspace(_) => {
            let resource = Resource::AllKeyspaces;
            Ok(vec![Need { permission: Permission::Create, resource, why: "creates a keyspace" }])
        }
        Statement::DropKeyspace(keyspace) => {
            definition(Permission::Drop, Resource::Keyspace(keyspace.clone()), "drops the keyspace")
        }
        Statement::CreateTable(table) => {
            let resource = Resource::AllTables(scope.resolve(table)?);
            definition(Permission::Create, resource, "creates a table in the keyspace")
        }
        Statement::DropTable(table) => definition(Permission::Drop, scope.table(table)?, "drops the table"),
        Statement::Other(kind) => Err(Refusal::NotJudged(*kind)),
    }
}

/// One need of a statement that changes the schema; nobody does that to system keyspaces.
fn definition<'a>(
    permission: Permission,
    resource: Resource<'a>,
    why: &'static str,
) -> Result<Vec<Need<'a>>, Refusal> {
    match resource.keyspace() {
        Some(keyspace) if is_local_system_keyspace(keyspace) => {
            Err(Refusal::SystemKeyspace(keyspace.to_owned()))
        }
        Some(keyspace) if is_system_keyspace(keyspace) => {
            Err(Refusal::SystemResource(permission, resource.into_owned()))
        }
        _ => Ok(vec![Need { permission, resource, why }]),
    }
}

/// Where names are looked up.
struct Scope<'s, S> {
    keyspace: Option<&'s str>,
    schema: &'s S,
}

impl<S: Schema> Scope<'_, S> {
    /// The keyspace of a table.
    fn resolve<'a>(&self, table: &TableName<'a>) -> Result<Name<'a>, Refusal> {
        match (&table.keyspace, self.keyspace) {
            (Some(keyspace), _) => Ok(keyspace.clone()),
            (None, Some(keyspace)) => Ok(Cow::Owned(keyspace.to_owned())),
            (None, None) => Err(Refusal::NoKeyspace),
        }
    }

    fn table<'a>(&self, table: &TableName<'a>) -> Result<Resource<'a>, Refusal> {
        Ok(Resource::Table { keyspace: self.resolve(table)?, table: table.name.clone() })
    }

    /// A table or view that must exist and must not be masked.
    fn relation(&self, keyspace: &str, table: &str) -> Result<RelationKind<'_>, Refusal> {
        let Some(relation) = self.schema.relation(keyspace, table) else {
            return Err(if self.schema.has_keyspace(keyspace) {
                Refusal::UnknownTable { keyspace: keyspace.to_owned(), table: table.to_owned() }
            } else {
                Refusal::UnknownKeyspace(keyspace.to_owned())
            });
        };
        let base_masked = match relation.kind {
            RelationKind::View { base } => {
                self.schema.relation(keyspace, base).is_none_or(|base| base.masked)
            }
            RelationKind::Table { .. } => false,
        };
        if relation.masked || base_masked {
            return Err(Refusal::Masked { keyspace: keyspace.to_owned(), table: table.to_owned() });
        }
        Ok(relation.kind)
    }

    /// Every function must be a native one. An unqualified name is looked up in the table's keyspace too,
    /// where a user function may take a native one's place.
    fn functions(&self, functions: &[FunctionName<'_>], keyspace: &str) -> Result<(), Refusal> {
        for function in functions {
            let native = match function.keyspace.as_deref() {
                Some("system") => true,
                Some(_) => false,
                None => is_native(&function.name) && !self.schema.has_function(keyspace, &function.name),
            };
            if !native {
                let name = match &function.keyspace {
                    Some(keyspace) => format!("{keyspace}.{}", function.name),
                    None => function.name.clone().into_owned(),
                };
                return Err(Refusal::Function { name });
            }
        }
        Ok(())
    }

    fn select<'a>(&self, select: &Select<'a>) -> Result<Vec<Need<'a>>, Refusal> {
        let keyspace = self.resolve(&select.table)?;
        let table = &select.table.name;
        if is_readable_by_all(&keyspace, table) {
            self.functions(&select.functions, &keyspace)?;
            return Ok(Vec::new());
        }
        let relation = self.relation(&keyspace, table)?;
        self.functions(&select.functions, &keyspace)?;
        let (table, why) = match relation {
            RelationKind::Table { .. } => (table.clone(), "reads the table"),
            RelationKind::View { base } => (Cow::Owned(base.to_owned()), "reads a view of the table"),
        };
        Ok(vec![Need { permission: Permission::Select, resource: Resource::Table { keyspace, table }, why }])
    }

    fn change<'a>(&self, change: &Modification<'a>) -> Result<Vec<Need<'a>>, Refusal> {
        let keyspace = self.resolve(&change.table)?;
        let relation = self.relation(&keyspace, &change.table.name)?;
        self.functions(&change.functions, &keyspace)?;
        let resource = |table: Name<'a>| Resource::Table { keyspace: keyspace.clone(), table };
        let table = resource(change.table.name.clone());
        let mut all =
            vec![Need { permission: Permission::Modify, resource: table.clone(), why: "changes the table" }];
        // A node refuses to write to a view, after the same check.
        let views = match relation {
            RelationKind::Table { views } => views,
            RelationKind::View { .. } => &[],
        };
        if change.conditional {
            let why = "a conditional write reads the table";
            all.push(Need { permission: Permission::Select, resource: table, why });
        } else if !views.is_empty() {
            let why = "a write to a table with views reads it";
            all.push(Need { permission: Permission::Select, resource: table, why });
        }
        for view in views {
            let why = "a write to the table writes its view";
            all.push(Need {
                permission: Permission::Modify,
                resource: resource(Cow::Owned(view.clone())),
                why,
            });
        }
        Ok(all)
    }
}
