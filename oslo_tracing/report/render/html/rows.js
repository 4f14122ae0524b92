// Which rows there are: what is not folded away, filtered out or unfit.
const filter = {service: '', kind: '', errors: false, critical: false,
  search: ''};
let visible = [];
let places = new Map();
let hits = [];
let chosen = 0;

const filtering = () => filter.service !== '' || filter.kind !== ''
  || filter.errors || filter.critical;

const fits = (span) => (filter.service === ''
    || span.service === Number(filter.service))
  && (filter.kind === '' || span.kind === filter.kind)
  && (!filter.errors || span.failed)
  && (!filter.critical || span.path.length > 0);

const arrange = () => {
  visible = [];
  if (filtering()) {
    // A filter looks into what is folded, and shows its finds as a list.
    visible = spans.filter(fits);
  } else {
    for (let index = 0; index < spans.length;) {
      const span = spans[index];
      visible.push(span);
      index = span.folded ? span.after : index + 1;
    }
  }
  places = new Map(visible.map((span, place) => [span.index, place]));
};

const look = () => {
  const wanted = filter.search.trim().toLowerCase();
  hits = wanted ? spans.filter((span) => searchable(span).includes(wanted)
    && (!filtering() || fits(span))).map((span) => span.index) : [];
  byId('hits').textContent = !wanted ? ''
    : `${hits.length} ${hits.length === 1 ? 'hit' : 'hits'}`;
};

const unfold = (span) => {
  let {parent} = span;
  while (parent >= 0) {
    spans[parent].folded = false;
    parent = spans[parent].parent;
  }
};

const foldAll = (folded) => {
  for (const span of spans) span.folded = folded && span.children > 0;
};
