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

"""The keys that trace context is signed with, checked.

Two kinds that nothing connects: one service believes another by
``signing_keys``; ``hmac_keys`` are OSProfiler's, which stand in clear on
command lines and in messages, and buy that a request is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
import logging
import os
from typing import Any

from oslo_config import cfg

from oslo_tracing import _sources
from oslo_tracing import exceptions

LOG = logging.getLogger(__name__)

SIGNED = 'signed'
TRUST = 'trust'

#: Bytes of a signing key: as many as its hash gives (RFC 2104, section 3).
MIN_BYTES = 32

#: What OSProfiler is configured with unless somebody changes it.
_PUBLIC = 'SECRET_KEY'

_PROFILER = cfg.OptGroup('profiler')
_PROFILER_KEYS = cfg.StrOpt('hmac_keys', secret=True)
_VARIABLE = 'OS_PROFILER__HMAC_KEYS'


def check(values: dict[str, Any]) -> None:
    """Check what the options say of keys, and who is believed by them.

    :param values: of the options by name; ``incoming`` is filled in.
    :raises InvalidOption: where keys cannot be used; never with a key.
    """
    signing = values['signing_keys']
    for number, key in enumerate(signing, 1):
        if len(_bytes(key)) < MIN_BYTES:
            _refuse(
                'signing_keys',
                f'key number {number} is shorter than {MIN_BYTES} bytes',
            )
        if key in values['hmac_keys']:
            _refuse(
                'signing_keys',
                f'key number {number} is one of OSProfiler too, which '
                'everybody may get to see',
            )
    incoming = values['incoming']
    if incoming is None:
        values['incoming'] = SIGNED if signing else TRUST
    elif incoming == TRUST and signing:
        raise exceptions.InvalidOption(
            'incoming',
            repr(TRUST),
            'together with signing_keys it would let strangers into signed '
            f'traces; use {SIGNED}',
        )
    elif incoming == SIGNED and not signing:
        raise exceptions.InvalidOption(
            'incoming', repr(SIGNED), 'there are no signing_keys'
        )


def _refuse(option: str, why: str) -> None:
    raise exceptions.InvalidOption(option, '(secret)', why)


def _bytes(key: str) -> bytes:
    return key.encode('utf-8', 'surrogateescape')


def of_osprofiler(
    conf: cfg.ConfigOpts, ours: Sequence[str] | None
) -> list[str]:
    """Return OSProfiler's keys, without the one that everybody knows.

    :param conf: the service's configuration; not changed.
    :param ours: ``[tracing] hmac_keys``, None where it is not set.
    """
    where = '[tracing]'
    if ours is None:
        where = '[profiler]'
        ours = (_of_profiler(conf) or '').split(',')
    keys = [key for key in (one.strip() for one in ours) if key]
    found = [key for key in keys if key != _PUBLIC]
    if len(found) < len(keys):
        LOG.warning(
            'Dropped SECRET_KEY from hmac_keys in %s: everybody knows it.',
            where,
        )
    return found


def _of_profiler(conf: cfg.ConfigOpts) -> str | None:
    """Return what somebody has chosen, also before OSProfiler asks.

    It registers its option perhaps later, and could not if ours were there.
    """
    written: str | None
    try:
        info = conf.get_location('hmac_keys', _PROFILER.name)
        if info is None or info.location == cfg.Locations.opt_default:
            return None
        written = conf.profiler.hmac_keys
    except (cfg.NoSuchGroupError, cfg.NoSuchOptError):
        written = _of_files(conf) if _may_be_written(conf) else None
    except cfg.Error:
        # Whoever reads it for OSProfiler will say what is wrong.
        return None
    return written


def _may_be_written(conf: cfg.ConfigOpts) -> bool:
    """Say whether it is worth while to read all files once more."""
    if _VARIABLE in os.environ:
        return True
    try:
        if conf.config_source:
            return True
        # What was read of options that nobody has registered.
        found: Any = conf._namespace
        found._get_value([(_PROFILER.name, _PROFILER_KEYS.name)])
    except KeyError:
        return False
    except (AttributeError, TypeError, cfg.Error):
        # Not parsed, or another release of oslo.config.
        return True
    return True


def _of_files(conf: cfg.ConfigOpts) -> str | None:
    fresh = cfg.ConfigOpts()
    fresh.register_opt(_PROFILER_KEYS, group=_PROFILER)
    try:
        fresh(
            [],
            project='',
            default_config_files=_sources.files(conf),
            default_config_dirs=_sources.directories(conf),
        )
        written: str | None = fresh.profiler.hmac_keys
    except cfg.Error:
        return None
    return written
