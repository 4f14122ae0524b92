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
"""Every command, in every format, over files that were made to do harm."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import json
import logging
import pathlib
import re

import fixtures
from testtools import content
import yaml

from oslo_tracing.cmd import main
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import data

_EVIL = (
    '</script><script>alert(1)</script><!-- \x1b]0;x\x07\x1b[2J\x9b31m'
    '\r\n\x00\u202e\u2028\ud800="\'`;DROP'
)
_MEGABYTE = 'x' * 2**20
_DIGITS = '9' * 5000

#: What a command prints at most for a trace of a few spans.
_MOST = 100_000
#: What holds all of a trace, megabyte strings too, escaped.
_MOST_OF_ALL = 60 * 2**20

_TABLES = [
    (command, '-f', form)
    for command in ('list', 'top', 'map')
    for form in ('table', 'json', 'yaml', 'csv', 'value')
]
_DIFFS = [
    ('diff', 'all', 'all', '-f', form)
    for form in ('table', 'json', 'yaml', 'csv', 'value')
]
_WHOLE = [
    ('export', data.TRACE),
    ('export', data.TRACE, '--as', 'chrome'),
]


def _of_text(text):
    """Return a trace that has a text wherever one may be."""
    # Two lines: one of both would be too long to be read.
    server = data.line(
        text,
        data.span(
            1,
            None,
            text,
            kind=2,
            attributes={
                'openstack.request_id': text,
                'http.route': text,
                text: text,
                'error.type': text,
            },
            events=[
                {
                    'name': text,
                    'timeUnixNano': str(data.NOON),
                    'attributes': data.attributes({text: text}),
                },
                {
                    'name': 'exception',
                    'timeUnixNano': str(data.NOON),
                    'attributes': data.attributes(
                        {
                            'exception.type': text,
                            'exception.message': text,
                            'exception.stacktrace': text,
                        }
                    ),
                },
            ],
            status={'code': 2, 'message': text},
            traceState=text,
        ),
    )
    client = data.line(
        text,
        data.span(
            2,
            1,
            text,
            kind=3,
            attributes={
                'db.system.name': text,
                'db.query.text': text,
                'db.query.summary': text,
                'server.address': text,
            },
        ),
    )
    return (server + client).encode()


def _raw(**fields):
    """Return a sound trace, and one span with fields as they stand."""
    broken = data.span(9, 1)
    for name in fields:
        broken[name] = f'@{name}@'
    text = data.line('nova', data.span(1), broken)
    for name, raw in fields.items():
        text = text.replace(f'"@{name}@"', raw)
    return text.encode()


def _circle():
    return data.line(
        'nova',
        data.span(1),
        data.span(2, 4),
        data.span(3, 2),
        data.span(4, 3),
        data.span(5, 5),
    ).encode()


def _chain(length):
    return ''.join(
        data.line('nova', data.span(n, n - 1 or None))
        for n in range(1, length + 1)
    ).encode()


def _long_circle(length):
    return ''.join(
        data.line('nova', data.span(n, n - 1 or length))
        for n in range(1, length + 1)
    ).encode()


def _sums():
    """Return what says how many statements had no span, with odd values."""
    names = [_EVIL, 'x' * 999, '', 'SELECT'] * 20
    said = {
        'openstack.db.count': 50,
        'openstack.db.duration': 0.5,
        'openstack.db.rows': 7,
        'openstack.db.top.statements': names,
        'openstack.db.top.counts': [1] * len(names),
        'openstack.db.top.durations': [0.01] * len(names),
    }
    spans = [data.span(1)]
    odd = (-1, 2**62, 1e300, _EVIL, [], [_EVIL] * 3, [-1, 2**62], True)
    for name in said:
        for value in odd:
            spans.append(
                data.span(len(spans) + 1, 1, attributes={**said, name: value})
            )
    spans.append(data.span(len(spans) + 1, 1, attributes=said))
    return data.line('nova', *spans).encode()


def _twice():
    return data.line(
        'nova', *(data.span(1, name=f'name {n}') for n in range(50))
    ).encode()


def _packed(times):
    return gzip.compress(_raw() + b'\0' * times + b'\n')


_FILES = {
    'hostile text': functools.partial(_of_text, _EVIL),
    'megabytes': functools.partial(_of_text, _MEGABYTE),
    'hostile megabytes': functools.partial(_of_text, _EVIL + _MEGABYTE),
    'bytes that are no UTF-8': lambda: _of_text('<bytes>').replace(
        b'<bytes>', b'\xff\xfe\xc0\xaf\xed\xa0\x80\x9b'
    ),
    'a circle': _circle,
    'negative times': functools.partial(
        _raw, startTimeUnixNano='"-5"', endTimeUnixNano='-5'
    ),
    'the end before the start': functools.partial(
        _raw, startTimeUnixNano=f'"{2**63}"', endTimeUnixNano='"0"'
    ),
    'the end of time': functools.partial(
        _raw, startTimeUnixNano='"0"', endTimeUnixNano=f'"{2**63}"'
    ),
    'one id many times': _twice,
    'sums that make no sense': _sums,
    'numbers of 5000 digits': functools.partial(
        _raw,
        startTimeUnixNano=_DIGITS,
        endTimeUnixNano=f'"{_DIGITS}"',
        flags=_DIGITS,
        attributes=f'[{{"key": "a", "value": {{"intValue": {_DIGITS}}}}}, '
        f'{{"key": "b", "value": {{"doubleValue": {_DIGITS}.5}}}}, '
        f'{{"key": "c", "value": {{"intValue": "{_DIGITS}"}}}}]',
    ),
    'no numbers': functools.partial(
        _raw,
        attributes='[{"key": "a", "value": {"doubleValue": NaN}}, '
        '{"key": "b", "value": {"doubleValue": "NaN"}}, '
        '{"key": "c", "value": {"doubleValue": -Infinity}}, '
        '{"key": "d", "value": {"doubleValue": 1e999}}]',
        kind='NaN',
        droppedEventsCount='Infinity',
    ),
    'depth': lambda: _raw() + b'[' * 10**6 + b'\n',
}


class HostileTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.home = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.path = self.home / 'spans.jsonl'
        self.useFixture(fixtures.FakeLogger())
        root = logging.getLogger()
        self.addCleanup(setattr, root, 'handlers', list(root.handlers))
        self.addCleanup(root.setLevel, root.level)

    def read(self, *argv, most=_MOST):
        """Run a command; return what it printed, which is harmless."""
        out, err = io.StringIO(), io.StringIO()
        logging.getLogger().handlers.clear()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main.main([*argv, '--source', str(self.path)])
        self.assertIn(code, (0, 2), err.getvalue()[:2000])
        for text in (out.getvalue(), err.getvalue()):
            self.assertNotIn('Traceback', text)
            self.assertLess(len(text), most)
            self.assertTrue(text.replace('\n', '').isprintable(), argv)
            text.encode()
        self.check(argv, code, out.getvalue())
        return out.getvalue()

    def check(self, argv, code, text):
        if 'json' in argv or 'chrome' in argv:
            json.loads(text, parse_constant=self.fail)
        elif 'yaml' in argv:
            yaml.safe_load(text)
        elif argv[0] == 'export':
            for line in text.splitlines():
                json.loads(line, parse_constant=self.fail)

    def pages(self):
        """Write both kinds of page; return them."""
        one, many = self.home / 'one.html', self.home / 'many'
        self.read('report', '--output', str(one))
        self.read('report', '--all', '--output', str(many))
        return [one, *many.iterdir()]

    def all_commands(self):
        for argv in (
            ('show',),
            ('show', '--all'),
            ('show', '--attributes'),
            ('map', '--dot'),
            *_TABLES,
            *_DIFFS,
        ):
            self.read(*argv)
        for argv in _WHOLE:
            self.read(*argv, most=_MOST_OF_ALL)
        for page in self.pages():
            text = page.read_text(encoding='utf-8')
            self.assertLess(len(text), _MOST_OF_ALL)
            self.assertNotIn('<script>alert', text)
            self.assertIsNone(
                re.search('[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]', text), page
            )

    def test_every_command_over_every_file(self):
        for what, make in _FILES.items():
            self.addDetail('file', content.text_content(what))
            self.path.write_bytes(make())
            self.all_commands()

    def test_every_command_over_files_that_expand(self):
        self.path.write_bytes(_packed(80 * 2**20))
        self.all_commands()

    def long_way(self):
        # Lines that are indented with their level would be 15 GB.
        page = self.home / 'one.html'
        for argv in (
            ('list', '-f', 'value'),
            ('show', '--attributes'),
            ('top', '-f', 'yaml'),
            ('map', '--dot'),
            ('diff', 'all', data.TRACE, '-f', 'json'),
            ('export', data.TRACE, '--as', 'chrome'),
            ('report', '--output', str(page)),
        ):
            self.read(*argv, most=_MOST_OF_ALL)
        self.assertLess(page.stat().st_size, _MOST_OF_ALL)

    def test_every_command_over_a_long_chain(self):
        self.path.write_bytes(_chain(100_000))
        self.long_way()

    def test_every_command_over_a_long_circle(self):
        self.path.write_bytes(_long_circle(100_000))
        self.long_way()

    def test_what_is_exported_of_a_long_trace_can_be_read_again(self):
        self.path.write_bytes(_chain(100_000))
        exported = self.read('export', data.TRACE, most=_MOST_OF_ALL)
        self.path.write_text(exported)
        [row] = json.loads(self.read('list', '-f', 'json'))
        self.assertEqual(100_000, row['Spans'])
