//! A small client of the native protocol over one logged-in stream: requests from many tasks at once, told
//! apart by their stream ids, and the node's events.
//!
//! ```text
//! ask() ── bytes ──> writer task ──> node
//!   ^                                 │
//!   └── answer ───── reader task <────┘
//!                        └── events ──> the control task
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cqlgate_protocol::wire::client::{self, Consistency, Query};
use cqlgate_protocol::wire::response::{ColumnType, Event, Response, ResultBody, Rows};
use cqlgate_protocol::wire::{Header, Version, WireError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::envelope::{self, EnvelopeError};
use super::stream::Stream;
use super::values::Row;
use crate::config::limits;

/// Requests without an answer at the same moment.
const IN_FLIGHT: usize = 256;
/// Rows of one page: of the widest schema table that is half a mebibyte.
const PAGE: i32 = 5000;
/// Pages of one query; a node may send small ones, but not for ever.
const PAGES: usize = 10_000;

/// Why a request of the gateway's own got no good answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection is gone.
    #[error("the connection to the node is gone: {0}")]
    Closed(Arc<str>),
    /// No answer in time.
    #[error("the node did not answer within {0:?}")]
    Timeout(Duration),
    /// Too many requests wait for their answers.
    #[error("{IN_FLIGHT} requests wait for their answers")]
    Busy,
    /// The answer is longer than [`limits::ENVELOPE`].
    #[error("the node's answer is too long")]
    TooLong,
    /// The answer is not well-formed, or not one to this request.
    #[error("the node's answer cannot be read: {0}")]
    Malformed(#[from] WireError),
    /// The node answered with an error.
    #[error("the node answered error 0x{code:04X}: {message}")]
    Node {
        /// The code.
        code: u32,
        /// The text.
        message: String,
    },
}

/// What a query returned, all pages of it.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Names and types.
    pub(super) columns: Vec<(String, ColumnType)>,
    /// Values, `None` for null.
    pub(super) rows: Vec<Vec<Option<Vec<u8>>>>,
}

/// The client. Clones share the connection; it closes when the last one is dropped.
#[derive(Clone)]
pub(super) struct Client(Arc<Inner>);

struct Inner {
    writes: mpsc::Sender<Vec<u8>>,
    waiting: Arc<Waiting>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

type Answer = Result<(Header, Vec<u8>), ClientError>;

/// Who waits for which stream id. An id whose asker gave up stays taken until its answer has come.
#[derive(Default)]
struct Waiting(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    by_stream: HashMap<i16, oneshot::Sender<Answer>>,
    next: i16,
    closed: Option<Arc<str>>,
}

impl Client {
    /// Takes over a stream that is READY; the other half is its events. When the connection is gone, the
    /// events end.
    pub(super) fn new(stream: Stream) -> (Self, mpsc::Receiver<Event>) {
        let (read, write) = tokio::io::split(stream);
        let (events, receive_events) = mpsc::channel(limits::CONTROL_EVENTS);
        let (writes, receive_writes) = mpsc::channel(IN_FLIGHT);
        let waiting = Arc::new(Waiting::default());
        let tasks = [
            tokio::spawn(write_requests(write, receive_writes, waiting.clone())),
            tokio::spawn(read_answers(read, events, waiting.clone())),
        ];
        (Self(Arc::new(Inner { writes, waiting, tasks })), receive_events)
    }

    /// One request, whose envelope `build` makes for a stream id, and its answer.
    async fn ask(&self, build: impl FnOnce(i16) -> Vec<u8>, within: Duration) -> Answer {
        let exchange = async {
            let (give, take) = oneshot::channel();
            let stream = self.0.waiting.enter(give)?;
            // The writer only ends with the connection; then `take` hears why.
            let _ = self.0.writes.send(build(stream)).await;
            take.await.unwrap_or_else(|_| Err(ClientError::Closed("closing".into())))
        };
        timeout(within, exchange).await.unwrap_or(Err(ClientError::Timeout(within)))
    }

    /// OPTIONS: what the node supports.
    pub(super) async fn options(&self, within: Duration) -> Result<Vec<(String, Vec<String>)>, ClientError> {
        let (header, body) = self.ask(|stream| client::options(Version::V4, stream), within).await?;
        match Response::parse(&header, &body)? {
            Response::Supported(options) => Ok(options
                .into_iter()
                .map(|(key, values)| (key.to_owned(), values.into_iter().map(str::to_owned).collect()))
                .collect()),
            other => Err(unexpected(&other)),
        }
    }

    /// REGISTER.
    pub(super) async fn register(&self, events: &[&str]) -> Result<(), ClientError> {
        let (header, body) =
            self.ask(|stream| client::register(Version::V4, stream, events), limits::CONTROL_QUERY).await?;
        match Response::parse(&header, &body)? {
            Response::Ready => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// All rows of a query.
    pub(super) async fn query(&self, text: &str, values: &[&[u8]]) -> Result<Table, ClientError> {
        let mut all = Table::default();
        self.pages(text, values, |page| {
            for row in &page {
                all.rows.push(row?.into_iter().map(|value| value.map(<[u8]>::to_vec)).collect());
            }
            all.columns = page.columns.into_iter().map(|column| (column.name, column.ty)).collect();
            Ok(())
        })
        .await?;
        Ok(all)
    }

    /// Shows all rows of a query, of which no more than a page is held.
    pub(super) async fn each_row(
        &self,
        text: &str,
        values: &[&[u8]],
        mut each: impl FnMut(&Row<'_>) -> Result<(), WireError> + Send,
    ) -> Result<(), ClientError> {
        self.pages(text, values, |page| page.iter().try_for_each(|row| each(&row?))).await
    }

    async fn pages(
        &self,
        text: &str,
        values: &[&[u8]],
        mut each: impl FnMut(Rows<'_>) -> Result<(), WireError> + Send,
    ) -> Result<(), ClientError> {
        let mut state: Option<Vec<u8>> = None;
        let mut count = 0;
        for _ in 0..PAGES {
            let query = Query {
                consistency: Consistency::One,
                values,
                page_size: PAGE,
                paging_state: state.as_deref(),
            };
            let (header, body) = self
                .ask(|stream| client::query(Version::V4, stream, text, &query), limits::CONTROL_QUERY)
                .await?;
            let page = rows_of(&header, &body)?;
            count += page.len();
            if count > limits::CONTROL_ROWS {
                return Err(ClientError::TooLong);
            }
            let next = page.paging_state.map(<[u8]>::to_vec);
            each(page)?;
            // A paging state that does not move would go on for ever.
            if next.is_some() && next == state {
                return Err(WireError::Invalid("a paging state that stays the same".into()).into());
            }
            match next {
                Some(next) => state = Some(next),
                None => return Ok(()),
            }
        }
        Err(ClientError::TooLong)
    }

    /// One page of a query, and where the next one starts.
    pub(super) async fn page(
        &self,
        text: &str,
        values: &[&[u8]],
        page_size: i32,
        paging_state: Option<&[u8]>,
        within: Duration,
    ) -> Result<(Table, Option<Vec<u8>>), ClientError> {
        let query = Query { consistency: Consistency::One, values, page_size, paging_state };
        self.rows(text, &query, within).await
    }

    /// The first page of a query of tables that the nodes share.
    pub(super) async fn at_quorum(
        &self,
        text: &str,
        values: &[&[u8]],
        within: Duration,
    ) -> Result<Table, ClientError> {
        let consistency = Consistency::LocalQuorum;
        let query = Query { consistency, values, page_size: PAGE, paging_state: None };
        Ok(self.rows(text, &query, within).await?.0)
    }

    async fn rows(
        &self,
        text: &str,
        query: &Query<'_>,
        within: Duration,
    ) -> Result<(Table, Option<Vec<u8>>), ClientError> {
        let (header, body) =
            self.ask(|stream| client::query(Version::V4, stream, text, query), within).await?;
        let rows = rows_of(&header, &body)?;
        let mut table = Table::default();
        for row in &rows {
            table.rows.push(row?.into_iter().map(|value| value.map(<[u8]>::to_vec)).collect());
        }
        let next = rows.paging_state.map(<[u8]>::to_vec);
        table.columns = rows.columns.into_iter().map(|column| (column.name, column.ty)).collect();
        Ok((table, next))
    }
}

fn rows_of<'a>(header: &Header, body: &'a [u8]) -> Result<Rows<'a>, ClientError> {
    match Response::parse(header, body)? {
        Response::Result(ResultBody::Rows(rows)) => Ok(rows),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(response: &Response<'_>) -> ClientError {
    match response {
        Response::Error(error) => ClientError::Node { code: error.code, message: error.message.to_owned() },
        _ => WireError::Invalid("an answer of another kind than was asked for".into()).into(),
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, give: oneshot::Sender<Answer>) -> Result<i16, ClientError> {
        let mut slots = self.lock();
        if let Some(reason) = &slots.closed {
            return Err(ClientError::Closed(reason.clone()));
        }
        if slots.by_stream.len() >= IN_FLIGHT {
            return Err(ClientError::Busy);
        }
        // At most IN_FLIGHT ids are taken, so this ends.
        while slots.by_stream.contains_key(&slots.next) {
            slots.next = slots.next.checked_add(1).unwrap_or(0);
        }
        let stream = slots.next;
        slots.next = stream.checked_add(1).unwrap_or(0);
        slots.by_stream.insert(stream, give);
        Ok(stream)
    }

    /// False: nobody ever asked this.
    fn answer(&self, stream: i16, answer: Answer) -> bool {
        match self.lock().by_stream.remove(&stream) {
            Some(give) => {
                // Whoever gave up does not hear it.
                let _ = give.send(answer);
                true
            }
            None => false,
        }
    }

    fn close(&self, reason: &str) {
        let mut slots = self.lock();
        let reason = slots.closed.get_or_insert_with(|| reason.into()).clone();
        for (_, give) in slots.by_stream.drain() {
            let _ = give.send(Err(ClientError::Closed(reason.clone())));
        }
    }
}

async fn write_requests(
    mut to: WriteHalf<Stream>,
    mut requests: mpsc::Receiver<Vec<u8>>,
    waiting: Arc<Waiting>,
) {
    while let Some(request) = requests.recv().await {
        let written = async {
            to.write_all(&request).await?;
            to.flush().await
        };
        if let Err(error) = written.await {
            waiting.close(&error.to_string());
            return;
        }
    }
}

async fn read_answers(mut from: ReadHalf<Stream>, events: mpsc::Sender<Event>, waiting: Arc<Waiting>) {
    let reason = loop {
        if let Err(error) = read_answer(&mut from, &events, &waiting).await {
            break error.to_string();
        }
    };
    waiting.close(&reason);
}

async fn read_answer(
    from: &mut ReadHalf<Stream>,
    events: &mpsc::Sender<Event>,
    waiting: &Waiting,
) -> Result<(), EnvelopeError> {
    let header = envelope::read_header(from).await?;
    if header.known_version() != Some(Version::V4) {
        return Err(WireError::Invalid("a response of another version".into()).into());
    }
    if header.body_length(limits::ENVELOPE).is_none()
        && let Some(length) = header.body_length(limits::CONTROL_SKIP)
    {
        // Too much for us, but no reason to give up the connection.
        let skipped = tokio::io::copy(&mut from.take(length as u64), &mut tokio::io::sink()).await?;
        if skipped == length as u64 && waiting.answer(header.stream, Err(ClientError::TooLong)) {
            return Ok(());
        }
        return Err(EnvelopeError::Length(header.length));
    }
    let body = envelope::read_body(from, &header, limits::ENVELOPE).await?;
    if header.stream < 0 {
        if let Response::Event(event) = Response::parse(&header, &body)? {
            // A reader that is this far behind starts again from the whole schema.
            return events
                .try_send(event)
                .map_err(|_| WireError::Invalid("more events than can be followed".into()).into());
        }
        return Err(WireError::Invalid("a response on a negative stream id that is no event".into()).into());
    }
    if waiting.answer(header.stream, Ok((header, body))) {
        Ok(())
    } else {
        Err(WireError::Invalid(format!("an answer on stream {} that nobody asked for", header.stream)).into())
    }
}

#[cfg(test)]
mod tests {
    use cqlgate_protocol::wire::response::{self, Change, RowSet, SchemaChange, Target};
    use cqlgate_protocol::wire::{Opcode, Reader};
    use tokio::net::TcpStream;

    use super::super::stub::{Asked, Does, Stub};
    use super::*;

    const SOON: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(30);

    async fn client(
        script: impl Fn(&Asked) -> Does + Send + Sync + 'static,
    ) -> (Stub, Client, mpsc::Receiver<Event>) {
        let stub = Stub::start(script).await;
        let stream = Stream::Plain(TcpStream::connect(stub.address).await.unwrap());
        let (client, events) = Client::new(stream);
        (stub, client, events)
    }

    fn rows(asked: &Asked, values: &[&str], next: Option<&[u8]>) -> Vec<u8> {
        let set = RowSet { keyspace: "k", table: "t", columns: &[("a", &ColumnType::VARCHAR)] };
        let rows: Vec<_> = values.iter().map(|value| vec![Some(value.as_bytes().to_vec())]).collect();
        let whole = response::rows(asked.version, asked.stream, &set, &rows, true);
        let Some(next) = next else { return whole };
        // The same with a paging state: the flag is the lowest byte of the second int of the body.
        let mut body = whole[HEAD..].to_vec();
        body[7] |= 0x02;
        let mut state = u32::try_from(next.len()).unwrap().to_be_bytes().to_vec();
        state.extend_from_slice(next);
        body.splice(12..12, state);
        let mut bytes = Header::encode(0x84, 0, asked.stream, Opcode::Result.byte(), body.len()).to_vec();
        bytes.extend(body);
        bytes
    }

    const HEAD: usize = cqlgate_protocol::wire::HEADER_LENGTH;

    #[tokio::test]
    async fn pages_are_put_together() {
        let (_stub, client, _events) = client(|asked| {
            let mut reader = Reader::new(&asked.body);
            assert_eq!(reader.long_string(), Ok("SELECT a FROM k.t"));
            let (_, flags, size) = (reader.short().unwrap(), reader.byte().unwrap(), reader.int().unwrap());
            assert_eq!(size, PAGE);
            if flags & 0x08 == 0 {
                Does::Say(rows(asked, &["x", "y"], Some(b"more")))
            } else {
                assert_eq!(reader.bytes(), Ok(Some(&b"more"[..])));
                Does::Say(rows(asked, &["z"], None))
            }
        })
        .await;
        let table = client.query("SELECT a FROM k.t", &[]).await.unwrap();
        assert_eq!(table.columns, [("a".to_owned(), ColumnType::VARCHAR)]);
        assert_eq!(table.rows.concat(), ["x", "y", "z"].map(|v| Some(v.as_bytes().to_vec())));
    }

    #[tokio::test]
    async fn a_paging_state_that_stays_is_refused() {
        let (_stub, client, _events) = client(|asked| Does::Say(rows(asked, &[], Some(b"same")))).await;
        assert!(matches!(client.query("SELECT", &[]).await, Err(ClientError::Malformed(_))));
    }

    #[tokio::test]
    async fn answers_find_their_askers_in_any_order() {
        // The first request is answered behind the second one.
        let first = Mutex::new(None);
        let (_stub, client, _events) = client(move |asked| {
            let text = Reader::new(&asked.body).long_string().unwrap().to_owned();
            let answer = rows(asked, &[&text], None);
            if text == "first" {
                *first.lock().unwrap() = Some(answer);
                Does::Stall
            } else {
                let mut both = answer;
                both.extend(first.lock().unwrap().take().unwrap());
                Does::Say(both)
            }
        })
        .await;
        let (first, second) = tokio::join!(client.query("first", &[]), client.query("second", &[]));
        assert_eq!(first.unwrap().rows.concat(), [Some(b"first".to_vec())]);
        assert_eq!(second.unwrap().rows.concat(), [Some(b"second".to_vec())]);
    }

    #[tokio::test]
    async fn an_error_is_an_error_and_the_connection_lives() {
        use cqlgate_protocol::wire::ErrorCode;
        let (_stub, client, _events) = client(|asked| match asked.opcode {
            Opcode::Query => {
                Does::Say(response::error(asked.version, asked.stream, ErrorCode::Unauthorized, "no"))
            }
            _ => Does::AsANode,
        })
        .await;
        let error = client.query("SELECT", &[]).await.unwrap_err();
        assert!(matches!(error, ClientError::Node { code: 0x2100, .. }), "{error}");
        let options = client.options(SOON).await.unwrap();
        assert!(options.iter().any(|(key, _)| key == "PROTOCOL_VERSIONS"));
    }

    #[tokio::test]
    async fn a_late_answer_is_not_taken_for_another() {
        let (stub, client, _events) = client(|asked| match asked.opcode {
            Opcode::Query => Does::Stall,
            _ => Does::AsANode,
        })
        .await;
        let error = client.page("SELECT", &[], 1, None, SHORT).await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout(_)));
        // The late answer comes on stream 0, which stays taken until then.
        stub.say(response::void(Version::V4, 0));
        assert!(client.options(SOON).await.is_ok());
    }

    #[tokio::test]
    async fn what_nobody_asked_for_ends_the_connection() {
        for bytes in [
            response::void(Version::V4, 77),
            response::void(Version::V4, -1),
            response::ready(Version::V3, 0),
            b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
            Header::encode(0x84, 0, 0, 8, usize::MAX).to_vec(),
        ] {
            let (stub, client, mut events) = client(|_| Does::Stall).await;
            let asking = client.options(SOON);
            tokio::pin!(asking);
            // The connection is there when the request has been written.
            assert!(timeout(SHORT, asking.as_mut()).await.is_err());
            stub.say(bytes);
            assert!(matches!(asking.await, Err(ClientError::Closed(_))));
            assert!(timeout(SOON, events.recv()).await.unwrap().is_none());
            assert!(matches!(client.options(SOON).await, Err(ClientError::Closed(_))));
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_skipped() {
        let (_stub, client, _events) = client(|asked| match asked.opcode {
            Opcode::Query => {
                let length = limits::ENVELOPE + 1;
                let mut bytes = Header::encode(0x84, 0, asked.stream, 8, length).to_vec();
                bytes.resize(bytes.len() + length, 0);
                Does::Say(bytes)
            }
            _ => Does::AsANode,
        })
        .await;
        assert!(matches!(client.query("SELECT", &[]).await, Err(ClientError::TooLong)));
        assert!(client.options(SOON).await.is_ok());
    }

    #[tokio::test]
    async fn events_arrive_beside_answers() {
        let (stub, client, mut events) = client(|_| Does::AsANode).await;
        client.register(&["SCHEMA_CHANGE"]).await.unwrap();
        let change = SchemaChange { change: Change::Created, keyspace: "k".into(), target: Target::Keyspace };
        stub.say(response::schema_change_event(Version::V4, &change));
        assert_eq!(timeout(SOON, events.recv()).await.unwrap(), Some(Event::Schema(change)));
        drop(stub);
        assert_eq!(timeout(SOON, events.recv()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn requests_without_answers_are_bounded() {
        let (_stub, client, _events) = client(|_| Does::Stall).await;
        let mut asking: Vec<_> = (0..IN_FLIGHT).map(|_| Box::pin(client.options(SOON))).collect();
        for asking in &mut asking {
            assert!(timeout(Duration::ZERO, asking.as_mut()).await.is_err());
        }
        assert!(matches!(client.options(SOON).await, Err(ClientError::Busy)));
    }
}
