//! What each prepared id means: the process-wide map of one cluster.
//!
//! An id is a name for a text, chosen by the node, kept by the node for everybody, and computable by
//! anybody. So the gateway must know itself what an id stands for before it lets an EXECUTE pass:
//! - a pair is booked only if the id is the MD5 of the text, or of the keyspace in force and the text: then
//!   no mix-up of answers can put a forbidden statement under a permitted one's name;
//! - MD5 collisions are made at will, so the first text of an id stays, and a second one is refused;
//! - an id that is not known is looked up in `system.prepared_statements`, under the same rules.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use cqlgate_protocol::wire::client::prepared_id;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::client::{Client, ClientError, Table};
use super::lookup::Guard;
use crate::config::limits;

/// A statement that is prepared on the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Its id.
    pub id: [u8; 16],
    /// Its text, byte for byte.
    pub text: Arc<str>,
    /// The keyspace that was fixed at PREPARE for its unqualified names; `None` if the id does not depend on
    /// one, because every name is qualified or no keyspace was in force.
    pub keyspace: Option<Arc<str>>,
}

/// Why an id was not booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The id is neither the MD5 of the text nor of keyspace and text.
    #[error("the id of a prepared statement is not the one of its text")]
    Mismatch,
    /// The id stands for another text already.
    #[error("the id of a prepared statement stands for another statement already")]
    Collision,
    /// The text is longer than a statement may be.
    #[error("the text of a prepared statement is longer than {} bytes", limits::STATEMENT)]
    TooLong,
}

/// Statements of one page when the nodes' own are read: texts may be long.
const PAGE: i32 = 50;
/// Look-ups of ids at the same moment.
const LOOKUPS: usize = 4;

/// The map.
pub struct PreparedIds {
    by_id: Cache<[u8; 16], Arc<Prepared>>,
    guard: Guard<[u8; 16]>,
    lookups: Semaphore,
    /// One look-up for each id at a time; the others wait for it.
    in_flight: Mutex<HashMap<[u8; 16], Arc<tokio::sync::Mutex<()>>>>,
    client: Arc<ArcSwapOption<Client>>,
}

impl PreparedIds {
    pub(super) fn new(client: Arc<ArcSwapOption<Client>>) -> Self {
        let weight = |_: &[u8; 16], prepared: &Arc<Prepared>| {
            let keyspace = prepared.keyspace.as_ref().map_or(0, |keyspace| keyspace.len());
            // Texts are at most `limits::STATEMENT` long; 128 bytes for the entry itself.
            u32::try_from(prepared.text.len() + keyspace + 128).unwrap_or(u32::MAX)
        };
        // LRU: an admission filter would drop what has just been prepared in favour of what is used more
        // often, and the driver would prepare it again without end.
        let by_id = Cache::builder()
            .max_capacity(limits::PREPARED_BYTES)
            .weigher(weight)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self {
            by_id,
            guard: Guard::new(limits::LOOKUPS_PER_SECOND, limits::LOOKUP_NEGATIVE),
            lookups: Semaphore::new(LOOKUPS),
            in_flight: Mutex::default(),
            client,
        }
    }

    /// Books what a node has answered to a PREPARE of `text` with `keyspace` in force.
    pub fn book(
        &self,
        id: [u8; 16],
        text: &Arc<str>,
        keyspace: Option<&Arc<str>>,
    ) -> Result<Arc<Prepared>, BookError> {
        if text.len() > limits::STATEMENT {
            return Err(BookError::TooLong);
        }
        let keyspace = if prepared_id(None, text) == id {
            None
        } else if keyspace.is_some_and(|keyspace| prepared_id(Some(keyspace), text) == id) {
            keyspace.cloned()
        } else {
            return Err(BookError::Mismatch);
        };
        let new = Prepared { id, text: text.clone(), keyspace };
        let booked = self.by_id.get_with(id, || Arc::new(new.clone()));
        if *booked == new {
            self.guard.forget(&id);
            Ok(booked)
        } else {
            Err(BookError::Collision)
        }
    }

    /// What the process knows of an id.
    pub fn get(&self, id: &[u8; 16]) -> Option<Arc<Prepared>> {
        self.by_id.get(id)
    }

    /// What the process, or else the node, knows of an id. A node is asked once for each id at a time, for
    /// at most [`limits::NAME_LOOKUP`], and not more often than [`limits::LOOKUPS_PER_SECOND`]; `None` is then
    /// the answer, which makes a driver prepare the statement again.
    pub async fn find(&self, id: &[u8; 16]) -> Option<Arc<Prepared>> {
        if let Some(known) = self.get(id) {
            return Some(known);
        }
        timeout(limits::NAME_LOOKUP, self.look_up(id)).await.ok().flatten()
    }

    async fn look_up(&self, id: &[u8; 16]) -> Option<Arc<Prepared>> {
        let flight = InFlight::enter(self, id);
        let _alone = flight.turn.lock().await;
        if let Some(known) = self.get(id) {
            return Some(known);
        }
        if !self.guard.admits(id) {
            return None;
        }
        let _turn = self.lookups.acquire().await.ok()?;
        let client = self.client.load_full()?;
        let query = "SELECT prepared_id, logged_keyspace, query_string FROM system.prepared_statements \
                     WHERE prepared_id = ?";
        match client.page(query, &[id], 1, None, limits::NAME_LOOKUP).await {
            Ok((table, _)) => {
                self.book_rows(&table);
                let found = self.get(id);
                if found.is_none() {
                    self.guard.not_there(*id);
                }
                found
            }
            Err(error) => {
                tracing::debug!(%error, "a prepared id could not be looked up");
                None
            }
        }
    }

    /// Books what the node has, until the map is full.
    pub(super) async fn refill(&self, client: &Client) -> Result<usize, ClientError> {
        let query = "SELECT prepared_id, logged_keyspace, query_string FROM system.prepared_statements";
        let mut state: Option<Vec<u8>> = None;
        let mut booked = 0;
        let mut bytes = 0;
        loop {
            let (table, next) =
                client.page(query, &[], PAGE, state.as_deref(), limits::CONTROL_QUERY).await?;
            booked += self.book_rows(&table);
            bytes += table.rows.iter().flatten().flatten().map(Vec::len).sum::<usize>() as u64;
            if next.is_none() || next == state || table.rows.is_empty() || bytes >= limits::PREPARED_BYTES {
                return Ok(booked);
            }
            state = next;
        }
    }

    /// Statements that are booked now, as far as the map has counted them.
    pub fn len(&self) -> u64 {
        self.by_id.entry_count()
    }

    /// Is nothing booked?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows that do not hold what they must are passed over: nothing is booked for them.
    fn book_rows(&self, table: &Table) -> usize {
        let book = |row: &Vec<Option<Vec<u8>>>| {
            let [Some(id), keyspace, Some(text)] = row.as_slice() else { return None };
            let id: [u8; 16] = id.as_slice().try_into().ok()?;
            let text: Arc<str> = std::str::from_utf8(text).ok()?.into();
            let keyspace: Option<Arc<str>> = match keyspace {
                Some(keyspace) => Some(std::str::from_utf8(keyspace).ok()?.into()),
                None => None,
            };
            self.book(id, &text, keyspace.as_ref()).ok()
        };
        table.rows.iter().filter_map(book).count()
    }
}

/// A place in the map of look-ups in flight; the last one to leave takes the entry along.
struct InFlight<'a> {
    ids: &'a PreparedIds,
    id: [u8; 16],
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl<'a> InFlight<'a> {
    fn enter(ids: &'a PreparedIds, id: &[u8; 16]) -> Self {
        let mut in_flight = ids.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        Self { ids, id: *id, turn: in_flight.entry(*id).or_default().clone() }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut in_flight = self.ids.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's own and this one.
        if Arc::strong_count(&self.turn) <= 2 {
            in_flight.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> PreparedIds {
        PreparedIds::new(Arc::default())
    }

    fn text(text: &str) -> Arc<str> {
        text.into()
    }

    #[test]
    fn only_the_id_of_the_text_is_booked() {
        let ids = ids();
        let (a, b) = (text("SELECT a FROM k.t"), text("SELECT b FROM t"));
        let (k, l) = (text("k"), text("l"));
        let id = prepared_id(None, &a);
        let booked = ids.book(id, &a, Some(&k)).unwrap();
        assert_eq!((&booked.text, &booked.keyspace), (&a, &None), "the id does not depend on the keyspace");
        assert_eq!(ids.get(&id), Some(booked));
        let id = prepared_id(Some("k"), &b);
        let booked = ids.book(id, &b, Some(&k)).unwrap();
        assert_eq!(booked.keyspace, Some(k));
        // An answer to another text, to another keyspace, to none.
        assert_eq!(ids.book(id, &a, None), Err(BookError::Mismatch));
        assert_eq!(ids.book(id, &b, Some(&l)), Err(BookError::Mismatch));
        assert_eq!(ids.book(id, &b, None), Err(BookError::Mismatch));
        assert_eq!(ids.book([0; 16], &b, None), Err(BookError::Mismatch));
    }

    #[test]
    fn the_same_again_is_the_same() {
        let ids = ids();
        let a = text("SELECT a FROM k.t");
        let id = prepared_id(None, &a);
        let first = ids.book(id, &a, None).unwrap();
        let again = ids.book(id, &text("SELECT a FROM k.t"), Some(&text("z"))).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
    }

    #[test]
    fn a_second_meaning_of_an_id_is_refused() {
        let ids = ids();
        // The same bytes, cut into keyspace and text in two ways.
        let id = prepared_id(None, "abc");
        assert!(ids.book(id, &text("abc"), None).is_ok());
        assert_eq!(ids.book(id, &text("bc"), Some(&text("a"))), Err(BookError::Collision));
        assert_eq!(&*ids.get(&id).unwrap().text, "abc");
    }

    #[test]
    fn texts_that_are_too_long_are_refused() {
        let long = text(&"a".repeat(limits::STATEMENT + 1));
        assert_eq!(ids().book(prepared_id(None, &long), &long, None), Err(BookError::TooLong));
    }

    #[test]
    fn the_map_is_bounded_and_keeps_what_is_new() {
        let ids = ids();
        let mut last = [0; 16];
        for n in 0..80 {
            let long = text(&format!("{n:04}{}", "x".repeat(limits::STATEMENT - 4)));
            last = prepared_id(None, &long);
            ids.book(last, &long, None).unwrap();
            ids.by_id.run_pending_tasks();
        }
        assert!(ids.by_id.weighted_size() <= limits::PREPARED_BYTES);
        assert!(ids.get(&last).is_some());
        assert!(!ids.is_empty());
    }

    #[tokio::test]
    async fn without_a_node_nothing_is_found() {
        assert_eq!(ids().find(&[7; 16]).await, None);
    }
}
