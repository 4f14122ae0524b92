// The spans, in the order of the tree: a parent before its children.
const spans = data.spans.map((raw, index) => ({
  index,
  id: raw.i,
  parent: raw.p,
  depth: raw.z,
  name: raw.n,
  service: raw.s,
  kind: raw.k,
  start: raw.t,
  duration: raw.d,
  own: raw.o,
  attributes: raw.a,
  resource: raw.r,
  scope: raw.c,
  failed: raw.e !== undefined,
  error: raw.e ?? raw.x ?? '',
  shifted: raw.w ?? 0,
  started: !raw.u,
  events: raw.v ?? [],
  links: raw.l ?? [],
  moreEvents: raw.moreEvents ?? 0,
  moreLinks: raw.moreLinks ?? 0,
  // Statements that have no span of their own.
  sums: raw.q && {count: raw.q[0], duration: raw.q[1], rows: raw.q[2],
    top: raw.q[3]},
  lost: raw.lost,
  children: 0,
  // Index of the first span after the last one below this one.
  after: index + 1,
  path: [],
  folded: false,
}));
for (const span of spans) {
  if (span.parent >= 0) spans[span.parent].children += 1;
}
for (let index = spans.length - 1; index >= 0; index -= 1) {
  const {parent, after} = spans[index];
  if (parent >= 0 && spans[parent].after < after) {
    spans[parent].after = after;
  }
}
for (const [index, start, end, way] of data.path) {
  spans[index].path.push({start, end, way});
}

// Eight colours, then the same again with stripes.
const colour = (service) => `c${service % 8}${service % 16 > 7 ? ' alt' : ''}`;

const byName = (service) => data.services[service].name;

const texts = new Map();
const searchable = (span) => {
  let text = texts.get(span.index);
  if (text === undefined) {
    const pairs = [...span.attributes, ...span.events.flatMap(
      (event) => [[event.n, ''], ...event.a])];
    const statements = span.sums ? span.sums.top.map(([name]) => name) : [];
    text = [span.id, byName(span.service), span.name, span.error,
      ...statements, ...pairs.flat()].join('\n').toLowerCase();
    texts.set(span.index, text);
  }
  return text;
};
