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

"""Options that say which traces are asked for."""

from __future__ import annotations

import argparse
import datetime
import re
import time
from typing import Final

from oslo_tracing.report import query as queries

_AGO: Final = re.compile(r'([0-9]{1,9})([smhd])', re.ASCII)
_SECONDS: Final = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command."""
    group = parser.add_argument_group(
        'which traces',
        'all that are given have to hold; --service, --name and --attribute '
        'of one and the same span, as patterns such as "GET *"',
    )
    group.add_argument(
        '--since',
        metavar='TIME',
        type=moment,
        help='started at this time or later: 2026-11-21T08:30, with Z or an '
        'offset where it is not local time, or how long ago: 90s, 15m, 2h, '
        '1d',
    )
    group.add_argument(
        '--until', metavar='TIME', type=moment, help='started before then'
    )
    group.add_argument(
        '--min-duration',
        metavar='MS',
        type=milliseconds,
        default=0,
        help='took so many milliseconds at least',
    )
    group.add_argument(
        '--errors', action='store_true', help='some span failed'
    )
    group.add_argument(
        '--request-id',
        metavar='REQ',
        help='of this request, or caused by it: req- and a UUID',
    )
    group.add_argument('--service', metavar='NAME', help='passed this service')
    group.add_argument('--name', metavar='NAME', help='has a span of the name')
    group.add_argument(
        '--attribute',
        metavar='KEY=VALUE',
        type=attribute,
        action='append',
        default=[],
        help='has a span with this attribute; may be given several times',
    )


def query(parsed_args: argparse.Namespace) -> queries.Query:
    """Return what the options ask for."""
    return queries.Query(
        since=parsed_args.since,
        until=parsed_args.until,
        least=parsed_args.min_duration,
        errors=parsed_args.errors,
        request_id=parsed_args.request_id,
        service=parsed_args.service,
        name=parsed_args.name,
        attributes=tuple(parsed_args.attribute),
    )


def moment(value: str) -> int:
    """Read a time, or how long ago it was, as nanoseconds since 1970."""
    ago = _AGO.fullmatch(value)
    if ago:
        return time.time_ns() - int(ago[1]) * _SECONDS[ago[2]] * 10**9
    try:
        # Python 3.10 knows no Z.
        read = datetime.datetime.fromisoformat(
            re.sub('[zZ]$', '+00:00', value)
        )
        return int(read.timestamp() * 10**6) * 1000
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            'give a time such as 2026-11-21T08:30Z, or 15m for minutes ago'
        ) from None


def milliseconds(value: str) -> int:
    """Read milliseconds as nanoseconds."""
    try:
        number = float(value)
    except ValueError:
        number = -1
    if not 0 <= number < 1e12:
        raise argparse.ArgumentTypeError('give a number of milliseconds')
    return int(number * 1e6)


def attribute(value: str) -> tuple[str, str]:
    """Read ``KEY=VALUE``."""
    key, found, wanted = value.partition('=')
    if not key or not found:
        raise argparse.ArgumentTypeError('give KEY=VALUE')
    return key, wanted
