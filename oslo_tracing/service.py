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

"""Set-up of tracing in a service: from options to spans, and back."""

from __future__ import annotations

from collections.abc import Callable
import functools
import logging
from typing import Any
from typing import TYPE_CHECKING

from oslo_config import cfg

from oslo_tracing import _guard
from oslo_tracing import _real
from oslo_tracing import _runtime
from oslo_tracing import exceptions
from oslo_tracing import opts
from oslo_tracing import settings as settings_module

if TYPE_CHECKING:
    from oslo_tracing import _tracing

    Tracing = _tracing.Tracing

LOG = logging.getLogger(__name__)


def setup(
    conf: cfg.ConfigOpts | None = None, service_name: str | None = None
) -> Tracing | None:
    """Set tracing up in this process, as the ``[tracing]`` section says.

    Call it once, when the configuration has been parsed; further calls
    change nothing until :func:`shutdown`.

    :param conf: the service's configuration, ``cfg.CONF`` by default. The
        options are registered on it and on nothing else.
    :param service_name: the name of this service in every trace, as
        ``nova-conductor``, unless the operator gives one.
    :returns: what was set up, None where tracing is off.
    :raises InvalidOption: for a value that tracing cannot work with. Nothing
        else of tracing ever stops a service.
    """
    return set_up(conf, service_name)


def set_up(
    conf: cfg.ConfigOpts | None = None,
    service_name: str | None = None,
    *,
    processor: Any = None,
    only: tuple[str, ...] | None = None,
) -> Tracing | None:
    """Do the work of :func:`setup`; the fixture asks for more.

    :param processor: gets the spans in place of the exporters.
    :param only: names of integrations, to install no others.
    """
    runtime = _runtime.RUNTIME
    conf = cfg.CONF if conf is None else conf
    process = runtime.process()
    with process.lock:
        if runtime.tracing is not None or process.is_setting_up:
            return runtime.tracing
        runtime.conf = conf
        if service_name is None and runtime.name is not None:
            service_name = runtime.name()
        process.is_setting_up = True
        try:
            tracing = _made(conf, service_name, processor, only)
            if tracing is not None:
                runtime.counters = tracing.stats
                runtime.tracing = tracing
                runtime.recorder = tracing.recorder
        finally:
            process.is_setting_up = False
        return tracing


def shutdown() -> None:
    """Send what is left and take everything off that :func:`setup` put on.

    Takes at most ``shutdown_timeout`` seconds. Harmless where nothing is
    set up.
    """
    runtime = _runtime.RUNTIME
    with runtime.process().lock:
        tracing = runtime.tracing
        runtime.tracing = None
        runtime.recorder = None
        if tracing is not None:
            with _guard.never_break_the_service('shutting down'):
                tracing.undo.close()


def _end() -> None:
    """Shut down where the interpreter ends, and daemons still run."""
    _runtime.RUNTIME.is_ending = True
    try:
        shutdown()
    finally:
        _runtime.RUNTIME.is_ending = False


def verify(settings: settings_module.Settings) -> None:
    """Refuse what :func:`setup` would refuse, and set nothing up.

    :raises InvalidOption: for a value that tracing cannot work with.
    """
    from oslo_tracing import _tracing

    tracing = _tracing.Tracing(settings)
    try:
        _foundations(tracing, lambda: None)
    finally:
        tracing.undo.close()


def read_configuration(project: str, path: str | None) -> cfg.ConfigOpts:
    """Return the configuration of a program that has none but ours.

    :param project: what oslo.config calls it.
    :param path: of the only file, None for none.
    :raises ConfigurationUnreadable: when the file cannot be used.
    """
    conf = cfg.ConfigOpts()
    wrong = None
    try:
        conf(
            [],
            project=project,
            default_config_files=[path] if path else [],
            default_config_dirs=[],
        )
    except (cfg.Error, OSError, ValueError) as error:
        wrong = type(error).__name__
    if wrong is not None:
        # Its message may quote the line, and the line may be a key.
        raise exceptions.ConfigurationUnreadable(str(path), wrong)
    opts.register_opts(conf)
    return conf


def _make_logs_safe(conf: cfg.ConfigOpts | None) -> None:
    """Let a log format name our fields whether or not tracing is on.

    :param conf: with formats, which may name none; None where that is not
        all that they are wanted for.
    """
    from oslo_tracing.integrations import oslo_log

    with _guard.never_break_the_service('making log formats safe'):
        if conf is None or oslo_log.may_be_named(conf):
            oslo_log.make_formats_safe()


def _made(
    conf: cfg.ConfigOpts,
    service_name: str | None,
    processor: Any,
    only: tuple[str, ...] | None,
) -> Tracing | None:
    """Set up as the options say, or not at all."""
    _make_logs_safe(conf)
    try:
        opts.register_opts(conf)
        settings = settings_module.read(conf, service_name)
        if not settings.enabled:
            return None
        _make_logs_safe(None)
        # OpenTelemetry comes with it: not before it is known to be on.
        from oslo_tracing import _tracing

        tracing = _tracing.Tracing(settings)
        try:
            _build(tracing, conf, processor, only)
        except BaseException:
            tracing.undo.close()
            raise
        return tracing
    except exceptions.InvalidOption:
        raise
    except Exception:
        _guard.report('setting up')
        return None


def _build(
    tracing: Tracing,
    conf: cfg.ConfigOpts,
    processor: Any,
    only: tuple[str, ...] | None,
) -> None:
    from oslo_tracing import _at_exit
    from oslo_tracing import _global
    from oslo_tracing import _sdk_logs
    from oslo_tracing import integrations
    from oslo_tracing import recording
    from oslo_tracing.sampling import rules
    from oslo_tracing import watch

    settings, undo = tracing.settings, tracing.undo
    watched = watch.Watch(conf, settings, rules.check)

    tracing.look = watched.look
    sampler = _foundations(tracing, watched.look)
    foreign = None if processor else _global.foreign_provider()
    tracing.later(
        functools.partial(_parts, tracing, sampler, processor, foreign)
    )
    if foreign is None:
        tracing.exports = processor is None
        _sdk_logs.quiet_sdk(undo)
        # Last to be undone: what the integrations still end must arrive.
        undo.callback(tracing.close)
        delegating = _global.attach_globally(tracing)
        if delegating is not None:
            undo.callback(delegating.detach)
    else:
        LOG.info(
            'A tracer provider was set before oslo.tracing: it is used, and '
            'the options of [tracing] on exporters, sampling, resource, '
            'limits and excluded attributes have no effect.'
        )
    watched.install(undo)
    toolbox = integrations.Toolbox(
        settings=settings,
        propagation=tracing.propagation,
        make_tracer=tracing.tracer,
        foreign_option=functools.partial(_foreign_option, conf),
        **({} if foreign else {'drops': tracing.drops}),
    )
    integrations.install(toolbox, undo, only)
    tracing.recorder = recording.Recorder(tracing.tracer('service'), settings)
    if _real.is_green():
        # A green thread that imports may wait for a lock that another real
        # thread holds, and with it all of them.
        tracing.make()
    if foreign is None:
        _at_exit.install(tracing.finish, _end, undo)
        chosen = settings.sampler
        if 'ratio' in chosen:
            chosen += f' {settings.sample_ratio}'
        LOG.info(
            'Tracing is on: %s to %s, sampler %s.',
            settings.service_name,
            ', '.join(settings.exporters),
            chosen,
        )
        if settings.incoming == 'trust' and settings.trace_http_server:
            LOG.info(
                'Whoever can send a request to this service can join a '
                'trace and have it recorded or not: [tracing] incoming is '
                'trust. Set signing_keys, or link, where strangers can.'
            )


def _parts(
    tracing: Tracing,
    make_sampler: Callable[[], Any],
    processor: Any,
    foreign: Any,
) -> _tracing.Parts:
    """Make what records, when the first span starts."""
    from oslo_tracing import _tracing

    # What spans need and import where they do: here a fork waits.
    from oslo_tracing.propagation import baggage  # noqa: F401
    from oslo_tracing.scrub import errors  # noqa: F401
    from oslo_tracing.scrub import sql  # noqa: F401

    sampler = make_sampler()
    if foreign is not None:
        return _tracing.Parts(foreign, None, None, sampler.may_force)
    from oslo_tracing import exporters
    from oslo_tracing.propagation import marking
    from oslo_tracing import provider

    settings = tracing.settings
    describe = provider.ProcessResource(settings)
    processor = processor or exporters.build(settings, describe, tracing.stats)
    built = provider.build(
        settings,
        describe(),
        marking.Marking(sampler) if settings.signing_keys else sampler,
        processor,
    )
    return _tracing.Parts(built, processor, sampler, sampler.may_force)


def _foundations(tracing: Tracing, look: Callable[[], None]) -> Any:
    """Make or check all that a wrong option stops; nothing acts yet.

    :param look: see ``sampling.build``.
    :returns: what makes the sampler.
    """
    from oslo_tracing import exporters
    from oslo_tracing import propagation
    from oslo_tracing import sampling

    settings = tracing.settings
    sampler = _accepted(
        functools.partial(sampling.prepared, settings, look, tracing.undo),
        tracing,
    )
    _accepted(functools.partial(exporters.validate, settings), tracing)
    tracing.propagation = _accepted(
        functools.partial(propagation.build, settings), tracing
    )
    return sampler


def _accepted(build: Any, tracing: Tracing) -> Any:
    """Build; where a value of OTEL_* is refused, do without it.

    Only an option can stop the start of a service.
    """
    while True:
        try:
            return build()
        except exceptions.InvalidOption as error:
            if not tracing.settings.drop_environment(error.option):
                raise
            wrong = str(error)
        # Not within the handler: oslo.log would append the same again.
        LOG.warning('Ignored what OTEL_* variables say: %s.', wrong)


def _foreign_option(conf: cfg.ConfigOpts, group: str, name: str) -> Any:
    """Read an option of another library, which may not be registered yet."""
    for candidate in (conf, cfg.CONF):
        try:
            return candidate[group][name]
        except (cfg.NoSuchOptError, cfg.NoSuchGroupError):
            continue
    return None
