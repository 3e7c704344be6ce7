// All groups at a glance.

import { Chart, Spark } from './charts.js';
import { h, row, section, setClass, setHidden, setText, table } from './dom.js';
import { Grid, legend } from './grid.js';
import { hasNoWorker, isBehind, isOld, judgeGroup } from './verdict.js';
import { behind, bytes, catchUp, clean, count, oldestPending, rate, toGroup } from './words.js';

/** The numbers of a group: what they are called, how they read, and when they need a person. */
export const NUMBERS = [
  { title: 'Lag', about: 'entries of the log that it has not applied', read: (group) => count(group.lag), isBad: () => false },
  { title: 'Behind', about: 'how long ago the oldest entry that it has not applied was appended', read: behind, isBad: isBehind },
  { title: 'Pending', about: 'entries delivered and not acknowledged', read: (group) => count(group.pending), isBad: () => false },
  { title: 'Oldest', about: 'how long the oldest pending entry has waited', read: oldestPending, isBad: isOld },
  { title: 'Dead', about: 'dead letters that nobody has retried or dropped', read: (group) => count(group.dead), isBad: (group) => (group.dead ?? 0) > 0 },
  { title: 'Refused', about: 'batches refused because another worker had taken over; without effect', read: (group) => count(group.refused), isBad: () => false },
  { title: 'Append/s', about: 'entries appended to the log per second lately', read: (group) => rate(group.append_per_second), isBad: () => false },
  { title: 'Applied/s', about: 'entries applied per second lately', read: (group) => rate(group.applied_per_second),
    isBad: (group) => group.applied_per_second === 0 && (group.lag ?? 0) > 0 && isBehind(group) },
  { title: 'Catch up', about: 'when it will have applied all there is, at the present rates', read: catchUp, isBad: (group) => isBehind(group) && catchUp(group) === 'never' },
  { title: 'Workers', about: 'live workers', read: (group) => (group.workers === null ? '?' : count(group.workers.length)), isBad: hasNoWorker },
];

/** A number that is marked with `!` when it needs a person, never by colour alone. */
export function setNumber(node, text, isBad) {
  setText(node, isBad ? `! ${text}` : text);
  setClass(node, isBad ? 'bad' : '');
}

const COLUMNS = [{ title: 'Group' }, ...NUMBERS.map(({ title, about }) => ({ title: h('abbr', { title: about }, title), label: title, class: 'n' })),
  { title: 'Lag, 15 min', class: 'spark-cell' }];

export class Overview {
  title = 'Overview';
  #groups = new Map();

  constructor() {
    const { el, body } = table('Groups', COLUMNS, 'cards groups');
    this.body = body;
    this.panels = h('div.panels');
    this.memory = h('p.memory');
    this.workers = h('p.note');
    this.empty = h('p.note', 'No groups yet. They are made with the log: onewrite init');
    this.full = h('div',
      section('Groups', '.flush', el, this.empty),
      this.workers,
      h('section', { 'aria-label': 'Partitions' }, h('h2', 'Partitions'), legend(), this.panels),
      section('Redis’s memory', '', this.memory));
    this.waiting = h('div.skeletons', { 'aria-busy': 'true' }, h('p.note', 'Waiting for the first snapshot…'), [150, 260].map((height) => {
      const bone = h('div.skeleton');
      bone.style.height = `${height}px`;
      return bone;
    }));
    this.down = section('What to do', '',
      h('p', 'See whether the servers run and let this one in: ', h('code', 'onewrite doctor'), ' tells. Workers go on by themselves where they stopped, and so does this page.'));
    this.el = h('div', h('h1.hide', { tabindex: -1 }, 'Overview'), this.waiting, this.down, this.full);
  }

  show() {
    this.isShown = true;
    for (const group of this.#groups.values()) group.chart.show();
  }

  hide() {
    this.isShown = false;
    for (const group of this.#groups.values()) group.chart.hide();
  }

  update({ snapshot, points, pointsTurn, historyError, phase }) {
    setHidden(this.waiting, snapshot !== null || phase === 'unavailable');
    setHidden(this.down, snapshot !== null || phase !== 'unavailable');
    setHidden(this.full, snapshot === null);
    if (!snapshot) return;
    this.#arrange(snapshot.groups);
    setHidden(this.empty, snapshot.groups.length > 0);
    for (const group of snapshot.groups) {
      const shown = this.#groups.get(group.name);
      const verdict = judgeGroup(group);
      setClass(shown.row, verdict ? verdict.level : '');
      NUMBERS.forEach(({ read, isBad }, index) => setNumber(shown.numbers[index], read(group), isBad(group)));
      shown.spark.update(points, pointsTurn);
      shown.grid.update(group.partitions);
      shown.chart.update(points, pointsTurn, historyError);
    }
    const hasWorkers = snapshot.groups.some((group) => group.workers === null || group.workers.length > 0);
    setHidden(this.workers, hasWorkers || snapshot.groups.length === 0);
    setText(this.workers, `No workers yet: nothing is applied until one runs. Start one: onewrite worker --group ${clean(snapshot.groups[0]?.name ?? 'postgres')}`);
    this.#tellMemory(snapshot.memory);
  }

  #arrange(groups) {
    const names = groups.map((group) => group.name);
    const key = JSON.stringify(names);
    if (this.key === key) return;
    this.key = key;
    for (const name of names) if (!this.#groups.has(name)) this.#groups.set(name, this.#make(name));
    for (const [name, group] of this.#groups) {
      if (names.includes(name)) continue;
      group.chart.hide();
      this.#groups.delete(name);
    }
    const shown = names.map((name) => this.#groups.get(name));
    this.body.replaceChildren(...shown.map((group) => group.row));
    this.panels.replaceChildren(...shown.map((group) => group.panel));
  }

  #make(name) {
    const numbers = NUMBERS.map(() => h('span'));
    const spark = new Spark(name);
    const grid = new Grid(name);
    const chart = new Chart(name, { heights: [56, 36] });
    if (this.isShown) chart.show();
    const link = () => h('a.name', { href: toGroup(name) }, clean(name));
    return {
      numbers, spark, grid, chart,
      row: row(COLUMNS, [link(), ...numbers, spark.el]),
      panel: h('section.panel', { 'aria-label': `Partitions of ${clean(name)}` }, h('h3', link()), chart.el, grid.el),
    };
  }

  #tellMemory(memory) {
    setHidden(this.memory.parentNode, !memory);
    if (!memory) return;
    const { used, max, log, window: seen, stock, deliveries, log_growth_per_day: growth, days_left: left } = memory;
    setText(this.memory, `${bytes(used)}${max === null ? '' : ` of ${bytes(max)}`}: log ${bytes(log)}${
      growth > 0 ? ` (${bytes(growth)} more a day)` : ''}, window ${bytes(seen)}, stock ${bytes(stock)}, deliveries ${bytes(deliveries)}${
      left === null ? '' : `; full in ${Math.floor(left)} days`}`);
  }
}
