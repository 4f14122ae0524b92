// Draws the rows that can be seen, and only those.
const ROW = 22;
const view = {start: 0, end: Math.max(1, data.duration)};
const pane = byId('waterfall');
let hitSet = new Set();

const percent = (time) => 100 * (time - view.start) / (view.end - view.start);

const place = (node, start, end) => {
  const left = Math.max(-1, Math.min(101, percent(start)));
  const right = Math.max(-1, Math.min(101, percent(end)));
  node.style.left = `${left}%`;
  node.style.width = `${Math.max(0, right - left)}%`;
  return node;
};

const rowOf = (span, number) => {
  const fold = element('span', {class: 'fold', 'aria-hidden': 'true',
    text: span.children ? (span.folded ? '\u25b8' : '\u25be') : ''});
  fold.dataset.fold = span.index;
  const label = element('div', {class: 'label'}, fold,
    element('span', {class: `service t${span.service % 8}`,
      text: byName(span.service)}),
    element('span', {class: 'name', text: span.name}));
  if (span.sums) {
    label.append(element('span', {class: 'sums',
      text: `+${span.sums.count} SQL, ${length(span.sums.duration)}`}));
  }
  const level = filtering() ? 0 : Math.min(span.depth, 24);
  label.style.paddingLeft = `${6 + 12 * level}px`;
  if (span.failed) {
    label.append(element('span', {class: 'mark', text: '\u2717'}));
  }
  const time = element('div', {class: 'time'});
  const bar = place(element('div', {class: `bar ${colour(span.service)}`}),
    span.start, span.start + span.duration);
  time.append(bar);
  for (const step of span.path) {
    time.append(place(element('div',
      {class: step.way ? 'path way' : 'path'}), step.start, step.end));
  }
  for (const event of span.events) {
    const mark = element('div', {class: 'event', title: event.n});
    mark.style.left = `${percent(event.t)}%`;
    time.append(mark);
  }
  const took = element('span', {class: 'took', text: length(span.duration)});
  const begin = percent(span.start);
  const end = percent(span.start + span.duration);
  if (end < 85) took.style.left = `calc(${Math.max(0, end)}% + 4px)`;
  else if (begin > 15) {
    took.style.right = `calc(${Math.max(0, 100 - begin)}% + 4px)`;
  } else {
    took.classList.add('inside');
    took.style.right = `calc(${Math.max(0, 100 - end)}% + 4px)`;
  }
  time.append(took);
  const classes = ['row'];
  if (span.failed) classes.push('failed');
  if (hitSet.has(span.index)) classes.push('hit');
  if (span.index === chosen) classes.push('chosen');
  const row = element('div', {class: classes.join(' '), role: 'treeitem',
    id: `row-${span.index}`, 'aria-level': span.depth + 1,
    'aria-posinset': number + 1, 'aria-setsize': visible.length,
    'aria-selected': span.index === chosen,
    title: `${byName(span.service)}: ${span.name}`}, label, time);
  if (span.children && !filtering()) {
    row.setAttribute('aria-expanded', !span.folded);
  }
  row.dataset.span = span.index;
  return row;
};

const draw = (all = false) => {
  const first = all ? 0
    : Math.max(0, Math.floor(pane.scrollTop / ROW) - 10);
  const count = all ? 5000 : Math.ceil(pane.clientHeight / ROW) + 20;
  byId('space').style.height = `${visible.length * ROW}px`;
  const rows = byId('rows');
  rows.style.transform = all ? '' : `translateY(${first * ROW}px)`;
  rows.replaceChildren(...visible.slice(first, first + count)
    .map((span, index) => rowOf(span, first + index)));
  byId('none').hidden = visible.length > 0;
  pane.setAttribute('aria-activedescendant', `row-${chosen}`);
};

// 1, 2 or 5 times a power of ten, at most six of them.
const stepOf = (width) => {
  const least = width / 6;
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((times) => times * power >= least);
};

const drawAxis = () => {
  const axis = byId('axis');
  // The rows have a scroll bar beside them, what stands above them has not.
  const bar = `${pane.offsetWidth - pane.clientWidth}px`;
  const grid = byId('grid');
  for (const above of [axis, byId('overview'), grid]) {
    above.style.marginRight = bar;
  }
  axis.replaceChildren();
  grid.replaceChildren();
  const step = stepOf(view.end - view.start);
  const first = Math.ceil(view.start / step);
  for (let tick = 0; tick < 7; tick += 1) {
    const time = (first + tick) * step;
    if (time >= view.end) break;
    const mark = element('span', {text: time ? round(time, step) : '0'});
    const line = element('span');
    mark.style.left = line.style.left = `${percent(time)}%`;
    axis.append(mark);
    grid.append(line);
  }
  const whole = Math.max(1, data.duration);
  const frame = byId('window');
  frame.style.left = `${100 * view.start / whole}%`;
  frame.style.width = `${100 * (view.end - view.start) / whole}%`;
};

const drawOverview = () => {
  const canvas = byId('overview').querySelector('canvas');
  canvas.width = canvas.clientWidth || 800;
  const context = canvas.getContext('2d');
  const style = getComputedStyle(document.documentElement);
  const whole = Math.max(1, data.duration);
  for (const span of spans) {
    context.fillStyle = style.getPropertyValue(
      span.failed ? '--error' : `--c${span.service % 8}`);
    const y = 40 * span.index / spans.length;
    context.fillRect(canvas.width * span.start / whole, y,
      Math.max(1, canvas.width * span.duration / whole),
      Math.max(1, 40 / spans.length));
  }
};

const show = () => { draw(); drawAxis(); };

const zoom = (start, end) => {
  const whole = Math.max(1, data.duration);
  const least = Math.max(1, whole / 1e6);
  view.start = Math.max(0, Math.min(start, whole - least));
  view.end = Math.min(whole, Math.max(end, view.start + least));
  show();
};

const zoomBy = (factor, around) => {
  const width = (view.end - view.start) * factor;
  const share = (around - view.start) / (view.end - view.start);
  zoom(around - width * share, around + width * (1 - share));
};

const choose = (index, {details = false, align = false} = {}) => {
  if (!spans[index]) return;
  chosen = index;
  if (!places.has(index)) {
    unfold(spans[index]);
    if (!fits(spans[index])) clearFilters();
    // Now, because else there is no place to scroll to yet.
    refresh();
  }
  // First, because the rows have less room beside the details.
  if (details || !byId('details').hidden) showDetails(spans[index]);
  const top = places.get(index) * ROW;
  if (align || top < pane.scrollTop
      || top + ROW > pane.scrollTop + pane.clientHeight) {
    pane.scrollTop = Math.max(0, top - pane.clientHeight / 3);
  }
  draw();
};

const clearFilters = () => {
  for (const id of ['service', 'kind']) byId(id).value = '';
  for (const id of ['errors', 'critical']) byId(id).checked = false;
  Object.assign(filter, {service: '', kind: '', errors: false,
    critical: false});
};

const refresh = () => {
  arrange();
  look();
  hitSet = new Set(hits);
  markChips();
  draw();
};

const nextHit = (step) => {
  if (!hits.length) return;
  const after = step > 0 ? hits.find((index) => index > chosen)
    : hits.findLast((index) => index < chosen);
  choose(after ?? hits.at(step > 0 ? 0 : -1), {align: true});
};
