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

"""The end of a process, however it ends, as long as Python has a say.

Why here: workers of oslo.service on both its backends, of cotyledon and of
multiprocessing end by ``os._exit()``, which runs no exit handler. It is the
one place that all of them pass. A uWSGI worker ends in C, which calls
``uwsgi.atexit`` also where it is told to leave the interpreter as it is.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
import contextlib
import functools
import logging
import os
import sys
import types
from typing import Any

from oslo_tracing import _guard
from oslo_tracing import _wrap

LOG = logging.getLogger(__name__)

_FIRST_WORKER = 1


def install(
    finish: Callable[[], None],
    shutdown: Callable[[], None],
    undo: contextlib.ExitStack,
) -> None:
    """See to it that a process sends what is left, until ``undo`` closes.

    :param finish: sends what this very process has left, within its time,
        and does nothing where there is nothing or when called again. May
        run in the handler of a signal.
    :param shutdown: called by an orderly end of the interpreter.
    :param undo: takes the way back.
    """
    at_exit = functools.partial(_shut_down, shutdown)
    atexit.register(at_exit)
    undo.callback(atexit.unregister, at_exit)
    last = functools.partial(_finish, finish)
    with _guard.never_break_the_service('attaching to the end of workers'):
        _wrap.wrap(
            os,
            '_exit',
            functools.partial(_finished_first, last),
            undo,
            distribution='Python',
            untraced='the last spans of workers are',
        )
    _wrap.on_import('uwsgi', functools.partial(_in_uwsgi, last, undo), undo)


def _shut_down(shutdown: Callable[[], None]) -> None:
    """Shut down, and leave no trace of it in the exit code.

    CPython ends by SIGINT where KeyboardInterrupt came out of the program,
    so that the loop of a shell ends with it, and forgets that when it runs
    code out of a text: so do ``dataclasses`` and ``namedtuple``, when what
    sends spans is imported.
    """
    try:
        shutdown()
    finally:
        is_interactive = hasattr(sys, 'ps1')
        if (
            getattr(sys, 'last_type', None) is KeyboardInterrupt
            and not is_interactive
        ):
            with contextlib.suppress(KeyboardInterrupt):
                exec('raise KeyboardInterrupt')  # noqa: S102  # nosec B102


def _finish(finish: Callable[[], None]) -> None:
    try:
        finish()
    except Exception:
        _guard.report('sending the last spans of a process')


def _finished_first(
    finish: Callable[[], None], original: Callable[..., Any]
) -> Callable[..., Any]:
    def _exit(*args: Any, **kwargs: Any) -> Any:
        try:
            finish()
        except BaseException:  # noqa: S110
            # The handler of another signal may raise meanwhile, which must
            # not keep a process from its end.
            pass
        return original(*args, **kwargs)

    return _exit


def _in_uwsgi(
    finish: Callable[[], None],
    undo: contextlib.ExitStack,
    uwsgi: types.ModuleType,
) -> None:
    """Be called at the end of a worker; say so where no thread ever runs."""
    before = getattr(uwsgi, 'atexit', None)

    def ended() -> None:
        try:
            # First, as it may end spans.
            if before is not None:
                before()
        finally:
            finish()

    def restore() -> None:
        if getattr(uwsgi, 'atexit', None) is not ended:
            return
        if before is not None:
            uwsgi.atexit = before  # type: ignore[attr-defined]
        else:
            del uwsgi.atexit

    uwsgi.atexit = ended  # type: ignore[attr-defined]
    undo.callback(restore)
    # With an application for each worker, every one of them comes here.
    if (
        not getattr(uwsgi, 'has_threads', True)
        and uwsgi.worker_id() <= _FIRST_WORKER
    ):
        LOG.warning(
            'uWSGI runs without threads: spans are only sent while a request '
            'is being served, and at the end of a worker. Set '
            'enable-threads = true.'
        )
