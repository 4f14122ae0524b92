// A list of traces; a click on a heading sorts it.
const columns = [
  ['Started', (trace) => moment(trace.start), (trace) => trace.start],
  ['Trace', null, (trace) => trace.name],
  ['Services', (trace) => trace.services.join(', '),
    (trace) => trace.services.length],
  ['Spans', (trace) => String(trace.spans), (trace) => trace.spans],
  ['Duration', (trace) => length(trace.duration), (trace) => trace.duration],
  ['Errors', (trace) => String(trace.errors), (trace) => trace.errors],
  ['Request', (trace) => trace.request || trace.id, (trace) => trace.id],
];
const numbers = new Set(['Spans', 'Duration', 'Errors']);

byId('title').textContent = document.title;
fact(byId('facts'), 'Traces', String(data.traces.length));
fact(byId('facts'), 'With errors',
  String(data.traces.filter(({errors}) => errors).length));

const longest = data.traces.reduce(
  (most, {duration}) => Math.max(most, duration), 1);
const rows = data.traces.map((trace) => {
  const row = element('tr', {class: trace.errors ? 'failed' : ''});
  for (const [name, text] of columns) {
    const cell = element('td', {class: (numbers.has(name) ? 'number ' : '')
      + name.toLowerCase()});
    if (text) cell.textContent = text(trace);
    if (name === 'Duration') {
      const share = element('div', {class: 'share'});
      share.style.width = `${100 * trace.duration / longest}%`;
      cell.append(share);
    }
    if (!text) {
      const title = trace.rooted ? trace.name : `(no root) ${trace.name}`;
      // Only names that we gave are followed, never one out of a trace.
      if (/^[A-Za-z0-9_-]+\.html$/.test(trace.page)) {
        cell.append(element('a', {href: trace.page, text: title}));
      } else cell.textContent = title;
    }
    row.append(cell);
  }
  return {trace, row, text: [trace.name, trace.id, trace.request,
    ...trace.services].join('\n').toLowerCase()};
});

const body = byId('traces').querySelector('tbody');
const show = () => {
  const wanted = byId('search').value.trim().toLowerCase();
  const found = rows.filter(({trace, text}) => text.includes(wanted)
    && (trace.errors || !byId('errors').checked));
  body.replaceChildren(...found.map(({row}) => row));
  byId('hits').textContent = `${found.length} shown`;
  byId('none').hidden = found.length > 0;
};
const head = byId('traces').querySelector('tr');
for (const [name, , value] of columns) {
  const button = element('button', {type: 'button', text: name});
  const cell = element('th', {scope: 'col',
    class: numbers.has(name) ? 'number' : ''}, button);
  button.addEventListener('click', () => {
    // Numbers start with the largest, texts with the first.
    const start = typeof value(data.traces[0] ?? {services: []}) === 'number'
      ? 'descending' : 'ascending';
    const other = start === 'ascending' ? 'descending' : 'ascending';
    const order = cell.getAttribute('aria-sort') === start ? other : start;
    for (const each of head.children) each.removeAttribute('aria-sort');
    cell.setAttribute('aria-sort', order);
    const sign = order === 'ascending' ? 1 : -1;
    rows.sort((a, b) => {
      const [x, y] = [value(a.trace), value(b.trace)];
      return sign * (x < y ? -1 : Number(x > y));
    });
    show();
  });
  head.append(cell);
}
byId('tools').addEventListener('submit', (event) => event.preventDefault());
byId('tools').addEventListener('input', show);
show();
document.documentElement.dataset.ready = 'yes';
