//! From a contact point's name to a connection that is logged in with the service account: resolve, TCP,
//! TLS, STARTUP, SASL PLAIN. The pool and the control connection both come through here, so that all
//! log-ins of the process together stay few: each costs a node 60 to 130 ms of bcrypt.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cqlgate_protocol::wire::client;
use cqlgate_protocol::wire::response::Response;
use cqlgate_protocol::wire::{ErrorCode, Version};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::envelope::{self, EnvelopeError};
use super::secret::Secret;
use super::stream::Stream;
use super::tls::{NodeTls, TlsError};
use crate::config::{limits, model};

/// Why a cluster's configuration cannot work.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No contact point.
    #[error("contact_points is empty: name at least one node as \"host:port\"")]
    NoContactPoint,
    /// A contact point that is not `host:port`.
    #[error("contact point '{0}' is not \"host:port\"")]
    ContactPoint(String),
    /// A node off loopback without TLS.
    #[error(
        "contact point '{0}' is not on loopback and upstream_tls is not set: the service account's password \
         would travel in clear; set upstream_tls, or upstream_plaintext = true"
    )]
    Plaintext(String),
    /// A user name or password that SASL PLAIN cannot carry.
    #[error("the service account's username or password is empty or holds a NUL")]
    Credentials,
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why a connection to a node could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{point}: {reason}")]
pub struct ConnectError {
    /// The contact point.
    pub point: Arc<str>,
    /// What failed.
    pub reason: ConnectReason,
}

/// What failed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectReason {
    /// The name does not resolve.
    #[error("cannot resolve: {0}")]
    Resolve(std::io::Error),
    /// The name resolves to an address off loopback, without TLS.
    #[error("{0} is not on loopback, and neither upstream_tls nor upstream_plaintext is set")]
    Plaintext(SocketAddr),
    /// No TCP connection.
    #[error("cannot connect: {0}")]
    Tcp(std::io::Error),
    /// No TLS connection.
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    /// Not done within [`limits::UPSTREAM_CONNECT`].
    #[error("no log-in within {0:?}")]
    Timeout(Duration),
    /// The stream broke, or what came is no answer.
    #[error("during log-in: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The node refused user name or password.
    #[error("the node refuses the service account: {0}")]
    Refused(String),
    /// The node answered with another error.
    #[error("the node answered error 0x{0:04X}: {1}")]
    Node(u32, String),
    /// An answer that does not belong there.
    #[error("unexpected answer during log-in")]
    Unexpected,
}

impl ConnectError {
    /// Did the node refuse the account? Then trying again soon only costs it work.
    pub const fn is_refusal(&self) -> bool {
        matches!(self.reason, ConnectReason::Refused(_))
    }
}

/// A connection that is READY.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) stream: Stream,
    /// The node's address.
    pub(super) peer: SocketAddr,
    /// Did the node ask for a password? If not, anybody who reaches it may do anything.
    pub(super) asked_for_password: bool,
}

/// Makes connections to one cluster.
pub(super) struct Connector {
    points: Vec<Point>,
    username: String,
    password: Secret,
    tls: Option<NodeTls>,
    plaintext: bool,
    log_ins: Semaphore,
    /// For TCP, TLS and log-in together.
    pub(super) deadline: Duration,
    /// The contact point that worked last: everything goes there until it fails.
    current: AtomicUsize,
    /// When the account was refused, and with which words: nobody tries again for a while.
    refused: Mutex<Option<(Instant, String)>>,
}

struct Point {
    text: Arc<str>,
    host: String,
    port: u16,
}

impl Connector {
    /// Checks the configuration; connects nowhere.
    pub(super) fn new(of: &model::Cluster, password: Secret) -> Result<Self, UpstreamError> {
        if of.contact_points.is_empty() {
            return Err(UpstreamError::NoContactPoint);
        }
        let credential = |text: &str| !text.is_empty() && !text.contains('\0');
        if !credential(&of.username) || !credential(password.reveal()) {
            return Err(UpstreamError::Credentials);
        }
        let points: Vec<Point> = of
            .contact_points
            .iter()
            .map(|text| Point::parse(text).ok_or_else(|| UpstreamError::ContactPoint(text.clone())))
            .collect::<Result<_, _>>()?;
        let tls = of.upstream_tls.as_ref().map(NodeTls::load).transpose()?;
        for point in &points {
            if let Some(tls) = &tls {
                tls.server_name(&point.host)?;
            } else if !of.upstream_plaintext
                && point.host.parse().is_ok_and(|ip: std::net::IpAddr| !ip.is_loopback())
            {
                return Err(UpstreamError::Plaintext(point.text.to_string()));
            }
        }
        Ok(Self {
            points,
            username: of.username.clone(),
            password,
            tls,
            plaintext: of.upstream_plaintext,
            log_ins: Semaphore::new(limits::UPSTREAM_LOG_INS),
            deadline: limits::UPSTREAM_CONNECT,
            current: AtomicUsize::new(0),
            refused: Mutex::new(None),
        })
    }

    /// Connects and logs in: to the contact point that worked last, else to each of the others in turn.
    /// Waits for its turn among all log-ins first.
    pub(super) async fn connect(&self, version: Version) -> Result<Connected, ConnectError> {
        let _turn = self.log_ins.acquire().await;
        self.not_refused_lately()?;
        let start = self.current.load(Ordering::Relaxed);
        let mut failure = None;
        for (index, point) in self.points.iter().enumerate().cycle().skip(start).take(self.points.len()) {
            match timeout(self.deadline, self.connect_to(point, version)).await {
                Ok(Ok(connected)) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(connected);
                }
                Ok(Err(reason)) => failure = Some(ConnectError { point: point.text.clone(), reason }),
                Err(_) => {
                    let reason = ConnectReason::Timeout(self.deadline);
                    failure = Some(ConnectError { point: point.text.clone(), reason });
                }
            }
            // A refused account is refused by every node; each try is bcrypt for one.
            if let Some(ConnectError { reason: ConnectReason::Refused(message), .. }) = &failure {
                *self.lock_refused() = Some((Instant::now(), message.clone()));
                break;
            }
        }
        // There is at least one contact point, so the walk left either a connection or a failure.
        Err(failure.unwrap_or_else(|| ConnectError { point: "".into(), reason: ConnectReason::Unexpected }))
    }

    /// The refusal of the last [`limits::UPSTREAM_REFUSED_PAUSE`] again, if there was one.
    fn not_refused_lately(&self) -> Result<(), ConnectError> {
        let mut refused = self.lock_refused();
        refused.take_if(|(at, _)| at.elapsed() >= limits::UPSTREAM_REFUSED_PAUSE);
        match &*refused {
            None => Ok(()),
            Some((_, message)) => {
                let reason = ConnectReason::Refused(message.clone());
                Err(ConnectError { point: "not tried again yet".into(), reason })
            }
        }
    }

    fn lock_refused(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect_to(&self, point: &Point, version: Version) -> Result<Connected, ConnectReason> {
        let addresses =
            tokio::net::lookup_host((&*point.host, point.port)).await.map_err(ConnectReason::Resolve)?;
        let mut failure =
            ConnectReason::Resolve(std::io::Error::new(std::io::ErrorKind::NotFound, "no address"));
        for address in addresses {
            if self.tls.is_none() && !self.plaintext && !address.ip().is_loopback() {
                return Err(ConnectReason::Plaintext(address));
            }
            match TcpStream::connect(address).await.and_then(tuned) {
                Ok(tcp) => return self.log_in_over(tcp, address, point, version).await,
                Err(error) => failure = ConnectReason::Tcp(error),
            }
        }
        Err(failure)
    }

    async fn log_in_over(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        point: &Point,
        version: Version,
    ) -> Result<Connected, ConnectReason> {
        let mut stream = match &self.tls {
            None => Stream::Plain(tcp),
            Some(tls) => {
                let invalid = |error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error);
                let name = tls.server_name(&point.host).map_err(|e| ConnectReason::Tls(invalid(e)))?;
                let tls = tls.connector.connect(name, tcp).await.map_err(ConnectReason::Tls)?;
                Stream::Tls(Box::new(tls))
            }
        };
        let asked_for_password = log_in(&mut stream, version, &self.username, &self.password).await?;
        Ok(Connected { stream, peer, asked_for_password })
    }
}

impl Point {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.strip_suffix(']').filter(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok())?,
            None => Some(host).filter(|host| !host.is_empty() && !host.contains([':', '/', ' ', '@']))?,
        };
        Some(Self { text: text.into(), host: host.to_owned(), port })
    }
}

/// No waiting for full segments, and a peer that is gone is noticed within two minutes.
fn tuned(tcp: TcpStream) -> std::io::Result<TcpStream> {
    tcp.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_mins(1))
        .with_interval(Duration::from_secs(10))
        .with_retries(6);
    socket2::SockRef::from(&tcp).set_tcp_keepalive(&keepalive)?;
    Ok(tcp)
}

/// STARTUP and, if the node asks, SASL PLAIN. Returns whether it asked.
async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    version: Version,
    username: &str,
    password: &Secret,
) -> Result<bool, ConnectReason> {
    let options =
        [("CQL_VERSION", "3.0.0"), ("DRIVER_NAME", "cqlgate"), ("DRIVER_VERSION", env!("CARGO_PKG_VERSION"))];
    match exchange(stream, version, client::startup(version, 0, &options)).await? {
        Answer::Ready => return Ok(false),
        Answer::Authenticate => {}
        Answer::AuthSuccess => return Err(ConnectReason::Unexpected),
    }
    match exchange(stream, version, client::auth_plain(version, 0, username, password.reveal())).await? {
        Answer::AuthSuccess => Ok(true),
        Answer::Ready | Answer::Authenticate => Err(ConnectReason::Unexpected),
    }
}

enum Answer {
    Ready,
    Authenticate,
    AuthSuccess,
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    version: Version,
    request: Vec<u8>,
) -> Result<Answer, ConnectReason> {
    stream.write_all(&request).await.map_err(EnvelopeError::Io)?;
    stream.flush().await.map_err(EnvelopeError::Io)?;
    let (header, body) = envelope::read(stream, limits::HANDSHAKE_ENVELOPE).await?;
    match Response::parse(&header, &body).map_err(EnvelopeError::Malformed)? {
        Response::Error(error) if error.is(ErrorCode::BadCredentials) => {
            Err(ConnectReason::Refused(error.message.to_owned()))
        }
        Response::Error(error) => Err(ConnectReason::Node(error.code, error.message.to_owned())),
        _ if header.known_version() != Some(version) || header.stream != 0 => Err(ConnectReason::Unexpected),
        Response::Ready => Ok(Answer::Ready),
        Response::Authenticate(_) => Ok(Answer::Authenticate),
        Response::AuthSuccess(_) => Ok(Answer::AuthSuccess),
        _ => Err(ConnectReason::Unexpected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contact_points() {
        for (text, host, port) in [
            ("10.0.0.1:9042", "10.0.0.1", 9042),
            ("db.example:1", "db.example", 1),
            ("[::1]:9142", "::1", 9142),
        ] {
            let point = Point::parse(text).unwrap();
            assert_eq!((&*point.host, point.port), (host, port));
        }
        for text in [
            "",
            "host",
            "host:",
            ":9042",
            "host:0",
            "host:65536",
            "::1:9042",
            "[::1:9042",
            "[x]:1",
            "a b:1",
            "http://h:1",
        ] {
            assert!(Point::parse(text).is_none(), "{text}");
        }
    }
}
