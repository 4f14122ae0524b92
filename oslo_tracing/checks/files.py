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

"""What in the files of a configuration has no effect."""

from __future__ import annotations

from collections.abc import Iterator
import difflib
import os
import re
from typing import Any
from typing import Final

from oslo_config import cfg

from oslo_tracing import _sources
from oslo_tracing.checks import results
from oslo_tracing import opts

#: What may be shown as the name of an option. Anything else may be what was
#: meant to be the next line of a value, such as a key in base64 or in hex.
_NAME: Final = re.compile('[a-z][a-z0-9_-]{0,30}', re.ASCII)


def look(conf: cfg.ConfigOpts) -> Iterator[results.Result]:
    """Look for options that nobody reads, as those with a slip in the name.

    :param conf: with the options of ours, and of whoever else has some in
        our group.
    """
    known = sorted(conf[opts.GROUP.name])
    accepted = {*known, *_deprecated()}
    for path in _paths(conf):
        for name in _said(path):
            if name not in accepted:
                yield results.Result(
                    results.WARNING, _unknown(name, path, known)
                )


def _unknown(name: str, path: str, known: list[str]) -> str:
    written = name.lower().replace('-', '_')
    meant = difflib.get_close_matches(written, known, 1)
    if not meant and not _NAME.fullmatch(name):
        return (
            f'unknown option in [tracing] in {path} has no effect (its name '
            'may be part of a value)'
        )
    text = f'unknown option [tracing] {name} in {path} has no effect'
    return f'{text}; is {meant[0]} meant?' if meant else text


def _deprecated() -> Iterator[str]:
    for group, options in opts.list_opts():
        for option in options:
            for old in option.deprecated_opts:
                if (old.group or group.name).lower() == group.name:
                    yield old.name or option.dest


def _paths(conf: cfg.ConfigOpts) -> Iterator[str]:
    """Return the files as oslo.config finds them, each of them once."""
    found = _sources.files(conf)
    for each in _sources.directories(conf):
        found += _sources.inside(each)
    for path in dict.fromkeys(found):
        # A pipe has been read, and would be waited for.
        if os.path.isfile(path):
            yield path


def _said(path: str) -> Iterator[str]:
    sections: dict[str, dict[str, Any]] = {}
    try:
        cfg.ConfigParser(path, sections).parse()
    except (OSError, UnicodeError, cfg.ParseError):
        # It could be read a moment ago, or the configuration were none.
        return
    names = [
        name
        for section, said in sections.items()
        if section.lower() == opts.GROUP.name
        for name in said
    ]
    yield from dict.fromkeys(names)
