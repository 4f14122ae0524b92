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

"""``oslo-tracing export``."""

from __future__ import annotations

import argparse
import contextlib

from oslo_tracing.cmd import common
from oslo_tracing.report.render import chrome
from oslo_tracing.report.render import otlp


class Export(common.Reader):
    """Write traces for other tools.

    otlp is one document of OTLP JSON a line, which this command, the
    OpenTelemetry Collector, Jaeger and Tempo take; chrome is for Perfetto,
    speedscope and chrome://tracing.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'ids',
            metavar='ID',
            nargs='+',
            help='a trace id, its first 4 or more digits, or a request id '
            '(req-...)',
        )
        parser.add_argument(
            '--as',
            dest='form',
            choices=('otlp', 'chrome'),
            default='otlp',
            help='default: otlp',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Find what was asked for and write it to standard output."""
        found = {}
        with contextlib.closing(self.open_source(parsed_args)) as source:
            for text in parsed_args.ids:
                traces = source.find(text)
                if not traces:
                    self.missing(f'no trace for {common.shown(text)}', source)
                found.update({trace.trace_id: trace for trace in traces})
            common.tell_problems(source, self.app.stderr)
        if not found:
            return common.NOT_FOUND
        traces = sorted(found.values(), key=lambda trace: trace.start)
        if parsed_args.form == 'chrome':
            lines = chrome.render(traces)
        else:
            lines = otlp.render(s for trace in traces for s in trace.spans)
        for line in lines:
            self.app.stdout.write(line + '\n')
        return common.FOUND
