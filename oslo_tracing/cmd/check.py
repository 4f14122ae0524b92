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

"""``oslo-tracing check``."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from oslo_config import cfg

from oslo_tracing import _printable
from oslo_tracing import checks
from oslo_tracing.checks import listening
from oslo_tracing.cmd import common

_EPILOG = (
    'exit codes: 0 the service would be traced, warnings or not; 1 it would '
    'not, or its spans would not arrive.'
)


class _Read(cfg.ConfigOpts):
    """Has our options, and whatever else the files say.

    Ours may refer to options that the service alone can register.
    """

    def _get(
        self, name: str, group: Any = None, *more: Any, **named: Any
    ) -> Any:
        try:
            return super()._get(name, group, *more, **named)
        except (cfg.NoSuchOptError, cfg.NoSuchGroupError):
            section = getattr(group, 'name', group) or 'DEFAULT'
            if section == 'tracing':
                # One of ours, which refers to what nobody knows.
                raise
            files: Any = self._namespace
            try:
                said, _location = files._get_value([(section, name)])
            except (AttributeError, KeyError):
                said = None
            if said is None:
                raise
            return said[-1] if isinstance(said, list) else said


class Check(common.Command):
    """Say what would be traced with a configuration, and what is wrong.

    Reads the files as the service does, decides on a request where one is
    given, and sends one test span to where the spans of the service go.
    """

    def get_epilog(self) -> str:
        """Return what help ends with."""
        return _EPILOG

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--config-file',
            metavar='PATH',
            action='append',
            default=[],
            help='a configuration file of the service; may be given several '
            'times, the last one wins. Without, and without --config-dir, '
            'those are read that a service called --service-name reads',
        )
        parser.add_argument(
            '--config-dir',
            metavar='PATH',
            action='append',
            default=[],
            help='a directory with such files, which end in .conf',
        )
        parser.add_argument(
            '--service-name',
            metavar='NAME',
            help='what the service calls itself, as nova-api, unless the '
            'files do',
        )
        parser.add_argument(
            '--uwsgi',
            metavar='FILE.ini',
            help='the file of the uWSGI that serves it, to be looked at, too',
        )
        parser.add_argument(
            '--method',
            default='GET',
            help='of the request at URL; default: GET',
        )
        parser.add_argument(
            '--no-span',
            action='store_true',
            help='send no test span',
        )
        parser.add_argument(
            'url',
            metavar='URL',
            nargs='?',
            help='a request: print the name that sampling_rules and Jaeger '
            'know it by, and which rule decides on it',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Look at the configuration and print what was found."""
        # What a service would note when it starts is said better here.
        logger = logging.getLogger('oslo_tracing')
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            return self._look(parsed_args)
        finally:
            logger.setLevel(level)

    def _look(self, parsed_args: argparse.Namespace) -> int:
        conf = _Read()
        uwsgi = None
        try:
            if parsed_args.uwsgi:
                uwsgi = listening.read(parsed_args.uwsgi)
            self._read(conf, parsed_args)
        except (cfg.Error, OSError, UnicodeError) as exc:
            why = str(exc)
            if isinstance(exc, cfg.ConfigFileParseError):
                # Its text quotes the line, which may hold a password.
                why = f'{exc.config_file} cannot be parsed'
                number = getattr(exc.__context__, 'lineno', None)
                if number is not None:
                    why += f', see line {number}'
            elif isinstance(exc, OSError):
                why = f'cannot read {common.system_error(exc)}'
            elif isinstance(exc, UnicodeError):
                # Which of the files, it does not say.
                why = f'a configuration file is not text: {why}'
            self._say(checks.ERROR, why)
            return common.FAILED
        request = None
        if parsed_args.url:
            request = (parsed_args.method, parsed_args.url)
        code = common.FOUND
        for result in checks.check(
            conf,
            parsed_args.service_name,
            request,
            send=not parsed_args.no_span,
            uwsgi=uwsgi,
        ):
            if result.level == checks.ERROR:
                code = common.FAILED
            self._say(result.level, result.text)
        return code

    def _say(self, level: str, text: str) -> None:
        self.app.stdout.write(f'{level}: {_printable.printable(text)}\n')

    def _read(
        self, conf: cfg.ConfigOpts, parsed_args: argparse.Namespace
    ) -> None:
        """Read the files that are named, else those of the service."""
        args = [
            part
            for option, paths in (
                ('--config-file', parsed_args.config_file),
                ('--config-dir', parsed_args.config_dir),
            )
            for path in paths
            for part in (option, path)
        ]
        if args:
            conf(args, project='oslo-tracing', default_config_files=[])
            return
        name = parsed_args.service_name
        if not name:
            self._say(
                checks.WARNING,
                'no file was read: neither --config-file nor --service-name, '
                'by which those of a service are found',
            )
            conf([], project='oslo-tracing', default_config_files=[])
            return
        project = name.partition('-')[0]
        files = cfg.find_config_files(project, name)
        dirs = cfg.find_config_dirs(project, name)
        if files or dirs:
            self._say(checks.OK, f'read {", ".join([*files, *dirs])}')
        else:
            names = ', '.join(
                f'{each}{end}'
                for each in dict.fromkeys((project, name))
                for end in ('.conf', '.conf.d')
            )
            self._say(
                checks.WARNING,
                f'no file was read: found none of {names} in '
                f'{", ".join(_directories(project))}',
            )
        conf(
            [],
            project=project,
            prog=name,
            default_config_files=files,
            default_config_dirs=dirs,
        )


def _directories(project: str) -> list[str]:
    """Return where oslo.config looks for the files of a service."""
    look: Any = getattr(cfg, '_get_config_dirs', None)
    return look(project) if look else ['its directories']
