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

"""The trace on every log record.

Why here: ``Logger.handle`` is what each record passes when it is complete.
A record factory would come too early: what it sets makes
``extra={'trace_id': ...}`` raise in the service.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import logging
from typing import Any

from oslo_config import cfg

from oslo_tracing import _runtime

_RUNTIME = _runtime.RUNTIME

_NOTHING = ('', '')

_NAMES = ('trace_id', 'span_id')
_COLLECTIONS = (list, tuple, set, frozenset)
#: Options of oslo.log with parts of its formats.
_FORMATS = (
    'logging_context_format_string',
    'logging_default_format_string',
    'logging_debug_format_suffix',
    'logging_exception_prefix',
    'logging_user_identity_format',
)


def may_be_named(conf: cfg.ConfigOpts) -> bool:
    """Say whether a log format may name what :func:`make_formats_safe` gives.

    Only of oslo.log's own formats it is known that they name nothing, and
    of those of the handlers that are there.

    :param conf: the service's.
    """
    try:
        formats = [conf[name] for name in _FORMATS]
        if conf.log_config_append:
            return True
    except cfg.NoSuchOptError:
        return True
    for logger in (
        logging.getLogger(),
        *logging.getLogger().manager.loggerDict.copy().values(),
    ):
        for handler in getattr(logger, 'handlers', ()):
            formats.append(getattr(handler.formatter, '_fmt', ''))
    return any(name in str(text) for name in _NAMES for text in formats)


def make_formats_safe() -> None:
    """Give every log record ``trace_id`` and ``span_id``, for good.

    They are empty where there is no trace, while tracing is off and after
    ``shutdown()``: an operator's log format names them whatever the state
    of tracing, and a name that is missing would lose the record.
    """
    original: Any = logging.Logger.handle
    if not getattr(original, '_oslo_tracing', False):
        setattr(logging.Logger, 'handle', _handle(original))


def _handle(
    original: Callable[[logging.Logger, logging.LogRecord], None],
) -> Callable[[logging.Logger, logging.LogRecord], None]:
    @functools.wraps(original)
    def handle(self: logging.Logger, record: logging.LogRecord) -> None:
        values = record.__dict__
        if 'trace_id' not in values or 'span_id' not in values:
            found = _NOTHING if _RUNTIME.tracing is None else _ids(values)
            trace_id, span_id = found
            values.setdefault('trace_id', trace_id)
            values.setdefault('span_id', span_id)
            if trace_id:
                # What oslo.log's JSON and fluentd formatters copy.
                keys = values.get('extra_keys') or ()
                if isinstance(keys, _COLLECTIONS):
                    values['extra_keys'] = [*keys, 'trace_id', 'span_id']
        return original(self, record)

    setattr(handle, '_oslo_tracing', True)
    return handle


def _ids(values: dict[str, Any]) -> tuple[str, str]:
    """Return the ids to log, of the active span or the request context."""
    tracing = _RUNTIME.tracing
    if tracing is None or not tracing.settings.log_correlation:
        return _NOTHING
    try:
        # Loaded with the set-up: this module is imported without it. Not
        # from the package, which would be asked for it each time.
        import oslo_tracing._current as _current

        span: Any = _current.context().get(_current.SPAN_KEY)
        if type(span) is _current.Unrecorded:
            return span.traceparent[3:35], span.traceparent[36:52]
        active: Any = None if span is None else span.get_span_context()
        if active is None or not active[_current.VALID]:
            from oslo_tracing import context as tracing_context
            from oslo_tracing.integrations import oslo_context

            # As oslo.log does for the request id of the same line.
            ctxt = values.get('context') or tracing_context.request_context()
            bound = oslo_context.bound_to(ctxt)
            if bound is None:
                return _NOTHING
            active = bound
        # Quicker than to format such numbers.
        trace_id, span_id = active[:2]
        return (
            trace_id.to_bytes(16, 'big').hex(),
            span_id.to_bytes(8, 'big').hex(),
        )
    except Exception:
        # Reporting it would log, and come here again.
        return _NOTHING
