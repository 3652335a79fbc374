//! The grant language: `GRANT|DENY permissions ON resource TO grantee;`.
//!
//! In: the text of one file, and what names may stand behind `OF` and `SERVICE`. Out: rules, and findings
//! with what to write instead. A statement that is wrong is skipped up to its `;`, so that one reading
//! finds what is wrong in all of them.

mod grantee;
mod resource;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use cqlgate_protocol::cql::Permission;

use super::lexer::{At, Token, Tokens, lex};
use super::rule::{Effect, Rule};
use crate::config::diagnostic::Diagnostic;

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
        self.expect(
            "ON",
            "write ON and a resource: ON KEYSPACE k, ON TABLE k.t, ON FUNCTION k.f(int), ON ROLE r",
        )?;
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
                    "write CREATE, ALTER, DROP, SELECT, MODIFY, AUTHORIZE, DESCRIBE, EXECUTE, UNMASK, SELECT_MASKED or ALL"
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

    fn followed_by(&self, symbol: char) -> bool {
        matches!(self.tokens.get(self.next + 1), Some((Token::Symbol(c), _)) if *c == symbol)
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
