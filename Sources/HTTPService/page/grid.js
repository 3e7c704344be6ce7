// The partitions of a group as a grid: state by colour, shape and letter, lag by depth of colour.

import { h, setAttr, setClass, setHidden, setText } from './dom.js';
import { clean, count, name, toPartition } from './words.js';

const LETTERS = { serving: '', stalled: 'S', halted: 'H', closed: 'C', unowned: 'U' };
const STATES = ['serving', 'stalled', 'halted', 'closed', 'unowned'];
/** Worst first: what is named when there is room for few. */
const TROUBLED = ['halted', 'closed', 'stalled', 'unowned'];
const BUSY_MIN = 10;

/** How deep a lag is drawn: 0, below 10, 100, 1000, and from there on. */
const depth = (lag) => (lag === null ? 0 : lag === 0 ? 0 : lag < 10 ? 1 : lag < 100 ? 2 : lag < 1000 ? 3 : 4);
const stateOf = (partition) => (LETTERS[partition.state] === undefined ? 'unknown' : partition.state);

/** What a screen reader and the line below the grid say of a partition. */
function describe(partition, isLong = false) {
  const parts = [`partition ${partition.partition}`, stateOf(partition), `lag ${count(partition.lag)}`];
  if (isLong) parts.push(`pending ${count(partition.pending)}`, partition.owner === null ? 'no owner' : `owner ${name(partition.owner)}`);
  if (isLong && partition.error) parts.push(clean(partition.error, 160));
  return parts.join(', ');
}

export class Grid {
  #cells = [];
  #numbers = [];
  #keys = [];
  #labels = [];
  #size = '';
  #at = 0;
  #shown = null;
  #partitions = [];

  constructor(group) {
    this.group = group;
    this.box = h('div.grid', {
      role: 'group', 'aria-label': `Partitions of ${clean(group)}; arrow keys move`,
      on: {
        keydown: (event) => this.#press(event),
        focusin: (event) => this.#look(event.target, true),
        focusout: () => this.#look(null),
        mouseover: (event) => this.#look(event.target),
        mouseleave: () => this.#look(null),
      },
    });
    this.readout = h('p.readout');
    this.notes = h('p.notable');
    this.el = h('div.gridbox', this.box, this.readout, this.notes);
  }

  update(partitions) {
    this.#partitions = partitions;
    if (partitions.length !== this.#cells.length) this.#build(partitions);
    const busiest = this.#busiest(partitions);
    const tells = this.#size === 'large' || this.#size === 'medium';
    for (let index = 0; index < partitions.length; index += 1) {
      const partition = partitions[index];
      const state = stateOf(partition);
      const key = `cell ${state} d${depth(partition.lag)}${busiest.has(index) ? ' top' : ''}`;
      if (key !== this.#keys[index]) {
        this.#keys[index] = key;
        this.#cells[index].className = key;
        if (!tells) this.#cells[index].firstChild.data = LETTERS[state] ?? '?';
        if (!tells) this.#label(index, describe(partition));
      }
      if (!tells) continue;
      this.#label(index, describe(partition));
      const [mark, lag] = this.#numbers[index];
      setText(mark, this.#size === 'large' ? state : LETTERS[state] ?? '?');
      if (lag) setText(lag, count(partition.lag));
    }
    this.#sum(partitions, busiest);
    this.#tell();
  }

  #label(index, text) {
    if (this.#labels[index] === text) return;
    this.#labels[index] = text;
    this.#cells[index].setAttribute('aria-label', text);
  }

  #build(partitions) {
    const number = partitions.length;
    this.#size = number <= 16 ? 'large' : number <= 64 ? 'medium' : number <= 400 ? 'small' : 'tiny';
    setClass(this.box, `grid ${this.#size}`);
    this.#at = Math.min(this.#at, Math.max(0, number - 1));
    this.#keys = [];
    this.#labels = [];
    this.#numbers = [];
    this.#cells = partitions.map((partition, index) => {
      const cell = h('a.cell', { href: toPartition(this.group, partition.partition), tabindex: index === this.#at ? 0 : -1 });
      if (this.#size === 'large') {
        const [mark, lag] = [h('span.state'), h('b.lag')];
        cell.append(h('span.number', partition.partition), lag, mark);
        this.#numbers.push([mark, lag]);
      } else if (this.#size === 'medium') {
        const mark = h('b.letter');
        cell.append(h('span.number', partition.partition), mark);
        this.#numbers.push([mark, null]);
      } else {
        cell.append(document.createTextNode(''));
      }
      return cell;
    });
    this.box.replaceChildren(...this.#cells);
  }

  /** The three partitions with the highest lag, when it is one to speak of. */
  #busiest(partitions) {
    const best = [];
    if (partitions.length > 1) {
      for (let index = 0; index < partitions.length; index += 1) {
        const lag = partitions[index].lag ?? 0;
        if (lag < BUSY_MIN || (best.length === 3 && lag <= partitions[best[2]].lag)) continue;
        best.push(index);
        best.sort((left, right) => partitions[right].lag - partitions[left].lag);
        best.length = Math.min(best.length, 3);
      }
    }
    this.best = best;
    return new Set(best);
  }

  /** `2 stalled: 3 5 · busiest: 7 (lag 4 120)`, as links. */
  #sum(partitions, busiest) {
    const troubled = TROUBLED.map((state) => [state, partitions.filter((one) => one.state === state)]).filter(([, found]) => found.length > 0);
    const key = troubled.map(([state, found]) => `${state} ${found.map((one) => one.partition)}`).join() + this.best;
    if (key !== this.key) {
      this.key = key;
      const links = (found) => found.slice(0, 6).flatMap((one) => [' ', h('a', { href: toPartition(this.group, one.partition) }, one.partition)]);
      this.lags = this.best.map(() => h('span.dim'));
      const parts = troubled.map(([state, found]) => h('span.part',
        h('span', { class: `swatch ${state}`, 'aria-hidden': 'true' }, LETTERS[state]),
        `${count(found.length)} ${state}:`, links(found), found.length > 6 ? ` and ${found.length - 6} more` : ''));
      if (busiest.size > 0) {
        parts.push(h('span.part', 'busiest:', this.best.map((index, rank) =>
          [' ', h('a', { href: toPartition(this.group, partitions[index].partition) }, partitions[index].partition), this.lags[rank]])));
      }
      this.notes.replaceChildren(...parts);
      setHidden(this.notes, parts.length === 0);
    }
    this.best.forEach((index, rank) => setText(this.lags[rank], ` (lag ${count(partitions[index].lag)})`));
  }

  // MARK: Looking at one cell

  #look(target, isFocus = false) {
    const cell = target?.closest?.('.cell');
    const index = cell ? this.#cells.indexOf(cell) : this.#cells.indexOf(document.activeElement);
    this.#shown = index < 0 ? null : index;
    if (isFocus && index >= 0) {
      this.#move(index, false);
      this.#label(index, describe(this.#partitions[index], true));
    }
    this.#tell();
  }

  #tell() {
    const partition = this.#shown === null ? null : this.#partitions[this.#shown];
    setText(this.readout, partition ? describe(partition, true).replaceAll(', ', ' · ') : this.#summary());
  }

  #summary() {
    const total = this.#partitions.length;
    const serving = this.#partitions.filter((one) => one.state === 'serving').length;
    return total === 0 ? 'no partitions known' : `${count(serving)} of ${count(total)} serving`;
  }

  #move(index, withFocus = true) {
    if (index !== this.#at) {
      setAttr(this.#cells[this.#at], 'tabindex', -1);
      setAttr(this.#cells[index], 'tabindex', 0);
      this.#at = index;
    }
    if (withFocus) this.#cells[index].focus();
  }

  #press(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const last = this.#cells.length - 1;
    const top = this.#cells[0]?.offsetTop;
    let columns = this.#cells.findIndex((cell) => cell.offsetTop !== top);
    if (columns < 1) columns = last + 1;
    const to = {
      ArrowRight: this.#at + 1, ArrowLeft: this.#at - 1, ArrowDown: this.#at + columns, ArrowUp: this.#at - columns,
      Home: 0, End: last, PageDown: Math.min(last, this.#at + 5 * columns), PageUp: Math.max(0, this.#at - 5 * columns),
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to >= 0 && to <= last) this.#move(to);
  }
}

/** What the colours and letters mean. */
export function legend() {
  const swatch = (state, letter) => h('span', { class: `swatch ${state}`, 'aria-hidden': 'true' }, letter);
  return h('p.legend',
    STATES.slice(1).map((state) => h('span', swatch(state, LETTERS[state]), state)), h('span', swatch('unknown', '?'), 'unknown'),
    h('span.scale', swatch('serving', ''), 'serving, lag', [['0', 0], ['<10', 1], ['<100', 2], ['<1000', 3], ['more', 4]].map(([text, level]) =>
      h('span', swatch(`serving d${level}`, ''), text))), h('span', swatch('serving top', ''), 'busiest'));
}

export { describe };
