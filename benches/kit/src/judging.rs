//! What is judged without a session: texts classified (parsed, and what they need), and needs decided on by a
//! large policy.
//!
//! In: nothing. Out: things to do over and over, for whoever counts or times them.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use cqlgate::config::Config;
use cqlgate::directory::{Group, Namespace, PinKind, PinName, State, User};
use cqlgate::metrics::Statement;
use cqlgate::policy::{Decision, Grants, Permit, PolicySet, PolicySource, decide};
use cqlgate::principal::{Person, Principal};
use cqlgate::session::{Permits, Stamp};
use cqlgate_protocol::cql::{
    Column, Function, Identity, Limits, Need, Permission, Relation, RelationKind, Resource, Role, Schema,
    needs, parse,
};
use cqlgate_testkit::scratch::Scratch;
use cqlgate_testkit::trouble::During as _;
use cqlgate_testkit::{Result, Trouble};

/// Statements of 100 bytes, with their names.
pub const STATEMENTS: [(&str, &str); 4] = [
    (
        "select",
        "SELECT id, customer, placed, total FROM shop.orders WHERE id = ? AND placed > '2026-01-01' LIMIT 500",
    ),
    (
        "insert",
        "INSERT INTO shop.orders (id, placed, customer, total, note) VALUES (?, ?, ?, 17, 'x') USING TTL 3600",
    ),
    (
        "update",
        "UPDATE shop.orders USING TTL 86400 SET customer = ?, total = 1700, note = 'fine' WHERE id = 9 IF c=1",
    ),
    (
        "delete",
        "DELETE customer, total, note FROM shop.orders USING TIMESTAMP 1764000000 WHERE id = ? AND placed = ?",
    ),
];

/// The limits that texts are parsed under; long ones are measured, too.
pub fn limits() -> Limits {
    Limits { text: 64 * 1024 * 1024, ..Limits::default() }
}

/// Parses a text and says what it needs: how much that is, so that nothing is left out.
///
/// # Panics
/// If the text is not judged: then it would be cheap for a wrong reason.
pub fn classify(text: &str, limits: &Limits, shop: &Shop) -> usize {
    let outcome = parse(text, limits).ok().and_then(|statement| {
        let needs = needs(&statement, Some("shop"), shop).ok()?;
        Some(needs.needs.len() + needs.named.len())
    });
    assert!(outcome.is_some(), "not judged: {text:.200}");
    outcome.unwrap_or_default()
}

/// Parses a text that need not be CQL.
pub fn parse_only(text: &str, limits: &Limits) -> bool {
    parse(text, limits).is_ok()
}

/// A schema of one table.
#[derive(Debug)]
pub struct Shop {
    columns: Vec<Column>,
}

impl Default for Shop {
    fn default() -> Self {
        let column = |name: &str, cql_type: &str, is_key| Column {
            name: name.into(),
            cql_type: cql_type.into(),
            is_key,
            is_masked: false,
        };
        Self {
            columns: vec![
                column("c", "int", false),
                column("customer", "text", false),
                column("id", "int", true),
                column("note", "text", false),
                column("placed", "timestamp", true),
                column("total", "int", false),
            ],
        }
    }
}

impl Schema for Shop {
    fn has_keyspace(&self, keyspace: &str) -> bool {
        keyspace == "shop"
    }

    fn relation(&self, keyspace: &str, name: &str) -> Option<Relation<'_>> {
        (keyspace == "shop" && name == "orders").then_some(Relation {
            kind: RelationKind::Table { views: &[] },
            columns: &self.columns,
            masked: false,
        })
    }

    fn functions(&self, _: &str, _: &str) -> &[Function] {
        &[]
    }

    fn index_table(&self, _: &str, _: &str) -> Option<&str> {
        None
    }

    fn field_type(&self, _: &str, _: &str, _: &str) -> Option<&str> {
        None
    }

    fn role(&self, _: &str) -> Role {
        Role::Missing
    }

    fn identity(&self, _: &str) -> Identity<'_> {
        Identity::Unbound
    }

    fn own_role(&self) -> Option<&str> {
        None
    }
}

/// Long texts of about `size` bytes that are CQL, with their names.
pub fn long(size: usize) -> Vec<(&'static str, String)> {
    let list = |between: &str| {
        let mut text = String::from("SELECT id FROM shop.orders WHERE id IN (1");
        while text.len() < size {
            text.push_str(between);
        }
        text + ")"
    };
    let mut batch = String::from("BEGIN BATCH ");
    // As many children as there may be: the literals make up the rest.
    let note = "n".repeat(size / 1000);
    for _ in 0..900 {
        let _ = write!(batch, "INSERT INTO shop.orders (id, placed, note) VALUES (1, 2, '{note}');");
    }
    batch.push_str("APPLY BATCH");
    vec![
        ("one literal", format!("INSERT INTO shop.orders (id, note) VALUES (1, '{}')", "x".repeat(size))),
        ("a list of numbers", list(", 1234567890")),
        ("a batch", batch),
    ]
}

/// Texts of about `size` bytes that somebody writes to keep a parser busy, with their names.
pub fn hostile(size: usize) -> Vec<(&'static str, String)> {
    let behind = |begin: &str, again: &str| begin.to_owned() + &again.repeat(size / again.len());
    vec![
        ("brackets", behind("SELECT ", "(")),
        ("calls", behind("SELECT ", "f(")),
        ("minus signs", behind("SELECT a FROM t WHERE k = ", "- ")),
        ("sums", behind("SELECT a FROM t WHERE k = 1", "+1")),
        ("casts", behind("SELECT ", "(int)")),
        ("sets", behind("SELECT a FROM t WHERE k = ", "{")),
        ("types", behind("CREATE TABLE t (k ", "list<")),
        ("quotes", behind("SELECT a FROM t WHERE k = '", "''")),
        ("comments", behind("SELECT a FROM t ", "/**/")),
        ("open comments", behind("SELECT a FROM t ", "/* ")),
        ("dollars", behind("SELECT a FROM t WHERE k = $$", "$ ")),
        ("columns", behind("SELECT a", ", a")),
        ("functions", behind("SELECT now()", ", now()")),
        ("restrictions", behind("SELECT a FROM t WHERE a = 1", " AND a = 1")),
        ("children", behind("BEGIN BATCH ", "DELETE FROM t WHERE k = 1;")),
        ("semicolons", behind("SELECT a FROM t", ";")),
        ("dots", behind("SELECT a", ".a")),
        ("assignments", behind("UPDATE t SET \"a\" = 1", ", \"b\" += 1")),
        (
            "assignments behind a literal",
            behind(&format!("UPDATE t SET \"a\" = '{}'", "x".repeat(size / 2)), ", \"b\" += 1"),
        ),
        ("maps", behind("INSERT INTO t (a) VALUES ({1:1", ",1:1")),
    ]
}

/// A policy of a thousand rules, all of which reach one person, and a directory around her.
#[derive(Debug)]
pub struct Office {
    set: PolicySet,
    directory: State,
    who: Principal,
}

/// How many rules its policy has.
pub const RULES: usize = 1000;

impl Office {
    /// With so many people and groups; the person is in ten of them.
    pub fn new(people: usize, groups: usize) -> Result<Self> {
        let scratch = Scratch::new("office")?;
        scratch.write("office.cql", rules())?;
        let password = scratch.write("password", "secret\n")?;
        std::fs::set_permissions(password, Permissions::from_mode(0o600)).during("hiding the password")?;
        let home = scratch.path().display();
        let text = format!(
            "[directory]\npath = \"{home}/directory\"\n\
             [[identity]]\nname = \"acme\"\nissuer = \"https://login.acme.example\"\naudiences = [\"cassandra\"]\n\
             scim_token_hashes = [\"sha256:{:064x}\"]\n\
             [[cluster]]\nname = \"main\"\nlisten = \"127.0.0.1:9042\"\ncontact_points = [\"127.0.0.1:9043\"]\n\
             username = \"gateway\"\npassword_file = \"{home}/password\"\npolicies = [\"office.cql\"]\n\
             [scim]\nlisten = \"127.0.0.1:8480\"\n[admin]\nlisten = \"127.0.0.1:8481\"\n\
             [audit]\nfile = \"{home}/audit.jsonl\"\n",
            1,
        );
        let config = Config::parse(&"office".into(), &text, scratch.path()).during("the configuration")?;
        let cluster = config.cluster.first().ok_or_else(|| Trouble::new("no cluster"))?;
        let set = PolicySet::load(&PolicySource::new(&config.folder, &config, cluster), 1)
            .map_err(|findings| Trouble::new(format!("{findings:?}")))?;
        if set.rules() != RULES {
            return Err(Trouble::new(format!("{} rules", set.rules())));
        }
        let who = Person { identity: "acme".into(), id: "u7".into(), user_name: "p7".into() };
        Ok(Self { set, directory: directory(people, groups), who: Principal::Person(who) })
    }

    /// What she may do: made at log-in, and whenever she or the policy changes.
    pub fn grants(&self) -> Grants {
        self.set.grants_for(&self.who, &self.directory)
    }
}

/// Whether the one need is met.
pub fn is_permitted(grants: &Grants, need: &Need<'_>) -> bool {
    matches!(decide(grants, std::slice::from_ref(need)), Decision::Permitted(_))
}

/// The verdicts that a session remembers for its prepared statements.
#[derive(Debug)]
pub struct Remembered {
    permits: Permits,
    ids: Vec<[u8; 16]>,
    stamp: Stamp,
    next: std::cell::Cell<usize>,
}

impl Remembered {
    /// So many prepared statements.
    const IDS: usize = 256;

    /// Of somebody whom the statements were permitted to.
    pub fn new(grants: &Grants) -> Result<Self> {
        let permit = match decide(grants, &[]) {
            Decision::Permitted(permit) => permit,
            other => return Err(Trouble::new(format!("{other:?}"))),
        };
        let stamp = Stamp { revision: 1, policy: 1, schema: 1 };
        // Ids are MD5: as good as drawn.
        let mut state = 1_u128;
        let ids = std::iter::repeat_with(|| {
            state = state.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645).wrapping_add(1);
            state.to_le_bytes()
        });
        let ids: Vec<_> = ids.take(Self::IDS).collect();
        let mut permits = Permits::default();
        for id in &ids {
            permits.hold(*id, stamp, permit, Statement::Select);
        }
        Ok(Self { permits, ids, stamp, next: 0.into() })
    }

    /// The verdict on the next of them: the decision on an EXECUTE that was judged before.
    pub fn decide(&self) -> Option<Permit> {
        let next = self.next.get();
        self.next.set((next + 1) % Self::IDS);
        let (permit, _) = self.permits.get(self.ids.get(next)?, self.stamp)?;
        Some(permit)
    }
}

/// The names of [`needs_to_decide`], in its order.
pub const DECIDED: [&str; 5] = ["table", "pattern", "root", "function", "refused"];

/// Needs from the nearest rule to none at all, with their names. An error if one is not decided as it should be:
/// it would be measured for nothing.
pub fn needs_to_decide(grants: &Grants) -> Result<Vec<(&'static str, Need<'static>)>> {
    let table = |keyspace: &'static str, table: &'static str| Resource::Table {
        keyspace: keyspace.into(),
        table: table.into(),
    };
    let function =
        Resource::Function { keyspace: "lib_77".into(), name: "f_7".into(), arguments: "int, text".into() };
    let needs = [
        (Need::new(Permission::Select, table("k_123", "t_123"), "exact"), true),
        (Need::new(Permission::Select, table("team_123_a", "x"), "by a pattern"), true),
        (Need::new(Permission::Alter, table("k_5", "x"), "by all keyspaces"), true),
        (Need::new(Permission::Execute, function, "a function"), true),
        (Need::new(Permission::Modify, table("elsewhere", "nowhere"), "by nothing"), false),
    ];
    let checked = DECIDED.into_iter().zip(needs).map(|(name, (need, expected))| {
        if is_permitted(grants, &need) == expected {
            Ok((name, need))
        } else {
            Err(Trouble::new(format!("{need:?} is decided wrongly")))
        }
    });
    checked.collect()
}

/// Every kind of rule, half of them for groups.
fn rules() -> String {
    let mut text = String::from("GRANT ALTER ON ALL KEYSPACES TO EVERYONE;\n");
    for i in 1..RULES {
        let to = if i % 2 == 0 { "EVERYONE".to_owned() } else { format!("GROUP \"g{}\"", i % 10) };
        let what = match i % 10 {
            0 => format!("GRANT SELECT, MODIFY ON TABLE k_{i}.\"log_*\""),
            1 => format!("GRANT SELECT, MODIFY ON KEYSPACE \"app_{i}_*\""),
            2 => format!("GRANT SELECT ON TABLE \"dept_{i}_*\".\"*_log\""),
            3 => format!("GRANT SELECT ON TABLE k_{i}.t_{i}"),
            4 => format!("GRANT ALL ON KEYSPACE k_{i}"),
            5 => format!("DENY MODIFY ON TABLE \"*\".\"audit_{i}_*\""),
            6 => format!("DENY DROP, MODIFY ON TABLE k_{i}.orders"),
            7 => format!("GRANT EXECUTE ON FUNCTION lib_{i}.\"f_*\"(int, varchar)"),
            8 => format!("GRANT MODIFY ON KEYSPACE \"*_{i}_staging\""),
            _ => format!("GRANT DESCRIBE ON ROLE \"r_{i}_*\""),
        };
        let _ = match i {
            123 => writeln!(text, "GRANT SELECT ON TABLE k_123.t_123 TO {to};"),
            124 => writeln!(text, "GRANT SELECT ON KEYSPACE \"team_123_*\" TO {to};"),
            _ => writeln!(text, "{what} TO {to};"),
        };
    }
    text
}

fn directory(people: usize, groups: usize) -> State {
    let mut space = Namespace::default();
    let at = std::time::SystemTime::UNIX_EPOCH;
    for i in 0..people {
        space.insert_user(Arc::new(User {
            id: format!("u{i}").into(),
            external_id: None,
            user_name: format!("p{i}").into(),
            active: true,
            attributes: Arc::default(),
            created: at.into(),
            last_modified: at.into(),
            epoch: 0,
        }));
    }
    for i in 0..groups {
        // Ten members each; person 7 is in the first ten groups.
        let members = (0..9).map(|m| (i * 10 + m) % people).chain((i < 10).then_some(7));
        space.insert_group(Arc::new(Group {
            id: format!("gid{i}").into(),
            external_id: None,
            display_name: format!("g{i}").into(),
            members: members.map(|m| Arc::from(format!("u{m}"))).collect(),
            attributes: Arc::default(),
            created: at.into(),
            last_modified: at.into(),
        }));
    }
    let mut state = State::default();
    state.namespaces.insert_mut("acme".into(), space);
    for i in 0..10.min(groups) {
        let pin = PinName { identity: "acme".into(), kind: PinKind::Group, name: format!("g{i}").into() };
        state.pins.insert_mut(pin, format!("gid{i}").into());
    }
    state
}
