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

"""What tests came to, and which trace is whose: out of a subunit stream.

The tempest plugin has each test say which trace is its own
(``oslo_tracing.tempest_plugin``).
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import re
from typing import Any
from typing import Final

from oslo_tracing.report.sources import _lines
from oslo_tracing.report.sources import base

#: Names of the details that a test has, and the note of a class that failed;
#: the plugin writes them.
DETAIL: Final = 'oslo.tracing'
CLASS_DETAIL: Final = 'oslo.tracing.class'
NOTE: Final = 'oslo.tracing: the trace of this class is '

_CLASS: Final = re.compile(r'(?:setUp|tearDown)Class \(([\w.]{1,512})\)')
_TRACE_ID: Final = re.compile(r'[0-9a-f]{32}')
_NOTED: Final = re.compile(re.escape(NOTE) + r'([0-9a-f]{32})')
_BAD: Final = frozenset(('fail', 'uxsuccess', 'inprogress', 'unknown'))
_MAX_ID: Final = 1024


@dataclasses.dataclass(frozen=True)
class Result:
    """One test, or what went before and after the tests of a class.

    :param test_id: its name, without what stands in brackets behind it.
    :param status: as subunit has it: ``success``, ``fail``, ``skip``,
        ``xfail``, ``uxsuccess``, or ``inprogress`` where it never ended.
    :param start: nanoseconds since 1970; 0 where nobody knows.
    :param duration: nanoseconds.
    :param trace_id: of the trace that it asked for; empty if it did not.
    """

    test_id: str
    status: str
    start: int
    duration: int
    trace_id: str

    @property
    def failed(self) -> bool:
        """Whether somebody has to look at it."""
        return self.status in _BAD


class CannotReadResults(base.CannotRead):
    """There is no such stream, or nothing to read it with."""


def read(path: str) -> list[Result]:
    """Read the results of a run.

    :param path: of a file with a subunit stream, version 2.
    :returns: those that failed first, then the slowest first.
    :raises CannotReadResults: when it is not there, or python-subunit is
        not.
    """
    try:
        import subunit
        import testtools
    except ImportError:
        raise CannotReadResults(
            path, 'python-subunit is not installed: oslo.tracing[subunit]'
        ) from None
    tests: list[dict[str, Any]] = []

    def note(test: Any) -> None:
        # What else it told may be megabytes, and is not kept.
        tests.append({**test, 'details': _told(test['details'])})

    try:
        stream = _lines.open_regular(path, follow=True)
    except (OSError, _lines.Unreadable) as exc:
        reason = getattr(exc, 'strerror', None) or str(exc)
        raise CannotReadResults(path, reason) from None
    result = testtools.StreamToDict(note)
    result.startTestRun()
    with stream:
        subunit.ByteStreamToStreamResult(
            stream, non_subunit_name='stdout'
        ).run(result)
    result.stopTestRun()
    found = _results(tests)
    return sorted(found, key=lambda each: (not each.failed, -each.duration))


def _told(details: dict[str, Any]) -> dict[str, str]:
    kept = {}
    for name, content in details.items():
        if name in (DETAIL, CLASS_DETAIL):
            trace_id = _text(content).strip()
            if _TRACE_ID.fullmatch(trace_id):
                kept[name] = trace_id
        elif name.startswith('traceback'):
            noted = _NOTED.search(_text(content))
            if noted:
                kept.setdefault(DETAIL, noted[1])
    return kept


def _text(content: Any) -> str:
    # What is looked for is ASCII, while the rest may be in no charset at all,
    # or not in the one that it is said to be in.
    return b''.join(content.iter_bytes()).decode('utf-8', 'replace')


def _results(tests: Iterable[dict[str, Any]]) -> list[Result]:
    found = []
    classes: dict[str, str] = {}
    failed_classes = set()
    for test in tests:
        if test['status'] == 'exists' or test['id'] in (None, 'stdout'):
            continue
        start, duration = _times(test['timestamps'])
        name = str(test['id'])[:_MAX_ID]
        details = test['details']
        whole_class = _CLASS.fullmatch(name)
        if whole_class:
            failed_classes.add(whole_class[1])
        else:
            # What follows are tempest's ids and tags.
            name = name.partition('[')[0]
            of_class = details.get(CLASS_DETAIL)
            if of_class:
                classes[name.rpartition('.')[0]] = of_class
        found.append(
            Result(
                name,
                str(test['status']),
                start,
                duration,
                details.get(DETAIL, ''),
            )
        )
    return found + [
        Result(f'setUpClass ({name})', 'success', 0, 0, trace_id)
        for name, trace_id in classes.items()
        if name not in failed_classes
    ]


def _times(timestamps: Iterable[Any]) -> tuple[int, int]:
    known = [each.timestamp() for each in timestamps if each is not None]
    if not known:
        return 0, 0
    start, end = min(known), max(known)
    return int(start * 1e6) * 1000, int((end - start) * 1e6) * 1000
