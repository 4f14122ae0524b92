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

"""What services say of errors with the API of OpenTelemetry, and export."""

from __future__ import annotations

import contextlib

from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry import trace
from oslo_concurrency import processutils
import pymysql
import requests

from oslo_tracing.exporters import _clean
from oslo_tracing import fixture
from oslo_tracing.tests import base

SECRET = 'S3CRET'

_ERROR = trace.StatusCode.ERROR


def of_a_database():
    raise pymysql.err.ProgrammingError(1064, f"You have near '{SECRET}' at")


def of_a_command():
    processutils.execute('false', '--with', SECRET)


def of_a_url():
    requests.get(f'http://127.0.0.1:1/?temp_url_sig={SECRET}')


def said_in(span):
    events = [dict(event.attributes) for event in span.events]
    return f'{span.status.description} {events}'


class DescriptionTest(base.TestCase):
    def record(self, **options):
        self.spans = self.useFixture(fixture.SpanRecorder(**options))
        return trace.get_tracer('nova')

    def said_of(self, fail):
        """Yield what is exported of an error, in each way to say it."""
        tracer = trace.get_tracer('nova')
        span = tracer.start_span('recorded')
        try:
            fail()
        except Exception as error:
            span.record_exception(error)
            span.set_status(trace.Status(_ERROR, str(error)))
        span.end()
        span = tracer.start_span('reworded')
        try:
            fail()
        except Exception as error:
            span.set_status(_ERROR, f'Cannot go on: {error}')
            span.record_exception(error)
        span.end()
        with contextlib.suppress(Exception):
            self._used(fail)
        for name in ('recorded', 'reworded', 'used'):
            found = self.spans.named(name)
            yield said_in(found)
        self.spans.clear()

    def _used(self, fail):
        span = trace.get_tracer('nova').start_span('used')
        with trace.use_span(span, end_on_exit=True):
            fail()

    def test_no_message_is_said_unless_asked_for(self):
        self.record()
        for fail in (of_a_database, of_a_command, of_a_url):
            for said in self.said_of(fail):
                self.assertNotIn(SECRET, said)
                self.assertIn('Error', said)

    def test_none_of_databases_and_commands_is_ever_said(self):
        self.record(exception_messages=True)
        for fail in (of_a_database, of_a_command, of_a_url):
            for said in self.said_of(fail):
                self.assertNotIn(SECRET, said)

    def test_what_may_be_said_is_said(self):
        tracer = self.record(exception_messages=True)
        with tracer.start_as_current_span('outer', record_exception=False):
            for name in ('with', 'without'):
                span = tracer.start_span(name)
                if name == 'with':
                    span.record_exception(ValueError('no valid host'))
                span.set_status(_ERROR, 'ValueError: no valid host')
                span.end()
                found = self.spans.named(name)
                self.assertEqual(
                    'ValueError: no valid host', found.status.description
                )

    def test_own_words_stay(self):
        tracer = self.record()
        span = tracer.start_span('work')
        span.record_exception(ValueError(SECRET))
        span.set_status(_ERROR, 'no host is left for the instance')
        span.end()
        found = self.spans.named('work')
        self.assertEqual(
            'no host is left for the instance', found.status.description
        )

    def test_an_error_without_words_takes_none_away(self):
        class NoWords(Exception):
            def __str__(self):
                raise RuntimeError(SECRET)

        tracer = self.record()
        span = tracer.start_span('work')
        span.record_exception(NoWords())
        span.set_status(_ERROR, 'no host is left')
        span.end()
        found = self.spans.named('work')
        self.assertEqual('no host is left', found.status.description)

    def test_spans_of_the_sdk(self):
        self.record(exception_messages=True)
        cleaner = _clean.Cleaner(
            self.spans.tracing.settings, resources.Resource.get_empty
        )
        other = sdk_trace.TracerProvider(shutdown_on_exit=False)
        for fail in (of_a_database, of_a_command, of_a_url):
            span = other.get_tracer('requests').start_span('foreign')
            try:
                fail()
            except Exception as error:
                span.record_exception(error)
                span.set_status(_ERROR, str(error))
            span.end()
            self.assertIn(SECRET, said_in(span))
            found = cleaner.clean(span)
            self.assertEqual(1, len(found.events))
            self.assertNotIn(SECRET, said_in(found))
