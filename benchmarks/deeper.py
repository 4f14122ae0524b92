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

"""A WSGI application below a random number of frames, for each request.

What depends on the depth (:mod:`benchmarks.frames`) is by chance in each
request, where otherwise all of one kind would have the same luck.

And without full garbage collections: one takes a tenth of a second, there are
some while a service starts and few ever after, and whether the day that is
measured has one is decided by how many objects the start has made. Those of
younger objects are as always.
"""

from __future__ import annotations

import gc
import importlib
import os
import random
from typing import Any

from benchmarks import frames

#: What is served, as ``keystone.wsgi.api:application``.
VARIABLE = 'BENCHMARKS_SERVED'
# Collections of the middle generation before a full one, if need be.
_NEVER = 10**9


def _load(target: str) -> Any:
    module, _colon, name = target.partition(':')
    return getattr(importlib.import_module(module), name)


_served = _load(os.environ[VARIABLE])
gc.set_threshold(*gc.get_threshold()[:2], _NEVER)


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Serve a request, somewhere below."""
    # Nothing depends on nobody knowing it.
    levels = random.randrange(frames.MOST)  # noqa: S311
    return frames.below(levels, _served, environ, start_response)
