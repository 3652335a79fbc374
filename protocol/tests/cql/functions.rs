//! Whatever functions there are and however a statement calls them: what it needs covers what a node would run.
//!
//! A plain resolver of calls stands here, written after Cassandra's: one value, one receiver, one answer at a
//! time, exponential where Cassandra is. It is asked what a node runs; the needs must hold all of it.

use cqlgate_protocol::cql::{
    Aggregate, Column, Function, Identity, Limits, Permission, Refusal, Relation, RelationKind, Resource,
    Role, Schema, needs, parse,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

const TYPES: [&str; 9] =
    ["int", "bigint", "text", "ascii", "blob", "timeuuid", "date", "timestamp", "varint"];
const COLUMNS: [(&str, &str); 5] =
    [("a", "int"), ("b", "bigint"), ("c", "text"), ("d", "timestamp"), ("e", "blob")];
const NAMES: [&str; 4] = ["f", "now", "abs", "to_timestamp"];

/// Native functions of those names.
fn natives(name: &str) -> Vec<(Vec<&'static str>, &'static str)> {
    match name {
        "now" => vec![(vec![], "timeuuid")],
        "abs" => ["bigint", "counter", "decimal", "double", "float", "int", "smallint", "tinyint", "varint"]
            .map(|number| (vec![number], number))
            .to_vec(),
        "to_timestamp" => vec![(vec!["date"], "timestamp"), (vec!["timeuuid"], "timestamp")],
        _ => vec![],
    }
}

#[derive(Debug, Default)]
struct Overloads {
    columns: Vec<Column>,
    functions: Vec<(&'static str, Vec<Function>)>,
}

impl Schema for Overloads {
    fn has_keyspace(&self, keyspace: &str) -> bool {
        keyspace == "k"
    }

    fn relation(&self, _: &str, name: &str) -> Option<Relation<'_>> {
        let kind = RelationKind::Table { views: &[] };
        (name == "t").then_some(Relation { kind, columns: &self.columns, masked: false })
    }

    fn functions(&self, keyspace: &str, name: &str) -> &[Function] {
        let found = self.functions.iter().find(|(other, _)| keyspace == "k" && *other == name);
        found.map_or(&[], |(_, functions)| functions)
    }

    fn index_table(&self, _: &str, _: &str) -> Option<&str> {
        None
    }

    fn field_type(&self, _: &str, _: &str, _: &str) -> Option<&str> {
        None
    }

    fn role(&self, _: &str) -> Role {
        Role::NotAsked
    }

    fn identity(&self, _: &str) -> Identity<'_> {
        Identity::NotAsked
    }

    fn own_role(&self) -> Option<&str> {
        None
    }
}

/// Choices, one after the other; zeros when they run out.
struct Tape<'t>(std::slice::Iter<'t, u8>);

impl Tape<'_> {
    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or_default()) % bound
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

fn overloads(tape: &mut Tape<'_>) -> Overloads {
    let mut columns: Vec<Column> = COLUMNS
        .iter()
        .map(|(name, cql_type)| Column {
            name: (*name).into(),
            cql_type: (*cql_type).into(),
            is_key: *name == "a",
            is_masked: false,
        })
        .collect();
    let mut push = |name: &str, cql_type: &str| {
        columns.push(Column {
            name: name.into(),
            cql_type: cql_type.into(),
            is_key: false,
            is_masked: false,
        });
    };
    push("m", "map<text, int>");
    push("n", "map<bigint, text>");
    let functions = NAMES.map(|name| {
        let mut all: Vec<Function> = Vec::new();
        for _ in 0..tape.below(4) {
            let arguments: Box<[Box<str>]> = (0..tape.below(3)).map(|_| tape.of(&TYPES).into()).collect();
            if all.iter().all(|other| other.arguments != arguments) {
                all.push(Function { arguments, returns: tape.of(&TYPES).into(), aggregate: None });
            }
        }
        (name, all)
    });
    Overloads { columns, functions: functions.into() }
}

#[derive(Clone, Debug)]
enum Value {
    /// A constant: how it is written, what it prefers, what it fits besides.
    Constant(&'static str, &'static str, &'static [&'static str]),
    Null,
    Marker,
    Column(&'static str, &'static str),
    /// `(type) 1`.
    Typed(&'static str),
    Call(&'static str, Vec<Value>),
}

const CONSTANTS: [Value; 4] = [
    Value::Constant("1", "int", &["bigint", "date", "timestamp", "varint", "decimal", "double", "float"]),
    Value::Constant("3000000000", "bigint", &["int", "date", "timestamp", "varint", "decimal", "double"]),
    Value::Constant("'a'", "ascii", &["text", "date", "timestamp"]),
    Value::Constant("0x01", "", &["blob"]),
];

fn value(tape: &mut Tape<'_>, selected: bool, depth: usize) -> Value {
    match tape.below(if depth == 0 { 7 } else { 12 }) {
        at @ 0..=3 => CONSTANTS[at].clone(),
        4 => Value::Null,
        5 if selected => {
            let (name, cql_type) = tape.of(&COLUMNS);
            Value::Column(name, cql_type)
        }
        5 => Value::Marker,
        6 => Value::Typed(tape.of(&["int", "bigint", "varint", "timestamp"])),
        _ => call(tape, selected, depth),
    }
}

fn call(tape: &mut Tape<'_>, selected: bool, depth: usize) -> Value {
    let name = tape.of(&NAMES);
    let arguments = (0..tape.below(3)).map(|_| value(tape, selected, depth.saturating_sub(1))).collect();
    Value::Call(name, arguments)
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Constant(text, ..) => (*text).to_owned(),
            Self::Null => "NULL".to_owned(),
            Self::Marker => "?".to_owned(),
            Self::Column(name, _) => (*name).to_owned(),
            Self::Typed(cql_type) => format!("({cql_type}) 1"),
            Self::Call(name, arguments) => {
                let arguments: Vec<_> = arguments.iter().map(Self::text).collect();
                format!("{name}({})", arguments.join(", "))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    Not,
    Weak,
    Exact,
}

/// How a value of a type fits a receiver.
fn assign(receiver: &str, cql_type: &str) -> Match {
    let weak = match receiver {
        "blob" => true,
        "text" => cql_type == "ascii",
        "bigint" => cql_type == "timestamp",
        "timestamp" => cql_type == "bigint",
        "date" => cql_type == "int",
        "varint" => ["int", "bigint", "timestamp"].contains(&cql_type),
        _ => false,
    };
    if receiver == cql_type {
        Match::Exact
    } else if weak {
        Match::Weak
    } else {
        Match::Not
    }
}

/// A function that was chosen: its arguments, its result, whether it is a user's.
type Chosen = (Vec<String>, String, bool);
/// The functions that run, as `f(int)`.
type Ran = Vec<String>;

/// INVALID.
struct Invalid;

struct Node<'s> {
    schema: &'s Overloads,
    selected: bool,
}

impl Node<'_> {
    fn candidates(&self, name: &str) -> Vec<Chosen> {
        let users = self.schema.functions("k", name).iter();
        let users = users.map(|function| {
            let arguments = function.arguments.iter().map(ToString::to_string).collect();
            (arguments, function.returns.to_string(), true)
        });
        let natives = natives(name).into_iter().map(|(arguments, returns)| {
            (arguments.into_iter().map(str::to_owned).collect(), returns.to_owned(), false)
        });
        users.chain(natives).collect()
    }

    fn choose(&self, name: &str, arguments: &[Value], receiver: Option<&str>) -> Result<Chosen, Invalid> {
        let candidates = self.candidates(name);
        let fits = |candidate: &Chosen| {
            if candidate.0.len() != arguments.len() {
                return Match::Not;
            }
            let fits = candidate.0.iter().zip(arguments).map(|(taken, given)| self.test(given, taken));
            fits.min().unwrap_or(Match::Exact)
        };
        if let [only] = &candidates[..] {
            return if fits(only) == Match::Not { Err(Invalid) } else { Ok(only.clone()) };
        }
        let mut compatible = Vec::new();
        for candidate in &candidates {
            if receiver.is_some_and(|receiver| assign(receiver, &candidate.1) == Match::Not) {
                continue;
            }
            match fits(candidate) {
                Match::Exact => return Ok(candidate.clone()),
                Match::Weak => compatible.push(candidate),
                Match::Not => {}
            }
        }
        match compatible[..] {
            [only] => Ok(only.clone()),
            _ => Err(Invalid),
        }
    }

    fn test(&self, value: &Value, receiver: &str) -> Match {
        match value {
            Value::Constant(_, preferred, _) if *preferred == receiver => Match::Exact,
            Value::Constant(_, _, others) if others.contains(&receiver) => Match::Weak,
            Value::Constant(..) => Match::Not,
            Value::Null if receiver == "counter" => Match::Not,
            Value::Null | Value::Marker => Match::Weak,
            Value::Column(_, cql_type) | Value::Typed(cql_type) => assign(receiver, cql_type),
            Value::Call(name, arguments) => {
                let asked = (!self.selected).then_some(receiver);
                self.choose(name, arguments, asked).map_or(Match::Exact, |chosen| assign(receiver, &chosen.1))
            }
        }
    }

    /// What runs when a value is made for a receiver.
    fn run(&self, value: &Value, receiver: Option<&str>, ran: &mut Ran) -> Result<(), Invalid> {
        if receiver.is_some_and(|receiver| self.test(value, receiver) == Match::Not) {
            return Err(Invalid);
        }
        let Value::Call(name, arguments) = value else { return Ok(()) };
        let chosen = self.choose(name, arguments, receiver.filter(|_| !self.selected))?;
        if chosen.2 {
            ran.push(format!("{name}({})", chosen.0.join(", ")));
        }
        for (given, taken) in arguments.iter().zip(&chosen.0) {
            self.run(given, Some(taken), ran)?;
        }
        Ok(())
    }
}

/// A statement with a value, whether that is an entry of a selection, and what it is given to.
fn statement(tape: &mut Tape<'_>, value: &Value, selected: bool) -> (String, Option<&'static str>) {
    let text = value.text();
    if selected {
        return (format!("SELECT a, {text} AS x FROM k.t"), None);
    }
    let (name, cql_type) = tape.of(&COLUMNS);
    match tape.below(8) {
        0 => (format!("INSERT INTO k.t (b, {name}) VALUES (1, {text})"), Some(cql_type)),
        1 => (format!("UPDATE k.t SET {name} = {text} WHERE a = 1"), Some(cql_type)),
        2 => (format!("UPDATE k.t SET b = 1 WHERE {name} = {text}"), Some(cql_type)),
        3 => (format!("DELETE FROM k.t WHERE {name} IN ({text}, 1)"), Some(cql_type)),
        4 => (format!("DELETE n[{text}] FROM k.t WHERE a = 1"), Some("bigint")),
        5 => (format!("SELECT n[{text}] FROM k.t"), Some("bigint")),
        6 => (format!("UPDATE k.t SET m['x'] = {text} WHERE a = 1"), Some("int")),
        _ => (format!("SELECT a FROM k.t WHERE n CONTAINS {text} ALLOW FILTERING"), Some("text")),
    }
}

fn executes(schema: &Overloads, text: &str) -> Option<Vec<String>> {
    let statement = parse(text, &Limits::default()).ok()?;
    let found = match needs(&statement, None, schema) {
        Ok(found) => found,
        Err(Refusal::UnknownFunction { .. }) => return None,
        Err(other) => panic!("{text}: {other}"),
    };
    let names = found.needs.iter().filter(|need| need.permission == Permission::Execute);
    Some(
        names
            .map(|need| match &need.resource {
                Resource::Function { keyspace, name, arguments } if keyspace == "k" => {
                    format!("{name}({arguments})")
                }
                other => panic!("{text}: {other}"),
            })
            .collect(),
    )
}

#[derive(Debug, Default)]
struct Count {
    valid: usize,
    exact: usize,
}

fn compare(tape: &[u8], count: &mut Count) {
    let mut tape = Tape(tape.iter());
    let schema = overloads(&mut tape);
    let selected = tape.below(2) == 0;
    let value = call(&mut tape, selected, 3);
    let (text, receiver) = statement(&mut tape, &value, selected);
    let Some(found) = executes(&schema, &text) else { return };
    let node = Node { schema: &schema, selected };
    let mut ran = Vec::new();
    if node.run(&value, receiver, &mut ran).is_err() {
        return;
    }
    for function in &ran {
        assert!(found.contains(function), "{text} runs {function}, needs {found:?}; {:?}", schema.functions);
    }
    count.valid += 1;
    count.exact += usize::from(found.iter().all(|function| ran.contains(function)));
}

#[test]
fn needs_cover_whatever_a_node_runs() {
    let mut count = Count::default();
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        ProptestConfig::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let tapes = proptest::collection::vec(any::<u8>(), 40..90);
    for _ in 0..20_000 {
        let tape = tapes.new_tree(&mut runner).unwrap().current();
        compare(&tape, &mut count);
    }
    // Most of the time there is no doubt either.
    assert!(count.valid > 2_000 && count.exact * 10 > count.valid * 8, "{count:?}");
}

#[test]
fn an_aggregate_needs_what_it_is_made_of() {
    let aggregate = Aggregate {
        state_function: "s".into(),
        state_type: "map<text, int>".into(),
        final_function: Some("z".into()),
    };
    let function =
        Function { arguments: Box::new(["int".into()]), returns: "int".into(), aggregate: Some(aggregate) };
    let functions = vec![("f", vec![function])];
    let schema = Overloads { functions, ..overloads(&mut Tape([].iter())) };
    let found = executes(&schema, "SELECT f(a) FROM k.t");
    assert_eq!(found.unwrap(), ["f(int)", "s(map<text, int>, int)", "z(map<text, int>)"]);
}

#[test]
fn what_is_asked_is_what_may_run() {
    let function = |arguments: &[&str], returns: &str| Function {
        arguments: arguments.iter().map(|&argument| argument.into()).collect(),
        returns: returns.into(),
        aggregate: None,
    };
    let functions = vec![
        ("f", vec![function(&["int"], "int"), function(&["text"], "text"), function(&["blob"], "blob")]),
        ("now", vec![function(&[], "int")]),
        ("abs", vec![function(&["int"], "int")]),
        ("count", vec![function(&["int"], "int")]),
        ("to_json", vec![function(&["int"], "text")]),
    ];
    let schema = Overloads { functions, ..overloads(&mut Tape([].iter())) };
    let all = &["f(int)", "f(text)", "f(blob)"];
    let cases: [(&str, &[&str]); 23] = [
        // An exact match.
        ("SELECT f(a) FROM k.t", &["f(int)"]),
        ("SELECT k.f(c) FROM k.t", &["f(text)"]),
        ("SELECT f((int) ?) FROM k.t", &["f(int)"]),
        ("SELECT f(CAST(b AS int)) FROM k.t", &["f(int)"]),
        ("SELECT f(m['x']), f(n[1]) FROM k.t", &["f(int)", "f(text)"]),
        ("SELECT f(f(a)) FROM k.t", &["f(int)"]),
        ("SELECT f(1), f(1) FROM k.t", &["f(int)"]),
        // A marker goes with all of them; a value's receiver says which.
        ("SELECT f(?) FROM k.t", all),
        ("UPDATE k.t SET c = f(?) WHERE a = 1", &["f(text)"]),
        ("INSERT INTO k.t (a, c) VALUES (f(?), f(?))", &["f(int)", "f(text)"]),
        ("SELECT a FROM k.t WHERE a IN (f(?), 2)", &["f(int)"]),
        ("SELECT a FROM k.t WHERE (a, c) = (f(?), f(?))", &["f(int)", "f(text)"]),
        // None fits: all of them.
        ("SELECT f(a, a) FROM k.t", all),
        ("SELECT f() FROM k.t", all),
        // A native function's very signature is taken over, others are not.
        ("SELECT abs(a) FROM k.t", &["abs(int)"]),
        ("SELECT abs(b) FROM k.t", &[]),
        ("SELECT system.abs(a), system.now() FROM k.t", &[]),
        ("INSERT INTO k.t (a, d) VALUES (1, toTimestamp(now()))", &[]),
        ("INSERT INTO k.t (a, b) VALUES (now(), 1)", &["now()"]),
        ("SELECT count(*), count(1) FROM k.t", &[]),
        ("SELECT to_json(a), to_json(c) FROM k.t", &["to_json(int)"]),
        // What the schema does not know may be anything.
        ("SELECT f(nosuch) FROM k.t", all),
        ("SELECT f(a + 1) FROM k.t", all),
    ];
    for (text, asked) in cases {
        assert_eq!(executes(&schema, text).expect(text), asked, "{text}");
    }
    for (text, told) in [
        ("SELECT nosuch(a) FROM k.t", "Unknown function 'nosuch'"),
        ("SELECT k.nosuch(a) FROM k.t", "Unknown function 'k.nosuch'"),
        ("SELECT f(\"F\"(a)) FROM k.t", "Unknown function 'F'"),
        ("SELECT a FROM k.t WHERE a = nosuch(1)", "Unknown function nosuch called"),
        ("SELECT n[o.f(1)] FROM k.t", "Unknown function o.f called"),
        ("INSERT INTO k.t (a) VALUES (f(nosuch()))", "Unknown function nosuch called"),
    ] {
        let statement = parse(text, &Limits::default()).unwrap();
        let refusal = needs(&statement, None, &schema).unwrap_err();
        assert_eq!((refusal.to_string().as_str(), refusal.code()), (told, 0x2200));
        assert!(refusal.unseen().is_some());
    }
}
