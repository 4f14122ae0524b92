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

"""No state of a collector is felt by the service."""

from __future__ import annotations

import os
import pathlib
import statistics
import time

from oslo_tracing.tests import base
from oslo_tracing.tests.functional import collector
from oslo_tracing.tests.functional import faults

FULL = bool(os.environ.get('OSLO_TRACING_FULL'))
#: Seconds without a collector before it comes back.
OUTAGE = 20.0 if FULL else 0.0
ROUNDS = 5
BLOCKS = 75
REQUESTS = 4
SLOWER = 1.10
STALL = 0.05
RECOVERY = 10.0
SHUTDOWN = 2.0
#: What a busy machine may take to run a thread that could run.
BUSY = 1.0
QUEUE = 2048
MIB = 2**20
#: Far below the 20 MiB and more of ten queues of spans.
GROWTH = 6 * MIB
OPTIONS = {'schedule_delay': 0.5}

TABLE = (
    pathlib.Path(__file__).parents[3]
    / 'doc/source/admin/collector-faults-table.inc'
)
AGAIN = 'sent again'
REFUSED = 'dropped: ``refused``'
PARTLY = 'those that it rejects are dropped: ``refused``'
#: What the docs say of a fault, and what becomes of the spans of a short
#: one over OTLP/HTTP and over OTLP/gRPC.
OUTCOMES = {
    'closed': ('Refuses connections', AGAIN, AGAIN),
    'black hole': ('Accepts connections, never answers', AGAIN, AGAIN),
    'reset': ('Resets the connection within a request', AGAIN, AGAIN),
    'lost answer': ('Keeps the spans, answer is lost', AGAIN, AGAIN),
    'slow': ('Answers after a second', 'delivered', 'delivered'),
    'untrusted': ('Certificate is not trusted', AGAIN, AGAIN),
    'unavailable': (
        '503 with ``Retry-After``, ``UNAVAILABLE`` with ``RetryInfo``',
        AGAIN,
        AGAIN,
    ),
    'unavailable for long': ('503, ``UNAVAILABLE``', AGAIN, AGAIN),
    'exhausted for now': (
        '429 with ``Retry-After``, ``RESOURCE_EXHAUSTED`` with ``RetryInfo``',
        AGAIN,
        AGAIN,
    ),
    'exhausted': ('429, ``RESOURCE_EXHAUSTED``', AGAIN, REFUSED),
    'partial': ('Partial success', PARTLY, PARTLY),
    'too large': ('413, ``RESOURCE_EXHAUSTED``', REFUSED, REFUSED),
    'bad request': ('400, ``INVALID_ARGUMENT``', REFUSED, REFUSED),
    'redirect': ('302 to a login page, ``UNKNOWN``', REFUSED, REFUSED),
}


class _Faults:
    """Each test: two services, of which one has a collector at fault.

    The two run by turns, a few requests each, so that whatever else keeps
    the machine busy does the same to both. Time in which a thread could have
    run and had no processor is taken off: of the request's thread for its
    latency, of any thread of the process for a stall of the hub. Nor does a
    stall count while the hub of the other service stood still too. Up to
    ROUNDS rounds are measured, and the best counts: noise comes and goes,
    what a fault costs stays.
    """

    runtime = ''
    protocol = ''

    def _speaks_grpc(self):
        # On eventlet HTTP is spoken instead, to the port that was given.
        return self.protocol == 'grpc' and self.runtime != 'eventlet'

    def _endpoint(self, found, tls):
        if self._speaks_grpc():
            return found.grpcs_url if tls else found.grpc_url
        return found.https_url if tls else found.http_url

    def _service(self, found, tls=False, **options):
        if tls:
            options['otlp_ca_file'] = found.ca_file
        options.setdefault('otlp_endpoint', self._endpoint(found, tls))
        return self.useFixture(
            faults.Service(
                self.runtime,
                otlp_protocol=self.protocol,
                **OPTIONS,
                **options,
            )
        )

    def _holds(self, behaviour, tls=False, at_start=False):
        well = self.useFixture(collector.Collector())
        at_fault = self.useFixture(collector.Collector(tls))
        reference = self._service(well)
        if at_start:
            at_fault.behave(behaviour)
        service = self._service(at_fault, tls)
        if not at_start:
            service.do('spans', 100, 'before')
            self.assertTrue(service.do('flush', 20))
        at_fault.behave(behaviour)

        def begin_again():
            at_fault.behave('healthy')
            faults.settled(service)
            at_fault.behave(behaviour)

        self._latency_and_stalls(reference, service, begin_again)
        self._memory(service)
        time.sleep(OUTAGE)
        self._recovery(at_fault, service)
        self._short_outage(behaviour, at_fault, service)

        at_fault.behave(behaviour)
        service.do('spans', 700, 'last')
        self._exit(service)

    def _latency_and_stalls(self, reference, service, begin_again=None):
        for each in (reference, service):
            each.do('requests', 30)
            each.do('stalls')
        found = []
        for _ in range(ROUNDS):
            if found and begin_again is not None:
                # With an empty queue, as the first time.
                begin_again()
            slower = self._slower(reference, service)
            stall = _longest(
                service.do('stalls'), besides=reference.do('stalls')
            )
            found.append((slower, stall))
            if (
                min(one[0] for one in found) <= SLOWER
                and min(one[1] for one in found) <= STALL
            ):
                break
        print(f'{self.id()}: {found}')
        self.assertLessEqual(min(one[0] for one in found), SLOWER, found)
        self.assertLessEqual(min(one[1] for one in found), STALL, found)

    def _slower(self, reference, service):
        """Return the ratio of the median latencies."""
        healthy, faulty = [], []
        for _ in range(BLOCKS):
            healthy += reference.do('requests', REQUESTS)
            faulty += service.do('requests', REQUESTS)
        return statistics.median(faulty) / statistics.median(healthy)

    def _memory(self, service):
        """Ten queues of spans more, and the process is as large as before.

        Measured again where it was not: it may have had its largest batch
        under way only now. A leak would be as large each time.
        """
        service.do('spans', 2 * QUEUE, 'fill')
        before = service.do('state')
        grown = []
        for _ in range(3):
            service.do('spans', 10 * QUEUE, 'fill')
            after = service.do('state')
            grown.append(after['rss'] - before['rss'])
            # A thread that serves requests of gRPC may come and go.
            more = after['threads'] - before['threads']
            if grown[-1] < GROWTH and more < 4:
                break
            before = after
        print(f'{self.id()}: grown by {[one / MIB for one in grown]} MiB')
        self.assertLess(grown[-1], GROWTH, grown)
        self.assertLess(more, 4)
        self.assertLess(after['files'], before['files'] + 4)

    def _recovery(self, found, service):
        begun = time.monotonic()
        found.behave('healthy')
        name = ''
        for number in range(1000):
            name = f'again {number}'
            service.do('spans', 5, name)
            totals = found.totals()
            if any(one.startswith('again') for one in totals['names']):
                break
            self.assertLess(time.monotonic() - begun, RECOVERY + BUSY, totals)
            time.sleep(0.1)
        dropped = service.do('state')['dropped']
        service.do('spans', 100, 'all of these')
        found.wait_for(
            lambda totals: totals['names'].get('all of these') == 100,
            begun + RECOVERY + BUSY - time.monotonic(),
        )
        print(f'{self.id()}: recovered in {time.monotonic() - begun:.1f} s')
        self.assertTrue(service.do('flush', 20))
        state, totals = service.do('state'), found.totals()
        self.assertEqual(dropped, state['dropped'])
        self._sums(state, totals)

    def _sums(self, state, totals):
        told = f'{state} {totals}'
        dropped = sum(state['dropped'].values())
        self.assertEqual(
            state['made'], state['exported']['otlp'] + dropped, told
        )
        self.assertEqual(state['made'], totals['spans'] + dropped, told)
        self.assertEqual(
            (0, 0, 0),
            (totals['undecodable'], totals['doubled'], totals['followed']),
            told,
        )

    def _short_outage(self, behaviour, found, service):
        """What becomes of a few spans is what the docs say."""
        before = service.do('state')
        found.behave(behaviour)
        service.do('spans', 50, 'short')
        service.do('flush', 1)
        found.behave('healthy')
        after = faults.settled(service)
        dropped = {
            cause: count - before['dropped'].get(cause, 0)
            for cause, count in after['dropped'].items()
        }
        dropped = {cause: count for cause, count in dropped.items() if count}
        outcome = OUTCOMES[behaviour][2 if self._speaks_grpc() else 1]
        if outcome == REFUSED:
            self.assertEqual({'refused': 50}, dropped, behaviour)
        elif outcome == PARTLY:
            # One of each request.
            self.assertEqual(['refused'], list(dropped), behaviour)
            self.assertLess(dropped['refused'], 10)
        else:
            self.assertEqual({}, dropped, behaviour)

    def _exit(self, service):
        of_tracing, whole = service.exit()
        print(f'{self.id()}: exit {of_tracing:.1f} s, {whole:.1f} s')
        self.assertLess(of_tracing, SHUTDOWN + BUSY)
        # The rest is the interpreter's.
        self.assertLess(whole, SHUTDOWN + 10 * BUSY)

    def test_closed(self):
        self._holds('closed')

    def test_closed_at_start(self):
        self._holds('closed', at_start=True)

    def test_black_hole(self):
        self._holds('black hole')

    def test_unavailable_with_a_time_to_come_again(self):
        self._holds('unavailable')

    def test_login_page(self):
        self._holds('redirect')

    def test_too_large(self):
        self._holds('too large')

    def test_partial_success(self):
        self._holds('partial')

    def test_answers_take_a_second(self):
        self._holds('slow')

    def test_reset_within_a_request(self):
        self._holds('reset')

    def test_certificate_that_is_not_trusted(self):
        self._holds('untrusted', tls=True)

    def test_other_answers(self):
        found = self.useFixture(collector.Collector())
        service = self._service(found)
        for behaviour in (
            'unavailable for long',
            'exhausted',
            'exhausted for now',
            'bad request',
            'lost answer',
        ):
            self._short_outage(behaviour, found, service)

    def test_name_that_is_not_known(self):
        well = self.useFixture(collector.Collector())
        service = self._service(
            well, otlp_endpoint='http://does-not-exist.invalid:4318'
        )
        self._latency_and_stalls(self._service(well), service)
        self._memory(service)
        self._exit(service)


def _longest(stalls, besides):
    """Return the longest stall that is no stall of another process too."""
    longest = 0.0
    for begun, ended, seconds in stalls:
        for other_begun, other_ended, _seconds in besides:
            seconds -= max(
                0.0, min(ended, other_ended) - max(begun, other_begun)
            )
        longest = max(longest, seconds)
    return longest


class HttpThreadsTest(_Faults, base.TestCase):
    runtime = 'threads'
    protocol = 'http/protobuf'


class HttpEventletTest(_Faults, base.TestCase):
    runtime = 'eventlet'
    protocol = 'http/protobuf'


class GrpcThreadsTest(_Faults, base.TestCase):
    runtime = 'threads'
    protocol = 'grpc'


class GrpcEventletTest(_Faults, base.TestCase):
    runtime = 'eventlet'
    protocol = 'grpc'


class TableTest(base.TestCase):
    def test_the_table_of_the_docs_is_so(self):
        lines = [
            '.. Written by oslo_tracing/tests/functional/test_faults.py',
            '',
            '.. list-table::',
            '   :header-rows: 1',
            '   :widths: 40 30 30',
            '',
            '   * - The collector',
            '     - Spans over OTLP/HTTP',
            '     - over OTLP/gRPC',
        ]
        for fault, over_http, over_grpc in OUTCOMES.values():
            lines += [
                f'   * - {fault}',
                f'     - {over_http}',
                f'     - {over_grpc}',
            ]
        text = '\n'.join(lines) + '\n'
        if os.environ.get('OSLO_TRACING_WRITE_TABLES'):
            TABLE.write_text(text)
        self.assertEqual(TABLE.read_text(), text)
