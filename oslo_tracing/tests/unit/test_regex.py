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

"""Regular expressions that are compiled when they are first used."""

from __future__ import annotations

import importlib
import pathlib
import re

import oslo_tracing
from oslo_tracing import _regex
from oslo_tracing.tests import base

ROOT = pathlib.Path(oslo_tracing.__file__).parent


class RegexTest(base.TestCase):
    def test_it_does_what_a_compiled_one_does(self):
        late = _regex.late('(b)', re.IGNORECASE)
        compiled = re.compile('(b)', re.IGNORECASE)
        for name in ('findall', 'split'):
            self.assertEqual(
                getattr(compiled, name)('aBcb'), getattr(late, name)('aBcb')
            )
        self.assertEqual(1, late.search('aBc').start())
        self.assertIsNone(late.match('aBc'))
        self.assertIsNotNone(late.fullmatch('B'))
        self.assertEqual('a-c-', late.sub('-', 'aBcb'))
        self.assertEqual(('a-c-', 2), late.subn('-', 'aBcb'))
        self.assertEqual([1, 3], [m.start() for m in late.finditer('aBcb')])
        self.assertEqual('(b)', late.pattern)

    def test_of_bytes_too(self):
        self.assertEqual([b'b'], _regex.late(b'b').findall(b'abc'))

    def test_each_of_ours_can_be_compiled(self):
        # Nothing else would find a wrong one before it is needed.
        found = []
        for path in sorted(ROOT.rglob('*.py')):
            if '_regex.late(' not in path.read_text() or 'tests' in path.parts:
                continue
            parts = path.relative_to(ROOT.parent).with_suffix('').parts
            module = importlib.import_module('.'.join(parts))
            values = list(vars(module).values())
            for value in list(values):
                if isinstance(value, dict):
                    values.extend(value.values())
            found += [
                each.pattern
                for each in values
                if isinstance(each, _regex._Late)
            ]
        self.assertGreater(len(found), 40)
