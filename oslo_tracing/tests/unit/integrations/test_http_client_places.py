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

"""Requests to where others have gone before."""

from __future__ import annotations

import fixtures
import requests

import oslo_tracing
from oslo_tracing.integrations import _http_places as places
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.integrations import http_servers


class PlacesTest(base.TestCase):
    def test_what_is_known_is_what_would_be_found(self):
        known = places.Places()
        for _ in range(3):
            for method in ('GET', 'POST', 'get', b'GET', None, 'MADE-UP'):
                for service_type in (None, 'volumev3', 'x' * 300):
                    for url in (
                        'http://Volume.example/v3',
                        'http://volume.example:8776/v3/a?b=c',
                        'https://volume.example/v3/?next=http://x/y',
                        'https://volume.example:0443/v3',
                        'http://volume.example',
                        'http://volume.example?q=/',
                        'http://volume.example#/',
                        'http://user:secret@volume.example/v3',
                        'http://volume.example:http/v3',
                        'http://[2001:db8::1]:80/v3',
                        'http:///v3/a',
                        'http:/v3/a',
                        'http:',
                        'http://ä.example/',
                        'HTTP://volume.example/v3',
                    ):
                        found = known.get(method, url, service_type)
                        fresh = places.Places().get(method, url, service_type)
                        self.assertEqual(fresh.origin, found.origin)
                        self.assertEqual(fresh.ready.name, found.ready.name)
                        self.assertEqual(
                            fresh.ready.attributes, found.ready.attributes
                        )
        self.assertNotIn('secret', str(known._known))

    def test_few_are_remembered(self):
        known = places.Places()
        for number in range(1000):
            known.get('GET', f'http://host-{number}.example/x', None)
            known.get(f'METHOD-{number}', 'http://host.example/x', None)
            known.get('GET', 'http://host.example/x', 'type' * 50)
        self.assertIn(len(known._known), range(1, 257))


class SpansThatShareTest(http_servers.TestCase):
    def said_of(self, paths, **options):
        spans = self.record(**options)
        with oslo_tracing.span('work', root=True):
            for path in paths:
                requests.get(self.server.url + path, timeout=5)
        return [dict(span.attributes) for span in spans.finished[:-1]]

    def test_each_has_what_is_its_own(self):
        paths = ['/', '/?token=secret', '/a/b', '/missing', '/']
        found = self.said_of(paths)
        self.assertEqual(found[0], found[4])
        for path, said in zip(paths, found, strict=True):
            path = path.replace('secret', 'REDACTED')
            self.assertEqual(self.server.url + path, said['url.full'])
            self.assertEqual(self.server.port, said['server.port'])

    def test_a_long_url_is_cut_each_time(self):
        for said in self.said_of(
            ['/' + 'a/' * 90] * 3, attribute_length_limit=64
        ):
            self.assertEqual(64, len(said['url.full']))

    def test_small_limits_are_kept_to(self):
        self.useFixture(
            fixtures.EnvironmentVariable(
                'OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', '3'
            )
        )
        for said in self.said_of(['/'] * 3):
            self.assertEqual(
                {'server.address', 'server.port', 'http.response.status_code'},
                set(said),
            )
