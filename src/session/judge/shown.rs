//! What a statement shows of the cluster itself: its schema, its roles, its nodes, traces of requests.
//!
//! The node answers as it would to the gateway's own account, so what the caller may not see is decided here:
//! answered by the gateway, asked for a permission, or thinned out on its way back.

use cqlgate_protocol::cql::{Need, Permission, Resource, Schema as _};
use cqlgate_protocol::wire::{ErrorCode, response};

use super::{DescribedCluster, From, Judge, Verdict, Wait};
use crate::metrics::{Opcode as Counted, Verdict as Count};
use crate::policy::{self, Decision};
use crate::session::inflight::Kind as Awaited;
use crate::session::local::{self, Fixed, LocalTable};
use crate::session::shown::Shown;
use crate::session::statements::{Classified, Route};

/// What is done with a statement that policy permits and that shows something.
pub(super) enum Shows {
    /// It goes to the node; its answer is looked at so.
    Forward(Awaited),
    /// This is done instead.
    Instead(Verdict),
    /// It is refused with this code and text.
    Refused(ErrorCode, String),
}

impl Judge<'_> {
    pub(super) fn shows(&mut self, classified: &Classified, from: &From<'_>) -> Shows {
        match &classified.route {
            Route::Use => Shows::Forward(Awaited::Use),
            Route::Ddl => Shows::Forward(Awaited::Ddl),
            Route::Access => Shows::Forward(Awaited::Access),
            Route::Node | Route::Local(_) => Shows::Forward(Awaited::Plain),
            Route::Schema(shown) => self.schema_shown(shown, classified, from),
            Route::Traces => self.traces_shown(classified, from),
            Route::Cluster => match &self.tried.cluster {
                DescribedCluster::NotAsked => Shows::Instead(Verdict::Wait(Wait::DescribeCluster)),
                DescribedCluster::Silent => {
                    let text = "The gateway cannot ask the cluster now";
                    Shows::Instead(Verdict::Answer(response::error(
                        self.version,
                        from.stream,
                        ErrorCode::Overloaded,
                        text,
                    )))
                }
                DescribedCluster::Told(cluster) => {
                    let fixed = Fixed::cluster(cluster.clone());
                    Shows::Instead(self.fixed(&fixed, classified, from))
                }
            },
            Route::Roles { users } => {
                let why = "lists every role";
                if self.holds(Need::new(Permission::Describe, Resource::AllRoles, why)) {
                    return Shows::Forward(Awaited::Plain);
                }
                let fixed = if *users { Fixed::no_users() } else { Fixed::no_roles() };
                Shows::Instead(self.fixed(&fixed, classified, from))
            }
        }
    }

    fn holds(&self, need: Need<'_>) -> bool {
        matches!(policy::decide(&self.grants, &[need]), Decision::Permitted(_))
    }

    /// With `hide_schema`, rows of keyspaces that the caller has nothing on are left out.
    fn schema_shown(&self, shown: &Shown, classified: &Classified, from: &From<'_>) -> Shows {
        if !self.context.config.hide_schema {
            return Shows::Forward(Awaited::Plain);
        }
        let hidden = |keyspace: &str| self.schema.has_keyspace(keyspace) && !self.sees(keyspace);
        match shown {
            Shown::Keyspace(name) | Shown::Anything(name) if hidden(name) => {
                return Shows::Refused(ErrorCode::Invalid, format!("'{name}' not found in keyspaces"));
            }
            _ => {}
        }
        match shown.column() {
            Some(column) if from.opcode != Counted::Prepare => Shows::Forward(Awaited::Rows(column)),
            Some(_) => Shows::Forward(Awaited::Plain),
            None if self.names_seen_keyspaces(&classified.text, from) => Shows::Forward(Awaited::Plain),
            None => Shows::Refused(
                ErrorCode::Invalid,
                "The gateway shows each person their keyspaces only (hide_schema): restrict keyspace_name \
                 to yours, or select it and other columns, without functions, JSON or GROUP BY"
                    .to_owned(),
            ),
        }
    }

    /// Is `keyspace_name` restricted to keyspaces that the caller sees? To be prepared, to any.
    fn names_seen_keyspaces(&self, text: &str, from: &From<'_>) -> bool {
        let Some(options) = &from.options else { return local::restricts(text, "keyspace_name") };
        local::restricted_to(text, "keyspace_name", options).is_some_and(|keyspaces| {
            keyspaces.iter().all(|name| std::str::from_utf8(name).is_ok_and(|name| self.sees(name)))
        })
    }

    /// Traces show texts and values: one's own, or those that policy lets one read.
    fn traces_shown(&self, classified: &Classified, from: &From<'_>) -> Shows {
        let Some(options) = &from.options else { return Shows::Forward(Awaited::Plain) };
        if self.context.traces.are_own(&classified.text, options, self.principal()) {
            return Shows::Forward(Awaited::Plain);
        }
        let Some(need) = classified.subjects.first() else {
            return Shows::Refused(
                ErrorCode::Unauthorized,
                "This trace cannot be told from others".to_owned(),
            );
        };
        if self.holds(need.clone()) {
            return Shows::Forward(Awaited::Plain);
        }
        let text = format!("{} (a trace is shown to whoever made it)", need.refusal(&self.who.name));
        Shows::Refused(ErrorCode::Unauthorized, text)
    }

    /// An answer that is no table's.
    fn fixed(&mut self, fixed: &Fixed, classified: &Classified, from: &From<'_>) -> Verdict {
        self.count(classified, from, Count::Answered);
        if let Some(options) = &from.options {
            return Verdict::Answer(fixed.answer(self.version, from.stream, options));
        }
        let (answer, id) = fixed.prepare(classified, self.version, from.stream);
        Verdict::Answer(self.booked(answer, id, classified, from))
    }

    /// An answer from one of the gateway's own tables.
    pub(super) fn local(&self, table: LocalTable, classified: &Classified, from: &From<'_>) -> Vec<u8> {
        let row = self.context.upstream.local_row();
        let view = local::View { row: &row, advertised: self.advertised };
        if let Some(options) = &from.options {
            return local::answer(table, &classified.text, &view, options, self.version, from.stream);
        }
        match local::prepare(table, classified, &view, self.version, from.stream) {
            (answer, Some(id)) => self.booked(answer, id, classified, from),
            (answer, None) => answer,
        }
    }

    /// Books the id of a PREPARED of the gateway's own like any other; an id that stands for another text
    /// already is refused there.
    fn booked(&self, answer: Vec<u8>, id: [u8; 16], classified: &Classified, from: &From<'_>) -> Vec<u8> {
        let ids = self.context.upstream.prepared();
        match ids.book(id, &classified.text, classified.keyspace.as_ref()) {
            Ok(_) => answer,
            Err(error) => response::error(self.version, from.stream, ErrorCode::Invalid, &error.to_string()),
        }
    }
}
