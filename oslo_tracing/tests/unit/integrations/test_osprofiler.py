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

"""Through the real osprofiler: what becomes of its trace points."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import ClassVar

import fixtures
from opentelemetry import context as otel_context
from opentelemetry import trace
from oslo_config import cfg
from osprofiler import initializer
from osprofiler import notifier
from osprofiler import opts as osprofiler_opts
from osprofiler import profiler
from osprofiler import requests as osprofiler_requests
from osprofiler import sqlalchemy as osprofiler_sqlalchemy
from osprofiler import web
import requests
import sqlalchemy as sa
from sqlalchemy import orm

import oslo_tracing
from oslo_tracing import _guard
from oslo_tracing import fixture
from oslo_tracing.tests import base

# Before tracing is on, as in many a service.
MODULE = 'oslo_tracing.tests.unit.integrations.test_osprofiler'


@profiler.trace('old')
def decorated_before(value, secret=None):
    return value


@profiler.trace_cls('rpc', info={'where': 'conductor'})
class Manager:
    def double(self, value):
        return 2 * value

    def refuse(self):
        raise KeyError('S3CRET')

    def _private(self):
        return 'private'


class Untellable:
    """An argument of which no text can be made."""

    def __repr__(self):
        raise AssertionError('somebody made a text of it')


class TestCase(base.TestCase):
    only: tuple[str, ...] = ('osprofiler',)
    options: ClassVar[dict[str, object]] = {}

    def setUp(self):
        super().setUp()
        profiler.clean()
        self.spans = self.useFixture(
            fixture.SpanRecorder(*self.only, sample_ratio=1.0, **self.options)
        )

    def points(self):
        return [s for s in self.spans.finished if s.name != 'request']

    def assert_below(self, parent, child):
        self.assertEqual(parent.context.span_id, child.parent.span_id)
        self.assertEqual(parent.context.trace_id, child.context.trace_id)


class PointsTest(TestCase):
    def complaints(self):
        """Return a log of what of ours goes wrong from now on."""
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing._guard._REPORTER', _guard._Reporter()
            )
        )
        return self.useFixture(fixtures.FakeLogger())

    def test_start_and_stop(self):
        with oslo_tracing.span('request', root=True):
            profiler.start('outer')
            profiler.start('inner')
            inner = trace.get_current_span().get_span_context()
            profiler.stop()
            profiler.stop()
        inner_span, outer, request = self.spans.finished
        self.assertEqual(
            ['inner', 'outer', 'request'],
            [s.name for s in self.spans.finished],
        )
        self.assertEqual(inner.span_id, inner_span.context.span_id)
        self.assert_below(request, outer)
        self.assert_below(outer, inner_span)
        for span in (inner_span, outer):
            self.assertEqual(trace.SpanKind.INTERNAL, span.kind)
            self.assertEqual(
                'oslo_tracing.osprofiler', span.instrumentation_scope.name
            )
            self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)

    def test_each_way_to_set_a_point(self):
        @profiler.trace('function')
        def function(value):
            return value

        @profiler.trace_cls('class', trace_private=True)
        class Traced:
            def method(self):
                return self._private()

            def _private(self):
                return 'private'

        class Meta(metaclass=profiler.TracedMeta):
            __trace_args__: ClassVar[dict[str, str]] = {'name': 'meta'}

            def method(self):
                return 'meta'

        with oslo_tracing.span('request', root=True):
            self.assertEqual(1, function(1))
            self.assertEqual('private', Traced().method())
            self.assertEqual('meta', Meta().method())
            with profiler.Trace('with'):
                pass
        where = f'{MODULE}.PointsTest.test_each_way_to_set_a_point'
        self.assertEqual(
            [
                (
                    'function test_each_way_to_set_a_point.function',
                    f'{where}.function',
                ),
                ('class Traced._private', f'{where}.Traced._private'),
                ('class Traced.method', f'{where}.Traced.method'),
                ('meta Meta.method', f'{where}.Meta.method'),
                ('with', None),
            ],
            [
                (s.name, s.attributes.get('code.function.name'))
                for s in self.points()
            ],
        )

    def test_what_was_decorated_before(self):
        with oslo_tracing.span('request', root=True):
            self.assertEqual(5, decorated_before(5, secret='S3CRET'))
            self.assertEqual(4, Manager().double(2))
            self.assertEqual('private', Manager()._private())
        old, method = self.points()
        self.assertEqual('old test_osprofiler.decorated_before', old.name)
        self.assertEqual(
            {'code.function.name': f'{MODULE}.decorated_before'},
            dict(old.attributes),
        )
        self.assertEqual('rpc Manager.double', method.name)
        self.assertEqual(
            {
                'code.function.name': f'{MODULE}.Manager.double',
                'openstack.osprofiler.where': 'conductor',
            },
            dict(method.attributes),
        )

    def test_an_error_marks_the_span_and_passes(self):
        with oslo_tracing.span('request', root=True):
            error = self.assertRaises(KeyError, Manager().refuse)
            self.assertEqual(('S3CRET',), error.args)
            try:
                with profiler.Trace('with'):
                    raise ValueError('S3CRET')
            except ValueError as raised:
                self.assertEqual(('S3CRET',), raised.args)
        for span, kind in zip(
            self.points(), ('KeyError', 'ValueError'), strict=True
        ):
            self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
            self.assertEqual(kind, span.attributes['error.type'])
            (event,) = span.events
            self.assertEqual(kind, event.attributes['exception.type'])
            self.assertNotIn('S3CRET', span.to_json())

    def test_an_error_that_was_handled_is_none(self):
        with oslo_tracing.span('request', root=True):
            try:
                raise KeyError('handled')
            except KeyError:
                with profiler.Trace('cleaning'):
                    pass
        (span,) = self.points()
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)

    def test_an_error_that_is_only_told(self):
        with oslo_tracing.span('request', root=True):
            profiler.start('told')
            profiler.stop(info={'etype': 'nova.exception.NotFound'})
            profiler.start('odd')
            profiler.stop(info={'etype': 'S3CRET is what I say'})
        told, odd = self.points()
        self.assertEqual(
            'nova.exception.NotFound', told.attributes['error.type']
        )
        self.assertEqual('_OTHER', odd.attributes['error.type'])
        self.assertEqual((), tuple(told.events))

    def test_to_be_killed_is_no_error(self):
        with oslo_tracing.span('request', root=True):
            try:
                with profiler.Trace('with'):
                    raise SystemExit(0)
            except SystemExit:
                pass
        (span,) = self.points()
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)

    def test_outside_of_a_trace_there_is_none(self):
        self.assertEqual(4, Manager().double(2))
        with profiler.Trace('alone'):
            self.assertFalse(
                trace.get_current_span().get_span_context().is_valid
            )
        profiler.stop()
        self.assertEqual([], self.spans.finished)

    def test_nothing_is_made_for_what_is_not_recorded(self):
        @profiler.trace('new')
        def decorated(value):
            return value

        odd = Untellable()
        parent = trace.NonRecordingSpan(
            trace.SpanContext(1, 2, False, trace.TraceFlags(0))
        )
        before = otel_context.get_current()
        self.assertIs(odd, decorated(odd))
        with trace.use_span(parent):
            within = otel_context.get_current()
            self.assertIs(odd, decorated(odd))
            profiler.start('point')
            self.assertIs(within, otel_context.get_current())
            profiler.stop()
        self.assertIs(before, otel_context.get_current())
        self.assertEqual([], self.spans.finished)

    def test_no_text_is_made_of_arguments_that_are_not_recorded(self):
        @profiler.trace('new', hide_result=False)
        def decorated(value):
            return value

        odd = Untellable()
        with oslo_tracing.span('request', root=True):
            self.assertIs(odd, decorated(odd))
        (span,) = self.points()
        self.assertIn('new ', span.name)

    def test_an_unsampled_span_within_a_point(self):
        other = trace.NonRecordingSpan(
            trace.SpanContext(1, 2, False, trace.TraceFlags(0))
        )
        with oslo_tracing.span('request', root=True):
            with profiler.Trace('outer'):
                with trace.use_span(other):
                    with profiler.Trace('not recorded'):
                        pass
                with profiler.Trace('inner'):
                    pass
        inner, outer = self.points()
        self.assertEqual(('inner', 'outer'), (inner.name, outer.name))
        self.assert_below(outer, inner)

    def test_a_point_that_nobody_ends_is_over_with_the_request(self):
        with oslo_tracing.span('request', root=True):
            profiler.start('lost')
        self.assertFalse(trace.get_current_span().get_span_context().is_valid)
        with oslo_tracing.span('request', root=True):
            profiler.stop()
            with profiler.Trace('point'):
                pass
        (span,) = self.points()
        self.assertEqual('point', span.name)
        self.assert_below(self.spans.finished[-1], span)

    def test_more_ends_than_beginnings(self):
        with oslo_tracing.span('request', root=True) as request:
            with profiler.Trace('point'):
                profiler.stop()
            profiler.stop()
            self.assertIs(request, trace.get_current_span())
        self.assertEqual(1, len(self.points()))

    def test_coroutines_are_awaited_within_their_points(self):
        @profiler.trace('async')
        async def inner(value):
            await asyncio.sleep(0)
            return trace.get_current_span().get_span_context(), value

        async def request():
            with oslo_tracing.span('request', root=True):
                return await asyncio.gather(inner(1), inner(2))

        found = asyncio.run(request())
        self.assertEqual([1, 2], [value for _span, value in found])
        self.assertEqual(
            {one.span_id for one, _value in found},
            {span.context.span_id for span in self.points()},
        )
        request_span = self.spans.named('request')
        for span in self.points():
            self.assert_below(request_span, span)

    def test_a_coroutine_that_fails(self):
        @profiler.trace('async')
        async def fail():
            raise KeyError('S3CRET')

        async def request():
            with oslo_tracing.span('request', root=True):
                await fail()

        self.assertRaises(KeyError, asyncio.run, request())
        (span,) = self.points()
        self.assertEqual('KeyError', span.attributes['error.type'])

    def test_ids_are_taken_out_of_names(self):
        with oslo_tracing.span('request', root=True):
            for number in range(3):
                with profiler.Trace(
                    f'attach 0af76519-16cd-43dd-8448-eb211c80319{number}'
                ):
                    pass
            with profiler.Trace('x' * 10000):
                pass
            with profiler.Trace(None):
                pass
        names = [s.name for s in self.points()]
        self.assertEqual(['attach {id}'] * 3, names[:3])
        self.assertLessEqual(len(names[3]), 128)
        self.assertEqual('_OTHER', names[4])

    def test_a_point_has_so_many_names_and_no_more(self):
        with oslo_tracing.span('request', root=True):
            for number in range(3000):
                with profiler.Trace(f'point-{number}'):
                    pass
        names = {s.name for s in self.points()}
        self.assertLessEqual(len(names), 2001)
        self.assertIn('_OTHER', names)

    def test_what_the_service_says_of_a_point(self):
        info = {
            'vm': 'small',
            'count': 3,
            'password': 'S3CRET',
            'nested': {'deep': {'er': {'est': {'too': 1}}, 'ok': True}},
            'params': {'user': 'S3CRET'},
            'url': 'http://user:S3CRET@host/',
            'list': ['S3CRET'],
            'odd key!': 1,
            3: 4,
        }
        before = repr(info)
        with oslo_tracing.span('request', root=True):
            with profiler.Trace('point', info=info):
                pass
            with profiler.Trace('many', {str(n): n for n in range(99)}):
                pass
        self.assertEqual(before, repr(info))
        point, many = self.points()
        self.assertEqual(
            {
                'openstack.osprofiler.vm': 'small',
                'openstack.osprofiler.count': 3,
                'openstack.osprofiler.nested.deep.ok': True,
                'openstack.osprofiler.url': 'http://REDACTED:REDACTED@host/',
            },
            dict(point.attributes),
        )
        self.assertEqual(16, len(many.attributes))

    def test_our_own_errors_are_not_the_service_s(self):
        logged = self.complaints()

        def refuse(*args, **kwargs):
            raise ValueError('S3CRET')

        span = trace.NonRecordingSpan(
            trace.SpanContext(1, 1, False, trace.TraceFlags(1))
        )
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_tracing.tracer._tracer.Tracer.start_span', refuse
            )
        )
        with trace.use_span(span):
            self.assertEqual(4, Manager().double(2))
            self.assertEqual(5, decorated_before(5))
            self.assertIs(span, trace.get_current_span())
        self.assertIn('Tracing failed while starting', logged.output)
        self.assertNotIn('S3CRET', logged.output)

    def test_a_point_of_ours_that_fails_does_not_end_another(self):
        class Odd(dict):
            def items(self):
                raise ValueError('S3CRET')

        logged = self.complaints()
        with oslo_tracing.span('request', root=True):
            with profiler.Trace('outer'):
                with profiler.Trace('odd', Odd(a=1)):
                    pass
                with profiler.Trace('inner'):
                    pass
        inner, outer = self.points()
        self.assertEqual(('inner', 'outer'), (inner.name, outer.name))
        self.assert_below(outer, inner)
        self.assertIn('Tracing failed while starting', logged.output)
        self.assertNotIn('S3CRET', logged.output)

    def test_an_end_of_ours_that_fails(self):
        logged = self.complaints()

        def refuse(*args, **kwargs):
            raise ValueError('S3CRET')

        with oslo_tracing.span('request', root=True) as request:
            profiler.start('point')
            self.useFixture(
                fixtures.MonkeyPatch(
                    'oslo_tracing.tracer._span.Span.end', refuse
                )
            )
            profiler.stop()
            self.assertIs(request, trace.get_current_span())
        self.assertIn('Tracing failed while ending', logged.output)
        self.assertNotIn('S3CRET', logged.output)


class ArgumentsTest(TestCase):
    options: ClassVar[dict[str, object]] = {
        'osprofiler_record_arguments': True
    }

    def test_arguments_and_results_are_told_scrubbed(self):
        @profiler.trace('new', hide_result=False)
        def decorated(value, **kwargs):
            return {'token': 'S3CRET', 'size': value}

        with oslo_tracing.span('request', root=True):
            decorated(7, password='S3CRET')
            decorated_before('x' * 9000)
        new, old = self.points()
        self.assertEqual(
            {
                'openstack.osprofiler.function.args': '(7,)',
                'openstack.osprofiler.function.kwargs': (
                    "{'password': REDACTED}"
                ),
                'openstack.osprofiler.function.result': (
                    "{'token': REDACTED, 'size': 7}"
                ),
            },
            {
                key: value
                for key, value in new.attributes.items()
                if key != 'code.function.name'
            },
        )
        self.assertLessEqual(
            len(old.attributes['openstack.osprofiler.function.args']), 1024
        )

    def test_the_key_in_the_context_of_a_message_is_not_told(self):
        @profiler.trace('new')
        def decorated(ctxt, **kwargs):
            pass

        ctxt = {'trace_info': {'hmac_key': 'S3CRET', 'base_id': 'x'}}
        with oslo_tracing.span('request', root=True):
            decorated(ctxt, again=ctxt)
        [point] = self.points()
        told = str(dict(point.attributes))
        self.assertIn('base_id', told)
        self.assertNotIn('S3CRET', told)

    def test_hidden_arguments_stay_hidden(self):
        @profiler.trace('new', hide_args=True)
        def decorated(value):
            return value

        with oslo_tracing.span('request', root=True):
            decorated('S3CRET')
        (span,) = self.points()
        self.assertNotIn('S3CRET', span.to_json())


class NotTwiceTest(TestCase):
    """Statements and requests have a span each."""

    only = ('osprofiler', 'sqlalchemy', 'http_client')

    def test_statements(self):
        engine = sa.create_engine('sqlite://')
        osprofiler_sqlalchemy.add_tracing(sa, engine, 'db')
        with oslo_tracing.span('request', root=True):
            with profiler.Trace('point'):
                with engine.connect() as connection:
                    connection.execute(sa.text('SELECT 1'))
                    self.assertRaises(
                        sa.exc.OperationalError,
                        connection.execute,
                        sa.text('SELECT nothing FROM nowhere'),
                    )
        point = self.spans.named('point')
        statements = [s for s in self.points() if s is not point]
        self.assertEqual(
            ['oslo_tracing.sqlalchemy'] * 2,
            [s.instrumentation_scope.name for s in statements],
        )
        for span in statements:
            self.assert_below(point, span)

    def test_sessions(self):
        engine = sa.create_engine('sqlite://')
        with oslo_tracing.span('request', root=True):
            session = orm.Session(engine)
            with osprofiler_sqlalchemy.wrap_session(sa, session) as wrapped:
                self.assertEqual(
                    1, wrapped.execute(sa.text('SELECT 1')).scalar()
                )
        self.assertEqual(['SELECT'], [s.name for s in self.points()])

    def test_engines_that_osprofiler_has_been_put_on_before(self):
        self.spans.tracing.undo.close()
        engine = sa.create_engine('sqlite://')
        osprofiler_sqlalchemy.add_tracing(sa, engine, 'db')
        self.spans = self.useFixture(fixture.SpanRecorder(*self.only))
        with oslo_tracing.span('request', root=True):
            with profiler.Trace('point'):
                with engine.connect() as connection:
                    connection.execute(
                        sa.text('SELECT :value'), {'value': 'S3CRET'}
                    )
                    self.assertRaises(
                        sa.exc.OperationalError,
                        connection.execute,
                        sa.text('SELECT nothing FROM nowhere'),
                    )
                with profiler.Trace('inner'):
                    pass
        point = self.spans.named('point')
        self.assert_below(point, self.spans.named('inner'))
        self.assertEqual(
            ['oslo_tracing.sqlalchemy'] * 2 + ['oslo_tracing.osprofiler'] * 2,
            [s.instrumentation_scope.name for s in self.points()],
        )
        for span in self.points():
            self.assertNotIn('S3CRET', span.to_json())

    def test_a_statement_that_never_began_ends_no_point(self):
        self.spans.tracing.undo.close()
        engine = sa.create_engine('sqlite:////nowhere/at/all')
        osprofiler_sqlalchemy.add_tracing(sa, engine, 'db')
        self.spans = self.useFixture(fixture.SpanRecorder(*self.only))
        with oslo_tracing.span('request', root=True):
            with profiler.Trace('point'):
                self.assertRaises(sa.exc.OperationalError, engine.connect)
                with profiler.Trace('inner'):
                    pass
        self.assert_below(self.spans.named('point'), self.spans.named('inner'))

    def test_requests_keep_their_adapter(self):
        before = vars(requests.adapters.HTTPAdapter)['send']
        osprofiler_requests.enable()
        self.assertIs(before, vars(requests.adapters.HTTPAdapter)['send'])

    def test_the_adapter_of_before_is_put_back_and_forth(self):
        self.spans.tracing.undo.close()
        adapter = requests.adapters.HTTPAdapter
        before = vars(adapter)['send']
        self.addCleanup(setattr, adapter, 'send', before)
        osprofiler_requests.enable()
        theirs = vars(adapter)['send']
        self.assertIsNot(before, theirs)
        spans = self.useFixture(fixture.SpanRecorder(*self.only))
        self.assertIs(before, vars(adapter)['send'])
        spans.tracing.undo.close()
        self.assertIs(theirs, vars(adapter)['send'])

    def test_a_request_to_the_service(self):
        @web.WsgiMiddleware
        def app(environ, start_response):
            start_response('200 OK', [])
            return [b'']

        with oslo_tracing.span('request', root=True):
            with profiler.Trace(
                app.name,
                info={
                    'request': {
                        'path': '/',
                        'query': '',
                        'method': 'GET',
                        'scheme': 'http',
                    }
                },
            ):
                with profiler.Trace('point'):
                    pass
        (point,) = self.points()
        self.assert_below(self.spans.named('request'), point)


class DriverTest(TestCase):
    def _conf(self):
        conf = cfg.ConfigOpts()
        conf([], project='profiled', default_config_files=[])
        osprofiler_opts.set_defaults(
            conf,
            enabled=True,
            trace_sqlalchemy=True,
            hmac_keys='a key',
            connection_string='nosuch://S3CRET',
        )
        return conf

    def test_no_driver_is_opened(self):
        logged = self.useFixture(fixtures.FakeLogger())
        self.addCleanup(notifier.set, notifier.get())
        self.addCleanup(setattr, web, '_ENABLED', web._ENABLED)
        self.addCleanup(setattr, web, '_HMAC_KEYS', web._HMAC_KEYS)
        initializer.init_from_conf(
            self._conf(), {}, 'project', 'service', 'host'
        )
        self.assertNotIn('S3CRET', logged.output)
        self.assertNotIn('Could not initialize', logged.output)
        self.assertIs(notifier._noop_notifier, notifier.get())
        with oslo_tracing.span('request', root=True):
            Manager().double(1)
        self.assertEqual(1, len(self.points()))

    def test_the_recorder_of_a_service_is_not_told(self):
        told = []
        self.addCleanup(notifier.set, notifier.get())
        notifier.set(told.append)
        with oslo_tracing.span('request', root=True):
            profiler.init('key')
            with profiler.Trace('point'):
                pass
        self.assertEqual([], told)


_FUNCTIONS = (
    (profiler, 'get'),
    (profiler, 'init'),
    (profiler, 'clean'),
    (profiler, 'start'),
    (profiler, 'stop'),
    (profiler, 'trace'),
    (web.WsgiMiddleware, '_trace_is_valid'),
    (notifier, 'create'),
    (osprofiler_sqlalchemy, 'add_tracing'),
    (osprofiler_requests, 'enable'),
    (sys.modules['osprofiler._utils'], 'signed_unpack'),
)


def _functions():
    return [vars(owner)[name] for owner, name in _FUNCTIONS]


_IMPORTED_LATER = """
import sys

import oslo_tracing
from oslo_tracing import fixture

spans = fixture.SpanRecorder(sample_ratio=1.0)
spans.setUp()
with oslo_tracing.span('request', root=True):
    pass
assert not [name for name in sys.modules if name.startswith('osprofiler')]

from osprofiler import initializer
from osprofiler import profiler

@profiler.trace('point')
def point():
    pass

with oslo_tracing.span('request', root=True):
    point()
print([span.name for span in spans.finished])
spans.cleanUp()
print(profiler.start.__module__, initializer.notifier.create.__module__)
"""


class LaterTest(base.TestCase):
    def test_we_import_nothing_of_it_and_attach_when_others_do(self):
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _IMPORTED_LATER],
            capture_output=True,
            text=True,
            timeout=100,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(
            "['request', 'point __main__.point', 'request']\n"
            'osprofiler.profiler osprofiler.notifier\n',
            done.stdout,
        )


class OffTest(base.TestCase):
    def test_the_very_same_functions_are_back(self):
        before = _functions()
        spans = self.useFixture(fixture.SpanRecorder('osprofiler'))
        for ours, original in zip(_functions(), before, strict=True):
            self.assertIsNot(original, ours)
        spans.tracing.undo.close()
        for now, original in zip(_functions(), before, strict=True):
            self.assertIs(original, now)

    def test_the_option_turns_it_off(self):
        before = _functions()
        self.useFixture(fixture.SpanRecorder('osprofiler', osprofiler=False))
        self.assertEqual(before, _functions())

    def test_so_does_the_one_for_all(self):
        before = _functions()
        self.useFixture(fixture.SpanRecorder(enabled=False))
        self.assertEqual(before, _functions())

    def test_what_was_decorated_meanwhile_is_osprofilers_afterwards(self):
        spans = self.useFixture(
            fixture.SpanRecorder('osprofiler', 'sqlalchemy')
        )

        @profiler.trace('new', hide_result=False)
        def decorated(value):
            return value

        functions = _functions()
        held = {
            name: function
            for (_owner, name), function in zip(
                _FUNCTIONS, functions, strict=True
            )
        }
        spans.tracing.undo.close()
        told = []
        self.addCleanup(notifier.set, notifier.get())
        self.addCleanup(profiler.clean)
        notifier.set(told.append)
        profiler.init('key', base_id='1', parent_id='2')
        self.assertEqual(3, decorated(3))
        # Whoever has kept one of ours.
        held['start']('held')
        held['stop']()
        self.assertIs(profiler.get(), held['get']())
        self.assertIs(profiler.get(), held['init']('other'))
        held['clean']()
        self.assertIsNone(profiler.get())
        self.assertEqual(
            ['new-start', 'new-stop', 'held-start', 'held-stop'],
            [one['name'] for one in told],
        )
        self.assertEqual(
            {'function': {'result': '3'}, 'host': told[1]['info']['host']},
            told[1]['info'],
        )

    def test_the_doubled_decoration_is_refused_as_ever(self):
        self.useFixture(fixture.SpanRecorder('osprofiler'))

        @profiler.trace('new')
        def decorated():
            """What it does."""

        self.assertEqual('What it does.', decorated.__doc__)
        self.assertEqual('decorated', decorated.__name__)
        self.assertRaises(
            ValueError,
            profiler.trace('again', allow_multiple_trace=False),
            decorated,
        )

    def test_a_missing_seam_costs_one_line_and_all_points(self):
        logged = self.useFixture(fixtures.FakeLogger())
        self.addCleanup(setattr, profiler, 'stop', profiler.stop)
        del profiler.stop
        start = profiler.start
        self.useFixture(fixture.SpanRecorder('osprofiler'))
        self.assertIs(start, profiler.start)
        self.assertEqual(
            1,
            logged.output.count('trace points of OSProfiler are not traced'),
        )
        self.assertIn('osprofiler ', logged.output)
