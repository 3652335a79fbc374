//! Texts, classified: what a statement is, where it goes and what it needs, kept for the next time.
//!
//! In: a text, the keyspace in force, the schema. Out: [`Classified`]. Nothing here depends on who asks, so
//! all sessions share one cache; nothing here is a verdict.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use cqlgate_protocol::cql::statement::{Access, Category};
use cqlgate_protocol::cql::{
    Kind, Limits, Need, Needs, ParseError, Refusal, Statement, Unseen, child_needs, needs,
};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::facts::{Facts, Known};
use super::local::LocalTable;
use super::shown::Shown;
use super::subjects;
use crate::audit;
use crate::config::{limits, model};
use crate::metrics;
use crate::upstream::SchemaSnapshot;

/// Where a statement goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To the node, its answer unseen.
    Node,
    /// To the node, alone: it changes the keyspace in force.
    Use,
    /// To the node; its answer waits for the schema cache.
    Ddl,
    /// To the node; its answer gets a warning: it changes Cassandra's roles, never the policy.
    Access,
    /// To the node; its answer shows what there is, of which keyspaces may be hidden.
    Schema(Shown),
    /// To the node, if it asks for traces of the caller's own.
    Traces,
    /// Nowhere: the gateway answers it from a table of its own.
    Local(LocalTable),
    /// Nowhere: DESCRIBE CLUSTER.
    Cluster,
    /// To the node for whoever may see every role; nowhere else.
    Roles {
        /// `LIST USERS`.
        users: bool,
    },
}

/// What a text needs, or why it goes no further whoever asks.
#[derive(Debug)]
pub(super) enum Outcome {
    /// These must be permitted; `named` is what it names besides (a view it reads), for a DENY to reach. A
    /// refusal is for whoever has the needs.
    Needs {
        needs: Box<[Need<'static>]>,
        named: Box<[Need<'static>]>,
        refusal: Option<Refusal>,
        /// A name that is worth a look-up first: were it known, more would be needed.
        unseen: Option<Unseen>,
    },
    /// It is CQL, but is refused or invalid.
    Refused(Refusal),
    /// It is no CQL, or breaks a limit.
    NotCql(ParseError),
}

/// A classified text.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of a statement, each on its own")]
pub(super) struct Classified {
    pub text: Arc<str>,
    /// The keyspace in force where it was classified.
    pub keyspace: Option<Arc<str>>,
    pub kind: Option<Kind>,
    pub route: Route,
    pub outcome: Outcome,
    /// The schema's generation that the outcome holds for.
    pub schema: u64,
    /// Are all its names qualified? Decides the prepared id that a node would give it.
    pub qualified: bool,
    /// Is it a change with a condition? As a child of a BATCH message it may need more.
    pub conditional: bool,
    /// Is it a BATCH message? Its text is put together of its children's.
    pub is_frame: bool,
    /// Do its names take the session's keyspace when it runs, whatever the request or PREPARE said?
    pub in_session_keyspace: bool,
    /// What a stranger is refused in the same words whether it is there or not ([`strict names`]), in the
    /// order of the statements of a batch.
    ///
    /// [`strict names`]: crate::config::model::Cluster::strict_names
    pub subjects: Box<[Need<'static>]>,
}

impl Classified {
    /// Is it a statement that a batch may hold?
    pub(super) fn is_batch_child(&self) -> bool {
        matches!(self.kind, Some(Kind::Update | Kind::Delete))
    }

    /// Does it read or write rows?
    pub(super) fn is_data(&self) -> bool {
        self.kind.is_some_and(|kind| kind.category() == Category::Data)
    }

    /// Does it change the schema, or empty a table?
    pub(super) fn is_definition(&self) -> bool {
        self.kind.is_some_and(|kind| kind.category() == Category::Ddl)
    }

    /// Does it change who may do what inside Cassandra?
    pub(super) fn is_access(&self) -> bool {
        matches!(
            self.kind,
            Some(
                Kind::CreateRole
                    | Kind::AlterRole
                    | Kind::DropRole
                    | Kind::Grant
                    | Kind::Revoke
                    | Kind::CreateIdentity
                    | Kind::DropIdentity
            )
        )
    }

    /// What its audit event is about.
    pub(super) fn event_kind(&self) -> audit::Kind {
        match self.kind.map(Kind::category) {
            Some(Category::Data) => audit::Kind::Data,
            Some(Category::Ddl) => audit::Kind::Ddl,
            _ => audit::Kind::Other,
        }
    }

    /// What it is counted as.
    pub(super) fn counted(&self) -> metrics::Statement {
        use metrics::Statement as Counted;
        let Some(kind) = self.kind else { return Counted::None };
        match kind {
            Kind::Select => Counted::Select,
            // As in Cassandra's audit log, an INSERT is an UPDATE.
            Kind::Update => Counted::Update,
            Kind::Delete => Counted::Delete,
            Kind::Batch => Counted::Batch,
            Kind::Truncate => Counted::Truncate,
            Kind::UseKeyspace => Counted::Use,
            Kind::Describe | Kind::ListRoles | Kind::ListPermissions => Counted::Describe,
            kind if kind.category() == Category::Other => Counted::Access,
            kind if kind.as_str().starts_with("CREATE") => Counted::Create,
            kind if kind.as_str().starts_with("DROP") => Counted::Drop,
            _ => Counted::Alter,
        }
    }

    /// A BATCH of these children: it needs what each of them needs, in order. One that goes no further
    /// stops the whole.
    pub(super) fn batch(children: &[Arc<Self>], keyspace: Option<Arc<str>>, schema: u64) -> Self {
        let mut text = String::from("BEGIN BATCH");
        let (mut all, mut all_named, mut subjects) = (Vec::new(), Vec::new(), Vec::new());
        let mut stopped = None;
        for child in children {
            if text.len() < limits::AUDIT_TEXT {
                text.push(' ');
                text.push_str(child.text.trim_end_matches([';', ' ', '\n', '\r', '\t']));
                // A child may end with a comment, which ends with its line.
                text.push_str("\n;");
            }
            subjects.extend_from_slice(&child.subjects);
            match &child.outcome {
                Outcome::Needs { needs, named, refusal, .. } => {
                    all.extend_from_slice(needs);
                    all_named.extend_from_slice(named);
                    if let Some(refusal) = refusal {
                        stopped.get_or_insert_with(|| Outcome::Refused(refusal.clone()));
                    }
                }
                Outcome::Refused(refusal) => {
                    stopped.get_or_insert_with(|| Outcome::Refused(refusal.clone()));
                }
                Outcome::NotCql(error) => {
                    stopped.get_or_insert_with(|| Outcome::NotCql(error.clone()));
                }
            }
        }
        text.push_str(" APPLY BATCH");
        let all = Outcome::Needs { needs: all.into(), named: all_named.into(), refusal: None, unseen: None };
        Self {
            text: text.into(),
            keyspace,
            kind: Some(Kind::Batch),
            route: Route::Node,
            outcome: stopped.unwrap_or(all),
            schema,
            qualified: true,
            conditional: false,
            is_frame: true,
            in_session_keyspace: false,
            subjects: subjects.into(),
        }
    }
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Alone,
    /// In a BATCH message.
    InBatch,
}

/// Classifies a text.
fn classify(
    text: &str,
    keyspace: Option<&str>,
    known: &Known<'_>,
    limits: &Limits,
    stands: Stands,
) -> Classified {
    let mut classified = Classified {
        text: text.into(),
        keyspace: keyspace.map(Arc::from),
        kind: None,
        route: Route::Node,
        outcome: Outcome::Needs { needs: Box::default(), named: Box::default(), refusal: None, unseen: None },
        schema: known.schema.generation(),
        qualified: false,
        conditional: false,
        is_frame: false,
        in_session_keyspace: false,
        subjects: Box::default(),
    };
    let limits = Limits { release: known.schema.release(), ..*limits };
    let statement = match cqlgate_protocol::cql::parse(text, &limits) {
        Ok(statement) => statement,
        Err(error) => {
            classified.outcome = Outcome::NotCql(error);
            return classified;
        }
    };
    classified.kind = Some(statement.kind());
    classified.qualified = statement.is_fully_qualified();
    classified.conditional = statement.is_conditional();
    classified.in_session_keyspace = statement.takes_session_keyspace();
    classified.route = route(&statement, keyspace);
    if let Route::Local(_) = classified.route {
        return classified;
    }
    classified.subjects = subjects::of(&statement, keyspace);
    let needed = match stands {
        Stands::Alone => needs(&statement, keyspace, known),
        Stands::InBatch => child_needs(&statement, keyspace, known),
    };
    classified.outcome = match needed {
        Ok(Needs { needs, named, refusal, unseen }) => Outcome::Needs {
            unseen,
            needs: needs.into_iter().map(Need::into_owned).collect(),
            named: named.into_iter().map(Need::into_owned).collect(),
            refusal,
        },
        Err(refusal) => Outcome::Refused(refusal),
    };
    classified
}

fn route(statement: &Statement<'_>, keyspace: Option<&str>) -> Route {
    match statement {
        Statement::Select(select) => {
            let name = &*select.table.name;
            match select.table.keyspace.as_deref().or(keyspace) {
                Some("system") if matches!(name, "size_estimates" | "table_estimates") => {
                    Route::Schema(Shown::by(select))
                }
                Some("system") => LocalTable::named(name).map_or(Route::Node, Route::Local),
                Some("system_schema" | "system_virtual_schema") => Route::Schema(Shown::by(select)),
                Some("system_traces") if matches!(name, "sessions" | "events") => Route::Traces,
                _ => Route::Node,
            }
        }
        Statement::Describe(describe) => Shown::described(describe),
        Statement::Access(Access::ListRoles { of: None, .. }) => Route::Roles { users: false },
        Statement::Access(Access::ListUsers) => Route::Roles { users: true },
        Statement::Access(
            Access::Grant(_) | Access::Revoke(_) | Access::GrantRole { .. } | Access::RevokeRole { .. },
        ) => Route::Access,
        Statement::Use(_) => Route::Use,
        Statement::Definition(_) => Route::Ddl,
        _ => Route::Node,
    }
}

/// The process-wide cache, one a cluster, bounded in bytes, least recently used out first.
#[derive(Debug)]
pub struct StatementCache {
    by_hash: Cache<u64, Arc<Classified>>,
    hasher: RandomState,
    limits: Limits,
    /// The role that the gateway itself logs in with.
    own_role: String,
}

/// A text longer than this is classified each time: caching it would push out hundreds of others.
const CACHED_TEXT: usize = 16 * 1024;

impl StatementCache {
    /// An empty cache for the statements of a cluster.
    pub fn new(cluster: &model::Cluster) -> Self {
        let of = &cluster.limits;
        Self {
            own_role: cluster.username.clone(),
            by_hash: Cache::builder()
                .max_capacity(limits::STATEMENT_CACHE_BYTES)
                .weigher(|_, classified: &Arc<Classified>| weight(classified))
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            hasher: RandomState::new(),
            limits: Limits {
                text: limits::STATEMENT,
                selector_depth: of.selector_depth,
                value_operators: of.value_operators,
                batch_children: of.batch_children,
                name: of.name,
                ..Limits::default()
            },
        }
    }

    /// The limits that texts are parsed under.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What `text` is where `keyspace` is in force, under this schema.
    pub(super) fn classify(
        &self,
        text: &str,
        keyspace: Option<&str>,
        schema: &SchemaSnapshot,
    ) -> Arc<Classified> {
        if text.len() > CACHED_TEXT {
            return self.classify_knowing(text, keyspace, schema, &Facts::default());
        }
        // A keyed hash; two texts with one hash are told apart by comparing them.
        let hash = self.hasher.hash_one((text, keyspace));
        if let Some(known) = self.by_hash.get(&hash)
            && known.schema == schema.generation()
            && *known.text == *text
            && known.keyspace.as_deref() == keyspace
        {
            return known;
        }
        let classified = self.classify_knowing(text, keyspace, schema, &Facts::default());
        // A name that is not known yet may be known in a moment: its refusal is not kept.
        if !matches!(&classified.outcome, Outcome::Refused(refusal) if refusal.unseen().is_some()) {
            self.by_hash.insert(hash, Arc::clone(&classified));
        }
        classified
    }

    /// The same with what was asked for this one statement, which holds for it alone.
    pub(super) fn classify_knowing(
        &self,
        text: &str,
        keyspace: Option<&str>,
        schema: &SchemaSnapshot,
        facts: &Facts,
    ) -> Arc<Classified> {
        let known = Known { schema, facts, own_role: &self.own_role };
        Arc::new(classify(text, keyspace, &known, &self.limits, Stands::Alone))
    }

    /// What a classified statement is as a child of a BATCH message.
    pub(super) fn in_batch(&self, alone: Arc<Classified>, schema: &SchemaSnapshot) -> Arc<Classified> {
        if !alone.conditional {
            return alone;
        }
        let known = Known { schema, facts: &Facts::default(), own_role: &self.own_role };
        let keyspace = alone.keyspace.as_deref();
        Arc::new(classify(&alone.text, keyspace, &known, &self.limits, Stands::InBatch))
    }
}

fn weight(classified: &Classified) -> u32 {
    let needs = match &classified.outcome {
        Outcome::Needs { needs, named, .. } => needs.len() + named.len(),
        _ => 1,
    } + classified.subjects.len();
    u32::try_from(classified.text.len() + needs * 128 + 256).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use cqlgate_protocol::cql::Release;

    use super::*;

    #[test]
    fn the_release_of_the_cluster_decides_what_is_cql() {
        let text = "ADD IDENTITY 'i' TO ROLE 'r'";
        let kind = |release| {
            let schema = SchemaSnapshot::default().of(release);
            let known = Known { schema: &schema, facts: &Facts::default(), own_role: "cqlgate" };
            classify(text, None, &known, &Limits::default(), Stands::Alone).kind
        };
        assert_eq!(kind(Release::V5_0), Some(Kind::CreateIdentity));
        assert_eq!(kind(Release::V4_1), None);
    }
}
