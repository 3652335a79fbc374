use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::config::limits::{
    AUDIT_NAME, AUDIT_QUEUE, AUDIT_QUEUE_TEXT, AUDIT_RESOURCES, AUDIT_TEXT, RECENT_REFUSALS,
};

/// A folder that is gone with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("cqlgate-audit-{}", reference()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("audit.jsonl")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn start(file: &Path) -> (Audit, AuditGuard, Arc<Metrics>) {
    let metrics = Metrics::new();
    let config = model::Audit { file: file.to_owned(), data: AuditData::Count };
    let (audit, guard) = Audit::start(&config, Arc::clone(&metrics)).unwrap();
    (audit, guard, metrics)
}

fn statement(text: &str) -> Event {
    Event { statement: Some("SELECT"), text: Some(text.into()), ..Event::new(Kind::Data, Verdict::Permitted) }
}

fn lines(file: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[tokio::test]
async fn a_line_says_who_did_what_and_leaves_out_what_is_not_known() {
    let folder = Folder::new();
    let (audit, guard, _) = start(&folder.file());
    let who = Who {
        kind: "person",
        identity: "acme".into(),
        scim_id: Some("7f".into()),
        name: "bob".into(),
        issuer: "https://login.acme.example".into(),
        subject: "b-1".into(),
        token_id: "jti-1".into(),
    };
    let event = Event {
        cluster: Some("main".into()),
        session: Some(7),
        client: Some("127.0.0.1:5000".parse().unwrap()),
        who: Some(Arc::new(who)),
        resources: vec!["MODIFY <table k.t>".into()],
        reason: Some("no grant".into()),
        reference: Some("AAAA1111".into()),
        statement: Some("INSERT"),
        text: Some("INSERT INTO k.t (a) VALUES (1)".into()),
        ..Event::new(Kind::Data, Verdict::Refused)
    };
    audit.record(event).await;
    audit.flush().await;
    let written = lines(&folder.file());
    let line = written[0].as_object().unwrap();
    assert_eq!(line["event"], "data");
    assert_eq!(line["verdict"], "refused");
    assert_eq!(line["who"]["name"], "bob");
    assert_eq!(line["text"], "INSERT INTO k.t (a) VALUES (1)");
    assert_eq!(line["client"], "127.0.0.1:5000");
    assert!(!line.contains_key("rule") && !line.contains_key("text_cut"));
    let time = line["time"].as_str().unwrap();
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
    assert!(line["id"].as_str().unwrap().ends_with("-1"));
    let refused = audit.recent_refusals();
    assert_eq!((refused[0].name.as_str(), refused[0].reference.as_str()), ("bob", "AAAA1111"));
    assert_eq!(refused[0].what, "INSERT INTO k.t (a) VALUES (1)");
    drop(guard);
}

#[tokio::test]
async fn the_file_is_its_owners_alone_and_is_appended_to() {
    let folder = Folder::new();
    for text in ["one", "two"] {
        let (audit, guard, _) = start(&folder.file());
        audit.record(statement(text)).await;
        drop(guard);
    }
    assert_eq!(lines(&folder.file()).len(), 2);
    let mode = std::fs::metadata(folder.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn half_a_line_of_a_machine_that_died_stays_alone() {
    let folder = Folder::new();
    std::fs::write(folder.file(), "{\"time\":\"2026").unwrap();
    let (audit, guard, _) = start(&folder.file());
    audit.record(statement("one")).await;
    drop(guard);
    let text = std::fs::read_to_string(folder.file()).unwrap();
    let second: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second["text"], "one");
}

#[test]
fn a_file_that_cannot_be_made_is_an_error_that_names_it() {
    let config = model::Audit { file: "/nowhere/at/all/audit.jsonl".into(), data: AuditData::Count };
    let error = Audit::start(&config, Metrics::new()).unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all/audit.jsonl"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_each_session_is_kept_and_nothing_is_lost() {
    let folder = Folder::new();
    let (audit, guard, _) = start(&folder.file());
    let per_session = AUDIT_QUEUE;
    let sessions: Vec<_> = (0..4u64)
        .map(|session| {
            let audit = audit.clone();
            tokio::spawn(async move {
                for n in 0..per_session {
                    let event = Event { session: Some(session), ..statement(&n.to_string()) };
                    audit.record(event).await;
                }
            })
        })
        .collect();
    for session in sessions {
        session.await.unwrap();
    }
    audit.flush().await;
    let written = lines(&folder.file());
    assert_eq!(written.len(), 4 * per_session);
    let mut next = [0; 4];
    for line in written {
        let session = usize::try_from(line["session"].as_u64().unwrap()).unwrap();
        assert_eq!(line["text"], next[session].to_string());
        next[session] += 1;
    }
    drop(guard);
}

#[tokio::test]
async fn a_moved_file_is_left_alone_after_reopen() {
    let folder = Folder::new();
    let (audit, guard, _) = start(&folder.file());
    audit.record(statement("before")).await;
    audit.flush().await;
    let moved = folder.0.join("audit.jsonl.1");
    std::fs::rename(folder.file(), &moved).unwrap();
    audit.reopen();
    audit.record(statement("after")).await;
    audit.flush().await;
    assert_eq!(lines(&moved).len(), 1);
    assert_eq!(lines(&folder.file())[0]["text"], "after");
    drop(guard);
}

#[tokio::test]
async fn no_password_and_no_endless_text_is_written() {
    let folder = Folder::new();
    let (audit, guard, _) = start(&folder.file());
    let role = |verdict| Event {
        statement: Some("ALTER_ROLE"),
        text: Some("ALTER ROLE a WITH PASSWORD = 's3cret'".into()),
        ..Event::new(Kind::Other, verdict)
    };
    audit.record(role(Verdict::Permitted)).await;
    audit.record(role(Verdict::Refused)).await;
    let broken = Event { statement: None, ..role(Verdict::Refused) };
    audit.record(broken).await;
    audit.record(statement(&"é".repeat(AUDIT_TEXT))).await;
    audit.flush().await;
    let text = std::fs::read_to_string(folder.file()).unwrap();
    assert!(!text.contains("s3cret"), "{text}");
    assert!(audit.recent_refusals().iter().all(|r| !r.what.contains("s3cret")));
    let long = &lines(&folder.file())[3];
    assert_eq!(long["text"].as_str().unwrap().len(), AUDIT_TEXT);
    assert_eq!(long["text_cut"], true);
    drop(guard);
}

#[tokio::test]
async fn names_that_others_choose_have_an_end() {
    let folder = Folder::new();
    let (audit, guard, _) = start(&folder.file());
    let long = "é".repeat(100_000);
    let event = Event {
        driver: Some(long.as_str().into()),
        keyspace: Some(long.as_str().into()),
        reason: Some(long.clone()),
        resources: vec![long.clone(); 3 * AUDIT_RESOURCES],
        who: Some(Arc::new(Who {
            kind: "person",
            identity: "acme".into(),
            scim_id: Some("7f".into()),
            name: long.as_str().into(),
            issuer: "https://login.acme.example".into(),
            subject: long.as_str().into(),
            token_id: long.as_str().into(),
        })),
        ..Event::new(Kind::Data, Verdict::Refused)
    };
    audit.record(event).await;
    audit.flush().await;
    let line = &lines(&folder.file())[0];
    let name = line["who"]["name"].as_str().unwrap();
    assert!(name.ends_with('…') && name.len() <= AUDIT_NAME + '…'.len_utf8());
    assert_eq!(line["driver"], line["who"]["name"]);
    let resources = line["resources"].as_array().unwrap();
    assert_eq!(resources.len(), AUDIT_RESOURCES + 1);
    assert_eq!(resources[AUDIT_RESOURCES], "and 200 more");
    assert!(std::fs::metadata(folder.file()).unwrap().len() < 256 * 1024);
    assert!(audit.recent_refusals()[0].reason.len() < 2 * AUDIT_NAME);
    drop(guard);
}

#[tokio::test]
async fn a_line_stays_one_line_whatever_the_text_holds() {
    let folder = Folder::new();
    let (audit, guard, _) = start(&folder.file());
    let hostile = "a\n{\"event\":\"login\"}\r\u{1b}[2J\u{9b}2J\u{2028}\u{202e}evil\u{7f}\"\\\u{e0041}";
    audit.record(statement(hostile)).await;
    audit.flush().await;
    let raw = std::fs::read_to_string(folder.file()).unwrap();
    assert_eq!(raw.lines().count(), 1);
    assert!(raw.trim_end().chars().all(|c| !text::is_treacherous(c)), "{raw:?}");
    assert_eq!(lines(&folder.file())[0]["text"], hostile);
    drop(guard);
}

#[tokio::test]
async fn the_latest_refusals_are_bounded_and_newest_first() {
    let folder = Folder::new();
    let (audit, guard, _) = start(&folder.file());
    for n in 0..RECENT_REFUSALS + 5 {
        let event = Event { verdict: Verdict::Refused, ..statement(&n.to_string()) };
        audit.record(event).await;
    }
    audit.flush().await;
    let recent = audit.recent_refusals();
    assert_eq!(recent.len(), RECENT_REFUSALS);
    assert_eq!(recent[0].what, (RECENT_REFUSALS + 4).to_string());
    drop(guard);
}

#[test]
fn references_are_short_and_differ() {
    let all: std::collections::BTreeSet<_> = (0..1000).map(|_| reference()).collect();
    assert_eq!(all.len(), 1000);
    assert!(all.iter().all(|r| r.len() == 8 && r.bytes().all(|b| b.is_ascii_alphanumeric())));
}

/// A pipe whose reader does not read: the one file that is sure to block and to recover.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_gives_the_event_back_and_record_waits_for_room() {
    let folder = Folder::new();
    let fifo = folder.file();
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // Read and write, so that opening waits for nobody.
    let reader = std::fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let (audit, guard, metrics) = start(&fifo);
    let mut recorded = 0u64;
    // The pipe takes 64 KiB, the writer holds one queue's worth, the queue another.
    let refused = loop {
        match audit.try_record(statement(&format!("{recorded} {}", "x".repeat(400)))) {
            Ok(()) => recorded += 1,
            Err(event) if audit.queued() == AUDIT_QUEUE && recorded > AUDIT_QUEUE as u64 => break event,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert!(refused.text.as_ref().unwrap().starts_with(&recorded.to_string()));
    let mut waiting = tokio::spawn({
        let audit = audit.clone();
        async move { audit.record(*refused).await }
    });
    let early = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(early.is_err(), "it waits as long as nobody makes room");
    assert_eq!(metrics.audit_waits.get(), 1);

    let all = recorded + 1;
    let read = std::thread::spawn(move || {
        use std::io::BufRead;
        let lines = std::io::BufReader::new(reader).lines();
        lines.take(usize::try_from(all).unwrap()).map(Result::unwrap).collect::<Vec<_>>()
    });
    waiting.await.unwrap();
    audit.flush().await;
    for (n, line) in read.join().unwrap().iter().enumerate() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["text"].as_str().unwrap().starts_with(&format!("{n} ")));
    }
    drop(guard);
}

#[test]
fn waiting_texts_are_bounded_in_bytes() {
    let queue = Queue::new(prometheus_client::metrics::gauge::Gauge::default());
    let long: Arc<str> = "x".repeat(1024 * 1024).into();
    let event = || Event { text: Some(Arc::clone(&long)), ..statement("") };
    for _ in 0..AUDIT_QUEUE_TEXT / long.len() {
        queue.try_push(event()).unwrap();
    }
    assert!(queue.try_push(event()).is_err());
    queue.try_push(statement("")).unwrap();
}

#[tokio::test]
async fn a_write_error_is_counted_and_the_lines_come_when_it_is_over() {
    let folder = Folder::new();
    // The device that is always full: every write fails with ENOSPC.
    std::os::unix::fs::symlink("/dev/full", folder.file()).unwrap();
    let (audit, guard, metrics) = start(&folder.file());
    audit.record(statement("one")).await;
    while metrics.audit_write_errors.get() == 0 {
        tokio::task::yield_now().await;
    }
    audit.record(statement("two")).await;
    assert!(audit.trouble().is_some());
    std::fs::remove_file(folder.file()).unwrap();
    audit.reopen();
    audit.flush().await;
    let texts: Vec<_> = lines(&folder.file()).iter().map(|l| l["text"].clone()).collect();
    assert_eq!(texts, ["one", "two"]);
    assert!(audit.trouble().is_none());
    drop(guard);
}

#[tokio::test]
async fn after_the_end_nothing_is_taken_and_nobody_waits_for_a_flush() {
    let folder = Folder::new();
    let (audit, guard, _) = start(&folder.file());
    audit.record(statement("one")).await;
    drop(guard);
    assert!(audit.try_record(statement("two")).is_err());
    audit.flush().await;
    assert_eq!(lines(&folder.file()).len(), 1);
}
