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

"""A comparison finds what differs, and tells it from what is unstable."""

from __future__ import annotations

import os
import pathlib
import textwrap

import fixtures
import testtools

from oslo_tracing.tests.borrowed import compare
from oslo_tracing.tests.borrowed import results
from oslo_tracing.tests.borrowed import suites


class CompareTest(testtools.TestCase):
    """Compares a small suite, written for the test."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path
        # Each run has a directory of its own: this is how they meet.
        self.useFixture(
            fixtures.EnvironmentVariable('SAMPLE_PLACE', self.directory)
        )
        path = [self.directory, os.environ.get('PYTHONPATH', '')]
        self.useFixture(
            fixtures.EnvironmentVariable(
                'PYTHONPATH', os.pathsep.join(filter(None, path))
            )
        )

    def _compare(
        self,
        body: str,
        tests: int = 1,
        spans: tuple[str, ...] = (),
        base: str = 'unittest.TestCase',
        leave_open: tuple[str, ...] = (),
    ) -> results.Comparison:
        package = pathlib.Path(self.directory) / 'sample'
        package.mkdir()
        (package / '__init__.py').touch()
        (package / 'test_sample.py').write_text(
            textwrap.dedent(
                """
                import os
                import unittest

                from opentelemetry import context
                from opentelemetry import trace

                from oslo_tracing import service


                def is_traced():
                    span = trace.get_current_span()
                    return span.get_span_context().is_valid


                """
            )
            + f'class SampleTest({base}):\n'
            + textwrap.indent(textwrap.dedent(body), '    ')
        )
        return compare.compare(
            suites.Suite(
                'sample',
                tests=tests,
                spans=spans,
                leave_open=dict.fromkeys(leave_open, 'as expected'),
            )
        )

    def test_what_goes_the_same_way_is_no_problem(self) -> None:
        found = self._compare(
            """
            def test_good(self):
                pass

            def test_bad(self):
                self.fail()

            @unittest.skip('not today')
            def test_skipped(self):
                pass
            """
        )

        self.assertEqual([], found.problems())
        self.assertEqual(
            {
                'sample.test_sample.SampleTest.test_bad': [
                    'fail: AssertionError'
                ],
                'sample.test_sample.SampleTest.test_good': ['ok'],
                'sample.test_sample.SampleTest.test_skipped': [
                    'skip: not today'
                ],
            },
            found.traced.outcomes,
        )

    def test_a_test_that_fails_only_with_tracing_is_a_difference(self) -> None:
        found = self._compare(
            """
            def test_alone(self):
                self.assertFalse(is_traced())

            def test_good(self):
                pass
            """
        )

        test = 'sample.test_sample.SampleTest.test_alone'
        self.assertEqual([test], found.differences)
        self.assertIn(
            f"{test}: ['ok'] without tracing, ['fail: AssertionError'] with",
            found.problems()[0],
        )

    def test_failing_for_another_reason_is_a_difference(self) -> None:
        found = self._compare(
            """
            def test_bad(self):
                raise (KeyError if is_traced() else ValueError)
            """
        )

        self.assertEqual(1, len(found.differences))

    def test_a_test_inside_a_loop_of_its_own_has_the_span(self) -> None:
        found = self._compare(
            """
            async def test_alone(self):
                self.assertFalse(is_traced())
            """,
            base='unittest.IsolatedAsyncioTestCase',
        )

        self.assertEqual(
            ['sample.test_sample.SampleTest.test_alone'], found.differences
        )

    def test_what_differs_once_is_unstable(self) -> None:
        found = self._compare(
            """
            def test_unstable(self):
                # Only the first of all runs can.
                os.mkdir(os.path.join(os.environ['SAMPLE_PLACE'], 'mark'))
            """
        )

        self.assertEqual([], found.differences)
        self.assertEqual(
            ['sample.test_sample.SampleTest.test_unstable'],
            found.unstable,
        )

    def test_taking_tracing_off_is_told(self) -> None:
        found = self._compare(
            """
            def test_off(self):
                service.shutdown()
            """
        )

        self.assertEqual(
            ['sample.test_sample.SampleTest.test_off took tracing off'],
            found.problems(),
        )

    def test_a_span_left_active_is_told(self) -> None:
        found = self._compare(
            """
            def test_leak(self):
                if is_traced():
                    context.attach(context.Context())
            """
        )

        self.assertEqual(
            [
                'sample.test_sample.SampleTest.test_leak left another span'
                ' active'
            ],
            found.problems(),
        )

    def test_a_span_may_be_left_active_where_that_is_expected(self) -> None:
        test = 'sample.test_sample.SampleTest'
        found = self._compare(
            """
            def test_leak(self):
                if is_traced():
                    context.attach(context.Context())

            def test_tidy(self):
                pass
            """,
            leave_open=(f'{test}.test_leak', f'{test}.test_tidy'),
        )

        self.assertEqual(
            [f'{test}.test_tidy was expected to leave a span active'],
            found.problems(),
        )

    def test_a_suite_that_is_not_there_is_told(self) -> None:
        found = self._compare(
            """
            def test_good(self):
                pass
            """,
            tests=2,
            spans=('oslo_tracing.sqlalchemy CLIENT',),
        )

        self.assertEqual(
            [
                '1 tests passed without tracing, there must be 2',
                '1 spans oslo_tracing.borrowed INTERNAL were recorded',
                '0 spans oslo_tracing.sqlalchemy CLIENT were recorded',
            ],
            found.problems(),
        )

    def test_a_suite_that_dies_is_told(self) -> None:
        found = self._compare(
            """
            def test_dies(self):
                os._exit(3)
            """
        )

        self.assertIn(
            'the plain run did not end: exit status 3', found.problems()[0]
        )

    def test_a_module_that_cannot_be_imported_is_told(self) -> None:
        found = self._compare('import nothing_of_this_name')

        self.assertIn('nothing_of_this_name', found.problems()[0])
