//! A client with manners: logs in, sends one request at a time, reads results.

use std::fmt;
use std::net::SocketAddr;

use super::{Body, Envelope, Peer, Reader, flag, opcode};
use crate::trouble::{Result, Trouble};

/// A logged-in connection.
#[derive(Debug)]
pub struct Cql {
    peer: Peer,
    version: u8,
    stream: i16,
}

/// Why there is no result.
#[derive(Clone, Debug)]
pub enum CqlError {
    /// The server said ERROR (section 9).
    Server {
        /// Its code.
        code: u32,
        /// Its message.
        message: String,
    },
    /// The connection was closed instead.
    Closed,
    /// Something else went wrong.
    Other(Trouble),
}

/// A result (section 4.2.5).
#[derive(Clone, Debug)]
pub enum Answer {
    /// Nothing to show.
    Void,
    /// Rows.
    Rows(Rows),
    /// The keyspace that is now in use.
    SetKeyspace(String),
    /// A statement was prepared.
    Prepared(Prepared),
    /// The schema changed: change, target, options.
    SchemaChange(Vec<String>),
}

/// A prepared statement.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its id.
    pub id: Vec<u8>,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// Name, or alias.
    pub name: String,
    /// The type's id, without what parametrizes it.
    pub type_id: u16,
}

/// Rows of a result, values as bytes.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Vec<Option<Vec<u8>>>>,
    /// How to ask for the next page.
    pub paging_state: Option<Vec<u8>>,
}

impl Rows {
    /// A column as texts; nulls are empty.
    pub fn texts(&self, column: &str) -> Vec<String> {
        let Some(at) = self.columns.iter().position(|c| c.name == column) else { return Vec::new() };
        self.rows
            .iter()
            .map(|row| {
                String::from_utf8_lossy(row.get(at).and_then(Option::as_deref).unwrap_or_default()).into()
            })
            .collect()
    }
}

impl Answer {
    /// The rows; none if it is another kind of result.
    pub fn rows(self) -> Rows {
        if let Self::Rows(rows) = self { rows } else { Rows::default() }
    }
}

impl fmt::Display for CqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { code, message } => write!(f, "{code:#06x}: {message}"),
            Self::Closed => f.write_str("the connection was closed"),
            Self::Other(trouble) => trouble.fmt(f),
        }
    }
}

impl std::error::Error for CqlError {}

impl From<Trouble> for CqlError {
    fn from(trouble: Trouble) -> Self {
        Self::Other(trouble)
    }
}

impl From<CqlError> for Trouble {
    fn from(error: CqlError) -> Self {
        match error {
            CqlError::Other(trouble) => trouble,
            other => Self::new(other.to_string()),
        }
    }
}

impl CqlError {
    /// The server's code, if it said one.
    pub fn code(&self) -> Option<u32> {
        if let Self::Server { code, .. } = self { Some(*code) } else { None }
    }
}

impl Cql {
    /// Connects and logs in, protocol v4.
    pub async fn connect(addr: SocketAddr, user: &str, password: &str) -> Result<Self> {
        let peer = Peer::connect(addr).await?;
        Self::log_in(peer, 4, user, password).await.map_err(Trouble::from)
    }

    /// Logs in over a connection that is there already.
    pub async fn log_in(mut peer: Peer, version: u8, user: &str, password: &str) -> Result<Self, CqlError> {
        let answer = peer.log_in(version, user, password).await?.ok_or(CqlError::Closed)?;
        match answer.opcode {
            opcode::READY | opcode::AUTH_SUCCESS => Ok(Self { peer, version, stream: 0 }),
            _ => Err(result(&answer).err().unwrap_or(CqlError::Closed)),
        }
    }

    /// The connection itself.
    pub fn peer(&mut self) -> &mut Peer {
        &mut self.peer
    }

    /// Runs one statement.
    pub async fn query(&mut self, text: &str) -> Result<Answer, CqlError> {
        self.ask(opcode::QUERY, Body::query(text)).await
    }

    /// Runs one statement and returns its rows.
    pub async fn rows(&mut self, text: &str) -> Result<Rows, CqlError> {
        Ok(self.query(text).await?.rows())
    }

    /// Prepares a statement.
    pub async fn prepare(&mut self, text: &str) -> Result<Prepared, CqlError> {
        match self.ask(opcode::PREPARE, Body::new().long_string(text)).await? {
            Answer::Prepared(prepared) => Ok(prepared),
            other => Err(Trouble::new(format!("PREPARE was answered by {other:?}")).into()),
        }
    }

    /// Executes a prepared statement.
    pub async fn execute(
        &mut self,
        prepared: &Prepared,
        values: &[Option<&[u8]>],
    ) -> Result<Answer, CqlError> {
        self.ask(opcode::EXECUTE, Body::execute(&prepared.id, values)).await
    }

    /// Sends one request, on a stream id of its own, and reads its result.
    pub async fn ask(&mut self, opcode: u8, body: impl Into<Vec<u8>>) -> Result<Answer, CqlError> {
        self.stream = (self.stream + 1) % 1000;
        let request = Envelope::request(self.stream, opcode, body).version(self.version);
        self.peer.envelope(&request).await?;
        loop {
            let answer = self.peer.next().await?.ok_or(CqlError::Closed)?;
            if answer.stream == self.stream {
                return result(&answer);
            }
            if answer.stream >= 0 {
                return Err(Trouble::new(format!("an answer came on stream {}", answer.stream)).into());
            }
        }
    }
}

/// Reads a RESULT or ERROR.
pub(super) fn result(envelope: &Envelope) -> Result<Answer, CqlError> {
    let mut body = Reader::new(&envelope.body);
    if envelope.flags & flag::TRACING != 0 {
        body.take(16)?;
    }
    if envelope.flags & flag::WARNING != 0 {
        body.string_list()?;
    }
    if envelope.flags & flag::CUSTOM_PAYLOAD != 0 {
        for _ in 0..body.short()? {
            body.string()?;
            body.bytes()?;
        }
    }
    match envelope.opcode {
        opcode::ERROR => {
            let code = body.int()?.cast_unsigned();
            Err(CqlError::Server { code, message: body.string()? })
        }
        opcode::RESULT => Ok(match body.int()? {
            1 => Answer::Void,
            2 => Answer::Rows(rows(&mut body)?),
            3 => Answer::SetKeyspace(body.string()?),
            4 => Answer::Prepared(Prepared { id: body.short_bytes()?.to_vec() }),
            5 => {
                let mut words = vec![body.string()?, body.string()?, body.string()?];
                match words.get(1).map(String::as_str) {
                    Some("KEYSPACE") => {}
                    Some("FUNCTION" | "AGGREGATE") => {
                        words.push(body.string()?);
                        words.extend(body.string_list()?);
                    }
                    _ => words.push(body.string()?),
                }
                Answer::SchemaChange(words)
            }
            kind => return Err(Trouble::new(format!("a result of kind {kind}")).into()),
        }),
        other => Err(Trouble::new(format!("an answer with opcode {other:#04x}")).into()),
    }
}

fn rows(body: &mut Reader<'_>) -> Result<Rows> {
    let flags = body.int()?;
    let count = body.count()?;
    let paging_state = if flags & 2 != 0 { body.bytes()?.map(<[u8]>::to_vec) } else { None };
    let mut columns = Vec::new();
    if flags & 4 == 0 {
        let global = if flags & 1 != 0 { Some((body.string()?, body.string()?)) } else { None };
        for _ in 0..count {
            let (keyspace, table) = match &global {
                Some(spec) => spec.clone(),
                None => (body.string()?, body.string()?),
            };
            let name = body.string()?;
            columns.push(Column { keyspace, table, name, type_id: skip_type(body)? });
        }
    }
    let mut rows = Vec::new();
    for _ in 0..body.count()? {
        let row: Result<Vec<_>> = (0..count).map(|_| Ok(body.bytes()?.map(<[u8]>::to_vec))).collect();
        rows.push(row?);
    }
    Ok(Rows { columns, rows, paging_state })
}

/// Reads an `[option]` of a type; returns its id.
fn skip_type(body: &mut Reader<'_>) -> Result<u16> {
    let id = body.short()?;
    match id {
        0x00 => {
            body.string()?;
        }
        0x20 | 0x22 => {
            skip_type(body)?;
        }
        0x21 => {
            skip_type(body)?;
            skip_type(body)?;
        }
        0x30 => {
            body.string()?;
            body.string()?;
            for _ in 0..body.short()? {
                body.string()?;
                skip_type(body)?;
            }
        }
        0x31 => {
            for _ in 0..body.short()? {
                skip_type(body)?;
            }
        }
        _ => {}
    }
    Ok(id)
}
