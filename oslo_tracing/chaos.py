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

"""A control of the Chaos Toolkit: an experiment and what it caused, one trace.

Named in an experiment, or in the settings of the toolkit for all of them::

    controls:
      tracing:
        provider:
          type: python
          module: oslo_tracing.chaos
          arguments:
            config_file: /etc/chaos/tracing.conf

The experiment is a root span; below it are the steady-state hypothesis,
method and rollbacks, and below these their activities. What an activity
calls over HTTP carries the context, as whatever tracing attaches to does.
The functions are those that ``chaoslib.control.python`` looks for.
"""

from __future__ import annotations

import logging
import threading
from typing import Any
from typing import Final
from urllib import parse

from opentelemetry import context as otel_context
from opentelemetry import trace
from oslo_config import cfg

from oslo_tracing import _chaos_options
from oslo_tracing import _guard
from oslo_tracing import _runtime
from oslo_tracing import attributes as names
from oslo_tracing import exceptions
from oslo_tracing import service
from oslo_tracing import spans

LOG = logging.getLogger('chaostoolkit')

SERVICE: Final = 'chaostoolkit'

_FAILED: Final = ('failed', 'aborted', 'interrupted')


class _Open(threading.local):
    """Spans of the calling thread that were begun and are not ended.

    Hypotheses may be asked in a thread beside the method, and activities of
    the background are in threads of their own.
    """

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any, Any]] = []
        #: Providers that were given headers, with those that they had, and
        #: what ends the context of their requests.
        self.given: list[tuple[dict[str, Any], Any, Any]] = []
        self.is_ours = False


_OPEN = _Open()


def configure_control(
    configuration: dict[str, Any] | None = None,
    secrets: dict[str, Any] | None = None,
    config_file: str | None = None,
    **arguments: Any,
) -> None:
    """Set tracing up for an experiment.

    :param configuration: of the experiment, with ``tracing_*`` as
        chaostoolkit-opentracing has them.
    :param secrets: not used.
    :param config_file: has a section ``[tracing]``.
    :param arguments: ``provider``, ``host``, ``propagation``, ``exporter``,
        ``collector_endpoint``, ``collector_endpoint_insecure``: the same
        without their prefix. They win over the configuration, and both over
        ``OTEL_*`` variables; the file wins over all.
    """
    with _guard.never_break_the_service('setting up tracing of experiments'):
        if _runtime.RUNTIME.recorder is not None:
            return
        try:
            conf = service.read_configuration(SERVICE, config_file)
            said = _chaos_options.read(arguments, configuration or {})
            if 'otlp_protocol' in said:
                # Every exporter that an experiment can name is OTLP's.
                said['exporters'] = ['otlp']
            for name, value in said.items():
                if not _is_set(conf, name):
                    conf.set_override(name, value, 'tracing')
            service.setup(conf, SERVICE)
        except exceptions.TracingError as error:
            LOG.warning('The experiment is not traced: %s.', error)
            return
        _OPEN.is_ours = True


def _is_set(conf: cfg.ConfigOpts, name: str) -> bool:
    try:
        found = conf.get_location(name, 'tracing')
    except ValueError:
        # To a wrong value, which is told when all options are read.
        return True
    return found is not None and (
        found.location is not cfg.Locations.opt_default
    )


def cleanup_control() -> None:
    """Send what there is, and take tracing off."""
    with _guard.never_break_the_service('ending the tracing of experiments'):
        _end(None)
        if _OPEN.is_ours:
            _OPEN.is_ours = False
            service.shutdown()


def before_experiment_control(context: dict[str, Any], **_more: Any) -> None:
    """Begin the trace."""
    _begin('experiment', context.get('title'), root=True)
    with _guard.never_break_the_service('telling of a trace'):
        trace_id = spans.current_trace_id()
        if trace_id is not None:
            LOG.info('The trace of this experiment is %s', trace_id)


def after_experiment_control(
    context: dict[str, Any], state: dict[str, Any], **_more: Any
) -> None:
    """End the trace; an experiment that failed or deviated is an error."""
    state = state or {}
    deviated = bool(state.get('deviated')) or _is_unsteady(state)
    status = state.get('status')
    _end(
        'experiment',
        {names.CHAOS_STATUS: status, names.CHAOS_DEVIATED: deviated},
        error='deviated' if deviated else _failed(status),
    )


def before_hypothesis_control(context: dict[str, Any], **_more: Any) -> None:
    """Begin the steady-state hypothesis."""
    _begin('hypothesis', context.get('title'))


def after_hypothesis_control(
    context: dict[str, Any], state: dict[str, Any], **_more: Any
) -> None:
    """End it; one that is not met is an error, and names the probe."""
    state = state or {}
    met = state.get('steady_state_met')
    deviated = None if met is None else not met
    probe = None
    # The last one: what comes after it is not asked.
    if deviated and state.get('probes'):
        probe = (state['probes'][-1].get('activity') or {}).get('name')
    _end(
        'hypothesis',
        {names.CHAOS_DEVIATED: deviated, names.CHAOS_DEVIATED_PROBE: probe},
        error='deviated' if deviated else None,
    )


def before_method_control(context: dict[str, Any], **_more: Any) -> None:
    """Begin the method."""
    _begin('method', 'Method')


def after_method_control(
    context: dict[str, Any], state: Any, **_more: Any
) -> None:
    """End the method."""
    _end('method')


def before_rollback_control(context: dict[str, Any], **_more: Any) -> None:
    """Begin the rollbacks."""
    _begin('rollback', 'Rollbacks')


def after_rollback_control(
    context: dict[str, Any], state: Any, **_more: Any
) -> None:
    """End the rollbacks."""
    _end('rollback')


def before_activity_control(context: dict[str, Any], **_more: Any) -> None:
    """Begin a probe or an action.

    An HTTP one is given headers in the configured formats: of those that
    are not W3C's, a request to an address that is no endpoint of the cloud
    would carry none.
    """
    provider = context.get('provider') or {}
    _begin(
        'activity',
        context.get('name'),
        {
            names.CHAOS_ACTIVITY_TYPE: context.get('type'),
            names.CHAOS_PROVIDER_TYPE: provider.get('type'),
        },
    )
    if provider.get('type') == 'http':
        with _guard.never_break_the_service('writing headers of a probe'):
            _add_headers(provider)


def after_activity_control(
    context: dict[str, Any], state: dict[str, Any], **_more: Any
) -> None:
    """End it; one that failed is an error.

    Whether a probe is as tolerated is found out later, see the hypothesis.
    """
    with _guard.never_break_the_service('taking headers of a probe back'):
        _take_headers_back(context.get('provider'))
    state = state or {}
    status = state.get('status')
    error = _failed(status)
    if error is not None:
        error = _class(state.get('exception')) or error
    _end('activity', {names.CHAOS_STATUS: status}, error=error)


def _begin(
    kind: str,
    name: Any,
    attributes: dict[str, Any] | None = None,
    root: bool = False,
) -> None:
    with _guard.never_break_the_service('beginning a part of an experiment'):
        known = {names.CHAOS_TYPE: kind, **(attributes or {})}
        manager = spans.span(
            str(name or kind),
            {key: value for key, value in known.items() if value is not None},
            root=root,
        )
        _OPEN.spans.append((kind, manager, manager.__enter__()))


def _end(
    kind: str | None,
    attributes: dict[str, Any] | None = None,
    error: str | None = None,
) -> None:
    """End the last span of a kind, and what was left open in it.

    :param kind: None for all there are.
    """
    with _guard.never_break_the_service('ending a part of an experiment'):
        if kind and all(opened[0] != kind for opened in _OPEN.spans):
            return
        while _OPEN.spans:
            of_kind, manager, span = _OPEN.spans.pop()
            if of_kind == kind:
                _tell(span, attributes or {}, error)
            manager.__exit__(None, None, None)
            if of_kind == kind:
                return


def _tell(span: Any, attributes: dict[str, Any], error: str | None) -> None:
    for key, value in attributes.items():
        if value is not None:
            span.set_attribute(key, value)
    if error is not None:
        span.set_attribute(names.ERROR_TYPE, error)
        span.set_status(trace.Status(trace.StatusCode.ERROR, error))


def _is_unsteady(journal: dict[str, Any]) -> bool:
    """Say whether a hypothesis was not met, at which nothing deviated yet."""
    states = journal.get('steady_states') or {}
    return any(
        (states.get(when) or {}).get('steady_state_met') is False
        for when in ('before', 'after')
    )


def _failed(status: Any) -> str | None:
    return str(status) if status in _FAILED else None


def _class(exception: Any) -> str | None:
    """Return the class of an exception, never what it says.

    :param exception: a traceback, as lines.
    """
    if not isinstance(exception, list | tuple) or not exception:
        return None
    found = str(exception[-1]).partition(':')[0].strip()
    bare = found.rpartition('.')[2]
    return bare if bare.isidentifier() else None


def _add_headers(provider: dict[str, Any]) -> None:
    """Give an HTTP activity headers, where its host may learn of a trace."""
    tracing = _runtime.RUNTIME.tracing
    url = provider.get('url')
    if tracing is None or not isinstance(url, str):
        return
    try:
        host = parse.urlsplit(url).hostname
    except ValueError:
        # The toolkit will complain.
        return
    if not tracing.propagation.may_carry(host):
        return
    found: dict[str, str] = {}
    context = otel_context.get_current()
    tracing.propagation.to_carrier(found, context)
    if found:
        had = provider.get('headers')
        # Where requests are traced, their spans are named instead.
        token = otel_context.attach(
            tracing.propagation.in_all_formats(context)
        )
        _OPEN.given.append((provider, had, token))
        provider['headers'] = {**(had or {}), **found}


def _take_headers_back(provider: Any) -> None:
    """Leave the experiment as it was written, which the journal has too."""
    if not _OPEN.given or _OPEN.given[-1][0] is not provider:
        return
    _provider, had, token = _OPEN.given.pop()
    otel_context.detach(token)
    if had is None:
        provider.pop('headers', None)
    else:
        provider['headers'] = had
