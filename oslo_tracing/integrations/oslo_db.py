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

"""An event on the active span for each retry of an oslo.db function.

Why here: ``_is_exception_expected`` is asked once for each failed attempt,
also by functions that were decorated before. How many attempts are left and
how long it sleeps only the loop that asks knows, so they are read there.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import sys
from typing import Any

from opentelemetry import trace

from oslo_tracing import _guard
from oslo_tracing import _wrap
from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing import exceptions
from oslo_tracing import integrations
from oslo_tracing.integrations import _sql_sums
from oslo_tracing.scrub import errors

_SEAM = '_is_exception_expected'
_UNTRACED = 'retries of database calls are'


def install(toolbox: integrations.Toolbox, undo: contextlib.ExitStack) -> None:
    """Tell of retries until ``undo`` is closed.

    :param toolbox: not needed: there is no span of ours.
    :param undo: takes the way back.
    """
    _wrap.on_import('oslo_db.api', functools.partial(_attach, undo=undo), undo)


def _attach(api: Any, undo: contextlib.ExitStack) -> None:
    owner = getattr(api, 'wrap_db_retry', None)
    if not isinstance(owner, type):
        raise exceptions.SeamMissing(
            'oslo.db', _wrap.version_of('oslo.db'), _UNTRACED
        )
    _wrap.wrap(
        owner, _SEAM, _make, undo, distribution='oslo.db', untraced=_UNTRACED
    )


def _make(original: Callable[..., Any]) -> Callable[..., Any]:
    def is_expected(retry: Any, error: BaseException) -> Any:
        expected = original(retry, error)
        if expected:
            loop = sys._getframe(1).f_locals
            _tell(retry, error, loop)
            if type(loop) is dict:
                # Before Python 3.13 it is a copy that the frame keeps, and
                # with it the exception, which leads to the frame.
                loop.clear()
        return expected

    return is_expected


def _tell(retry: Any, error: BaseException, loop: dict[str, Any]) -> None:
    """Write the event, unless no further attempt follows.

    :param loop: local variables of the loop of attempts.
    """
    try:
        span = trace.get_current_span()
        if not span.is_recording() or context.is_suppressed():
            return
        remaining = loop.get('remaining')
        sleep = loop.get('sleep_time')
        # What is retried on request says why.
        cause = getattr(error, 'inner_exc', None) or error
        told: dict[str, Any] = {names.ERROR_TYPE: errors.class_name(cause)}
        if isinstance(remaining, int):
            if remaining <= 0:
                return
            attempt = retry.max_retries - remaining + 1
            told[names.OPENSTACK_DB_RETRY_ATTEMPT] = attempt
        if isinstance(sleep, int | float):
            told[names.OPENSTACK_DB_RETRY_SLEEP] = float(sleep)
        span.add_event(names.EVENT_OSLO_DB_RETRY, told)
        _sql_sums.note_retry(span)
    except Exception:
        _guard.report('telling of a retry of oslo.db')
