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

"""The devstack plugin, driven as devstack does, on real files."""

from __future__ import annotations

import configparser
import os
import pathlib
import shlex
import subprocess

import fixtures
from oslo_config import cfg

from oslo_tracing import opts
from oslo_tracing import settings
from oslo_tracing.tests import base

_HERE = pathlib.Path(__file__).parent
_PLUGIN = _HERE.parents[2] / 'devstack'

_SERVICES = (
    'key,g-api,n-api,n-api-meta,n-cond,n-cpu,n-sch,c-api,c-vol,neutron-api,'
    'q-ovn-agent,placement-api,dstat,tempest'
)
#: As devstack names them: the variable, the file, the application.
_APIS = (
    ('KEYSTONE_PUBLIC', 'keystone-uwsgi-public', 'keystone.wsgi.api'),
    ('GLANCE', 'glance-uwsgi', 'glance.wsgi.api'),
    ('NOVA', 'nova-api-uwsgi', 'nova.wsgi.osapi_compute'),
    ('NOVA_METADATA', 'nova-metadata-uwsgi', 'nova.wsgi.metadata'),
    ('CINDER', 'cinder-api-uwsgi', 'cinder.wsgi.api'),
    ('NEUTRON', 'neutron-api-uwsgi', 'neutron.wsgi.api'),
    ('PLACEMENT', 'placement-uwsgi', 'placement.wsgi.api'),
)
_CONFS = (
    ('KEYSTONE_CONF', 'keystone'),
    ('GLANCE_API_CONF', 'glance-api'),
    ('NOVA_CONF', 'nova'),
    ('NOVA_CPU_CONF', 'nova-cpu'),
    ('CINDER_CONF', 'cinder'),
    ('NEUTRON_CONF', 'neutron'),
    ('OVN_AGENT_CONF', 'ovn_agent'),
    ('PLACEMENT_CONF', 'placement'),
)
_PROGRAMS = (
    ('n-cond', 'nova-conductor', 'nova'),
    ('n-sch', 'nova-scheduler', 'nova_cell1'),
    ('n-cpu', 'nova-compute', 'nova-cpu'),
    ('c-vol', 'cinder-volume', 'cinder'),
    ('q-ovn-agent', 'neutron-ovn-agent', 'ovn_agent'),
)
_ORIGINAL = '[api]\ndebug = True\n\n[database]\nconnection = mysql://x\n'


class _Devstack(fixtures.Fixture):
    """A directory with what devstack has written before plugins are asked.

    :param values: what local.conf sets.
    """

    def __init__(self, **values):
        super().__init__()
        self._values = values

    def _setUp(self):
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.etc = self.root / 'etc'
        self.venv = self.root / 'venv/bin'
        for directory in (self.etc, self.venv, self.root / 'data'):
            directory.mkdir(parents=True)
        self.calls = self.root / 'calls'
        self.calls.touch()
        self.variables = {
            'CALLS': self.calls,
            'DATA_DIR': self.root / 'data',
            'DEST': self.root,
            'DEVSTACK_VENV': self.venv.parent,
            'ENABLED_SERVICES': _SERVICES,
            'HOST_IP': '10.0.0.5',
            'NOVA_CONF_DIR': self.etc,
            'REQUIREMENTS_DIR': self.root / 'requirements',
            'SERVICE_HOST': '10.0.0.5',
            'STACK_USER': 'stack',
            'SYSTEMD_DIR': self.root / 'units',
            'TEMPEST_CONFIG': self.etc / 'tempest.conf',
            'TEMPEST_DIR': self.root / 'tempest',
        }
        for name, conf in (*_CONFS, ('', 'nova_cell1'), ('', 'tempest')):
            path = self.etc / f'{conf}.conf'
            path.write_text(_ORIGINAL)
            if name:
                self.variables[name] = path
        for name, ini, _module in _APIS:
            self.variables[f'{name}_UWSGI_CONF'] = self.etc / f'{ini}.ini'
        for _service, program, _conf in _PROGRAMS:
            (self.venv / program).write_text(f'#!{self.venv}/python3\n')
        (self.venv / 'dstat.sh').write_text('#!/bin/bash\n')
        (self.venv / 'uwsgi').write_bytes(b'\x7fELF\x00\x00')
        pip = self.root / 'tempest/.tox/tempest/bin/pip'
        pip.parent.mkdir(parents=True)
        pip.write_text('#!/bin/bash\necho "pip $*" >> "$CALLS"\n')
        pip.chmod(0o755)
        self.variables.update(self._values)

    def run(self, *steps, fails=False):
        """Run steps in one shell, as stack.sh, unstack.sh and clean.sh do."""
        lines = [
            'set -eu',
            *(
                f'{name}={shlex.quote(str(value))}'
                for name, value in self.variables.items()
            ),
            'export CALLS',
            f'source {_HERE}/devstack.sh',
            # devstack reads the settings of a plugin more than once.
            f'source {_PLUGIN}/settings',
            f'source {_PLUGIN}/settings',
            *steps,
        ]
        done = subprocess.run(
            ['bash', '-u', '-c', '\n'.join(lines)],
            capture_output=True,
            text=True,
            timeout=120,
            env={'PATH': os.environ['PATH'], 'HOME': str(self.root)},
        )
        if fails:
            assert done.returncode, done.stdout
        else:
            assert not done.returncode, done.stderr
            assert not done.stderr, done.stderr
        return done

    def stack(self):
        """Everything that stack.sh does, in its order."""
        write = [
            f'write_uwsgi_config "${name}_UWSGI_CONF" {module}:application '
            f'/{ini} "" {ini}'
            for name, ini, module in _APIS
            if name != 'GLANCE'
        ]
        start = [
            f'run_process {service} "{self.venv}/{program} '
            f'--config-file {self.etc}/{conf}.conf --config-file /none"'
            for service, program, conf in _PROGRAMS
        ]
        self.run(
            phase('stack', 'pre-install'),
            *write,
            'write_local_uwsgi_http_config "$GLANCE_UWSGI_CONF" '
            'glance.wsgi.api:application /image glance-api',
            phase('stack', 'install'),
            phase('stack', 'post-config'),
            *start,
            f'run_process dstat "{self.venv}/dstat.sh /tmp"',
            f'run_process key "{self.venv}/uwsgi --ini x.ini"',
            phase('stack', 'extra'),
            phase('stack', 'test-config'),
        )

    def ini(self, name):
        return (self.etc / f'{name}.ini').read_text().strip().split('\n')

    def conf(self, name):
        parser = configparser.ConfigParser(strict=True, interpolation=None)
        parser.read(self.etc / f'{name}.conf')
        return parser

    def unit(self, service):
        path = self.root / f'units/devstack@{service}.service'
        return path.read_text()

    def files(self):
        """All that the services read."""
        found = [*self.etc.iterdir(), *(self.root / 'units').iterdir()]
        return {path.name: path.read_text() for path in found}


def phase(mode, name=''):
    return f'source {_PLUGIN}/plugin.sh {mode} {name}'


class DevstackPluginTest(base.TestCase):
    def _stacked(self, **values):
        devstack = self.useFixture(_Devstack(**values))
        devstack.stack()
        return devstack

    def test_every_service_writes_its_spans_to_files(self):
        devstack = self._stacked()
        names = [name for _variable, name in _CONFS] + ['nova_cell1']
        for name in names:
            conf = devstack.conf(name)
            self.assertEqual(
                {
                    'enabled': 'True',
                    'exporters': 'file',
                    'file_directory': f'{devstack.root}/data/traces',
                    'file_total_max_bytes': '2147483648',
                    'hmac_keys': '0000000000000000000' + '0123456789abc',
                    'max_forced_traces_per_second': '1000000',
                    'sample_ratio': '1.0',
                },
                dict(conf['tracing']),
                name,
            )
            self.assertEqual('mysql://x', conf['database']['connection'])

    def test_the_library_takes_what_is_written(self):
        devstack = self._stacked()
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf(
            [],
            default_config_files=[str(devstack.etc / 'nova.conf')],
            default_config_dirs=[],
        )
        self.assertEqual(['file'], list(conf.tracing.exporters))
        self.assertEqual(1.0, conf.tracing.sample_ratio)
        # Every value is read, and refused where it cannot be used.
        settings.read(conf, 'nova')

    def test_each_api_is_wrapped_in_its_uwsgi_ini(self):
        devstack = self._stacked()
        for _name, ini, module in _APIS:
            lines = devstack.ini(ini)
            self.assertIn('module = oslo_tracing.wsgi:application', lines)
            self.assertIn(
                f'env = OSLO_TRACING_WSGI_APP={module}:application', lines
            )
            self.assertIn('enable-threads = true', lines)
            self.assertEqual(1, sum(x.startswith('module') for x in lines))
            self.assertEqual(2, sum(x.startswith('env') for x in lines))
        self.assertIn('http-auto-chunked = true', devstack.ini('glance-uwsgi'))

    def test_the_apis_of_a_project_have_names_of_their_own(self):
        devstack = self._stacked()
        for ini, name in (
            ('nova-api-uwsgi', 'nova-api'),
            ('nova-metadata-uwsgi', 'nova-metadata'),
            ('keystone-uwsgi-public', 'keystone'),
        ):
            self.assertIn(f'env = OTEL_SERVICE_NAME={name}', devstack.ini(ini))

    def test_an_api_that_is_run_by_a_script_is_left_alone(self):
        devstack = self.useFixture(_Devstack())
        devstack.run(
            phase('stack', 'pre-install'),
            'write_uwsgi_config "$NOVA_UWSGI_CONF" /usr/bin/nova-api-wsgi /',
        )
        self.assertIn(
            'wsgi-file = /usr/bin/nova-api-wsgi',
            devstack.ini('nova-api-uwsgi'),
        )
        self.assertNotIn('OSLO', '\n'.join(devstack.ini('nova-api-uwsgi')))

    def test_an_ini_that_was_there_before_is_wrapped_as_well(self):
        devstack = self.useFixture(_Devstack())
        devstack.run(
            'write_uwsgi_config "$NOVA_UWSGI_CONF" nova.wsgi.api:application',
            phase('stack', 'post-config'),
            phase('stack', 'post-config'),
        )
        lines = devstack.ini('nova-api-uwsgi')
        self.assertIn('module = oslo_tracing.wsgi:application', lines)
        self.assertEqual(2, sum(x.startswith('env') for x in lines))

    def test_every_other_service_is_started_by_the_launcher(self):
        devstack = self._stacked()
        for service, program, conf in _PROGRAMS:
            self.assertIn(
                f'ExecStart = {devstack.venv}/oslo-tracing run -- '
                f'{devstack.venv}/{program} --config-file '
                f'{devstack.etc}/{conf}.conf --config-file /none\n',
                devstack.unit(service),
            )

    def test_what_is_not_python_is_started_as_ever(self):
        devstack = self._stacked()
        for service in ('dstat', 'key'):
            self.assertNotIn('oslo-tracing', devstack.unit(service))

    def test_a_service_can_be_left_out(self):
        devstack = self._stacked(TRACING_SKIP_SERVICES='n-cpu c-vol')
        self.assertNotIn('oslo-tracing', devstack.unit('n-cpu'))
        self.assertNotIn('oslo-tracing', devstack.unit('c-vol'))
        self.assertIn('oslo-tracing', devstack.unit('n-cond'))

    def test_an_agent_that_nobody_knows_gets_its_section(self):
        devstack = self.useFixture(_Devstack())
        (devstack.etc / 'odd.conf').write_text(_ORIGINAL)
        devstack.run(
            phase('stack', 'pre-install'),
            f'run_process n-cond "{devstack.venv}/nova-conductor '
            f'--config-file={devstack.etc}/odd.conf"',
        )
        self.assertEqual('True', devstack.conf('odd')['tracing']['enabled'])
        devstack.run(phase('unstack'))
        self.assertEqual(_ORIGINAL, (devstack.etc / 'odd.conf').read_text())

    def test_the_directory_is_for_the_services_alone(self):
        devstack = self._stacked()
        self.assertIn(
            f'install -d -m 0750 -o stack {devstack.root}/data/traces',
            devstack.calls.read_text(),
        )
        key = devstack.root / 'data/traces.key'
        self.assertEqual(0o600, key.stat().st_mode & 0o777)

    def test_jaeger_is_run_and_sent_to(self):
        devstack = self._stacked(TRACING_BACKEND='jaeger')
        calls = devstack.calls.read_text()
        self.assertIn('podman run --detach', calls)
        self.assertIn('--publish 4318:4318', calls)
        self.assertIn('jaegertracing/all-in-one:', calls)
        section = devstack.conf('nova')['tracing']
        self.assertEqual('otlp', section['exporters'])
        self.assertEqual('http://10.0.0.5:4318', section['otlp_endpoint'])
        self.assertNotIn('file_directory', section)
        devstack.run(phase('unstack'))
        self.assertTrue(
            devstack.calls.read_text().endswith(
                'podman rm --force oslo-tracing-jaeger\n'
            )
        )

    def test_a_compute_node_sends_to_the_jaeger_of_the_controller(self):
        devstack = self._stacked(TRACING_BACKEND='jaeger', HOST_IP='10.0.0.6')
        self.assertNotIn('podman run', devstack.calls.read_text())
        self.assertEqual(
            'http://10.0.0.5:4318',
            devstack.conf('nova')['tracing']['otlp_endpoint'],
        )

    def test_an_endpoint_is_all_that_otlp_needs(self):
        devstack = self._stacked(
            TRACING_OTLP_ENDPOINT='https://tempo.example.com:4318',
            TRACING_SAMPLE_RATIO='0.1',
        )
        section = devstack.conf('cinder')['tracing']
        self.assertEqual('otlp', section['exporters'])
        self.assertEqual(
            'https://tempo.example.com:4318', section['otlp_endpoint']
        )
        self.assertEqual('0.1', section['sample_ratio'])
        self.assertNotIn('podman', devstack.calls.read_text())

    def test_a_backend_that_there_is_not_stops_the_stack(self):
        for values in (
            {'TRACING_BACKEND': 'zipkin'},
            {'TRACING_BACKEND': 'otlp'},
        ):
            devstack = self.useFixture(_Devstack(**values))
            done = devstack.run(phase('stack', 'install'), fails=True)
            self.assertIn('died: TRACING_BACKEND', done.stderr)

    def test_another_backend_leaves_nothing_of_the_last(self):
        devstack = self._stacked()
        devstack.variables['TRACING_OTLP_ENDPOINT'] = 'http://10.0.0.9:4318'
        devstack.run(phase('stack', 'post-config'))
        self.assertEqual(
            {
                'enabled',
                'exporters',
                'hmac_keys',
                'max_forced_traces_per_second',
                'otlp_endpoint',
                'sample_ratio',
            },
            set(devstack.conf('nova')['tracing']),
        )

    def test_tempest_asks_with_the_key_of_the_services(self):
        for given in ('', 'the-key-of-all-nodes'):
            devstack = self._stacked(TRACING_HMAC_KEY=given)
            key = devstack.conf('tempest')['profiler']['key']
            self.assertEqual(
                key, devstack.conf('nova')['tracing']['hmac_keys']
            )
            self.assertEqual(given or key, key)
            self.assertIn('pip install', devstack.calls.read_text())

    def test_a_second_stack_changes_nothing(self):
        devstack = self._stacked()
        before = devstack.files()
        devstack.run(
            phase('stack', 'install'),
            phase('stack', 'post-config'),
            phase('stack', 'test-config'),
        )
        self.assertEqual(before, devstack.files())

    def test_unstack_leaves_nothing(self):
        devstack = self._stacked()
        devstack.run(phase('unstack'))
        for name, text in devstack.files().items():
            self.assertNotIn('racing', text, name)
            self.assertNotIn('OTEL_', text, name)
            if name.endswith('.conf') and name != 'tempest.conf':
                self.assertEqual(_ORIGINAL, text, name)
        self.assertIn(
            'module = nova.wsgi.osapi_compute:application',
            devstack.ini('nova-api-uwsgi'),
        )
        self.assertIn(
            f'ExecStart = {devstack.venv}/nova-conductor --config-file',
            devstack.unit('n-cond'),
        )
        self.assertNotIn('key', devstack.conf('tempest')['profiler'])
        self.assertIn('systemctl daemon-reload', devstack.calls.read_text())
        # What was recorded is there until clean.
        self.assertTrue((devstack.root / 'data/traces').is_dir())

    def test_unstack_leaves_what_a_developer_has_written(self):
        devstack = self.useFixture(_Devstack())
        path = devstack.etc / 'nova.conf'
        path.write_text(f'{_ORIGINAL}\n[tracing]\ndb_comment = True\n')
        devstack.stack()
        devstack.run(phase('unstack'))
        self.assertEqual(
            {'db_comment': 'True'}, dict(devstack.conf('nova')['tracing'])
        )

    def test_unstack_without_a_stack_does_no_harm(self):
        devstack = self.useFixture(_Devstack())
        devstack.run(phase('unstack'), phase('clean'))
        self.assertEqual(_ORIGINAL, (devstack.etc / 'nova.conf').read_text())

    def test_clean_removes_the_traces_and_nothing_else(self):
        devstack = self._stacked()
        traces = devstack.root / 'data/traces'
        (traces / 'nova-host-1-x.jsonl').write_text('{}\n')
        (traces / 'notes.txt').write_text('mine\n')
        devstack.run(phase('clean'))
        self.assertEqual(['notes.txt'], os.listdir(traces))
        (traces / 'notes.txt').unlink()
        devstack.run(phase('clean'))
        self.assertFalse(traces.exists())
        self.assertFalse((devstack.root / 'data/traces.key').exists())

    def test_the_shell_that_calls_it_is_as_before(self):
        devstack = self.useFixture(_Devstack())
        done = devstack.run(
            'shopt -po > "$DEST/before"',
            phase('stack', 'pre-install'),
            phase('stack', 'post-config'),
            'shopt -po > "$DEST/after"',
            'diff "$DEST/before" "$DEST/after"',
        )
        self.assertEqual('', done.stdout)
