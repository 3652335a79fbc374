//! A client that asks in bursts: `depth` prepared EXECUTEs in one write, then all their answers, then the
//! next burst. The same bursts reach every relay that is measured, whatever its speed, so a slow one
//! cannot look cheap by finding more requests at once.
//!
//! Bounded in count by its caller and in time by [`PATIENCE`]; loopback only. In steady state nothing is
//! allocated.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use cqlgate_protocol::wire::client::{self, Consistency};
use cqlgate_protocol::wire::{HEADER_LENGTH, Header, Opcode, Version};
use cqlgate_testkit::trouble::During as _;
use cqlgate_testkit::{Result, Trouble};

use crate::statements::{READ, ROW, WRITE, id};

/// The longest wait for bytes.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The deepest burst: its answers are ticked off in one word.
pub const DEEPEST: usize = 64;

/// What the requests of a burst are; every second one is a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// EXECUTE of what was prepared.
    Execute,
    /// QUERY with the text.
    Query,
}

/// A connection that is logged in and has prepared.
#[derive(Debug)]
pub struct Load {
    tcp: TcpStream,
    buffer: Vec<u8>,
}

/// The requests of one burst.
#[derive(Debug)]
pub struct Burst {
    bytes: Vec<u8>,
    depth: usize,
}

impl Burst {
    /// A burst of `depth` requests, at most [`DEEPEST`].
    pub fn new(ask: Ask, depth: usize) -> Self {
        let depth = depth.clamp(1, DEEPEST);
        let mut bytes = Vec::new();
        for n in 0..depth {
            let stream = i16::try_from(n).unwrap_or_default();
            let (key, value) = (7_i32.to_be_bytes(), [7; ROW]);
            let (text, values): (_, &[&[u8]]) =
                if n % 2 == 0 { (READ, &[&key]) } else { (WRITE, &[&value, &key]) };
            let consistency = Consistency::LocalQuorum;
            let query = client::Query { consistency, values, page_size: 5000, paging_state: None };
            bytes.extend_from_slice(&match ask {
                Ask::Execute => client::execute(Version::V4, stream, &id(text), &query),
                Ask::Query => client::query(Version::V4, stream, text, &query),
            });
        }
        Self { bytes, depth }
    }
}

impl Load {
    /// Connects, logs in and prepares both statements.
    pub fn connect(address: SocketAddr, username: &str, password: &str) -> Result<Self> {
        if !address.ip().is_loopback() {
            return Err(Trouble::new(format!("{address} is not on loopback: this load is for nobody else")));
        }
        let tcp = TcpStream::connect(address).during(format!("connecting to {address}"))?;
        tcp.set_nodelay(true).during("setting TCP_NODELAY")?;
        tcp.set_read_timeout(Some(PATIENCE)).during("setting a time-out")?;
        let mut load = Self { tcp, buffer: vec![0; 256 * 1024] };
        load.ask(&client::startup(Version::V4, 0, &[("CQL_VERSION", "3.0.0")]), Opcode::Authenticate)?;
        load.ask(&client::auth_plain(Version::V4, 0, username, password), Opcode::AuthSuccess)?;
        load.ask(&client::prepare(Version::V4, 0, READ), Opcode::Result)?;
        load.ask(&client::prepare(Version::V4, 0, WRITE), Opcode::Result)?;
        Ok(load)
    }

    fn ask(&mut self, request: &[u8], expected: Opcode) -> Result<()> {
        self.tcp.write_all(request).during("asking")?;
        let mut head = [0; HEADER_LENGTH];
        self.tcp.read_exact(&mut head).during("reading an answer")?;
        let header = Header::parse(&head).ok_or_else(|| Trouble::new("no header"))?;
        let length = header.body_length(self.buffer.len()).ok_or_else(|| Trouble::new("no length"))?;
        let body = self.buffer.get_mut(..length).unwrap_or_default();
        self.tcp.read_exact(body).during("reading an answer")?;
        if header.opcode == expected.byte() { Ok(()) } else { Err(unexpected(&header, body)) }
    }

    /// Sends the burst until `requests` have been answered (rounded up to whole bursts); how many were.
    pub fn run(&mut self, burst: &Burst, requests: u64) -> Result<u64> {
        let mut answered = 0;
        while answered < requests {
            self.tcp.write_all(&burst.bytes).during("writing a burst")?;
            self.collect(burst.depth)?;
            answered += burst.depth as u64;
        }
        Ok(answered)
    }

    /// Reads the answers of one burst: each stream once, each a RESULT.
    fn collect(&mut self, depth: usize) -> Result<()> {
        let mut missing = u64::MAX >> (DEEPEST - depth);
        let mut filled = 0;
        while missing != 0 {
            let space = self.buffer.get_mut(filled..).unwrap_or_default();
            match self.tcp.read(space).during("reading answers")? {
                0 => return Err(Trouble::new("the connection was closed")),
                n => filled += n,
            }
            let mut at = 0;
            while let Some(rest) = self.buffer.get(at..filled)
                && let Some(header) = Header::parse(rest)
                && let Some(length) = header.body_length(self.buffer.len())
                && let Some(body) = rest.get(HEADER_LENGTH..HEADER_LENGTH + length)
            {
                let bit = u32::try_from(header.stream).ok().and_then(|n| 1_u64.checked_shl(n)).unwrap_or(0);
                if header.opcode != Opcode::Result.byte() || missing & bit == 0 {
                    return Err(unexpected(&header, body));
                }
                missing &= !bit;
                at += HEADER_LENGTH + length;
            }
            self.buffer.copy_within(at..filled, 0);
            filled -= at;
        }
        if filled == 0 { Ok(()) } else { Err(Trouble::new("bytes behind the last answer")) }
    }
}

fn unexpected(header: &Header, body: &[u8]) -> Trouble {
    Trouble::new(format!("an answer that was not expected: {header:?} {:?}", String::from_utf8_lossy(body)))
}
