//! A grant as GRANT writes it, `SELECT ON TABLE k.t`, and the name that its resource has in Cassandra's own
//! tables, `data/k/t`.

use std::fmt;

use crate::trouble::{Result, Trouble};

/// One permission on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// The permission.
    pub permission: String,
    /// The resource, as GRANT writes it.
    pub resource: String,
}

/// The types of the corpus's functions, as CQL and as Cassandra's classes.
const TYPES: [(&str, &str); 5] = [
    ("int", "Int32Type"),
    ("text", "UTF8Type"),
    ("bigint", "LongType"),
    ("double", "DoubleType"),
    ("float", "FloatType"),
];

impl Grant {
    /// Reads `SELECT ON TABLE k.t`.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once(" ON ") {
            Some((permission, resource)) => {
                Ok(Self { permission: permission.into(), resource: resource.into() })
            }
            None => Err(Trouble::new(format!("this is no grant: {text}"))),
        }
    }

    /// The same grant on the next resource above, if there is one that reaches down: a grant on all keyspaces
    /// does not reach into a system keyspace, and there the corpus tries it all the same.
    pub fn lifted(&self) -> Option<Self> {
        let keyspace = |name: &str| dotted(name).map(|(keyspace, _)| keyspace.to_owned());
        let resource = if let Some(name) = self.resource.strip_prefix("TABLE ") {
            format!("ALL TABLES IN KEYSPACE {}", keyspace(name)?)
        } else if let Some(name) = self.resource.strip_prefix("ALL TABLES IN KEYSPACE ") {
            format!("KEYSPACE {name}")
        } else if self.resource.starts_with("KEYSPACE ") {
            "ALL KEYSPACES".into()
        } else if let Some(name) = self.resource.strip_prefix("FUNCTION ") {
            format!("ALL FUNCTIONS IN KEYSPACE {}", keyspace(name)?)
        } else if self.resource.starts_with("ALL FUNCTIONS IN KEYSPACE ") {
            "ALL FUNCTIONS".into()
        } else if self.resource.starts_with("ROLE ") {
            "ALL ROLES".into()
        } else if self.resource.starts_with("MBEAN ") {
            "ALL MBEANS".into()
        } else {
            return None;
        };
        Some(Self { permission: self.permission.clone(), resource })
    }

    /// The same grant on the root of its kind of resource.
    #[must_use]
    pub fn on_root(&self) -> Self {
        let mut grant = self.clone();
        while let Some(above) = grant.lifted() {
            grant = above;
        }
        grant
    }

    /// The resource as `system_auth.role_permissions` names it.
    pub fn resource_name(&self) -> Result<String> {
        let unknown = || Trouble::new(format!("this is no resource: {}", self.resource));
        let text = self.resource.as_str();
        let root = match text {
            "ALL KEYSPACES" => Some("data"),
            "ALL FUNCTIONS" => Some("functions"),
            "ALL ROLES" => Some("roles"),
            "ALL MBEANS" => Some("mbean"),
            _ => None,
        };
        if let Some(root) = root {
            return Ok(root.into());
        }
        if let Some(name) = text.strip_prefix("TABLE ") {
            let (keyspace, table) = dotted(name).ok_or_else(unknown)?;
            return Ok(format!("data/{}/{}", plain(keyspace), plain(table)));
        }
        if let Some(name) = text.strip_prefix("FUNCTION ") {
            let (name, types) = name.strip_suffix(')').and_then(|n| n.split_once('(')).ok_or_else(unknown)?;
            let (keyspace, name) = dotted(name).ok_or_else(unknown)?;
            let classes: Result<Vec<String>> =
                types.split(',').map(str::trim).filter(|name| !name.is_empty()).map(class).collect();
            return Ok(format!("functions/{}/{}[{}]", plain(keyspace), plain(name), classes?.join("^")));
        }
        for (word, start, end) in [
            ("ALL TABLES IN KEYSPACE ", "data/", "/*"),
            ("KEYSPACE ", "data/", ""),
            ("ALL FUNCTIONS IN KEYSPACE ", "functions/", ""),
            ("ROLE ", "roles/", ""),
        ] {
            if let Some(name) = text.strip_prefix(word) {
                return Ok(format!("{start}{}{end}", plain(name)));
            }
        }
        let bean = text.strip_prefix("MBEAN '").and_then(|name| name.strip_suffix('\''));
        bean.map(|name| format!("mbean/{name}")).ok_or_else(unknown)
    }
}

/// As GRANT writes it.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ON {}", self.permission, self.resource)
    }
}

/// `k.t`, either part quoted or not; no name of the corpus holds a dot.
fn dotted(name: &str) -> Option<(&str, &str)> {
    name.split_once('.')
}

fn plain(name: &str) -> &str {
    name.trim_matches('"')
}

fn class(cql: &str) -> Result<String> {
    let (_, class) = TYPES
        .iter()
        .find(|(name, _)| *name == cql)
        .ok_or_else(|| Trouble::new(format!("the corpus has no functions of {cql}")))?;
    Ok(format!("org.apache.cassandra.db.marshal.{class}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_have_cassandras_names_and_parents() {
        for (text, name, root) in [
            ("SELECT ON TABLE o1.t", "data/o1/t", "ALL KEYSPACES"),
            ("SELECT ON TABLE \"O\".\"T\"", "data/O/T", "ALL KEYSPACES"),
            ("CREATE ON ALL TABLES IN KEYSPACE o1", "data/o1/*", "ALL KEYSPACES"),
            ("DROP ON KEYSPACE o1", "data/o1", "ALL KEYSPACES"),
            ("CREATE ON ALL FUNCTIONS IN KEYSPACE o1", "functions/o1", "ALL FUNCTIONS"),
            ("EXECUTE ON FUNCTION o1.now()", "functions/o1/now[]", "ALL FUNCTIONS"),
            ("ALTER ON ROLE r1", "roles/r1", "ALL ROLES"),
            ("SELECT ON MBEAN 'a:*'", "mbean/a:*", "ALL MBEANS"),
        ] {
            let grant = Grant::parse(text).unwrap();
            assert_eq!(grant.to_string(), text);
            assert_eq!(grant.resource_name().unwrap(), name);
            assert_eq!(grant.on_root().resource, root);
        }
        let two = Grant::parse("EXECUTE ON FUNCTION o1.f(int, text)").unwrap().resource_name().unwrap();
        let class = "org.apache.cassandra.db.marshal.";
        assert_eq!(two, format!("functions/o1/f[{class}Int32Type^{class}UTF8Type]"));
        assert!(Grant::parse("SELECT").is_err());
        assert!(Grant::parse("EXECUTE ON FUNCTION o1.f(blob)").unwrap().resource_name().is_err());
    }
}
