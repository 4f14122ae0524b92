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

"""Sampling that Jaeger or a collector decides on, for all services.

The samplers ``jaeger_remote`` and ``parentbased_jaeger_remote`` of the
OpenTelemetry specification, which Python's SDK lacks. They work without the
rest of this library: any program gets them by OTEL_TRACES_SAMPLER.
"""

from __future__ import annotations

from collections.abc import Sequence
import logging
import os
from typing import Any
from typing import Final
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import sampling
from opentelemetry import trace
from opentelemetry.util import types

from oslo_tracing import _environment
from oslo_tracing import _guard
from oslo_tracing import exceptions
from oslo_tracing.sampling import _poll
from oslo_tracing.sampling import _server
from oslo_tracing.sampling import _strategies
from oslo_tracing.sampling import rate_limit
from oslo_tracing.sampling import ratio
from oslo_tracing.scrub import urls

if TYPE_CHECKING:
    from oslo_tracing import settings as settings_module

LOG = logging.getLogger(__name__)

#: Where Jaeger and the collector listen.
ENDPOINT: Final = 'http://localhost:5778/sampling'
#: Seconds between two questions, and the share before the first answer, of
#: OpenTelemetry's other SDKs.
INTERVAL: Final = 60.0
INITIAL_RATIO: Final = 0.001

# Characters of the name of an operation that nobody listed.
_MAX_NAME: Final = 256
_UNKNOWN: Final = 'unknown_service'


class JaegerRemoteSampler(sampling.Sampler):
    """Decides as a server says, which it asks again and again.

    It asks in a thread, begun at the first decision of each process. While
    there is no answer the last good one holds.

    :param service_name: whose strategy to ask for.
    :param initial: decides until there is a first answer.
    :param server: whom to ask.
    :param interval: seconds between two questions at the most.
    """

    def __init__(
        self,
        service_name: str,
        initial: sampling.Sampler,
        server: _server.Server | None = None,
        interval: float = INTERVAL,
    ) -> None:
        self._service_name = service_name
        self._initial = initial
        self._server = server or _server.Server(ENDPOINT)
        # Its query may hold a token.
        self._shown = urls.url(self._server.url)
        self._interval = interval
        self._table: _Table | None = None
        self._polls: dict[int, _poll.Poll[_strategies.Strategy]] = {}
        self._closed = False
        self._rate = rate_limit.TokenBucket(self._per_second)
        self._at_least: dict[str, rate_limit.TokenBucket] = {}
        self._others_at_least = rate_limit.TokenBucket(self._lower_bound)

    def should_sample(
        self,
        parent_context: otel_context.Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: types.Attributes = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> sampling.SamplingResult:
        # Before anybody is asked: the first decision is always by the same.
        table = self._table
        poll = self._polls.get(os.getpid())
        if poll is None:
            self._begin()
        elif poll.news is not None:
            self._tell(poll)
        if table is None:
            return self._initial.should_sample(
                parent_context, trace_id, name, kind, attributes, links
            )
        if self._is_kept(table, trace_id, name):
            return sampling.SamplingResult(
                sampling.Decision.RECORD_AND_SAMPLE, attributes
            )
        return ratio.DROP

    def get_description(self) -> str:
        return f'JaegerRemoteSampler{{{self._shown}}}'

    def shutdown(self) -> None:
        """Ask no more; the last strategy goes on."""
        self._closed = True
        poll = self._polls.pop(os.getpid(), None)
        if poll is not None:
            poll.stop()

    def _is_kept(self, table: _Table, trace_id: int, name: str) -> bool:
        if table.others is None:
            return self._rate.take()
        # Others use our provider too, and not all of them are careful.
        name = name if isinstance(name, str) else ''
        kept = ratio.keeps(trace_id, table.operations.get(name, table.others))
        if table.strategy.at_least:
            # Also where it is kept anyway: else there would be so many more,
            # and not so many at the least.
            kept = self._bucket(table, name).take() or kept
        return kept

    def _bucket(self, table: _Table, name: str) -> rate_limit.TokenBucket:
        buckets = self._at_least
        bucket = buckets.get(name)
        if bucket is None:
            if name not in table.operations and (
                len(buckets) >= _strategies.MAX_OPERATIONS
                or len(name) > _MAX_NAME
            ):
                return self._others_at_least
            bucket = buckets.setdefault(
                name, rate_limit.TokenBucket(self._lower_bound)
            )
        return bucket

    def _per_second(self) -> float:
        table = self._table
        return 0.0 if table is None else table.strategy.per_second

    def _lower_bound(self) -> float:
        table = self._table
        return 0.0 if table is None else table.strategy.at_least

    def _hear(self, strategy: _strategies.Strategy) -> None:
        table = self._table
        if table is None or table.strategy != strategy:
            self._table = _Table(strategy)
            # What is known by name only goes; else it would add up.
            self._at_least = {
                name: bucket
                for name, bucket in dict(self._at_least).items()
                if name in strategy.operations
            }

    def _begin(self) -> None:
        """Begin to ask in this process, be it forked or not."""
        if self._closed:
            return
        mine: _poll.Poll[_strategies.Strategy] = _poll.Poll(
            self._ask, self._hear, self._interval
        )
        # setdefault is atomic: of threads that decide first at one moment
        # one begins.
        if self._polls.setdefault(os.getpid(), mine) is not mine:
            return
        for pid in list(self._polls):
            if pid != os.getpid():
                del self._polls[pid]
        try:
            mine.start()
        except Exception:
            # The next decision tries again.
            self._polls.pop(os.getpid(), None)
            _guard.report('beginning to ask for a sampling strategy')

    def _ask(self) -> _strategies.Strategy:
        return self._server.ask(self._service_name)

    def _tell(self, poll: _poll.Poll[_strategies.Strategy]) -> None:
        news, poll.news = poll.news, None
        if news is None:
            return
        if news.level == logging.WARNING:
            holds = (
                'the initial ratio' if self._table is None else 'the last one'
            )
            LOG.warning(
                'No sampling strategy from %s: %s. Until there is one, %s '
                'holds.',
                self._shown,
                news.text,
                holds,
            )
        else:
            LOG.info(
                'Sampling strategy of %s from %s: %s.',
                self._service_name,
                self._shown,
                news.text,
            )


class _Table:
    """A strategy as decisions need it.

    :ivar others: the threshold of what has none of its own, None where only
        a rate counts.
    """

    __slots__ = ('operations', 'others', 'strategy')

    def __init__(self, strategy: _strategies.Strategy) -> None:
        self.strategy = strategy
        self.others: int | None = None
        if strategy.ratio is not None:
            self.others = ratio.threshold(strategy.ratio)
        self.operations = {
            name: ratio.threshold(share)
            for name, share in strategy.operations.items()
        }


def build(settings: settings_module.Settings) -> JaegerRemoteSampler:
    """Return the sampler that the options of ``[tracing]`` describe.

    :param settings: ``sample_ratio`` holds until there is an answer.
    :raises InvalidOption: when the server cannot be asked.
    """
    url = settings.sampling_server_url.strip()
    why = _server.wrong_with(url)
    if why:
        raise exceptions.InvalidOption(
            'sampling_server_url', _server.shown(url), why
        )
    return JaegerRemoteSampler(
        settings.service_name,
        ratio.RatioSampler(settings),
        _server.Server(
            _server.whole(url),
            settings.otlp_ca_file,
            settings.otlp_cert_file,
            settings.otlp_key_file,
        ),
        settings.sampling_refresh_interval,
    )


def jaeger_remote(argument: str | None) -> sampling.Sampler:
    """Return the sampler for OTEL_TRACES_SAMPLER=jaeger_remote.

    :param argument: OTEL_TRACES_SAMPLER_ARG, as
        ``endpoint=http://host:5778/sampling,pollingIntervalMs=60000,``
        ``initialSamplingRate=0.25``; each of them may be missing.
        What cannot be used is left out, with a warning.
    """
    given, wrong = _environment.sampler_argument(argument or '')
    found = _environment.read(os.environ, tell=False)
    described: dict[str, Any] = found.get('resource_attributes', {})
    url = given.get('sampling_server_url', ENDPOINT)
    if _server.wrong_with(url):
        wrong.append('endpoint')
        url = ENDPOINT
    for key in wrong:
        LOG.warning('Ignored %r in OTEL_TRACES_SAMPLER_ARG.', key)
    return JaegerRemoteSampler(
        found.get('service_name') or described.get('service.name', _UNKNOWN),
        sampling.TraceIdRatioBased(given.get('sample_ratio', INITIAL_RATIO)),
        _server.Server(
            _server.whole(url),
            found.get('otlp_ca_file'),
            found.get('otlp_cert_file'),
            found.get('otlp_key_file'),
        ),
        given.get('sampling_refresh_interval', INTERVAL),
    )


def parentbased_jaeger_remote(argument: str | None) -> sampling.Sampler:
    """Return it for OTEL_TRACES_SAMPLER=parentbased_jaeger_remote.

    :param argument: as of :func:`jaeger_remote`.
    """
    return sampling.ParentBased(jaeger_remote(argument))
