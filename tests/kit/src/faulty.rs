//! A relay in front of a node that does wrong what it is told to do wrong.
//!
//! It reads envelopes in both directions and asks a plan what becomes of each: so a fault happens at a
//! chosen point, not at a chosen time. Without a plan it forwards everything.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::cql::Envelope;
use crate::trouble::{During, Result, Trouble};

/// Which way an envelope goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the node.
    Request,
    /// From the node.
    Response,
}

/// An envelope that passes.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The connection, counted from 0.
    pub connection: usize,
    /// Its direction.
    pub way: Way,
    /// The envelope.
    pub envelope: Envelope,
}

/// What becomes of it.
#[derive(Clone, Debug)]
pub enum Action {
    /// It passes.
    Forward,
    /// It vanishes.
    Drop,
    /// It passes later; what is behind it in this direction waits too.
    Delay(Duration),
    /// It waits, with everything behind it, until [`Faulty::release`].
    Stall,
    /// It passes byte by byte, each in a segment of its own.
    Dribble,
    /// So many bytes of it pass, then the connection ends on both sides.
    Cut(usize),
    /// These bytes pass instead.
    Replace(Vec<u8>),
    /// It does not pass; these bytes go back to where it came from.
    Answer(Vec<u8>),
}

type Plan = Arc<dyn Fn(&Seen) -> Action + Send + Sync>;

struct Shared {
    node: SocketAddr,
    plan: Mutex<Plan>,
    seen: Mutex<Vec<Seen>>,
    count: watch::Sender<usize>,
    released: watch::Sender<u64>,
    refusing: watch::Sender<bool>,
    cut: watch::Sender<u64>,
}

/// The relay; it ends when it is dropped.
pub struct Faulty {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Faulty {
    /// A relay to `node`, on a loopback port of its own.
    pub async fn start(node: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.during("listening")?;
        let addr = listener.local_addr().during("listening")?;
        let shared = Arc::new(Shared {
            node,
            plan: Mutex::new(Arc::new(|_| Action::Forward)),
            seen: Mutex::default(),
            count: watch::Sender::new(0),
            released: watch::Sender::new(0),
            refusing: watch::Sender::new(false),
            cut: watch::Sender::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, _tasks: tasks })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on, every envelope of every connection is asked about here.
    pub fn plan(&self, plan: impl Fn(&Seen) -> Action + Send + Sync + 'static) {
        *self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
    }

    /// Lets everything pass that was stalled.
    pub fn release(&self) {
        self.shared.released.send_modify(|n| *n += 1);
    }

    /// New connections are closed at once, or taken again.
    pub fn refuse(&self, refusing: bool) {
        self.shared.refusing.send_replace(refusing);
    }

    /// Ends every connection.
    pub fn cut(&self) {
        self.shared.cut.send_modify(|n| *n += 1);
    }

    /// Every envelope so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for an envelope that `is_it` takes, among those so far and those to come.
    pub async fn wait_for(&self, limit: Duration, is_it: impl Fn(&Seen) -> bool) -> Result<Seen> {
        let mut count = self.shared.count.subscribe();
        let found = async {
            loop {
                count.mark_unchanged();
                if let Some(seen) = self.seen().into_iter().find(&is_it) {
                    return seen;
                }
                if count.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let found = tokio::time::timeout(limit, found).await;
        found.map_err(|_| Trouble::new(format!("no such envelope passed within {limit:?}")))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    while let Ok((client, _)) = listener.accept().await {
        if *shared.refusing.borrow() {
            continue;
        }
        let Ok(node) = TcpStream::connect(shared.node).await else { continue };
        let _ = (client.set_nodelay(true), node.set_nodelay(true));
        connections.spawn(relay(client, node, number, Arc::clone(&shared)));
        number += 1;
    }
}

async fn relay(client: TcpStream, node: TcpStream, connection: usize, shared: Arc<Shared>) {
    let mut cut = shared.cut.subscribe();
    let (client_read, client_write) = client.into_split();
    let (node_read, node_write) = node.into_split();
    let (to_client, for_client) = mpsc::unbounded_channel();
    let (to_node, for_node) = mpsc::unbounded_channel();
    let requests = Direction {
        connection,
        way: Way::Request,
        shared: Arc::clone(&shared),
        onward: to_node.clone(),
        back: to_client.clone(),
    };
    let responses = Direction { connection, way: Way::Response, shared, onward: to_client, back: to_node };
    // Whichever ends first ends the connection on both sides.
    tokio::select! {
        () = requests.run(client_read) => {}
        () = responses.run(node_read) => {}
        () = write(client_write, for_client) => {}
        () = write(node_write, for_node) => {}
        _ = cut.changed() => {}
    }
}

/// What a writer is told: bytes, and whether each gets a segment of its own.
enum Write {
    Bytes(Vec<u8>),
    Dribble(Vec<u8>),
    End,
}

async fn write(mut to: OwnedWriteHalf, mut orders: mpsc::UnboundedReceiver<Write>) {
    while let Some(order) = orders.recv().await {
        let written = match order {
            Write::Bytes(bytes) => to.write_all(&bytes).await.is_ok(),
            Write::Dribble(bytes) => {
                let mut whole = true;
                for byte in bytes {
                    whole &= to.write_all(&[byte]).await.is_ok();
                    tokio::task::yield_now().await;
                }
                whole
            }
            Write::End => false,
        };
        if !written {
            return;
        }
    }
}

struct Direction {
    connection: usize,
    way: Way,
    shared: Arc<Shared>,
    onward: mpsc::UnboundedSender<Write>,
    back: mpsc::UnboundedSender<Write>,
}

impl Direction {
    async fn run(self, mut from: OwnedReadHalf) {
        let mut buffer = Vec::new();
        loop {
            while let Some(envelope) = Envelope::split_off(&mut buffer) {
                if !self.pass(envelope).await {
                    return;
                }
            }
            if !matches!(from.read_buf(&mut buffer).await, Ok(1..)) {
                // What was written already is still on its way out.
                let _ = self.onward.send(Write::End);
                return std::future::pending().await;
            }
        }
    }

    /// `false`: the other half is gone.
    async fn pass(&self, envelope: Envelope) -> bool {
        let bytes = envelope.encode();
        let seen = Seen { connection: self.connection, way: self.way, envelope };
        let plan = Arc::clone(&self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner));
        // Before it is told to anybody: who waits for it may release it.
        let mut released = self.shared.released.subscribe();
        let action = plan(&seen);
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        self.shared.count.send_modify(|n| *n += 1);
        let onward = match action {
            Action::Forward => Write::Bytes(bytes),
            Action::Drop => return true,
            Action::Delay(time) => {
                tokio::time::sleep(time).await;
                Write::Bytes(bytes)
            }
            Action::Stall => {
                let _ = released.changed().await;
                Write::Bytes(bytes)
            }
            Action::Dribble => Write::Dribble(bytes),
            Action::Cut(n) => {
                let kept = bytes.into_iter().take(n).collect();
                return self.onward.send(Write::Bytes(kept)).is_ok() && self.onward.send(Write::End).is_ok();
            }
            Action::Replace(other) => Write::Bytes(other),
            Action::Answer(answer) => return self.back.send(Write::Bytes(answer)).is_ok(),
        };
        self.onward.send(onward).is_ok()
    }
}
