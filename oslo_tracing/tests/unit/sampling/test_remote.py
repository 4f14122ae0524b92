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
import logging
import os
import socket
import subprocess
import sys
import threading

import fixtures
from opentelemetry.sdk.trace import sampling as sdk_sampling
from opentelemetry import trace
from oslo_config import cfg

from oslo_tracing import _real
from oslo_tracing import exceptions
from oslo_tracing import opts
from oslo_tracing.sampling import _server
from oslo_tracing.sampling import _strategies
from oslo_tracing.sampling import remote
from oslo_tracing import service
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.exporters import support
from oslo_tracing.tests.unit.sampling import servers

_SOON = 0.1
_LATER = 3600.0


_EVENTLET = '''
import sys
import eventlet
eventlet.monkey_patch()
from eventlet import patcher
from opentelemetry.sdk.trace import sampling
from oslo_tracing.sampling import _server
from oslo_tracing.sampling import remote

clock = patcher.original('time')
sampler = remote.JaegerRemoteSampler(
    'nova-api', sampling.ALWAYS_OFF, _server.Server(sys.argv[1]), 0.1
)


def keeps():
    return sampler.should_sample(None, 1, 'x').decision.is_sampled()


def work():
    # Never yields, so that nothing green can run.
    deadline = clock.monotonic() + 60
    while not keeps():
        assert clock.monotonic() < deadline
        clock.sleep(0.005)


eventlet.spawn(work).wait()
sampler.shutdown()
'''

_IMPORTING = '''
import importlib
import importlib.abc
import sys
import threading
from opentelemetry.sdk.trace import sampling
from oslo_tracing.sampling import remote
from oslo_tracing.tests.unit.exporters import support

begun = threading.Event()


class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *args):
        if name == 'oslo_tracing._stream':
            begun.set()
            # For the fork to come first, if it can.
            threading.Event().wait(0.5)


sys.meta_path.insert(0, Slow())
sampler = remote.JaegerRemoteSampler('nova-api', sampling.ALWAYS_OFF)
sampler.should_sample(None, 1, 'x')
assert begun.wait(60)


def work():
    return bool(importlib.import_module('oslo_tracing._stream'))


sys.exit(0 if support.status_of_child(work) == 0 else 'the child hangs')
'''


def _asking():
    """Return how many threads ask."""
    # Where eventlet is loaded, they are known to its copy of threading.
    return [
        thread.name for thread in _real.threading_module().enumerate()
    ].count('oslo.tracing-sampling')


def _operations(default, at_least, **shares):
    return {
        'operationSampling': {
            'defaultSamplingProbability': default,
            'defaultLowerBoundTracesPerSecond': at_least,
            'perOperationStrategies': [
                {
                    'operation': name,
                    'probabilisticSampling': {'samplingRate': value},
                }
                for name, value in shares.items()
            ],
        }
    }


class _RemoteTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(
            fixtures.FakeLogger('oslo_tracing', level=logging.INFO)
        )
        # Whoever asks only once is answered also on a busy machine.
        self.useFixture(
            fixtures.MonkeyPatch('oslo_tracing.sampling._server.TIMEOUT', 60)
        )

    def _nobody(self):
        """Return the URL of a server that is away."""
        # Bound, so that nobody else is there, and not listening.
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(('127.0.0.1', 0))
        return f'http://127.0.0.1:{taken.getsockname()[1]}/sampling'

    def _sampler(self, url, initial=0.0, interval=_SOON, **tls):
        sampler = remote.JaegerRemoteSampler(
            'nova-api',
            sdk_sampling.TraceIdRatioBased(initial),
            _server.Server(url, **tls),
            interval,
        )
        self.addCleanup(sampler.shutdown)
        return sampler

    def _serve(self, answer, **kwargs):
        return self.useFixture(servers.StrategyServer(answer, **kwargs))

    def _answered(self, answer, **kwargs):
        """Return a sampler that has this answer, and no other any more."""
        server = self._serve(answer)
        sampler = self._sampler(server.url, **kwargs)
        servers.share(sampler, count=1)
        self.assertTrue(servers.until(lambda: sampler._table is not None))
        sampler.shutdown()
        return sampler

    def _stand_still(self):
        self.useFixture(fixtures.MonkeyPatch('time.monotonic', lambda: 1e6))


class StrategiesTest(_RemoteTestCase):
    def _assert_share(self, expected, sampler, name='x'):
        self.assertAlmostEqual(
            expected,
            servers.share(sampler, name),
            delta=servers.sigmas(expected),
        )

    def test_a_ratio(self):
        for ratio in (0.0, 0.01, 0.25, 1.0):
            sampler = self._answered(servers.ratio(ratio), initial=0.5)
            self._assert_share(ratio, sampler)

    def test_each_operation_has_its_ratio(self):
        sampler = self._answered(
            _operations(0.1, 0, rare=0.02, often=0.8, never=0.0, always=1.0)
        )
        for name, ratio in (
            ('rare', 0.02),
            ('often', 0.8),
            ('never', 0.0),
            ('always', 1.0),
            ('another', 0.1),
        ):
            self._assert_share(ratio, sampler, name)

    def test_services_of_one_ratio_decide_alike(self):
        first = self._answered(servers.ratio(0.5))
        second = self._answered(_operations(0.1, 0, x=0.5))
        for _number in range(100):
            trace_id = int.from_bytes(os.urandom(16), 'big')
            self.assertEqual(
                first.should_sample(None, trace_id, 'x').decision,
                second.should_sample(None, trace_id, 'x').decision,
            )

    def test_a_rate(self):
        sampler = self._answered(
            {
                'strategyType': 'RATE_LIMITING',
                'rateLimitingSampling': {'maxTracesPerSecond': 50},
            }
        )
        self._stand_still()
        self.assertEqual(50, round(20000 * servers.share(sampler)))

    def test_of_a_rate_of_zero_nothing_is_kept(self):
        sampler = self._answered({'rateLimitingSampling': {}}, initial=1.0)
        self.assertEqual(0.0, servers.share(sampler))

    def test_each_operation_has_so_many_at_least(self):
        sampler = self._answered(_operations(0.0, 3, never=0.0))
        self._stand_still()
        for name in ('never', 'another', 'a third'):
            self.assertEqual(3, round(20000 * servers.share(sampler, name)))

    def test_what_the_ratio_keeps_counts_for_the_least(self):
        sampler = self._answered(_operations(0.0, 3, always=1.0, half=0.5))
        self._stand_still()
        self.assertEqual(1.0, servers.share(sampler, 'always'))
        # Of the first three decisions each takes a token, whatever it is.
        kept = [
            sampler.should_sample(None, trace_id, 'half')
            for trace_id in ((1 << 56) - 1, (1 << 56) - 1, 0, 0, 0)
        ]
        self.assertEqual(
            [True, True, True, False, False],
            [one.decision.is_sampled() for one in kept],
        )

    def test_names_that_callers_make_up_take_bounded_room(self):
        sampler = self._answered(_operations(0.0, 1, listed=0.0))
        self._stand_still()
        for number in range(_strategies.MAX_OPERATIONS + 500):
            sampler.should_sample(None, 0, f'GET /{number}')
        sampler.should_sample(None, 0, 'x' * 1000)
        self.assertEqual(_strategies.MAX_OPERATIONS, len(sampler._at_least))
        # One that the server has listed still has its own.
        decided = sampler.should_sample(None, 0, 'listed')
        self.assertTrue(decided.decision.is_sampled())

    def test_names_that_are_no_text(self):
        sampler = self._answered(_operations(1.0, 1, x=0.0))
        for name in (None, 5, ['x'], {}):
            decided = sampler.should_sample(None, 0, name)
            self.assertTrue(decided.decision.is_sampled())

    def test_attributes_stay(self):
        sampler = self._answered(servers.ratio(1.0))
        decided = sampler.should_sample(None, 1, 'x', None, {'a': 'b'})
        self.assertEqual({'a': 'b'}, dict(decided.attributes))


class AskingTest(_RemoteTestCase):
    def _keeps(self, sampler):
        return servers.share(sampler, count=1) == 1.0

    def test_until_the_first_answer_the_initial_ratio_holds(self):
        sampler = self._sampler(self._nobody(), initial=0.25)
        self.assertAlmostEqual(
            0.25, servers.share(sampler), delta=servers.sigmas(0.25)
        )
        self.assertTrue(servers.until(lambda: self._said(sampler, 'No samp')))
        self.assertIn('the initial ratio holds', self.log.output)

    def _said(self, sampler, words):
        servers.share(sampler, count=1)
        return words in self.log.output

    def test_nobody_is_asked_before_the_first_decision(self):
        server = self._serve(servers.ratio(1.0))
        sampler = self._sampler(server.url)
        self.assertEqual({}, sampler._polls)
        self._keeps(sampler)
        self.assertTrue(servers.until(lambda: server.asked))
        self.assertEqual(['/sampling?service=nova-api'], server.asked[:1])

    def test_a_new_answer_changes_the_ratio(self):
        server = self._serve(servers.ratio(1.0))
        sampler = self._sampler(server.url)
        for ratio in (1.0, 0.0, 1.0):
            server.answer = servers.ratio(ratio)
            self.assertTrue(
                servers.until(lambda: self._keeps(sampler) == bool(ratio))
            )

    def test_the_last_good_answer_is_kept(self):
        server = self._serve(servers.ratio(1.0))
        sampler = self._sampler(server.url)
        self.assertTrue(servers.until(lambda: self._keeps(sampler)))
        elsewhere = self._serve(servers.ratio(0.0))
        for status, headers, answer in (
            (500, {}, servers.ratio(0.0)),
            (404, {}, servers.ratio(0.0)),
            (204, {}, b''),
            (302, {'Location': elsewhere.url}, servers.ratio(0.0)),
            (301, {'Location': elsewhere.url}, servers.ratio(0.0)),
            (200, {'Content-Encoding': 'gzip'}, b'\x1f\x8b\x08'),
            (200, {}, servers.ratio('NaN')),
            (200, {}, b'\n' * 2 * 1024 * 1024),
            (200, {'Content-Length': '10'}, b'{}'),
            (200, {'X-Long': 'x' * 100000}, servers.ratio(0.0)),
            (200, {}, b''),
        ):
            server.status, server.headers = status, headers
            server.answer = answer
            # The second may have been under way; the third is asked when
            # what came of the one before it is known.
            self.assertTrue(server.wait_for(3))
            self.assertTrue(self._keeps(sampler), status)
        self.assertEqual([], elsewhere.asked)

    def test_a_server_that_says_nothing_is_left_alone_after_a_while(self):
        self.useFixture(
            fixtures.MonkeyPatch('oslo_tracing.sampling._server.TIMEOUT', 0.2)
        )
        listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listener.close)
        port = listener.getsockname()[1]
        sampler = self._sampler(f'http://127.0.0.1:{port}/sampling')
        self.assertTrue(
            servers.until(lambda: self._said(sampler, 'TimeoutError'))
        )

    def test_a_token_in_the_query_is_sent_and_not_told(self):
        server = self._serve(servers.ratio(1.0))
        sampler = self._sampler(f'{server.url}?token=S3CRET')
        self.assertTrue(servers.until(lambda: self._said(sampler, 'ratio 1')))
        self.assertIn('token=S3CRET', server.asked[0])
        server.answer = b''
        self.assertTrue(servers.until(lambda: self._said(sampler, 'not JSON')))
        self.assertIn('token=REDACTED', self.log.output)
        self.assertNotIn('S3CRET', self.log.output)
        self.assertNotIn('S3CRET', sampler.get_description())

    def test_at_the_end_nobody_waits_for_a_question_under_way(self):
        listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listener.close)
        port = listener.getsockname()[1]
        sampler = self._sampler(f'http://127.0.0.1:{port}/sampling')
        self._keeps(sampler)
        asked, _address = listener.accept()
        # Answered at last, for the thread to end.
        self.addCleanup(asked.close)
        waited = []
        with fixtures.MockPatchObject(
            _real.threading_module().Thread,
            'join',
            lambda *args: waited.append(args),
        ):
            sampler.shutdown()
        self.assertEqual([], waited)

    def test_it_is_told_once_that_there_is_no_answer_and_that_there_is(self):
        server = self._serve(b'')
        sampler = self._sampler(server.url)
        self.assertTrue(servers.until(lambda: self._said(sampler, 'not JSON')))
        self.assertTrue(server.wait_for(3))
        server.answer = servers.ratio(0.25)
        self.assertTrue(
            servers.until(lambda: self._said(sampler, 'ratio 0.25'))
        )
        self.assertTrue(server.wait_for(3))
        self._keeps(sampler)
        self.assertEqual(2, len(self.log.output.splitlines()))
        self.assertEqual(1, self.log.output.count('nova-api'))

    def test_after_shutdown_nobody_is_asked_and_the_last_answer_holds(self):
        server = self._serve(servers.ratio(1.0))
        sampler = self._sampler(server.url, interval=_LATER)
        self.assertTrue(servers.until(lambda: self._keeps(sampler)))
        thread = next(iter(sampler._polls.values()))._thread
        sampler.shutdown()
        self.assertFalse(thread.is_alive())
        self.assertTrue(self._keeps(sampler))
        self.assertEqual(1, len(server.asked))

    def test_threads_that_decide_first_at_one_moment_begin_one(self):
        server = self._serve(servers.ratio(1.0))
        sampler = self._sampler(server.url, interval=_LATER)
        start = threading.Barrier(16)

        def decide():
            start.wait(60)
            self._keeps(sampler)

        threads = [threading.Thread(target=decide) for _number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertTrue(servers.until(lambda: self._keeps(sampler)))
        self.assertEqual(1, _asking())

    def test_without_a_thread_it_tries_again(self):
        server = self._serve(servers.ratio(1.0))
        sampler = self._sampler(server.url, interval=_LATER)

        def fail(thread):
            raise RuntimeError("can't start new thread")

        with fixtures.MockPatchObject(
            _real.threading_module().Thread, 'start', fail
        ):
            self.assertFalse(self._keeps(sampler))
        self.assertIn('Tracing failed while beginning', self.log.output)
        self.assertTrue(servers.until(lambda: self._keeps(sampler)))

    def test_a_forked_child_keeps_the_answer_and_asks_for_itself(self):
        server = self._serve(servers.ratio(1.0))
        sampler = self._sampler(server.url, interval=_LATER)
        self.assertTrue(servers.until(lambda: self._keeps(sampler)))
        server.answer = servers.ratio(0.0)

        def in_child():
            # The first decision is by what the parent knew, and asks.
            return self._keeps(sampler) and servers.until(
                lambda: not self._keeps(sampler)
            )

        self.assertEqual(0, support.status_of_child(in_child))
        self.assertTrue(self._keeps(sampler))
        self.assertEqual(2, len(server.asked))

    def test_a_child_of_a_process_that_begins_to_ask(self):
        # A module that is being imported when a process forks stays locked
        # in the child, for its exporter and for the service alike.
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _IMPORTING],
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(0, done.returncode, done.stderr)

    def test_over_tls(self):
        certificates = self.useFixture(support.Certificates())
        server = self._serve(servers.ratio(1.0), certificates=certificates)
        cert_file, key_file = certificates.client
        sampler = self._sampler(
            server.url,
            ca_file=certificates.ca,
            cert_file=cert_file,
            key_file=key_file,
        )
        self.assertTrue(servers.until(lambda: self._keeps(sampler)))

    def test_over_tls_with_the_authorities_of_other_clients(self):
        certificates = self.useFixture(support.Certificates())
        self.useFixture(
            fixtures.EnvironmentVariable('REQUESTS_CA_BUNDLE', certificates.ca)
        )
        server = self._serve(servers.ratio(1.0), certificates=certificates)
        cert_file, key_file = certificates.client
        sampler = self._sampler(
            server.url, cert_file=cert_file, key_file=key_file
        )
        self.assertTrue(servers.until(lambda: self._keeps(sampler)))

    def test_a_server_that_is_not_the_right_one_is_not_believed(self):
        certificates = self.useFixture(support.Certificates())
        others = self.useFixture(support.Certificates())
        server = self._serve(servers.ratio(1.0), certificates=certificates)
        sampler = self._sampler(server.url, ca_file=others.ca)
        self.assertTrue(
            servers.until(lambda: self._said(sampler, 'CERTIFICATE_VERIFY'))
        )
        self.assertFalse(self._keeps(sampler))

    def test_under_eventlet_the_hub_need_not_run(self):
        server = self._serve(servers.ratio(1.0))
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _EVENTLET, server.url],
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(0, done.returncode, done.stderr)


class OptionsTest(_RemoteTestCase):
    def test_a_server_that_cannot_be_asked_stops_the_start(self):
        for url, why in (
            ('', 'must start with'),
            ('localhost:5778', 'must start with'),
            ('ftp://localhost/sampling', 'must start with'),
            ('http://', 'no host'),
            ('http:///sampling', 'no host'),
            ('http://localhost:/sampling', 'no port'),
            ('http://localhost:0/sampling', 'no port'),
            ('http://localhost:99999/sampling', 'not a URL'),
            ('http://local host/sampling', 'not a URL'),
            ('http://localhost/\r\nX: y', 'not a URL'),
            ('http://[::1/sampling', 'not a URL'),
            ('http://me:hunter2@localhost/sampling', 'credentials'),
            ('http://me%40home:hunter2%40localhost/', 'credentials'),
            ('http://localhost:hunter2/sampling', 'not a URL'),
            ('http://localhost/sampling#here', 'fragment'),
        ):
            error = self.assertRaises(
                exceptions.InvalidOption,
                remote.build,
                support.settings(sampling_server_url=url),
            )
            self.assertIn('[tracing] sampling_server_url = ', str(error))
            self.assertIn(why, str(error))
            self.assertNotIn('hunter2', str(error))

    def test_the_path_may_be_left_out(self):
        for url, whole in (
            ('http://jaeger:5778', 'http://jaeger:5778/sampling'),
            ('http://jaeger:5778/', 'http://jaeger:5778/sampling'),
            ('https://[::1]/api/sampling', 'https://[::1]/api/sampling'),
            ('http://jaeger?a=b', 'http://jaeger/sampling?a=b'),
        ):
            sampler = remote.build(support.settings(sampling_server_url=url))
            self.assertIn(whole, sampler.get_description())

    def test_a_name_is_asked_for_as_it_is(self):
        server = self._serve(servers.ratio(1.0))
        sampler = remote.build(
            support.settings(
                service_name='nova & co?=/é', sampling_server_url=server.url
            )
        )
        self.addCleanup(sampler.shutdown)
        servers.share(sampler, count=1)
        self.assertTrue(servers.until(lambda: server.asked))
        self.assertEqual({'nova & co?=/é'}, server.services())

    def test_the_configured_ratio_holds_first(self):
        settings = support.settings(
            sampling_server_url=self._nobody(), sample_ratio=0.0
        )
        sampler = remote.build(settings)
        self.addCleanup(sampler.shutdown)
        self.assertEqual(0.0, servers.share(sampler, count=100))
        settings.sample_ratio = 1.0
        self.assertEqual(1.0, servers.share(sampler, count=100))


class ServiceTest(_RemoteTestCase):
    def _set_up(self, **values):
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        values = {'enabled': True, 'exporters': ['none'], **values}
        for name, value in values.items():
            conf.set_override(name, value, group='tracing')
        return service.set_up(conf, 'nova-api')

    def _is_kept(self, parent=None):
        span = trace.get_tracer('test').start_span('x', parent)
        return span.is_recording()

    def test_by_its_names(self):
        sampled = trace.set_span_in_context(
            trace.NonRecordingSpan(
                trace.SpanContext(1, 2, True, trace.TraceFlags(1))
            )
        )
        for name, follows in (
            ('parentbased_jaeger_remote', True),
            ('Jaeger_Remote', False),
        ):
            server = self._serve(servers.ratio(0.0))
            self._set_up(sampler=name, sampling_server_url=server.url)
            self.assertTrue(self._is_kept())
            self.assertTrue(servers.until(lambda: not self._is_kept()))
            self.assertEqual(follows, self._is_kept(sampled))
            service.shutdown()
            self.assertEqual({'nova-api'}, server.services())
            self.assertEqual(0, _asking())

    def test_the_limit_still_caps(self):
        server = self._serve(servers.ratio(1.0))
        self._set_up(
            sampler='parentbased_jaeger_remote',
            sampling_server_url=server.url,
            sample_ratio=0.0,
            max_traces_per_second=0.001,
        )
        self.assertTrue(servers.until(self._is_kept))
        self.assertFalse(self._is_kept())

    def test_a_bad_server_of_the_environment_stops_no_start(self):
        self.useFixture(
            fixtures.EnvironmentVariable(
                'OTEL_TRACES_SAMPLER_ARG', 'endpoint=ftp://jaeger'
            )
        )
        tracing = self._set_up(sampler='parentbased_jaeger_remote')
        self.assertEqual(
            'http://localhost:5778/sampling',
            tracing.settings.sampling_server_url,
        )


_PLAIN = '''
import json
import logging
import sys
import time

logging.basicConfig(level=logging.INFO, stream=sys.stderr)

from opentelemetry.sdk import _configuration
from opentelemetry import trace

_configuration._OTelSDKConfigurator().configure()
tracer = trace.get_tracer('test')


def is_kept(parent=None):
    return tracer.start_span('x', parent).is_recording()


sampled = trace.set_span_in_context(trace.NonRecordingSpan(
    trace.SpanContext(1, 2, True, trace.TraceFlags(1))
))
told = {'first': is_kept()}


def has_changed():
    # Of the ratio at first, one in a thousand, a single one may be kept.
    return all(is_kept() != told['first'] for _ in range(4))


deadline = time.monotonic() + 60
while not has_changed() and time.monotonic() < deadline:
    time.sleep(0.005)
told['then'] = is_kept()
told['sampled by parent'] = is_kept(sampled)
told['others'] = sorted(
    name for name in sys.modules
    if name.startswith('oslo') and not name.startswith('oslo_tracing')
)
print(json.dumps(told))
'''


class PlainSdkTest(base.TestCase):
    """Programs that know nothing of this library."""

    def _run(self, sampler, argument):
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _PLAIN],
            capture_output=True,
            text=True,
            timeout=120,
            env={
                **os.environ,
                'OTEL_TRACES_SAMPLER': sampler,
                'OTEL_TRACES_SAMPLER_ARG': argument,
                'OTEL_TRACES_EXPORTER': 'none',
                'OTEL_METRICS_EXPORTER': 'none',
                'OTEL_LOGS_EXPORTER': 'none',
                'OTEL_SDK_DISABLED': '',
                'OTEL_RESOURCE_ATTRIBUTES': 'service.name=ploughshare',
            },
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return json.loads(done.stdout), done.stderr

    def test_names_and_argument_of_the_specification(self):
        for sampler, follows in (
            ('parentbased_jaeger_remote', True),
            ('jaeger_remote', False),
        ):
            server = self.useFixture(
                servers.StrategyServer(servers.ratio(0.0))
            )
            told, _log = self._run(
                sampler,
                f'endpoint={server.url},pollingIntervalMs=5000,'
                'initialSamplingRate=1.0',
            )
            self.assertEqual(
                {
                    'first': True,
                    'then': False,
                    'sampled by parent': follows,
                    'others': [],
                },
                told,
            )
            self.assertEqual({'ploughshare'}, server.services())

    def test_what_cannot_be_used_is_left_out(self):
        server = self.useFixture(servers.StrategyServer(servers.ratio(1.0)))
        told, log = self._run(
            'jaeger_remote',
            f'pollingIntervalMs=soon, endpoint={server.url} ,'
            'initialSamplingRate=2,speed=high',
        )
        self.assertEqual((False, True), (told['first'], told['then']))
        for name in ('pollingIntervalMs', 'initialSamplingRate', 'speed'):
            self.assertIn(f"Ignored '{name}' in OTEL_TRACES_SAMPLER_ARG", log)

    def test_defaults_are_those_of_other_languages(self):
        for argument in (None, '', 'endpoint=http://me:hunter2@host/'):
            sampler = remote.jaeger_remote(argument)
            self.assertEqual(
                'JaegerRemoteSampler{http://localhost:5778/sampling}',
                sampler.get_description(),
            )
