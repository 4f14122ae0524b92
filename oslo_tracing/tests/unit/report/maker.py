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

"""Traces whose answer is known because it was put in."""

from oslo_tracing.report import model

TRACE = 'a' * 32
MS = 1_000_000


class Maker:
    """Makes spans; times are milliseconds."""

    def __init__(self):
        self.spans = []
        self._resources = {}

    def span(
        self,
        name,
        start,
        end,
        parent=None,
        kind='INTERNAL',
        service='nova',
        host='one',
        **more,
    ):
        resource = self._resources.setdefault(
            (service, host),
            model.Resource(
                service, {'service.name': service, 'host.name': host}
            ),
        )
        parent_id = parent.span_id if parent else None
        made = model.Span(
            trace_id=TRACE,
            span_id=f'{len(self.spans) + 1:016x}',
            parent_id=more.pop('parent_id', parent_id),
            name=name,
            kind=kind,
            start=int(start * MS),
            end=int(end * MS),
            resource=resource,
            scope=model.Scope(),
            **more,
        )
        self.spans.append(made)
        return made

    def trace(self):
        return model.Trace(TRACE, self.spans)

    def across_hosts(self, shift):
        """Make a request of 100 ms that another host answers.

        :param shift: by how much the clock of the other one is ahead.
        """
        root = self.span('GET', 0, 100, kind='SERVER')
        call = self.span('call', 10, 90, root, kind='CLIENT')
        answer = self.span(
            'answer',
            shift + 20,
            shift + 80,
            call,
            kind='SERVER',
            service='glance',
            host='two',
            events=(model.Event('half', (shift + 50) * MS),),
        )
        for name, start, end in (('early', 20, 25), ('late', 70, 80)):
            self.span(
                name,
                shift + start,
                shift + end,
                answer,
                service='glance',
                host='two',
            )
        return self.trace()

    def failed_on_another_host(self, shift):
        """Make a request that fails since what it has asked for has failed.

        :param shift: milliseconds by which the clock there is ahead.
        """
        root = self.span('POST', 0, 100, kind='SERVER', status='ERROR')
        call = self.span('call', 10, 90, root, kind='CLIENT', status='ERROR')
        self.span(
            'build',
            20 + shift,
            80 + shift,
            call,
            kind='SERVER',
            service='compute',
            host='two',
            status='ERROR',
            attributes={'error.type': 'NoSpace'},
        )
        return self.trace()
