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
    const item = element('li', {class: kind === 'error' ? 'error' : '',
      title: kind},
      element('span', {class: 'kind', text: kind}), button);
    if (indexes.length > 1) {
      item.append(element('span', {class: 'many',
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
  const [first] = spans;
  if (first) {
    byId('title').append(element('span', {class: `t${first.service % 8}`,
      text: byName(first.service)}), ` ${first.name}`);
  } else byId('title').textContent = 'Trace';
  const facts = byId('facts');
  fact(facts, 'Request', data.request);
  fact(facts, 'Caller', data.caller);
  fact(facts, 'Started', moment(data.start));
  fact(facts, 'Duration', length(data.duration));
  fact(facts, 'Spans', String(spans.length));
  fact(facts, 'Errors', String(data.errors));
  if (data.orphans) fact(facts, 'Orphans', String(data.orphans));
  if (data.duplicates) fact(facts, 'Came twice', String(data.duplicates));
};

// What each service did itself, while it waited for nobody.
const showShares = () => {
  const times = data.services.map(() => 0);
  const kinds = data.services.map(() => []);
  for (const [service, kind, , time] of data.shares) {
    times[service] += time;
    kinds[service].push(
      `${kind === 'SQL' ? kind : kind.toLowerCase()} ${length(time)}`);
  }
  const whole = Math.max(1, times.reduce((sum, time) => sum + time, 0));
  const order = times.map((time, service) => service)
    .sort((a, b) => times[b] - times[a]);
  for (const service of order) {
    const part = element('div', {class: colour(service)});
    part.style.width = `${100 * times[service] / whole}%`;
    byId('stack').append(part);
  }
  for (const service of order.slice(0, 24)) {
    const {spans: count} = data.services[service];
    const chip = element('button', {type: 'button', 'aria-pressed': 'false',
      title: `own time: ${kinds[service].join(', ')}; `
        + 'click to see this service alone'},
    element('span', {class: `swatch ${colour(service)}`}),
    element('b', {text: byName(service)}),
    ` ${length(times[service])}, ${count} ${count === 1 ? 'span' : 'spans'}`);
    chip.dataset.service = service;
    byId('chips').append(chip);
  }
  if (order.length > 24) {
    byId('chips').append(`and ${order.length - 24} services more`);
  }
};

const markChips = () => {
  for (const chip of byId('chips').querySelectorAll('button')) {
    chip.setAttribute('aria-pressed',
      String(chip.dataset.service === filter.service));
  }
};
