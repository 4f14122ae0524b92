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

"""Through the real osprofiler: its ids and keys, and who is believed."""

from __future__ import annotations

import base64
import json
import threading

from opentelemetry import trace
import oslo_messaging
from osprofiler import _utils
from osprofiler import profiler
from osprofiler import web

import oslo_tracing
from oslo_tracing import context
from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing.tests import base
from oslo_tracing.tests import bus
from oslo_tracing.tests.unit.integrations import http_servers
from oslo_tracing.tests.unit.propagation import test_osprofiler as pairs
from oslo_tracing.tests import wsgi

KEY = pairs.KEY
OTHER = '0af76519-16cd-43dd-8448-eb211c80319c'


def low(element_id):
    return int(element_id.replace('-', ''), 16) & 0xFFFFFFFFFFFFFFFF


def unpacked(headers, key=KEY):
    """Read headers as a service that has only osprofiler does."""
    info = headers[web.X_TRACE_INFO]
    return _utils.signed_unpack(info, headers[web.X_TRACE_HMAC], [key])


def as_nova_does():
    """Return what services put into messages and threads."""
    found = profiler.get()
    if found is None:
        return None
    return {
        'hmac_key': found.hmac_key,
        'base_id': found.get_base_id(),
        'parent_id': found.get_id(),
    }


class TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        profiler.clean()
        self.addCleanup(profiler.clean)
        self.on()

    def on(self, **options):
        options = {
            'hmac_keys': [KEY],
            'sample_ratio': 0.0,
            'incoming': 'link',
            **options,
        }
        self.spans = self.useFixture(
            fixture.SpanRecorder('osprofiler', **options)
        )

    def ask(self, headers, doing, filtered=True, **middle):
        """Send a request through our filter and then osprofiler's."""
        found = []

        def app(environ, start_response):
            found.append(doing())
            return wsgi.hello(environ, start_response)

        # As services have it in their pipelines.
        self.addCleanup(setattr, web, '_ENABLED', web._ENABLED)
        self.addCleanup(setattr, web, '_HMAC_KEYS', web._HMAC_KEYS)
        web._ENABLED = web._HMAC_KEYS = None
        middle = {'enabled': True, 'hmac_keys': KEY, **middle}
        app = web.WsgiMiddleware(app, **middle)
        if filtered:
            app = middleware.TracingMiddleware(app)
        answer = wsgi.ask(app, checked=False, **headers)
        self.assertEqual('200 OK', answer.status)
        return found[0]


class AskedForTest(TestCase):
    """Requests that carry a pair."""

    def test_ids_are_those_of_the_active_span(self):
        def doing():
            found = profiler.get()
            request = trace.get_current_span().get_span_context().span_id
            self.assertEqual(pairs.BASE_ID, found.get_base_id())
            self.assertEqual(request, low(found.get_id()))
            with profiler.Trace('point'):
                point = trace.get_current_span().get_span_context().span_id
                self.assertEqual(point, low(found.get_id()))
                self.assertEqual(request, low(found.get_parent_id()))
                self.assertEqual(
                    f'{point:x}', found.get_shorten_id(found.get_id())
                )
            self.assertEqual(request, low(found.get_id()))
            self.assertEqual(pairs.BASE_ID, found.get_parent_id())
            return found.hmac_key

        self.assertEqual(
            KEY, self.ask(pairs.environ(*pairs.OF_A_SERVICE), doing)
        )
        point, request = self.spans.finished
        self.assertEqual('point', point.name)
        self.assertEqual(pairs.TRACE_ID, request.context.trace_id)
        self.assertEqual(pairs.SPAN_ID, request.parent.span_id)
        self.assertEqual(request.context.span_id, point.parent.span_id)

    def test_headers_that_services_write_lead_back(self):
        def doing():
            with profiler.Trace('point'):
                return unpacked(web.get_trace_id_headers())

        read = self.ask(pairs.environ(*pairs.OF_A_CLIENT), doing)
        self.assertEqual(pairs.BASE_ID, read['base_id'])
        point = self.spans.named('point')
        self.assertEqual(point.context.span_id, low(read['parent_id']))

    def test_the_profiler_begins_and_ends_points_itself(self):
        def doing():
            found = profiler.init('another key')
            found.start('point', info={'a': 1})
            found.stop(info={'b': 2})
            return found.hmac_key

        self.assertEqual(
            KEY, self.ask(pairs.environ(*pairs.OF_A_CLIENT), doing)
        )
        self.assertEqual(
            {'openstack.osprofiler.a': 1, 'openstack.osprofiler.b': 2},
            dict(self.spans.named('point').attributes),
        )

    def test_the_filter_of_osprofiler_need_not_be_there(self):
        read = self.ask(
            pairs.environ(*pairs.OF_A_CLIENT),
            lambda: unpacked(web.get_trace_id_headers()),
            enabled=False,
        )
        self.assertEqual(pairs.BASE_ID, read['base_id'])

    def test_the_filter_of_osprofiler_adds_no_second_span(self):
        self.ask(pairs.environ(*pairs.OF_A_CLIENT), lambda: None)
        self.assertEqual(['GET /'], [s.name for s in self.spans.finished])

    def test_cleaned_is_cleaned(self):
        def doing():
            profiler.clean()
            found = profiler.get(), web.get_trace_id_headers()
            profiler.init(KEY)
            return *found, as_nova_does()

        none, headers, again = self.ask(
            pairs.environ(*pairs.OF_A_CLIENT), doing
        )
        self.assertIsNone(none)
        self.assertEqual({}, headers)
        self.assertEqual(pairs.BASE_ID, again['base_id'])

    def test_nothing_is_left_on_the_thread(self):
        self.ask(pairs.environ(*pairs.OF_A_CLIENT), as_nova_does)
        self.assertIsNone(profiler.get())
        self.assertIsNone(self.ask({}, as_nova_does))

    def test_threads_of_services_go_on_in_the_trace(self):
        noted = []

        def doing():
            info = as_nova_does()

            def work():
                profiler.init(**info)
                noted.append(as_nova_does())
                with profiler.Trace('point'):
                    pass

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()

        self.ask(pairs.environ(*pairs.OF_A_CLIENT), doing)
        self.assertEqual(pairs.BASE_ID, noted[0]['base_id'])


class RestoredTest(TestCase):
    def test_a_unit_of_work_goes_on_where_it_is_told_to(self):
        def work():
            profiler.init(KEY, pairs.BASE_ID, pairs.PARENT_ID)
            with profiler.Trace('point'):
                return as_nova_does()

        info = context.Carried(work)()
        (span,) = self.spans.finished
        self.assertEqual(pairs.TRACE_ID, span.context.trace_id)
        self.assertEqual(pairs.SPAN_ID, span.parent.span_id)
        self.assertEqual(span.context.span_id, low(info['parent_id']))
        self.assertIsNone(context.Carried(as_nova_does)())

    def test_ids_that_are_none_are_kept_as_they_are(self):
        def work():
            profiler.init(KEY, '1', '2')
            with profiler.Trace('point'):
                pass
            return as_nova_does()

        self.assertEqual(
            {'hmac_key': KEY, 'base_id': '1', 'parent_id': '2'},
            context.Carried(work)(),
        )
        self.assertEqual([], self.spans.finished)


class OutsideTest(TestCase):
    """Where there is no request or message, as in a client."""

    def test_ids_go_where_they_went(self):
        found = profiler.init(KEY, base_id='1', parent_id='2')
        self.assertIs(found, profiler.get())
        self.assertIs(found, profiler.init('other'))
        self.assertEqual('1', found.get_base_id())
        self.assertEqual('2', found.get_id())
        profiler.start('point')
        self.assertEqual('2', found.get_parent_id())
        self.assertNotEqual('2', found.get_id())
        profiler.stop()
        self.assertEqual('2', found.get_id())
        self.assertEqual('1', unpacked(web.get_trace_id_headers())['base_id'])
        profiler.clean()
        self.assertIsNone(profiler.get())
        self.assertEqual([], self.spans.finished)

    def test_without_an_id_it_is_that_of_the_trace(self):
        with oslo_tracing.span('request', root=True):
            self.assertIsNone(profiler.get())
        self.on(sample_ratio=1.0)
        with oslo_tracing.span('request', root=True) as span:
            found = profiler.init(KEY)
            expected = span.get_span_context()
            self.assertEqual(
                f'{expected.trace_id:032x}',
                found.get_base_id().replace('-', ''),
            )
            self.assertEqual(found.get_id(), profiler.get().get_id())
            base_id = found.get_base_id()
        # Some ask for it when all is over, to print it.
        self.assertEqual(base_id, profiler.get().get_base_id())
        profiler.clean()
        self.assertIsNone(profiler.get())

    def test_points_are_spans_whatever_the_ids(self):
        self.on(sample_ratio=1.0)
        with oslo_tracing.span('request', root=True):
            found = profiler.init(KEY, base_id=OTHER)
            with profiler.Trace('point'):
                pass
            self.assertEqual(OTHER, found.get_base_id())
        point, request = self.spans.finished
        self.assertEqual(request.context.span_id, point.parent.span_id)

    def test_no_key_no_headers(self):
        self.on(sample_ratio=1.0)
        with oslo_tracing.span('request', root=True):
            profiler.init(None)
            self.assertEqual({}, web.get_trace_id_headers())
            with profiler.Trace('point'):
                pass
        self.assertEqual(2, len(self.spans.finished))


class BelievedTest(TestCase):
    """Our own filter says who may have a trace, not osprofiler's."""

    def refused(self, headers, **middle):
        def doing():
            with profiler.Trace('point'):
                return as_nova_does(), web.get_trace_id_headers()

        self.assertEqual((None, {}), self.ask(headers, doing, **middle))

    def test_a_key_that_is_not_configured(self):
        headers = pairs.packed({'base_id': OTHER}, key='another')
        self.refused(headers, hmac_keys='another')
        self.assertEqual([], self.spans.finished)

    def test_the_key_that_everybody_knows(self):
        self.on(hmac_keys=['SECRET_KEY'])
        headers = pairs.packed({'base_id': OTHER}, key='SECRET_KEY')
        self.refused(headers, hmac_keys='SECRET_KEY')

    def test_one_too_many(self):
        self.on(max_forced_traces_per_second=0.001)
        headers = pairs.environ(*pairs.OF_A_CLIENT)
        self.assertIsNotNone(self.ask(headers, as_nova_does))
        self.refused(headers)

    def test_nobody_is_believed(self):
        self.on(incoming='ignore')
        self.refused(pairs.environ(*pairs.OF_A_CLIENT))

    def test_a_profiler_is_made_in_a_request_all_the_same(self):
        def doing():
            made = profiler.init(KEY, OTHER)
            made.start('point')
            made.stop()
            return made.hmac_key, made.get_base_id(), profiler.get()

        self.on(sample_ratio=1.0)
        key, base_id, kept = self.ask({}, doing)
        self.assertEqual(KEY, key)
        self.assertNotEqual(OTHER, base_id)
        self.assertIsNone(kept)

    def test_what_an_earlier_request_has_left_on_the_thread(self):
        self.spans.tracing.undo.close()
        profiler.init(KEY, OTHER)
        self.on()
        self.assertIsNone(self.ask({}, as_nova_does))

    def test_without_our_filter_it_is_osprofilers_to_say(self):
        info = self.ask(
            pairs.environ(*pairs.OF_A_CLIENT), as_nova_does, filtered=False
        )
        self.assertEqual(pairs.BASE_ID, info['base_id'])
        self.assertIsNone(profiler.get())

    def test_hostile_headers_break_no_request(self):
        data = pairs.OF_A_CLIENT[0]
        for headers in (
            pairs.environ(data, 'é'),
            pairs.environ('é', pairs.OF_A_CLIENT[1]),
            pairs.environ(data, 'é' * pairs.MIB),
            pairs.environ('x' * pairs.MIB, 'x' * pairs.MIB),
            pairs.packed(b'[' * 100000),
        ):
            for filtered in (True, False):
                self.assertIsNone(
                    self.ask(headers, as_nova_does, filtered=filtered)
                )


class OutgoingTest(http_servers.TestCase):
    """HTTP to a service that may have only osprofiler."""

    def setUp(self):
        super().setUp()
        profiler.clean()
        self.spans = self.useFixture(
            fixture.SpanRecorder('osprofiler', 'http_client', sample_ratio=1.0)
        )

    def test_the_attempt_is_the_parent_whoever_gave_the_key(self):
        with oslo_tracing.span('request', root=True):
            profiler.init(KEY)
            with profiler.Trace('point'):
                self.to_server().get('/')
        (info,) = self.server.header('X-Trace-Info')
        (signature,) = self.server.header('X-Trace-HMAC')
        read = _utils.signed_unpack(info, signature, [KEY])
        attempt = self.spans.named('GET image')
        self.assertEqual(attempt.context.span_id, low(read['parent_id']))
        self.assertEqual(
            self.spans.named('point').context.span_id,
            attempt.parent.span_id,
        )

    def test_strangers_get_none(self):
        with oslo_tracing.span('request', root=True):
            profiler.init(KEY)
            # The whole URL may be a user's.
            self.to_server().get(f'{self.server.url}/')
        self.assertEqual([], self.server.header('X-Trace-Info'))
        self.assertEqual(1, len(self.server.header('traceparent')))


class Serializer(oslo_messaging.NoOpSerializer):
    """As nova, neutron, cinder and ironic have it."""

    def serialize_context(self, context):
        info = as_nova_does()
        return {**context, **({'trace_info': info} if info else {})}

    def deserialize_context(self, context):
        info = context.pop('trace_info', None)
        if info:
            profiler.init(**info)
        return context


class Profiled(bus.Endpoint):
    @profiler.trace('rpc', hide_args=True)
    def profiled(self, ctxt):
        self.seen.put((dict(ctxt), as_nova_does()))
        return web.get_trace_id_headers()


class RpcTest(bus.TestCase):
    """RPC with services that may have only osprofiler."""

    def setUp(self):
        super().setUp()
        profiler.clean()
        self.addCleanup(profiler.clean)
        self.endpoint = Profiled()

    def on(self, **options):
        self.spans = self.useFixture(
            fixture.SpanRecorder(
                'oslo_messaging',
                'osprofiler',
                **{'sample_ratio': 1.0, **options},
            )
        )
        self.bus = self.transport()
        self.serve(self.bus, self.endpoint, serializer=Serializer(), workers=1)

    def call(self, ctxt, serializer=None):
        return oslo_messaging.get_rpc_client(
            self.bus,
            oslo_messaging.Target(topic='compute', version='1.0'),
            serializer=serializer,
        ).call(ctxt, 'profiled')

    def call_as_osprofiler(self, **info):
        """Call as a service does that knows nothing of us."""
        ctxt = {'user': 'u'}
        if info:
            ctxt['trace_info'] = info
        token = context.suppress()
        try:
            return self.call(ctxt)
        finally:
            context.detach(token)

    def test_a_service_with_osprofiler_alone_is_the_parent(self):
        self.on(sample_ratio=0.0)
        headers = self.call_as_osprofiler(
            hmac_key='theirs',
            base_id=pairs.BASE_ID,
            parent_id=pairs.PARENT_ID,
        )
        self.finish()
        point, answering = self.spans.finished
        self.assertEqual(pairs.TRACE_ID, answering.context.trace_id)
        self.assertEqual(pairs.SPAN_ID, answering.parent.span_id)
        self.assertTrue(answering.parent.is_remote)
        self.assertEqual('rpc Profiled.profiled', point.name)
        self.assertEqual(answering.context.span_id, point.parent.span_id)
        # And so it goes on to the next.
        ctxt, info = self.endpoint.seen.get(timeout=bus.PATIENCE)
        self.assertEqual({'user': 'u'}, ctxt)
        self.assertEqual('theirs', info['hmac_key'])
        self.assertEqual(pairs.BASE_ID, info['base_id'])
        self.assertEqual(point.context.span_id, low(info['parent_id']))
        self.assertEqual(
            point.context.span_id,
            low(unpacked(headers, 'theirs')['parent_id']),
        )

    def test_its_client_may_have_no_span(self):
        self.on(sample_ratio=0.0)
        self.call_as_osprofiler(
            hmac_key='theirs', base_id=pairs.BASE_ID, parent_id=pairs.BASE_ID
        )
        self.finish()
        answering = self.one(bus.SERVER)
        self.assertEqual(pairs.TRACE_ID, answering.context.trace_id)
        self.assertIsNone(answering.parent)

    def test_the_next_message_is_not_in_that_trace(self):
        self.on()
        self.call_as_osprofiler(
            hmac_key='theirs',
            base_id=pairs.BASE_ID,
            parent_id=pairs.PARENT_ID,
        )
        self.call_as_osprofiler()
        self.finish()
        first, second = self.of_kind(bus.SERVER)
        self.assertNotEqual(first.context.trace_id, second.context.trace_id)
        self.endpoint.seen.get(timeout=bus.PATIENCE)
        _ctxt, info = self.endpoint.seen.get(timeout=bus.PATIENCE)
        self.assertIsNone(info)

    def test_what_we_send_leads_to_our_sending_span(self):
        self.on()
        with oslo_tracing.span('request', root=True):
            profiler.init('ours')
            with profiler.Trace('point'):
                self.call({'user': 'u'}, Serializer())
        self.finish()
        asking, answering = self.one(bus.CLIENT), self.one(bus.SERVER)
        self.assertEqual(asking.context.span_id, answering.parent.span_id)
        names = {s.name for s in self.spans.finished}
        self.assertIn('rpc Profiled.profiled', names)
        trace_ids = {s.context.trace_id for s in self.spans.finished}
        self.assertEqual(1, len(trace_ids))

    def test_on_the_wire_the_sending_span_is_the_parent(self):
        self.on()
        kept = {'hmac_key': 'k', 'base_id': OTHER, 'parent_id': OTHER}
        propagation = self.spans.tracing.propagation
        with oslo_tracing.span('request', root=True) as span:
            current = trace.set_span_in_context(span)
            base_id = profiler.init('ours').get_base_id()
            given = {**kept, 'base_id': base_id, 'parent_id': base_id}
            for info in (given, kept):
                ctxt = {'trace_info': info}
                before = json.dumps(ctxt)
                sent = propagation.into_message(ctxt, current, baggage=True)
                self.assertEqual(before, json.dumps(ctxt))
                if info is kept:
                    self.assertEqual(kept, sent['trace_info'])
                else:
                    self.assertEqual(
                        span.get_span_context().span_id,
                        low(sent['trace_info']['parent_id']),
                    )

    def test_strangers_are_not_believed(self):
        self.on(incoming_rpc='link')
        self.call_as_osprofiler(
            hmac_key='theirs',
            base_id=pairs.BASE_ID,
            parent_id=pairs.PARENT_ID,
        )
        self.finish()
        answering = self.one(bus.SERVER)
        self.assertNotEqual(pairs.TRACE_ID, answering.context.trace_id)
        (link,) = answering.links
        self.assertEqual(pairs.TRACE_ID, link.context.trace_id)
        _ctxt, info = self.endpoint.seen.get(timeout=bus.PATIENCE)
        self.assertIsNone(info)

    def test_the_option_turns_it_off(self):
        self.on(osprofiler=False)
        self.call_as_osprofiler(
            hmac_key='theirs',
            base_id=pairs.BASE_ID,
            parent_id=pairs.PARENT_ID,
        )
        self.finish()
        answering = self.one(bus.SERVER)
        self.assertNotEqual(pairs.TRACE_ID, answering.context.trace_id)
        _ctxt, info = self.endpoint.seen.get(timeout=bus.PATIENCE)
        self.assertEqual(pairs.BASE_ID, info['base_id'])

    def test_hostile_infos_break_no_message(self):
        self.on()
        propagation = self.spans.tracing.propagation
        good = {
            'hmac_key': 'k',
            'base_id': pairs.BASE_ID,
            'parent_id': pairs.PARENT_ID,
        }
        self.assertIsNotNone(
            propagation.from_rpc({'trace_info': good}).span_context
        )
        for info in (
            1,
            'x' * pairs.MIB,
            [good],
            {},
            {**good, 'more': 1},
            {**good, 'hmac_key': None},
            {**good, 'hmac_key': ''},
            {**good, 'hmac_key': 'k' * 1025},
            {**good, 'hmac_key': '\ud800'},
            {**good, 'base_id': 1},
            {**good, 'base_id': '0' * 32},
            {**good, 'parent_id': None},
            {**good, 'parent_id': f'{"1" * 16}{"0" * 16}'},
            {**good, 'parent_id': 'x' * pairs.MIB},
        ):
            found = propagation.from_rpc({'trace_info': info})
            self.assertIsNone(found.span_context, str(info)[:99])
            self.assertEqual({}, dict(found.context))

    def test_no_key_is_shown(self):
        self.on()
        found = self.spans.tracing.propagation.from_rpc(
            {
                'trace_info': {
                    'hmac_key': 'S3CRET',
                    'base_id': pairs.BASE_ID,
                    'parent_id': pairs.PARENT_ID,
                }
            }
        )
        self.assertNotIn('S3CRET', repr(found))
        self.assertNotIn(
            base64.b64encode(b'S3CRET').decode(), repr(found.context)
        )
