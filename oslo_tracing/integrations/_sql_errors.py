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

"""What is said of a database's errors: a class and a code, no sentence."""

from __future__ import annotations


from opentelemetry import trace

from oslo_tracing import _regex
from oslo_tracing import attributes as names
from oslo_tracing import recording
from oslo_tracing import settings as settings_module

_CODE = _regex.late(r'-?[A-Za-z0-9_]{1,32}')
# psycopg2; MySQL's own driver.
_FIRST = ('pgcode', 'errno')
# psycopg and asyncpg; sqlite3 since Python 3.11. PyMySQL has the first, too,
# but its numbers are those that people know.
_LAST = ('sqlstate', 'sqlite_errorcode')


def status_code(error: BaseException) -> str | None:
    """Return the code that a driver gives with an error, None without one.

    :param error: the driver's own, not what SQLAlchemy makes of it.
    """
    try:
        return _status_code(error)
    except Exception:
        # A property may raise, and so does Python for too long a number.
        return None


def _status_code(error: BaseException) -> str | None:
    if isinstance(error, OSError):
        # Of the network, and so no response.
        return None
    # MySQL's drivers: (number, sentence).
    first = error.args[:1] if _is_of_driver(error) else ()
    candidates = [
        *(getattr(error, name, None) for name in _FIRST),
        *(one for one in first if isinstance(one, int)),
        *(getattr(error, name, None) for name in _LAST),
    ]
    for found in candidates:
        if isinstance(found, int | str) and not isinstance(found, bool):
            code = str(found)
            return code if _CODE.fullmatch(code) else None
    return None


def _is_of_driver(error: BaseException) -> bool:
    # As PEP 249 wants it of each: there is no class that they share.
    return any(kind.__name__ == 'Error' for kind in type(error).__mro__)


def record(
    span: trace.Span,
    error: BaseException,
    settings: settings_module.Settings,
) -> None:
    """Write an error into the span of the statement that it ended."""
    if not span.is_recording():
        return
    code = status_code(error)
    if code is not None:
        span.set_attribute(names.DB_RESPONSE_STATUS_CODE, code)
    recording.record_error(span, error, settings)
