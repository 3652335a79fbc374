//! Every limit of the process, in one place, each with its reason.
//!
//! A limit that an operator may change stands in [`super::model::Limits`] and takes its default from here.

use std::time::Duration;

// === Before somebody is known ===

/// TCP accept to READY. A driver needs milliseconds; a stranger should not hold a socket for longer.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// The part of [`HANDSHAKE`] that TLS may take.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(5);
/// The body of one envelope before log-in: a token of 16 KiB, and room for what drivers say of themselves.
pub const HANDSHAKE_ENVELOPE: usize = 32 * 1024;
/// All bytes of one connection before log-in.
pub const HANDSHAKE_BYTES: usize = 64 * 1024;
/// Connections that have not logged in, all together.
pub const UNAUTHENTICATED: usize = 1024;
/// Connections that have not logged in, from one address. Loopback is exempt: agents and test beds share it.
pub const UNAUTHENTICATED_PER_ADDRESS: usize = 64;
/// Log-in attempts on one connection; Cassandra knows no limit.
pub const LOGIN_ATTEMPTS: u32 = 3;
/// A token's length: JWTs with many groups reach 8 KiB.
pub const TOKEN: usize = 16 * 1024;

/// Pause after an accept that failed (no file descriptors left), so that it does not spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

// === HTTP listeners ===

/// Connections of one HTTP listener.
pub const HTTP_CONNECTIONS: usize = 512;
/// From the first byte of a request to the end of its headers; also how long an idle connection is kept.
pub const HTTP_HEADERS: Duration = Duration::from_mins(1);

// === A session ===

/// The body of one envelope: `native_transport_max_frame_size` of Cassandra 4.1 and later.
pub const ENVELOPE: usize = 16 * 1024 * 1024;
/// The text of one statement.
pub const STATEMENT: usize = 1024 * 1024;
/// What one session may have read and not yet forwarded without asking the process-wide budget.
pub const SESSION_BUFFER: usize = 64 * 1024;
/// The process-wide budget for requests above [`SESSION_BUFFER`], waited for by not reading.
pub const BUFFER_BUDGET: usize = 256 * 1024 * 1024;
/// A request above [`SESSION_BUFFER`], from the first byte to the last: what it holds, others wait for.
pub const LARGE_REQUEST: Duration = Duration::from_secs(30);
/// Requests in flight on one session; then the session stops reading.
pub const IN_FLIGHT: usize = 2048;
/// Statements that one session keeps prepared by itself.
pub const SESSION_PREPARED: usize = 2048;
/// The texts of these, and of what is being prepared, each.
pub const SESSION_PREPARED_BYTES: usize = 4 * 1024 * 1024;
/// Columns of an answer that the gateway makes from its own tables: each may hold all tokens of a node.
pub const LOCAL_COLUMNS: usize = 256;
/// Traces whose maker is remembered, for a day: 100 bytes each.
pub const TRACES: u64 = 50_000;
/// Children of one batch.
pub const BATCH_CHILDREN: usize = 1000;
/// A write that makes no progress for this long ends the session.
pub const WRITE_STALL: Duration = Duration::from_secs(30);
/// A session ends at most this long before its token does, so that a pool does not come back all at once.
pub const EXPIRY_JITTER: Duration = Duration::from_mins(1);
/// The longest life of a session, whatever its token says.
pub const SESSION_LIFE: Duration = Duration::from_hours(12);
/// How long what is in flight may still take when a session ends because its token expired.
pub const DRAIN: Duration = Duration::from_secs(30);
/// How long an open session may take to acknowledge a revocation before its sockets are shut.
pub const REVOCATION: Duration = Duration::from_millis(250);

// === Towards the cluster ===

/// Waiting for a lease; then the connection is closed, so that a driver tries elsewhere.
pub const LEASE: Duration = Duration::from_secs(5);
/// TCP, TLS and log-in of one upstream connection.
pub const UPSTREAM_CONNECT: Duration = Duration::from_secs(5);
/// Log-ins to one cluster at the same moment: each costs a node 60 to 130 ms of bcrypt, on four threads.
pub const UPSTREAM_LOG_INS: usize = 2;
/// The pause after a first failure to connect to a cluster; it doubles up to [`UPSTREAM_BACKOFF_LONGEST`].
pub const UPSTREAM_BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// The longest pause between two tries to connect to a cluster.
pub const UPSTREAM_BACKOFF_LONGEST: Duration = Duration::from_secs(5);
/// The pause after a node refused the service account: only a person can heal that.
pub const UPSTREAM_REFUSED_PAUSE: Duration = Duration::from_secs(20);
/// A warm connection is replaced after about this long, so that none outlives a changed password for good.
pub const WARM_AGE: Duration = Duration::from_mins(30);
/// One query of the control connection.
pub const CONTROL_QUERY: Duration = Duration::from_secs(10);
/// The control connection asks its node for a sign of life this often, so that a peer that is gone without
/// a word is noticed.
pub const CONTROL_HEARTBEAT: Duration = Duration::from_secs(10);
/// The answer to that, before the connection is given up.
pub const CONTROL_HEARTBEAT_ANSWER: Duration = Duration::from_secs(5);
/// Events that wait to be looked at; beyond it the connection is given up and the schema read anew.
pub const CONTROL_EVENTS: usize = 4096;
/// Rows of one query of the control connection: the columns of 100,000 tables, and ten times more.
pub const CONTROL_ROWS: usize = 10_000_000;
/// An answer on the control connection above [`ENVELOPE`] is skipped up to this length: the largest frame
/// of Cassandra 4.0.
pub const CONTROL_SKIP: usize = 256 * 1024 * 1024;
/// Keyspaces read one by one after events; more of them at once, and the whole schema is read.
pub const CONTROL_KEYSPACES: usize = 32;
/// Parts of one keyspace (a table, a type) read one by one after events; more of them at once, and the whole
/// keyspace is read, unless it is so large that [`CONTROL_TABLES_A_PART`] says otherwise.
pub const CONTROL_PARTS: usize = 32;
/// Tables of a keyspace that can be read with all others in the time that a part of it takes by itself.
pub const CONTROL_TABLES_A_PART: usize = 64;
/// Look-ups of unknown names, and of unknown prepared ids, that reach the nodes each second: what nobody
/// knows can be asked for without end.
pub const LOOKUPS_PER_SECOND: u32 = 50;
/// How long the answer that a name or an id does not exist is believed.
pub const LOOKUP_NEGATIVE: Duration = Duration::from_secs(1);
/// Negative answers that are remembered.
pub const LOOKUP_NEGATIVE_ENTRIES: u64 = 10_000;
/// Schema events that a session may be behind before it misses some.
pub const SCHEMA_EVENTS: usize = 256;
/// Looking up a name that the schema cache does not know.
pub const NAME_LOOKUP: Duration = Duration::from_millis(200);
/// Looking up a role or an identity: read at a quorum, a role with all that it was granted.
pub const ROLE_LOOKUP: Duration = Duration::from_secs(2);
/// Roles that one role may be by grants, directly or not; one with more is treated as a superuser.
pub const ROLE_CLOSURE: usize = 64;
/// Waiting for schema agreement and for the cache after a DDL statement.
pub const SCHEMA_AGREEMENT: Duration = Duration::from_secs(10);
/// The schema cache is read anew this often even when no event came.
pub const SCHEMA_RECONCILE: Duration = Duration::from_mins(1);
/// A cache that could not be reconciled for this long answers nothing any more (0x1001).
pub const SCHEMA_STALE: Duration = Duration::from_mins(5);
/// Prepared statements that the process knows, in bytes of their texts and keys.
pub const PREPARED_BYTES: u64 = 64 * 1024 * 1024;
/// Parsed texts kept for QUERY, in bytes.
pub const STATEMENT_CACHE_BYTES: u64 = 32 * 1024 * 1024;

// === Identity providers ===

/// A discovery document or key set.
pub const IDP_BODY: usize = 256 * 1024;
/// One fetch from an identity provider, connect included.
pub const IDP_FETCH: Duration = Duration::from_secs(5);
/// An unknown key id is asked for at most this often per issuer.
pub const JWKS_REFETCH_FLOOR: Duration = Duration::from_secs(30);
/// Key sets are renewed in the background this often.
pub const JWKS_REFRESH: Duration = Duration::from_mins(5);
/// Keys that could not be renewed for this long are used no more.
pub const JWKS_MAX_STALE: Duration = Duration::from_hours(24);
/// Usable keys of one issuer.
pub const JWKS_KEYS: usize = 100;
/// After a failed fetch the next one waits this long, then twice as long each time, up to [`JWKS_REFETCH_FLOOR`].
pub const JWKS_RETRY: Duration = Duration::from_secs(1);
/// Keys of one issuer that share a key id and an algorithm; each costs a signature check.
pub const JWKS_SAME_KID: usize = 4;
/// Nesting of the JSON in a token or a key set: Keycloak's claims have four levels.
pub const JSON_DEPTH: usize = 16;
/// A key id.
pub const KEY_ID: usize = 256;
/// A subject, a username, or another claim that names somebody: OpenID Connect grants `sub` 255 characters.
pub const SUBJECT: usize = 255;
/// Verified tokens that are remembered, so that a driver's pool does not cost a signature check a connection.
pub const TOKEN_CACHE: u64 = 16 * 1024;
/// Clock difference granted to `nbf` and `iat`; none to `exp`.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(30);
/// The longest life a token may claim (`exp - iat`).
pub const TOKEN_LIFE: Duration = Duration::from_hours(24);

// === SCIM ===

/// The body of a Users request.
pub const SCIM_USER_BODY: usize = 1024 * 1024;
/// The body of a Groups request: a PUT of 50,000 members is 5 to 10 MiB.
pub const SCIM_GROUP_BODY: usize = 32 * 1024 * 1024;
/// Resources of one page.
pub const SCIM_PAGE: usize = 500;
/// Depth of a filter.
pub const SCIM_FILTER_DEPTH: usize = 32;
/// The text of a filter or of a PATCH path.
pub const SCIM_FILTER: usize = 16 * 1024;
/// Nesting of a body: SCIM needs four.
pub const SCIM_JSON_DEPTH: usize = 32;
/// `userName`, `displayName`, `externalId`, the name of an attribute.
pub const SCIM_NAME: usize = 1024;
/// Values of one attribute, members of a group aside.
pub const SCIM_VALUES: usize = 1000;
/// Operations of one PATCH: the largest known client sends 2,500 at once.
pub const SCIM_OPERATIONS: usize = 5000;
/// A body has to be there within this time.
pub const SCIM_BODY_TIME: Duration = Duration::from_mins(1);
/// Requests to SCIM that are worked on at once; each may hold a whole body in memory.
pub const SCIM_REQUESTS: usize = 16;
/// A PATCH of a group with more members than this is answered without its body.
pub const SCIM_PATCH_BODY_MEMBERS: usize = 5000;
/// Writes of one SQLite transaction (group commit).
pub const SCIM_GROUP_COMMIT: usize = 256;
/// Writes that wait for the one writer; then senders wait.
pub const SCIM_QUEUE: usize = 1024;

// === Audit ===

/// Events waiting to be written; then sessions wait.
pub const AUDIT_QUEUE: usize = 4096;
/// Statement text that waits with them, in bytes: 4096 texts of 1 MiB would be 4 GiB.
pub const AUDIT_QUEUE_TEXT: usize = 32 * 1024 * 1024;
/// How long the end of the process waits for a failing audit file.
pub const AUDIT_CLOSE: Duration = Duration::from_secs(5);
/// Statement text in an audit line; longer text is cut there and marked.
pub const AUDIT_TEXT: usize = 16 * 1024;
/// A name or a reason in an audit line: clients and identity providers choose them.
pub const AUDIT_NAME: usize = 1024;
/// Resources in an audit line; a batch may need thousands.
pub const AUDIT_RESOURCES: usize = 100;
/// Refusals that the status page remembers.
pub const RECENT_REFUSALS: usize = 100;

// === The status page ===

/// Sessions that the page shows; the newest ones. `/api/status` has all.
pub const STATUS_ROWS: usize = 200;
/// What can be looked for on it, in bytes.
pub const STATUS_FILTER: usize = 256;

// === Files of the operator ===

/// The configuration file.
pub const CONFIG_FILE: usize = 1024 * 1024;

/// One policy file. The largest policies in the field have some thousand lines.
pub const POLICY_FILE: usize = 1024 * 1024;
/// Policy files of one cluster.
pub const POLICY_FILES: usize = 256;
/// All policy files of one cluster together: they are read at every look.
pub const POLICY_BYTES: usize = 4 * 1024 * 1024;
/// Rules of one cluster: each reload looks at every pair of a GRANT and a DENY.
pub const POLICY_RULES: usize = 10_000;
/// Findings that are kept of one policy; more help nobody.
pub const POLICY_FINDINGS: usize = 100;
/// Policy files are looked at this often: an edit is in force within a few seconds.
pub const POLICY_POLL: Duration = Duration::from_secs(2);
/// A change is looked at again after this long, and taken if nothing has moved since.
pub const POLICY_SETTLE: Duration = Duration::from_millis(250);
