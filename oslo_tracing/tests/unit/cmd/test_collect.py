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

"""What is told of the bytes that collect leaves in its output."""

import os

from oslo_tracing.tests.unit.cmd import test_commands
from oslo_tracing.tests.unit.report import data


class BoundTest(test_commands.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.write(*data.boot())
        self.output = os.path.join(self.directory, 'copies')

    def collect(self, max_bytes):
        return self.run_main(
            'collect',
            self.directory,
            '--output',
            self.output,
            '--max-bytes',
            str(max_bytes),
        )

    def test_what_earlier_runs_have_left_is_told_where_it_is_too_much(self):
        self.collect(10**6)
        copy = os.path.join(self.output, 'spans.jsonl.gz')
        size = os.stat(copy).st_size
        told = (
            f'{size + 5} bytes that earlier runs have left are in the output '
            'as well\n'
        )
        with open(os.path.join(self.output, '.abc.new'), 'w') as stream:
            stream.write('a' * 5)
        # Of whom this is, nobody knows.
        with open(os.path.join(self.output, 'notes.txt'), 'w') as stream:
            stream.write('a' * 10**6)
        code, _out, err = self.collect(size + 5000)
        self.assertEqual((0, ''), (code, err))
        code, _out, err = self.collect(100)
        self.assertEqual(2, code)
        self.assertTrue(err.endswith(told), err)
        self.assertTrue(os.path.exists(copy))

    def test_a_copy_of_this_run_is_none_of_them(self):
        self.collect(10**6)
        with open(os.path.join(self.output, 'old.jsonl.gz'), 'w') as stream:
            stream.write('a' * 10**4)
        _code, _out, err = self.collect(9000)
        self.assertEqual(
            '10000 bytes that earlier runs have left are in the output as '
            'well\n',
            err,
        )
