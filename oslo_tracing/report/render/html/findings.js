// What the analysis says, each sentence leading to the rows that prove it.
const showFindings = () => {
  const answers = byId('answers');
  const path = new Map();
  for (const [index, start, end] of data.path) {
    path.set(index, (path.get(index) ?? 0) + end - start);
  }
  const most = [...path].sort((a, b) => b[1] - a[1]).slice(0, 3);
  const list = element('ul');
  const line = (kind, text, indexes, more = 0) => {
    const button = element('button', {type: 'button', text});
    let at = 0;
    button.addEventListener('click', () => {
      // Each further click leads to the next span that proves it.
      choose(indexes[at % indexes.length], {details: true, align: true});
      at += 1;
    });
    const item = element('li', {class: kind === 'error' ? 'error' : ''},
      element('span', {class: 'kind', text: kind}), button);
    if (indexes.length > 1) {
      item.append(element('span', {class: 'kind',
        text: `${indexes.length + more} spans`}));
    }
    list.append(item);
  };
  for (const found of data.findings.filter(({kind}) => kind === 'error')) {
    line(found.kind, found.text, found.spans, found.more);
  }
  if (most.length) {
    const share = (time) => data.duration
      ? `${(100 * time / data.duration).toFixed(0)} %` : length(time);
    for (const [index, time] of most) {
      line('critical path', `${byName(spans[index].service)}: `
        + `${spans[index].name}, ${length(time)} (${share(time)})`, [index]);
    }
  }
  for (const found of data.findings.filter(({kind}) => kind !== 'error')) {
    line(found.kind, found.text, found.spans, found.more);
  }
  for (const [kind, count] of Object.entries(data.leftOut)) {
    list.append(element('li', {}, element('span', {class: 'kind', text: kind}),
      element('span', {text: `and ${count} more of these`})));
  }
  answers.append(list);
};

const showFacts = () => {
  byId('trace-id').textContent = data.id;
  const facts = byId('facts');
  fact(facts, 'Request', data.request);
  fact(facts, 'Caller', data.caller);
  fact(facts, 'Started', moment(data.start));
  fact(facts, 'Duration', length(data.duration));
  fact(facts, 'Spans', String(spans.length));
  fact(facts, 'Errors', String(data.errors));
  if (data.orphans) fact(facts, 'Orphans', String(data.orphans));
  if (data.duplicates) fact(facts, 'Came twice', String(data.duplicates));
  fact(facts, 'Services', data.services.map(
    ({name, spans: count}) => `${name || '(no service)'} ${count}`)
    .slice(0, 20).join(', '));
  // What each service did itself, while it waited for nobody.
  fact(facts, 'Own time', data.shares.slice(0, 6).map(
    ([service, kind, , time]) =>
      `${byName(service)} ${kind === 'SQL' ? kind : kind.toLowerCase()} `
      + length(time))
    .join(', '));
};
