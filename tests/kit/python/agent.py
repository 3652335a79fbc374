"""The Python driver under orders: one JSON request a line on standard input, one JSON answer a line on standard output.

Credentials come in through the first request, never on the command line. An answer is either
{"ok": ..} or {"error": {"type": .., "message": ..}} with the driver's own exception.
"""
import json
import ssl
import sys
import time

from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, NoHostAvailable
from cassandra.query import BatchStatement, SimpleStatement


def plain(value):
    """A value as JSON can hold it; what it cannot hold, as Python prints it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return str(value)


def described(error):
    """An exception's type and text; for "no host available", those of what happened at the host."""
    if isinstance(error, NoHostAvailable) and len(getattr(error, "errors", {}) or {}) == 1:
        inner = next(iter(error.errors.values()))
        if isinstance(inner, Exception):
            error = inner
    return {"type": type(error).__name__, "message": str(error)}


class Agent:
    def __init__(self):
        self.cluster = self.session = None
        self.prepared = {}

    def connect(self, host, port, user, password, ca=None, keyspace=None, options=None):
        context = None
        if ca:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(ca)
            context.check_hostname = False
        self.cluster = Cluster(
            [host], port=port, auth_provider=PlainTextAuthProvider(user, password), ssl_context=context,
            connect_timeout=10, **(options or {}))
        self.session = self.cluster.connect(keyspace, wait_for_all_pools=True)
        return {"protocol": self.session._protocol_version}

    def _rows(self, result):
        names = list(result.column_names or [])
        return {"columns": names, "rows": [[plain(v) for v in row] for row in result]}

    def execute(self, cql, params=None):
        return self._rows(self.session.execute(cql, params))

    def prepare(self, name, cql):
        self.prepared[name] = self.session.prepare(cql)
        return {"id": self.prepared[name].query_id.hex()}

    def bound(self, name, params=()):
        return self._rows(self.session.execute(self.prepared[name], tuple(params)))

    def batch(self, items):
        batch = BatchStatement()
        for item in items:
            if "name" in item:
                batch.add(self.prepared[item["name"]], tuple(item.get("params", ())))
            else:
                batch.add(SimpleStatement(item["cql"]))
        return self._rows(self.session.execute(batch))

    def _connections(self):
        found = [self.cluster.control_connection._connection]
        for state in self.session.get_pools():
            found += list(state._connections) if hasattr(state, "_connections") else [state._connection]
        return [c for c in found if c is not None and not c.is_closed and not c.is_defunct]

    def connections(self):
        return len(self._connections())

    def wait_closed(self, seconds):
        """Waits until every connection that is open now has ended; the wall clock then, in nanoseconds."""
        watched, deadline = self._connections(), time.monotonic() + seconds
        while any(not (c.is_closed or c.is_defunct) for c in watched):
            if time.monotonic() > deadline:
                raise TimeoutError("still open")
            time.sleep(0.0005)
        return {"count": len(watched), "at": time.time_ns()}

    def tables(self, keyspace):
        self.cluster.refresh_schema_metadata()
        return sorted(self.cluster.metadata.keyspaces[keyspace].tables)

    def protocol(self):
        return self.session._protocol_version

    def hosts(self):
        return sorted(str(h.endpoint) for h in self.cluster.metadata.all_hosts())


agent = Agent()
for line in sys.stdin:
    request = json.loads(line)
    operation = getattr(agent, request.pop("op"))
    try:
        answer = {"ok": operation(**request)}
    except Exception as error:  # the driver's verdict is the answer
        answer = {"error": described(error)}
    print(json.dumps(answer), flush=True)
if agent.cluster:
    agent.cluster.shutdown()
