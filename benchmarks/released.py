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

"""What tracing costs in keystone, placement and glance, as released.

    tox -e released-benchmark -- [--minutes N] [--json FILE]

A cloud for each variant has real services of its own, under uWSGI and
gunicorn, with a MariaDB. In each round all of them are started anew, each
variant with the databases of another cloud than before; they spend the same
scripted days, call by call. Compared are the time from a request to its
answer, seen by a proxy in front of the service, and the CPU time of the
services' processes, the export included. The services differ from start to
start, so the interval is that of the rounds.
"""

from __future__ import annotations

import argparse
import collections
from concurrent import futures
import contextlib
import json
import secrets
import signal
import statistics
import sys
import time
from typing import Any
from typing import NamedTuple

from benchmarks import clouds
from benchmarks import intervals
from benchmarks import processes
from benchmarks import tables
from benchmarks import turns
from oslo_tracing.tests.functional import servers
from oslo_tracing.tests.released import day
from oslo_tracing.tests.released import masks

_NONE = 'none'
#: The ratio of each variant, None for services that know nothing of us.
_RATIOS = {_NONE: None, 'ours': 1.0, 'ours-1%': 0.01}
#: None once more: what is found where there is nothing to find.
_CONTROL = 'control'
_TITLES = {
    _NONE: 'no tracing',
    'ours': 'oslo.tracing, all sampled',
    'ours-1%': 'oslo.tracing, ratio 0.01',
    _CONTROL: 'no tracing, once more',
}
#: Percent that a call may be slower.
_TARGETS = {'ours': 2.0, 'ours-1%': 0.5}
_MEASURES = {
    'wall': 'time of a call',
    'typical': 'the same, of medians',
    'pairs': 'the same, of pairs',
    'cpu': 'CPU time',
}
# Seconds until the last spans have been sent, which is to be paid, too: the
# default of ``schedule_delay``, and some more.
_UNTIL_SENT = 6.5


class Round(NamedTuple):
    """Some days of one variant.

    :param cpu: of all processes of the services, in seconds.
    :param calls: for each kind of call the seconds of all of them.
    """

    cpu: float
    calls: dict[str, list[float]]

    def told(self, plain: Round) -> dict[str, float]:
        """Return milliseconds of a call.

        :param plain: tells how many there are of each kind.
        """
        mine, other = self.calls, plain.calls
        count = sum(len(seconds) for seconds in mine.values())
        weight = sum(len(other[kind]) for kind in mine if kind in other)
        return {
            'wall': 1e3 * sum(map(sum, mine.values())) / count,
            # What else the machine does makes a few calls much longer.
            'typical': 1e3
            * sum(
                statistics.median(mine[kind]) * len(other[kind])
                for kind in mine
                if kind in other
            )
            / weight,
            'cpu': 1e3 * self.cpu / count,
            'calls': count,
        }

    def pairs(self, plain: Round) -> intervals.Pairs:
        """Return the times of calls that were made next to each other."""
        return {
            kind: list(zip(plain.calls[kind], seconds, strict=True))
            for kind, seconds in self.calls.items()
            # Services ask each other more or less often.
            if len(plain.calls.get(kind, ())) == len(seconds)
        }


def _tracing(name: str, url: str) -> dict[str, str] | None:
    ratio = _RATIOS.get(name)
    if ratio is None:
        return None
    return {
        'enabled': 'True',
        'sample_ratio': str(ratio),
        'otlp_endpoint': f'{url}/{name}',
    }


def _spend(
    by_name: dict[str, clouds.Cloud],
    days: int,
    commands: bool,
    recorded: bool = False,
) -> dict[str, Round]:
    """Spend some days in all clouds, call by call."""
    among = turns.Turns(list(by_name))

    def spend(name: str) -> Round:
        cloud = by_name[name]
        before, begun = len(cloud.exchanges), cloud.cpu()
        with cloud.in_turns(among, name, recorded):
            for _ in range(days):
                day.spend(cloud, commands=commands)
        time.sleep(_UNTIL_SENT)
        calls = collections.defaultdict(list)
        for one in cloud.exchanges[before:]:
            path = masks.text(one.path.partition('?')[0])
            kind = f'{one.service} {one.method} {path} {one.status}'
            calls[kind].append(one.seconds)
        return Round(cloud.cpu() - begun, dict(calls))

    with futures.ThreadPoolExecutor(len(by_name)) as pool:
        return dict(zip(by_name, pool.map(spend, by_name), strict=True))


def _round(
    by_name: dict[str, clouds.Cloud], url: str, days: int, commands: bool
) -> tuple[dict[str, Round], dict[str, int]]:
    """Return what was measured, and how many calls there were in all."""
    seed = secrets.randbelow(2**32)
    with futures.ThreadPoolExecutor(2) as pool:

        def begin(name: str) -> None:
            by_name[name].restart(_tracing(name, url), seed)

        list(pool.map(begin, by_name))
    # The first day makes what is made once in a process, such as what
    # records: with a ratio that may be days later.
    _spend(by_name, 1, commands, recorded=True)
    found = _spend(by_name, days, commands)
    calls = {name: len(cloud.exchanges) for name, cloud in by_name.items()}
    with futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(clouds.Cloud.end, by_name.values()))
    return found, calls


def _servers(told: dict[str, Any]) -> int:
    """Return how many SERVER spans have come."""
    return sum(
        group['spans']
        for name, group in told.get('content', {}).items()
        if name.startswith('SERVER ')
    )


def measure(
    minutes: float = 25.0,
    rounds: int = 0,
    days: int = 1,
    within: float = 1.0,
    commands: bool = False,
    control: bool = False,
) -> dict[str, Any]:
    """Return what each variant costs.

    :param minutes: after which no other round begins.
    :param rounds: no more than so many; 0 for any number.
    :param days: of each variant in each round; one more comes before them.
    :param within: percent to either side: as soon as all means are as sure
        as that, no other round begins.
    :param commands: have the four commands of the day run, too. Starting
        them takes as long as all the rest, and no part of it is measured.
    :param control: compare no tracing with itself as well.
    """
    names = [*_RATIOS, *([_CONTROL] if control else [])]
    # Started here: each cloud is begun in a thread of its own.
    servers.mariadb_url(clouds.Needed())  # type: ignore[no-untyped-call]
    until = time.monotonic() + 60 * minutes
    found: dict[str, dict[str, list[Any]]] = {
        name: collections.defaultdict(list) for name in names
    }
    asked: collections.Counter[str] = collections.Counter()
    done = 0
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(processes.sink())
        homes = [stack.enter_context(clouds.Cloud()) for _name in names]
        with futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(day.begin, homes))
        while True:
            begun = time.monotonic()
            turned = names[done % len(names) :] + names[: done % len(names)]
            one, calls = _round(
                dict(zip(turned, homes, strict=True)), url, days, commands
            )
            done += 1
            asked.update(calls)
            for name in names:
                for what, value in one[name].told(one[_NONE]).items():
                    found[name][what].append(value)
                found[name]['pairs'].append(one[name].pairs(one[_NONE]))
            took = time.monotonic() - begun
            _say(done, took, found)
            if rounds and done >= rounds:
                break
            if not rounds and time.monotonic() + took > until:
                break
            if not rounds and _sure(found, within):
                break
        received = processes.received(url)
    recorded = _servers(received.get('ours', {}))
    if recorded != asked['ours']:
        raise RuntimeError(
            f'{asked["ours"]} calls, but {recorded} of them recorded'
        )
    return {
        name: {
            'title': _TITLES[name],
            'rounds': {
                what: values
                for what, values in found[name].items()
                if what != 'pairs'
            },
            'calls': asked[name],
            'spans': received.get(name, {}).get('spans', 0),
            'sent_bytes': received.get(name, {}).get('sent_bytes', 0),
            'slowdown': _slowdown(found, name),
            'target': _TARGETS.get(name),
        }
        for name in names
    }


def _slowdown(found: dict[str, Any], name: str) -> dict[str, Any]:
    return {
        'pairs': intervals.of_pairs(found[name]['pairs']),
        **{
            what: intervals.slowdown(found[_NONE][what], found[name][what])
            for what in ('wall', 'typical', 'cpu')
        },
    }


def _sure(found: dict[str, Any], within: float) -> bool:
    return all(
        _slowdown(found, name)['wall']['off'] <= within
        for name in found
        if name != _NONE
    )


def _say(done: int, took: float, found: dict[str, Any]) -> None:
    told = []
    for name in found:
        if name != _NONE:
            each = _slowdown(found, name)
            told.append(
                f'{name} '
                + ' '.join(
                    f'{what} {each[what]["percent"]:+.2f}'
                    f'±{each[what]["off"]:.2f}'
                    for what in _MEASURES
                )
            )
    print(f'round {done}: {took:.0f} s; {"; ".join(told)}', file=sys.stderr)


def show(found: dict[str, Any]) -> str:
    """Return it as a table."""
    rows = []
    for name, each in found.items():
        median = {
            what: f'{statistics.fmean(each["rounds"][what]):.2f}'
            for what in ('wall', 'cpu')
        }
        rows.append(
            [
                each['title'],
                *median.values(),
                *(
                    '' if name == _NONE else _interval(each['slowdown'][what])
                    for what in _MEASURES
                ),
                # Of others those of the first days are more.
                f'{each["spans"] / each["calls"]:.1f}'
                if _RATIOS.get(name) == 1.0
                else '',
                _outcome(each),
            ]
        )
    rounds = len(found[_NONE]['rounds']['wall'])
    return tables.table(
        f'The day of keystone, placement and glance, {rounds} rounds, '
        f'{found[_NONE]["calls"]} calls of each, warm-up included: slowdown '
        'in percent with its interval of 95 %',
        ['', 'ms a call', 'CPU ms', *_MEASURES.values(), 'spans', 'target'],
        rows,
    )


def _interval(one: dict[str, float]) -> str:
    return f'{one["percent"]:+.2f} ({one["low"]:+.2f} to {one["high"]:+.2f})'


def _outcome(each: dict[str, Any]) -> str:
    if each['target'] is None:
        return ''
    wall, target = each['slowdown']['wall'], each['target']
    told = 'met' if wall['percent'] <= target else 'not met'
    # The interval has both in it.
    unsure = wall['low'] <= target < wall['high']
    return f'{target} %: {told}{", unsure" if unsure else ""}'


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.released', description=__doc__
    )
    parser.add_argument('--minutes', type=float, default=25.0)
    parser.add_argument('--rounds', type=int, default=0)
    parser.add_argument('--days', type=int, default=1)
    parser.add_argument('--within', type=float, default=1.0)
    parser.add_argument('--commands', action='store_true')
    parser.add_argument('--control', action='store_true')
    parser.add_argument(
        '--json', metavar='FILE', help='write all figures there'
    )
    wanted = vars(parser.parse_args())
    # As if interrupted: no service is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    file = wanted.pop('json')
    found = measure(**wanted)
    print(show(found))
    if file:
        with open(file, 'w') as to:
            json.dump(found, to, indent=1)
    return 0


if __name__ == '__main__':
    sys.exit(main())
