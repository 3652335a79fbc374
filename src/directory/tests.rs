//! The directory as its users see it: writes, pins, epochs, what subscribers hear, and a store that fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use time::OffsetDateTime;

use super::store::{Record, StoreError};
use super::*;

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("cqlgate-directory-{}", uuid::Uuid::new_v4())))
    }

    fn open(&self) -> Directory {
        Directory::open(&self.0, &["acme".into(), "beta".into()]).unwrap()
    }

    /// Opens it again once the writer of the last handle has let go of it.
    fn open_again(&self) -> Directory {
        loop {
            match Directory::open(&self.0, &["acme".into(), "beta".into()]) {
                Ok(directory) => return directory,
                Err(DirectoryError::InUse(_)) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn acme() -> Arc<str> {
    "acme".into()
}

fn user(id: &str, name: &str) -> User {
    User {
        id: id.into(),
        external_id: Some(format!("ext-{id}").into()),
        user_name: name.into(),
        active: true,
        attributes: Arc::new(json!({"name": {"givenName": name}}).as_object().unwrap().clone()),
        created: OffsetDateTime::UNIX_EPOCH,
        last_modified: OffsetDateTime::UNIX_EPOCH,
        epoch: 0,
    }
}

fn group(id: &str, name: &str) -> Group {
    Group {
        id: id.into(),
        external_id: None,
        display_name: name.into(),
        members: rpds::HashTrieSetSync::new_sync(),
        attributes: Arc::default(),
        created: OffsetDateTime::UNIX_EPOCH,
        last_modified: OffsetDateTime::UNIX_EPOCH,
    }
}

fn ids(ids: &[&str]) -> Vec<Id> {
    ids.iter().map(|id| Id::from(*id)).collect()
}

async fn put_user(directory: &Directory, user: User) -> Result<Written<bool>, WriteError<Conflict>> {
    directory.write(move |draft| draft.put_user(&acme(), user.clone())).await
}

async fn put_group(
    directory: &Directory,
    group: Group,
    added: &[&str],
    removed: &[&str],
) -> Result<Written<bool>, WriteError<Conflict>> {
    let change = MemberChange { added: ids(added), removed: ids(removed) };
    directory.write(move |draft| draft.put_group(&acme(), group.clone(), &change)).await
}

/// Notes the people of each change.
#[derive(Default)]
struct Listener(Mutex<Vec<Vec<Id>>>);

impl Listener {
    fn take(&self) -> Vec<Vec<Id>> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Subscriber for Listener {
    fn published(&self, change: Change) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        assert!(change.new.seq > change.old.seq);
        self.0.lock().unwrap().push(change.people.into_iter().map(|(_, id)| id).collect());
        Box::pin(async {})
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let folder = Folder::new();
    let directory = folder.open();
    put_user(&directory, user("1", "alice")).await.unwrap();
    put_user(&directory, user("2", "bob")).await.unwrap();
    put_group(&directory, group("g", "team"), &["1", "2"], &[]).await.unwrap();
    put_group(&directory, group("g", "team"), &[], &["2"]).await.unwrap();
    let before = directory.snapshot();
    drop(directory);

    let directory = folder.open_again();
    let after = directory.snapshot();
    assert_eq!(after.seq, before.seq);
    let (was, is) = (before.namespace("acme").unwrap(), after.namespace("acme").unwrap());
    assert_eq!(is.users.get("1").unwrap().attributes, was.users.get("1").unwrap().attributes);
    assert_eq!(is.users.get("1").unwrap().last_modified, was.users.get("1").unwrap().last_modified);
    assert_eq!(is.groups.get("g").unwrap().members.iter().map(|id| &**id).collect::<Vec<_>>(), ["1"]);
    assert!(is.groups_of.get("1").unwrap().contains("g") && !is.groups_of.contains_key("2"));
    assert_eq!(is.active_users, 2);
    assert_eq!(is.last_push, was.last_push);
    assert_eq!(is.users_by_external_id.get("ext-1").unwrap().size(), 1);
}

#[tokio::test]
async fn names_are_unique_without_case_in_a_namespace_only() {
    let folder = Folder::new();
    let directory = folder.open();
    put_user(&directory, user("1", "Alice")).await.unwrap();
    let taken = put_user(&directory, user("2", "aLICE")).await;
    assert!(matches!(taken, Err(WriteError::Refused(Conflict::UserNameTaken))));
    directory.write(|draft| draft.put_user(&"beta".into(), user("3", "alice"))).await.unwrap();
    put_user(&directory, user("1", "alice")).await.unwrap();

    put_group(&directory, group("g", "Team"), &[], &[]).await.unwrap();
    let taken = put_group(&directory, group("h", "team"), &[], &[]).await;
    assert!(matches!(taken, Err(WriteError::Refused(Conflict::DisplayNameTaken))));
    let stranger = put_group(&directory, group("i", "other"), &["3"], &[]).await;
    assert!(
        matches!(stranger, Err(WriteError::Refused(Conflict::UnknownMember(_)))),
        "a user of another provider is nobody here"
    );
    let unknown = directory.write(|draft| draft.put_user(&"gamma".into(), user("4", "x"))).await;
    assert!(matches!(unknown, Err(WriteError::Refused(Conflict::UnknownIdentity))));
}

#[tokio::test]
async fn an_epoch_moves_with_the_rights_of_its_user_only() {
    let folder = Folder::new();
    let directory = folder.open();
    let heard = Arc::new(Listener::default());
    for (id, name) in [("1", "alice"), ("2", "bob"), ("3", "carol")] {
        put_user(&directory, user(id, name)).await.unwrap();
    }
    put_group(&directory, group("g", "team"), &["1", "2"], &[]).await.unwrap();
    directory.subscribe(heard.clone());
    let epoch = |id: &str| directory.snapshot().user("acme", id).unwrap().epoch;
    let at = |id: &str| (epoch(id), directory.snapshot().seq);

    let before = epoch("1");
    put_group(&directory, group("g", "team"), &[], &["2"]).await.unwrap();
    assert_eq!(epoch("1"), before, "Bob's removal is nothing to Alice");
    assert_eq!(at("2").0, at("2").1);
    assert_eq!(heard.take(), [ids(&["2"])]);

    put_group(&directory, group("g", "renamed"), &["3"], &[]).await.unwrap();
    assert_eq!(heard.take(), [ids(&["1", "3"])], "a rename moves every member");

    let mut silent = group("g", "renamed");
    silent.external_id = Some("x".into());
    put_group(&directory, silent, &[], &[]).await.unwrap();
    assert_eq!(heard.take(), Vec::<Vec<Id>>::new(), "nobody's rights hang on a group's externalId");

    let mut off = user("2", "bob");
    off.active = false;
    put_user(&directory, off).await.unwrap();
    assert_eq!(heard.take(), [ids(&["2"])]);

    directory.write(|draft| draft.delete_user(&acme(), "3")).await.unwrap();
    assert_eq!(heard.take(), [ids(&["3"])], "who is gone is told, too");
    directory.write(|draft| draft.delete_group(&acme(), "g")).await.unwrap();
    assert_eq!(heard.take(), [ids(&["1"])]);
    assert_eq!(at("1").0, at("1").1);
}

#[tokio::test]
async fn a_write_that_changes_nothing_makes_no_commit() {
    let folder = Folder::new();
    let directory = folder.open();
    put_user(&directory, user("1", "alice")).await.unwrap();
    put_group(&directory, group("g", "team"), &["1"], &[]).await.unwrap();
    let before = directory.snapshot();
    assert!(!put_user(&directory, user("1", "alice")).await.unwrap().value);
    assert!(!put_group(&directory, group("g", "team"), &["1"], &["2"]).await.unwrap().value);
    assert!(!directory.write(|draft| draft.delete_user(&acme(), "9")).await.unwrap().value);
    assert_eq!(directory.snapshot().seq, before.seq);
}

#[tokio::test]
async fn who_leaves_and_joins_at_once_stays() {
    let folder = Folder::new();
    let directory = folder.open();
    put_user(&directory, user("1", "alice")).await.unwrap();
    put_group(&directory, group("g", "team"), &["1"], &[]).await.unwrap();
    assert!(!put_group(&directory, group("g", "team"), &["1"], &["1"]).await.unwrap().value);
    assert!(directory.snapshot().namespace("acme").unwrap().groups.get("g").unwrap().members.contains("1"));
}

#[tokio::test]
async fn the_first_to_have_a_name_of_a_policy_keeps_it() {
    let folder = Folder::new();
    let directory = folder.open();
    let name = |kind, name: &str| PinName { identity: acme(), kind, name: name.into() };
    let (dba, alice) = (name(PinKind::Group, "dba"), name(PinKind::User, "alice"));
    put_user(&directory, user("1", "alice")).await.unwrap();
    put_group(&directory, group("caps", "DBA"), &["1"], &[]).await.unwrap();
    let heard = Arc::new(Listener::default());
    directory.subscribe(heard.clone());
    directory.watch_names(vec![dba.clone(), alice.clone()]).await.unwrap();
    assert_eq!(heard.take(), [ids(&["1"])], "a new pin may give rights");
    let pinned = |pin: &PinName| directory.snapshot().pins.get(pin).map(ToString::to_string);
    assert_eq!(pinned(&alice).as_deref(), Some("1"));
    assert_eq!(pinned(&dba), None, "names are exact to the byte");

    directory.write(|draft| draft.delete_group(&acme(), "caps")).await.unwrap();
    put_group(&directory, group("g", "dba"), &["1"], &[]).await.unwrap();
    assert_eq!(pinned(&dba).as_deref(), Some("g"));
    put_group(&directory, group("g", "renamed"), &[], &[]).await.unwrap();
    put_group(&directory, group("h", "dba"), &["1"], &[]).await.unwrap();
    assert_eq!(pinned(&dba).as_deref(), Some("g"), "the second of that name gets nothing");
    directory.write(|draft| draft.delete_group(&acme(), "g")).await.unwrap();
    assert_eq!(pinned(&dba).as_deref(), Some("g"), "not even when the first is gone");

    drop(directory);
    let directory = folder.open_again();
    let pinned = |pin: &PinName| directory.snapshot().pins.get(pin).map(ToString::to_string);
    assert_eq!(pinned(&dba).as_deref(), Some("g"), "nor after a restart");
    directory.watch_names(vec![alice.clone()]).await.unwrap();
    assert_eq!(pinned(&dba), None, "no policy uses it: forgotten");
    directory.watch_names(vec![alice, dba.clone()]).await.unwrap();
    assert_eq!(pinned(&dba).as_deref(), Some("h"));
}

#[tokio::test]
async fn a_pin_is_taken_by_whoever_comes_first_within_one_commit() {
    let folder = Folder::new();
    let directory = folder.open();
    let dba = PinName { identity: acme(), kind: PinKind::Group, name: "dba".into() };
    directory.watch_names(vec![dba.clone()]).await.unwrap();
    directory
        .write(|draft| {
            draft.put_group(&acme(), group("a", "dba"), &MemberChange::default())?;
            draft.delete_group(&acme(), "a")?;
            draft.put_group(&acme(), group("b", "dba"), &MemberChange::default())
        })
        .await
        .unwrap();
    assert_eq!(directory.snapshot().pins.get(&dba).map(|id| &**id), Some("a"));
}

/// Acknowledges when told to.
struct Slow(tokio::sync::watch::Receiver<bool>, mpsc::UnboundedSender<u64>);

impl Subscriber for Slow {
    fn published(&self, change: Change) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut go = self.0.clone();
        self.1.send(change.new.seq).unwrap();
        Box::pin(async move {
            go.wait_for(|go| *go).await.unwrap();
        })
    }
}

#[tokio::test]
async fn no_write_is_answered_before_the_sessions_acknowledged() {
    let folder = Folder::new();
    let directory = folder.open();
    let (go, gate) = tokio::sync::watch::channel(false);
    let (told, mut tellings) = mpsc::unbounded_channel();
    directory.subscribe(Arc::new(Slow(gate, told)));

    let first = tokio::spawn({
        let directory = directory.clone();
        async move { put_user(&directory, user("1", "alice")).await }
    });
    let seq = tellings.recv().await.unwrap();
    assert_eq!(directory.snapshot().seq, seq, "it is published before it is acknowledged");
    // The same write again changes nothing, yet its answer would say that the first is enforced.
    let again = tokio::spawn({
        let directory = directory.clone();
        async move { put_user(&directory, user("1", "alice")).await }
    });
    // Another write is committed while the first still waits.
    let other = tokio::spawn({
        let directory = directory.clone();
        async move { put_user(&directory, user("2", "bob")).await }
    });
    tellings.recv().await.unwrap();
    assert!(!first.is_finished() && !again.is_finished() && !other.is_finished());
    go.send(true).unwrap();
    assert!(first.await.unwrap().unwrap().value);
    assert!(!again.await.unwrap().unwrap().value);
    assert!(other.await.unwrap().unwrap().value);
}

#[tokio::test]
async fn a_write_that_panics_and_a_subscriber_that_panics_end_nothing() {
    struct Panics;
    impl Subscriber for Panics {
        fn published(&self, _: Change) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            panic!("subscriber")
        }
    }
    let folder = Folder::new();
    let directory = folder.open();
    let failed = directory.write(|_| -> Result<(), Conflict> { panic!("evaluation") }).await;
    assert!(matches!(failed, Err(WriteError::Failed)));
    put_user(&directory, user("1", "alice")).await.unwrap();
    directory.subscribe(Arc::new(Panics));
    let unenforced = put_user(&directory, user("2", "bob")).await;
    assert!(matches!(unenforced, Err(WriteError::Unavailable(_))), "no success that is not enforced");
    put_group(&directory, group("g", "empty"), &[], &[]).await.unwrap();
}

/// A store in memory that fails when it is told to, or when a record names the user "poison"; it can
/// also report a failure after the records are safe.
#[derive(Clone, Default)]
struct Faulty {
    commits: Arc<Mutex<(u64, Vec<usize>)>>,
    state: Arc<Mutex<State>>,
    full: Arc<AtomicBool>,
    lies: Arc<AtomicBool>,
}

impl Store for Faulty {
    fn append(&mut self, after: u64, records: &[Record]) -> Result<u64, StoreError> {
        let poisoned =
            records.iter().any(|r| matches!(r, Record::PutUser(_, user) if &*user.user_name == "poison"));
        if poisoned || self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Io("disk full".into()));
        }
        let mut commits = self.commits.lock().unwrap();
        assert_eq!(commits.0, after);
        commits.0 = after + 1;
        commits.1.push(records.len());
        let mut state = self.state.lock().unwrap();
        state.seq = after + 1;
        for record in records {
            if let Record::PutUser(identity, user) = record {
                state.namespaces.get_mut(identity).unwrap().insert_user(user.clone());
            }
        }
        if self.lies.swap(false, Ordering::SeqCst) {
            return Err(StoreError::Io("fsync failed".into()));
        }
        Ok(after + 1)
    }

    fn load(&mut self) -> Result<State, StoreError> {
        let mut state = self.state.lock().unwrap();
        if state.namespaces.is_empty() {
            state.namespaces.insert_mut(acme(), Namespace::default());
        }
        Ok(state.clone())
    }

    fn follow(&mut self, seq: u64) -> Result<Option<State>, StoreError> {
        let state = self.state.lock().unwrap();
        Ok((state.seq != seq).then(|| state.clone()))
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_keeps_the_state() {
    let store = Faulty::default();
    let directory = Directory::with_store(store.clone()).unwrap();
    put_user(&directory, user("1", "alice")).await.unwrap();
    let before = directory.snapshot();
    store.full.store(true, Ordering::SeqCst);
    let refused = put_user(&directory, user("2", "bob")).await;
    assert!(matches!(refused, Err(WriteError::Unavailable(reason)) if reason.contains("disk full")));
    assert!(Arc::ptr_eq(&before, &directory.snapshot()));
    assert!(directory.degraded().is_some());
    store.full.store(false, Ordering::SeqCst);
    put_user(&directory, user("2", "bob")).await.unwrap();
    assert!(directory.degraded().is_none());
}

#[tokio::test]
async fn a_commit_that_landed_although_it_was_reported_as_failed_is_adopted() {
    let store = Faulty::default();
    let directory = Directory::with_store(store.clone()).unwrap();
    store.lies.store(true, Ordering::SeqCst);
    let refused = put_user(&directory, user("1", "alice")).await;
    assert!(matches!(refused, Err(WriteError::Unavailable(_))), "never a success that is not certain");
    let heard = Arc::new(Listener::default());
    directory.subscribe(heard.clone());
    let again = put_user(&directory, user("1", "alice")).await.unwrap();
    assert!(!again.value, "it is there already");
    assert_eq!(heard.take(), [ids(&["1"])]);
    assert_eq!(directory.snapshot().seq, 1);
}

#[tokio::test]
async fn writes_that_wait_are_committed_together_and_one_that_fails_spoils_no_other() {
    let store = Faulty::default();
    let directory = Directory::with_store(store.clone()).unwrap();
    // The first write holds the writer until the others are in the queue.
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let first = tokio::spawn({
        let directory = directory.clone();
        async move {
            directory
                .write(move |draft| {
                    gate.lock().unwrap().recv().ok();
                    draft.put_user(&acme(), user("0", "first"))
                })
                .await
        }
    });
    let names = ["alice", "ALICE", "poison", "bob", "carol"];
    let mut others = Vec::new();
    for (n, name) in names.into_iter().enumerate() {
        let (directory, id) = (directory.clone(), format!("{}", n + 1));
        others.push(tokio::spawn(async move { put_user(&directory, user(&id, name)).await }));
    }
    while directory.queue.capacity() > limits::SCIM_QUEUE - names.len() {
        tokio::task::yield_now().await;
    }
    drop(open);
    first.await.unwrap().unwrap();
    let mut outcomes = Vec::new();
    for other in others {
        outcomes.push(other.await.unwrap().map(|written| written.value));
    }
    assert!(matches!(
        outcomes.as_slice(),
        [
            Ok(true),
            Err(WriteError::Refused(Conflict::UserNameTaken)),
            Err(WriteError::Unavailable(_)),
            Ok(true),
            Ok(true)
        ]
    ));
    assert_eq!(directory.snapshot().namespace("acme").unwrap().users.size(), 4);
    assert_eq!(directory.snapshot().seq, store.commits.lock().unwrap().0);
}

#[tokio::test]
async fn what_is_not_ours_is_refused_at_start() {
    let open = |folder: &Folder| Directory::open(&folder.0, &["acme".into()]);
    let file = |folder: &Folder| folder.0.join("directory.sqlite3");

    let folder = Folder::new();
    let _held = folder.open();
    assert!(matches!(open(&folder), Err(DirectoryError::InUse(_))));

    let folder = Folder::new();
    std::fs::create_dir(&folder.0).unwrap();
    std::fs::write(file(&folder), "this is no database, but it is long enough to have a header..........")
        .unwrap();
    assert!(matches!(open(&folder), Err(DirectoryError::Foreign(_))));

    let folder = Folder::new();
    std::fs::create_dir(&folder.0).unwrap();
    let foreign = rusqlite::Connection::open(file(&folder)).unwrap();
    foreign.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(foreign);
    assert!(matches!(open(&folder), Err(DirectoryError::Foreign(_))));

    let folder = Folder::new();
    drop(folder.open());
    drop(folder.open_again());
    let newer = rusqlite::Connection::open(file(&folder)).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(newer);
    let error = loop {
        match open(&folder) {
            Err(DirectoryError::InUse(_)) => std::thread::yield_now(),
            other => break other.unwrap_err(),
        }
    };
    assert!(matches!(error, DirectoryError::Version { version: 99, .. }));

    let folder = Folder::new();
    let directory = folder.open();
    for n in 0..200 {
        put_user(&directory, user(&n.to_string(), &format!("user-{n}"))).await.unwrap();
    }
    drop(directory);
    drop(folder.open_again());
    let mut bytes = loop {
        // The last handle's writer folds the log into the file when it ends.
        match open(&folder) {
            Err(DirectoryError::InUse(_)) => std::thread::yield_now(),
            _ => break std::fs::read(file(&folder)).unwrap(),
        }
    };
    let length = bytes.len();
    bytes[4096..length / 2].fill(0xa5);
    let folder = Folder::new();
    std::fs::create_dir(&folder.0).unwrap();
    std::fs::write(file(&folder), bytes).unwrap();
    assert!(matches!(open(&folder), Err(DirectoryError::Damaged { .. })));

    let missing = Folder::new();
    assert!(matches!(
        Directory::open(&missing.0.join("parent"), &["acme".into()]),
        Err(DirectoryError::Io { .. })
    ));
}

#[tokio::test]
async fn the_files_are_for_the_gateways_account_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let directory = folder.open();
    put_user(&directory, user("1", "alice")).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.0), 0o700);
    assert_eq!(mode(&folder.0.join("directory.sqlite3")), 0o600);
    assert_eq!(mode(&folder.0.join("directory.sqlite3-wal")), 0o600);
}
