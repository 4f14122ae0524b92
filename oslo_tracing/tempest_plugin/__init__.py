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

"""Gives each test of tempest a trace, and has it say which one.

With ``[profiler] key`` tempest itself asks the services for a trace of each
test. Which one that was, it tells nobody; and what a test cleans up, and what
is done before and after the tests of a class, belongs to none. Both is
mended here, from outside: tempest is not changed.
"""
