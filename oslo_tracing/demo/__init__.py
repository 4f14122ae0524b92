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

"""The services of ``tox -e demo``: small, but made as OpenStack's are.

A compute API (a paste pipeline of oslo.middleware filters, oslo.db, RPC and
notifications) and a block storage API that it calls through keystoneauth1,
each a process of its own; a conductor that is one too where there is a real
broker; and a client that sends three requests and prints their traces.
"""
