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

import json

from oslo_tracing.report import model
from oslo_tracing.report.render import text
from oslo_tracing.report.render import tree
from oslo_tracing.report.sources import otlp
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import data
from oslo_tracing.tests.unit.report import maker

ASCII = text.Style(unicode=False)

BOOT = """\
Trace     3a48e358a750c64d3f31a49afa54bba1
Request   req-3a48e358-a750-c64d-3f31-a49afa54bba1
Started   2026-11-20T16:40:00.000Z
Duration  200.00 ms
Spans     10
Services  nova-api 8, nova-conductor 2
Errors    1, the first in nova-conductor: INSERT instances ERROR 1062: \
DBDuplicateEntry

   start ms         ms  share  service: span
       0.00     100.00  50.0%  nova-api: POST /v2.1/servers (server, 202)
       5.00      40.00  20.0%  ├─ nova-api: API.create
      10.00       3.50   1.8%  │  └─ nova-api: SELECT instances ×5 \
(client, 0.50–0.90 ms each)
      50.00       5.00   2.5%  └─ nova-api: conductor/build (producer)
      60.00     140.00  70.0%     └─ nova-conductor: conductor/build \
(consumer)
      70.00      12.25   6.1%        └─ nova-conductor: INSERT instances \
(client) ✗ ERROR 1062: DBDuplicateEntry

5 spans are folded into 1 line (×); --all gives each its own.
""".splitlines()  # noqa: RUF001


def _spans(*lines):
    told = []
    found = [
        span
        for line in lines
        for span in otlp.spans(json.loads(line), told.append)
    ]
    assert not told, told
    return found


def _trace(*spans, service='nova'):
    return model.Trace(data.TRACE, _spans(data.line(service, *spans)))


def _rendered(trace, style=ASCII, **options):
    return list(tree.render(trace, style, **options))


def _tree(trace, style=ASCII, **options):
    """The lines of the tree alone, without its columns of numbers."""
    lines = _rendered(trace, style, **options)
    start = next(n for n, each in enumerate(lines) if 'share' in each) + 1
    return [each[31:] for each in lines[start:]]


class TreeTest(base.TestCase):
    def test_a_request_through_services_exactly(self):
        trace = model.Trace(data.TRACE, _spans(*data.boot()))

        self.assertEqual(BOOT, _rendered(trace, text.Style()))

    def test_the_same_in_ascii(self):
        trace = model.Trace(data.TRACE, _spans(*data.boot()))

        lines = _rendered(trace)

        self.assertEqual(
            [
                each.replace('├─', '|-')
                .replace('└─', '`-')
                .replace('│', '|')
                .replace('×', 'x')  # noqa: RUF001
                .replace('–', '-')  # noqa: RUF001
                .replace('✗', '!')
                for each in BOOT
            ],
            lines,
        )
        self.assertTrue(''.join(lines).isascii())

    def test_every_span_has_its_line_when_asked_for(self):
        trace = model.Trace(data.TRACE, _spans(*data.boot()))

        lines = _tree(trace, expand=True)

        self.assertEqual(10, len(lines))
        self.assertEqual(
            5, sum('SELECT instances (client)' in each for each in lines)
        )

    def test_only_like_leaves_in_a_row_are_folded(self):
        trace = _trace(
            data.span(1, start=0, took=100),
            *[data.span(n, 1, 'SELECT a', n, 1) for n in range(10, 13)],
            data.span(20, 1, 'SELECT b', 20, 1),
            *[data.span(n, 1, 'SELECT a', n, 1) for n in range(30, 32)],
            data.span(40, 1, 'SELECT a', 40, 1, **data.error('Lost')),
            *[
                data.span(n, 1, 'SELECT a', n, 1, kind=3)
                for n in range(50, 53)
            ],
            data.span(60, 52, 'below', 60, 1),
        )

        self.assertEqual(
            [
                'nova: work',
                '|- nova: SELECT a x3 (1.00-1.00 ms each)',
                '|- nova: SELECT b',
                '|- nova: SELECT a',
                '|- nova: SELECT a',
                '|- nova: SELECT a ! ERROR Lost',
                '|- nova: SELECT a (client)',
                '|- nova: SELECT a (client)',
                '`- nova: SELECT a (client)',
                '   `- nova: below',
                '',
                '3 spans are folded into 1 line (x); --all gives each its '
                'own.'[31:],
            ][:-1],
            _tree(trace)[:-1],
        )

    def test_orphans_are_named_as_such_under_the_tree(self):
        trace = _trace(
            data.span(1, name='root'),
            data.span(5, 4, 'lost too', 6),
            data.span(3, 2, 'lost', 5),
            data.span(6, 3, 'below', 6),
            data.span(7, 2, 'lost as well', 7),
        )

        self.assertEqual(
            [
                'nova: root',
                'orphan: parent 0000000000000002 is not in the data',
                '|- nova: lost',
                '|  `- nova: below',
                '`- nova: lost as well',
                'orphan: parent 0000000000000004 is not in the data',
                '`- nova: lost too',
            ],
            _tree(trace),
        )
        self.assertIn(
            'Orphans   3 spans with an unknown parent', _rendered(trace)
        )

    def test_circles_and_several_roots_are_shown(self):
        trace = _trace(
            data.span(1, name='one'),
            data.span(2, name='two', start=1),
            data.span(3, 4, 'a', 2),
            data.span(4, 3, 'b', 3),
        )

        self.assertEqual(
            [
                'nova: one',
                'nova: two',
                'circle: the parents of 0000000000000003 lead back to it',
                '`- nova: a',
                '   `- nova: b',
            ],
            _tree(trace),
        )

    def test_what_else_there_is_to_say_stands_behind_the_name(self):
        trace = _trace(
            data.span(
                1,
                attributes={'error.type': 'Expected'},
                kind=2,
                events=[
                    {'name': name, 'timeUnixNano': data.NOON}
                    for name in ('db.pool.wait', 'a', 'a', 'b', 'c', 'd')
                ],
            ),
            data.span(
                2,
                1,
                links=[
                    {'traceId': 'c' * 32, 'spanId': 'd' * 16},
                    {'traceId': 'e' * 32, 'spanId': 'f' * 16},
                ],
            ),
            data.span(
                3,
                1,
                status={'code': 2},
                events=[
                    {
                        'name': 'exception',
                        'timeUnixNano': data.NOON,
                        'attributes': data.attributes(
                            {'exception.type': 'ValueError'}
                        ),
                    }
                ],
            ),
            data.span(4, 1, status={'code': 2}),
            data.span(5, 1, **data.error('Lost: x', **{'error.type': 'Lost'})),
            data.span(6, 1, **data.error('Lost', **{'error.type': 'a.Lost'})),
        )

        self.assertEqual(
            [
                'nova: work (server, Expected, db.pool.wait, a x2, b, '
                '2 other events)',
                f'|- nova: work (linked to trace {"c" * 32} and 1 more)',
                '|- nova: work ! ERROR ValueError',
                '|- nova: work ! ERROR',
                '|- nova: work ! ERROR Lost: x',
                '`- nova: work ! ERROR a.Lost',
            ],
            _tree(trace),
        )

    def test_no_text_of_the_data_reaches_the_terminal_as_it_is(self):
        hostile = 'a\x1b[2J\x9b1m\n\u202eb\ud800\x00'
        trace = model.Trace(
            data.TRACE,
            _spans(
                data.line(
                    hostile,
                    data.span(
                        1,
                        None,
                        hostile,
                        status={'code': 2, 'message': hostile},
                        attributes={
                            'error.type': hostile + 'x',
                            'openstack.request_id': hostile,
                            'openstack.global_request_id': hostile,
                        },
                        events=[{'name': hostile}],
                    ),
                )
            ),
        )

        for style in (ASCII, text.Style(), text.Style(width=200)):
            lines = _rendered(trace, style)
            printed = ''.join(lines)
            self.assertTrue(printed.isprintable(), ascii(printed))
            printed.encode('utf-8')
            self.assertIn(r'a\x1b[2J', printed)

    def test_megabytes_of_name_are_cut(self):
        trace = _trace(
            data.span(1, None, 'x' * 10**6, **data.error('y' * 10**6)),
            service='z' * 10**6,
        )

        self.assertLess(len('\n'.join(_rendered(trace))), 3000)

    def test_a_chain_of_100000_spans_is_drawn_in_bounded_lines(self):
        spans = [
            data.span(n, n - 1 or None, 'x', n / 1000, 1)
            for n in range(1, 100_001)
        ]

        lines = _tree(_trace(*spans))

        self.assertEqual(100_000, len(lines))
        self.assertLess(max(map(len, lines)), 150)
        self.assertTrue(lines[-1].startswith('[99999] '))
        self.assertEqual(' ' * 27 + '`- nova: x', lines[10])

    def test_ten_thousand_services_and_orphans_are_harmless(self):
        lines = [
            data.line(f's{n}', data.span(n, 100_000 + n))
            for n in range(1, 10_001)
        ]
        trace = model.Trace(data.TRACE, _spans(*lines))

        rendered = _rendered(trace)

        self.assertEqual(20_009, len(rendered))
        (services,) = [x for x in rendered if x.startswith('Services')]
        self.assertTrue(services.endswith('and 9988 more'), services)

    def test_odd_times_are_harmless(self):
        trace = _trace(
            data.span(1, startTimeUnixNano='0', endTimeUnixNano='0'),
            data.span(2, 1, startTimeUnixNano=str(2**63), endTimeUnixNano=0),
            data.span(3, 1, startTimeUnixNano='5', endTimeUnixNano='1'),
        )

        lines = _rendered(trace)

        self.assertIn('Started   1970-01-01T00:00:00.000Z', lines)
        self.assertIn('Duration  2562047 h 47 min', lines)

    def test_a_trace_of_no_length_has_shares_all_the_same(self):
        trace = _trace(data.span(1, took=0))

        self.assertIn('100.0%', _rendered(trace)[-1])

    def test_a_later_trace_of_a_request_tells_how_much_later(self):
        trace = _trace(data.span(1))

        lines = _rendered(trace, since=data.NOON - 1500 * data.MS)

        self.assertIn(
            'Started   2026-11-20T16:40:00.000Z, 1.50 s after the first',
            lines,
        )

    def test_times_are_those_of_corrected_clocks(self):
        expected = _rendered(maker.Maker().across_hosts(0))
        self.assertIn('Duration  100.00 ms', expected)
        self.assertNotIn('Clocks', '\n'.join(expected))

        for shift in (-3_600_000, 3_600_000):
            with self.subTest(shift=shift):
                lines = _rendered(maker.Maker().across_hosts(shift))

                told = 'Clocks    differ, the times of 3 spans are corrected'
                self.assertIn(told, lines)
                lines.remove(told)
                self.assertEqual(expected, lines)

    def test_the_first_error_is_found_whatever_the_clocks_say(self):
        for shift in (-3_600_000, 3_600_000):
            with self.subTest(shift=shift):
                lines = _rendered(maker.Maker().failed_on_another_host(shift))

                self.assertIn(
                    'Errors    3, the first in compute: build ERROR NoSpace',
                    lines,
                )

    def test_spans_that_came_twice_are_told(self):
        self.assertIn(
            'Spans     1 (1 more came twice)',
            _rendered(_trace(data.span(1), data.span(1))),
        )


class StyleTest(base.TestCase):
    def test_lines_are_cut_to_the_width_of_the_terminal(self):
        trace = _trace(data.span(1, None, '服务' * 50), service='服务')

        for width in (20, 40, 41, 80):
            for line in _rendered(trace, text.Style(width=width)):
                self.assertLessEqual(text.columns(line), width)
        self.assertEqual(4, text.columns('服务'))
        self.assertEqual(1, text.columns('e\u0301'))

    def test_colours_mark_services_and_errors_and_end_again(self):
        trace = model.Trace(data.TRACE, _spans(*data.boot()))

        coloured = _rendered(trace, text.Style(colour=True))
        plain = _rendered(trace, text.Style())

        self.assertIn('\x1b[36mnova-api: \x1b[0m', '\n'.join(coloured))
        self.assertIn('\x1b[33mnova-conductor: \x1b[0m', '\n'.join(coloured))
        self.assertIn(
            '\x1b[1;31m ✗ ERROR 1062: DBDuplicateEntry\x1b[0m', coloured[-3]
        )
        stripped = '\n'.join(coloured)
        for code in ('36', '33', '1;31', '1', '2', '0'):
            stripped = stripped.replace(f'\x1b[{code}m', '')
        self.assertEqual(plain, stripped.split('\n'))

    def test_boxes_are_drawn_where_the_encoding_has_them(self):
        self.assertTrue(text.drawable('utf-8'))
        for encoding in ('ascii', 'iso-8859-1', 'no-such', '', None):
            self.assertFalse(text.drawable(encoding))

    def test_lengths_read_as_people_say_them(self):
        for seconds, expected in (
            (0, '0.00 ms'),
            (0.00125, '1.25 ms'),
            (1.5, '1.50 s'),
            (200, '3 min 20 s'),
            (7200, '2 h 0 min'),
        ):
            self.assertEqual(expected, text.length(int(seconds * 1e9)))
