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


from opentelemetry import baggage
from opentelemetry import trace
import testtools

from oslo_tracing import propagation
from oslo_tracing.propagation import trust

TRACE = '0af7651916cd43dd8448eb211c80319c'
SPAN = 'b7ad6b7169203331'
ENVIRON = {
    'HTTP_TRACEPARENT': f'00-{TRACE}-{SPAN}-03',
    'HTTP_TRACESTATE': 'acme=1',
    'HTTP_BAGGAGE': 'key=value',
}


class TrustTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        formats = propagation.Propagation(['tracecontext', 'baggage'])
        self.incoming = formats.from_environ(ENVIRON)

    def test_a_caller_who_is_trusted_is_the_parent(self):
        parentage = trust.decide(self.incoming, 'trust')

        parent = trace.get_current_span(parentage.context).get_span_context()
        self.assertEqual(int(TRACE, 16), parent.trace_id)
        self.assertEqual('acme=1', parent.trace_state.to_header())
        self.assertEqual(
            'value', baggage.get_baggage('key', parentage.context)
        )
        self.assertEqual((), parentage.links)
        self.assertTrue(parentage.believed)

    def test_a_link_is_all_that_is_left_of_a_stranger(self):
        parentage = trust.decide(self.incoming, 'link')

        self.assertEqual({}, parentage.context)
        self.assertFalse(parentage.believed)
        (link,) = parentage.links
        self.assertEqual(int(TRACE, 16), link.context.trace_id)
        self.assertEqual(int(SPAN, 16), link.context.span_id)
        self.assertTrue(link.context.is_remote)
        self.assertEqual(0, len(link.context.trace_state))
        self.assertEqual(
            {'openstack.link.reason': 'untrusted'}, dict(link.attributes)
        )

    def test_nothing_is_left_of_who_is_ignored(self):
        for mode in ('ignore', 'signed', 'no such mode'):
            self.assertEqual(
                ({}, (), False), trust.decide(self.incoming, mode)[:3]
            )

    def test_nobody_is_never_believed(self):
        for mode in ('trust', 'link', 'ignore'):
            self.assertEqual(
                ({}, (), False), trust.decide(propagation.NOBODY, mode)[:3]
            )
