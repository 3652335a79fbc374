//! What a WHERE clause restricts a column to, as bytes: for verdicts that depend on it.

use cqlgate_protocol::cql::statement::{Operator, Restriction, Statement, Subject, Term};
use cqlgate_protocol::cql::{Limits, parse};
use cqlgate_protocol::wire::request::Options;

use super::bound;

/// The values that a SELECT restricts a column to by `=` or IN, as they would be bound; `None` if it does not,
/// or if one of them cannot be told.
pub(in crate::session) fn restricted_to(
    text: &str,
    column: &str,
    options: &Options<'_>,
) -> Option<Vec<Vec<u8>>> {
    let value = |term: &Term<'_>| -> Option<Vec<u8>> {
        match term {
            Term::Uuid(text) => Some(uuid::Uuid::parse_str(text).ok()?.as_bytes().to_vec()),
            Term::String(text) => Some(text.as_bytes().to_vec()),
            Term::Bind { index, name } => bound(&options.values, *index, name.as_deref()).map(<[u8]>::to_vec),
            _ => None,
        }
    };
    with_restriction(text, column, |restriction| match (restriction.operator, &restriction.value) {
        (Operator::Equal, term) => Some(vec![value(term)?]),
        (Operator::In, Term::List(terms)) => terms.clone().map(|term| value(&term)).collect(),
        _ => None,
    })
}

/// Whether a SELECT restricts a column to single values, known when it is executed.
pub(in crate::session) fn restricts(text: &str, column: &str) -> bool {
    with_restriction(text, column, |restriction| {
        let told = matches!(restriction.operator, Operator::Equal)
            || matches!((restriction.operator, &restriction.value), (Operator::In, Term::List(_)));
        told.then_some(())
    })
    .is_some()
}

/// The first restriction of a column: others only narrow it further.
fn with_restriction<T>(
    text: &str,
    column: &str,
    then: impl FnOnce(&Restriction<'_>) -> Option<T>,
) -> Option<T> {
    let statement = parse(text, &Limits::default()).ok()?;
    let Statement::Select(select) = statement else { return None };
    let found = select
        .restrictions()
        .find(|restriction| matches!(&restriction.subject, Subject::Column(name) if name == column))?;
    then(&found)
}

#[cfg(test)]
mod tests {
    use cqlgate_protocol::wire::Version;
    use cqlgate_protocol::wire::request::Query;

    use super::*;

    /// The body of a QUERY with these values, by name or by place.
    fn values_of(text: &str, values: &[(Option<&str>, &[u8])]) -> Option<Vec<Vec<u8>>> {
        let mut body = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        body.extend_from_slice(text.as_bytes());
        body.extend_from_slice(&[0, 1, if values.iter().any(|(name, _)| name.is_some()) { 0x41 } else { 1 }]);
        body.extend_from_slice(&u16::try_from(values.len()).unwrap().to_be_bytes());
        for (name, value) in values {
            if let Some(name) = name {
                body.extend_from_slice(&u16::try_from(name.len()).unwrap().to_be_bytes());
                body.extend_from_slice(name.as_bytes());
            }
            body.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
            body.extend_from_slice(value);
        }
        let query = Query::parse(Version::V4, &body).unwrap();
        restricted_to(query.text, "x", &query.options)
    }

    #[test]
    fn values_are_told_only_where_there_is_no_doubt() {
        let told = |text: &str| values_of(text, &[]);
        assert_eq!(told("SELECT a FROM t WHERE x = 'one'"), Some(vec![b"one".to_vec()]));
        assert_eq!(told("SELECT a FROM t WHERE y = 1 AND x IN ('a', 'b')").unwrap().len(), 2);
        for text in ["SELECT a FROM t", "SELECT a FROM t WHERE x > 'a'", "SELECT a FROM t WHERE x = f('a')"] {
            assert_eq!(told(text), None, "{text}");
        }
        assert_eq!(values_of("SELECT a FROM t WHERE x = ?", &[(None, b"1")]), Some(vec![b"1".to_vec()]));
        let named = "SELECT a FROM t WHERE x = :v";
        assert_eq!(values_of(named, &[(Some("v"), b"1")]), Some(vec![b"1".to_vec()]));
        assert_eq!(values_of(named, &[(Some("v"), b"1"), (Some("v"), b"2")]), None, "given twice");
        assert_eq!(values_of(named, &[(Some("w"), b"1")]), None);
        assert!(restricts(named, "x") && !restricts(named, "a") && !restricts("SELECT a FROM t", "x"));
    }
}
