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

"""OSProfiler's pair: byte for byte as its clients send and read it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from opentelemetry import context as otel_context
from opentelemetry import trace
from osprofiler import _utils
from osprofiler import profiler
from osprofiler import web
import testtools

from oslo_tracing.propagation import osprofiler

KEY = 'developers-key'
BASE_ID = '83b0e5f4-8e4d-4d4b-9c83-2a5f1c0d9d38'
PARENT_ID = '83b0e5f4-8e4d-4d4b-1122-334455667788'
TRACE_ID = 0x83B0E5F48E4D4D4B9C832A5F1C0D9D38
SPAN_ID = 0x1122334455667788
MIB = 1024 * 1024

#: As osprofiler 4.4 and tempest 47 send them.
OF_A_CLIENT = (
    'eyJiYXNlX2lkIjogIjgzYjBlNWY0LThlNGQtNGQ0Yi05YzgzLTJhNWYxYzBkOWQzOCIsICJw'
    'YXJlbnRfaWQiOiAiODNiMGU1ZjQtOGU0ZC00ZDRiLTljODMtMmE1ZjFjMGQ5ZDM4In0=',
    '61253d61f3952a4adec5c0ee81ba54e75248c3f3',
)
OF_A_SERVICE = (
    'eyJiYXNlX2lkIjogIjgzYjBlNWY0LThlNGQtNGQ0Yi05YzgzLTJhNWYxYzBkOWQzOCIsICJw'
    'YXJlbnRfaWQiOiAiODNiMGU1ZjQtOGU0ZC00ZDRiLTExMjItMzM0NDU1NjY3Nzg4In0=',
    '0c6a63bea79d62628aedf4c9afd1f3fd4b32f41d',
)


def environ(info, signature):
    return {'HTTP_X_TRACE_INFO': info, 'HTTP_X_TRACE_HMAC': signature}


def packed(told, key=KEY):
    data = base64.urlsafe_b64encode(
        told if isinstance(told, bytes) else json.dumps(told).encode()
    )
    digest = hmac.new(key.encode(), data, hashlib.sha1).hexdigest()
    return environ(data.decode(), digest)


class ReadTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.pairs = osprofiler.Pairs(['unused', KEY])

    def test_a_client_is_no_parent(self):
        self.assertEqual(
            (TRACE_ID, None, 1), self.pairs.read(environ(*OF_A_CLIENT))
        )

    def test_the_parent_is_in_the_low_bits(self):
        self.assertEqual(
            (TRACE_ID, SPAN_ID, 1), self.pairs.read(environ(*OF_A_SERVICE))
        )

    def test_what_osprofiler_packs(self):
        for parent_id in (None, PARENT_ID):
            self.addCleanup(profiler.clean)
            profiler.clean()
            profiler.init(KEY, base_id=BASE_ID, parent_id=parent_id)
            sent = web.get_trace_id_headers()
            info = sent['X-Trace-Info']
            # Of bytes before 4.3, which makes no difference on the wire.
            info = info.decode() if isinstance(info, bytes) else info
            read = self.pairs.read(environ(info, sent['X-Trace-HMAC']))
            expected = None if parent_id is None else SPAN_ID
            self.assertEqual((TRACE_ID, expected, 1), read)

    def test_a_pair_without_a_parent(self):
        self.assertEqual(
            (TRACE_ID, None, 1), self.pairs.read(packed({'base_id': BASE_ID}))
        )

    def test_what_is_as_good_as_absent(self):
        info, signature = OF_A_CLIENT
        wide = 'é' * 40
        for found in (
            {},
            {'HTTP_X_TRACE_INFO': info},
            {'HTTP_X_TRACE_HMAC': signature},
            environ('', signature),
            environ(info, ''),
            environ(info, ' '),
            environ(info, wide),
            environ(info, signature[:-1]),
            environ(info, signature.upper()),
            environ(info, f'{signature},{signature}'),
            environ(info, 'a' * MIB),
            environ(info + 'é', signature),
            environ('a' * MIB, signature),
            environ(info.encode(), signature),
            environ(info, None),
            packed({'base_id': BASE_ID}, key='SECRET_KEY'),
            packed({'base_id': BASE_ID}, key=''),
            packed({}),
            packed([]),
            packed(None),
            packed(b'no json'),
            packed(b'\xff'),
            packed(b'[' * 700),
            packed({'parent_id': BASE_ID}),
            packed({'base_id': BASE_ID, 'hmac_key': KEY}),
            packed({'base_id': BASE_ID, 'parent_id': BASE_ID, 'x': 1}),
            packed({'base_id': BASE_ID, 'parent_id': None}),
            packed({'base_id': 7}),
            packed({'base_id': [BASE_ID]}),
            packed({'base_id': 'no uuid'}),
            packed({'base_id': BASE_ID + '\n'}),
            packed({'base_id': '{' + BASE_ID + '}'}),
            packed({'base_id': '00000000-0000-0000-0000-000000000000'}),
            packed(
                {
                    'base_id': BASE_ID,
                    'parent_id': '83b0e5f4-8e4d-4d4b-0000-000000000000',
                }
            ),
            packed({'base_id': BASE_ID, 'parent_id': 'x'}),
            packed({'base_id': BASE_ID, 'parent_id': ' ' * 900 + BASE_ID}),
        ):
            self.assertIsNone(self.pairs.read(found), str(found)[:200])

    def test_who_reads_shows_no_key(self):
        shown = repr(self.pairs) + repr(self.pairs.read(packed({})))
        for slot in osprofiler.Pairs.__slots__:
            shown += repr(getattr(self.pairs, slot))
        self.assertNotIn(KEY, shown)


class WriteTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.pairs = osprofiler.Pairs(['unused', KEY])
        self.pair = self.pairs.read(environ(*OF_A_CLIENT))
        self.asked = osprofiler.asked_for(otel_context.Context(), self.pair)

    def _written(self, context, flags=1):
        return self.pairs.headers(
            trace.SpanContext(
                TRACE_ID, SPAN_ID, False, trace.TraceFlags(flags)
            ),
            context,
        )

    def test_it_is_what_a_service_with_osprofiler_reads(self):
        sent = self._written(self.asked)
        self.assertEqual(
            dict(zip(('x-trace-info', 'x-trace-hmac'), OF_A_SERVICE)), sent
        )
        read = _utils.signed_unpack(
            sent['x-trace-info'], sent['x-trace-hmac'], [KEY]
        )
        self.assertEqual(
            {'base_id': BASE_ID, 'parent_id': PARENT_ID, 'hmac_key': KEY},
            read,
        )

    def test_it_leads_back_to_the_span(self):
        info, signature = self._written(self.asked).values()
        self.assertEqual(
            (TRACE_ID, SPAN_ID, 1), self.pairs.read(environ(info, signature))
        )

    def test_nothing_is_sent_where_nobody_has_asked(self):
        self.assertEqual({}, self._written(otel_context.Context()))

    def test_nothing_is_sent_of_what_is_not_recorded(self):
        self.assertEqual({}, self._written(self.asked, flags=0))
