//! Names of `MBeans`, as far as a DENY needs to know which of them are meant.
//!
//! In: two names, `domain:key=value,key=value`, the rule's perhaps a pattern. Out: may the rule mean the
//! other? Where that is not sure the answer is yes: only a DENY asks. A GRANT is for the name as it is
//! written, as in Cassandra.

use super::pattern::matches;

/// Is it a pattern in JMX's sense?
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// Does a rule for `rule` mean `name`? The order of the properties means nothing.
pub(super) fn means(rule: &str, name: &str) -> bool {
    let (Some((domain, properties)), Some((of, have))) = (rule.split_once(':'), name.split_once(':')) else {
        return like(rule, name);
    };
    let have = split(have);
    like(domain, of)
        && split(properties).iter().all(|p| *p == "*" || have.iter().any(|q| like(p, q)))
        && (properties.contains('*') || split(properties).len() == have.len())
}

/// The properties; a comma between double quotes is part of a value.
fn split(properties: &str) -> Vec<&str> {
    let mut quoted = false;
    properties
        .split(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        })
        .collect()
}

/// `?` may stand for any one character: here it stands for any number of them.
fn like(pattern: &str, text: &str) -> bool {
    matches(pattern.replace('?', "*").as_bytes(), text.replace('?', "*").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_means_the_beans_of_its_pattern_however_their_properties_are_ordered() {
        for (rule, name, expected) in [
            ("d:a=1", "d:a=1", true),
            ("d:a=1", "d:a=2", false),
            ("d:a=1,b=2", "d:b=2,a=1", true),
            ("d:a=1", "d:a=1,b=2", false),
            ("d:a=1,*", "d:b=2,a=1", true),
            ("d:*", "d:a=1", true),
            ("d*:a=?", "dd:a=1", true),
            ("d:a=\"x,y\"", "d:a=\"x,y\"", true),
            ("d:a=\"x,y\"", "e:a=\"x,y\"", false),
            ("d:a=\"x,y\",b=2", "d:b=2,a=\"x,y\"", true),
            ("d:b=2,*", "d:a=\"x,b=2,y\"", false),
            ("d:a=1", "x", false),
            ("d:*", "d:a=*", true),
            ("d:a=?", "d:a=*", true),
        ] {
            assert_eq!(means(rule, name), expected, "{rule} {name}");
        }
    }
}
