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

"""How the documentation is built."""

import os
import sys

sys.path.insert(0, os.path.abspath('../ext'))

extensions = [
    'cliff.sphinxext',
    'openstackdocstheme',
    'oslo_config.sphinxconfiggen',
    'oslo_config.sphinxext',
    'sphinx.ext.autodoc',
    'sphinxcontrib.apidoc',
    'variables',
    'zuul_sphinx',
]

project = 'oslo.tracing'
copyright = 'OpenStack contributors'
master_doc = 'index'
exclude_patterns = []
add_function_parentheses = True
add_module_names = False
pygments_style = 'native'

openstackdocs_repo_name = 'openstack/oslo.tracing'
openstackdocs_bug_project = 'oslo.tracing'
openstackdocs_bug_tag = 'doc'
openstackdocs_auto_name = False
# The version is that of the release series, which a clone need not know.
openstackdocs_auto_version = False
version = release = ''
html_theme = 'openstackdocs'

apidoc_module_dir = '../../oslo_tracing'
apidoc_output_dir = 'reference/api'
# The commands have a page of their own; nobody imports the demo, and only
# tempest has what its plugin imports.
# launch and wsgi.py act as soon as they are imported.
apidoc_excluded_paths = [
    'cmd',
    'demo',
    'launch',
    'tempest_plugin',
    'tests',
    'wsgi.py',
]
apidoc_separate_modules = True
apidoc_module_first = True
apidoc_toc_file = False

autodoc_typehints = 'description'
autodoc_default_options = {'members': True, 'show-inheritance': True}

config_generator_config_file = '../../etc/oslo.tracing/config-generator.conf'
sample_config_basename = '_static/oslo.tracing'

autoprogram_cliff_application = 'oslo-tracing'

# Links to other projects need the network; a build must not.
if os.environ.get('DOCS_INTERSPHINX'):
    extensions.append('sphinx.ext.intersphinx')
    intersphinx_mapping = {
        'python': ('https://docs.python.org/3/', None),
        'keystoneauth1': (
            'https://docs.openstack.org/keystoneauth/latest/',
            None,
        ),
        'oslo.config': (
            'https://docs.openstack.org/oslo.config/latest/',
            None,
        ),
        'oslo.messaging': (
            'https://docs.openstack.org/oslo.messaging/latest/',
            None,
        ),
        'oslo.middleware': (
            'https://docs.openstack.org/oslo.middleware/latest/',
            None,
        ),
        'opentelemetry': (
            'https://opentelemetry-python.readthedocs.io/en/latest/',
            None,
        ),
    }
