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

import base64
import dataclasses
import hashlib
from html import parser
import json
import pathlib
import re

from oslo_tracing.report import analysis
from oslo_tracing.report import model
from oslo_tracing.report.render import html
from oslo_tracing.report import summary
from oslo_tracing.tests import base
from oslo_tracing.tests.unit.report import maker

HOSTILE = (
    '</script><script>alert(1)</script>',
    '<!--<script>',
    ']]>&lt;',
    '\x00\x1b[2J\x9b\u202e\u2028\u2029\ud800',
    "';alert(String.fromCharCode(88))//",
    'javascript:alert(1)',
)
#: Ways by which text would become markup, code or an address.
FORBIDDEN = (
    'innerHTML',
    'outerHTML',
    'insertAdjacentHTML',
    'document.write',
    'createContextualFragment',
    'DOMParser',
    'srcdoc',
    'eval(',
    'new Function',
    'setTimeout(',
    'fetch(',
    'XMLHttpRequest',
    'import(',
    'window.open',
)


class _Elements(parser.HTMLParser):
    """The elements of a page, with their attributes and their text."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs), []))

    def handle_endtag(self, tag):
        # What follows is no text of the element.
        self.found.append(('', {}, []))

    def handle_data(self, data):
        if self.found:
            self.found[-1][2].append(data)

    def all(self, tag):
        return [
            (attrs, ''.join(text))
            for name, attrs, text in self.found
            if name == tag
        ]

    def data(self):
        ((_, text),) = [
            each for each in self.all('script') if each[0].get('id') == 'data'
        ]
        return json.loads(text)


def _hostile_trace():
    make = maker.Maker()
    span = None
    for number, text in enumerate(HOSTILE):
        event = model.Event(text, 5, {text: text})
        span = make.span(
            text,
            number,
            100 - number,
            span,
            service=text,
            attributes={text: text, 'list': [text, {text: text}]},
            events=(event,),
            links=(model.Link('c' * 32, 'd' * 16, {text: text}),),
            status='ERROR',
            description=text,
            trace_state=text,
        )
    return make.trace()


def _modes(page):
    """Return the colours of a page on light and dark screens, and paper."""
    blocks = re.findall(r':root \{(.*?)\}', page, re.DOTALL)
    found = []
    for block in blocks:
        said = dict(re.findall(r'--(\w+): (#[0-9a-f]{6})', block))
        # What a later block leaves out is as in the first.
        found.append({**(found[0] if found else {}), **said})
    return found


def _brightness(colour):
    """Return what WCAG 2 calls the relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one, other):
    dark, light = sorted((_brightness(one), _brightness(other)))
    return (light + 0.05) / (dark + 0.05)


class ColoursTest(base.TestCase):
    def test_text_and_bars_stand_out_from_what_is_behind_them(self):
        modes = _modes(html.page(_hostile_trace()))
        self.assertEqual(3, len(modes))
        for colours in modes:
            for name in ('back', 'raised', 'chosen', 'hit'):
                texts = [colours[f'c{number}'] for number in range(8)]
                bars, texts[4] = list(texts), colours['t4']
                texts += [
                    colours[each]
                    for each in ('text', 'faint', 'error', 'focus')
                ]
                for colour in texts:
                    # What WCAG 2 asks of text (AA), and of graphics.
                    self.assertGreaterEqual(
                        _contrast(colour, colours[name]), 4.5, (colour, name)
                    )
                for colour in bars:
                    self.assertGreaterEqual(
                        _contrast(colour, colours[name]), 3, (colour, name)
                    )


class PageTest(base.TestCase):
    def test_what_the_policy_allows_is_what_is_there(self):
        page = html.page(_hostile_trace())
        elements = _Elements(page)

        ((policy, _),) = [
            each
            for each in elements.all('meta')
            if each[0].get('http-equiv') == 'Content-Security-Policy'
        ]
        (_, style), *_ = elements.all('style')
        ((_, script),) = [
            each for each in elements.all('script') if not each[0]
        ]
        self.assertEqual(
            f"default-src 'none'; script-src '{_sha256(script)}'; "
            f"style-src '{_sha256(style)}'; img-src data:; base-uri 'none'; "
            "form-action 'none'",
            policy['content'],
        )
        # It stands before anything that it is to bind.
        self.assertLess(
            page.index('Content-Security-Policy'), page.index(style)
        )

    def test_hostile_values_stay_values(self):
        page = html.page(_hostile_trace())
        elements = _Elements(page)

        self.assertEqual(2, len(elements.all('script')))
        self.assertTrue(page.isascii() or '\ufffd' not in page)
        block = page.partition('id="data">')[2].partition('</script>')[0]
        for character in '<>&\u2028\u2029\x00\x1b\u202e\ud800':
            self.assertNotIn(character, block)
        first = elements.data()['spans'][0]
        self.assertEqual(HOSTILE[0], first['n'])
        self.assertEqual([HOSTILE[0], HOSTILE[0]], first['a'][0])

    def test_it_loads_nothing(self):
        page = html.page(_hostile_trace())
        for tag, attrs, _ in _Elements(page).found:
            for name in ('src', 'href', 'action', 'data', 'poster', 'style'):
                if name in attrs:
                    self.assertEqual(('link', 'data:,'), (tag, attrs[name]))
            self.assertEqual(
                [], [name for name in attrs if name.startswith('on')]
            )

    def test_the_script_puts_text_in_as_text(self):
        directory = pathlib.Path(html.__file__).parent
        scripts = sorted(directory.glob('*.js'))
        self.assertNotEqual([], scripts)
        for path in scripts:
            text = path.read_text()
            for word in FORBIDDEN:
                self.assertNotIn(word, text, path.name)
            self.assertIsNone(re.search(r'https?:', text), path.name)

    def test_what_it_is_told(self):
        make = maker.Maker()
        root = make.span('POST', 0, 100, kind='SERVER')
        call = make.span('GET', 10, 60, root, kind='CLIENT')
        make.span(
            'GET',
            20,
            50,
            call,
            'SERVER',
            'glance',
            status='ERROR',
            attributes={'error.type': 'KeyError'},
        )
        lost = make.span('lost', 70, 80, parent_id='f' * 16)

        told = _Elements(html.page(make.trace())).data()

        self.assertEqual(
            [('POST', -1, 0), ('GET', 0, 1), ('GET', 1, 2), ('lost', -1, 0)],
            [(s['n'], s['p'], s['z']) for s in told['spans']],
        )
        self.assertEqual('KeyError', told['spans'][2]['e'])
        self.assertEqual(lost.parent_id, told['spans'][3]['lost'])
        self.assertEqual([0, 1, 2, 1, 0], [step[0] for step in told['path']])
        self.assertEqual([2], told['findings'][0]['spans'])

    def test_odd_shapes(self):
        make = maker.Maker()
        make.span('a', 10, 5, parent_id=f'{2:016x}')
        make.span('b', 0, 2**63 // maker.MS, parent_id=f'{1:016x}')
        span = None
        for number in range(20_000):
            span = make.span('deep', number, number, span)
        for trace in (make.trace(), model.Trace(maker.TRACE, [])):
            told = _Elements(html.page(trace)).data()
            self.assertEqual(len(trace.spans), len(told['spans']))

    def test_values_are_bounded(self):
        make = maker.Maker()
        nested = []
        for _ in range(60):
            nested = [nested]
        make.span(
            'n' * 10_000_000,
            0,
            1,
            attributes={
                'long': 'x' * 10_000_000,
                'nan': float('nan'),
                'huge': 10**5000,
                'bytes': b'\xff' * 10_000_000,
                'nested': nested,
                **{f'a{number}': 1 for number in range(10_000)},
            },
            events=tuple(model.Event('e', 0) for _ in range(10_000)),
        )

        page = html.page(make.trace())

        self.assertLess(len(page), 300_000)
        self.assertIn('a very large number', page)

    def test_what_is_left_out_is_told(self):
        attributes = {f'key {number}': number for number in range(300)}
        make = maker.Maker()
        make.span('few', 0, 1, attributes={'list': [1] * 256})
        make.span(
            'many',
            1,
            2,
            attributes={**attributes, 'key 0': [1] * 300, 'key 1': attributes},
            events=tuple(model.Event('e', 0, attributes) for _ in range(300)),
            links=tuple(
                model.Link('c' * 32, 'd' * 16, attributes) for _ in range(300)
            ),
        )

        few, many = _Elements(html.page(make.trace())).data()['spans']

        self.assertNotIn(' more', json.dumps(few))
        self.assertNotIn('moreEvents', few)
        self.assertNotIn('moreLinks', few)
        more = ['', 'and 44 more']
        self.assertEqual(more, many['a'][256])
        self.assertEqual(more, many['v'][0]['a'][256])
        self.assertEqual(more, many['l'][0]['a'][256])
        self.assertEqual((257, 44), (len(many['a']), many['moreEvents']))
        self.assertEqual(44, many['moreLinks'])
        self.assertIn(', 1, 1, and 44 more]', many['a'][0][1])
        self.assertIn('key 255: 255, and 44 more}', many['a'][1][1])

    def test_an_analysis_that_is_there_is_used(self):
        make = maker.Maker()
        make.span('POST', 0, 100)
        trace = make.trace()
        found = analysis.analyse(trace)
        found.findings.clear()

        told = _Elements(html.page(trace, found)).data()

        self.assertEqual([], told['findings'])

    def test_times_are_those_of_corrected_clocks(self):
        expected = _times(maker.Maker().across_hosts(0))
        self.assertEqual((0, 100 * maker.MS), expected[:2])

        for shift in (-3_600_000, 3_600_000):
            with self.subTest(shift=shift):
                trace = maker.Maker().across_hosts(shift)

                self.assertEqual(expected, _times(trace))

    def test_a_span_without_a_start_is_marked(self):
        make = maker.Maker()
        make.span('GET', 1000, 1100)
        about = {
            field.name: getattr(make.spans[0], field.name)
            for field in dataclasses.fields(make.spans[0])
        }
        lost = model.Unstarted(
            **{**about, 'span_id': '2' * 16, 'start': 0, 'name': 'lost'}
        )
        trace = model.Trace(maker.TRACE, [*make.spans, lost])

        told = _Elements(html.page(trace)).data()

        self.assertEqual(1000, told['start'])
        self.assertEqual(
            {'GET': (0, None), 'lost': (100 * maker.MS, 1)},
            {span['n']: (span['t'], span.get('u')) for span in told['spans']},
        )
        (finding,) = told['findings']
        self.assertEqual('no start', finding['kind'])


class IndexTest(base.TestCase):
    def test_it_leads_to_the_pages(self):
        spans = _hostile_trace().spans
        found = summary.summarize(spans).values()

        page = html.index(
            '<Title> & more', found, {maker.TRACE: 'trace-a.html'}
        )

        elements = _Elements(page)
        self.assertEqual('<Title> & more', elements.all('title')[0][1].strip())
        (trace,) = elements.data()['traces']
        self.assertEqual('trace-a.html', trace['page'])
        self.assertEqual(len(HOSTILE), trace['spans'])

    def test_a_title_that_is_no_text_is_escaped(self):
        page = html.index('caf\udce9 \ud800 <b>', [], {})

        self.assertIn('<title>caf\\udce9 \\ud800 &lt;b&gt;</title>', page)
        page.encode()


def _times(trace):
    told = _Elements(html.page(trace)).data()
    return (
        told['start'],
        told['duration'],
        sorted(
            (span['t'], [event['t'] for event in span.get('v', ())])
            for span in told['spans']
        ),
        [step[1:] for step in told['path']],
    )


def _sha256(text):
    digest = hashlib.sha256(text.encode()).digest()
    return f'sha256-{base64.b64encode(digest).decode()}'
