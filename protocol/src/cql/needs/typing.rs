//! Whether a value fits a parameter, as Cassandra's function resolution sees it: not at all, weakly, exactly.
//!
//! What cannot be told from the text and the schema is answered by all that is possible, so that nothing that
//! a node may run is left out.

use std::borrow::Cow;

use crate::cql::keyword::Keyword;
use crate::cql::lexer::TokenKind;

/// What may come of testing a value against a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit(u8);

impl Fit {
    /// It does not fit.
    pub(super) const NOT: Self = Self(1);
    /// It can be made to fit.
    pub(super) const WEAK: Self = Self(2);
    /// It is of that very type.
    pub(super) const EXACT: Self = Self(4);
    /// Any of these.
    pub(super) const ANY: Self = Self(7);

    /// Either of two.
    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it may fit.
    pub(super) const fn possible(self) -> bool {
        self.0 & !Self::NOT.0 != 0
    }

    /// Whether it may be exact.
    pub(super) const fn may_be_exact(self) -> bool {
        self.0 & Self::EXACT.0 != 0
    }

    /// Whether it may not fit.
    pub(super) const fn may_not(self) -> bool {
        self.0 & Self::NOT.0 != 0
    }

    /// Of a call with two arguments: exact if both are, not at all if one is not.
    pub(super) const fn and(self, other: Self) -> Self {
        let (both, either) = (self.0 & other.0, self.0 | other.0);
        let weak = if self.possible() && other.possible() { either & Self::WEAK.0 } else { 0 };
        Self(both & Self::EXACT.0).or(Self(weak)).or(Self(either & Self::NOT.0))
    }
}

/// What is known of a value before anybody runs the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typing<'x> {
    /// A value of this type, in canonical form.
    Known(Cow<'x, str>),
    /// A constant as written.
    Literal(TokenKind, &'x str),
    /// `NULL`.
    Null,
    /// A bind marker: it takes the type that is asked for.
    Marker,
    /// `[..]`.
    List,
    /// `{..}`.
    Braces,
    /// The result of a call: it has the type of the function that is chosen.
    Call,
    /// Nothing.
    Unknown,
}

impl Typing<'_> {
    /// How it fits a parameter of a type in canonical form. A call is its caller's business.
    pub(super) fn fit(&self, parameter: &str) -> Fit {
        match self {
            Self::Known(cql_type) => assign(parameter, cql_type),
            Self::Literal(kind, text) => literal(*kind, text, parameter),
            Self::Null if parameter == "counter" => Fit::NOT,
            Self::Null | Self::Marker => Fit::WEAK,
            Self::List => shaped(parameter, &["list", "vector"]),
            Self::Braces if is_user_type(parameter) => Fit::ANY,
            Self::Braces => shaped(parameter, &["map", "set"]),
            Self::Call | Self::Unknown => Fit::ANY,
        }
    }
}

/// How a literal of a shape fits a parameter.
fn shaped(parameter: &str, heads: &[&str]) -> Fit {
    if is_class(parameter) || heads.contains(&head(parameter)) { Fit::ANY } else { Fit::NOT }
}

/// A type that is a class by its Java name may be any other.
fn is_class(cql_type: &str) -> bool {
    cql_type.contains('\'')
}

/// `map` of `map<text, int>`; all of a type without parameters.
pub(super) fn head(cql_type: &str) -> &str {
    cql_type.split_once('<').map_or(cql_type, |(head, _)| head)
}

/// The types between the brackets of `map<text, list<int>>`, at the outermost level.
pub(super) fn parameters(cql_type: &str) -> Vec<&str> {
    let Some(inner) = cql_type.split_once('<').and_then(|(_, rest)| rest.strip_suffix('>')) else {
        return Vec::new();
    };
    let (mut depth, mut quoted, mut start, mut found) = (0_usize, false, 0, Vec::new());
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'"' | b'\'' => quoted = !quoted,
            _ if quoted => {}
            b'<' => depth += 1,
            b'>' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                found.push(inner.get(start..at).unwrap_or_default().trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(inner.get(start..).unwrap_or_default().trim());
    found
}

fn is_native_type(cql_type: &str) -> bool {
    matches!(
        cql_type,
        "ascii"
            | "bigint"
            | "blob"
            | "boolean"
            | "counter"
            | "date"
            | "decimal"
            | "double"
            | "duration"
            | "empty"
            | "float"
            | "inet"
            | "int"
            | "smallint"
            | "text"
            | "time"
            | "timestamp"
            | "timeuuid"
            | "tinyint"
            | "uuid"
            | "varint"
    )
}

fn is_collection(cql_type: &str) -> bool {
    matches!(head(cql_type), "list" | "set" | "map")
}

fn is_user_type(cql_type: &str) -> bool {
    !is_native_type(cql_type) && !cql_type.contains('<') && !is_class(cql_type)
}

/// How a value of one type fits a parameter of another; both in canonical form.
pub(super) fn assign(parameter: &str, value: &str) -> Fit {
    let weak = Fit::WEAK.or(Fit::NOT);
    if is_class(parameter) || is_class(value) {
        return Fit::ANY;
    }
    match (is_native_type(parameter), is_native_type(value)) {
        (true, true) if parameter == value => Fit::EXACT,
        (true, true) => match (parameter, value) {
            ("blob", _) | ("text", "ascii") => Fit::WEAK,
            // Some of these are compatible in some releases.
            (
                "bigint" | "varint" | "timestamp" | "time" | "date" | "counter" | "decimal",
                "bigint" | "int" | "smallint" | "tinyint" | "varint" | "timestamp" | "time" | "date"
                | "counter",
            )
            | ("uuid" | "timeuuid", "uuid" | "timeuuid") => weak,
            _ => Fit::NOT,
        },
        (true, false) if parameter == "blob" => weak,
        (true, false) | (false, true) => Fit::NOT,
        // Names of user types may have their keyspace or not; frozen and not frozen are told apart elsewhere.
        (false, false) if parameter == value => Fit::EXACT.or(Fit::WEAK),
        (false, false) => match (is_collection(parameter), is_collection(value)) {
            (true, true) if head(parameter) == head(value) => Fit::ANY,
            (true, _) | (_, true) => Fit::NOT,
            (false, false) => Fit::ANY,
        },
    }
}

/// How a constant fits a parameter.
fn literal(kind: TokenKind, text: &str, parameter: &str) -> Fit {
    let weak = Fit::WEAK.or(Fit::NOT);
    if is_class(parameter) {
        return Fit::ANY;
    }
    if !is_native_type(parameter) {
        return if is_collection(parameter) || is_user_type(parameter) { Fit::NOT } else { weak };
    }
    let preferred = |is: bool| if is { Fit::EXACT } else { Fit::WEAK };
    match (kind, parameter) {
        (TokenKind::String, "ascii") => preferred(text.is_ascii()),
        (TokenKind::String, "text") => preferred(!text.is_ascii()),
        (TokenKind::String, "duration") => weak,
        (TokenKind::Integer, "int") => preferred(text.parse::<i32>().is_ok()),
        (TokenKind::Integer, "bigint") => {
            preferred(text.parse::<i64>().is_ok() && text.parse::<i32>().is_err())
        }
        (TokenKind::Integer, "varint") => preferred(text.parse::<i64>().is_err()),
        (TokenKind::String, "inet" | "date" | "time" | "timestamp")
        | (
            TokenKind::Integer,
            "counter" | "date" | "decimal" | "double" | "duration" | "float" | "smallint" | "time"
            | "timestamp" | "tinyint",
        )
        | (
            TokenKind::Float
            | TokenKind::NegativeNan
            | TokenKind::NegativeInfinity
            | TokenKind::Keyword(Keyword::Nan | Keyword::Infinity),
            "float",
        ) => Fit::WEAK,
        // Which of the two a constant prefers depends on its digits.
        (
            TokenKind::Float
            | TokenKind::NegativeNan
            | TokenKind::NegativeInfinity
            | TokenKind::Keyword(Keyword::Nan | Keyword::Infinity),
            "double" | "decimal",
        )
        | (TokenKind::Hex, "blob") => Fit::EXACT.or(Fit::WEAK),
        // The version of a UUID is its 13th digit.
        (TokenKind::Uuid, "timeuuid") => preferred(text.as_bytes().get(14) == Some(&b'1')),
        (TokenKind::Uuid, "uuid") => preferred(text.as_bytes().get(14) != Some(&b'1')),
        (TokenKind::Boolean, "boolean") | (TokenKind::Duration, "duration") => Fit::EXACT,
        _ => Fit::NOT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_exact_if_all_of_it_is() {
        assert_eq!(Fit::EXACT.and(Fit::EXACT), Fit::EXACT);
        assert_eq!(Fit::EXACT.and(Fit::WEAK), Fit::WEAK);
        assert_eq!(Fit::NOT.and(Fit::EXACT), Fit::NOT);
        assert_eq!(Fit::ANY.and(Fit::NOT), Fit::NOT);
        assert_eq!(Fit::ANY.and(Fit::EXACT), Fit::ANY);
        assert_eq!(Fit::ANY.and(Fit::WEAK), Fit::WEAK.or(Fit::NOT));
    }

    #[test]
    fn constants_prefer_a_type_and_fit_others() {
        let fit = |kind, text, parameter| Typing::Literal(kind, text).fit(parameter);
        for (kind, text, exact, weak) in [
            (TokenKind::Integer, "1", "int", "tinyint"),
            (TokenKind::Integer, "3000000000", "bigint", "int"),
            (TokenKind::Integer, "99999999999999999999", "varint", "bigint"),
            (TokenKind::String, "'a'", "ascii", "text"),
            (TokenKind::String, "'\u{e4}'", "text", "ascii"),
            (TokenKind::Uuid, "00000000-0000-1000-8000-000000000000", "timeuuid", "uuid"),
            (TokenKind::Uuid, "00000000-0000-4000-8000-000000000000", "uuid", "timeuuid"),
        ] {
            assert_eq!(fit(kind, text, exact), Fit::EXACT, "{text}");
            assert_eq!(fit(kind, text, weak), Fit::WEAK, "{text}");
            assert_eq!(fit(kind, text, "boolean"), Fit::NOT, "{text}");
            assert_eq!(fit(kind, text, "list<int>"), Fit::NOT, "{text}");
        }
        assert_eq!(Typing::Null.fit("counter"), Fit::NOT);
        assert_eq!(Typing::Marker.fit("addr"), Fit::WEAK);
        assert_eq!(Typing::List.fit("set<int>"), Fit::NOT);
        assert_eq!(Typing::Braces.fit("addr"), Fit::ANY);
        assert_eq!(Typing::Known("text".into()).fit("text"), Fit::EXACT);
        assert_eq!(Typing::Known("text".into()).fit("int"), Fit::NOT);
        assert_eq!(Typing::Known("int".into()).fit("'org.apache.cassandra.db.marshal.Int32Type'"), Fit::ANY);
    }

    #[test]
    fn some_constants_fit_few_types() {
        let fit = |kind, parameter| Typing::Literal(kind, "1").fit(parameter);
        let doubtful = Fit::WEAK.or(Fit::NOT);
        assert_eq!(fit(TokenKind::String, "duration"), doubtful);
        assert_eq!(fit(TokenKind::Duration, "duration"), Fit::EXACT);
        assert_eq!(fit(TokenKind::Boolean, "boolean"), Fit::EXACT);
        assert_eq!(fit(TokenKind::Boolean, "duration"), Fit::NOT);
        for parameter in ["list<int>", "map<int, int>", "addr"] {
            assert_eq!(fit(TokenKind::String, parameter), Fit::NOT, "{parameter}");
        }
        for parameter in ["tuple<int, text>", "vector<float, 3>"] {
            assert_eq!(fit(TokenKind::String, parameter), doubtful, "{parameter}");
        }
        assert_eq!(Typing::Null.fit("int"), Fit::WEAK);
    }

    #[test]
    fn brackets_and_braces_fit_what_they_can_be() {
        for (parameter, list, braces) in [
            ("list<int>", Fit::ANY, Fit::NOT),
            ("vector<float, 3>", Fit::ANY, Fit::NOT),
            ("set<int>", Fit::NOT, Fit::ANY),
            ("map<int, int>", Fit::NOT, Fit::ANY),
            ("addr", Fit::NOT, Fit::ANY),
            ("tuple<int, int>", Fit::NOT, Fit::NOT),
            ("int", Fit::NOT, Fit::NOT),
            ("'x.Y'", Fit::ANY, Fit::ANY),
        ] {
            assert_eq!(Typing::List.fit(parameter), list, "{parameter}");
            assert_eq!(Typing::Braces.fit(parameter), braces, "{parameter}");
        }
    }

    #[test]
    fn values_fit_parameters_of_other_types() {
        let doubtful = Fit::WEAK.or(Fit::NOT);
        for (parameter, value, fit) in [
            ("blob", "int", Fit::WEAK),
            ("blob", "list<int>", doubtful),
            ("blob", "addr", doubtful),
            ("text", "list<int>", Fit::NOT),
            ("list<int>", "blob", Fit::NOT),
            ("list<int>", "list<int>", Fit::EXACT.or(Fit::WEAK)),
            ("list<int>", "list<text>", Fit::ANY),
            ("list<int>", "set<int>", Fit::NOT),
            ("map<int, int>", "tuple<int, int>", Fit::NOT),
            ("addr", "map<int, int>", Fit::NOT),
            ("addr", "addr", Fit::EXACT.or(Fit::WEAK)),
            ("addr", "other", Fit::ANY),
            ("tuple<int>", "tuple<text>", Fit::ANY),
        ] {
            assert_eq!(assign(parameter, value), fit, "{parameter} given {value}");
        }
    }

    #[test]
    fn types_are_taken_apart() {
        assert_eq!(parameters("map<text, list<int>>"), ["text", "list<int>"]);
        assert_eq!(parameters("tuple<int, map<int, int>, \"a,b<\">"), ["int", "map<int, int>", "\"a,b<\""]);
        assert_eq!(parameters("int"), Vec::<&str>::new());
        assert_eq!(head("vector<float, 3>"), "vector");
    }
}
