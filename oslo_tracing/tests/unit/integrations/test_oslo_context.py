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

"""The trace bound to the request's context, and its id as request id."""

from __future__ import annotations

import copy
import json
import pickle
import re

from opentelemetry import trace
from oslo_context import context as oslo_context
from oslo_middleware import request_id
from oslo_serialization import jsonutils
from oslo_utils import uuidutils

import oslo_tracing
from oslo_tracing import context as tracing_context
from oslo_tracing import fixture
from oslo_tracing.integrations import oslo_context as integration
from oslo_tracing import service
from oslo_tracing.tests import base


class NovaLike(oslo_context.RequestContext):
    """Sets attributes of its own and is copied when it is elevated."""

    def __init__(self, user_id=None, service_catalog=None, **kwargs):
        super().__init__(user_id=user_id, is_admin=None, **kwargs)
        self.service_catalog = service_catalog or []
        self.timestamp = '2026-01-01'

    def to_dict(self):
        values = super().to_dict()
        values.update(service_catalog=self.service_catalog)
        return values

    def elevated(self):
        elevated = copy.copy(self)
        elevated.is_admin = True
        return elevated

    def __eq__(self, other):
        return vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


class NeutronLike(oslo_context.RequestContext):
    """Makes its contexts from dictionaries of named keys."""

    def __init__(self, *args, timestamp=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.timestamp = timestamp or 'now'
        self._session = None

    def to_dict(self):
        values = super().to_dict()
        values['timestamp'] = self.timestamp
        return values


class BindingTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.spans = self.useFixture(fixture.SpanRecorder('oslo_context'))
        with oslo_tracing.span('work', root=True) as span:
            self.expected = span.get_span_context()
            self.nova = NovaLike(
                user_id='u', request_id='req-1', overwrite=False
            )
            self.neutron = NeutronLike(user_id='u', overwrite=False)

    def _bound(self, ctxt):
        return integration.bound_to(ctxt).span_id

    def test_it_is_bound_to_what_was_active(self):
        self.assertEqual(self.expected.span_id, self._bound(self.nova))
        self.assertEqual(self.expected.span_id, self._bound(self.neutron))

    def test_each_is_bound_to_the_span_that_it_was_made_in(self):
        for _ in range(2):
            with oslo_tracing.span('outer', root=True) as outer:
                for _ in range(2):
                    first = NovaLike(overwrite=False)
                    with oslo_tracing.span('inner') as inner:
                        second = NovaLike(overwrite=False)
                    for span, made in ((outer, first), (inner, second)):
                        expected = span.get_span_context()
                        self.assertEqual(expected, integration.bound_to(made))
                        # As in a process that gets it by a message.
                        again = pickle.loads(pickle.dumps(made))
                        self.assertEqual(expected.span_id, self._bound(again))
            outside = NovaLike(overwrite=False)
            self.assertIsNone(integration.bound_to(outside))

    def test_without_a_trace_nothing_is_bound(self):
        ctxt = NovaLike(overwrite=False)
        self.assertIsNone(integration.bound_to(ctxt))
        self.assertIsNone(integration.bound_to(None))
        self.assertIsNone(integration.bound_to({'a': 1}))

    def test_copies_keep_it(self):
        for copied in (
            copy.copy(self.nova),
            copy.deepcopy(self.nova),
            pickle.loads(pickle.dumps(self.nova)),
            self.nova.elevated(),
        ):
            self.assertEqual(self.expected.span_id, self._bound(copied))

    def test_to_dict_and_from_dict_are_as_before(self):
        without = self._without_us(
            lambda: NovaLike(user_id='u', request_id='req-1', overwrite=False)
        )
        self.assertEqual(without.to_dict(), self.nova.to_dict())
        again = NeutronLike.from_dict(self.neutron.to_dict())
        self.assertEqual(self.neutron.to_dict(), again.to_dict())
        self.assertNotIn('oslo_tracing', json.dumps(self.nova.to_dict()))

    def _without_us(self, make):
        service.shutdown()
        return make()

    def test_equal_as_before(self):
        with oslo_tracing.span('other', root=True):
            other = NovaLike(user_id='u', request_id='req-1', overwrite=False)
        outside = NovaLike(user_id='u', request_id='req-1', overwrite=False)
        different = NovaLike(user_id='v', request_id='req-1', overwrite=False)
        self.assertEqual(self.nova, other)
        self.assertEqual(self.nova, outside)
        self.assertEqual(outside, copy.deepcopy(self.nova))
        self.assertEqual(pickle.loads(pickle.dumps(other)), self.nova)
        self.assertEqual(self.nova, pickle.loads(pickle.dumps(other)))
        self.assertFalse(self.nova != other)
        self.assertNotEqual(self.nova, different)

    def test_what_is_pickled_needs_nothing_of_ours(self):
        self.assertNotIn(b'oslo_tracing.', pickle.dumps(vars(self.nova)))

    def test_dumped_as_a_whole_it_is_a_text(self):
        dumped = json.loads(jsonutils.dumps(vars(self.nova)))
        self.assertRegex(dumped['_oslo_tracing_binding'], '^00-')

    def test_a_damaged_binding_is_none(self):
        self.nova._oslo_tracing_binding = 'damaged'
        self.assertIsNone(integration.bound_to(self.nova))
        self.nova._oslo_tracing_binding = 7
        self.assertIsNone(integration.bound_to(self.nova))

    def test_a_service_whose_context_takes_no_attributes(self):
        class Slots(dict):
            __slots__ = ()

        made = oslo_context.RequestContext.__new__(oslo_context.RequestContext)
        oslo_context.RequestContext.__init__(made, overwrite=False)
        self.assertIsNone(integration.bound_to(Slots()))

    def test_it_comes_off(self):
        service.shutdown()
        names = ('__init__', 'update_store')
        for name in names:
            function = vars(oslo_context.RequestContext)[name]
            self.assertEqual(
                oslo_context.__file__, function.__code__.co_filename
            )
        self.assertEqual(
            oslo_context.__file__,
            oslo_context.generate_request_id.__code__.co_filename,
        )


class RequestIdTest(base.TestCase):
    def _request_ids(self, offer=True, **options):
        self.useFixture(fixture.SpanRecorder('oslo_context', **options))
        with oslo_tracing.span('GET', root=True) as span:
            from opentelemetry import context as otel_context

            current = otel_context.get_current()
            if offer:
                current = tracing_context.root(
                    current, request_id=span.get_span_context().trace_id
                )
            token = otel_context.attach(current)
            try:
                made = [oslo_context.generate_request_id() for _n in range(3)]
            finally:
                otel_context.detach(token)
            return span.get_span_context(), made

    def test_only_the_first_is_the_trace_id(self):
        started, made = self._request_ids()
        first, second, third = made
        self.assertEqual(
            trace.format_trace_id(started.trace_id),
            first.removeprefix('req-').replace('-', ''),
        )
        self.assertEqual(3, len({first, second, third}))
        for one in made:
            self.assertIsNotNone(re.match(request_id.ID_FORMAT, one))
            self.assertTrue(uuidutils.is_uuid_like(one[len('req-') :]))

    def test_a_continued_trace_offers_none(self):
        started, made = self._request_ids(offer=False)
        used = {one[4:].replace('-', '') for one in made}
        self.assertNotIn(trace.format_trace_id(started.trace_id), used)

    def test_off_by_option(self):
        started, made = self._request_ids(request_id_is_trace_id=False)
        used = {one[4:].replace('-', '') for one in made}
        self.assertNotIn(trace.format_trace_id(started.trace_id), used)

    def test_outside_of_a_request(self):
        self.useFixture(fixture.SpanRecorder('oslo_context'))
        self.assertNotEqual(
            oslo_context.generate_request_id(),
            oslo_context.generate_request_id(),
        )
