//! One end of a connection that sends exact bytes and reads exact envelopes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Body, Envelope, opcode};
use crate::trouble::{During, Result, Trouble};

/// What a peer speaks over: TCP or TLS.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// A client without manners: it sends what it is told to, whole or in pieces.
pub struct Peer {
    io: Box<dyn Transport>,
    buffer: Vec<u8>,
    limit: Duration,
    local: Option<SocketAddr>,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("local", &self.local).finish_non_exhaustive()
    }
}

impl Peer {
    /// Connects over TCP.
    pub async fn connect(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr).await.during(format!("connecting to {addr}"))?;
        stream.set_nodelay(true).during("TCP_NODELAY")?;
        let local = stream.local_addr().ok();
        Ok(Self { local, ..Self::over(stream) })
    }

    /// Speaks over a stream that is there already.
    pub fn over(io: impl Transport + 'static) -> Self {
        Self { io: Box::new(io), buffer: Vec::new(), limit: Duration::from_secs(20), local: None }
    }

    /// The longest that a read waits (20 s unless set).
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// This end's address, over TCP.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.io.write_all(bytes).await.during("sending")?;
        self.io.flush().await.during("sending")
    }

    /// Sends these bytes one by one, each in a segment of its own.
    pub async fn dribble(&mut self, bytes: &[u8]) -> Result<()> {
        for byte in bytes {
            self.send(&[*byte]).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Sends one envelope.
    pub async fn envelope(&mut self, envelope: &Envelope) -> Result<()> {
        self.send(&envelope.encode()).await
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) -> Result<()> {
        self.io.shutdown().await.during("closing the sending side")
    }

    /// The next envelope; `None`: the other side closed between two envelopes.
    ///
    /// # Errors
    /// Nothing came in time; the connection ended within an envelope, or by a reset.
    pub async fn next(&mut self) -> Result<Option<Envelope>> {
        loop {
            if let Some(envelope) = Envelope::split_off(&mut self.buffer) {
                return Ok(Some(envelope));
            }
            let read = timeout(self.limit, self.io.read_buf(&mut self.buffer))
                .await
                .map_err(|_| Trouble::new(format!("no answer within {:?}", self.limit)))?
                .during("reading")?;
            if read == 0 {
                return match self.buffer.len() {
                    0 => Ok(None),
                    n => Err(Trouble::new(format!("the connection ended {n} bytes into an envelope"))),
                };
            }
        }
    }

    /// The next `n` bytes, whatever they are.
    pub async fn exactly(&mut self, n: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < n {
            let read = timeout(self.limit, self.io.read_buf(&mut self.buffer))
                .await
                .map_err(|_| Trouble::new(format!("no answer within {:?}", self.limit)))?
                .during("reading")?;
            if read == 0 {
                return Err(Trouble::new("the connection was closed"));
            }
        }
        Ok(self.buffer.drain(..n).collect())
    }

    /// The next envelope, which must be there.
    pub async fn answer(&mut self) -> Result<Envelope> {
        self.next().await?.ok_or_else(|| Trouble::new("the connection was closed"))
    }

    /// Sends one envelope and reads the next that comes back.
    pub async fn ask(&mut self, envelope: &Envelope) -> Result<Envelope> {
        self.envelope(envelope).await?;
        self.answer().await
    }

    /// Waits for the end of the connection, by close or by reset; whatever still comes is thrown away.
    ///
    /// # Errors
    /// It was still open when `limit` was over.
    pub async fn closed(&mut self, limit: Duration) -> Result<()> {
        let to_the_end = async {
            let mut sink = [0; 4096];
            while !matches!(self.io.read(&mut sink).await, Ok(0) | Err(_)) {}
        };
        timeout(limit, to_the_end)
            .await
            .map_err(|_| Trouble::new(format!("the connection is still open after {limit:?}")))
    }

    /// STARTUP and `AUTH_RESPONSE` in `version`; returns what answered the latter (or STARTUP, if that was no
    /// AUTHENTICATE). `None`: closed without a word.
    pub async fn log_in(&mut self, version: u8, user: &str, password: &str) -> Result<Option<Envelope>> {
        let startup = Envelope::request(0, opcode::STARTUP, Body::startup()).version(version);
        let answer = self.ask(&startup).await?;
        if answer.opcode != opcode::AUTHENTICATE {
            return Ok(Some(answer));
        }
        let response = Body::plain(user, password);
        self.envelope(&Envelope::request(0, opcode::AUTH_RESPONSE, response).version(version)).await?;
        self.next().await
    }
}
