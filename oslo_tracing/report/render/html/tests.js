// The tests of a run, each with its trace; a click on a heading sorts it.
const columns = [
  ['Result', (test) => test.status, (test) => Number(test.failed)],
  ['Test', (test) => test.test, (test) => test.test],
  ['Duration', (test) => (test.took ? length(test.took) : ''),
    (test) => test.took],
  ['Trace', null, (test) => test.duration],
  ['Spans', (test) => (test.trace ? String(test.spans) : ''),
    (test) => test.spans],
  ['Errors', (test) => (test.trace ? String(test.errors) : ''),
    (test) => test.errors],
  ['Services', (test) => test.services.join(', '),
    (test) => test.services.length],
  ['Raw', null, null],
];
const numbers = new Set(['Duration', 'Spans', 'Errors']);
// What was done before the tests of a class has a row for its trace; a runner
// tells of it, and counts it, only where it did not go well.
const counted = data.tests.filter(({test, status}) => status !== 'success'
  || !test.startsWith('setUpClass ('));
const failures = data.tests.filter(({failed}) => failed).length;

byId('title').textContent = document.title;
fact(byId('facts'), 'Tests', String(counted.length));
fact(byId('facts'), 'Failed', String(failures));
fact(byId('facts'), 'With a trace',
  String(counted.filter(({trace}) => trace).length));

// Only names that we gave are followed, never one out of a trace.
const link = (cell, file, text) => {
  if (/^trace-[0-9a-f]{32}\.(html|jsonl\.gz)$/.test(file)) {
    cell.append(element('a', {href: file, text}));
  } else cell.textContent = text;
};
const rows = data.tests.map((test) => {
  const row = element('tr', {class: test.failed ? 'failed' : ''});
  for (const [name, text] of columns) {
    const cell = element('td', {class: (numbers.has(name) ? 'number ' : '')
      + name.toLowerCase()});
    if (text) cell.textContent = text(test);
    else if (name === 'Raw') link(cell, test.raw, test.raw ? 'OTLP' : '');
    else if (!test.trace) cell.textContent = 'none';
    else link(cell, test.page, `${test.trace.slice(0, 8)} \u2013 `
      + `${length(test.duration)}`);
    row.append(cell);
  }
  return {test, row, text: [test.test, test.trace, test.status,
    ...test.services].join('\n').toLowerCase()};
});

const body = byId('tests').querySelector('tbody');
const show = () => {
  const wanted = byId('search').value.trim().toLowerCase();
  const found = rows.filter(({test, text}) => text.includes(wanted)
    && (test.failed || !byId('errors').checked));
  body.replaceChildren(...found.map(({row}) => row));
  byId('hits').textContent = `${found.length} shown`;
};
const head = byId('tests').querySelector('tr');
let order = '';
for (const [name, , value] of columns) {
  const heading = element('th', {scope: 'col',
    class: numbers.has(name) ? 'number' : ''});
  head.append(heading);
  if (!value) {
    heading.textContent = name;
    continue;
  }
  const button = element('button', {type: 'button', text: name});
  button.addEventListener('click', () => {
    const sign = order === name ? -1 : 1;
    order = order === name ? '' : name;
    rows.sort((a, b) => {
      const [x, y] = [value(a.test), value(b.test)];
      if (typeof x === 'number') return sign * (y - x);
      return sign * (x < y ? -1 : 1);
    });
    show();
  });
  heading.append(button);
}
byId('tools').addEventListener('submit', (event) => event.preventDefault());
byId('tools').addEventListener('input', show);
show();
document.documentElement.dataset.ready = 'yes';
