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

"""What would be traced with a configuration, and what is wrong with it.

For an operator, before a service is restarted: nothing here runs in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib import parse

from oslo_config import cfg

from oslo_tracing import _sources
from oslo_tracing.checks import files
from oslo_tracing.checks import listening
from oslo_tracing.checks import neighbours
from oslo_tracing.checks import results
from oslo_tracing.checks import seams
from oslo_tracing import exceptions
from oslo_tracing import opts
from oslo_tracing.sampling import rules
from oslo_tracing.scrub import names
from oslo_tracing.scrub import urls
from oslo_tracing import service
from oslo_tracing import settings as settings_module
from oslo_tracing import watch

OK: Final = results.OK
WARNING: Final = results.WARNING
ERROR: Final = results.ERROR

Result = results.Result

_SPAN: Final = 'oslo-tracing check'


def check(
    conf: cfg.ConfigOpts,
    service_name: str | None = None,
    request: tuple[str, str] | None = None,
    send: bool = True,
    uwsgi: listening.Uwsgi | None = None,
) -> Iterator[Result]:
    """Look at a configuration.

    :param conf: as a service has it, after its files have been read.
    :param service_name: what the service calls itself in code.
    :param request: method and URL of a request to decide on.
    :param uwsgi: what the file of the uWSGI says that serves it.
    :param send: whether one span is made and sent as the service would.
    :returns: what was found, in the order of looking; after an ``ERROR``
        on the options themselves there is nothing more to look at.
    """
    opts.register_opts(conf)
    # First: one of them may be why there is an error.
    yield from files.look(conf)
    try:
        settings = settings_module.read(conf, service_name)
    except exceptions.InvalidOption as error:
        yield Result(ERROR, str(error))
        return
    if not settings.enabled:
        yield Result(ERROR, 'tracing is off: [tracing] enabled is False')
        return
    try:
        service.verify(settings)
    except exceptions.InvalidOption as error:
        yield Result(ERROR, str(error))
        return
    goes_nowhere = settings.exporters == ['none']
    if goes_nowhere:
        yield Result(
            ERROR,
            f'spans of {settings.service_name} go nowhere: exporters = none',
        )
    else:
        yield Result(
            OK,
            f'spans of {settings.service_name} go to '
            f'{", ".join(settings.exporters)}',
        )
    yield from _sampling(settings)
    yield _live(conf)
    yield from listening.look(conf, settings, request and request[1], uwsgi)
    yield from neighbours.look(conf, settings)
    try:
        yield from seams.look(conf, settings, service_name)
        if request is not None:
            yield from _decision(settings, *request)
        if send and not goes_nowhere:
            yield from _sent(conf, service_name)
    except exceptions.InvalidOption as error:
        yield Result(ERROR, str(error))


def _sampling(settings: settings_module.Settings) -> Iterator[Result]:
    text = f'sampler {settings.sampler}'
    if 'ratio' in settings.sampler:
        text += f' {settings.sample_ratio:g}'
    found = [each for each in settings.sampling_rules if each.strip()]
    text += f', {len(found)} rule' + ('s' if len(found) != 1 else '')
    if settings.max_traces_per_second:
        text += f', at most {settings.max_traces_per_second:g} a second'
    yield Result(OK, text)
    # The others do as a caller has decided, or are not ours to judge.
    sampler = settings.sampler.strip().lower()
    if (
        sampler != 'always_off'
        and (sampler != 'traceidratio' or settings.sample_ratio)
    ) or any(float(each.rpartition('"')[2]) for each in found):
        return
    text = f'nothing is recorded: sampler {settings.sampler} and no rule has '
    if settings.max_forced_traces_per_second and (
        settings.hmac_keys
        or any(each.startswith('b3') for each in settings.propagators)
    ):
        yield Result(WARNING, f'{text}a share, but what is asked for')
    else:
        yield Result(ERROR, f'{text}a share')


def _live(conf: cfg.ConfigOpts) -> Result:
    """Tell how what may change while the service runs gets there."""
    names = ', '.join(sorted(settings_module.MUTABLE))
    paths = _sources.files(conf) + _sources.directories(conf)
    if not paths:
        return Result(
            OK, f'no file was read: {names} change at a restart alone'
        )
    return Result(
        OK,
        f'{names} may change while the service runs: it looks for changes of '
        f'{", ".join(paths)} every {watch.INTERVAL:.0f} s, and where it '
        're-reads them by itself, as for SIGHUP, they hold at once',
    )


def _decision(
    settings: settings_module.Settings, method: str, url: str
) -> Iterator[Result]:
    """Tell the name of a request that starts a trace, and who decides."""
    known = names.method(method)[0]
    try:
        given = parse.urlsplit(url).path or '/'
    except ValueError as error:
        yield Result(ERROR, f'the URL is none: {error}')
        return
    if not settings.trace_http_server:
        yield Result(OK, 'not recorded: trace_http_server is False')
        return
    # As WSGI has it: bytes in disguise.
    as_bytes = parse.unquote_to_bytes(given)
    is_ignored = settings_module.path_matcher(settings.ignored_paths)
    if is_ignored(as_bytes.decode('latin-1')):
        yield Result(OK, 'not recorded: it is one of ignored_paths')
        return
    name = f'{known} {names.cleaned_path(urls.path(parse.unquote(given)))}'
    yield Result(OK, f'rules and Jaeger know the request as "{name}"')
    for text in settings.sampling_rules:
        table = rules.compiled([text]).get(rules.SERVER)
        least = None if table is None else table.threshold(name)
        if least is not None:
            yield Result(OK, f'recorded as the rule says: {text.strip()}')
            return
    yield Result(OK, f'no rule is for it: {settings.sampler} decides')


def _sent(conf: cfg.ConfigOpts, service_name: str | None) -> Iterator[Result]:
    """Make a span and send it, by the very way of the service."""
    from oslo_tracing import context

    tracing = service.set_up(conf, service_name, only=())
    if tracing is None or tracing.processor is None:
        yield Result(ERROR, 'no span could be made: the log says why')
        return
    try:
        # Recorded whatever the sampler says: it is about the way.
        span = tracing.tracer('check').start_span(
            _SPAN, context.force(context.silent(), granted=True)
        )
        trace_id = f'{span.get_span_context().trace_id:032x}'
        span.end()
        tracing.processor.force_flush(
            int(1000 * tracing.settings.otlp_timeout)
        )
    finally:
        service.shutdown()
    counted = tracing.stats.snapshot()
    arrived = ', '.join(counted['exported'])
    if arrived:
        yield Result(OK, f'a test span arrived ({arrived}), trace {trace_id}')
    for cause, trouble in tracing.stats.troubles().items():
        why = trouble['why'] or cause
        yield Result(ERROR, f'the test span did not arrive: {why}')
    if not arrived and not counted['dropped']:
        yield Result(ERROR, 'the test span went nowhere: no exporter')
