//! The grammar of CQL as Cassandra 5.0 has it, one file a family.
//!
//! In: a text. Out: one [`Statement`], parsed to the end of the text, or a [`ParseError`]. The parsers
//! are `nom` parsers over a cursor of tokens; they look ahead instead of trying twice, so their time
//! is linear in the text, and every nesting has a bound.
//!
//! Where Cassandra's own grammar decides by trying, the reading here is the same or the text is refused;
//! the texts that Cassandra reads and this grammar does not are named in the tests.

mod access;
mod batch;
mod called;
pub(crate) mod cursor;
mod definition;
mod describe;
mod error;
mod keyspace;
mod kind;
mod limits;
mod modification;
mod named;
pub(crate) mod names;
mod newer;
mod objects;
mod parsers;
mod permissions;
mod properties;
mod relation;
mod roles;
mod routines;
mod select;
mod selector;
mod table;
mod term;
pub(crate) mod tree;
mod types;

use nom::Parser;
use nom::combinator::cut;

pub use access::{Access, Grant, NamedResource, PasswordForm, RoleOptions};
pub use batch::Batch;
use cursor::{Context, Cursor, LONGEST_TEXT, Parsed, Reason};
pub use definition::{
    CreateAggregate, CreateFunction, CreateIndex, CreateTrigger, CreateView, Definition, DropFunction,
    DropTrigger,
};
pub use describe::{Describe, Described};
pub use error::{Note, ParseError, SyntaxError};
pub use kind::{Category, Kind};
pub use limits::{INDEX_MARGIN, LimitKind, Limits};
pub use modification::Modification;
pub use names::{FunctionName, Name, TableName};
use parsers::keyword;
pub use permissions::Permissions;
pub use relation::{Operator, Restriction, Restrictions, Subject};
pub use select::{Select, Selection};
pub use selector::{Arguments, Selector, SelectorExpr, Selectors};
pub use term::{Term, Terms};
use tree::Tree;
pub use types::canonical_type;

use super::keyword::{Keyword, Release};
use super::lexer::{Symbol, TokenKind};

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement<'a> {
    /// `SELECT`.
    Select(Select<'a>),
    /// `INSERT`.
    Insert(Modification<'a>),
    /// `UPDATE`.
    Update(Modification<'a>),
    /// `DELETE`.
    Delete(Modification<'a>),
    /// `BEGIN BATCH .. APPLY BATCH`.
    Batch(Batch<'a>),
    /// `TRUNCATE`.
    Truncate(TableName<'a>),
    /// `USE k`.
    Use(Name<'a>),
    /// `CREATE`, `ALTER` and `DROP` of what the schema holds.
    Definition(Definition<'a>),
    /// Roles, users, identities and permissions.
    Access(Access<'a>),
    /// `DESCRIBE`.
    Describe(Describe<'a>),
}

/// Reads `text` as one statement.
///
/// # Errors
/// [`ParseError::Syntax`] where Cassandra would say `SYNTAX_ERROR`, [`ParseError::Limit`] where a limit is
/// exceeded.
pub fn parse<'a>(text: &'a str, limits: &Limits) -> Result<Statement<'a>, ParseError> {
    let bound = limits.text.min(LONGEST_TEXT);
    if text.len() > bound {
        return Err(ParseError::Limit { limit: LimitKind::Text, bound });
    }
    run(&Context::new(text, *limits)).map_err(|error| newer::noted(error, text, limits))
}

fn run<'a>(context: &Context<'a>) -> Result<Statement<'a>, ParseError> {
    let text = context.text;
    let (mut rest, statement) =
        statement(Cursor::new(context, 0, 0)).map_err(|error| ParseError::new(text, &error))?;
    while rest.at(Symbol::Semicolon) {
        rest = rest.next();
    }
    if rest.kind() == TokenKind::End {
        return Ok(statement);
    }
    rest.expected(Reason::ExpectedEnd, "")
        .map_err(|error| ParseError::new(text, &error))
        .map(|(_, none)| none)
}

fn statement<'a: 'c, 'c>(input: Cursor<'a, 'c>) -> Parsed<'a, 'c, Statement<'a>> {
    let TokenKind::Keyword(first) = input.kind() else { return input.fail() };
    match first {
        Keyword::Select => select::select.map(Statement::Select).parse(input),
        Keyword::Insert => modification::insert.map(Statement::Insert).parse(input),
        Keyword::Update => modification::update.map(Statement::Update).parse(input),
        Keyword::Delete => modification::delete.map(Statement::Delete).parse(input),
        Keyword::Begin => batch::batch.map(Statement::Batch).parse(input),
        Keyword::Truncate => table::truncate.map(Statement::Truncate).parse(input),
        Keyword::Use => keyspace::use_statement.map(Statement::Use).parse(input),
        Keyword::Create => cut(definition::create).parse(input.next()),
        Keyword::Alter => cut(definition::alter).parse(input.next()),
        Keyword::Drop => cut(definition::drop_statement).parse(input.next()),
        Keyword::Grant => cut(permissions::grant).map(Statement::Access).parse(input.next()),
        Keyword::Revoke => cut(permissions::revoke).map(Statement::Access).parse(input.next()),
        Keyword::List => cut(permissions::list).map(Statement::Access).parse(input.next()),
        Keyword::Describe | Keyword::Desc => {
            cut(describe::describe).map(Statement::Describe).parse(input.next())
        }
        Keyword::Add if input.knows(Release::V5_0) => {
            let (rest, ()) = cut(keyword(Keyword::Identity)).parse(input.next())?;
            cut(roles::add_identity).map(Statement::Access).parse(rest)
        }
        _ => input.fail(),
    }
}

impl<'a> Statement<'a> {
    /// The kind of the statement.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Select(_) => Kind::Select,
            Self::Insert(_) | Self::Update(_) => Kind::Update,
            Self::Delete(_) => Kind::Delete,
            Self::Batch(_) => Kind::Batch,
            Self::Truncate(_) => Kind::Truncate,
            Self::Use(_) => Kind::UseKeyspace,
            Self::Definition(definition) => definition.kind(),
            Self::Access(access) => access.kind(),
            Self::Describe(_) => Kind::Describe,
        }
    }

    /// The one table or view that the statement is about, if it is about one: of an index or a trigger its
    /// table, of a view that is made the view.
    pub fn table(&self) -> Option<&TableName<'a>> {
        match self {
            Self::Select(select) => Some(&select.table),
            Self::Insert(change) | Self::Update(change) | Self::Delete(change) => Some(&change.table),
            Self::Truncate(table) => Some(table),
            Self::Definition(definition) => definition.table(),
            Self::Batch(_) | Self::Use(_) | Self::Access(_) | Self::Describe(_) => None,
        }
    }

    /// Whether a node takes the statement for fully qualified, which decides how it makes a prepared id:
    /// of the text alone, or of the session's keyspace and the text. As there, only statements on rows can
    /// be so, TRUNCATE among them, whatever names others hold.
    pub fn is_fully_qualified(&self) -> bool {
        match self {
            Self::Batch(batch) => batch.children.iter().all(|child| child.table.keyspace.is_some()),
            Self::Select(_) | Self::Insert(_) | Self::Update(_) | Self::Delete(_) | Self::Truncate(_) => {
                self.table().is_some_and(|table| table.keyspace.is_some())
            }
            Self::Use(_) | Self::Definition(_) | Self::Access(_) | Self::Describe(_) => false,
        }
    }

    /// Whether a name in it takes the keyspace that the connection has set by USE when the statement runs,
    /// and never the one that its own request names: GRANT, REVOKE and LIST on a table without a keyspace,
    /// and DESCRIBE of what lies in "the" keyspace.
    pub fn takes_session_keyspace(&self) -> bool {
        match self {
            Self::Access(access) => access.is_unqualified(),
            Self::Describe(describe) => describe.is_unqualified(),
            _ => false,
        }
    }

    /// Whether it is an INSERT, UPDATE or DELETE with a condition.
    pub fn is_conditional(&self) -> bool {
        match self {
            Self::Insert(change) | Self::Update(change) | Self::Delete(change) => change.conditional,
            _ => false,
        }
    }

    /// The keyspace of a USE.
    pub fn use_keyspace(&self) -> Option<&str> {
        match self {
            Self::Use(keyspace) => Some(keyspace),
            _ => None,
        }
    }

    /// How many bind markers the statement has; none in a statement that is not about rows.
    pub fn bind_marker_count(&self) -> usize {
        self.rows().map_or(0, |(_, markers, _)| markers)
    }

    /// The names of the bind markers in order; `None` for `?`.
    pub fn bind_markers(&self) -> impl Iterator<Item = Option<Name<'a>>> + use<'a> {
        let mut names = Vec::new();
        if let Some((text, 1.., release)) = self.rows() {
            let context = Context::collecting_markers(text, Limits::unlimited(release));
            if run(&context).is_ok() {
                names = context.markers.map(std::cell::RefCell::into_inner).unwrap_or_default();
            }
        }
        names.into_iter()
    }

    /// The expressions of a statement about rows, and where it names which columns; `None` for any other.
    pub(crate) fn details(&self) -> Option<Tree<'a>> {
        let (text, _, release) = self.rows()?;
        let context = Context::recording(text, Limits::unlimited(release));
        run(&context).ok()?;
        context.tree.map(std::cell::RefCell::into_inner)
    }

    /// Text, number of markers and release of a statement about rows.
    fn rows(&self) -> Option<(&'a str, usize, Release)> {
        match self {
            Self::Select(select) => Some((select.text, select.markers, select.release)),
            Self::Insert(change) | Self::Update(change) | Self::Delete(change) => {
                Some((change.text, change.markers, change.release))
            }
            Self::Batch(batch) => Some((batch.text, batch.markers, batch.release)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use crate::cql::lexer::next_token;

    /// Steps that the grammar took in a text, and how many tokens the text has. Fails if bytes are looked at too
    /// often to cut them.
    fn work(text: &str) -> (u64, u64) {
        let context = Context::new(text, Limits { batch_children: usize::MAX, ..Limits::default() });
        let _ = run(&context);
        let (_, looked) = context.cuts.get();
        assert!(looked <= CUTS * text.len(), "{looked} bytes cut of {}: {text:.100}", text.len());
        let (mut tokens, mut position) = (1, 0);
        loop {
            let token = next_token(text, position);
            if matches!(token.kind, TokenKind::End | TokenKind::Bad(_)) {
                return (context.steps.get(), tokens);
            }
            tokens += 1;
            position = token.end;
        }
    }

    /// No text makes the grammar look at a token more often than this.
    const LOOKS: u64 = 24;

    /// No text is cut more often than this.
    const CUTS: usize = 8;

    /// An assignment to a quoted column, long where `what` has an `x`, and more behind it.
    fn quoted_behind(what: &str) -> String {
        format!("UPDATE t SET \"a\"{}, ", what.replace('x', &"x".repeat(100_000)))
    }

    #[test]
    fn work_is_linear_in_the_text() {
        let many = 5_000;
        for (head, repeated, tail) in [
            ("SELECT ", "(a)[", ""),
            ("SELECT ", "(", ""),
            ("SELECT ", "(int)", "a FROM t"),
            ("SELECT JSON DISTINCT ", "(a),", ""),
            ("SELECT JSON ", "[json[1..2]],", "json[1..2] FROM t"),
            ("SELECT ", "a+", "a FROM t"),
            ("SELECT ", "f(a.b[1]),", "a FROM t"),
            ("SELECT ", "{(a):(b)},", "a FROM t"),
            ("SELECT a FROM t WHERE ", "(a,b)=(1,2) AND ", "a=1"),
            ("SELECT a FROM t WHERE a IN (", "(int)1,", "1)"),
            ("SELECT a FROM t WHERE a IN (", "('x'),", "1)"),
            ("SELECT a FROM t WHERE a IN (", "{a:{b:1}},", ""),
            ("SELECT a FROM t WHERE ", "(", ""),
            ("UPDATE t SET ", "a=a+1,", ""),
            ("UPDATE t SET ", "a=[1]+a,", "b=1 WHERE k=1"),
            ("BEGIN BATCH ", "INSERT INTO t (a) VALUES (k.f(1)) ", "APPLY BATCH"),
            ("CREATE TABLE t (a int PRIMARY KEY", ",b map<int,frozen<list<int>>>", ")"),
            ("CREATE TABLE t (a int PRIMARY KEY) WITH a=1", " AND b={'a':1}", ""),
            ("GRANT SELECT", ",SELECT PERMISSION", " ON t TO r"),
            ("SELECT ", "((((((((((a)))))))))),", "a FROM t"),
            ("SELECT ", "(a)[(a)[(a)[(a)[(a)[1]]]]],", "a FROM t"),
            ("UPDATE t SET ", "\"b\"+=1,", "z=1 WHERE k=1"),
            ("UPDATE t SET ", "\"b\".\"c\"=1,", "z=1 WHERE k=1"),
            (&quoted_behind("= 'x'"), "\"b\"+=1,", "z=1 WHERE k=1"),
            (&quoted_behind("/* x */ = 1"), "\"b\"+=1,", "z=1 WHERE k=1"),
            (&quoted_behind(".f = 'x'"), "\"a\".g=1,", "z=1 WHERE k=1"),
            (&quoted_behind("= 'x'"), "b=b+1,", "z=1 WHERE k=1"),
        ] {
            let text = format!("{head}{}{tail}", repeated.repeat(many));
            let (steps, tokens) = work(&text);
            assert!(steps <= LOOKS * tokens, "{head}{repeated}{tail}: {steps} for {tokens}");
            // What a second reading records is no more than the text holds.
            let limits = Limits { batch_children: usize::MAX, ..Limits::default() };
            let context = Context::recording(&text, limits);
            let _ = run(&context);
            let nodes: usize =
                context.tree.map_or(0, |tree| tree.into_inner().rows.iter().map(tree::Row::len).sum());
            assert!(nodes as u64 <= 2 * tokens, "{head}{repeated}{tail}: {nodes} nodes for {tokens}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn work_is_linear_in_any_text(parts in proptest::collection::vec(proptest::sample::select(vec![
            "SELECT ", "JSON ", "DISTINCT ", "(", ")", "[", "]", "{", "}", ":", ",", "a", "f(", "(int)", "'x'", "1",
            "+", "-", " FROM t", " WHERE ", "=", " AND ", " IN ", "UPDATE t SET ", "..", ".", " AS ", "?", "token",
        ]), 0..300)) {
            let (steps, tokens) = work(&format!("SELECT {}", parts.concat()));
            prop_assert!(steps <= LOOKS * tokens, "{steps} for {tokens}");
        }
    }

    /// A first reading skips what is plain; one that keeps everything goes through all parsers.
    fn read_twice(text: &str) -> [Result<Statement<'_>, ParseError>; 2] {
        let limits = Limits::default();
        let mut all = Context::recording(text, limits);
        all.markers = Some(std::cell::RefCell::default());
        [run(&Context::new(text, limits)), run(&all)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn what_is_plain_is_read_as_everything_is(parts in proptest::collection::vec(proptest::sample::select(vec![
            "a", "\"B\"", "\"a\"", "\"\"", "b", "1", "-3", "2.5", "'x'", "?", ":n", "null", "true", "f(a)", "k.f(1)", "(int)1", "(a)",
            "[1]", "{1,'x'}", "{a:?}", ", ", ", ", ", ", " = ", " = ", " AND ", " AND ", " + ", " - ", ".", " IN ", "(",
            ")", " > ", " AS ", "count(*)", "json", "exists", " IF ", " USING TTL 1 ", " WHERE ", " LIMIT ",
        ]), 1..24), form in 0..6_usize) {
            let middle = parts.concat();
            let text = match form {
                0 => format!("SELECT {middle} FROM k.t"),
                1 => format!("INSERT INTO t ({middle}) VALUES (1, ?)"),
                2 => format!("INSERT INTO t (a, b) VALUES ({middle})"),
                3 => format!("UPDATE t SET a = 1, {middle} WHERE k = ?"),
                4 => format!("DELETE {middle} FROM t WHERE k = ?"),
                _ => format!("SELECT a FROM t WHERE k = ? AND {middle}"),
            };
            let [plain, all] = read_twice(&text);
            prop_assert_eq!(plain, all, "{}", text);
        }
    }

    #[test]
    fn what_is_plain_is_read_with_few_looks_and_each_token_is_cut_once() {
        for (text, looks) in [
            (
                "SELECT id, customer, placed, total FROM shop.orders WHERE id = ? AND placed > 'x' LIMIT 500",
                25,
            ),
            ("INSERT INTO shop.orders (id, placed, customer, total) VALUES (?, ?, ?, 17)", 27),
            ("UPDATE shop.orders SET customer = ?, total = 1700, note = 'fine' WHERE id = 9 IF c = 1", 25),
            ("DELETE customer, total, note FROM shop.orders WHERE id = ? AND placed = ?", 20),
            ("SELECT a FROM t WHERE k IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)", 33),
        ] {
            let context = Context::new(text, Limits::default());
            run(&context).unwrap();
            let mut tokens = 1;
            let mut position = next_token(text, 0).end;
            while position < text.len() {
                position = next_token(text, position).end;
                tokens += 1;
            }
            // One more for the end.
            assert_eq!(context.cuts.get().0, tokens + 1, "{text}");
            assert_eq!(context.steps.get(), looks, "{text}");
        }
    }

    #[test]
    fn a_text_has_as_many_bytes_and_calls_as_the_limits_say() {
        let text = "SELECT f(a), g(h(b)) FROM t";
        let with = |bytes, calls| {
            parse(text, &Limits { text: bytes, calls, ..Limits::default() })
                .map_err(|error| error.to_string())
        };
        assert!(with(text.len(), 3).is_ok());
        assert_eq!(with(text.len() - 1, 3).unwrap_err(), "cqlgate reads no more than 26 bytes of text");
        assert_eq!(with(100, 2).unwrap_err(), "cqlgate reads no more than 2 function calls in one text");
    }

    #[test]
    fn operators_are_counted_in_each_value_by_itself() {
        let sum = |operators: usize| format!("1{}", "+1".repeat(operators));
        let limit = Limits::default().value_operators;
        let each = sum(limit);
        assert!(
            parse(&format!("SELECT a FROM t WHERE a = {each} AND b = {each}"), &Limits::default()).is_ok()
        );
        assert!(
            parse(&format!("UPDATE t SET a = {each}, b = {each} WHERE k = 1"), &Limits::default()).is_ok()
        );
        for text in [
            format!("SELECT a FROM t WHERE a = 1 AND b = {}", sum(limit + 1)),
            format!("UPDATE t SET a = f({each}) + 1 WHERE k = 1"),
        ] {
            assert!(matches!(
                parse(&text, &Limits::default()),
                Err(ParseError::Limit { limit: LimitKind::ValueOperators, .. })
            ));
        }
    }

    #[test]
    fn plain_lists_count_their_markers() {
        for (text, markers) in [
            ("INSERT INTO t (a, b, c, d) VALUES (?, 1, ?, ?)", 3),
            ("UPDATE t SET a = ?, b = 'x', c = ? WHERE k = ? AND l > ? IF m = ?", 5),
            ("SELECT a FROM t WHERE k IN (?, ?, 3, ?) AND b = ? LIMIT ?", 5),
            ("DELETE a, b FROM t WHERE k = ? AND l = :n", 2),
        ] {
            for statement in read_twice(text) {
                let statement = statement.unwrap();
                assert_eq!(statement.bind_marker_count(), markers, "{text}");
                assert_eq!(statement.bind_markers().count(), markers, "{text}");
            }
        }
    }

    #[test]
    fn an_assignment_goes_with_others_of_its_column_only_in_parts() {
        for text in [
            "UPDATE t SET a = 1, b = 2, \"A\" = 3 WHERE k = 1",
            "UPDATE t SET u.a = 1, u.b = 2, v = 3 WHERE k = 1",
            "UPDATE t SET m['x'] = 1, m['y'] = 2, M = M + {'z': 3} WHERE k = 1",
            "UPDATE t SET a = a + 1 WHERE k = 1",
            "UPDATE t SET a = \"a\" - 1 WHERE k = 1",
            "UPDATE t SET A = a -3 WHERE k = 1",
            "UPDATE t SET l = [1] + \"l\" WHERE k = 1",
            "UPDATE t SET \"\" = \"\" + 1 WHERE k = 1",
        ] {
            let [plain, all] = read_twice(text);
            assert!(plain.is_ok(), "{text}: {plain:?}");
            assert_eq!(plain, all, "{text}");
        }
        for text in [
            "UPDATE t SET a = 1, A = 2 WHERE k = 1",
            "UPDATE t SET a = 1, b = 2, \"a\" = 3 WHERE k = 1",
            "UPDATE t SET a = ?, a[1] = 2 WHERE k = 1",
            "UPDATE t SET u.a = 1, u = 2 WHERE k = 1",
            "UPDATE t SET u.a = 1, u.\"a\" = 2 WHERE k = 1",
            "UPDATE t SET \"\" = 1, \"\" = 2 WHERE k = 1",
            "UPDATE t SET a = b + 1 WHERE k = 1",
            "UPDATE t SET a = \"A\" - 1 WHERE k = 1",
            "UPDATE t SET a = b -3 WHERE k = 1",
            "UPDATE t SET l = [1] + m WHERE k = 1",
        ] {
            let [plain, all] = read_twice(text);
            assert!(matches!(&plain, Err(ParseError::Syntax(error)) if !error.placed), "{text}: {plain:?}");
            assert_eq!(plain, all, "{text}");
        }
    }

    #[test]
    fn common_statements_keep_nothing_of_their_own() {
        for text in [
            "SELECT a, b, count(*) FROM ks.t WHERE k = ? AND c > 'it''s' ORDER BY c LIMIT 10",
            "INSERT INTO ks.t (a, b) VALUES (?, :x) IF NOT EXISTS USING TTL ?",
            "UPDATE \"Ks\".\"T\" SET a = a + {1}, b[1] = 2, c = {x: 1} WHERE k = 1 IF d IN (1, 2)",
            "DELETE a[1], b FROM ks.t WHERE k IN ? AND token(k) > 5",
        ] {
            let statement = parse(text, &Limits::default()).unwrap();
            let table = statement.table().unwrap();
            assert!(
                matches!(table.name, Cow::Borrowed(_)) && matches!(table.keyspace, Some(Cow::Borrowed(_)))
            );
            let calls = match &statement {
                Statement::Select(select) => select.calls,
                Statement::Insert(change) | Statement::Update(change) | Statement::Delete(change) => {
                    change.calls
                }
                other => panic!("{other:?}"),
            };
            assert!(calls.is_empty(), "{text}");
        }
    }

    #[test]
    fn errors_say_which_release_would_read_it() {
        let told = |text, release| {
            let limits = Limits { release, ..Limits::default() };
            parse(text, &limits).unwrap_err().to_string()
        };
        for (text, what) in [
            ("BEGIN TRANSACTION SELECT a FROM t; COMMIT TRANSACTION", "BEGIN TRANSACTION"),
            ("LET x = (SELECT a FROM t)", "LET"),
            ("list /**/ superusers", "LIST SUPERUSERS"),
            ("COMMENT ON TABLE k.t IS 'x'", "COMMENT ON"),
            ("SECURITY LABEL ON TABLE k.t IS 'x'", "SECURITY LABEL"),
            ("CREATE GENERATED ROLE WITH GENERATED PASSWORD", "CREATE GENERATED ROLE"),
            ("CREATE TABLE a LIKE b", "CREATE TABLE .. LIKE"),
            ("SELECT a FROM t WHERE k BETWEEN 1 AND 2", "BETWEEN"),
            ("SELECT a FROM t WHERE k NOT IN (1)", "NOT IN"),
            ("CREATE ROLE r WITH GENERATED PASSWORD", "GENERATED PASSWORD"),
            ("CREATE TABLE t (k int CHECK k > 0 PRIMARY KEY)", "a CHECK constraint"),
        ] {
            let error = told(text, Release::V5_0);
            let note = format!("; {what} is newer than Cassandra 5.0, and cqlgate does not pass it on");
            assert!(error.starts_with("line 1:") && error.ends_with(&note), "{error}");
        }
        assert_eq!(
            told("ADD IDENTITY 'i' TO ROLE 'r'", Release::V4_1),
            "line 1:0 no viable alternative at input 'ADD'; Cassandra 5.0 reads it as \
             CREATE_IDENTITY, the release of this cluster does not"
        );
        assert_eq!(
            told("SELECT FROM t", Release::Later),
            "line 1:7 no viable alternative at input 'FROM'; this cluster is newer than Cassandra 5.0, the last \
             whose CQL cqlgate reads: it may accept what cqlgate does not understand, so please report it"
        );
        assert_eq!(told("SELECT FROM t", Release::V4_0), "line 1:7 no viable alternative at input 'FROM'");
    }

    #[test]
    fn errors_say_where() {
        for (text, told) in [
            ("SELECT a FROM lx.t LIMIT 'x'", "line 1:25 no viable alternative at input ''x''"),
            ("SELECT a FROM lx.t WHERE k = #k", "line 1:29 no viable alternative at character '#'"),
            ("DELETE lx.t2 WHERE k=1", "line 1:13 mismatched input 'WHERE' expecting K_FROM"),
            ("USE lx --", "line 1:7 mismatched character '<EOF>' expecting set null"),
            ("SELECT a FROM lx.t WHERE k=1.5IF EXISTS", "line 1:30 mismatched input 'IF' expecting EOF"),
            ("SELECT a\nFROM lx.t\n WHERE ;", "line 3:7 no viable alternative at input ';'"),
            ("SELECT '\u{1f600}' x FROM t", "line 1:12 mismatched input 'x' expecting K_FROM"),
            ("SELECT", "line 0:-1 no viable alternative at input '<EOF>'"),
            ("", "line 0:-1 no viable alternative at input '<EOF>'"),
            ("CREATE KEYSPACE ? WITH a = 1", "Bind variables cannot be used for keyspace names"),
        ] {
            assert_eq!(parse(text, &Limits::default()).unwrap_err().to_string(), told, "{text:?}");
        }
        let long = format!("SELECT a FROM t '{}'", "x".repeat(1000));
        assert!(parse(&long, &Limits::default()).unwrap_err().to_string().len() < 200);
        let deep = "SELECT a FROM t WHERE a = 1+1+1+1+1+1+1+1+1+1+1+1";
        assert_eq!(
            parse(deep, &Limits::default()).unwrap_err().to_string(),
            "cqlgate reads no more than 10 arithmetic operators in one value"
        );
    }
}
