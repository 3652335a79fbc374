//! Roles and identities of Cassandra's, asked for each time a statement concerns one: no event tells when they
//! change.
//!
//! In: a name. Out: what is known of it, from `system_auth`, over the control connection and at a quorum of
//! the local data centre, as nodes read these tables themselves. Whatever goes wrong is `Unreadable`, and a
//! statement that hangs on it is refused.

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use cqlgate_protocol::cql::Role;
use cqlgate_protocol::wire::WireError;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::client::{Client, ClientError};
use super::values::{missing, texts};
use crate::config::limits;

/// What an identity of `system_auth.identity_to_role` is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundIdentity {
    /// It could not be found out: the account may not know, or no answer came.
    Unreadable,
    /// To no role.
    Unbound,
    /// To this role.
    Bound(String),
}

/// Look-ups at the same moment; the others wait within their time.
const LOOKUPS: usize = 16;

/// Asks for roles and identities.
pub(super) struct Roles {
    /// The role that the control connection is logged in as.
    own: Arc<str>,
    client: Arc<ArcSwapOption<Client>>,
    turns: Semaphore,
}

/// A row of `system_auth.roles`.
struct Row {
    is_superuser: bool,
    member_of: Vec<String>,
}

impl Roles {
    pub(super) fn new(own: Arc<str>, client: Arc<ArcSwapOption<Client>>) -> Self {
        Self { own, client, turns: Semaphore::new(LOOKUPS) }
    }

    pub(super) async fn role(&self, role: &str) -> Role {
        match self.bounded(async |client| self.look_at_role(client, role).await).await {
            Some(found) => found,
            None => Role::Unreadable,
        }
    }

    pub(super) async fn identity(&self, identity: &str) -> FoundIdentity {
        match self.bounded(async |client| read_identity(client, identity).await).await {
            Some(Some(role)) => FoundIdentity::Bound(role),
            Some(None) => FoundIdentity::Unbound,
            None => FoundIdentity::Unreadable,
        }
    }

    /// `None`: it could not be found out in time.
    async fn bounded<T>(&self, ask: impl AsyncFnOnce(&Client) -> Result<T, ClientError>) -> Option<T> {
        let asked = timeout(limits::ROLE_LOOKUP, async {
            let _turn = self.turns.acquire().await.ok()?;
            let client = self.client.load_full()?;
            ask(&client)
                .await
                .inspect_err(|error| tracing::debug!(%error, "a role or identity could not be looked up"))
                .ok()
        });
        asked.await.ok().flatten()
    }

    /// Whoever is a superuser in the closure of `member_of` makes a superuser, as with Cassandra.
    async fn look_at_role(&self, client: &Client, role: &str) -> Result<Role, ClientError> {
        let Some(row) = read_role(client, role).await? else {
            // A cluster whose roles are kept elsewhere has no row of anybody's: then nothing is known.
            let is_kept_here = read_role(client, &self.own).await?.is_some();
            return Ok(if is_kept_here { Role::Missing } else { Role::Unreadable });
        };
        if row.is_superuser {
            return Ok(Role::Superuser);
        }
        let mut seen: HashSet<String> = [role.to_owned()].into();
        let mut left = row.member_of;
        while let Some(next) = left.pop() {
            if seen.contains(&next) {
                continue;
            }
            if seen.len() >= limits::ROLE_CLOSURE {
                return Ok(Role::Superuser);
            }
            // A role that was dropped may still be named by another's row: nobody gains by it.
            if let Some(row) = read_role(client, &next).await? {
                if row.is_superuser {
                    return Ok(Role::Superuser);
                }
                left.extend(row.member_of);
            }
            seen.insert(next);
        }
        Ok(Role::Plain)
    }
}

async fn read_role(client: &Client, role: &str) -> Result<Option<Row>, ClientError> {
    let query = "SELECT is_superuser, member_of FROM system_auth.roles WHERE role = ?";
    let rows = client.at_quorum(query, &[role.as_bytes()], limits::ROLE_LOOKUP).await?.rows;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let mut values = row.into_iter();
    let is_superuser = match values.next().flatten().as_deref() {
        Some([0]) => false,
        Some([1]) => true,
        // Cassandra itself takes a row without it for damaged.
        _ => return Err(WireError::Invalid("is_superuser of a role is no boolean".into()).into()),
    };
    let member_of = match values.next().flatten() {
        Some(set) => texts(&set)?.into_iter().map(str::to_owned).collect(),
        None => Vec::new(),
    };
    Ok(Some(Row { is_superuser, member_of }))
}

async fn read_identity(client: &Client, identity: &str) -> Result<Option<String>, ClientError> {
    let query = "SELECT role FROM system_auth.identity_to_role WHERE identity = ?";
    let rows = client.at_quorum(query, &[identity.as_bytes()], limits::ROLE_LOOKUP).await?.rows;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let role = row.into_iter().next().flatten();
    let role = role.ok_or_else(|| missing("the role of an identity"))?;
    Ok(Some(String::from_utf8(role).map_err(|_| WireError::NotUtf8("a role"))?))
}

#[cfg(test)]
mod tests {
    use cqlgate_protocol::wire::response::{self, ColumnType, RowSet};
    use cqlgate_protocol::wire::{ErrorCode, Opcode, Reader};
    use tokio::net::TcpStream;

    use super::super::stream::Stream;
    use super::super::stub::{Asked, Does, Stub};
    use super::super::values::collection;
    use super::*;

    /// A node with these roles: name, superuser, member of.
    async fn roles(of: &'static [(&'static str, Option<bool>, &'static [&'static str])]) -> (Stub, Roles) {
        on(move |asked| {
            let role = value(asked);
            let row = of.iter().find(|(name, ..)| *name == role).map(|(_, superuser, member_of)| {
                vec![superuser.map(|is| vec![u8::from(is)]), Some(collection(member_of))]
            });
            let columns =
                [("is_superuser", &ColumnType::BOOLEAN), ("member_of", &ColumnType::VARCHAR.set_of())];
            let set = RowSet { keyspace: "system_auth", table: "roles", columns: &columns };
            Does::Say(response::rows(
                asked.version,
                asked.stream,
                &set,
                &row.into_iter().collect::<Vec<_>>(),
                true,
            ))
        })
        .await
    }

    async fn on(script: impl Fn(&Asked) -> Does + Send + Sync + 'static) -> (Stub, Roles) {
        let stub = Stub::start(move |asked| match asked.opcode {
            Opcode::Query => script(asked),
            _ => Does::AsANode,
        })
        .await;
        let (client, _) = Client::new(Stream::Plain(TcpStream::connect(stub.address).await.unwrap()));
        (stub, Roles::new("gate".into(), Arc::new(ArcSwapOption::from_pointee(client))))
    }

    /// The one value that is bound to a query.
    fn value(asked: &Asked) -> String {
        let mut reader = Reader::new(&asked.body);
        reader.long_string().unwrap();
        assert_eq!(reader.short(), Ok(0x0006), "a quorum of the local data centre");
        assert_eq!((reader.byte().map(|flags| flags & 0x01), reader.short()), (Ok(1), Ok(1)));
        String::from_utf8(reader.bytes().unwrap().unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn superusers_are_found_through_what_they_are_granted() {
        let (_stub, roles) = roles(&[
            ("gate", Some(false), &[]),
            ("root", Some(true), &[]),
            ("ops", Some(false), &["x", "root"]),
            ("ann", Some(false), &["ops"]),
            // In a circle, and with a role that is gone.
            ("a", Some(false), &["b", "gone"]),
            ("b", Some(false), &["a", "b"]),
            ("damaged", None, &[]),
            ("under", Some(false), &["damaged"]),
        ])
        .await;
        for (role, is) in [
            ("root", Role::Superuser),
            ("ops", Role::Superuser),
            ("ann", Role::Superuser),
            ("a", Role::Plain),
            ("gate", Role::Plain),
            ("nobody", Role::Missing),
            ("damaged", Role::Unreadable),
            ("under", Role::Unreadable),
        ] {
            assert_eq!(roles.role(role).await, is, "{role}");
        }
    }

    #[tokio::test]
    async fn roles_that_are_kept_elsewhere_are_not_missing() {
        let (_stub, roles) = roles(&[]).await;
        assert_eq!(roles.role("root").await, Role::Unreadable);
    }

    #[tokio::test]
    async fn a_closure_without_end_is_taken_for_a_superusers() {
        let (_stub, roles) = on(|asked| {
            let role = value(asked);
            let next = format!("{role}x");
            let columns =
                [("is_superuser", &ColumnType::BOOLEAN), ("member_of", &ColumnType::VARCHAR.set_of())];
            let rows = [vec![Some(vec![0]), Some(collection(&[&next]))]];
            let set = RowSet { keyspace: "system_auth", table: "roles", columns: &columns };
            Does::Say(response::rows(asked.version, asked.stream, &set, &rows, true))
        })
        .await;
        assert_eq!(roles.role("a").await, Role::Superuser);
    }

    #[tokio::test]
    async fn what_may_not_be_read_is_unreadable() {
        let (_stub, roles) = on(|asked| {
            Does::Say(response::error(asked.version, asked.stream, ErrorCode::Unauthorized, "no"))
        })
        .await;
        assert_eq!(roles.role("root").await, Role::Unreadable);
        assert_eq!(roles.identity("spiffe://x").await, FoundIdentity::Unreadable);
        let (_stub, roles) = on(|_| Does::Cut).await;
        assert_eq!(roles.role("root").await, Role::Unreadable);
        let nobody = Roles::new("gate".into(), Arc::default());
        assert_eq!(nobody.role("root").await, Role::Unreadable);
    }

    #[tokio::test]
    async fn silence_and_a_crowd_are_unreadable() {
        let (_stub, silent) = on(|_| Does::Stall).await;
        let (_stub, crowded) = roles(&[("root", Some(false), &[])]).await;
        let _others = crowded.turns.acquire_many(u32::try_from(LOOKUPS).unwrap()).await.unwrap();
        let both = tokio::join!(silent.role("root"), crowded.role("root"));
        assert_eq!(both, (Role::Unreadable, Role::Unreadable));
    }

    #[tokio::test]
    async fn identities() {
        let (_stub, roles) = on(|asked| {
            let row = match value(asked).as_str() {
                "bound" => vec![vec![Some(b"root".to_vec())]],
                "damaged" => vec![vec![None]],
                _ => vec![],
            };
            let columns = [("role", &ColumnType::VARCHAR)];
            let set = RowSet { keyspace: "system_auth", table: "identity_to_role", columns: &columns };
            Does::Say(response::rows(asked.version, asked.stream, &set, &row, true))
        })
        .await;
        assert_eq!(roles.identity("bound").await, FoundIdentity::Bound("root".into()));
        assert_eq!(roles.identity("other").await, FoundIdentity::Unbound);
        assert_eq!(roles.identity("damaged").await, FoundIdentity::Unreadable);
    }
}
