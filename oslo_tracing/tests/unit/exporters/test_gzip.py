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

"""Requests are compressed by whatever does it, and arrive as they were."""

import gzip
import random
import sys
import zlib

from isal import isal_zlib

from oslo_tracing.exporters import _gzip
from oslo_tracing.tests import base


class GzipTest(base.TestCase):
    def test_what_is_quicker_is_taken_where_it_is_installed(self):
        self.assertIs(isal_zlib, _gzip.library())

    def test_it_need_not_be(self):
        self.addCleanup(sys.modules.__setitem__, isal_zlib.__name__, isal_zlib)
        sys.modules[isal_zlib.__name__] = None

        self.assertIs(zlib, _gzip.library())

    def test_either_is_unpacked_by_everybody(self):
        some = random.Random(1)
        bodies = [
            b'',
            b'a',
            bytes(100_000),
            some.randbytes(70_000),
            b'SELECT instances.id FROM instances ' * 5000,
        ]
        for by in (zlib, isal_zlib):
            for body in bodies:
                packed = _gzip.packed(body, by)

                self.assertEqual(body, gzip.decompress(packed))
                self.assertLess(len(packed), len(body) + 100)
            self.assertLess(len(packed), len(body) / 20)
