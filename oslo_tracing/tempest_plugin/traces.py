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

"""Which trace is whose, while the tests of a process run one by one.

tempest keeps one key and one id for the whole process, from the end of a
test's ``setUp`` to its ``tearDown``. Here it is

* the test's own from its first line to the last of its clean-ups, and
* that of its class before the first and after the last test.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import Any
from typing import Final
import uuid

from tempest import config
from tempest.lib.common import profiler
from tempest import test
from testtools import content

from oslo_tracing.report import results

_INSTALLED: Final = '_oslo_tracing'
_CLASS: Final = '_oslo_tracing_class'


def install() -> None:
    """Hook every test of tempest; once a process."""
    base = test.BaseTestCase
    if getattr(base, _INSTALLED, False):
        return
    setattr(base, _INSTALLED, True)
    for name, wrap in (
        ('setUp', _of_test),
        ('tearDown', _still_of_test),
    ):
        setattr(base, name, wrap(getattr(base, name)))
    for name in ('setUpClass', 'tearDownClass'):
        original = getattr(base, name).__func__
        setattr(base, name, classmethod(_of_class(original)))


def _key() -> str:
    # Read late: the configuration is parsed after tests were found.
    key = config.CONF.profiler.key
    return key if isinstance(key, str) else ''


def _enable(trace_id: str) -> None:
    profiler.enable(_key(), str(uuid.UUID(trace_id)))


def _of_test(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def set_up(self: Any) -> None:
        if not _key():
            original(self)
            return
        trace_id = uuid.uuid4().hex
        self._oslo_tracing_test = trace_id
        # The first to be added is the last to be run.
        self.addCleanup(profiler.disable)
        self.addDetail(results.DETAIL, content.text_content(trace_id))
        of_class = getattr(type(self), _CLASS, '')
        if of_class:
            self.addDetail(
                results.CLASS_DETAIL, content.text_content(of_class)
            )
        _enable(trace_id)
        original(self)
        # It has chosen an id of its own.
        _enable(trace_id)

    return set_up


def _still_of_test(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def tear_down(self: Any) -> None:
        original(self)
        trace_id = getattr(self, '_oslo_tracing_test', '')
        if trace_id:
            # Clean-ups come now; to them it was over.
            _enable(trace_id)

    return tear_down


def _of_class(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def whole_class(cls: Any) -> None:
        if not _key():
            original(cls)
            return
        # That of a parent class is of other tests.
        trace_id = cls.__dict__.get(_CLASS)
        if trace_id is None:
            trace_id = uuid.uuid4().hex
            setattr(cls, _CLASS, trace_id)
        _enable(trace_id)
        try:
            original(cls)
        except Exception as error:
            # A class has no details, so its traceback says it.
            _note(error, f'{results.NOTE}{trace_id}')
            raise
        finally:
            profiler.disable()

    return whole_class


def _note(error: Exception, text: str) -> None:
    # Not in Python 3.10, where the index shows the class without its trace.
    if hasattr(error, 'add_note'):
        error.add_note(text)
