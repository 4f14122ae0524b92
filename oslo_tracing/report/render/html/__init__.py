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

"""A trace as one HTML file that needs nothing but a browser.

No address is loaded, from ``file://`` or elsewhere: script and style are in
the page and allowed by their hashes, data is text that only the script
reads, and all that a trace holds is put into the page as text.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from collections.abc import Mapping
import hashlib
import html
import importlib.resources
import json
from typing import Any
from typing import Final

from oslo_tracing.report import analysis as analyses
from oslo_tracing.report import model
from oslo_tracing.report.render.html import data
from oslo_tracing.report import results
from oslo_tracing.report import summary

#: The parts of the script, in the order in which they stand in the page.
_TRACE_SCRIPT: Final = (
    'text.js',
    'trace.js',
    'details.js',
    'rows.js',
    'waterfall.js',
    'findings.js',
    'start.js',
)
_INDEX_SCRIPT: Final = ('text.js', 'index.js')
_TESTS_SCRIPT: Final = ('text.js', 'tests.js')

# Inside of a script element these could end it, or a line of it.
_ESCAPES: Final = {
    '<': '\\u003c',
    '>': '\\u003e',
    '&': '\\u0026',
    '\u2028': '\\u2028',
    '\u2029': '\\u2029',
}


def page(trace: model.Trace, analysis: analyses.Analysis | None = None) -> str:
    """Return the page of a trace.

    :param trace: any trace; no shape or value of it is too odd.
    :param analysis: of that trace; else it is made.
    """
    found = analyses.analyse(trace) if analysis is None else analysis
    return _page(
        f'Trace {trace.trace_id}',
        'trace.html',
        _TRACE_SCRIPT,
        data.of_trace(trace, found),
    )


def index(
    title: str, summaries: Iterable[summary.Summary], pages: dict[str, str]
) -> str:
    """Return a page that leads to the pages of many traces.

    :param title: what they have in common.
    :param summaries: of the traces, in the order in which they are listed
        first.
    :param pages: the file of each trace, by its id; names without a path.
    """
    return _page(
        title, 'index.html', _INDEX_SCRIPT, data.of_index(summaries, pages)
    )


def tests(
    title: str,
    tests: Iterable[results.Result],
    summaries: Mapping[str, summary.Summary],
    files: Mapping[str, tuple[str, str]],
) -> str:
    """Return a page that leads from tests to the pages of their traces.

    :param title: what they have in common.
    :param tests: in the order in which they are listed first.
    :param summaries: of the traces that there are, by id.
    :param files: the page of each trace and the file with its spans, by its
        id; names without a path.
    """
    return _page(
        title,
        'tests.html',
        _TESTS_SCRIPT,
        data.of_tests(tests, summaries, files),
    )


def _page(
    title: str, body: str, scripts: tuple[str, ...], values: dict[str, Any]
) -> str:
    style = _part('page.css')
    script = (
        "'use strict';\n(() => {\n" + ''.join(map(_part, scripts)) + '})();'
    )
    # Arguments of a command are any bytes.
    shown = title.encode('utf-8', 'backslashreplace').decode()
    policy = '; '.join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            'img-src data:',
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f'<title>{html.escape(shown)}</title>\n<style>{style}</style>\n'
        f'</head>\n<body>\n{_part(body)}'
        f'<script type="application/json" id="data">{_json(values)}</script>\n'
        f'<script>{script}</script>\n</body>\n</html>\n'
    )


def _part(name: str) -> str:
    return (
        importlib.resources.files(__name__).joinpath(name).read_text('utf-8')
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f'sha256-{base64.b64encode(digest).decode()}'


def _json(values: dict[str, Any]) -> str:
    # ASCII alone: what a lone surrogate would become is nobody's guess.
    text = json.dumps(values, separators=(',', ':'), allow_nan=False)
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text
