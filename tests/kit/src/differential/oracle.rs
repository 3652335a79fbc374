//! The second oracle: what Cassandra's audit log recorded of a statement that ran directly, against what the
//! gateway's audit log says of the same statement.
//!
//! Cassandra's is vague in places: an INSERT is an UPDATE, LIST USERS is `LIST_ROLES`, a batch names no table,
//! an index is named without its table; what it does not say is not compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::direct::Recorded;

/// A statement that ran directly, and what was recorded of it.
#[derive(Clone, Debug)]
pub(super) struct Ran {
    pub(super) name: String,
    pub(super) keyspace: Option<String>,
    pub(super) text: String,
}

/// Every disagreement, and how many statements were compared.
pub(super) fn compare(
    ran: &[Ran],
    recorded: &BTreeMap<(String, String), Recorded>,
    lines: &[Value],
    views: &BTreeMap<String, String>,
) -> (usize, BTreeSet<String>) {
    let mut by_run: BTreeMap<(&str, &str, &str), &Value> = BTreeMap::new();
    for line in lines {
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = line.pointer("/who/name").and_then(Value::as_str).unwrap_or_default();
        by_run.insert((name, text("keyspace"), text("text")), line);
    }
    let (mut compared, mut wrong) = (0, BTreeSet::new());
    for run in ran {
        let key = (run.name.as_str(), run.keyspace.as_deref().unwrap_or_default(), run.text.as_str());
        // No line: the gateway answers it from a table of its own, or blanked a password in it.
        let Some(line) = by_run.get(&key) else { continue };
        // A line of the node's log holds no end of a line.
        let logged = (run.name.clone(), run.text.replace(['\r', '\n'], " "));
        let Some(recorded) = recorded.get(&logged) else { continue };
        compared += 1;
        let kind = line.get("statement").and_then(Value::as_str).unwrap_or_default();
        let resources: Vec<&str> = line
            .get("resources")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if kind != recorded.kind || !names(&resources, recorded, views) {
            wrong.insert(format!(
                "{}\n    Cassandra recorded {:?}\n    cqlgate {kind} {resources:?}",
                run.text, recorded
            ));
        }
    }
    (compared, wrong)
}

/// Do the resources name what was recorded?
fn names(resources: &[&str], recorded: &Recorded, views: &BTreeMap<String, String>) -> bool {
    let (Some(keyspace), false) = (&recorded.keyspace, resources.is_empty()) else { return true };
    let holds = |resource: &str| resources.iter().any(|r| r.contains(resource));
    if recorded.kind == "SELECT" && !holds("<table ") {
        // A table that everybody may read needs nothing; the functions that are called on it do.
        return true;
    }
    let scope = recorded.scope.as_deref();
    match (recorded.kind.as_str(), scope) {
        ("SELECT" | "UPDATE" | "DELETE" | "TRUNCATE" | "ALTER_TABLE" | "DROP_TABLE", Some(scope)) => {
            let name = format!("{keyspace}.{scope}");
            let base = views.get(&name).filter(|_| recorded.kind == "SELECT");
            holds(&format!("<table {name}>")) || base.is_some_and(|base| holds(&format!("<table {base}>")))
        }
        ("CREATE_TABLE" | "CREATE_TYPE" | "ALTER_TYPE" | "DROP_TYPE", _) => {
            holds(&format!("<all tables in {keyspace}>"))
        }
        ("CREATE_KEYSPACE", _) => holds("<all keyspaces>"),
        ("ALTER_KEYSPACE" | "DROP_KEYSPACE", _) => holds(&format!("<keyspace {keyspace}>")),
        ("CREATE_INDEX" | "DROP_INDEX" | "CREATE_VIEW" | "ALTER_VIEW" | "DROP_VIEW", _) => {
            holds(&format!("<table {keyspace}."))
        }
        ("CREATE_FUNCTION" | "DROP_FUNCTION" | "CREATE_AGGREGATE" | "DROP_AGGREGATE", _) => {
            holds(&format!("<function {keyspace}.")) || holds(&format!("<all functions in {keyspace}>"))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn another_table_or_kind_is_found() {
        let recorded = |kind: &str, scope: &str| Recorded {
            kind: kind.into(),
            keyspace: Some("k".into()),
            scope: Some(scope.into()),
        };
        let ran = Ran { name: "p1".into(), keyspace: None, text: "text".into() };
        let line = json!({ "who": { "name": "p1" }, "text": "text", "statement": "SELECT",
            "resources": ["SELECT <table k.base>"] });
        let views = BTreeMap::from([("k.view".into(), "k.base".into())]);
        let wrong = |recorded| {
            let recorded = BTreeMap::from([(("p1".into(), "text".into()), recorded)]);
            compare(std::slice::from_ref(&ran), &recorded, std::slice::from_ref(&line), &views).1.len()
        };
        assert_eq!(wrong(recorded("SELECT", "base")), 0);
        assert_eq!(wrong(recorded("SELECT", "view")), 0);
        assert_eq!(wrong(recorded("SELECT", "other")), 1);
        assert_eq!(wrong(recorded("UPDATE", "base")), 1);
    }
}
