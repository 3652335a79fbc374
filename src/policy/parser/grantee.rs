//! Whom a rule is for: `GROUP "name" OF "identity"` and its like.
//!
//! In: the tokens behind `TO`. Out: a grantee that the configuration knows, or a finding.

use std::sync::Arc;

use super::{Parsed, Parser};
use crate::config::diagnostic::Diagnostic;
use crate::directory::state::{PinKind, PinName};
use crate::policy::lexer::{At, Token};
use crate::policy::rule::Grantee;

impl Parser<'_> {
    pub(super) fn grantee(&mut self) -> Parsed<Grantee> {
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
}
