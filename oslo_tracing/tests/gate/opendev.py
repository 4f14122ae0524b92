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

"""Stand-ins for the repositories of OpenDev that our zuul.d names.

What they define has the names that it has there, and no more in it than a
scheduler needs.
"""

from __future__ import annotations

import textwrap

#: The one that may define pipelines.
CONFIG = 'opendev/base-jobs'

_PIPELINES = ('check', 'gate', 'post', 'promote', 'periodic', 'release')

#: Of a library in the Oslo project; defined in openstack-zuul-jobs.
TEMPLATES = (
    'check-requirements',
    'lib-forward-testing-python3',
    'openstack-cover-jobs',
    'openstack-python3-jobs',
    'openstack-python3-next-jobs',
    'periodic-stable-jobs',
    'publish-openstack-docs-pti',
    'release-notes-jobs-python3',
)


def _pipeline(name):
    return f"""
    - pipeline:
        name: {name}
        manager: {'dependent' if name == 'gate' else 'independent'}
        trigger:
          opendev:
            - event: ref-updated
              ref: ^refs/heads/none-of-{name}$
    """


def _template(name):
    return f"""
    - project-template:
        name: {name}
        check:
          jobs:
            - noop
        gate:
          jobs:
            - noop
    """


def _dedented(*stanzas):
    return ''.join(map(textwrap.dedent, stanzas))


REPOSITORIES = {
    CONFIG: _dedented(
        *map(_pipeline, _PIPELINES),
        """
        - job:
            name: base
            parent: null
            nodeset: ubuntu-noble

        - nodeset:
            name: ubuntu-jammy
            nodes:
              - name: ubuntu-jammy
                label: ubuntu-jammy

        - nodeset:
            name: ubuntu-noble
            nodes:
              - name: ubuntu-noble
                label: ubuntu-noble
        """,
    ),
    'openstack/openstack-zuul-jobs': _dedented(
        """
        - job:
            name: openstack-tox
            description: Of all that runs tox.
            run: playbooks/tox/run.yaml
        """,
        *map(_template, TEMPLATES),
    ),
    'openstack/devstack': _dedented(
        """
        - job:
            name: devstack
            run: playbooks/devstack.yaml
            post-run: playbooks/post.yaml
            required-projects:
              - opendev.org/openstack/devstack
        """
    ),
    'openstack/tempest': _dedented(
        """
        - job:
            name: devstack-tempest
            parent: devstack
            run: playbooks/devstack-tempest.yaml
            post-run: playbooks/post-tempest.yaml
            required-projects:
              - opendev.org/openstack/tempest
        """
    ),
    # A project that uses the library, as doc/source/contributor/ci.rst has it.
    'openstack/nova': _dedented(
        """
        - job:
            name: nova-traced
            parent: oslo.tracing-tempest-base

        - project:
            check:
              jobs:
                - nova-traced:
                    voting: false
                - oslo.tracing-tempest-consumer
        """
    ),
    # And one that mistakes a letter.
    'openstack/glance': _dedented(
        """
        - job:
            name: glance-traced
            parent: oslo.tracing-tempest-bass
        """
    ),
}
