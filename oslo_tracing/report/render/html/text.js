// Everything that a trace holds comes into the page through here, as text.
const element = (name, options = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (key === 'class') made.className = value;
    else if (key === 'text') made.textContent = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
};

const byId = (id) => document.getElementById(id);

const data = JSON.parse(byId('data').textContent);

const length = (nanoseconds) => {
  const size = Math.abs(nanoseconds);
  if (size >= 60e9) {
    const seconds = nanoseconds / 1e9;
    return `${Math.trunc(seconds / 60)} min ${Math.trunc(seconds % 60)} s`;
  }
  if (size >= 1e9) return `${(nanoseconds / 1e9).toFixed(2)} s`;
  if (size >= 1e6) return `${(nanoseconds / 1e6).toFixed(2)} ms`;
  return `${(nanoseconds / 1e3).toFixed(1)} \u00b5s`;
};

// A time with no more digits than its step has.
const round = (nanoseconds, step) => {
  const [unit, name] = nanoseconds >= 1e9 ? [1e9, 's']
    : nanoseconds >= 1e6 ? [1e6, 'ms']
      : nanoseconds >= 1e3 ? [1e3, '\u00b5s'] : [1, 'ns'];
  const digits = Math.max(0, Math.min(9, -Math.floor(Math.log10(step / unit))));
  return `${(nanoseconds / unit).toFixed(digits)} ${name}`;
};

const moment = (milliseconds) => {
  if (!milliseconds) return 'unknown';
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? 'no time that can be'
    : date.toISOString().replace('T', ' ').replace('Z', ' UTC');
};

const fact = (list, name, value) => {
  if (value === '' || value === undefined) return;
  list.append(element('div', {}, element('dt', {text: name}),
    element('dd', {text: value})));
};
