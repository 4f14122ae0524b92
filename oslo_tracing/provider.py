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

"""The tracer provider of this process.

Imported when the first span starts: with it comes the SDK.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import socket
import struct
from typing import Any
import uuid

from opentelemetry import context as otel_context
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import id_generator
from opentelemetry.sdk.trace import sampling
from opentelemetry import trace

from oslo_tracing import attributes as names
from oslo_tracing import context
from oslo_tracing import leases
from oslo_tracing import recording
from oslo_tracing import settings as settings_module
from oslo_tracing.tracer import provider as recording_provider

DISTRIBUTION = 'oslo.tracing'

#: Random numbers that are fetched at once.
_NUMBERS = struct.Struct('=256Q')

_EXPIRED = {names.OPENSTACK_LINK_REASON: 'expired'}


@functools.cache
def own_version() -> str:
    """Return the version of this library, or ``'unknown'`` in a checkout."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return 'unknown'


class UrandomIds(id_generator.IdGenerator):
    """Ids from the operating system's randomness, fetched some at a time.

    Not from ``random``, as the SDK's: the state of that generator can be
    computed from the ids of about a hundred responses, and with it what
    the service's own ``random`` gives next.

    What was fetched is for one process. A forked child fetches its own; it
    is known by its pid, since uWSGI runs no hooks after a fork.
    """

    #: What it gives needs no second look.
    are_valid = True

    def __init__(self) -> None:
        self._fetched: dict[int, list[int]] = {}

    def generate_span_id(self) -> int:
        """Return 64 random bits, not all of them 0."""
        try:
            # One operation: no two threads get the same.
            return self._fetched[os.getpid()].pop()
        except (KeyError, IndexError):
            return self._fetch()

    def _fetch(self) -> int:
        """Return one of what is fetched anew, and keep the others."""
        numbers: list[int]
        numbers = list(_NUMBERS.unpack(os.urandom(_NUMBERS.size)))
        while 0 in numbers:
            numbers.remove(0)
        one = numbers.pop()
        self._fetched = {os.getpid(): numbers}
        return one

    def generate_trace_id(self) -> int:
        wanted = context.wanted_trace_id()
        if wanted is not None:
            return wanted
        return self.generate_span_id() << 64 | self.generate_span_id()

    def is_trace_id_random(self) -> bool:
        """Set the random flag of W3C Trace Context level 2."""
        return context.is_trace_id_random()


class ProcessResource:
    """Describes the process that asks; a forked child gets its own answer.

    :param settings: for the names that the operator gave.
    """

    def __init__(self, settings: settings_module.Settings) -> None:
        self._settings = settings
        self._described: tuple[int, resources.Resource] | None = None

    def __call__(self) -> resources.Resource:
        """Return the resource, the same for the life of a process."""
        pid = os.getpid()
        described = self._described
        if described is None or described[0] != pid:
            described = (pid, _resource(self._settings, pid))
            self._described = described
        return described[1]


def _resource(
    settings: settings_module.Settings, pid: int
) -> resources.Resource:
    described: dict[str, Any] = {
        names.SERVICE_NAMESPACE: 'openstack',
        names.SERVICE_INSTANCE_ID: str(uuid.uuid4()),
        names.HOST_NAME: socket.gethostname(),
        **_sdk_attributes(),
        **_service_version(settings.service_name),
        **settings.resource_attributes,
        names.SERVICE_NAME: settings.service_name,
        names.TELEMETRY_DISTRO_NAME: DISTRIBUTION,
        names.TELEMETRY_DISTRO_VERSION: own_version(),
        names.PROCESS_PID: pid,
    }
    return resources.Resource(described, names.SCHEMA_URL)


def _sdk_attributes() -> dict[str, Any]:
    return {
        key: value
        for key, value in resources._DEFAULT_RESOURCE.attributes.items()
        if key.startswith('telemetry.sdk.')
    }


def _service_version(service_name: str) -> dict[str, str]:
    """Find the distribution that a service name such as nova-api is of."""
    for distribution in (service_name, service_name.partition('-')[0]):
        try:
            return {
                names.SERVICE_VERSION: importlib.metadata.version(distribution)
            }
        except (importlib.metadata.PackageNotFoundError, ValueError):
            continue
    return {}


def build(
    settings: settings_module.Settings,
    described: resources.Resource,
    sampler: sampling.Sampler,
    processor: sdk_trace.SpanProcessor,
) -> sdk_trace.TracerProvider:
    """Build the provider that records.

    :param settings: for the limits.
    :param described: this process.
    :param sampler: decides on every span.
    :param processor: gets every ended span.
    """
    length = settings.attribute_length_limit
    count = settings.attribute_count_limit
    built = _Provider(
        resource=described,
        sampler=sampler,
        shutdown_on_exit=False,
        describe=functools.partial(recording.described, settings=settings),
        span_limits=sdk_trace.SpanLimits(
            max_attributes=count,
            max_events=settings.event_count_limit,
            max_links=settings.link_count_limit,
            max_span_attributes=count,
            max_event_attributes=count,
            max_link_attributes=count,
            max_attribute_length=length,
            max_span_attribute_length=length,
        ),
    )
    built.add_span_processor(processor)
    built.add_span_processor(_LinkExpired())
    return built


class _Provider(recording_provider.Provider):
    """The one that records, with ids that nobody can foretell."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault('id_generator', UrandomIds())
        super().__init__(**kwargs)
        # OTEL_SDK_DISABLED is weaker than the option, which is on here.
        self._disabled = False


class _LinkExpired(sdk_trace.SpanProcessor):
    """Links what starts where a lease is over to the trace that was lent."""

    #: Whatever has a parent is below somebody whose lease is not over.
    for_roots = True

    def on_start(
        self,
        span: sdk_trace.Span,
        parent_context: otel_context.Context | None = None,
    ) -> None:
        if span.parent is not None:
            return
        current = trace.get_current_span(parent_context)
        if isinstance(current, leases.Lease):
            span.add_link(current.lent.get_span_context(), _EXPIRED)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Have nothing to flush, which older SDKs want to hear."""
        return True
