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

"""Samplers: who decides which traces are recorded.

The names are those of OTEL_TRACES_SAMPLER in the OpenTelemetry
specification.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import functools
import importlib.metadata
from typing import TYPE_CHECKING

from oslo_tracing import exceptions
from oslo_tracing.sampling import rules

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import sampling

    from oslo_tracing.sampling import pipeline
    from oslo_tracing import settings as settings_module

_GROUP = 'opentelemetry_traces_sampler'
_PARENTBASED = 'parentbased_'
_REMOTE = 'jaeger_remote'
#: Those with which nothing can be wrong.
_SIMPLE = ('always_on', 'always_off', 'traceidratio')


def prepared(
    settings: settings_module.Settings,
    look: Callable[[], None],
    undo: contextlib.ExitStack,
) -> Callable[[], pipeline.Pipeline]:
    """Return what does the work of :func:`build`, once all is checked.

    The common samplers are not made before they are needed: they are made
    of the SDK, whose import takes long.

    :param undo: where what the sampler begins is ended.
    :raises InvalidOption: as :func:`build` does.
    """
    if _root(settings) in _SIMPLE:
        rules.compiled(settings.sampling_rules)
        return functools.partial(build, settings, look)
    built = build(settings, look)
    undo.callback(built.shutdown)
    return lambda: built


def build(
    settings: settings_module.Settings, look: Callable[[], None]
) -> pipeline.Pipeline:
    """Build the sampler that the settings name, and what goes before it.

    :param settings: ``sampler`` names it; ratio, rules and limits are read
        at every decision.
    :param look: called before each decision, to notice changed options.
    :raises InvalidOption: when no installed sampler has the name, or what it
        needs is wrong, or a rule is.
    """
    from oslo_tracing.sampling import pipeline

    return pipeline.Pipeline(settings, _configured(settings), look)


def _name(settings: settings_module.Settings) -> str:
    return settings.sampler.strip().lower()


def _root(settings: settings_module.Settings) -> str:
    return _name(settings).removeprefix(_PARENTBASED)


def _configured(settings: settings_module.Settings) -> pipeline.Configured:
    from opentelemetry.sdk.trace import sampling

    from oslo_tracing.sampling import pipeline
    from oslo_tracing.sampling import ratio
    from oslo_tracing.sampling import remote

    ours: dict[str, Callable[[], sampling.Sampler]] = {
        'always_on': lambda: sampling.ALWAYS_ON,
        'always_off': lambda: sampling.ALWAYS_OFF,
        'traceidratio': lambda: ratio.RatioSampler(settings),
        # Not what the SDK gets by this name: ours goes by the options.
        _REMOTE: lambda: remote.build(settings),
    }
    name, root = _name(settings), _root(settings)
    make = ours.get(root)
    if make is not None:
        return pipeline.Configured(
            make(),
            follows_remote=name.startswith(_PARENTBASED),
            follows_local=True,
            reads_names=root == _REMOTE,
        )
    # What it does with a parent, nobody knows.
    return pipeline.Configured(
        _installed(
            settings, [*ours, *(f'{_PARENTBASED}{one}' for one in ours)]
        ),
        follows_remote=False,
        follows_local=False,
        reads_names=True,
    )


def _installed(
    settings: settings_module.Settings, ours: list[str]
) -> sampling.Sampler:
    from opentelemetry.sdk.trace import sampling

    installed = {
        entry.name: entry
        for entry in importlib.metadata.entry_points(group=_GROUP)
    }
    entry = installed.get(settings.sampler.strip())
    if entry is None:
        known = dict.fromkeys([*ours, *installed])
        raise exceptions.InvalidOption(
            'sampler',
            repr(settings.sampler),
            f'no such sampler; known: {", ".join(known)}',
        )
    try:
        # The SDK calls these factories with OTEL_TRACES_SAMPLER_ARG, a text.
        made = entry.load()(str(settings.sample_ratio))
    except Exception as error:
        raise exceptions.InvalidOption(
            'sampler',
            repr(settings.sampler),
            f'it could not be made ({type(error).__name__})',
        ) from error
    if not isinstance(made, sampling.Sampler):
        raise exceptions.InvalidOption(
            'sampler', repr(settings.sampler), 'what it made is not a sampler'
        )
    return made
