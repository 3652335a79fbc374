//! The directory's store in one SQLite file: WAL, `synchronous=FULL`, so that a commit that returned
//! is on the disk.
//!
//! The folder holds `directory.sqlite3` (with its `-wal` and `-shm`) and `directory.lock`, which one
//! gateway at a time holds locked. An operator may read the file with `sqlite3` while the gateway runs.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rpds::HashTrieSetSync;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params};
use time::OffsetDateTime;

use super::DirectoryError;
use super::state::{Group, Id, Namespace, PinKind, PinName, State, User};
use super::store::{Record, Store, StoreError};

/// `PRAGMA application_id`: "CQLG".
const APPLICATION_ID: i64 = 0x4351_4c47;
/// `PRAGMA user_version`: the version of [`SCHEMA`].
const SCHEMA_VERSION: i64 = 1;

/// Instants are milliseconds since 1970 (UTC), names are stored with the form they are compared in.
const SCHEMA: &str = "
CREATE TABLE directory (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO directory VALUES (1, 0);
CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    identity TEXT NOT NULL,
    external_id TEXT,
    user_name TEXT NOT NULL,
    user_name_folded TEXT NOT NULL,
    active INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    UNIQUE (identity, user_name_folded)
) STRICT, WITHOUT ROWID;
CREATE TABLE groups (
    id TEXT NOT NULL PRIMARY KEY,
    identity TEXT NOT NULL,
    external_id TEXT,
    display_name TEXT NOT NULL,
    display_name_folded TEXT NOT NULL,
    attributes TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    UNIQUE (identity, display_name_folded)
) STRICT, WITHOUT ROWID;
CREATE TABLE members (
    group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id);
CREATE TABLE pins (
    identity TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'group')),
    name TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (identity, kind, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE pushes (
    identity TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// The store.
#[derive(Debug)]
pub(super) struct Sqlite {
    connection: Connection,
    identities: Vec<Arc<str>>,
    /// Held locked as long as the store is open; the kernel lets go of it when the process dies.
    _lock: File,
}

impl Sqlite {
    /// Opens the store in `folder`, making both if they are missing. Refuses what is not ours, newer
    /// than this program, damaged, or in use by another gateway.
    pub(super) fn open(folder: &Path, identities: &[String]) -> Result<Self, DirectoryError> {
        let unreadable = |error: io::Error| DirectoryError::Io { path: folder.to_path_buf(), error };
        make_private_folder(folder).map_err(unreadable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("directory.lock"))
            .map_err(unreadable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DirectoryError::InUse(folder.to_path_buf())),
            Err(TryLockError::Error(error)) => return Err(unreadable(error)),
        }
        let path = folder.join("directory.sqlite3");
        let connection = open_file(&path)?;
        let identities = identities.iter().map(|name| Arc::from(name.as_str())).collect();
        Ok(Self { connection, identities, _lock: lock })
    }

    fn seq(connection: &Connection) -> Result<u64, StoreError> {
        let seq: i64 =
            connection.query_row("SELECT seq FROM directory", [], |row| row.get(0)).map_err(store_error)?;
        u64::try_from(seq).map_err(|_| StoreError::Corrupt(format!("the commit number is {seq}")))
    }
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn open_file(path: &Path) -> Result<Connection, DirectoryError> {
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => DirectoryError::Foreign(path.to_path_buf()),
        Some(ErrorCode::DatabaseCorrupt) => {
            DirectoryError::Damaged { path: path.to_path_buf(), detail: error.to_string() }
        }
        _ => DirectoryError::Io { path: path.to_path_buf(), error: io::Error::other(error) },
    };
    make_private_file(path).map_err(|error| DirectoryError::Io { path: path.to_path_buf(), error })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(failed)?;

    let pragma = |connection: &Connection, name: &str| -> Result<i64, rusqlite::Error> {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
    };
    let application = pragma(&connection, "application_id").map_err(failed)?;
    let version = pragma(&connection, "user_version").map_err(failed)?;
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let new = application == 0 && version == 0 && objects == 0;
    if !new && application != APPLICATION_ID {
        return Err(DirectoryError::Foreign(path.to_path_buf()));
    }
    if !new && version != SCHEMA_VERSION {
        return Err(DirectoryError::Version { path: path.to_path_buf(), version });
    }

    let mode: String =
        connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        let error = io::Error::other("SQLite cannot use a write-ahead log here");
        return Err(DirectoryError::Io { path: path.to_path_buf(), error });
    }
    connection
        .execute_batch(
            "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA journal_size_limit=67108864;",
        )
        .map_err(failed)?;
    if new {
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(SCHEMA).map_err(failed)?;
        transaction
            .execute_batch(&format!(
                "PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION};"
            ))
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
        tracing::info!(path = %path.display(), "made a new, empty directory");
    } else {
        let verdict: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
        if verdict != "ok" {
            return Err(DirectoryError::Damaged { path: path.to_path_buf(), detail: verdict });
        }
    }
    Ok(connection)
}

/// People's data: for the gateway's own account only.
fn make_private_file(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map(drop)
}

impl Store for Sqlite {
    fn append(&mut self, after: u64, records: &[Record]) -> Result<u64, StoreError> {
        let expected = i64::try_from(after).map_err(|_| StoreError::Corrupt("too many commits".into()))?;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(store_error)?;
        let moved = transaction
            .execute("UPDATE directory SET seq = ?1 + 1 WHERE seq = ?1", [expected])
            .map_err(store_error)?;
        if moved != 1 {
            let found = Self::seq(&transaction)?;
            return Err(StoreError::Diverged { expected: after, found });
        }
        for record in records {
            write(&transaction, record)?;
        }
        transaction.commit().map_err(store_error)?;
        Ok(after + 1)
    }

    fn load(&mut self) -> Result<State, StoreError> {
        let transaction = self.connection.transaction().map_err(store_error)?;
        let seq = Self::seq(&transaction)?;
        let mut state = State { seq, ..State::default() };
        for identity in &self.identities {
            let namespace = load_namespace(&transaction, identity, seq)?;
            state.namespaces.insert_mut(identity.clone(), namespace);
        }
        load_pins(&transaction, &mut state)?;
        Ok(state)
    }

    fn follow(&mut self, seq: u64) -> Result<Option<State>, StoreError> {
        if Self::seq(&self.connection)? == seq { Ok(None) } else { self.load().map(Some) }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn store_error(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation) => {
            StoreError::Corrupt(error.to_string())
        }
        _ => StoreError::Io(error.to_string()),
    }
}

fn write(transaction: &Transaction<'_>, record: &Record) -> Result<(), StoreError> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        transaction
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map_err(store_error)
    };
    match record {
        Record::PutUser(identity, user) => run(
            "INSERT INTO users VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (id) DO UPDATE SET external_id = excluded.external_id, user_name = excluded.user_name,
             user_name_folded = excluded.user_name_folded, active = excluded.active,
             attributes = excluded.attributes, last_modified = excluded.last_modified",
            params![
                user.id,
                identity,
                user.external_id,
                user.user_name,
                super::fold(&user.user_name),
                user.active,
                json(&user.attributes)?,
                milliseconds(user.created),
                milliseconds(user.last_modified),
            ],
        ),
        Record::DeleteUser(identity, id) => {
            run("DELETE FROM users WHERE identity = ?1 AND id = ?2", params![identity, id])
        }
        Record::PutGroup(identity, group) => run(
            "INSERT INTO groups VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET external_id = excluded.external_id,
             display_name = excluded.display_name, display_name_folded = excluded.display_name_folded,
             attributes = excluded.attributes, last_modified = excluded.last_modified",
            params![
                group.id,
                identity,
                group.external_id,
                group.display_name,
                super::fold(&group.display_name),
                json(&group.attributes)?,
                milliseconds(group.created),
                milliseconds(group.last_modified),
            ],
        ),
        Record::DeleteGroup(identity, id) => {
            run("DELETE FROM groups WHERE identity = ?1 AND id = ?2", params![identity, id])
        }
        Record::AddMember(group, user) => run("INSERT INTO members VALUES (?1, ?2)", params![group, user]),
        Record::RemoveMember(group, user) => {
            run("DELETE FROM members WHERE group_id = ?1 AND user_id = ?2", params![group, user])
        }
        Record::Pin(name, id) => run(
            "INSERT INTO pins VALUES (?1, ?2, ?3, ?4)",
            params![name.identity, kind_name(name.kind), name.name, id],
        ),
        Record::Unpin(name) => run(
            "DELETE FROM pins WHERE identity = ?1 AND kind = ?2 AND name = ?3",
            params![name.identity, kind_name(name.kind), name.name],
        ),
        Record::Pushed(identity, at) => run(
            "INSERT INTO pushes VALUES (?1, ?2) ON CONFLICT (identity) DO UPDATE SET at = excluded.at",
            params![identity, milliseconds(*at)],
        ),
    }
    .map(drop)
}

fn load_namespace(
    transaction: &Transaction<'_>,
    identity: &Arc<str>,
    seq: u64,
) -> Result<Namespace, StoreError> {
    let mut namespace = Namespace::default();
    let mut statement = transaction
        .prepare(
            "SELECT id, external_id, user_name, active, attributes, created, last_modified
             FROM users WHERE identity = ?1",
        )
        .map_err(store_error)?;
    let mut rows = statement.query([identity]).map_err(store_error)?;
    while let Some(row) = rows.next().map_err(store_error)? {
        let user = User {
            id: column(row, 0)?,
            external_id: column(row, 1)?,
            user_name: column(row, 2)?,
            active: column(row, 3)?,
            attributes: attributes(&column::<String>(row, 4)?)?,
            created: instant(column(row, 5)?)?,
            last_modified: instant(column(row, 6)?)?,
            epoch: seq,
        };
        namespace.insert_user(Arc::new(user));
    }

    let mut statement = transaction
        .prepare(
            "SELECT id, external_id, display_name, attributes, created, last_modified
             FROM groups WHERE identity = ?1",
        )
        .map_err(store_error)?;
    let mut members =
        transaction.prepare("SELECT user_id FROM members WHERE group_id = ?1").map_err(store_error)?;
    let mut rows = statement.query([identity]).map_err(store_error)?;
    while let Some(row) = rows.next().map_err(store_error)? {
        let id: Id = column(row, 0)?;
        let mut ids = HashTrieSetSync::new_sync();
        let mut member_rows = members.query([&id]).map_err(store_error)?;
        while let Some(member) = member_rows.next().map_err(store_error)? {
            let member: Id = column(member, 0)?;
            let Some((shared, _)) = namespace.users.get_key_value(&member) else {
                return Err(StoreError::Corrupt(format!(
                    "group {id} has member {member} of another identity"
                )));
            };
            ids.insert_mut(shared.clone());
        }
        let group = Group {
            id,
            external_id: column(row, 1)?,
            display_name: column(row, 2)?,
            members: ids,
            attributes: attributes(&column::<String>(row, 3)?)?,
            created: instant(column(row, 4)?)?,
            last_modified: instant(column(row, 5)?)?,
        };
        namespace.insert_group(Arc::new(group));
    }

    let mut statement =
        transaction.prepare("SELECT at FROM pushes WHERE identity = ?1").map_err(store_error)?;
    let mut rows = statement.query([identity]).map_err(store_error)?;
    if let Some(row) = rows.next().map_err(store_error)? {
        namespace.last_push = Some(instant(column(row, 0)?)?);
    }
    Ok(namespace)
}

/// All pins, also those of identities that are not configured now: they must not be won by somebody else
/// when the identity comes back.
fn load_pins(transaction: &Transaction<'_>, state: &mut State) -> Result<(), StoreError> {
    let mut statement =
        transaction.prepare("SELECT identity, kind, name, id FROM pins").map_err(store_error)?;
    let mut rows = statement.query([]).map_err(store_error)?;
    while let Some(row) = rows.next().map_err(store_error)? {
        let kind = match column::<String>(row, 1)?.as_str() {
            "user" => PinKind::User,
            "group" => PinKind::Group,
            other => return Err(StoreError::Corrupt(format!("a pin of kind {other:?}"))),
        };
        let name = PinName { identity: column(row, 0)?, kind, name: column(row, 2)? };
        state.pins.insert_mut(name, column(row, 3)?);
    }
    Ok(())
}

fn column<T: rusqlite::types::FromSql>(row: &rusqlite::Row<'_>, index: usize) -> Result<T, StoreError> {
    row.get(index).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn kind_name(kind: PinKind) -> &'static str {
    match kind {
        PinKind::User => "user",
        PinKind::Group => "group",
    }
}

type Attributes = serde_json::Map<String, serde_json::Value>;

fn json(attributes: &Attributes) -> Result<String, StoreError> {
    serde_json::to_string(attributes).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn attributes(text: &str) -> Result<Arc<Attributes>, StoreError> {
    serde_json::from_str(text).map(Arc::new).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn milliseconds(at: OffsetDateTime) -> i64 {
    at.unix_timestamp() * 1000 + i64::from(at.millisecond())
}

fn instant(milliseconds: i64) -> Result<OffsetDateTime, StoreError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000)
        .map_err(|_| StoreError::Corrupt(format!("the instant {milliseconds}")))
}
