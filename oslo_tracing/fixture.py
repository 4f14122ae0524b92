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

"""For the tests of services: what was recorded, without a collector.

Public, and never imported by the rest of this library.
"""

from __future__ import annotations

from typing import Any

import fixtures
from opentelemetry.sdk import trace as sdk_trace
from oslo_config import cfg

from oslo_tracing.exporters import _clean
from oslo_tracing import integrations as integrations_module
from oslo_tracing import opts
from oslo_tracing import provider
from oslo_tracing import service
from oslo_tracing import settings as settings_module


class _Memory(sdk_trace.SpanProcessor):
    """Keeps what the exporters would be given."""

    only_exports = True

    def __init__(self) -> None:
        self.spans: list[sdk_trace.ReadableSpan] = []
        self._cleaner: _clean.Cleaner | None = None

    def clean_as(self, settings: settings_module.Settings) -> None:
        self._cleaner = _clean.Cleaner(
            settings, provider.ProcessResource(settings)
        )

    def on_end(self, span: sdk_trace.ReadableSpan) -> None:
        context = span.context
        if context is None or not context.trace_flags.sampled:
            return
        self.spans.append(self._cleaner.clean(span) if self._cleaner else span)


class SpanRecorder(fixtures.Fixture):
    """Tracing that is on for one test and keeps the spans in memory.

    ::

        spans = self.useFixture(fixture.SpanRecorder())
        api.get('/servers')
        self.assertEqual('GET /servers', spans.finished[-1].name)

    :param integrations: names of the integrations to install, all by
        default, or ``'none'`` for none.
    :param conf: the configuration to use, one of its own by default.
    :param options: values of ``[tracing]`` options, set as overrides.
    :raises ValueError: for the name of an integration or an option that
        does not exist.
    """

    def __init__(
        self,
        *integrations: str,
        conf: cfg.ConfigOpts | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        known = {name for name, _options in integrations_module.INTEGRATIONS}
        unknown = set(integrations) - known - {'none'}
        if unknown:
            raise ValueError(f'no integrations: {sorted(unknown)}')
        unknown = set(options) - set(opts.names())
        if unknown:
            raise ValueError(f'no options of [tracing]: {sorted(unknown)}')
        self._integrations = integrations or None
        self._conf = conf
        self._options = {'enabled': True, **options}
        self._memory = _Memory()
        #: What ``setup()`` returned.
        self.tracing: Any = None

    def _setUp(self) -> None:
        conf = self._conf
        if conf is None:
            conf = cfg.ConfigOpts()
            conf([], project='oslo_tracing_fixture', default_config_files=[])
        opts.register_opts(conf)
        for name, value in self._options.items():
            conf.set_override(name, value, group=opts.GROUP.name)
            self.addCleanup(conf.clear_override, name, group=opts.GROUP.name)
        service.shutdown()
        self.addCleanup(service.shutdown)
        self.tracing = service.set_up(
            conf,
            'test',
            processor=self._memory,
            only=self._integrations,
        )
        if self._options['enabled']:
            # Tracing never raises for errors of its own; a test wants to
            # know.
            assert self.tracing is not None, 'tracing could not be set up'
            self._memory.clean_as(self.tracing.settings)

    @property
    def finished(self) -> list[sdk_trace.ReadableSpan]:
        """The ended spans, in the order in which they ended."""
        return list(self._memory.spans)

    def named(self, name: str) -> sdk_trace.ReadableSpan:
        """Return the one ended span of that name.

        :raises LookupError: when there is none, or more than one.
        """
        found = [span for span in self.finished if span.name == name]
        if len(found) != 1:
            names = [span.name for span in self.finished]
            raise LookupError(
                f'{len(found)} spans named {name!r} instead of one; the '
                f'names are {names}'
            )
        return found[0]

    def clear(self) -> None:
        """Forget what was recorded until now."""
        self._memory.spans.clear()
