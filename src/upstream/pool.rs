//! The warm pool: connections that are logged in and wait for a session, and the leases of them.
//!
//! ```text
//!              dial tasks (at most UPSTREAM_LOG_INS)
//!                │ logged in
//!                v
//!   lease() <── somebody waits? ── yes: handed over
//!                │ no
//!                v
//!              idle, watched by one task: closed, disturbed or too old -> dropped, and refilled
//!                ^
//!                └── Lease::release_clean
//! ```
//!
//! One pool for each protocol version. Sessions never dial themselves: a session that gives up waiting
//! leaves a half-done log-in to the next one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use cqlgate_protocol::wire::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::backoff::{Backoff, jittered};
use super::connect::{ConnectError, Connected, Connector};
use super::stream::Stream;
use crate::config::limits;
use crate::metrics::{ClusterMetrics, Held};

/// Why there is no lease. The session closes its client's connection, so that the driver tries again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LeaseError {
    /// No connection could be made.
    #[error("no connection to the cluster: {0}")]
    Connect(Arc<ConnectError>),
    /// None came within [`limits::LEASE`]; said by those who bound their wait.
    #[error("no connection to the cluster within {:?}", limits::LEASE)]
    TimedOut,
    /// The cluster is being shut down on our side.
    #[error("the gateway lets go of the cluster")]
    Closed,
}

/// Warm connections of one protocol version.
pub(super) struct Pool {
    inner: Arc<Inner>,
    watch: JoinHandle<()>,
}

struct Inner {
    connector: Arc<Connector>,
    version: Version,
    metrics: Arc<ClusterMetrics>,
    state: Mutex<State>,
    /// The idle ones or the demand changed: the watch looks again.
    changed: Notify,
}

struct State {
    idle: VecDeque<Idle>,
    waiting: VecDeque<oneshot::Sender<Result<Connected, LeaseError>>>,
    /// Dial tasks that run.
    dialing: usize,
    /// How many idle ones there should be.
    target: usize,
    backoff: Backoff,
    /// No dial before this moment.
    not_before: Instant,
    /// How many idle ones the gauge counts.
    counted: usize,
    /// What the last dial failed of, if it failed.
    failure: Option<Arc<ConnectError>>,
}

struct Idle {
    connected: Connected,
    expires: Instant,
}

impl Pool {
    /// A pool that holds nothing until the first lease, or until it is told to keep something warm.
    pub(super) fn new(connector: Arc<Connector>, version: Version, metrics: Arc<ClusterMetrics>) -> Self {
        let state = State {
            idle: VecDeque::new(),
            waiting: VecDeque::new(),
            dialing: 0,
            target: 0,
            backoff: Backoff::new(limits::UPSTREAM_BACKOFF_FIRST, limits::UPSTREAM_BACKOFF_LONGEST),
            not_before: Instant::now(),
            counted: 0,
            failure: None,
        };
        let (state, changed) = (Mutex::new(state), Notify::new());
        let inner = Arc::new(Inner { connector, version, metrics, state, changed });
        let watch = tokio::spawn(watch(inner.clone()));
        Self { inner, watch }
    }

    /// Keeps this many connections warm from now on.
    pub(super) fn keep_warm(&self, target: usize) {
        let mut state = self.inner.lock();
        if state.target != target {
            state.target = target;
            self.inner.dial(&mut state);
        }
    }

    /// A connection for one session.
    pub(super) async fn lease(&self) -> Result<Lease, LeaseError> {
        let metrics = &self.inner.metrics;
        let handed_over = {
            let mut state = self.inner.lock();
            while let Some(mut idle) = state.idle.pop_front() {
                if idle.is_good() {
                    self.inner.count(&mut state);
                    self.inner.dial(&mut state);
                    return Ok(Lease::new(idle.connected, &self.inner));
                }
            }
            // A refused account is not tried again for each session that comes.
            if let Some(failure) = &state.failure
                && failure.is_refusal()
                && Instant::now() < state.not_before
            {
                return Err(LeaseError::Connect(failure.clone()));
            }
            let (give, take) = oneshot::channel();
            // Those who gave up waiting are no demand.
            state.waiting.retain(|waiting| !waiting.is_closed());
            state.waiting.push_back(give);
            self.inner.dial(&mut state);
            take
        };
        metrics.leases_waited.inc();
        let mut given_up = GivenUp(Some(metrics));
        let connected = handed_over.await;
        given_up.0 = None;
        Ok(Lease::new(connected.map_err(|_| LeaseError::Closed)??, &self.inner))
    }

    /// Warm connections at this moment.
    pub(super) fn warm(&self) -> usize {
        self.inner.lock().idle.len()
    }

    /// What the last dial failed of, if nothing has worked since.
    pub(super) fn failure(&self) -> Option<Arc<ConnectError>> {
        self.inner.lock().failure.clone()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a dial task if there is demand that no running one will meet. Those who wait are dialled for
    /// by as many as may log in at once; the warm stock is filled one by one.
    fn dial(self: &Arc<Self>, state: &mut State) {
        while state.wants_dial() {
            state.dialing += 1;
            tokio::spawn(dial(Dialing(Arc::downgrade(self))));
        }
    }

    /// Somebody waits: theirs. Else it becomes idle.
    fn take_in(&self, mut connected: Connected) {
        let mut state = self.lock();
        while let Some(waiting) = state.waiting.pop_front() {
            match waiting.send(Ok(connected)) {
                Err(Ok(back)) => connected = back,
                Ok(()) | Err(Err(_)) => return,
            }
        }
        let expires = Instant::now() + jittered(limits::WARM_AGE);
        state.idle.push_back(Idle { connected, expires });
        self.count(&mut state);
        drop(state);
        self.changed.notify_one();
    }

    fn succeeded(&self, connected: Connected) {
        let mut state = self.lock();
        state.backoff.reset();
        state.not_before = Instant::now();
        state.failure = None;
        drop(state);
        self.take_in(connected);
    }

    fn failed(&self, failure: ConnectError) {
        let failure = Arc::new(failure);
        let mut state = self.lock();
        let wait = if failure.is_refusal() {
            jittered(limits::UPSTREAM_REFUSED_PAUSE * 2)
        } else {
            state.backoff.failed()
        };
        state.not_before = Instant::now() + wait;
        state.failure = Some(failure.clone());
        for waiting in state.waiting.drain(..) {
            // Who does not wait any more does not hear it.
            let _ = waiting.send(Err(LeaseError::Connect(failure.clone())));
        }
    }

    /// Drops what is too old; returns when the next one will be.
    fn expire(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        state.idle.retain(|idle| idle.expires > now);
        self.count(&mut state);
        state.idle.iter().map(|idle| idle.expires).min()
    }

    /// Ready as soon as an idle connection was closed or disturbed; it has been dropped then.
    fn poll_disturbed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        let before = state.idle.len();
        state.idle.retain_mut(|idle| idle.connected.stream.poll_disturbed(cx).is_pending());
        self.count(&mut state);
        if state.idle.len() < before { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Both pools of a cluster count in one gauge.
    fn count(&self, state: &mut State) {
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.metrics.warm_connections.inc_by(gauge(state.idle.len()) - gauge(state.counted));
        state.counted = state.idle.len();
    }
}

impl State {
    fn wants_dial(&self) -> bool {
        let missing = self.waiting.len() + self.target.saturating_sub(self.idle.len());
        let at_once = if self.waiting.is_empty() { 1 } else { limits::UPSTREAM_LOG_INS };
        self.dialing < missing.min(at_once)
    }
}

impl Idle {
    fn is_good(&mut self) -> bool {
        self.expires > Instant::now() && self.connected.stream.is_quiet()
    }
}

/// Keeps the idle ones honest and the stock full, until the pool is dropped.
async fn watch(inner: Arc<Inner>) {
    loop {
        let next = inner.expire();
        inner.dial(&mut inner.lock());
        let age = async {
            match next {
                Some(moment) => sleep_until(moment).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = inner.changed.notified() => {}
            () = std::future::poll_fn(|cx| inner.poll_disturbed(cx)) => {}
            () = age => {}
        }
    }
}

/// One dial task is counted for as long as this lives.
struct Dialing(Weak<Inner>);

impl Drop for Dialing {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.lock().dialing -= 1;
            // Demand that came while this one ended.
            inner.changed.notify_one();
        }
    }
}

/// Dials until there is no demand, or no pool.
async fn dial(me: Dialing) {
    loop {
        let (connector, version, not_before) = {
            let Some(inner) = me.0.upgrade() else { return };
            let mut state = inner.lock();
            state.waiting.retain(|waiting| !waiting.is_closed());
            // This task itself is not to be counted.
            state.dialing -= 1;
            let wanted = state.wants_dial();
            state.dialing += 1;
            if !wanted {
                return;
            }
            (inner.connector.clone(), inner.version, state.not_before)
        };
        sleep_until(not_before).await;
        let result = connector.connect(version).await;
        let Some(inner) = me.0.upgrade() else { return };
        match result {
            Ok(connected) => inner.succeeded(connected),
            Err(failure) => inner.failed(failure),
        }
    }
}

/// Counts a session that stops waiting before a connection came.
struct GivenUp<'a>(Option<&'a ClusterMetrics>);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(metrics) = self.0 {
            metrics.leases_timed_out.inc();
        }
    }
}

/// One upstream connection, logged in with the service account, owned by one session. Dropping it closes
/// it; [`Lease::release_clean`] gives it back.
pub struct Lease {
    connected: Connected,
    home: Weak<Inner>,
    counted: Counted,
}

/// A lease in the metrics, from its begin to its end.
struct Counted {
    metrics: Arc<ClusterMetrics>,
    returned: bool,
    _held: Held,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let metrics = &self.metrics;
        if self.returned {
            metrics.leases_returned.inc()
        } else {
            metrics.leases_closed.inc()
        };
    }
}

impl Lease {
    fn new(connected: Connected, home: &Arc<Inner>) -> Self {
        let metrics = home.metrics.clone();
        metrics.leases_taken.inc();
        let held = Held::new(&metrics.leases_held);
        let counted = Counted { metrics, returned: false, _held: held };
        Self { connected, home: Arc::downgrade(home), counted }
    }

    /// Gives the connection back for another session. The caller promises that it is as good as new: no
    /// USE was forwarded, nothing is in flight, no envelope was written in part. Bytes that nobody has read
    /// are noticed here, and the connection is closed.
    pub fn release_clean(self) {
        let Self { mut connected, home, mut counted } = self;
        let Some(home) = home.upgrade() else { return };
        let wanted = {
            let state = home.lock();
            !state.waiting.is_empty() || state.idle.len() < state.target
        };
        if wanted && connected.stream.is_quiet() {
            counted.returned = true;
            home.take_in(connected);
        }
    }

    /// The node's address.
    pub const fn peer(&self) -> SocketAddr {
        self.connected.peer
    }

    /// The stream itself.
    pub const fn stream(&mut self) -> &mut Stream {
        &mut self.connected.stream
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lease({})", self.connected.peer)
    }
}

impl AsyncRead for Lease {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().connected.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Lease {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().connected.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().connected.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.connected.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().connected.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().connected.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cqlgate_protocol::wire::response::{self, Response, ResultBody};
    use cqlgate_protocol::wire::{ErrorCode, Header, Opcode, client};
    use tokio::io::AsyncWriteExt as _;
    use tokio::time::timeout;

    use super::super::connect::ConnectReason;
    use super::super::envelope;
    use super::super::secret::Secret;
    use super::super::stub::{Asked, Does, Stub, cluster};
    use super::*;
    use crate::metrics::Metrics;

    const SOON: Duration = Duration::from_secs(20);

    fn pool(stub: &Stub, warm: usize) -> Pool {
        let connector = Connector::new(&cluster(stub.address, warm), Secret::new("pw")).unwrap();
        let pool = Pool::new(Arc::new(connector), Version::V4, Metrics::new().cluster("stub"));
        pool.keep_warm(warm);
        pool
    }

    /// Waits until the pool holds exactly this many idle connections.
    async fn warm(pool: &Pool, n: usize) {
        timeout(SOON, async {
            while pool.warm() != n {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the warm stock never came to this size");
    }

    async fn use_keyspace(lease: &mut Lease) -> bool {
        lease.write_all(&client::prepare(Version::V4, 3, "x")).await.unwrap();
        let (header, body) = envelope::read(lease, 1000).await.unwrap();
        matches!(Response::parse(&header, &body), Ok(Response::Result(ResultBody::SetKeyspace("k"))))
    }

    fn answers_keyspace(asked: &Asked) -> Does {
        match asked.opcode {
            Opcode::Prepare => Does::Say(response::set_keyspace(asked.version, asked.stream, "k")),
            _ => Does::AsANode,
        }
    }

    #[tokio::test]
    async fn leases_come_from_the_warm_stock_which_is_filled_again() {
        let stub = Stub::start(answers_keyspace).await;
        let pool = pool(&stub, 2);
        warm(&pool, 2).await;
        let mut lease = pool.lease().await.unwrap();
        assert!(use_keyspace(&mut lease).await);
        assert_eq!(lease.peer(), stub.address);
        warm(&pool, 2).await;
        assert_eq!(stub.log_ins_so_far(), 3);
    }

    #[tokio::test]
    async fn a_clean_lease_goes_back_and_a_disturbed_one_does_not() {
        let stub = Stub::start(answers_keyspace).await;
        let pool = pool(&stub, 0);
        let mut first = pool.lease().await.unwrap();
        assert!(use_keyspace(&mut first).await);
        pool.keep_warm(1);
        warm(&pool, 1).await;
        let second = pool.lease().await.unwrap();
        warm(&pool, 1).await;
        pool.keep_warm(2);
        warm(&pool, 2).await;
        assert_eq!(stub.log_ins_so_far(), 4);
        // The stock is full: what comes back is closed.
        second.release_clean();
        assert_eq!(pool.warm(), 2);
        pool.keep_warm(3);
        warm(&pool, 3).await;
        pool.keep_warm(4);
        // An unread answer: not as good as new.
        first.write_all(&client::prepare(Version::V4, 3, "x")).await.unwrap();
        std::future::poll_fn(|cx| first.stream().poll_disturbed(cx)).await;
        let before = stub.log_ins_so_far();
        first.release_clean();
        warm(&pool, 4).await;
        assert_eq!(stub.log_ins_so_far(), before.max(6));
    }

    #[tokio::test]
    async fn many_who_wait_log_in_two_at_a_time() {
        let now = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (counted, highest) = (now.clone(), most.clone());
        let stub = Stub::start(move |asked| {
            use std::sync::atomic::Ordering::SeqCst;
            match asked.opcode {
                Opcode::Startup => {
                    highest.fetch_max(counted.fetch_add(1, SeqCst) + 1, SeqCst);
                }
                Opcode::AuthResponse => {
                    counted.fetch_sub(1, SeqCst);
                }
                _ => {}
            }
            Does::AsANode
        })
        .await;
        let pool = Arc::new(pool(&stub, 0));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..40 {
            let pool = pool.clone();
            tasks.spawn(async move { pool.lease().await.unwrap() });
        }
        let leases = timeout(SOON, tasks.join_all()).await.unwrap();
        assert_eq!((leases.len(), stub.log_ins_so_far()), (40, 40));
        assert!(most.load(std::sync::atomic::Ordering::SeqCst) <= limits::UPSTREAM_LOG_INS);
    }

    #[tokio::test]
    async fn what_a_node_closes_is_dropped_and_replaced() {
        let stub = Stub::start(answers_keyspace).await;
        let pool = pool(&stub, 3);
        warm(&pool, 3).await;
        stub.cut();
        timeout(SOON, stub.log_ins(6)).await.unwrap();
        warm(&pool, 3).await;
        assert!(use_keyspace(&mut pool.lease().await.unwrap()).await);
    }

    #[tokio::test]
    async fn a_refused_account_is_not_tried_in_a_loop() {
        let stub = Stub::start(|asked| match asked.opcode {
            Opcode::AuthResponse => {
                Does::Say(response::error(asked.version, asked.stream, ErrorCode::BadCredentials, "wrong"))
            }
            Opcode::Startup if asked.connection > 1 => panic!("tried again at once"),
            _ => Does::AsANode,
        })
        .await;
        let pool = pool(&stub, 0);
        for _ in 0..3 {
            let LeaseError::Connect(failure) = pool.lease().await.unwrap_err() else { panic!() };
            assert!(failure.is_refusal());
            assert!(failure.to_string().contains("refuses the service account: wrong"), "{failure}");
        }
        assert!(pool.failure().is_some());
    }

    #[tokio::test]
    async fn wrong_answers_at_log_in_are_failures() {
        type Script = fn(&Asked) -> Does;
        let cases: [(Script, &str); 8] = [
            (|a| Does::Say(response::auth_success(a.version, a.stream)), "unexpected answer"),
            (|a| Does::Say(response::ready(Version::V3, a.stream)), "unexpected answer"),
            (|a| Does::Say(response::ready(a.version, 7)), "unexpected answer"),
            (|_| Does::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "in no known way"),
            (|_| Does::Say(Header::encode(0x84, 0, 0, 2, 1 << 30).to_vec()), "1073741824 bytes"),
            (|_| Does::Say(Header::encode(0x84, 0, 0, 0x77, 0).to_vec()), "unknown opcode"),
            (|_| Does::Cut, "during log-in"),
            (
                |_| {
                    let text = "Invalid or unsupported protocol version (4); supported versions are (5/v5)";
                    let mut bytes = response::error(Version::V4, 0, ErrorCode::Protocol, text);
                    bytes[0] = 0x85;
                    Does::Say(bytes)
                },
                "0x000A: Invalid or unsupported protocol version",
            ),
        ];
        for (script, says) in cases {
            let stub = Stub::start(script).await;
            let failure = timeout(SOON, pool(&stub, 0).lease()).await.unwrap().unwrap_err();
            assert!(failure.to_string().contains(says), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_node_that_asks_for_no_password() {
        let stub = Stub::start(|a| match a.opcode {
            Opcode::Startup => Does::Say(response::ready(a.version, a.stream)),
            _ => answers_keyspace(a),
        })
        .await;
        let mut lease = pool(&stub, 0).lease().await.unwrap();
        assert!(!lease.connected.asked_for_password);
        assert!(use_keyspace(&mut lease).await);
    }

    #[tokio::test]
    async fn a_node_that_stalls_is_given_up() {
        let stub = Stub::start(|_| Does::Stall).await;
        let mut connector = Connector::new(&cluster(stub.address, 0), Secret::new("pw")).unwrap();
        connector.deadline = Duration::from_millis(20);
        let pool = Pool::new(Arc::new(connector), Version::V4, Metrics::new().cluster("stub"));
        let LeaseError::Connect(failure) = pool.lease().await.unwrap_err() else { panic!() };
        assert!(matches!(failure.reason, ConnectReason::Timeout(_)));
    }

    #[tokio::test]
    async fn the_next_contact_point_is_taken() {
        let stub = Stub::start(answers_keyspace).await;
        // A port that nobody listens on: bound, and not listening.
        let taken = tokio::net::TcpSocket::new_v4().unwrap();
        taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut of = cluster(stub.address, 0);
        of.contact_points.insert(0, taken.local_addr().unwrap().to_string());
        let connector = Connector::new(&of, Secret::new("pw")).unwrap();
        let pool = Pool::new(Arc::new(connector), Version::V4, Metrics::new().cluster("stub"));
        assert!(use_keyspace(&mut pool.lease().await.unwrap()).await);
    }

    #[tokio::test]
    async fn old_ones_are_replaced() {
        let stub = Stub::start(answers_keyspace).await;
        let pool = pool(&stub, 1);
        warm(&pool, 1).await;
        for idle in &mut pool.inner.lock().idle {
            assert!(idle.expires > Instant::now() + limits::WARM_AGE / 2);
            idle.expires = Instant::now();
        }
        pool.inner.changed.notify_one();
        timeout(SOON, stub.log_ins(2)).await.unwrap();
        warm(&pool, 1).await;
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_connection_to_the_next() {
        let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
        let stub = Stub::start(move |asked| match asked.opcode {
            Opcode::Startup => {
                started.send(asked.connection).unwrap();
                Does::Stall
            }
            _ => Does::AsANode,
        })
        .await;
        let pool = pool(&stub, 0);
        // Dropped at the end of its first poll's statement: it has waited, and given up.
        assert!(timeout(Duration::ZERO, pool.lease()).await.is_err());
        assert_eq!(starts.recv().await, Some(1));
        let next = pool.lease();
        tokio::pin!(next);
        assert!(timeout(Duration::ZERO, next.as_mut()).await.is_err());
        stub.say(response::authenticate(Version::V4, 0));
        timeout(SOON, next).await.unwrap().unwrap();
        assert!(starts.is_empty());
    }
}
