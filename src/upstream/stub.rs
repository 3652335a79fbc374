//! A scripted node for the tests of this module: it answers a log-in as a node does, and otherwise what the
//! test says.

use std::net::SocketAddr;
use std::sync::Arc;

use cqlgate_protocol::wire::response;
use cqlgate_protocol::wire::{HEADER_LENGTH, Header, Opcode, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::model;

/// One request that reached the node.
pub(super) struct Asked {
    /// Which connection, counted from 1.
    pub(super) connection: usize,
    pub(super) version: Version,
    pub(super) stream: i16,
    pub(super) opcode: Opcode,
    pub(super) body: Vec<u8>,
}

/// What the node does then.
pub(super) enum Does {
    /// What a node does at log-in, and nothing on anything else.
    AsANode,
    /// Writes these bytes.
    Say(Vec<u8>),
    /// Nothing.
    Stall,
    /// Closes the connection.
    Cut,
}

#[derive(Clone, Debug)]
enum Push {
    Say(Vec<u8>),
    Cut,
}

/// The node.
pub(super) struct Stub {
    pub(super) address: SocketAddr,
    push: broadcast::Sender<Push>,
    log_ins: watch::Receiver<usize>,
    accept: JoinHandle<()>,
}

impl Stub {
    pub(super) async fn start(script: impl Fn(&Asked) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (push, _) = broadcast::channel(64);
        let (logged_in, log_ins) = watch::channel(0);
        let accept = tokio::spawn(accept(listener, Arc::new(script), push.clone(), logged_in));
        Self { address, push, log_ins, accept }
    }

    /// Writes bytes to every connection.
    pub(super) fn say(&self, bytes: Vec<u8>) {
        self.push.send(Push::Say(bytes)).unwrap();
    }

    /// Closes every connection.
    pub(super) fn cut(&self) {
        let _ = self.push.send(Push::Cut);
    }

    /// Waits until this many log-ins have been answered, all connections together.
    pub(super) async fn log_ins(&self, at_least: usize) {
        self.log_ins.clone().wait_for(|n| *n >= at_least).await.unwrap();
    }

    pub(super) fn log_ins_so_far(&self) -> usize {
        *self.log_ins.borrow()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.accept.abort();
        self.cut();
    }
}

/// A `[[cluster]]` for the node at `address`.
pub(super) fn cluster(address: SocketAddr, warm: usize) -> model::Cluster {
    toml::from_str(&format!(
        "name = \"stub\"\nlisten = \"127.0.0.1:0\"\ncontact_points = [\"{address}\"]\nusername = \"gate\"\n\
         password_file = \"/nonexistent\"\npolicies = []\nwarm_connections = {warm}\n"
    ))
    .unwrap()
}

async fn accept(
    listener: TcpListener,
    script: Arc<impl Fn(&Asked) -> Does + Send + Sync + 'static>,
    push: broadcast::Sender<Push>,
    logged_in: watch::Sender<usize>,
) {
    for connection in 1.. {
        let (tcp, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(tcp, connection, script.clone(), push.subscribe(), logged_in.clone()));
    }
}

async fn serve(
    tcp: TcpStream,
    connection: usize,
    script: Arc<impl Fn(&Asked) -> Does + Send + Sync + 'static>,
    mut push: broadcast::Receiver<Push>,
    logged_in: watch::Sender<usize>,
) {
    let (read, mut write) = tcp.into_split();
    let (send, mut requests) = mpsc::channel(64);
    tokio::spawn(read_requests(read, connection, send));
    loop {
        let bytes = tokio::select! {
            pushed = push.recv() => match pushed.unwrap() {
                Push::Say(bytes) => bytes,
                Push::Cut => return,
            },
            asked = requests.recv() => {
                let Some(asked) = asked else { return };
                match (script(&asked), asked.opcode) {
                    (Does::Say(bytes), _) => bytes,
                    (Does::Cut, _) => return,
                    (Does::AsANode, Opcode::Options) => response::supported(asked.version, asked.stream, "3.4.7"),
                    (Does::AsANode, Opcode::Startup) => response::authenticate(asked.version, asked.stream),
                    (Does::AsANode, Opcode::AuthResponse) => response::auth_success(asked.version, asked.stream),
                    (Does::AsANode, Opcode::Register) => response::ready(asked.version, asked.stream),
                    (Does::Stall | Does::AsANode, _) => continue,
                }
            }
        };
        let success = bytes.get(4) == Some(&Opcode::AuthSuccess.byte());
        if write.write_all(&bytes).await.is_err() {
            return;
        }
        if success {
            logged_in.send_modify(|n| *n += 1);
        }
    }
}

async fn read_requests(mut read: OwnedReadHalf, connection: usize, send: mpsc::Sender<Asked>) {
    loop {
        let mut head = [0; HEADER_LENGTH];
        if read.read_exact(&mut head).await.is_err() {
            return;
        }
        let header = Header::parse(&head).unwrap();
        let mut body = vec![0; usize::try_from(header.length).unwrap()];
        if read.read_exact(&mut body).await.is_err() {
            return;
        }
        let asked = Asked {
            connection,
            version: header.known_version().unwrap(),
            stream: header.stream,
            opcode: Opcode::from_byte(header.opcode).unwrap(),
            body,
        };
        if send.send(asked).await.is_err() {
            return;
        }
    }
}
