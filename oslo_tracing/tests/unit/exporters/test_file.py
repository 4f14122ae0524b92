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


from __future__ import annotations

import base64
import errno
import fcntl
import json
import os
import random
import resource as limits
import shutil
import stat
import subprocess
import sys

import fixtures
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.common import trace_encoder
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace

from oslo_tracing import counters
from oslo_tracing.exporters import _clean
from oslo_tracing.exporters import _otlp_json
from oslo_tracing.exporters import _trace_files
from oslo_tracing.exporters import file
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support


def _parsed(line):
    """Read a line with the official definitions.

    Ids are hex in OTLP/JSON, and base64 in protobuf's own JSON.
    """

    def with_base64(pairs):
        return {
            key: base64.b64encode(bytes.fromhex(value)).decode()
            if key in ('traceId', 'spanId', 'parentSpanId')
            else value
            for key, value in pairs
        }

    data = json.loads(line, object_pairs_hook=with_base64)
    return json_format.ParseDict(data, trace_pb2.TracesData())


def _official(spans):
    return trace_pb2.TracesData(
        resource_spans=trace_encoder.encode_spans(spans).resource_spans
    )


class JsonTest(base.TestCase):
    def test_a_line_is_what_the_sdk_would_send(self):
        """Over generated spans, with every field there is."""
        chance = random.Random(20261121)
        values = (
            *(True, False, 0, -5, 2**63 - 1, -(2**63), 0.0, -1.5, 1e300),
            *(float('inf'), float('-inf'), '', 'text', 'Zürich \u2028 東京'),
            *(b'\x00\xff', ('a', 'b'), (1, 2), (1.5, 'x', None), ()),
            *({'n': {'m': [1, b'x']}}, 'x' * 5000, '"\\\n\x1b'),
        )

        def attributes():
            return {
                f'key{n}': chance.choice(values)
                for n in range(chance.randrange(5))
            }

        def context():
            return trace.SpanContext(
                chance.getrandbits(128) or 1,
                chance.getrandbits(64) or 1,
                chance.random() < 0.5,
                trace.TraceFlags(chance.choice((0, 1))),
                trace.TraceState(
                    chance.choice(([], [('k', 'v'), ('a@b', 'c/d')]))
                ),
            )

        spans = []
        for number in range(3):
            for scope in ('oslo_tracing.a', 'oslo_tracing.b', 'theirs'):
                tracing = self.useFixture(
                    support.Tracer(
                        scope=scope,
                        resource=resources.Resource(
                            {'service.name': f's{number % 2}'},
                            chance.choice(('', 'https://schema')),
                        ),
                        span_limits=sdk_trace.SpanLimits(
                            max_events=1, max_links=1, max_attributes=3
                        ),
                    )
                )
                for _ in range(12):
                    parent = trace.set_span_in_context(
                        trace.NonRecordingSpan(context())
                    )
                    span = tracing.tracer.start_span(
                        chance.choice(('GET', 'ü\n')),
                        chance.choice((None, parent)),
                        kind=chance.choice(list(trace.SpanKind)),
                        attributes=attributes(),
                        links=[
                            trace.Link(context(), attributes())
                            for _ in range(chance.randrange(3))
                        ],
                    )
                    for _ in range(chance.randrange(3)):
                        span.add_event('event', attributes())
                    span.set_status(
                        chance.choice(list(trace.StatusCode)),
                        chance.choice((None, 'why')),
                    )
                    span.end()
                spans += tracing.spans
        chance.shuffle(spans)
        self.assertLess(60, len(spans))

        line = _otlp_json.encode(spans)

        self.assertEqual(1, line.count(b'\n'))
        self.assertTrue(line.isascii() and line.endswith(b'}\n'))
        self.assertEqual(_official(spans), _parsed(line))

    def test_nan_is_written_in_protobufs_words(self):
        tracing = self.useFixture(support.Tracer())
        tracing.end(attributes={'n': float('nan')})

        line = _otlp_json.encode(tracing.spans)

        self.assertIn(b'{"doubleValue":"NaN"}', line)
        value = _parsed(line).resource_spans[0].scope_spans[0].spans[0]
        self.assertNotEqual(
            value.attributes[0].value.double_value,
            value.attributes[0].value.double_value,
        )

    def test_the_form_is_that_of_the_file_format(self):
        tracing = self.useFixture(support.Tracer())
        parent = trace.SpanContext(
            0xAB << 100, 0xCD, True, trace.TraceFlags(1)
        )
        tracing.end(
            context=trace.set_span_in_context(trace.NonRecordingSpan(parent)),
            kind=trace.SpanKind.SERVER,
            start_time=2**62,
        )

        data = json.loads(_otlp_json.encode(tracing.spans))

        span = data['resourceSpans'][0]['scopeSpans'][0]['spans'][0]
        self.assertEqual(f'{0xAB << 100:032x}', span['traceId'])
        self.assertEqual('00000000000000cd', span['parentSpanId'])
        self.assertEqual(2, span['kind'])
        self.assertEqual(0x300, span['flags'])
        self.assertEqual(str(2**62), span['startTimeUnixNano'])


class FileTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.parent = self.useFixture(fixtures.TempDir()).path
        self.path = os.path.join(self.parent, 'traces')
        self.tracing = self.useFixture(support.Tracer())

    def _exporter(self, resource=None, **values):
        values.setdefault('file_directory', self.path)
        exporter = file.build(
            support.settings(exporters=['file'], **values),
            resource or support.resource(),
        )
        self.addCleanup(exporter.shutdown)
        return exporter

    def _export(self, exporter, count=1, size=0):
        del self.tracing.spans[:]
        self.tracing.end(count, attributes={'fill': 'x' * size})
        return exporter.export(self.tracing.spans)

    def _names(self):
        return sorted(os.listdir(self.path))

    def _lines(self):
        lines = []
        for name in self._names():
            with open(os.path.join(self.path, name), 'rb') as traces:
                lines += traces.read().splitlines(keepends=True)
        return lines

    def test_each_batch_is_a_line(self):
        exporter = self._exporter()

        self._export(exporter, 3)
        self._export(exporter, 2)

        self.assertEqual(
            [3, 2],
            [
                len(_parsed(line).resource_spans[0].scope_spans[0].spans)
                for line in self._lines()
            ],
        )

    def test_directory_and_file_are_not_for_everybody(self):
        old = os.umask(0)
        self.addCleanup(os.umask, old)

        self._export(self._exporter())

        (name,) = self._names()
        self.assertEqual(f'nova_api-host1-{os.getpid()}-a1b2.jsonl', name)
        mode = os.stat(self.path).st_mode
        self.assertEqual(0o750, stat.S_IMODE(mode))
        mode = os.stat(os.path.join(self.path, name)).st_mode
        self.assertEqual(0o640, stat.S_IMODE(mode))

    def test_what_is_made_is_never_for_everybody_to_write_to(self):
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        above = os.path.join(self.parent, 'above')
        below = os.path.join(above, 'traces')

        # A path may end in a slash, and have two where one would do.
        self._export(self._exporter(file_directory=f'{above}//traces/'))

        for path, mode in ((above, 0o755), (below, 0o750)):
            self.assertEqual(mode, stat.S_IMODE(os.stat(path).st_mode))
        self.assertEqual(1, len(os.listdir(below)))

    def test_nothing_is_opened_before_the_first_span(self):
        self._exporter()
        self.assertFalse(os.path.exists(self.path))

    def test_names_stay_in_the_directory(self):
        resource = support.resource(
            **{
                'service.name': '../../etc/../x\n',
                'host.name': '..',
                'service.instance.id': 'a/b' * 99,
            }
        )

        self._export(self._exporter(resource))

        (name,) = self._names()
        self.assertRegex(name, r'^[A-Za-z0-9_][A-Za-z0-9_.-]+\.jsonl$')
        self.assertLess(len(name), 200)
        self.assertEqual(['traces'], os.listdir(self.parent))

    def test_a_link_in_the_way_is_not_followed(self):
        os.mkdir(self.path, 0o750)
        target = os.path.join(self.parent, 'target')
        name = f'nova_api-host1-{os.getpid()}-a1b2'
        os.symlink(target, os.path.join(self.path, f'{name}.jsonl'))

        self._export(self._exporter())

        self.assertFalse(os.path.exists(target))
        self.assertEqual([f'{name}-2.jsonl', f'{name}.jsonl'], self._names())

    def test_a_directory_opened_to_all_since_the_start_is_refused(self):
        exporter = self._exporter()
        os.mkdir(self.path)
        os.chmod(self.path, 0o777)

        lost = self.assertRaises(counters.SpansLost, self._export, exporter)

        self.assertEqual((counters.DISK, 1), (lost.cause, lost.count))
        self.assertIn('everybody may write', lost.why)
        self.assertEqual([], self._names())

    def test_a_file_that_is_large_enough_is_followed_by_another(self):
        exporter = self._exporter(file_max_bytes=65536)

        for _ in range(10):
            self._export(exporter, 5, size=4000)

        names = self._names()
        start = f'nova_api-host1-{os.getpid()}-a1b2'
        self.assertEqual(
            sorted(
                [f'{start}.{n}.jsonl' for n in (1, 2, 3)] + [f'{start}.jsonl']
            ),
            names,
        )
        for name in names:
            size = os.stat(os.path.join(self.path, name)).st_size
            self.assertLessEqual(size, 65536)
        self.assertEqual(10, len(self._lines()))

    def test_the_oldest_closed_files_make_room(self):
        exporter = self._exporter(
            file_max_bytes=65536, file_total_max_bytes=4 * 65536
        )
        for number in range(100):
            self._export(exporter, 5, size=4000)
            total = sum(
                os.stat(os.path.join(self.path, name)).st_size
                for name in self._names()
            )
            self.assertLess(total, 4 * 65536 + 65536)
        start = f'nova_api-host1-{os.getpid()}-a1b2'
        self.assertIn(f'{start}.jsonl', self._names())
        self.assertNotIn(f'{start}.1.jsonl', self._names())

    def test_one_process_never_fills_the_directory_with_an_open_file(self):
        exporter = self._exporter(file_total_max_bytes=4 * 65536)
        for _ in range(100):
            self._export(exporter, 5, size=4000)
        start = f'nova_api-host1-{os.getpid()}-a1b2'
        self.assertIn(f'{start}.jsonl', self._names())
        self.assertNotIn(f'{start}.1.jsonl', self._names())

    def test_files_of_a_dead_process_go_those_of_a_living_one_stay(self):
        living = self._exporter(support.resource(**{'service.name': 'alive'}))
        self._export(living, 20, size=4000)
        program = (
            'import sys\n'
            'from oslo_tracing.exporters import _trace_files\n'
            'files = _trace_files.TraceFiles(\n'
            '    sys.argv[1], "dead-host1-1-a", 1 << 20, 1 << 30\n'
            ')\n'
            'files.write(b"x" * 99999 + b"\\n")\n'
            'import os; os.kill(os.getpid(), 9)\n'
        )
        subprocess.run([sys.executable, '-c', program, self.path])
        self.assertIn('dead-host1-1-a.jsonl', self._names())

        mine = self._exporter(file_total_max_bytes=150000)
        self._export(mine, 2, size=4000)

        self.assertNotIn('dead-host1-1-a.jsonl', self._names())
        self.assertEqual(2, len(self._names()))
        self.assertEqual(2, len(self._lines()))

    def _locking_late(self, meanwhile):
        """Have ``meanwhile`` done to a new file before it is locked."""
        real = fcntl.flock
        met = []

        def flock(number, how):
            if not met:
                (name,) = self._names()
                met.append(os.path.join(self.path, name))
                meanwhile(met[0])
            return real(number, how)

        with fixtures.MonkeyPatch('fcntl.flock', flock):
            self._export(self._exporter())
        return met[0]

    def test_a_file_that_made_room_before_it_was_locked_is_made_anew(self):
        self._locking_late(os.unlink)

        self.assertEqual(1, len(self._lines()))

    def test_a_file_that_is_about_to_make_room_is_left_for_another(self):
        def hold(path):
            other = open(path, 'rb')
            self.addCleanup(other.close)
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

        os.unlink(self._locking_late(hold))

        self.assertEqual(1, len(self._lines()))

    def test_files_of_others_are_not_removed(self):
        os.mkdir(self.path, 0o750)
        with open(os.path.join(self.path, 'notes.jsonl'), 'w') as stream:
            stream.write('x' * 99999)
        mine = self._exporter(file_total_max_bytes=65536)
        self._export(mine, 2, size=4000)
        self.assertIn('notes.jsonl', self._names())
        self.assertEqual(2, len(self._names()))

    def test_no_room_at_all_is_told_as_such(self):
        self._export(self._exporter(), 30, size=4000)
        mine = self._exporter(
            support.resource(**{'service.name': 'other'}),
            file_total_max_bytes=65536,
        )

        lost = self.assertRaises(counters.SpansLost, self._export, mine, 3)

        self.assertEqual((counters.FILE_LIMIT, 3), (lost.cause, lost.count))
        self.assertEqual(1, len(self._names()))

    def test_a_disk_that_fills_up_leaves_no_half_line(self):
        exporter = self._exporter()
        self._export(exporter)
        (whole,) = self._lines()
        # The kernel then takes the first bytes and refuses the rest.
        soft, hard = limits.getrlimit(limits.RLIMIT_FSIZE)
        limits.setrlimit(limits.RLIMIT_FSIZE, (len(whole) + 100, hard))
        try:
            lost = self.assertRaises(
                counters.SpansLost, self._export, exporter, 4, 4000
            )
        finally:
            limits.setrlimit(limits.RLIMIT_FSIZE, (soft, hard))

        self.assertEqual((counters.DISK, 4), (lost.cause, lost.count))
        self.assertEqual([whole], self._lines())
        self._export(exporter)
        self.assertEqual(2, len(self._lines()))
        _parsed(self._lines()[1])

    def _failing(self, call, code, exporter):
        """Have a system call refuse the current file of an exporter."""
        refused = exporter._files._fd
        real = getattr(os, call)

        def refuse(fd, *args):
            if fd != refused:
                return real(fd, *args)
            if call == 'close':
                # As Linux does it: the descriptor is gone all the same.
                real(fd)
            raise OSError(code, os.strerror(code))

        return fixtures.MonkeyPatch(f'os.{call}', refuse)

    def test_a_file_that_cannot_be_written_is_followed_by_another(self):
        for call, code in (('write', errno.EIO), ('fstat', errno.ESTALE)):
            service = {'service.name': call}
            exporter = self._exporter(support.resource(**service))
            self._export(exporter)

            with (
                self._failing(call, code, exporter),
                self._failing('close', errno.EIO, exporter),
            ):
                lost = self.assertRaises(
                    counters.SpansLost, self._export, exporter, 2
                )
            self._export(exporter)

            self.assertEqual((counters.DISK, 2), (lost.cause, lost.count))
            self.assertIn(os.strerror(code).lower(), lost.why)
            start = f'{call}-host1-{os.getpid()}-a1b2'
            self.assertEqual(
                [f'{start}-2.jsonl', f'{start}.jsonl'],
                [name for name in self._names() if name.startswith(call)],
            )
        self.assertEqual(4, len(self._lines()))
        for line in self._lines():
            _parsed(line)

    def test_a_file_that_somebody_emptied_is_not_filled_up_again(self):
        """As logrotate does with copytruncate; then the disk is full."""
        exporter = self._exporter()
        self._export(exporter, 3, size=4000)
        (name,) = self._names()
        os.truncate(os.path.join(self.path, name), 0)
        soft, hard = limits.getrlimit(limits.RLIMIT_FSIZE)
        limits.setrlimit(limits.RLIMIT_FSIZE, (100, hard))
        try:
            self.assertRaises(
                counters.SpansLost, self._export, exporter, 3, 4000
            )
        finally:
            limits.setrlimit(limits.RLIMIT_FSIZE, (soft, hard))
        self.assertEqual([], self._lines())

        self._export(exporter)

        self.assertEqual([name], self._names())
        (line,) = self._lines()
        _parsed(line)

    def test_a_file_that_somebody_emptied_has_its_room_again(self):
        exporter = self._exporter(file_max_bytes=65536)
        self._export(exporter, 10, size=4000)
        os.truncate(os.path.join(self.path, self._names()[0]), 0)

        self._export(exporter, 10, size=4000)

        self.assertEqual(1, len(self._names()))

    def test_a_disk_that_takes_nothing_gets_no_file_for_each_batch(self):
        exporter = self._exporter()
        soft, hard = limits.getrlimit(limits.RLIMIT_FSIZE)
        limits.setrlimit(limits.RLIMIT_FSIZE, (0, hard))
        try:
            for _ in range(3):
                self.assertRaises(counters.SpansLost, self._export, exporter)
        finally:
            limits.setrlimit(limits.RLIMIT_FSIZE, (soft, hard))

        self.assertEqual([], self._names())
        self._export(exporter)
        self.assertEqual(1, len(self._lines()))

    def test_a_half_line_that_cannot_be_cut_off_is_the_last(self):
        exporter = self._exporter()
        self._export(exporter)
        (whole,) = self._lines()
        soft, hard = limits.getrlimit(limits.RLIMIT_FSIZE)
        limits.setrlimit(limits.RLIMIT_FSIZE, (len(whole) + 100, hard))
        try:
            with self._failing('ftruncate', errno.ENOSPC, exporter):
                self.assertRaises(
                    counters.SpansLost, self._export, exporter, 4, 4000
                )
        finally:
            limits.setrlimit(limits.RLIMIT_FSIZE, (soft, hard))

        self._export(exporter)

        _parsed(self._lines()[0])
        self.assertEqual(2, len(self._names()))

    def test_a_file_that_somebody_removed_is_made_anew(self):
        exporter = self._exporter()
        self._export(exporter)
        os.unlink(os.path.join(self.path, self._names()[0]))

        self._export(exporter)

        self.assertEqual(1, len(self._lines()))

    def test_a_directory_that_somebody_removed_is_made_anew(self):
        exporter = self._exporter()
        self._export(exporter)
        shutil.rmtree(self.path)

        self._export(exporter)

        self.assertEqual(1, len(self._lines()))
        shutil.rmtree(self.path)
        with open(self.path, 'w'):
            pass
        lost = self.assertRaises(counters.SpansLost, self._export, exporter)
        self.assertEqual(counters.DISK, lost.cause)

    def test_a_rotated_file_that_somebody_removed_does_not_matter(self):
        exporter = self._exporter(file_max_bytes=65536)
        self._export(exporter, 10, size=4000)
        os.unlink(os.path.join(self.path, self._names()[0]))

        self._export(exporter, 10, size=4000)

        self.assertEqual(1, len(self._lines()))

    def test_a_batch_longer_than_a_line_may_be_is_cut_in_half(self):
        exporter = self._exporter()
        self.useFixture(
            fixtures.MonkeyPatch(f'{file.__name__}.LINE_LIMIT', 9000)
        )

        self._export(exporter, 8, size=3000)

        self.assertEqual(4, len(self._lines()))
        for line in self._lines():
            self.assertLessEqual(len(line), 9000)
            _parsed(line)

    def test_a_span_longer_than_a_line_may_be_is_lost_alone(self):
        exporter = self._exporter()
        self.useFixture(
            fixtures.MonkeyPatch(f'{file.__name__}.LINE_LIMIT', 9000)
        )
        self.tracing.end(attributes={'fill': 'x' * 3000})
        self.tracing.end(attributes={'fill': 'x' * 20000})
        self.tracing.end(2, attributes={'fill': 'x' * 3000})

        lost = self.assertRaises(
            counters.SpansLost, exporter.export, self.tracing.spans
        )

        self.assertEqual((counters.FILE_LIMIT, 1), (lost.cause, lost.count))
        spans = [
            span
            for line in self._lines()
            for span in _parsed(line).resource_spans[0].scope_spans[0].spans
        ]
        self.assertEqual(3, len(spans))

    def test_the_file_is_locked_until_it_is_closed(self):
        exporter = self._exporter()
        self._export(exporter)
        with open(os.path.join(self.path, self._names()[0])) as traces:
            self.assertRaises(
                BlockingIOError,
                fcntl.flock,
                traces,
                fcntl.LOCK_EX | fcntl.LOCK_NB,
            )
            exporter.shutdown()
            fcntl.flock(traces, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_the_file_does_not_go_on_to_programs_that_are_started(self):
        exporter = self._exporter()
        self._export(exporter)
        self.assertFalse(os.get_inheritable(exporter._files._fd))

    def test_hostile_spans_are_readable_lines(self):
        cleaner = _clean.Cleaner(support.settings(), self.fail)
        self.tracing.end(
            name='\ud800\u2028\n', attributes={'\udfff': '\x85', 'n': 2**99}
        )

        self._exporter().export(list(map(cleaner.clean, self.tracing.spans)))

        (line,) = self._lines()
        span = _parsed(line).resource_spans[0].scope_spans[0].spans[0]
        self.assertEqual('\\ud800\u2028\n', span.name)
        self.assertEqual(str(2**99), span.attributes[1].value.string_value)


class NameTest(base.TestCase):
    def test_what_is_not_known_has_a_stand_in(self):
        name = _trace_files.name_for(resources.Resource({}))
        self.assertTrue(name.startswith('unknown_service-'))
        self.assertTrue(name.endswith(f'-{os.getpid()}-none'))
