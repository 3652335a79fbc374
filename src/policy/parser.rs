//! The grant language: `GRANT|DENY permissions ON resource TO grantee;`.
//!
//! In: the text of one file, and what names may stand behind `OF` and `SERVICE`. Out: rules, and findings
//! with what to write instead. A statement that is wrong is skipped up to its `;`, so that one reading
//! finds what is wrong in all of them.

use std::sync::Arc;

use cqlgate_protocol::cql::Permission;

use super::lexer::{At, Token, Tokens, lex};
use super::pattern::Name;
use super::rule::{Effect, Grantee, Permissions, Rule, Scope};
use crate::config::diagnostic::Diagnostic;
use crate::directory::state::{PinKind, PinName};

/// The longest name of a keyspace or table: what Cassandra 5.0 allows for both together.
const NAME: usize = 222;

/// What a policy may refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    /// The identities that may log in to the cluster.
    pub(super) identities: Vec<Arc<str>>,
    /// The configured services of these: identity and name.
    pub(super) services: Vec<(Arc<str>, Arc<str>)>,
}

/// Reads one file.
pub(super) fn parse(file: &Arc<str>, text: &str, world: &World) -> (Vec<Rule>, Vec<Diagnostic>) {
    let Tokens { tokens, end } = match lex(file, text) {
        Ok(tokens) => tokens,
        Err(findings) => return (Vec::new(), findings),
    };
    let mut parser = Parser { tokens: &tokens, next: 0, end, file, world };
    let (mut rules, mut findings) = (Vec::new(), Vec::new());
    while parser.peek().is_some() {
        match parser.statement() {
            Ok(Some(rule)) => rules.push(rule),
            Ok(None) => {}
            Err(finding) => {
                findings.push(finding);
                parser.skip_statement();
            }
        }
    }
    (rules, findings)
}

struct Parser<'a> {
    tokens: &'a [(Token, At)],
    next: usize,
    end: At,
    file: &'a Arc<str>,
    world: &'a World,
}

type Parsed<T> = Result<T, Diagnostic>;

impl Parser<'_> {
    /// One statement with its `;`; `None` for a lone `;`.
    fn statement(&mut self) -> Parsed<Option<Rule>> {
        if self.eat_symbol(';') {
            return Ok(None);
        }
        let at = self.at();
        let effect = if self.eat("GRANT") {
            Effect::Grant
        } else if self.eat("DENY") {
            Effect::Deny
        } else if self.is("REVOKE") {
            return Err(self.error("a policy has no REVOKE", "delete the GRANT, or write a DENY"));
        } else {
            return Err(self.unexpected("a statement begins with GRANT or DENY"));
        };
        let named = self.permissions()?;
        if self.is("TO") {
            return Err(self.error(
                "roles are not granted here: who is in a group comes from the identity provider",
                "write GRANT <permissions> ON <resource> TO GROUP \"name\"",
            ));
        }
        self.expect("ON", "write ON and a resource: ON KEYSPACE k, ON TABLE k.t")?;
        let scope_at = self.at();
        let scope = self.scope()?;
        let permissions = self.applicable(named, &scope)?;
        self.expect("TO", "write TO and a grantee: TO GROUP \"name\"")?;
        let grantee_at = self.at();
        let grantee = self.grantee()?;
        if !self.eat_symbol(';') {
            return Err(self.unexpected("end the statement with ;"));
        }
        let file = Arc::clone(self.file);
        Ok(Some(Rule { effect, permissions, scope, grantee, file, at, scope_at, grantee_at }))
    }

    /// `ALL [PERMISSIONS]` as `None`, or a list with the place of each.
    fn permissions(&mut self) -> Parsed<Option<Vec<(Permission, At)>>> {
        if self.eat("ALL") {
            self.eat("PERMISSIONS");
            return Ok(None);
        }
        let mut list = Vec::new();
        loop {
            let at = self.at();
            let word = match self.peek() {
                Some(Token::Word(word)) => word.clone(),
                _ => return Err(self.unexpected("write a permission: SELECT, MODIFY, ..")),
            };
            let Some(permission) =
                Permission::ALL.into_iter().find(|p| p.as_str().eq_ignore_ascii_case(&word))
            else {
                let help = if ["INSERT", "UPDATE", "DELETE", "TRUNCATE", "WRITE"]
                    .contains(&word.to_ascii_uppercase().as_str())
                {
                    "write MODIFY: INSERT, UPDATE, DELETE and TRUNCATE need it"
                } else if word.eq_ignore_ascii_case("READ") {
                    "write SELECT"
                } else {
                    "write CREATE, ALTER, DROP, SELECT, MODIFY, AUTHORIZE, UNMASK, SELECT_MASKED or ALL"
                };
                return Err(self.error(&format!("there is no permission {word:?}"), help));
            };
            self.next += 1;
            self.eat("PERMISSION");
            list.push((permission, at));
            if !self.eat_symbol(',') {
                return Ok(Some(list));
            }
        }
    }

    fn scope(&mut self) -> Parsed<Scope> {
        if !self.followed_by_dot() {
            if self.eat("ALL") {
                return self.all_of();
            }
            if self.eat("KEYSPACE") {
                return Ok(Scope::Keyspace(self.name("a keyspace")?));
            }
            for other in ["FUNCTION", "ROLE", "MBEAN", "MBEANS"] {
                if self.is(other) {
                    return Err(self.no_such_resource_yet());
                }
            }
            self.eat("TABLE");
        }
        let keyspace = self.name("a keyspace")?;
        if !self.eat_symbol('.') {
            return Err(self.unexpected("name a table with its keyspace: TABLE k.t"));
        }
        Ok(Scope::Table { keyspace, table: self.name("a table")? })
    }

    /// What follows `ALL` in a resource.
    fn all_of(&mut self) -> Parsed<Scope> {
        if self.eat("KEYSPACES") {
            return Ok(Scope::AllKeyspaces);
        }
        if self.eat("TABLES") {
            let help = "write ALL TABLES IN KEYSPACE k";
            self.expect("IN", help)?;
            self.expect("KEYSPACE", help)?;
            return Ok(Scope::AllTables(self.name("a keyspace")?));
        }
        if ["FUNCTIONS", "ROLES", "MBEANS"].iter().any(|word| self.is(word)) {
            return Err(self.no_such_resource_yet());
        }
        Err(self.unexpected("write ALL KEYSPACES, or ALL TABLES IN KEYSPACE k"))
    }

    fn no_such_resource_yet(&self) -> Diagnostic {
        self.error(
            "rules for functions, roles and MBeans are not supported yet: their statements are refused to everybody",
            "delete the rule",
        )
    }

    fn name(&mut self, what: &str) -> Parsed<Name> {
        let name = match self.peek() {
            Some(Token::Word(word)) if word.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                Name::Exact(word.to_ascii_lowercase().into())
            }
            Some(Token::Quoted(text)) => {
                let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '*');
                if text.is_empty() || !text.chars().all(valid) {
                    return Err(self.error(
                        &format!("{what} cannot be called {text:?}"),
                        "names have letters, digits and _ (and * in a pattern)",
                    ));
                }
                Name::quoted(text)
            }
            Some(Token::Symbol('*')) => {
                return Err(self.error("a * outside quotes", "put a pattern in double quotes: \"team_*\""));
            }
            _ => {
                return Err(
                    self.unexpected(&format!("write the name of {what}; in double quotes if it needs them"))
                );
            }
        };
        if name.as_str().len() > NAME {
            return Err(self.error(&format!("a name is longer than {NAME} characters"), "shorten it"));
        }
        if matches!(self.tokens.get(self.next + 1), Some((Token::Symbol('*'), _))) {
            return Err(self.error(
                "a * outside quotes",
                &format!("put the pattern in double quotes: \"{}*\"", name.as_str()),
            ));
        }
        self.next += 1;
        Ok(name)
    }

    /// The permissions of a statement, each held against what its resource can have.
    fn applicable(&self, named: Option<Vec<(Permission, At)>>, scope: &Scope) -> Parsed<Permissions> {
        let applicable = Permissions::applicable(scope);
        let Some(named) = named else { return Ok(applicable) };
        for (permission, at) in &named {
            if !applicable.has(*permission) {
                let help = match permission {
                    Permission::Create => {
                        "CREATE belongs to ALL TABLES IN KEYSPACE, KEYSPACE or ALL KEYSPACES"
                    }
                    Permission::Execute => "EXECUTE belongs to functions, which have no rules yet",
                    _ => "DESCRIBE belongs to roles, which have no rules here",
                };
                let message = format!("{permission} does not apply to {scope}");
                return Err(Diagnostic::error(self.file, *at, message).help(help));
            }
        }
        Ok(named.into_iter().map(|(permission, _)| permission).collect())
    }

    fn grantee(&mut self) -> Parsed<Grantee> {
        if self.eat("EVERYONE") {
            return Ok(Grantee::Everyone { identity: self.of()? });
        }
        let at = self.at();
        if self.eat("USERS") {
            let message = "USERS WHERE is not supported yet";
            return Err(
                Diagnostic::error(self.file, at, message).help("write TO GROUP \"name\" or TO USER \"name\"")
            );
        }
        let kind = match self.peek() {
            Some(Token::Word(word)) => word.to_ascii_uppercase(),
            _ => String::new(),
        };
        if !["GROUP", "USER", "SERVICE"].contains(&kind.as_str()) {
            return Err(self.unexpected("write GROUP \"name\", USER \"name\", SERVICE \"name\" or EVERYONE"));
        }
        self.next += 1;
        let name: Arc<str> = match self.peek() {
            Some(Token::Quoted(name)) if !name.is_empty() => name.as_str().into(),
            Some(Token::Word(name) | Token::Text(name)) => {
                let help = format!("write {kind} \"{name}\": names of people are compared exactly");
                return Err(self.error("a name without double quotes", &help));
            }
            _ => return Err(self.unexpected(&format!("write {kind} and a name in double quotes"))),
        };
        self.next += 1;
        let identity = self.of()?.map_or_else(|| self.only_identity(at, &kind, &name), Ok)?;
        match kind.as_str() {
            "GROUP" => Ok(Grantee::Named(PinName { identity, kind: PinKind::Group, name })),
            "USER" => Ok(Grantee::Named(PinName { identity, kind: PinKind::User, name })),
            _ => self.service(at, identity, name),
        }
    }

    fn service(&self, at: At, identity: Arc<str>, name: Arc<str>) -> Parsed<Grantee> {
        if self.world.services.iter().any(|(i, n)| *i == identity && *n == name) {
            return Ok(Grantee::Service { identity, name });
        }
        let message = format!("no [[service]] {name:?} of identity {identity:?} is configured");
        let known: Vec<_> = self.world.services.iter().map(|(i, n)| format!("{n:?} OF {i:?}")).collect();
        let help = if known.is_empty() {
            "configure it in a [[service]] section".to_owned()
        } else {
            format!("there is SERVICE {}", known.join(", "))
        };
        Err(Diagnostic::error(self.file, at, message).help(help))
    }

    /// `OF "identity"`, if it is there.
    fn of(&mut self) -> Parsed<Option<Arc<str>>> {
        if !self.eat("OF") {
            return Ok(None);
        }
        let help = format!("write OF {}", self.known_identities());
        match self.peek() {
            Some(Token::Quoted(name)) => {
                let Some(identity) = self.world.identities.iter().find(|i| ***i == **name) else {
                    return Err(self.error(&format!("the cluster has no identity {name:?}"), &help));
                };
                let identity = Arc::clone(identity);
                self.next += 1;
                Ok(Some(identity))
            }
            _ => Err(self.unexpected(&help)),
        }
    }

    fn only_identity(&self, at: At, kind: &str, name: &str) -> Parsed<Arc<str>> {
        match self.world.identities.as_slice() {
            [identity] => Ok(Arc::clone(identity)),
            _ => Err(Diagnostic::error(self.file, at, "which identity is meant? The cluster has several")
                .help(format!("write {kind} {name:?} OF {}", self.known_identities()))),
        }
    }

    fn known_identities(&self) -> String {
        let names: Vec<_> = self.world.identities.iter().map(|i| format!("{i:?}")).collect();
        names.join(" or OF ")
    }

    // === Tokens ===

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn at(&self) -> At {
        self.tokens.get(self.next).map_or(self.end, |(_, at)| *at)
    }

    fn is(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    fn eat(&mut self, keyword: &str) -> bool {
        let there = self.is(keyword);
        self.next += usize::from(there);
        there
    }

    fn eat_symbol(&mut self, symbol: char) -> bool {
        let there = self.peek() == Some(&Token::Symbol(symbol));
        self.next += usize::from(there);
        there
    }

    fn followed_by_dot(&self) -> bool {
        matches!(self.tokens.get(self.next + 1), Some((Token::Symbol('.'), _)))
    }

    fn expect(&mut self, keyword: &str, help: &str) -> Parsed<()> {
        if self.eat(keyword) { Ok(()) } else { Err(self.unexpected(help)) }
    }

    fn skip_statement(&mut self) {
        while let Some(token) = self.peek() {
            let end = *token == Token::Symbol(';');
            self.next += 1;
            if end {
                break;
            }
        }
    }

    fn unexpected(&self, help: &str) -> Diagnostic {
        let message = match self.peek() {
            None => "the file ends here".to_owned(),
            Some(Token::Word(word)) => format!("{word:?} is not expected here"),
            Some(Token::Quoted(text) | Token::Text(text)) => {
                format!("the name {text:?} is not expected here")
            }
            Some(Token::Symbol(c)) => format!("{c:?} is not expected here"),
        };
        self.error(&message, help)
    }

    fn error(&self, message: &str, help: &str) -> Diagnostic {
        Diagnostic::error(self.file, self.at(), message).help(help)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn world(identities: &[&str]) -> World {
        World {
            identities: identities.iter().map(|i| Arc::from(*i)).collect(),
            services: vec![("acme".into(), "loader".into())],
        }
    }

    fn read(text: &str, identities: &[&str]) -> Result<Vec<Rule>, Vec<String>> {
        let (rules, findings) = parse(&"f.cql".into(), text, &world(identities));
        if findings.is_empty() { Ok(rules) } else { Err(findings.iter().map(ToString::to_string).collect()) }
    }

    fn words(rule: &Rule) -> String {
        let permissions: Vec<_> = rule.permissions.iter().map(|p| p.to_string()).collect();
        format!("{:?} {} ON {} TO {}", rule.effect, permissions.join(", "), rule.scope, rule.grantee)
    }

    #[test]
    fn every_form_of_a_rule() {
        let text = r#"
            GRANT SELECT, MODIFY ON KEYSPACE Orders TO GROUP "orders-team";
            grant select permission on all tables in keyspace bi to group "analysts" of "acme";
            GRANT SELECT ON TABLE hr.Salaries TO USER "Alice ""A"" B";
            GRANT ALL ON ALL KEYSPACES TO GROUP "dba"; -- everything
            DENY DROP, ALTER ON ALL KEYSPACES TO EVERYONE;; // not here
            GRANT MODIFY ON KEYSPACE "team_*" TO SERVICE "loader";
            GRANT ALL PERMISSIONS ON "K".t TO EVERYONE OF "acme"; /* bare name */
            GRANT SELECT ON keyspace.all TO EVERYONE;
        "#;
        let rules = read(text, &["acme"]).unwrap_or_else(|f| panic!("{f:#?}"));
        let of_table = "ALTER, DROP, SELECT, MODIFY, AUTHORIZE, UNMASK, SELECT_MASKED";
        assert_eq!(
            rules.iter().map(words).collect::<Vec<_>>(),
            [
                r#"Grant SELECT, MODIFY ON KEYSPACE "orders" TO GROUP "orders-team" OF "acme""#.to_owned(),
                r#"Grant SELECT ON ALL TABLES IN KEYSPACE "bi" TO GROUP "analysts" OF "acme""#.to_owned(),
                r#"Grant SELECT ON TABLE "hr"."salaries" TO USER "Alice \"A\" B" OF "acme""#.to_owned(),
                format!(r#"Grant CREATE, {of_table} ON ALL KEYSPACES TO GROUP "dba" OF "acme""#),
                "Deny ALTER, DROP ON ALL KEYSPACES TO EVERYONE".to_owned(),
                r#"Grant MODIFY ON KEYSPACE "team_*" TO SERVICE "loader" OF "acme""#.to_owned(),
                format!(r#"Grant {of_table} ON TABLE "K"."t" TO EVERYONE OF "acme""#),
                r#"Grant SELECT ON TABLE "keyspace"."all" TO EVERYONE"#.to_owned(),
            ]
        );
        assert_eq!(rules[0].at, (2, 13));
        assert_eq!(rules[0].scope_at, (2, 37));
        assert_eq!(rules[0].grantee_at, (2, 56));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_what_to_write() {
        for (text, expected) in [
            ("GRNT", "1:1: error: \"GRNT\" is not expected here; a statement begins with GRANT or DENY"),
            (
                "REVOKE ALL ON k.t TO EVERYONE;",
                "1:1: error: a policy has no REVOKE; delete the GRANT, or write a DENY",
            ),
            ("GRANT READ ON k.t TO EVERYONE;", "1:7: error: there is no permission \"READ\"; write SELECT"),
            (
                "GRANT INSERT ON k.t TO EVERYONE;",
                "1:7: error: there is no permission \"INSERT\"; write MODIFY: INSERT, UPDATE, DELETE and TRUNCATE need it",
            ),
            (
                "GRANT SELECT,\n CREATE ON k.t TO EVERYONE;",
                "2:2: error: CREATE does not apply to TABLE \"k\".\"t\"; CREATE belongs to ALL TABLES IN KEYSPACE, KEYSPACE or ALL KEYSPACES",
            ),
            (
                "GRANT EXECUTE ON ALL KEYSPACES TO EVERYONE;",
                "1:7: error: EXECUTE does not apply to ALL KEYSPACES; EXECUTE belongs to functions, which have no rules yet",
            ),
            (
                "GRANT SELECT ON ALL ROLES TO EVERYONE;",
                "1:21: error: rules for functions, roles and MBeans are not supported yet: their statements are refused to everybody; delete the rule",
            ),
            (
                "GRANT SELECT ON t TO EVERYONE;",
                "1:19: error: \"TO\" is not expected here; name a table with its keyspace: TABLE k.t",
            ),
            (
                "GRANT SELECT ON KEYSPACE team_* TO EVERYONE;",
                "1:26: error: a * outside quotes; put the pattern in double quotes: \"team_*\"",
            ),
            (
                "GRANT SELECT ON KEYSPACE \"my-app\" TO EVERYONE;",
                "1:26: error: a keyspace cannot be called \"my-app\"; names have letters, digits and _ (and * in a pattern)",
            ),
            (
                "GRANT dba TO alice;",
                "1:7: error: there is no permission \"dba\"; write CREATE, ALTER, DROP, SELECT, MODIFY, AUTHORIZE, UNMASK, SELECT_MASKED or ALL",
            ),
            (
                "GRANT ALL TO GROUP \"x\";",
                "1:11: error: roles are not granted here: who is in a group comes from the identity provider; write GRANT <permissions> ON <resource> TO GROUP \"name\"",
            ),
            (
                "GRANT SELECT ON k.t TO dba;",
                "1:24: error: \"dba\" is not expected here; write GROUP \"name\", USER \"name\", SERVICE \"name\" or EVERYONE",
            ),
            (
                "GRANT SELECT ON k.t TO GROUP dba;",
                "1:30: error: a name without double quotes; write GROUP \"dba\": names of people are compared exactly",
            ),
            (
                "GRANT SELECT ON k.t TO USERS WHERE 'active eq true';",
                "1:24: error: USERS WHERE is not supported yet; write TO GROUP \"name\" or TO USER \"name\"",
            ),
            (
                "GRANT SELECT ON k.t TO SERVICE \"x\";",
                "1:24: error: no [[service]] \"x\" of identity \"acme\" is configured; there is SERVICE \"loader\" OF \"acme\"",
            ),
            (
                "GRANT SELECT ON k.t TO GROUP \"x\" OF \"other\";",
                "1:37: error: the cluster has no identity \"other\"; write OF \"acme\"",
            ),
            ("GRANT SELECT ON k.t TO EVERYONE", "1:32: error: the file ends here; end the statement with ;"),
        ] {
            assert_eq!(read(text, &["acme"]).unwrap_err(), [format!("f.cql:{expected}")], "{text}");
        }
    }

    #[test]
    fn several_findings_of_one_file() {
        let text =
            "GRANT X ON k.t TO EVERYONE;\nGRANT SELECT ON k.t TO EVERYONE;\nDENY Y ON k.t TO EVERYONE;";
        let findings = read(text, &["acme"]).unwrap_err();
        assert_eq!(findings.len(), 2);
        assert!(findings[0].starts_with("f.cql:1:7: ") && findings[1].starts_with("f.cql:3:6: "));
    }

    #[test]
    fn of_may_be_left_out_only_where_it_is_clear() {
        let text = "GRANT SELECT ON k.t TO GROUP \"x\";";
        assert_eq!(
            read(text, &["acme", "b"]).unwrap_err(),
            [
                r#"f.cql:1:24: error: which identity is meant? The cluster has several; write GROUP "x" OF "acme" or OF "b""#
            ]
        );
        // EVERYONE leaves nothing open: a DENY must not stop at an identity that comes later.
        assert!(read("DENY DROP ON ALL KEYSPACES TO EVERYONE;", &["acme", "b"]).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_rules_or_findings(text in any::<String>()) {
            let (rules, findings) = parse(&"f".into(), &text, &world(&["acme"]));
            prop_assert!(rules.len() + findings.len() <= text.len() + 1);
        }

        #[test]
        fn any_words_are_rules_or_findings(words in proptest::collection::vec(
            prop::sample::select(vec![
                "GRANT", "DENY", "ALL", "PERMISSIONS", "SELECT", "MODIFY", ",", "ON", "KEYSPACE", "KEYSPACES",
                "TABLES", "IN", "TABLE", "k", ".", "t", "*", "\"a*\"", "TO", "GROUP", "USER", "SERVICE", "EVERYONE",
                "OF", "\"acme\"", "\"loader\"", ";", "--\n", "/*", "*/", "'", "USERS WHERE",
            ]), 0..40))
        {
            let text = words.join(" ");
            let (_, findings) = parse(&"f".into(), &text, &world(&["acme"]));
            for finding in findings {
                prop_assert!(finding.is_error() && finding.help.is_some(), "{finding}");
            }
        }
    }
}
