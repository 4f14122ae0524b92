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

"""oslo.cache and a real memcached, through each of its clients."""

from __future__ import annotations

from oslo_cache import core
from oslo_config import cfg

import oslo_tracing
from oslo_tracing import fixture
from oslo_tracing.tests import base
from oslo_tracing.tests.functional import servers


class MemcachedTest(base.TestCase):
    def _region(self, backend, server):
        conf = cfg.ConfigOpts()
        conf([], project='cached', default_config_files=[])
        core.configure(conf)
        conf.set_override('enabled', True, 'cache')
        conf.set_override('backend', backend, 'cache')
        conf.set_override('memcache_servers', [server], 'cache')
        return core.configure_cache_region(conf, core.create_region())

    def _ask(self, backend):
        port = servers.memcached_port(self)
        spans = self.useFixture(fixture.SpanRecorder('oslo_cache'))
        region = self._region(backend, f'127.0.0.1:{port}')
        with oslo_tracing.span('boot', root=True):
            region.set(backend, {'a': ['S3CRETVALUE']})
            self.assertEqual({'a': ['S3CRETVALUE']}, region.get(backend))
            region.set_multi({'b': 1, 'c': 2})
            self.assertEqual([1, 2], region.get_multi(['b', 'c']))
            region.delete(backend)
            self.assertIs(core.NO_VALUE, region.get(backend))
        asked = spans.finished[:-1]
        self.assertEqual(
            ['SET', 'GET', 'SET', 'GET', 'DELETE', 'GET'],
            [span.name for span in asked],
        )
        for span in asked:
            self.assertEqual('127.0.0.1', span.attributes['server.address'])
            self.assertEqual(port, span.attributes['server.port'])
            self.assertTrue(span.status.is_unset)
            self.assertNotIn('S3CRETVALUE', span.to_json())

    def test_pymemcache(self):
        self._ask('dogpile.cache.pymemcache')

    def test_python_memcached(self):
        self._ask('dogpile.cache.memcached')

    def test_the_pool(self):
        self._ask('oslo_cache.memcache_pool')
