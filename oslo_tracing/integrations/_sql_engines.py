# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What is said of a database, found out once for each engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
import weakref

from oslo_tracing import attributes as names

# The conventions' names, by SQLAlchemy's.
_SYSTEMS = {
    'mariadb': 'mariadb',
    'mssql': 'microsoft.sql_server',
    'mysql': 'mysql',
    'oracle': 'oracle.db',
    'postgresql': 'postgresql',
    'sqlite': 'sqlite',
}
_PORTS = {
    'mariadb': 3306,
    'microsoft.sql_server': 1433,
    'mysql': 3306,
    'oracle.db': 1521,
    'postgresql': 5432,
}
_MAX_LENGTH = 255


class Engine:
    """What is the same for everything that one engine executes.

    :ivar dialect: refers to the engine's.
    :ivar id: what ``id()`` says of that.
    :ivar dialect_name: SQLAlchemy's.
    :ivar attributes: ready to be given to a span; not to be changed.
    """

    __slots__ = ('attributes', 'dialect', 'dialect_name', 'id')

    def __init__(
        self,
        dialect: weakref.ref[Any],
        number: int,
        dialect_name: str,
        attributes: dict[str, Any],
    ) -> None:
        self.dialect = dialect
        self.id = number
        self.dialect_name = dialect_name
        self.attributes = attributes


class Engines:
    """Engines that were seen, forgotten with them.

    By their dialect, of which each has its own: ``execution_options()``
    gives ever new engines, which share it.

    :param on_new: called with the class of each new dialect.
    """

    def __init__(self, on_new: Callable[[type], None]) -> None:
        self._on_new = on_new
        # By what id() says of a dialect; a weak dictionary is asked through
        # Python.
        self._seen: dict[int, Engine] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def get(self, conn: Any) -> Engine:
        """Return what is known of a connection's engine."""
        dialect = conn.dialect
        key = id(dialect)
        known = self._seen.get(key)
        if known is not None and known.dialect() is dialect:
            return known

        def forget(gone: weakref.ref[Any]) -> None:
            found = self._seen.get(key)
            if found is not None and found.dialect is gone:
                del self._seen[key]

        known = self._seen[key] = Engine(
            weakref.ref(dialect, forget),
            key,
            str(dialect.name),
            _attributes(dialect, conn.engine.url),
        )
        self._on_new(type(dialect))
        return known


def _attributes(dialect: Any, url: Any) -> dict[str, Any]:
    system = _SYSTEMS.get(dialect.name, 'other_sql')
    if system == 'mysql' and getattr(dialect, 'is_mariadb', False):
        system = 'mariadb'
    found: dict[str, Any] = {names.DB_SYSTEM_NAME: system}
    query = url.query
    database = url.database or query.get('dbname')
    if isinstance(database, str) and database:
        found[names.DB_NAMESPACE] = database[:_MAX_LENGTH]
    # A socket, and psycopg2's several hosts, are given as a query, which
    # goes before the rest of the URL: SQLAlchemy hands it over last.
    socket = query.get('unix_socket')
    address = socket or query.get('host') or url.host
    if not isinstance(address, str) or not address:
        return found
    found[names.SERVER_ADDRESS] = address[:_MAX_LENGTH]
    if socket or address.startswith('/'):
        return found
    port = query.get('port') or url.port or _PORTS.get(system)
    if isinstance(port, int) or (isinstance(port, str) and port.isdecimal()):
        found[names.SERVER_PORT] = int(port)
    return found
