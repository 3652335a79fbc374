//! Whether two readings of a text are the same: kind, names, roles, resources, bind markers, clauses.

use std::borrow::Cow;
use std::collections::BTreeSet;

use cqlgate_protocol::cql::statement::{
    Access, CreateFunction, Definition, Described, DropFunction, FunctionName, Grant, Modification,
    NamedResource, PasswordForm, RoleOptions, Select, TableName,
};
use cqlgate_protocol::cql::{Kind, Permission, Resource, Statement};
use cqlgate_testkit::cassandra::Read;
use serde_json::{Value, json};

/// The audit type of a class of Cassandra's.
fn kind(class: &str) -> &str {
    let outer = class.split('$').next().unwrap();
    match outer.strip_suffix("Statement").unwrap() {
        "Select" => "SELECT",
        "Update" => "UPDATE",
        "Delete" => "DELETE",
        "Batch" => "BATCH",
        "Truncate" => "TRUNCATE",
        "Use" => "USE_KEYSPACE",
        "CreateKeyspace" => "CREATE_KEYSPACE",
        "AlterKeyspace" => "ALTER_KEYSPACE",
        "DropKeyspace" => "DROP_KEYSPACE",
        "CreateTable" => "CREATE_TABLE",
        "AlterTable" => "ALTER_TABLE",
        "DropTable" => "DROP_TABLE",
        "CreateIndex" => "CREATE_INDEX",
        "DropIndex" => "DROP_INDEX",
        "CreateView" => "CREATE_VIEW",
        "AlterView" => "ALTER_VIEW",
        "DropView" => "DROP_VIEW",
        "CreateType" => "CREATE_TYPE",
        "AlterType" => "ALTER_TYPE",
        "DropType" => "DROP_TYPE",
        "CreateFunction" => "CREATE_FUNCTION",
        "DropFunction" => "DROP_FUNCTION",
        "CreateAggregate" => "CREATE_AGGREGATE",
        "DropAggregate" => "DROP_AGGREGATE",
        "CreateTrigger" => "CREATE_TRIGGER",
        "DropTrigger" => "DROP_TRIGGER",
        "CreateRole" => "CREATE_ROLE",
        "AlterRole" => "ALTER_ROLE",
        "DropRole" => "DROP_ROLE",
        "ListRoles" | "ListUsers" => "LIST_ROLES",
        "GrantRole" | "GrantPermissions" => "GRANT",
        "RevokeRole" | "RevokePermissions" => "REVOKE",
        "ListPermissions" => "LIST_PERMISSIONS",
        "AddIdentity" => "CREATE_IDENTITY",
        "DropIdentity" => "DROP_IDENTITY",
        "Describe" => "DESCRIBE",
        _ => class,
    }
}

/// What of two readings is compared.
type Compared = Result<(), String>;

/// Compares a statement as cqlgate reads it with the same as Cassandra does; `Err` is what differs.
pub(super) fn agree(text: &str, our: &Statement<'_>, their: &Read) -> Compared {
    same("kind", our.kind().as_str(), kind(&their.class))?;
    match our {
        Statement::Select(select) => selection(select, their)?,
        Statement::Insert(change) | Statement::Update(change) | Statement::Delete(change) => {
            modification(change, their)?;
        }
        Statement::Batch(batch) => {
            same("number of children", &batch.children.len(), &their.children.len())?;
            for (our, their) in batch.children.iter().zip(&their.children) {
                modification(our, their)?;
            }
        }
        Statement::Truncate(name) => table(name, their, "qualifiedName")?,
        Statement::Use(name) => plain(name, their, "keyspace")?,
        Statement::Definition(definition) => return defined(definition, their),
        Statement::Access(access) => return accessed(access, their),
        Statement::Describe(describe) => return described(&describe.what, describe.internals, their),
    }
    called(text, our, their)?;
    let markers: Vec<_> = our.bind_markers().map(|name| name.map(Cow::into_owned)).collect();
    same("markers", &markers, &their.markers)
}

/// Functions that are called, and columns that are restricted, a batch's children taken together.
fn called(text: &str, our: &Statement<'_>, their: &Read) -> Compared {
    let all = || std::iter::once(their).chain(&their.children);
    // `count(*)` is called so, or so in 4.x.
    let named = |name: &&str| !["system.count_rows", "system.countRows"].contains(name);
    let name = |f: FunctionName<'_>| format!("{}.{}", f.keyspace.as_deref().unwrap_or_default(), f.name);
    let functions: BTreeSet<_> = our.called_functions().into_iter().map(name).collect();
    let theirs = all().flat_map(|read| &read.functions).map(String::as_str).filter(named);
    let theirs: BTreeSet<_> = theirs.map(str::to_owned).collect();
    // A field that a user type's literal gives twice counts once for Cassandra, and twice here.
    let twice = text.contains('{') && functions.is_superset(&theirs);
    if !twice {
        same("functions", &functions, &theirs)?;
    }
    let restricted: BTreeSet<_> = our.restricted_columns().into_iter().map(Cow::into_owned).collect();
    same("restricted", &restricted, &all().flat_map(|read| &read.restricted).cloned().collect())
}

fn selection(our: &Select<'_>, their: &Read) -> Compared {
    table(&our.table, their, "qualifiedName")?;
    let parameters = field(their, "parameters");
    for (name, clause) in [
        ("isJson", our.json),
        ("isDistinct", our.distinct),
        ("allowFiltering", our.allow_filtering),
        ("groups", our.has_group_by),
    ] {
        same(name, &json!(clause), &parameters[name])?;
    }
    same("limit", &our.limit().is_some(), &their.fields.contains_key("limit"))?;
    let partition = their.fields.contains_key("perPartitionLimit");
    same("perPartitionLimit", &our.has_per_partition_limit, &partition)
}

fn modification(our: &Modification<'_>, their: &Read) -> Compared {
    table(&our.table, their, "qualifiedName")?;
    let yes = json!(true);
    let conditional = ["conditions", "ifExists", "ifNotExists"].iter().any(|name| *field(their, name) == yes);
    same("conditional", &our.conditional, &conditional)
}

fn defined(our: &Definition<'_>, their: &Read) -> Compared {
    match our {
        Definition::CreateKeyspace(name)
        | Definition::AlterKeyspace(name)
        | Definition::DropKeyspace(name) => plain(name, their, "keyspaceName"),
        Definition::CreateTable(name)
        | Definition::AlterTable(name)
        | Definition::DropTable(name)
        | Definition::CreateType(name)
        | Definition::AlterType(name)
        | Definition::DropType(name)
        | Definition::DropIndex(name)
        | Definition::AlterView(name)
        | Definition::DropView(name) => table(name, their, "name"),
        Definition::CreateIndex(index) => {
            same("index", &json!([null, index.name]), field(their, "indexName"))?;
            table(&index.table, their, "tableName")
        }
        Definition::CreateView(view) => {
            table(&view.view, their, "viewName")?;
            table(&view.base, their, "tableName")
        }
        Definition::CreateFunction(create) => created(create, their, "name"),
        Definition::CreateAggregate(create) => {
            created(&create.function, their, "aggregateName")?;
            plain(&create.state_function, their, "stateFunctionName")?;
            same("final function", &json!(create.final_function), field(their, "finalFunctionName"))
        }
        Definition::DropFunction(drop) | Definition::DropAggregate(drop) => dropped(drop, their),
        Definition::CreateTrigger(trigger) => {
            plain(&trigger.name, their, "triggerName")?;
            plain(&trigger.class, their, "triggerClass")?;
            table(&trigger.table, their, "tableName")
        }
        Definition::DropTrigger(trigger) => {
            plain(&trigger.name, their, "triggerName")?;
            table(&trigger.table, their, "tableName")
        }
    }
}

fn created(our: &CreateFunction<'_>, their: &Read, name: &str) -> Compared {
    function(&our.function, their, name)?;
    same("or replace", &json!(our.or_replace), field(their, "orReplace"))?;
    same("if not exists", &json!(our.if_not_exists), field(their, "ifNotExists"))?;
    same("arguments", &our.arguments.len(), &count(field(their, "rawArgumentTypes")))
}

fn dropped(our: &DropFunction<'_>, their: &Read) -> Compared {
    function(&our.function, their, "name")?;
    same("overload", &json!(our.arguments.is_some()), field(their, "argumentsSpecified"))?;
    same("arguments", &our.arguments.as_ref().map_or(0, Vec::len), &count(field(their, "arguments")))
}

fn accessed(our: &Access<'_>, their: &Read) -> Compared {
    match our {
        Access::CreateRole { role: name, options } | Access::AlterRole { role: name, options } => {
            role(name, their, "role")?;
            role_options(*options, our.kind(), field(their, "opts"))
        }
        Access::DropRole { role: name } => role(name, their, "role"),
        Access::GrantRole { role: name, to: other } | Access::RevokeRole { role: name, from: other } => {
            role(name, their, "role")?;
            role(other, their, "grantee")
        }
        Access::Grant(Grant { permissions: which, on, role: name })
        | Access::Revoke(Grant { permissions: which, on, role: name }) => {
            role(name, their, "grantee")?;
            resource(on, their)?;
            let named = |permission: &Permission| which.is_none_or(|which| which.contains(*permission));
            permissions(on.applicable().iter().copied().filter(named), their)
        }
        Access::ListRoles { of, recursive } => {
            same("recursive", &json!(recursive), field(their, "recursive"))?;
            of.as_ref().map_or_else(|| absent(their, "grantee"), |name| role(name, their, "grantee"))
        }
        Access::ListUsers => same("users", "ListUsersStatement", &their.class),
        Access::ListPermissions { permissions: which, on, of, recursive } => {
            same("recursive", &json!(recursive), field(their, "recursive"))?;
            of.as_ref().map_or_else(|| absent(their, "grantee"), |name| role(name, their, "grantee"))?;
            on.as_ref().map_or_else(|| absent(their, "resource"), |on| resource(on, their))?;
            let named = |permission: &Permission| which.is_none_or(|which| which.contains(*permission));
            permissions(Permission::ALL.into_iter().filter(named), their)
        }
        Access::AddIdentity { identity, role } => {
            plain(identity, their, "identity")?;
            plain(role, their, "role")
        }
        Access::DropIdentity { identity } => plain(identity, their, "identity"),
    }
}

fn role_options(our: RoleOptions, of: Kind, their: &Value) -> Compared {
    // What is not said of a new role, or of an old user, Cassandra fills in.
    if let Some(superuser) = our.superuser {
        same("superuser", &json!(superuser), &their["SUPERUSER"])?;
    } else if of == Kind::AlterRole && their["SUPERUSER"] == true {
        return Err("superuser: none here, true there".to_owned());
    }
    if let Some(login) = our.login {
        same("login", &json!(login), &their["LOGIN"])?;
    }
    let has = |option: &str| their.get(option).is_some();
    same("options", &our.options, &has("OPTIONS"))?;
    same("password", &(our.password == Some(PasswordForm::Clear)), &has("PASSWORD"))?;
    same("hashed password", &(our.password == Some(PasswordForm::Hashed)), &has("HASHED_PASSWORD"))
}

/// Permissions of both sides that every release has.
fn permissions(our: impl Iterator<Item = Permission>, their: &Read) -> Compared {
    let known = |name: &&str| !["UNMASK", "SELECT_MASKED"].contains(name);
    let our: BTreeSet<_> = our.map(Permission::as_str).filter(known).collect();
    let listed = field(their, "permissions").as_array().into_iter().flatten();
    same("permissions", &our, &listed.filter_map(Value::as_str).filter(known).collect())
}

fn resource(our: &NamedResource<'_>, their: &Read) -> Compared {
    let name = match our {
        NamedResource::Table(TableName { keyspace, name }) => {
            format!("data/{}/{name}", keyspace.as_deref().unwrap_or("null"))
        }
        NamedResource::Other(other) => match other {
            Resource::AllKeyspaces => "data".to_owned(),
            Resource::Keyspace(keyspace) => format!("data/{keyspace}"),
            Resource::AllTables(keyspace) => format!("data/{keyspace}/*"),
            Resource::AllFunctions => "functions".to_owned(),
            Resource::FunctionsIn(keyspace) => format!("functions/{keyspace}"),
            Resource::AllRoles => "roles".to_owned(),
            Resource::Role(role) => format!("roles/{role}"),
            Resource::AllMbeans => "mbean".to_owned(),
            Resource::Mbean(name) => format!("mbean/{name}"),
            other => return Err(format!("{other} here")),
        },
    };
    plain(&name, their, "resource")
}

fn described(our: &Described<'_>, internals: bool, their: &Read) -> Compared {
    let names =
        |table: &TableName<'_>| (table.keyspace.as_deref().map(str::to_owned), Some(table.name.to_string()));
    let of = |function: &FunctionName<'_>| {
        (function.keyspace.as_deref().map(str::to_owned), Some(function.name.to_string()))
    };
    let (keyspace, name) = match our {
        Described::Cluster
        | Described::Schema { .. }
        | Described::Keyspaces
        | Described::Tables
        | Described::Types
        | Described::Functions
        | Described::Aggregates => (None, None),
        Described::Keyspace { name, .. } => (name.as_deref().map(str::to_owned), None),
        Described::Table(name)
        | Described::Index(name)
        | Described::View(name)
        | Described::Type(name)
        | Described::Anything(name) => names(name),
        Described::Function(name) | Described::Aggregate(name) => of(name),
    };
    same("internals", &json!(internals), field(their, "includeInternalDetails"))?;
    let one = |name: &str| {
        their.fields.get(name).or_else(|| their.fields.get(&format!("val${name}"))).and_then(Value::as_str)
    };
    same("keyspace", &keyspace.as_deref(), &one("keyspace"))?;
    same("name", &name.as_deref(), &one("name"))
}

fn table(our: &TableName<'_>, their: &Read, name: &str) -> Compared {
    same(name, &json!([our.keyspace, our.name]), field(their, name))
}

fn function(our: &FunctionName<'_>, their: &Read, name: &str) -> Compared {
    same(name, &json!([our.keyspace, our.name]), field(their, name))
}

fn role(our: &str, their: &Read, name: &str) -> Compared {
    plain(&format!("roles/{our}"), their, name)
}

fn plain(our: &str, their: &Read, name: &str) -> Compared {
    same(name, &json!(our), field(their, name))
}

fn absent(their: &Read, name: &str) -> Compared {
    same(name, &Value::Null, field(their, name))
}

fn count(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

fn field<'a>(of: &'a Read, name: &str) -> &'a Value {
    of.fields.get(name).unwrap_or(&Value::Null)
}

fn same<T: PartialEq + std::fmt::Debug + ?Sized>(what: &str, our: &T, their: &T) -> Compared {
    if our == their { Ok(()) } else { Err(format!("{what}: {our:?} here, {their:?} there")) }
}
