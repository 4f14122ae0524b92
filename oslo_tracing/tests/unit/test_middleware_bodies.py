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

import gc
import http.client
import io
import threading
import time
from wsgiref import simple_server
from wsgiref import util

from opentelemetry import context as otel_context
from opentelemetry import trace

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing import middleware
from oslo_tracing.tests import base
from oslo_tracing.tests import wsgi


class BodyTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(fixture.SpanRecorder('oslo_context'))

    def ask(self, app, **kwargs):
        return wsgi.ask(
            middleware.TracingMiddleware(wsgi.checked(app)), **kwargs
        )

    def body_of(self, app, **more):
        """Return what a server gets, before it does anything with it."""
        self.answer = wsgi.Answer()
        return middleware.TracingMiddleware(app)(
            wsgi.environment(**more), self.answer.start_response
        )

    def answering(self, body):
        def app(environ, start_response):
            start_response('200 OK', [('Content-Type', 'text/plain')])
            return body

        return app

    def current_span_id(self):
        return trace.get_current_span().get_span_context().span_id


class CompleteBodyTest(BodyTest):
    def test_a_list_or_tuple_is_passed_on_as_it_is(self):
        for body in ([b'a', b'b'], (b'a',), [], ()):
            self.spans.clear()
            self.assertIs(body, self.body_of(self.answering(body)))
            self.assertEqual(1, len(self.spans.finished))

    def test_no_body_at_all(self):
        for status in ('204 No Content', '304 Not Modified'):

            def app(environ, start_response, status=status):
                start_response(status, [])
                return []

            self.spans.clear()
            self.ask(app, method='HEAD')
            [span] = self.spans.finished
            self.assertEqual('HEAD /', span.name)
            self.assertEqual(
                int(status[:3]), span.attributes['http.response.status_code']
            )

    def test_what_is_written_before_goes_out(self):
        def app(environ, start_response):
            write = start_response('200 OK', [('Content-Type', 'text/plain')])
            write(b'first')
            return [b'second']

        answer = self.ask(app)
        self.assertEqual([b'first'], answer.written)
        self.assertEqual(b'second', answer.body)
        self.assertEqual(1, len(self.spans.finished))

    def test_the_last_status_counts(self):
        def app(environ, start_response):
            start_response('200 OK', [('Content-Type', 'text/plain')])
            try:
                raise ValueError
            except ValueError as error:
                info = (type(error), error, error.__traceback__)
                start_response(
                    '502 Bad Gateway', [('Content-Type', 'text/plain')], info
                )
            return [b'']

        answer = self.ask(app)
        self.assertIs(ValueError, answer.calls[1][2][0])
        [span] = self.spans.finished
        self.assertEqual(502, span.attributes['http.response.status_code'])
        self.assertEqual('502', span.attributes['error.type'])
        self.assertIs(trace.StatusCode.ERROR, span.status.status_code)


class FailingApplicationTest(BodyTest):
    class Oops(Exception):
        pass

    def test_every_failing_request_is_recorded(self):
        error = self.Oops('password=secret')

        def app(environ, start_response):
            raise error

        traced = middleware.TracingMiddleware(app)
        for _ in range(200):
            try:
                wsgi.ask(traced, '/servers', checked=False)
            except self.Oops as raised:
                self.assertIs(error, raised)
            else:
                self.fail('it did not raise')
        self.assertEqual(200, len(self.spans.finished))
        for span in self.spans.finished:
            self.assertIs(trace.StatusCode.ERROR, span.status.status_code)
        name = f'{__name__}.FailingApplicationTest.Oops'
        self.assertEqual('GET /servers', span.name)
        self.assertEqual(name, span.attributes['error.type'])
        self.assertEqual(name, span.status.description)
        [event] = span.events
        self.assertEqual('exception', event.name)
        self.assertNotIn('secret', span.to_json())
        self.assertNotIn('http.response.status_code', span.attributes)

    def test_nothing_stays_on_the_thread(self):
        before = otel_context.get_current()

        def app(environ, start_response):
            raise self.Oops

        self.assertRaises(self.Oops, self.body_of, app)
        self.assertIs(before, otel_context.get_current())

    def test_a_status_that_was_never_sent_is_not_told(self):
        def app(environ, start_response):
            start_response('200 OK', [])
            raise self.Oops

        self.assertRaises(self.Oops, self.body_of, app)
        [span] = self.spans.finished
        self.assertNotIn('http.response.status_code', span.attributes)

    def test_one_who_is_killed_has_failed(self):
        def app(environ, start_response):
            raise SystemExit(1)

        self.assertRaises(SystemExit, self.body_of, app)
        [span] = self.spans.finished
        self.assertIs(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual('SystemExit', span.attributes['error.type'])

    def test_a_server_that_refuses_headers_is_heard(self):
        class Refused(Exception):
            pass

        def start_response(*args):
            raise Refused

        self.assertRaises(
            Refused,
            middleware.TracingMiddleware(wsgi.hello),
            wsgi.environment(),
            start_response,
        )
        self.assertEqual(1, len(self.spans.finished))


class StreamingBodyTest(BodyTest):
    def test_the_span_covers_the_whole_response(self):
        def app(environ, start_response):
            start_response('200 OK', [('Content-Type', 'text/plain')])
            yield b'a'
            yield b'b'

        body = self.body_of(app)
        iterator = iter(body)
        self.assertEqual(b'a', next(iterator))
        between = time.time_ns()
        self.assertEqual([], self.spans.finished)
        self.assertEqual(b'b', next(iterator))
        body.close()
        [span] = self.spans.finished
        self.assertLess(span.start_time, between)
        self.assertGreaterEqual(span.end_time, between)
        self.assertEqual(200, span.attributes['http.response.status_code'])

    def test_wsgi_is_kept_to(self):
        def app(environ, start_response):
            start_response('200 OK', [('Content-Type', 'text/plain')])
            return iter([b'a', b'b'])

        self.assertEqual(b'ab', self.ask(app).body)
        self.assertEqual(1, len(self.spans.finished))

    def test_the_body_works_inside_the_trace_and_nobody_else_does(self):
        seen = []

        def body():
            try:
                seen.append(self.current_span_id())
                yield b'a'
                seen.append(self.current_span_id())
                yield b'b'
            finally:
                seen.append(self.current_span_id())

        between = []
        answer = self.body_of(self.answering(body()))
        for _ in answer:
            between.append(self.current_span_id())
        answer.close()
        [span] = self.spans.finished
        self.assertEqual([span.context.span_id] * 3, seen)
        self.assertEqual([0, 0], between)

    def test_a_span_that_is_open_between_two_pieces_stays_the_parent(self):
        tracer = self.spans.tracing.provider.get_tracer('service')

        def body():
            with oslo_tracing.span('page'):
                yield b'a'
                with oslo_tracing.span('row'):
                    yield b'b'
            with tracer.start_as_current_span('trailer'):
                yield b'c'
                with oslo_tracing.span('sum'):
                    pass
            yield b'd'
            with oslo_tracing.span('last'):
                pass

        answer = self.body_of(self.answering(body()))
        between = [self.current_span_id() for _piece in answer]
        answer.close()
        spans = {span.name: span for span in self.spans.finished}
        names = {span.context.span_id: name for name, span in spans.items()}
        self.assertEqual([0] * 4, between)
        self.assertEqual(
            {
                'GET /': None,
                'page': 'GET /',
                'row': 'page',
                'trailer': 'GET /',
                'sum': 'trailer',
                'last': 'GET /',
            },
            {
                name: span.parent and names[span.parent.span_id]
                for name, span in spans.items()
            },
        )

    def test_so_does_one_that_is_open_when_it_is_closed(self):
        def body():
            with oslo_tracing.span('page'):
                try:
                    yield b'a'
                finally:
                    with oslo_tracing.span('cleanup'):
                        pass

        answer = self.body_of(self.answering(body()))
        next(iter(answer))
        answer.close()
        cleanup, page, _request = self.spans.finished
        self.assertEqual(page.context.span_id, cleanup.parent.span_id)
        self.assertEqual(0, self.current_span_id())

    def test_it_does_so_on_whatever_thread_the_server_reads_it(self):
        seen = []

        def body():
            seen.append(self.current_span_id())
            yield b'a'

        answer = self.body_of(self.answering(body()))
        thread = threading.Thread(target=list, args=(answer,))
        thread.start()
        thread.join(10)
        [span] = self.spans.finished
        self.assertEqual([span.context.span_id], seen)

    def test_an_unsampled_body_works_inside_its_trace_too(self):
        self.spans.tracing.settings.sample_ratio = 0.0
        seen = []

        def body():
            seen.append(self.current_span_id())
            yield b'a'

        self.assertEqual([b'a'], list(self.body_of(self.answering(body()))))
        self.assertEqual([], self.spans.finished)
        self.assertNotEqual([0], seen)

    def test_an_error_in_the_body_is_an_error(self):
        class Broken(Exception):
            pass

        error = Broken()

        def body():
            yield b'a'
            raise error

        answer = self.body_of(self.answering(body()))
        self.assertEqual(b'a', next(answer))
        self.assertIs(error, self.assertRaises(Broken, next, answer))
        answer.close()
        [span] = self.spans.finished
        self.assertIs(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual(200, span.attributes['http.response.status_code'])
        self.assertIn('Broken', span.attributes['error.type'])
        self.assertFalse(trace.get_current_span().get_span_context().is_valid)

    def test_an_error_in_closing_is_an_error(self):
        class Broken(Exception):
            pass

        class Body:
            def __iter__(self):
                return iter([b'a'])

            def close(self):
                raise Broken

        answer = self.body_of(self.answering(Body()))
        self.assertEqual([b'a'], list(answer))
        self.assertEqual([], self.spans.finished)
        self.assertRaises(Broken, answer.close)
        [span] = self.spans.finished
        self.assertIs(trace.StatusCode.ERROR, span.status.status_code)

    def test_a_client_that_goes_away_is_no_error(self):
        closed = []

        def body():
            try:
                while True:
                    yield b'a'
            finally:
                closed.append(True)

        answer = self.body_of(self.answering(body()))
        next(answer)
        answer.close()
        self.assertEqual([True], closed)
        [span] = self.spans.finished
        self.assertIs(trace.StatusCode.UNSET, span.status.status_code)

    def test_what_closing_does_is_inside_the_trace(self):
        seen = []

        def body():
            try:
                yield b'a'
            finally:
                seen.append(self.current_span_id())

        answer = self.body_of(self.answering(body()))
        next(answer)
        answer.close()
        [span] = self.spans.finished
        self.assertEqual([span.context.span_id], seen)
        self.assertEqual(0, self.current_span_id())

    def test_what_needs_no_closing_ends_by_itself(self):
        def generator():
            yield b'a'

        for body in (iter([b'a']), generator()):
            self.spans.clear()
            answer = self.body_of(self.answering(body))
            self.assertEqual([b'a'], list(answer))
            self.assertEqual(1, len(self.spans.finished))
            answer.close()
            self.assertEqual(1, len(self.spans.finished))

    def test_a_server_that_forgets_to_close_loses_nothing(self):
        class Body:
            def __iter__(self):
                return iter([b'a'])

            def close(self):
                raise AssertionError('the server forgot that')

        answer = self.body_of(self.answering(Body()))
        self.assertEqual([b'a'], list(answer))
        self.assertEqual([], self.spans.finished)
        del answer
        gc.collect()
        self.assertEqual(1, len(self.spans.finished))

    def test_the_only_piece_of_a_body_is_known_to_be_that(self):
        class Body:
            def __len__(self):
                return 1

            def __iter__(self):
                return iter([b'a'])

        self.assertEqual(1, len(self.body_of(self.answering(Body()))))
        self.assertFalse(
            hasattr(self.body_of(self.answering(iter(()))), '__len__')
        )

    def test_what_is_no_body_fails_as_without_us(self):
        answer = self.body_of(self.answering(None))
        self.assertRaises(TypeError, list, answer)
        self.assertEqual(1, len(self.spans.finished))


class FileBodyTest(BodyTest):
    def serving(self, source):
        def app(environ, start_response):
            start_response('200 OK', [('Content-Type', 'text/plain')])
            return environ['wsgi.file_wrapper'](source)

        return app

    def test_a_file_stays_one_and_ends_when_it_is_sent(self):
        made = []

        class Wrapper(util.FileWrapper):
            def __init__(self, *args):
                super().__init__(*args)
                made.append(id(self))

        body = self.body_of(
            self.serving(io.BytesIO(b'image')),
            **{'wsgi.file_wrapper': Wrapper},
        )
        self.assertEqual([id(body)], made)
        self.assertIs(Wrapper, type(body))
        self.assertEqual([], self.spans.finished)
        self.assertEqual([b'image'], list(body))
        body.close()
        del body
        gc.collect()
        [span] = self.spans.finished
        self.assertEqual(200, span.attributes['http.response.status_code'])

    def test_a_server_whose_wrapper_is_a_function(self):
        # uWSGI's gives back the file, and knows it again.
        source = io.BytesIO(b'image')
        body = self.body_of(
            self.serving(source),
            **{'wsgi.file_wrapper': lambda file, size=0: file},
        )
        self.assertIs(source, body)
        del source, body
        gc.collect()
        self.assertEqual(1, len(self.spans.finished))

    def test_one_that_cannot_be_watched_ends_at_once(self):
        class Wrapper:
            __slots__ = ('source',)

            def __init__(self, source):
                self.source = source

        body = self.body_of(
            self.serving(io.BytesIO()), **{'wsgi.file_wrapper': Wrapper}
        )
        self.assertIs(Wrapper, type(body))
        self.assertEqual(1, len(self.spans.finished))

    def test_an_open_file_that_the_server_does_not_know_is_a_stream(self):
        answer = self.ask(self.answering(io.BytesIO(b'a\nb')))
        self.assertEqual(b'a\nb', answer.body)
        self.assertEqual(1, len(self.spans.finished))


class RealServerTest(BodyTest):
    """Through wsgiref's server, as clients see it."""

    def serve(self, app):
        class Handler(simple_server.WSGIRequestHandler):
            def log_message(self, *args):
                pass

        server = simple_server.make_server(
            '127.0.0.1',
            0,
            middleware.TracingMiddleware(app),
            handler_class=Handler,
        )
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        client = http.client.HTTPConnection(*server.server_address, timeout=10)
        try:
            client.request('GET', '/images')
            response = client.getresponse()
            return response, response.read()
        finally:
            client.close()
            thread.join(10)
            server.server_close()

    def test_the_length_of_one_piece_is_told(self):
        response, body = self.serve(self.answering([b'hello']))
        self.assertEqual(b'hello', body)
        self.assertEqual('5', response.getheader('Content-Length'))
        [span] = self.spans.finished
        self.assertEqual('GET /images', span.name)
        self.assertEqual('127.0.0.1', span.attributes['client.address'])

    def test_a_stream_arrives_whole(self):
        _response, body = self.serve(
            self.answering(iter([b'a' * 1000, b'b' * 1000]))
        )
        self.assertEqual(2000, len(body))
        self.assertEqual(1, len(self.spans.finished))

    def test_a_file_arrives_whole(self):
        def app(environ, start_response):
            start_response('200 OK', [('Content-Type', 'text/plain')])
            return environ['wsgi.file_wrapper'](io.BytesIO(b'c' * 100000))

        _response, body = self.serve(app)
        self.assertEqual(100000, len(body))
        gc.collect()
        self.assertEqual(1, len(self.spans.finished))
