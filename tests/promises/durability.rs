//! A SCIM write that was answered is there, whatever ended the gateway.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use cqlgate_testkit::Cassandra;
use cqlgate_testkit::gateway::{Gateway, Settings};
use cqlgate_testkit::issuer::Issuer;
use cqlgate_testkit::process::Process;
use cqlgate_testkit::pusher::Pusher;
use cqlgate_testkit::scratch::Scratch;
use cqlgate_testkit::{parts, pusher};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// How often the gateway is killed.
const KILLS: usize = 50;
/// Clients that write at once.
const CLIENTS: usize = 4;

/// What one client was told before the gateway was gone.
#[derive(Default)]
struct Told {
    /// Users that were answered with 201.
    users: Vec<String>,
    /// Pairs of them that one request made members of the group; true: it was answered with success. If
    /// not, it may have happened or not, but not by half.
    pairs: Vec<([String; 2], bool)>,
}

async fn gateway() -> (Issuer, Gateway) {
    let node = Cassandra::shared().await;
    let issuer = Issuer::start().await.unwrap();
    let settings = Settings::for_node(env!("CARGO_BIN_EXE_cqlgate"), issuer.url(), node).await;
    let gateway = Gateway::start(settings).await.unwrap();
    (issuer, gateway)
}

fn pusher(gateway: &Gateway) -> Pusher {
    Pusher::new(&gateway.scim_url(), gateway.scim_token()).unwrap()
}

/// Writes until the gateway is gone. Every answer is told to `answers`.
async fn write(pusher: Pusher, group: String, name: String, answers: mpsc::UnboundedSender<()>) -> Told {
    let mut told = Told::default();
    for n in 0.. {
        let mut pair = Vec::new();
        for half in ["a", "b"] {
            let Ok(id) = pusher.create_user(&format!("{name}-{n}{half}"), "x").await else { return told };
            answers.send(()).ok();
            told.users.push(id.clone());
            pair.push(id);
        }
        let members: Vec<Value> = pair.iter().map(|id| json!({"value": id})).collect();
        let add = json!([{"op": "add", "path": "members", "value": members}]);
        let answer = pusher.patch(&format!("/Groups/{group}?attributes=id"), &add).await;
        let joined = answer.and_then(pusher::Answer::success).is_ok();
        told.pairs.push((pair.try_into().unwrap(), joined));
        if !joined {
            return told;
        }
        answers.send(()).ok();
    }
    told
}

#[tokio::test]
async fn no_answered_write_is_lost_by_fifty_kills() {
    let (_issuer, mut gateway) = gateway().await;
    let group = pusher(&gateway).create_group("everybody", &[]).await.unwrap();
    let mut pairs = Vec::new();
    let mut acknowledged = 1;
    for kill in 0..KILLS {
        let (answers, mut answered) = mpsc::unbounded_channel();
        let writers: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let name = format!("k{kill}-c{client}");
                tokio::spawn(write(pusher(&gateway), group.clone(), name, answers.clone()))
            })
            .collect();
        drop(answers);
        // A different moment each time, always in the middle of writing.
        for _ in 0..=kill % 17 {
            answered.recv().await.unwrap();
        }
        gateway.kill().await.unwrap();
        let mut users = Vec::new();
        for writer in writers {
            let told = writer.await.unwrap();
            acknowledged += told.users.len() + told.pairs.iter().filter(|(_, joined)| *joined).count();
            users.extend(told.users);
            pairs.extend(told.pairs);
        }
        gateway.start_again().await.unwrap();

        let pusher = pusher(&gateway);
        for id in &users {
            let user = pusher.get(&format!("/Users/{id}?attributes=id")).await.unwrap();
            assert_eq!(user.status, 200, "kill {kill}: the answered user {id} is lost");
        }
        let body = pusher.get(&format!("/Groups/{group}")).await.unwrap().success().unwrap();
        let members: BTreeSet<&str> = body["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| member["value"].as_str().unwrap())
            .collect();
        // Those of earlier rounds, too: their users are in the group as long as they are there.
        for (pair, joined) in &pairs {
            let are = pair.each_ref().map(|id| members.contains(id.as_str()));
            assert_eq!(are[0], are[1], "kill {kill}: half a write");
            assert!(are[0] || !joined, "kill {kill}: an answered membership of {pair:?} is lost");
        }
    }
    assert!(acknowledged > KILLS, "hardly anything was written: {acknowledged}");
    println!("{KILLS} kills, {acknowledged} answered writes, none lost");
}

/// `strace` on a process, until it is dropped.
struct Trace {
    process: Process,
    scratch: Scratch,
}

impl Trace {
    /// Attaches to all threads of the gateway.
    async fn attach(gateway: &Gateway) -> Self {
        let Some(strace) = parts::on_path("strace") else {
            panic!("strace is missing: apt-get install strace, or the like");
        };
        let scratch = Scratch::new("trace").unwrap();
        let mut command = Command::new(strace);
        command
            .args(["-f", "-y", "-s", "64", "-e", "trace=fsync,fdatasync,write,writev,sendto,sendmsg", "-o"])
            .arg(scratch.path().join("calls"))
            .args(["-p", &gateway.process().pid().to_string()])
            .stdin(Stdio::null());
        let process = Process::spawn("strace", &scratch, Duration::from_secs(1), &command).unwrap();
        process
            .wait_for_line(0, Duration::from_secs(20), "being attached", |line| line.contains("attached"))
            .await
            .unwrap();
        Self { process, scratch }
    }

    async fn calls(mut self) -> Vec<String> {
        self.process.signal("INT").unwrap();
        self.process.ended(Duration::from_secs(10)).await.unwrap();
        let calls = std::fs::read_to_string(self.scratch.path().join("calls")).unwrap();
        self.process.stop().await.unwrap();
        calls.lines().map(ToOwned::to_owned).collect()
    }
}

/// `kill -9` alone would not notice a missing fsync: what was written is in the kernel's memory.
#[tokio::test]
async fn the_log_is_on_the_disk_before_the_answer_is_written() {
    const WRITES: usize = 20;
    let (_issuer, gateway) = gateway().await;
    let pusher = pusher(&gateway);
    let trace = Trace::attach(&gateway).await;
    for n in 0..WRITES {
        pusher.create_user(&format!("user-{n}"), "x").await.unwrap();
    }
    let calls = trace.calls().await;

    let (mut synced, mut answered) = (0, 0);
    // Threads whose sync of the log has begun and not returned.
    let mut syncing = BTreeSet::new();
    for call in &calls {
        let (thread, call) = call.split_once(' ').unwrap();
        let call = call.trim_start();
        let is_sync = call.starts_with("fdatasync(") || call.starts_with("fsync(");
        if is_sync && call.contains("directory.sqlite3-wal") {
            if call.ends_with("= 0") {
                synced += 1;
            } else {
                syncing.insert(thread);
            }
        } else if call.contains("sync resumed>") && syncing.remove(thread) {
            assert!(call.ends_with("= 0"), "{call}");
            synced += 1;
        } else if call.contains("\"HTTP/1.1 201 ") {
            answered += 1;
            assert!(synced >= answered, "answer {answered} was written after {synced} syncs of the log");
        }
    }
    assert_eq!(answered, WRITES, "{}", calls.join("\n"));
    println!("{answered} writes one after the other: {synced} syncs of the log, each before its answer");
}
