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

"""Run by each Python process below ``oslo-tracing run``, before all else."""

from __future__ import annotations

from importlib import machinery
import importlib.util
import os
import sys


def _begin() -> None:
    try:
        from oslo_tracing import autoload
        from oslo_tracing import launch
    except ImportError:
        # Another Python than the one that has this library.
        return
    if os.environ.get(launch.USER) == str(os.getuid()):
        autoload.wait(autoload.program_name)
        # eventlet loads copies, and puts classes made of those in its place.
        autoload.on_import('subprocess', launch.clean_popen, once=False)
    else:
        clean = launch.cleaned(os.environ)
        for name in set(os.environ) - set(clean):
            del os.environ[name]
        os.environ.update(clean)


def _run_shadowed() -> None:
    """Run the sitecustomize that would have been run without us."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [one for one in sys.path if os.path.normpath(one) != here]
    spec = machinery.PathFinder.find_spec('sitecustomize', sys.path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules['sitecustomize'] = module
        spec.loader.exec_module(module)


try:
    _begin()
finally:
    _run_shadowed()
