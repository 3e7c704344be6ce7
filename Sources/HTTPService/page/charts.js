// Append against apply, and lag, over 15 minutes.

import { h, refill, s, setAttr, setHidden, setText } from './dom.js';
import { age, clock, count, rate } from './words.js';

const SPAN = 15 * 60_000;
const LEFT = 44;
const RIGHT = 8;
const TOP = 6;
const BOTTOM = 16;
const GAP = 16;

/** A round number that holds `value`: 1, 2, 5, 10, 20 … */
function ceiling(value, least) {
  const wanted = Math.max(value, least);
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 5, 10].map((step) => step * power).find((round) => round >= wanted * 0.999) ?? wanted;
}

const short = (value) => (value >= 1e6 ? `${+(value / 1e6).toFixed(1)}M` : value >= 1e4 ? `${+(value / 1e3).toFixed(1)}k` : rate(value));

export class Chart {
  #points = [];
  #turn = -1;
  #width = 0;
  #isSized = false;

  constructor(group, { heights = [70, 44], withTable = false } = {}) {
    this.group = group;
    this.heights = heights;
    const key = (name, text) => h('span', { class: `key ${name}` }, s('svg', { width: 18, height: 8, 'aria-hidden': 'true' },
      s('path', { class: `line ${name}`, d: 'M0 4H18' })), text);
    this.readout = h('span.chart-now');
    this.svg = s('svg', { class: 'chart', role: 'img', height: TOP + heights[0] + GAP + heights[1] + BOTTOM });
    this.empty = h('p.note');
    this.el = h('figure.figure',
      h('figcaption', key('append', 'append/s'), key('applied', 'applied/s'), key('lag', 'lag'), this.readout), this.svg, this.empty);
    this.svg.addEventListener('pointermove', (event) => this.#hover(event));
    this.svg.addEventListener('pointerleave', () => this.#hover(null));
    if (withTable) this.#addTable();
    this.sizes = new ResizeObserver(([entry]) => {
      const width = Math.round(entry.contentRect.width);
      if (width === this.#width) return;
      this.#width = width;
      this.#draw();
    });
  }

  /** Watches its width only while it is in sight. */
  show() {
    if (!this.#isSized) this.sizes.observe(this.el);
    this.#isSized = true;
  }

  hide() {
    this.sizes.disconnect();
    this.#isSized = false;
  }

  update(points, turn, error) {
    if (turn === this.#turn) return;
    this.#turn = turn;
    this.#points = points.filter((point) => point.groups[this.group]).map((point) => ({ at: point.at, ...point.groups[this.group] }));
    this.error = error;
    this.#draw();
    if (this.details?.open) this.#fillTable();
  }

  #draw() {
    const points = this.#points;
    const isEmpty = points.length < 2;
    setHidden(this.empty, !isEmpty);
    setAttr(this.svg, 'class', isEmpty ? 'chart gone' : 'chart');
    if (isEmpty) {
      setText(this.readout, '');
      setText(this.empty, this.error ? `No history: ${this.error.detail}. It begins now.` : 'The history begins now; the first line is drawn in some seconds.');
      return;
    }
    if (this.#width < 80) return;
    const [width, end] = [this.#width, points.at(-1).at];
    const x = (at) => LEFT + (width - LEFT - RIGHT) * (1 - (end - at) / SPAN);
    const [rates, lags] = this.heights;
    const floor = TOP + rates;
    const base = floor + GAP + lags;
    const most = (keys) => Math.max(0, ...points.flatMap((point) => keys.map((key) => point[key] ?? 0)));
    const rateMax = ceiling(most(['append_per_second', 'applied_per_second']), 1);
    const lagMax = ceiling(most(['lag']), 10);
    const y = (value) => floor - (rates * value) / rateMax;
    const z = (value) => base - (lags * value) / lagMax;
    const line = (key, height) => {
      let path = '';
      let before = null;
      for (const point of points) {
        const value = point[key];
        // A hole in what is known is a hole in the line.
        if (value === null || value === undefined) {
          before = null;
          continue;
        }
        path += `${before === null || point.at - before > 20_000 ? 'M' : 'L'}${x(point.at).toFixed(1)} ${height(value).toFixed(1)}`;
        before = point.at;
      }
      return path;
    };
    const lag = line('lag', z);
    const area = lag.split('M').filter(Boolean).map((part) => {
      const ends = part.split('L');
      return `M${ends[0].split(' ')[0]} ${base}L${part}L${ends.at(-1).split(' ')[0]} ${base}Z`;
    }).join('');
    const text = (value, left, top, anchor) => s('text', { x: left, y: top, 'text-anchor': anchor, text: value });
    const rule = (height) => s('path', { class: 'rule', d: `M${LEFT} ${height}H${width - RIGHT}` });
    this.svg.replaceChildren(
      rule(y(rateMax)), rule(y(rateMax / 2)), rule(floor), rule(z(lagMax)), rule(base),
      text(short(rateMax), LEFT - 6, y(rateMax) + 4, 'end'), text('0', LEFT - 6, floor + 4, 'end'),
      text(short(lagMax), LEFT - 6, z(lagMax) + 4, 'end'), text('0', LEFT - 6, base + 4, 'end'),
      ...[15, 10, 5].map((minutes) => text(`−${minutes}m`, Math.max(LEFT, x(end - minutes * 60_000)), base + 14, minutes === 15 ? 'start' : 'middle')),
      text('now', width - RIGHT, base + 14, 'end'),
      s('path', { class: 'area', d: area }), s('path', { class: 'line lag', d: lag }),
      s('path', { class: 'line append', d: line('append_per_second', y) }),
      s('path', { class: 'line applied', d: line('applied_per_second', y) }),
      s('path', { class: 'cross', d: '' }));
    this.cross = this.svg.lastChild;
    this.place = { x, base };
    const now = points.at(-1);
    const highest = most(['lag']);
    setAttr(this.svg, 'aria-label', `Last ${Math.round((end - points[0].at) / 60_000)} minutes of ${this.group}: append ${rate(now.append_per_second)} and applied ${
      rate(now.applied_per_second)} entries per second, lag ${count(now.lag)} now, ${count(highest)} at the highest`);
    this.highest = `highest lag ${count(highest)}`;
    setText(this.readout, this.highest);
  }

  #hover(event) {
    if (!this.cross || this.#points.length < 2) return;
    if (!event) {
      setAttr(this.cross, 'd', '');
      setText(this.readout, this.highest ?? '');
      return;
    }
    const left = event.offsetX;
    let best = this.#points[0];
    for (const point of this.#points) {
      if (Math.abs(this.place.x(point.at) - left) < Math.abs(this.place.x(best.at) - left)) best = point;
    }
    setAttr(this.cross, 'd', `M${this.place.x(best.at).toFixed(1)} ${TOP}V${this.place.base}`);
    setText(this.readout, `${clock(best.at)}: append ${rate(best.append_per_second)}/s, applied ${rate(best.applied_per_second)}/s, lag ${
      count(best.lag)}${best.lag_seconds > 0 ? ` (${age(best.lag_seconds * 1000)})` : ''}`);
  }

  #addTable() {
    this.body = h('tbody');
    this.details = h('details.numbers', { on: { toggle: () => this.details.open && this.#fillTable() } },
      h('summary', 'The same as a table'),
      h('div.scroll.short', { tabindex: 0, role: 'region', 'aria-label': `History of ${this.group} as a table` },
        h('table.plain', h('thead', h('tr', ['At', 'Append/s', 'Applied/s', 'Lag', 'Behind'].map((title) =>
          h('th', { scope: 'col' }, title)))), this.body)));
    this.el.append(this.details);
  }

  #fillTable() {
    refill(this.body, this.#turn, () => [...this.#points].reverse().map((point) => h('tr',
      h('th', { scope: 'row' }, clock(point.at)),
      [rate(point.append_per_second), rate(point.applied_per_second), count(point.lag), point.lag_seconds === null ? '?' : age(point.lag_seconds * 1000)]
        .map((text) => h('td', text)))));
  }
}

/** A line of the last 15 minutes' lag for a row of a table. */
export class Spark {
  #turn = -1;

  constructor(group) {
    this.group = group;
    this.area = s('path', { class: 'area' });
    this.line = s('path', { class: 'line lag' });
    this.el = s('svg', { class: 'spark', viewBox: '0 0 120 22', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, this.area, this.line);
  }

  update(points, turn) {
    if (turn === this.#turn) return;
    this.#turn = turn;
    const known = points.filter((point) => typeof point.groups[this.group]?.lag === 'number');
    if (known.length < 2) return;
    const end = points.at(-1).at;
    const most = Math.max(10, ...known.map((point) => point.groups[this.group].lag));
    const path = known.map((point) => `${(120 * (1 - (end - point.at) / SPAN)).toFixed(1)} ${(21 - (19 * point.groups[this.group].lag) / most).toFixed(1)}`);
    setAttr(this.line, 'd', `M${path.join('L')}`);
    setAttr(this.area, 'd', `M${path[0].split(' ')[0]} 22L${path.join('L')}L${path.at(-1).split(' ')[0]} 22Z`);
  }
}
