// Making and changing nodes. Data reaches the page through text nodes and attributes only, never as markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'on') for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (name === 'text') node.textContent = value;
    else node.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

/** Makes an element: `h('a.name', { href: '#/' }, 'Overview')`; attributes may be left out. */
export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split('.');
  const node = document.createElement(name);
  if (classes.length > 0) node.className = classes.join(' ');
  return props?.constructor === Object ? fill(node, props, children) : fill(node, null, [props, ...children]);
}

/** The same for SVG. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

// What is as it was isn't touched, so that the browser has nothing to lay out again.

export function setText(node, text) {
  const first = node.firstChild;
  if (first !== null && first.nodeType === 3 && first.nextSibling === null) {
    if (first.data !== text) first.data = text;
  } else if (first !== null || text !== '') {
    node.textContent = text;
  }
}

export function setAttr(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else {
    const text = value === true ? '' : String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
}

export function setClass(node, name) {
  if (node.className !== name) node.className = name;
}

export function setHidden(node, isHidden) {
  if (node.hidden !== isHidden) node.hidden = isHidden;
}

/** Replaces the children when `key` isn't the one that they were made for. */
export function refill(node, key, make) {
  if (node.filledFor === key) return;
  node.filledFor = key;
  node.replaceChildren(...[make()].flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

const SHAPES = {
  following: [['circle', { cx: 12, cy: 12, r: 10 }], ['path', { class: 'cut', d: 'M7.2 12.4l3.3 3.3 6.3-7' }]],
  behind: [['path', { d: 'M12 2.2 23 21.5H1Z' }], ['path', { class: 'cut', d: 'M12 9v6M12 17.6v.9' }]],
  stalled: [['path', { d: 'M7.6 1.5h8.8l6.1 6.1v8.8l-6.1 6.1H7.6l-6.1-6.1V7.6Z' }], ['path', { class: 'cut', d: 'M7.8 7.8l8.4 8.4m0-8.4-8.4 8.4' }]],
  unknown: [['path', { d: 'M12 1 23 12 12 23 1 12Z' }], ['path', { class: 'cut', d: 'M9.4 9.6a2.7 2.7 0 1 1 3.9 2.4c-.9.5-1.3 1-1.3 2M12 16.6v.8' }]],
};

/** A sign whose shape says what its colour says. */
export function sign(name) {
  return s('svg', { class: `sign ${name}`, viewBox: '0 0 24 24', 'aria-hidden': 'true' },
    SHAPES[name].map(([tag, props]) => s(tag, props)));
}

/** A part of a view under its own heading; `flush` ones hold a table from edge to edge. */
export function section(title, name, ...content) {
  return h(`section.panel${name}`, { 'aria-label': title }, h('h2', title), content);
}

/** A list of names and values. */
export function facts(pairs, name = 'facts') {
  return h('dl', { class: name }, pairs.filter(Boolean).map(([term, value, tone]) =>
    h('div', { class: tone ?? null }, h('dt', term), h('dd', value))));
}

/** A table that reads as one too where it is drawn as cards: columns are `{title, class}`. */
export function table(label, columns, name = '') {
  const body = h('tbody', { role: 'rowgroup' });
  const el = h('table', { class: `table ${name}`, role: 'table', 'aria-label': label },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, columns.map((column) =>
      h('th', { scope: 'col', role: 'columnheader', class: column.class ?? null }, column.title)))), body);
  return { el, body };
}

/** A row for `table`: its cells are told the columns' titles, for where there is no header in sight. */
export function row(columns, cells, name) {
  return h('tr', { role: 'row', class: name ?? null }, cells.map((cell, index) =>
    h('td', { role: 'cell', class: columns[index].class ?? null, 'data-title': columns[index].label ?? columns[index].title }, cell)));
}

/**
 * A part of the page with what a server is asked for: it waits, fails, or has it.
 *
 * What was shown stays while it is asked again, and an answer that was overtaken is thrown away.
 */
export class Panel {
  #asking = null;
  #isShown = false;

  constructor(el) {
    this.el = el;
  }

  async load(ask, show) {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    if (!this.#isShown) this.#put(h('p.note', 'Reading…'));
    try {
      const answer = await ask(asking.signal);
      if (asking.signal.aborted) return;
      this.#put(show(answer));
      this.#isShown = true;
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#isShown = false;
      this.#put(failure(error, () => this.load(ask, show)));
    }
  }

  /** Forgets what is shown. */
  clear() {
    this.#asking?.abort();
    this.#isShown = false;
    this.el.replaceChildren();
  }

  /** Stops waiting. */
  stop() {
    this.#asking?.abort();
  }

  #put(content) {
    // Whoever is on a link in here stays on it when it is read again; when it is gone, on the view's title.
    const at = this.el.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
    this.el.replaceChildren(...[content].flat(Infinity).filter(Boolean));
    if (at === null) return;
    const same = [...this.el.querySelectorAll('a[href]')].find((link) => link.getAttribute('href') === at);
    (same ?? document.querySelector('#view h1'))?.focus({ preventScroll: true });
  }
}

/** What went wrong, and trying again. */
export function failure(error, again) {
  return h('div.failure', { role: 'alert' }, sign('unknown'),
    h('div', h('strong', error.title ?? 'It failed'), ' ', h('span', error.detail ?? String(error.message ?? error))),
    again && h('button', { type: 'button', on: { click: again } }, 'Try again'));
}
