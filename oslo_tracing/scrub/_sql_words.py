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

"""Words of SQL, as far as a summary needs to know them."""

from __future__ import annotations

#: Operations whose tables are told.
DATA = frozenset(
    ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'REPLACE', 'MERGE', 'WITH')
)
#: Those of them that change rows.
WRITES = frozenset(('INSERT', 'UPDATE', 'DELETE', 'REPLACE', 'MERGE'))
#: Told with the kind and the name of the object.
DEFINES = frozenset(('CREATE', 'DROP', 'ALTER', 'TRUNCATE', 'RENAME'))
#: Told with the word that follows.
NAMED = frozenset(('CALL', 'EXEC', 'EXECUTE', 'PRAGMA', 'SHOW', 'XA'))
#: Told with the operation that they are about.
EXPLAINS = frozenset(('EXPLAIN', 'DESCRIBE', 'DESC'))
#: After these alone a COMMIT has nothing to do.
HARMLESS = frozenset(
    (
        'ABORT', 'ANALYZE', 'ATTACH', 'BEGIN', 'CHECK', 'CHECKPOINT',
        'CHECKSUM', 'CLOSE', 'COMMIT', 'DEALLOCATE', 'DECLARE', 'DESC',
        'DESCRIBE', 'DETACH', 'DISCARD', 'END', 'EXPLAIN', 'FETCH', 'FLUSH',
        'KILL', 'LISTEN', 'LOCK', 'MOVE', 'NOTIFY', 'OPTIMIZE', 'PRAGMA',
        'PREPARE', 'REINDEX', 'RELEASE', 'RESET', 'ROLLBACK', 'SAVEPOINT',
        'SELECT', 'SET', 'SHOW', 'START', 'UNLISTEN', 'UNLOCK', 'USE',
        'VACUUM', 'VALUES', 'XA',
    )
)  # fmt: skip
#: Told as they are.
ALONE = (HARMLESS | {'COPY', 'DO', 'GRANT', 'LOAD', 'REVOKE'}) - DATA

#: All that a statement can start with.
KNOWN = DATA | DEFINES | NAMED | ALONE

#: Kinds of objects.
OBJECTS = frozenset(
    (
        'TABLE', 'INDEX', 'VIEW', 'DATABASE', 'SCHEMA', 'SEQUENCE', 'TRIGGER',
        'FUNCTION', 'PROCEDURE', 'EXTENSION', 'TYPE',
    )
)  # fmt: skip
#: Kinds of objects whose names are not told.
CREDENTIALS = frozenset(('USER', 'ROLE', 'LOGIN', 'GROUP', 'SERVER'))
#: Between an operation and the name of what it is done to.
SKIPPED = frozenset(
    (
        'ABORT', 'CONCURRENTLY', 'DELAYED', 'EXISTS', 'FAIL', 'FULLTEXT',
        'GLOBAL', 'HIGH_PRIORITY', 'IF', 'IGNORE', 'INTO', 'LATERAL', 'LOCAL',
        'LOW_PRIORITY', 'MATERIALIZED', 'NOT', 'ONLY', 'OR', 'OVERWRITE',
        'QUICK', 'REPLACE', 'ROLLBACK', 'SPATIAL', 'TABLE', 'TEMP',
        'TEMPORARY', 'UNIQUE', 'UNLOGGED', 'VIRTUAL',
    )
)  # fmt: skip
#: After these no more tables of a FROM or an UPDATE are listed.
ENDS_LIST = frozenset(
    (
        'FETCH', 'FOR', 'GROUP', 'HAVING', 'LIMIT', 'OFFSET', 'ORDER',
        'RETURNING', 'SET', 'UNION', 'VALUES', 'WHERE', 'WINDOW',
    )
)  # fmt: skip
