// Ties the page together.
showFacts();
showShares();
showFindings();
data.services.forEach(({name}, index) => byId('service').append(
  element('option', {value: index, text: name})));
for (const kind of new Set(spans.map((span) => span.kind))) {
  byId('kind').append(element('option', {value: kind, text: kind}));
}
refresh();
drawAxis();
drawOverview();

byId('tools').addEventListener('submit', (event) => event.preventDefault());
const filtered = () => {
  filter.service = byId('service').value;
  filter.kind = byId('kind').value;
  filter.errors = byId('errors').checked;
  filter.critical = byId('critical').checked;
  filter.search = byId('search').value;
  refresh();
};
byId('chips').addEventListener('click', (event) => {
  const chip = event.target.closest('button');
  if (!chip) return;
  const {service} = chip.dataset;
  byId('service').value = filter.service === service ? '' : service;
  filtered();
});
// Not everything that chooses for people (extensions, assistive programs) tells
// of it in both ways.
for (const name of ['input', 'change']) {
  byId('tools').addEventListener(name, filtered);
}
byId('search').addEventListener('keydown', (event) => {
  if (event.key === 'Enter') nextHit(event.shiftKey ? -1 : 1);
  if (event.key === 'Escape') {
    // Some browsers would empty the field, and n and N had no hits.
    event.preventDefault();
    pane.focus();
  }
});
const middle = () => (view.start + view.end) / 2;
const center = () => {
  const at = spans[chosen].start + spans[chosen].duration / 2;
  return at >= view.start && at <= view.end ? at : middle();
};
const zoomToSpan = () => {
  const span = spans[chosen];
  const room = Math.max(1, span.duration) * 0.05;
  zoom(span.start - room, span.start + span.duration + room);
};
const actions = {
  next: () => nextHit(1),
  previous: () => nextHit(-1),
  'zoom-in': () => zoomBy(0.5, center()),
  'zoom-out': () => zoomBy(2, middle()),
  'zoom-span': zoomToSpan,
  'zoom-all': () => zoom(0, data.duration),
  collapse: () => { foldAll(true); refresh(); },
  expand: () => { foldAll(false); refresh(); },
};
for (const [id, action] of Object.entries(actions)) {
  byId(id).addEventListener('click', action);
}

const step = (by) => {
  const at = places.get(chosen) ?? 0;
  const span = visible[Math.max(0, Math.min(visible.length - 1, at + by))];
  if (span) choose(span.index);
};
const fold = (span, folded) => {
  span.folded = folded;
  refresh();
  choose(span.index);
};
const keys = {
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  PageDown: () => step(Math.floor(pane.clientHeight / ROW)),
  PageUp: () => step(-Math.floor(pane.clientHeight / ROW)),
  Home: () => step(-spans.length),
  End: () => step(spans.length),
  ArrowLeft: () => {
    const span = spans[chosen];
    if (span.children && !span.folded && !filtering()) fold(span, true);
    else if (span.parent >= 0) choose(span.parent);
  },
  ArrowRight: () => {
    const span = spans[chosen];
    if (span.children && span.folded) fold(span, false);
    else step(1);
  },
  Enter: () => choose(chosen, {details: true}),
  ' ': () => choose(chosen, {details: true}),
  Escape: () => showDetails(null),
  n: () => nextHit(1),
  N: () => nextHit(-1),
  '+': actions['zoom-in'],
  '=': actions['zoom-in'],
  '-': actions['zoom-out'],
  0: actions['zoom-all'],
  z: zoomToSpan,
  C: actions.collapse,
  E: actions.expand,
};
// A field needs all keys, what is pressed or followed only some. The details
// have nothing but their buttons and links to be scrolled from.
const needed = (node, key) => node.closest('input:not([type=checkbox]), select')
  || (/^(Enter| )$/.test(key) && node.closest('input, button, a'))
  || (/^(Arrow|Page|Home|End)/.test(key) && node.closest('#details'));
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (needed(event.target, event.key)) return;
  if (event.key === '/') {
    byId('search').focus();
    byId('search').select();
    event.preventDefault();
  } else if (Object.hasOwn(keys, event.key) && spans.length) {
    // Else Enter would press again what was clicked before. Whoever closes
    // the details goes on where they were opened.
    if (event.key !== 'Escape') pane.focus();
    keys[event.key]();
    event.preventDefault();
  }
});

pane.addEventListener('scroll', () => draw());
pane.addEventListener('click', (event) => {
  const {fold: index} = event.target.dataset;
  const row = event.target.closest('.row');
  if (index !== undefined && spans[index].children && !filtering()) {
    fold(spans[index], !spans[index].folded);
  } else if (row) {
    choose(Number(row.dataset.span), {details: true});
  }
});
pane.addEventListener('wheel', (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  const box = byId('axis').getBoundingClientRect();
  const share = Math.max(0, Math.min(1,
    (event.clientX - box.left) / box.width));
  zoomBy(event.deltaY > 0 ? 1.25 : 0.8,
    view.start + share * (view.end - view.start));
}, {passive: false});

let dragged = null;
const timeAt = (event) => {
  const box = byId('overview').getBoundingClientRect();
  return data.duration * Math.max(0, Math.min(1,
    (event.clientX - box.left) / box.width));
};
byId('overview').addEventListener('pointerdown', (event) => {
  dragged = timeAt(event);
  byId('overview').setPointerCapture(event.pointerId);
});
byId('overview').addEventListener('pointerup', (event) => {
  if (dragged === null) return;
  const [start, end] = [dragged, timeAt(event)].sort((a, b) => a - b);
  dragged = null;
  if (end - start > data.duration / 500) zoom(start, end);
});

const follow = () => {
  const found = /^#span=([0-9a-f]{16})$/.exec(location.hash);
  const span = found && spans.find(({id}) => id === found[1]);
  if (span) choose(span.index, {details: true, align: true});
};
addEventListener('hashchange', follow);
addEventListener('resize', () => { drawOverview(); show(); });
addEventListener('beforeprint', () => draw(true));
addEventListener('afterprint', () => draw());
follow();
document.documentElement.dataset.ready = 'yes';
