//! What a rule is on: Cassandra's resources in Cassandra's words, with `*` in quoted names.
//!
//! In: the tokens behind `ON`. Out: a resource, and the permissions that apply to it; or a finding that says
//! what to write.

use cqlgate_protocol::cql::keyword::{Class, Keyword};
use cqlgate_protocol::cql::{Permission, canonical_type};

use super::{Parsed, Parser};
use crate::config::diagnostic::Diagnostic;
use crate::policy::lexer::{At, Token};
use crate::policy::pattern::Name;
use crate::policy::rule::{Permissions, Scope};

/// The longest name of a keyspace or table: what Cassandra 5.0 allows for both together.
const NAME: usize = 222;
/// The longest name of a function, role or `MBean`, and the longest list of arguments, in bytes.
const LONG_NAME: usize = 4096;

impl Parser<'_> {
    pub(super) fn scope(&mut self) -> Parsed<Scope> {
        // A keyspace may be called like one of these words.
        if !self.followed_by('.') {
            if self.eat("ALL") {
                return self.all_of();
            }
            if self.eat("KEYSPACE") {
                return Ok(Scope::Keyspace(self.name("a keyspace")?));
            }
            if self.eat("FUNCTION") {
                return self.function();
            }
            if self.is("AGGREGATE") {
                return Err(self.error("an aggregate is a function here", "write FUNCTION k.f(int)"));
            }
            if self.eat("ROLE") {
                return Ok(Scope::Role(self.role()?));
            }
            if self.is("MBEAN") || self.is("MBEANS") {
                return self.mbean();
            }
            self.eat("TABLE");
        }
        let keyspace = self.name("a keyspace")?;
        if !self.eat_symbol('.') {
            return Err(self.unexpected("name a table with its keyspace: TABLE k.t"));
        }
        Ok(Scope::Table { keyspace, table: self.name("a table")? })
    }

    /// What follows `ALL`.
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
        if self.eat("FUNCTIONS") {
            if !self.eat("IN") {
                return Ok(Scope::AllFunctions);
            }
            self.expect("KEYSPACE", "write ALL FUNCTIONS IN KEYSPACE k")?;
            return Ok(Scope::FunctionsIn(self.name("a keyspace")?));
        }
        if self.eat("ROLES") {
            return Ok(Scope::AllRoles);
        }
        if self.eat("MBEANS") {
            return Ok(Scope::AllMbeans);
        }
        Err(self.unexpected(
            "write ALL KEYSPACES, ALL TABLES IN KEYSPACE k, ALL FUNCTIONS, ALL FUNCTIONS IN KEYSPACE k, ALL ROLES or ALL MBEANS",
        ))
    }

    /// A keyspace's or table's name.
    fn name(&mut self, what: &str) -> Parsed<Name> {
        if let Some(Token::Quoted(text)) = self.peek() {
            let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '*');
            if text.is_empty() || !text.chars().all(valid) {
                return Err(self.error(
                    &format!("{what} cannot be called {text:?}"),
                    "names have letters, digits and _ (and * in a pattern)",
                ));
            }
        }
        self.any_name(what, NAME)
    }

    /// A name without quotes, or in double ones with whatever it holds.
    fn any_name(&mut self, what: &str, longest: usize) -> Parsed<Name> {
        let name = match self.peek() {
            Some(Token::Word(word)) if word.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                Name::Exact(word.to_ascii_lowercase().into())
            }
            Some(Token::Quoted(text)) if !text.is_empty() => Name::quoted(text),
            Some(Token::Symbol('*')) => {
                return Err(self.error("a * outside quotes", "put a pattern in double quotes: \"team_*\""));
            }
            _ => {
                return Err(
                    self.unexpected(&format!("write the name of {what}; in double quotes if it needs them"))
                );
            }
        };
        if name.as_str().len() > longest {
            return Err(self.error(&format!("a name is longer than {longest} characters"), "shorten it"));
        }
        if self.followed_by('*') {
            let help = format!("put the pattern in double quotes: \"{}*\"", name.as_str());
            return Err(self.error("a * outside quotes", &help));
        }
        self.next += 1;
        Ok(name)
    }

    /// `r`, `"R"`, `"team_*"`, or `'any text'` without patterns.
    fn role(&mut self) -> Parsed<Name> {
        let Some(Token::Text(text)) = self.peek() else { return self.any_name("a role", LONG_NAME) };
        if text.is_empty() || text.len() > LONG_NAME {
            return Err(self.error(
                &format!("a role's name has 1 to {LONG_NAME} characters"),
                "write the name of a role",
            ));
        }
        let name = Name::Exact(text.as_str().into());
        self.next += 1;
        Ok(name)
    }

    fn mbean(&mut self) -> Parsed<Scope> {
        self.next += 1;
        match self.peek() {
            Some(Token::Text(name)) if name.contains(':') && name.len() <= LONG_NAME => {
                let scope = Scope::Mbean(name.as_str().into());
                self.next += 1;
                Ok(scope)
            }
            Some(Token::Text(_)) => Err(self.error(
                "this is no name of an MBean",
                "write it as JMX does: 'org.apache.cassandra.db:type=Tables,*', or write ALL MBEANS",
            )),
            _ => Err(self.unexpected("write the MBean's name in single quotes: MBEAN 'domain:key=value'")),
        }
    }

    /// `k.f(int, text)`.
    fn function(&mut self) -> Parsed<Scope> {
        let keyspace = self.name("a keyspace")?;
        if !self.eat_symbol('.') {
            return Err(self.unexpected("name a function with its keyspace: FUNCTION k.f(int, text)"));
        }
        // As in Cassandra, a word of CQL that is a function's name keeps its case.
        let as_written = match self.peek() {
            Some(Token::Word(word)) => Keyword::lookup(word.as_bytes())
                .filter(|keyword| keyword.class() == Class::Basic)
                .map(|_| Name::Exact(word.as_str().into())),
            _ => None,
        };
        let name = self.any_name("a function", LONG_NAME)?;
        let name = as_written.unwrap_or(name);
        let help = format!(
            "write the types of its arguments: FUNCTION {}.{}(int, text), or () if it has none",
            keyspace.as_str(),
            name.as_str()
        );
        if !self.eat_symbol('(') {
            return Err(self.unexpected(&help));
        }
        let mut arguments = String::new();
        if self.eat_symbol(')') {
            return Ok(Scope::Function { keyspace, name, arguments: arguments.into() });
        }
        loop {
            arguments.push_str(&self.argument(&help)?);
            if arguments.len() > LONG_NAME {
                return Err(
                    self.error(&format!("the types are longer than {LONG_NAME} characters"), "shorten them")
                );
            }
            if self.eat_symbol(')') {
                return Ok(Scope::Function { keyspace, name, arguments: arguments.into() });
            }
            if !self.eat_symbol(',') {
                return Err(self.unexpected(&help));
            }
            arguments.push_str(", ");
        }
    }

    /// One type in canonical form, its user types without a keyspace: there is no other than the function's.
    fn argument(&mut self, help: &str) -> Parsed<String> {
        let (first, at) = (self.next, self.at());
        let (mut text, mut depth) = (String::new(), 0_usize);
        let tokens = self.tokens;
        while let Some((token, _)) = tokens.get(self.next) {
            match token {
                Token::Symbol(';') => break,
                Token::Symbol(',' | ')') if depth == 0 => break,
                Token::Word(word) => text.push_str(word),
                Token::Quoted(name) => text.push_str(&within('"', name)),
                Token::Text(name) => text.push_str(&within('\'', name)),
                Token::Symbol(c) => {
                    depth = match c {
                        '<' => depth + 1,
                        '>' => depth.saturating_sub(1),
                        _ => depth,
                    };
                    text.push(*c);
                }
            }
            text.push(' ');
            self.next += 1;
        }
        if self.next == first {
            return Err(self.unexpected(help));
        }
        canonical_type(&text).ok_or_else(|| {
            Diagnostic::error(self.file, at, format!("{:?} is no type", text.trim())).help(help)
        })
    }

    /// The permissions of a statement, each held against what its resource can have.
    pub(super) fn applicable(
        &self,
        named: Option<Vec<(Permission, At)>>,
        scope: &Scope,
    ) -> Parsed<Permissions> {
        let applicable = Permissions::applicable(scope);
        let Some(named) = named else { return Ok(applicable) };
        for (permission, at) in &named {
            if !applicable.has(*permission) {
                let message = format!("{permission} does not apply to {scope}");
                return Err(Diagnostic::error(self.file, *at, message).help(instead(
                    *permission,
                    scope,
                    applicable,
                )));
            }
        }
        Ok(named.into_iter().map(|(permission, _)| permission).collect())
    }
}

/// What to write instead of a permission that does not apply.
fn instead(permission: Permission, scope: &Scope, applicable: Permissions) -> String {
    match (permission, scope) {
        (Permission::Create, Scope::Table { .. }) => {
            "CREATE belongs to ALL TABLES IN KEYSPACE, KEYSPACE or ALL KEYSPACES".into()
        }
        (Permission::Create, Scope::Function { .. }) => {
            "CREATE belongs to ALL FUNCTIONS IN KEYSPACE or ALL FUNCTIONS".into()
        }
        (Permission::Create, Scope::Role(_)) => "CREATE belongs to ALL ROLES".into(),
        (Permission::Execute, scope) if scope.is_data() => {
            "EXECUTE belongs to FUNCTION k.f(int), ALL FUNCTIONS IN KEYSPACE or ALL FUNCTIONS".into()
        }
        (Permission::Describe, scope) if scope.is_data() => {
            "DESCRIBE belongs to ROLE or ALL ROLES; DESCRIBE statements need no permission".into()
        }
        _ => {
            let takes: Vec<_> = applicable.iter().map(Permission::as_str).collect();
            format!("to it apply {}", takes.join(", "))
        }
    }
}

/// A text between marks, as CQL writes it.
fn within(mark: char, text: &str) -> String {
    let doubled = [mark, mark].iter().collect::<String>();
    format!("{mark}{}{mark}", text.replace(mark, &doubled))
}
