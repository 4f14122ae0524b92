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

"""How the release notes are built."""

extensions = ['openstackdocstheme', 'reno.sphinxext']

project = 'oslo.tracing Release Notes'
copyright = 'OpenStack contributors'
master_doc = 'index'
pygments_style = 'native'

openstackdocs_repo_name = 'openstack/oslo.tracing'
openstackdocs_bug_project = 'oslo.tracing'
openstackdocs_auto_name = False
# Release notes cover every version.
openstackdocs_auto_version = False
version = release = ''
html_theme = 'openstackdocs'
