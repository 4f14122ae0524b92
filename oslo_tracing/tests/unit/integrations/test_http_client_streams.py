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

"""Bodies that are read after the response is there."""

from __future__ import annotations

import functools
import gc

from opentelemetry import trace
import requests

from oslo_tracing import context
from oslo_tracing.tests.unit.integrations import http_servers


class StreamTest(http_servers.TestCase):
    _BODY = b'x' * 200_000

    def setUp(self):
        super().setUp()
        self.server.routes['/large'] = (200, {}, self._BODY)
        self.server.routes['/chunked'] = self._chunked
        self.session = requests.Session()
        self.addCleanup(self.session.close)

    @staticmethod
    def _chunked(handler):
        handler.send_response(200)
        handler.send_header('Transfer-Encoding', 'chunked')
        handler.end_headers()
        for _ in range(3):
            handler.wfile.write(b'3\r\nabc\r\n')
        handler.wfile.write(b'0\r\n\r\n')

    @staticmethod
    def _broken(handler, header=('Content-Length', '1000'), sent=b'only this'):
        handler.send_response(200)
        handler.send_header(*header)
        handler.end_headers()
        handler.wfile.write(sent)
        handler.close_connection = True

    def _open(self, path='/large'):
        return self.session.get(self.server.url + path, stream=True)

    def test_the_span_is_open_and_not_current_until_it_is_read(self):
        spans = self.record()
        response = self._open()
        self.assertFalse(context.has_parent())
        self.assertFalse(context.is_suppressed(http=True))
        chunks = response.iter_content(50_000)
        next(chunks)
        self.assertEqual([], spans.finished)
        self.assertEqual(self._BODY[50_000:], b''.join(chunks))
        span = spans.named('GET')
        self.assertEqual(200, span.attributes['http.response.status_code'])
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)
        response.close()
        self.assertEqual(1, len(spans.finished))

    def test_every_way_to_read_it(self):
        ways = {
            'content': lambda r: r.content,
            'lines': lambda r: list(r.iter_lines()),
            'raw': lambda r: r.raw.read(),
            'pieces of raw': lambda r: list(iter(lambda: r.raw.read(9), b'')),
        }
        spans = self.record()
        for path in ('/large', '/chunked'):
            for name, read in ways.items():
                response = self._open(path)
                self.assertEqual([], spans.finished, name)
                self.assertTrue(read(response), name)
                self.assertEqual(1, len(spans.finished), name)
                spans.clear()

    def test_every_way_to_give_it_up(self):
        def leave(response):
            with response:
                next(response.iter_content(10))

        ways = {
            'close': lambda r: r.close(),
            'raw': lambda r: r.raw.close(),
            'leave': leave,
        }
        spans = self.record()
        for name, give_up in ways.items():
            response = self._open()
            self.assertEqual([], spans.finished, name)
            give_up(response)
            self.assertEqual(
                [trace.StatusCode.UNSET],
                [span.status.status_code for span in spans.finished],
                name,
            )
            spans.clear()

    def test_a_forgotten_response(self):
        spans = self.record()
        response = self._open()
        self.assertEqual([], spans.finished)
        gc.disable()
        self.addCleanup(gc.enable)
        del response
        # There is no cycle of ours that would keep the connection.
        self.assertEqual(1, len(spans.finished))

    def test_a_body_that_breaks_off(self):
        spans = self.record()
        self.server.routes['/broken'] = self._broken
        response = self._open('/broken')
        self.assertRaises(
            requests.exceptions.ChunkedEncodingError,
            list,
            response.iter_content(100),
        )
        span = spans.named('GET')
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual(
            'urllib3.exceptions.ProtocolError', span.attributes['error.type']
        )
        self.assertEqual(200, span.attributes['http.response.status_code'])

    def test_a_body_in_chunks_that_breaks_off(self):
        spans = self.record()
        self.server.routes['/chunked'] = functools.partial(
            self._broken,
            header=('Transfer-Encoding', 'chunked'),
            sent=b'5\r\nhello\r\n',
        )
        self.assertRaises(
            requests.exceptions.ChunkedEncodingError,
            list,
            self._open('/chunked').iter_content(5),
        )
        span = spans.named('GET')
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual(
            'urllib3.exceptions.ProtocolError', span.attributes['error.type']
        )

    def test_a_service_that_gives_up_for_reasons_of_its_own(self):
        spans = self.record()
        response = self._open('/chunked')
        try:
            int('not a number')
        except ValueError:
            response.close()
        span = spans.named('GET')
        self.assertEqual(trace.StatusCode.UNSET, span.status.status_code)

    def test_a_body_that_breaks_off_without_streaming(self):
        spans = self.record()
        self.server.routes['/broken'] = self._broken
        self.assertRaises(
            requests.exceptions.ChunkedEncodingError,
            self.session.get,
            self.server.url + '/broken',
        )
        span = spans.named('GET')
        self.assertEqual(trace.StatusCode.ERROR, span.status.status_code)
        self.assertEqual(200, span.attributes['http.response.status_code'])

    def test_an_error_of_the_reader_is_none_of_the_request(self):
        spans = self.record()
        try:
            with self._open() as response:
                next(response.iter_content(10))
                raise KeyError('mine')
        except KeyError:
            pass
        self.assertEqual(
            trace.StatusCode.UNSET, spans.named('GET').status.status_code
        )

    def test_a_streamed_404(self):
        spans = self.record()
        with self._open('/missing') as response:
            self.assertRaises(requests.HTTPError, response.raise_for_status)
        self.assertEqual('404', spans.named('GET').attributes['error.type'])

    def test_through_keystoneauth(self):
        spans = self.record()
        response = self.to_server().get('/large', stream=True)
        self.assertEqual([], spans.finished)
        self.assertEqual(self._BODY, response.content)
        spans.named('GET image')
