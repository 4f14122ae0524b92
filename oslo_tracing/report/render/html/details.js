// What is known of one span.
const CLAUSES = new RegExp('\\s+(?=(?:FROM|WHERE|(?:LEFT |RIGHT |INNER |OUTER '
  + '|CROSS )*JOIN|GROUP BY|ORDER BY|HAVING|LIMIT|SET|VALUES|UNION|ON '
  + 'DUPLICATE|RETURNING|FOR UPDATE)\\b)', 'gi');

const laidOut = (statement) => statement.replace(CLAUSES, '\n')
  .replace(/\s+(?=(?:AND|OR)\b)/gi, '\n  ');

const table = (pairs) => {
  const body = element('tbody');
  for (const [key, value] of pairs) {
    const shown = key === 'db.query.text' ? laidOut(value) : value;
    const cell = shown.includes('\n') ? element('pre', {text: shown})
      : element('span', {text: shown});
    body.append(element('tr', {}, element('th', {scope: 'row', text: key}),
      element('td', {}, cell)));
  }
  return element('table', {}, body);
};

const showDetails = (span) => {
  const panel = byId('details');
  panel.replaceChildren();
  panel.hidden = !span;
  if (!span) return;
  const close = element('button',
    {type: 'button', class: 'close', text: 'close (Esc)'});
  close.addEventListener('click', () => showDetails(null));
  const title = element('h2', {},
    element('span', {class: `t${span.service % 8}`,
      text: byName(span.service)}), `: ${span.name}`);
  const facts = element('dl');
  fact(facts, 'Kind', span.kind);
  fact(facts, 'Starts after', span.started ? length(span.start) : 'unknown');
  fact(facts, 'Takes', (span.started ? '' : 'at least ')
    + length(span.duration));
  fact(facts, 'Of its own', length(span.own));
  fact(facts, 'Share',
    data.duration ? `${(100 * span.duration / data.duration).toFixed(1)} %`
      : '');
  if (span.error) fact(facts, 'Error', span.error);
  if (span.shifted) fact(facts, 'Clock set by', length(span.shifted));
  if (span.lost) fact(facts, 'Parent not in the data', span.lost);
  fact(facts, 'Recorded by', span.scope);
  const link = element('a', {href: `#span=${span.id}`, text: span.id});
  facts.append(element('div', {}, element('dt', {text: 'Link'}),
    element('dd', {}, link)));
  panel.append(close, title, facts);
  const part = (name, pairs) => {
    if (pairs.length) panel.append(element('h2', {text: name}), table(pairs));
  };
  if (span.sums) {
    const {count, duration, rows, top} = span.sums;
    part(`${count} statements without a span: ${length(duration)}, ${rows} `
      + 'rows', top.map(([name, times, time]) =>
      [name, `${times} \u00d7, ${length(time)}`]));
  }
  const more = (count, what) => {
    if (!count) return;
    panel.append(element('p',
      {text: `and ${count} more ${what}${count === 1 ? '' : 's'}`}));
  };
  part('Attributes', span.attributes);
  for (const event of span.events) {
    const since = span.started ? `${length(event.t - span.start)} after its`
      : `${length(event.t)} after the trace's`;
    part(`Event ${event.n}, ${since} start`,
      event.a.length ? event.a : [['', '']]);
  }
  more(span.moreEvents, 'event');
  for (const to of span.links) {
    part('Link', [['trace', to.trace], ['span', to.span], ...to.a]);
  }
  more(span.moreLinks, 'link');
  part('Process', span.resource);
};
