//! Texts, classified: what a statement is, where it goes and what it needs, kept for the next time.
//!
//! In: a text, the keyspace in force, the schema. Out: [`Classified`]. Nothing here depends on who asks, so
//! all sessions share one cache; nothing here is a verdict.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use cqlgate_protocol::cql::statement::Category;
use cqlgate_protocol::cql::{Kind, Limits, Need, ParseError, Refusal, Statement, needs};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::local::LocalTable;
use crate::audit;
use crate::config::{limits, model};
use crate::metrics;
use crate::upstream::SchemaSnapshot;

/// Where a statement goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To the node, its answer unseen.
    Node,
    /// To the node, alone: it changes the keyspace in force.
    Use,
    /// To the node; its answer waits for the schema cache.
    Ddl,
    /// Nowhere: the gateway answers it from a table of its own.
    Local(LocalTable),
}

/// What a text needs, or why it goes no further whoever asks.
#[derive(Debug)]
pub(super) enum Outcome {
    /// These must be permitted; `named` is what it names besides (a view it reads), for a DENY to reach.
    Needs { needs: Box<[Need<'static>]>, named: Box<[Need<'static>]> },
    /// It is CQL, but is refused or invalid.
    Refused(Refusal),
    /// It is no CQL, or breaks a limit.
    NotCql(ParseError),
}

/// A classified text.
#[derive(Debug)]
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
        let (mut all, mut all_named) = (Vec::new(), Vec::new());
        let mut stopped = None;
        for child in children {
            if text.len() < limits::AUDIT_TEXT {
                text.push(' ');
                text.push_str(child.text.trim_end_matches([';', ' ', '\n', '\r', '\t']));
                text.push(';');
            }
            match &child.outcome {
                Outcome::Needs { needs, named } => {
                    all.extend_from_slice(needs);
                    all_named.extend_from_slice(named);
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
        let outcome = stopped.unwrap_or(Outcome::Needs { needs: all.into(), named: all_named.into() });
        let kind = Some(Kind::Batch);
        Self { text: text.into(), keyspace, kind, route: Route::Node, outcome, schema, qualified: true }
    }
}

/// Classifies a text.
fn classify(text: &str, keyspace: Option<&str>, schema: &SchemaSnapshot, limits: &Limits) -> Classified {
    let mut classified = Classified {
        text: text.into(),
        keyspace: keyspace.map(Arc::from),
        kind: None,
        route: Route::Node,
        outcome: Outcome::Needs { needs: Box::default(), named: Box::default() },
        schema: schema.generation(),
        qualified: false,
    };
    let limits = Limits { release: schema.release(), ..*limits };
    let statement = match cqlgate_protocol::cql::parse(text, &limits) {
        Ok(statement) => statement,
        Err(error) => {
            classified.outcome = Outcome::NotCql(error);
            return classified;
        }
    };
    classified.kind = Some(statement.kind());
    classified.qualified = statement.is_fully_qualified();
    classified.route = route(&statement, keyspace);
    if let Route::Local(_) = classified.route {
        return classified;
    }
    classified.outcome = match needs(&statement, keyspace, schema) {
        Ok(found) => match found.refusal {
            Some(refusal) => Outcome::Refused(refusal),
            None => Outcome::Needs {
                needs: found.needs.into_iter().map(Need::into_owned).collect(),
                named: found.named.into_iter().map(Need::into_owned).collect(),
            },
        },
        Err(refusal) => Outcome::Refused(refusal),
    };
    classified
}

fn route(statement: &Statement<'_>, keyspace: Option<&str>) -> Route {
    if let Statement::Select(_) = statement
        && let Some(table) = statement.table()
        && table.keyspace.as_deref().or(keyspace) == Some("system")
        && let Some(table) = LocalTable::named(&table.name)
    {
        return Route::Local(table);
    }
    match statement.kind() {
        Kind::UseKeyspace => Route::Use,
        Kind::Truncate => Route::Node,
        kind if kind.category() == Category::Ddl => Route::Ddl,
        _ => Route::Node,
    }
}

/// The process-wide cache, one a cluster, bounded in bytes, least recently used out first.
#[derive(Debug)]
pub struct StatementCache {
    by_hash: Cache<u64, Arc<Classified>>,
    hasher: RandomState,
    limits: Limits,
}

/// A text longer than this is classified each time: caching it would push out hundreds of others.
const CACHED_TEXT: usize = 16 * 1024;

impl StatementCache {
    /// An empty cache for statements under these limits.
    pub fn new(of: &model::Limits) -> Self {
        Self {
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
            return Arc::new(classify(text, keyspace, schema, &self.limits));
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
        let classified = Arc::new(classify(text, keyspace, schema, &self.limits));
        // A name that is not known yet may be known in a moment: its refusal is not kept.
        if !matches!(&classified.outcome, Outcome::Refused(refusal) if refusal.is_unknown_name()) {
            self.by_hash.insert(hash, Arc::clone(&classified));
        }
        classified
    }
}

fn weight(classified: &Classified) -> u32 {
    let needs = match &classified.outcome {
        Outcome::Needs { needs, named } => needs.len() + named.len(),
        _ => 1,
    };
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
            classify(text, None, &schema, &Limits::default()).kind
        };
        assert_eq!(kind(Release::V5_0), Some(Kind::CreateIdentity));
        assert_eq!(kind(Release::V4_1), None);
    }
}
