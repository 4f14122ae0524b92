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

"""Parallel uploads of openstacksdk to a small Swift of our own."""

from __future__ import annotations

from http import server
import json
import threading

import openstack

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing.tests import base

SEGMENT = 1024
SEGMENTS = 12


class _Swift(server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def _answer(self, status, body=b''):
        self.rfile.read(int(self.headers.get('Content-Length') or 0))
        self.server.asked.append(
            (self.command, self.path, self.headers.get('traceparent'))
        )
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Etag', 'an-etag')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def do_GET(self):
        self._answer(
            200,
            json.dumps(
                {
                    'slo': {'min_segment_size': 1},
                    'swift': {'max_file_size': SEGMENT},
                }
            ).encode(),
        )

    def do_HEAD(self):
        self._answer(404 if 'object' in self.path else 204)

    def do_PUT(self):
        self._answer(201)

    def log_message(self, *args):
        pass


class LargeObjectTest(base.TestCase):
    def test_the_segments_stay_in_the_trace_of_the_upload(self):
        self.upload()

    def upload(self):
        """Upload a large object, and look at what Swift was asked."""
        swift = server.ThreadingHTTPServer(('127.0.0.1', 0), _Swift)
        swift.asked = []
        threading.Thread(target=swift.serve_forever).start()
        self.addCleanup(swift.server_close)
        self.addCleanup(swift.shutdown)
        path = self.create_tempfiles(
            [('large', 'x' * SEGMENT * SEGMENTS)], ext=''
        )[0]
        url = f'http://127.0.0.1:{swift.server_port}/v1/AUTH_me'
        spans = self.useFixture(fixture.SpanRecorder())
        cloud = openstack.connect(
            auth_type='none',
            endpoint=url,
            object_store_endpoint_override=url,
        )
        self.addCleanup(cloud.close)

        with oslo_tracing.span('upload', root=True) as upload:
            cloud.create_object(
                'box',
                'object',
                filename=path,
                segment_size=SEGMENT,
                use_slo=True,
            )

        puts = [path for method, path, _t in swift.asked if method == 'PUT']
        self.assertTrue(len(puts) >= SEGMENTS, swift.asked)
        trace_id = f'{upload.get_span_context().trace_id:032x}'
        self.assertEqual(
            {trace_id},
            {traceparent.split('-')[1] for _m, _p, traceparent in swift.asked},
        )
        parents = {
            span.parent.span_id
            for span in spans.finished
            if span.name != 'upload'
        }
        self.assertEqual({upload.get_span_context().span_id}, parents)
