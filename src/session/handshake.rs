//! From the first byte to `AUTH_SUCCESS`, as a server whose highest version is 4 does it.
//!
//! ```text
//!   Established ── STARTUP / AUTHENTICATE ──> Authenticating ── AUTH_RESPONSE / AUTH_SUCCESS ──> (session)
//!     │  ^  OPTIONS / SUPPORTED                 │  ^  a bad token / ERROR 0x0100, three at the most
//!     └──┘                                      └──┘
//! ```
//!
//! What does not belong where it comes is answered as Cassandra answers it and changes nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use cqlgate_protocol::wire::request::{self, Startup};
use cqlgate_protocol::wire::{ErrorCode, Flags, HEADER_LENGTH, Header, Opcode, Version, WireError, response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Context, audit};
use crate::auth::{Authenticated, ClientResponse, LoginError};
use crate::config::limits;
use crate::tls::ClientStream;

/// Somebody who has logged in.
#[derive(Debug)]
pub(super) struct Welcome {
    pub version: Version,
    pub who: Authenticated,
    /// Driver name and version, as it says; may be empty.
    pub driver: Arc<str>,
    /// What came behind `AUTH_RESPONSE`.
    pub rest: BytesMut,
}

/// Why a connection ended before log-in. For the log; the client got its own answer or none.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("closed by the client")]
    Closed,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("more than {} bytes before log-in", limits::HANDSHAKE_BYTES)]
    TooMuch,
    #[error("an envelope of {0} bytes before log-in")]
    EnvelopeTooLong(i32),
    #[error("{0} failed log-ins")]
    Attempts(u32),
    #[error("log-in is not possible now: {0}")]
    Unavailable(String),
}

enum State {
    Established,
    Authenticating { version: Version, driver: Arc<str> },
}

/// Runs the handshake; the caller bounds its time.
pub(super) async fn run(
    context: &Context,
    stream: &mut ClientStream,
    session: u64,
    client: SocketAddr,
) -> Result<Welcome, HandshakeError> {
    let mut handshake = Handshake { context, session, client, state: State::Established, attempts: 0 };
    let mut buffer = BytesMut::with_capacity(4096);
    let mut total = 0;
    loop {
        while let Some(next) = handshake.next(&mut buffer).await? {
            match next {
                Next::Answer(bytes) => stream.write_all(&bytes).await?,
                Next::AnswerAndEnd(bytes, error) => {
                    stream.write_all(&bytes).await?;
                    stream.shutdown().await?;
                    return Err(error);
                }
                Next::Welcome(mut welcome, bytes) => {
                    stream.write_all(&bytes).await?;
                    stream.flush().await?;
                    welcome.rest = buffer;
                    return Ok(*welcome);
                }
            }
            stream.flush().await?;
        }
        let read = stream.read_buf(&mut buffer).await?;
        if read == 0 {
            return Err(HandshakeError::Closed);
        }
        total += read;
        if total > limits::HANDSHAKE_BYTES {
            return Err(HandshakeError::TooMuch);
        }
    }
}

enum Next {
    Answer(Vec<u8>),
    AnswerAndEnd(Vec<u8>, HandshakeError),
    Welcome(Box<Welcome>, Vec<u8>),
}

struct Handshake<'c> {
    context: &'c Context,
    session: u64,
    client: SocketAddr,
    state: State,
    attempts: u32,
}

impl Handshake<'_> {
    /// Takes the next envelope off the buffer and says what to do; `None`: more bytes are needed.
    async fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Next>, HandshakeError> {
        let Some(&first) = buffer.first() else { return Ok(None) };
        let Some(version) = Version::from_byte(first) else {
            // The bytes so far are dropped, as a node does it: their framing is not known here.
            buffer.clear();
            return Ok(Some(Next::Answer(unsupported_version(first & 0x7F))));
        };
        let Some(header) = Header::parse(buffer) else { return Ok(None) };
        let Some(length) = header.body_length(limits::HANDSHAKE_ENVELOPE) else {
            let error = HandshakeError::EnvelopeTooLong(header.length);
            let text = error.to_string();
            return Ok(Some(Next::AnswerAndEnd(protocol_error(version, header.stream, &text), error)));
        };
        let whole = HEADER_LENGTH + length;
        if buffer.len() < whole {
            return Ok(None);
        }
        let envelope = buffer.split_to(whole);
        let mut body = envelope.freeze();
        body.advance(HEADER_LENGTH);
        self.envelope(version, &header, &body).await.map(Some)
    }

    async fn envelope(
        &mut self,
        version: Version,
        header: &Header,
        body: &[u8],
    ) -> Result<Next, HandshakeError> {
        let refuse = |text: &str| Ok(Next::Answer(protocol_error(version, header.stream, text)));
        let opcode = match opcode(header) {
            Ok(opcode) => opcode,
            Err(text) => return refuse(&text),
        };
        if header.flags.has(Flags::COMPRESSED) {
            return refuse("Received a compressed frame, but no compression was agreed on");
        }
        let message = match request::message(version, header.flags, body) {
            Ok(message) => message,
            Err(error) => return refuse(&error.to_string()),
        };
        match (&self.state, opcode) {
            (State::Established, Opcode::Options) => match request::options(message) {
                Ok(()) => Ok(Next::Answer(self.supported(version, header.stream))),
                Err(error) => refuse(&error.to_string()),
            },
            (State::Established, Opcode::Startup) => match startup(message) {
                Ok(driver) => {
                    self.state = State::Authenticating { version, driver };
                    Ok(Next::Answer(response::authenticate(version, header.stream)))
                }
                Err(error) => refuse(&error.to_string()),
            },
            (State::Established, other) => {
                refuse(&format!("Unexpected message {}, expecting STARTUP or OPTIONS", other.as_str()))
            }
            (State::Authenticating { version: fixed, .. }, _) if *fixed != version => refuse(&format!(
                "Invalid message version. Got {version} but previous messages on this connection had version {fixed}"
            )),
            (State::Authenticating { driver, .. }, Opcode::AuthResponse) => {
                match request::auth_response(message) {
                    Ok(sasl) => {
                        let driver = Arc::clone(driver);
                        self.login(version, header.stream, sasl, driver).await
                    }
                    Err(error) => refuse(&error.to_string()),
                }
            }
            (State::Authenticating { .. }, other) => {
                refuse(&format!("Unexpected message {}, expecting SASL_RESPONSE", other.as_str()))
            }
        }
    }

    fn supported(&self, version: Version, stream: i16) -> Vec<u8> {
        response::supported(version, stream, &self.context.upstream.cql_version())
    }

    async fn login(
        &mut self,
        version: Version,
        stream: i16,
        sasl: &[u8],
        driver: Arc<str>,
    ) -> Result<Next, HandshakeError> {
        let context = self.context;
        let directory = context.directory.snapshot();
        let outcome = context.authenticator.login(sasl, &context.config.identities, &directory).await;
        // Somebody is told that they are known only if there is a cluster to talk to: the connection is
        // closed otherwise, the one answer from which every driver recovers.
        let outcome = outcome.map_err(Refusal::Login).and_then(|who| {
            let sessions = context.registry.len();
            if sessions >= context.config.limits.sessions {
                return Err(Refusal::Unavailable(format!("{sessions} sessions are open, the limit")));
            }
            let health = context.upstream.health();
            if health.healthy { Ok(who) } else { Err(Refusal::Unavailable(health.detail)) }
        });
        match outcome {
            Ok(who) => {
                context.metrics.login("ok");
                context.audit.record(audit::login(context, self.session, self.client, &driver, &who)).await;
                let welcome = Welcome { version, who, driver, rest: BytesMut::new() };
                Ok(Next::Welcome(Box::new(welcome), response::auth_success(version, stream)))
            }
            Err(refusal) => {
                context.metrics.login(refusal.kind());
                let reference = crate::audit::reference();
                let event = audit::login_refused(
                    context,
                    self.session,
                    self.client,
                    &driver,
                    refusal.to_string(),
                    reference.clone(),
                );
                context.audit.record(event).await;
                match refusal.told() {
                    None => Err(HandshakeError::Unavailable(refusal.to_string())),
                    Some(text) => {
                        let text = format!("{text} [ref {reference}]");
                        let answer = response::error(version, stream, ErrorCode::BadCredentials, &text);
                        self.attempts += 1;
                        Ok(if self.attempts < limits::LOGIN_ATTEMPTS {
                            Next::Answer(answer)
                        } else {
                            Next::AnswerAndEnd(answer, HandshakeError::Attempts(self.attempts))
                        })
                    }
                }
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Login(LoginError),
    #[error("the cluster cannot take sessions: {0}")]
    Unavailable(String),
}

impl Refusal {
    fn kind(&self) -> &'static str {
        match self {
            Self::Login(error) => error.kind(),
            Self::Unavailable(_) => "cluster_unavailable",
        }
    }

    /// What the client is told; `None`: nothing, the connection is closed.
    fn told(&self) -> Option<String> {
        match self {
            Self::Login(error) => match error.client_response() {
                ClientResponse::BadCredentials(text) => Some(text),
                ClientResponse::Close => None,
            },
            Self::Unavailable(_) => None,
        }
    }
}

/// The opcode of a request, or why it is none, in Cassandra's words.
pub(super) fn opcode(header: &Header) -> Result<Opcode, String> {
    match Opcode::from_byte(header.opcode) {
        // CREDENTIALS, of v1 only.
        None if header.opcode == 0x04 => Err("Unsupported message".into()),
        None => Err(format!("Unknown opcode {}", header.opcode)),
        Some(opcode) if header.is_response() => Err(format!(
            "Wrong protocol direction (expected REQUEST, got RESPONSE) for opcode {} ({})",
            header.opcode,
            opcode.as_str()
        )),
        Some(opcode) if !opcode.is_request() => Err(format!(
            "Wrong protocol direction (expected RESPONSE, got REQUEST) for opcode {} ({})",
            header.opcode,
            opcode.as_str()
        )),
        Some(opcode) => Ok(opcode),
    }
}

/// The driver's name and version out of STARTUP, cut to what fits a log line.
fn startup(message: &[u8]) -> Result<Arc<str>, WireError> {
    let startup = Startup::parse(message)?;
    startup.check()?;
    let name = startup.driver_name.unwrap_or_default();
    let driver = match startup.driver_version {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    };
    Ok(driver.chars().filter(|c| !c.is_control()).take(128).collect::<String>().into())
}

pub(super) fn protocol_error(version: Version, stream: i16, text: &str) -> Vec<u8> {
    response::error(version, stream, ErrorCode::Protocol, text)
}

/// The refusal of a version: on stream 0, in the highest version's header, or, for v1 and v2, in their own
/// of 8 bytes. Drivers read the version to try next from the header or the text.
pub(super) fn unsupported_version(number: u8) -> Vec<u8> {
    let text = Version::unsupported_message(number);
    let mut answer = protocol_error(Version::HIGHEST, 0, &text);
    if matches!(number, 1 | 2) {
        // version, flags, stream (one byte), opcode, length
        answer.remove(2);
        if let Some(version) = answer.first_mut() {
            *version = number | 0x80;
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_refused_in_their_own_header() {
        let answer = unsupported_version(2);
        assert_eq!(answer[..4], [0x82, 0, 0, 0]);
        assert_eq!(
            usize::try_from(u32::from_be_bytes(answer[4..8].try_into().unwrap())),
            Ok(answer.len() - 8)
        );
        let answer = unsupported_version(66);
        assert_eq!(answer[..5], [0x84, 0, 0, 0, 0]);
        let text = String::from_utf8_lossy(&answer);
        assert!(
            text.contains(
                "Invalid or unsupported protocol version (66); supported versions are (3/v3, 4/v4)"
            )
        );
    }

    #[test]
    fn opcodes_in_cassandras_words() {
        let header = |version, opcode| Header { version, flags: Flags(0), stream: 0, opcode, length: 0 };
        assert_eq!(opcode(&header(4, 0x07)), Ok(Opcode::Query));
        assert_eq!(opcode(&header(4, 0x7F)).unwrap_err(), "Unknown opcode 127");
        assert_eq!(opcode(&header(4, 0x04)).unwrap_err(), "Unsupported message");
        assert_eq!(
            opcode(&header(4, 0x00)).unwrap_err(),
            "Wrong protocol direction (expected RESPONSE, got REQUEST) for opcode 0 (ERROR)"
        );
        assert_eq!(
            opcode(&header(0x84, 0x07)).unwrap_err(),
            "Wrong protocol direction (expected REQUEST, got RESPONSE) for opcode 7 (QUERY)"
        );
    }
}
