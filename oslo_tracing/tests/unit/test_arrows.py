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

"""Who may import whom: the arrows of the house, one way only."""

from __future__ import annotations

import ast
import pathlib

import oslo_tracing
from oslo_tracing.tests import base

ROOT = pathlib.Path(oslo_tracing.__file__).parent

# Small tools that import nothing of ours, or only each other.
LEAVES = {
    'attributes',
    'exceptions',
    '_printable',
    '_real',
    '_regex',
    'opts',
}
TOOLS = LEAVES | {
    '_guard',
    '_runtime',
    '_stream',
    '_tls',
    'scrub',
    'counters',
    'context',
    'leases',
    '_current',
    '_ready',
}
RECORDING = TOOLS | {'settings', '_environment', '_wrap'}

#: What each room may import, besides itself.
MAY_IMPORT: dict[str, set[str]] = {
    '__init__': {'health', 'service', 'spans'},
    'attributes': set(),
    'exceptions': set(),
    'opts': set(),
    '_printable': set(),
    '_real': set(),
    '_regex': set(),
    '_stream': {'_real'},
    '_tls': set(),
    '_guard': set(),
    '_runtime': set(),
    '_global': set(),
    '_sdk_logs': set(),
    '_current': set(),
    '_ready': set(),
    'context': {'_current', 'leases'},
    'leases': set(),
    'counters': {'_real'},
    'health': {'_printable', '_runtime', 'counters'},
    'healthcheck': {'health'},
    'scrub': LEAVES,
    '_environment': set(),
    '_sources': set(),
    '_keys': {'_sources', 'exceptions'},
    'settings': LEAVES | {'_environment', '_keys'},
    '_wrap': {'_guard', 'exceptions'},
    '_privsep': {'_guard', 'scrub'},
    '_at_fork': {'_real'},
    '_at_exit': {'_guard', '_wrap'},
    'spans': {'_runtime'},
    'recording': RECORDING,
    'sampling': RECORDING | {'_at_fork'},
    'propagation': RECORDING,
    'exporters': RECORDING | {'_at_fork', 'tracer'},
    'tracer': TOOLS,
    'provider': RECORDING | {'recording', 'tracer'},
    'watch': RECORDING | {'_sources'},
    'integrations': RECORDING
    | {'_privsep', 'health', 'propagation', 'recording'},
    'middleware': RECORDING | {'propagation', 'recording', '__init__'},
    '_tracing': TOOLS | {'_at_fork', 'provider'},
    'service': RECORDING
    | {
        '_at_exit',
        '_global',
        '_sdk_logs',
        '_tracing',
        'exporters',
        'integrations',
        'propagation',
        'provider',
        'recording',
        'sampling',
        'watch',
    },
    'autoload': {'_guard', '_runtime', 'service'},
    'launch': {'_guard', '_privsep', 'autoload'},
    'instrumentor': {'_guard', '_runtime', 'autoload', 'opts', 'service'},
    'wsgi': {'autoload', 'exceptions', 'middleware'},
    'fixture': RECORDING
    | {'exporters', 'integrations', 'provider', 'service'},
    'report': {'_printable', 'attributes', 'exceptions', 'scrub'},
    'checks': LEAVES
    | {
        '_sources',
        '_wrap',
        'context',
        'exporters',
        'sampling',
        'scrub',
        'service',
        'settings',
        'watch',
    },
    'cmd': {
        '__init__',
        '_printable',
        'attributes',
        'checks',
        'exceptions',
        'launch',
        'report',
    },
    'osc': {
        '__init__',
        '_guard',
        '_wrap',
        'attributes',
        'autoload',
        'context',
        'exceptions',
        'opts',
        'propagation',
        'recording',
        'report',
        'service',
    },
    'chaos': {
        '_guard',
        '_runtime',
        'attributes',
        'exceptions',
        'opts',
        'service',
        'spans',
    },
    'tempest_plugin': {'report'},
    'demo': {
        '__init__',
        'attributes',
        'cmd',
        'exceptions',
        'fixture',
        'middleware',
        'opts',
        'report',
        'service',
    },
}

#: Files that belong to a room for their name alone.
PART_OF = {
    '_chaos_options': 'chaos',
    '_routes': 'middleware',
    '_wsgi': 'middleware',
}


def _room(parts):
    name = parts[0].removesuffix('.py')
    for prefix, room in PART_OF.items():
        if name.startswith(prefix):
            return room
    return name


def _imports(tree, package):
    """Names of our modules that a file imports, in whatever way."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.dump(node.test):
            # Nothing is imported there, save by type checkers.
            node.body.clear()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ''
            if node.level:
                above = package[: len(package) - node.level + 1]
                start = '.'.join([*above, *([start] if start else [])])
            for alias in node.names:
                yield f'{start}.{alias.name}'
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, 'attr', getattr(node.func, 'id', ''))
            in ('import_module', '__import__')
            and node.args
        ):
            argument = node.args[0]
            if isinstance(argument, ast.Constant):
                yield str(argument.value)


class ArrowsTest(base.TestCase):
    def _files(self):
        for path in sorted(ROOT.rglob('*.py')):
            parts = path.relative_to(ROOT).parts
            if parts[0] != 'tests':
                yield path, parts

    def test_every_module_is_in_the_table(self):
        rooms = {_room(parts) for _path, parts in self._files()}
        self.assertEqual(set(), rooms - set(MAY_IMPORT))

    def test_imports_point_one_way(self):
        wrong = []
        for path, parts in self._files():
            room = _room(parts)
            package = ['oslo_tracing', *parts[:-1]]
            tree = ast.parse(path.read_text())
            for name in _imports(tree, package):
                if name.split('.')[0] != 'oslo_tracing':
                    continue
                target = name.split('.')[1:] or ['__init__']
                there = _room(target)
                if there not in MAY_IMPORT:
                    # A name of the package itself, as oslo_tracing.setup.
                    there = '__init__'
                if there != room and there not in MAY_IMPORT[room]:
                    wrong.append(f'{path.relative_to(ROOT)} -> {there}')
        self.assertEqual([], wrong)

    def test_integrations_do_not_import_each_other(self):
        for path, parts in self._files():
            if parts[0] != 'integrations' or parts[-1].startswith('_'):
                continue
            package = ['oslo_tracing', *parts[:-1]]
            for name in _imports(ast.parse(path.read_text()), package):
                target = name.split('.')
                if target[:2] != ['oslo_tracing', 'integrations']:
                    continue
                if len(target) < 3 or target[2].startswith('_'):
                    continue
                if parts[-1] == 'oslo_log.py':
                    # The context that a record was given leads to its trace.
                    self.assertEqual('oslo_context', target[2])
                    continue
                mine = parts[1].removesuffix('.py')
                self.assertIn(target[2], (mine, 'Toolbox'), str(path))

    def test_the_walk_sees_every_form(self):
        code = (
            'import oslo_tracing.service\n'
            'from oslo_tracing import opts\n'
            'from . import sibling\n'
            'from .. import exporters\n'
            'importlib.import_module("oslo_tracing.cmd")\n'
        )
        found = set(_imports(ast.parse(code), ['oslo_tracing', 'report']))
        self.assertEqual(
            {
                'oslo_tracing.service',
                'oslo_tracing.opts',
                'oslo_tracing.report.sibling',
                'oslo_tracing.exporters',
                'oslo_tracing.cmd',
            },
            found,
        )
