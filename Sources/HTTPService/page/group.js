// One group, one of its partitions, and one of that one's pending entries.

import { readPending } from './api.js';
import { Chart } from './charts.js';
import { facts, h, Panel, refill, row, section, setHidden, setText, table } from './dom.js';
import { Grid, legend } from './grid.js';
import { OrderTrail } from './order.js';
import { NUMBERS, setNumber } from './overview.js';
import { judgeGroup, WORDS } from './verdict.js';
import { age, appended, clean, count, many, name, orderOf, sentence, toEntry, toGroup, toOrder, toPartition } from './words.js';

const PENDING_MAX = 100;
/** How often what is asked for, rather than told by events, is read again. */
const EVERY = 5000;

const STATE_MEANS = {
  serving: 'a live worker holds it and gets on', stalled: 'a worker waits for a server or a person, and tries again',
  halted: 'stopped for good until a person decides', closed: 'the log is closed: nobody appends, nobody applies, until it is opened',
  unowned: 'no live worker holds it',
};
const PENDING_MEANS = {
  'in-flight': 'a live worker has it', orphaned: 'its consumer is gone; another reclaims it', lost: 'it is no longer in the log',
};

/** What all three have in common: a way back, a title, and a line when it isn't there. */
class View {
  constructor() {
    this.crumbs = h('nav.crumbs', { 'aria-label': 'Where this is' });
    this.heading = h('h1', { tabindex: -1 });
    this.missing = h('p.note');
    this.body = h('div');
    this.el = h('div', this.crumbs, this.heading, this.missing, this.body);
  }

  setCrumbs(links) {
    this.crumbs.replaceChildren(...links.flatMap(([text, href]) => [h('a', { href }, text), h('span', { 'aria-hidden': 'true' }, ' / ')]));
  }

  /** Finds the group in the snapshot; says why when it isn't there. */
  find({ snapshot, phase }) {
    const group = snapshot?.groups.find((one) => one.name === this.name) ?? null;
    const partition = this.number === undefined ? null : group?.partitions.find((one) => one.partition === this.number) ?? null;
    const isThere = group !== null && (this.number === undefined || partition !== null);
    setHidden(this.missing, isThere);
    setHidden(this.body, !isThere);
    if (!isThere) {
      setText(this.missing, snapshot === null ? (phase === 'unavailable' ? 'Nothing is known of it.' : 'Waiting for the first snapshot…')
        : group === null ? `There is no group ${clean(this.name)}.` : `There is no partition ${this.number}: the log has ${many(group.partitions.length, 'partition')}.`);
      return null;
    }
    return { group, partition };
  }

  show() {}
  hide() {}
}

export class GroupView extends View {
  show({ group }) {
    if (group !== this.name) this.#build(group);
    this.title = clean(group);
    this.chart.show();
  }

  hide() {
    this.chart.hide();
  }

  #build(group) {
    this.chart?.hide();
    this.name = group;
    this.setCrumbs([['Overview', '#/']]);
    setText(this.heading, clean(group));
    this.verdict = h('p.lead');
    this.numbers = NUMBERS.map(() => h('span'));
    this.workers = h('p.names');
    this.chart = new Chart(group, { heights: [120, 70], withTable: true });
    this.grid = new Grid(group);
    this.body.replaceChildren(this.verdict,
      facts(NUMBERS.map(({ title, about }, index) => [title, h('span', { title: about }, this.numbers[index])]), 'figures'),
      section('Last 15 minutes', '', this.chart.el),
      section('Partitions', '', legend(), this.grid.el),
      section('Workers', '', this.workers));
  }

  update(state) {
    const found = this.find(state);
    if (!found) return;
    const { group } = found;
    const verdict = judgeGroup(group);
    setText(this.verdict, verdict ? `${WORDS[verdict.level]}: it ${verdict.reason}.` : 'Following.');
    NUMBERS.forEach(({ read, isBad }, index) => setNumber(this.numbers[index], read(group), isBad(group)));
    this.chart.update(state.points, state.pointsTurn, state.historyError);
    this.grid.update(group.partitions);
    refill(this.workers, JSON.stringify(group.workers), () => (group.workers === null ? '? It isn’t known who serves it.'
      : group.workers.length === 0 ? `No workers yet. Start one: onewrite worker --group ${clean(group.name)}`
        : group.workers.map((worker) => h('code', clean(worker)))));
  }
}

const GROUP_COLUMNS = [{ title: 'Group' }, { title: 'State' }, { title: 'Position', class: 'n' }, { title: 'Lag', class: 'n' },
  { title: 'Pending', class: 'n' }, { title: 'Owner' }, { title: 'Token', class: 'n' }];
const PENDING_COLUMNS = [{ title: 'Entry ID' }, { title: 'Seq', class: 'n' }, { title: 'Change' }, { title: 'Type' }, { title: 'Consumer' },
  { title: 'Idle', class: 'n' }, { title: 'Deliveries', class: 'n' }, { title: 'State' }];

export class PartitionView extends View {
  #pending = new Panel(h('div'));
  #timer = null;

  show({ group, partition }) {
    if (group !== this.name || partition !== this.number) this.#build(group, partition);
    this.title = `${clean(group)}, partition ${partition}`;
    this.#ask();
    this.#timer = setInterval(() => {
      if (!document.hidden && !this.#pending.el.contains(document.activeElement)) this.#ask();
    }, EVERY);
  }

  hide() {
    clearInterval(this.#timer);
    this.#pending.stop();
  }

  #build(group, partition) {
    [this.name, this.number] = [group, partition];
    this.setCrumbs([['Overview', '#/'], [clean(group), toGroup(group)]]);
    setText(this.heading, `Partition ${partition}`);
    this.state = h('span');
    this.values = Object.fromEntries(['lag', 'position', 'head', 'pending', 'owner', 'token', 'epoch', 'refused'].map((key) => [key, h('span')]));
    this.error = h('p.trouble');
    this.others = table(`Partition ${partition} in all groups`, GROUP_COLUMNS, 'cards');
    this.#pending.clear();
    const { lag, position, head, pending, owner, token, epoch, refused } = this.values;
    this.body.replaceChildren(
      facts([['State', this.state], ['Lag', lag], ['Position', position], ['Head', head], ['Pending', pending], ['Owner', owner], ['Token', token], ['Epoch', epoch],
        ['Refused', refused]], 'figures'), this.error,
      section('Pending entries, oldest first', '.flush', this.#pending.el),
      section('This partition in all groups', '.flush', this.others.el));
  }

  update(state) {
    const found = this.find(state);
    if (!found) return;
    const { partition } = found;
    refill(this.state, partition.state, () => h('span', { class: `state-word ${partition.state ?? 'unknown'}`, title: STATE_MEANS[partition.state] ?? '' }, partition.state ?? '?'));
    for (const key of ['lag', 'position', 'head', 'pending', 'token', 'epoch', 'refused']) setText(this.values[key], count(partition[key]));
    setText(this.values.owner, partition.owner === null ? (partition.state === null ? '?' : '–') : name(partition.owner));
    setHidden(this.error, !partition.error && partition.state === 'serving');
    setText(this.error, sentence([STATE_MEANS[partition.state], partition.error && clean(partition.error)].filter(Boolean).join(': ')));
    const rows = state.snapshot.groups.map((group) => [group, group.partitions.find((one) => one.partition === this.number)]).filter(([, one]) => one);
    refill(this.others.body, JSON.stringify(rows.map(([group, one]) => [group.name, one])), () => rows.map(([group, one]) => row(GROUP_COLUMNS, [
      h('a', { href: toPartition(group.name, one.partition), 'aria-current': group.name === this.name ? 'true' : null }, clean(group.name)),
      h('span', { class: `state-word ${one.state ?? 'unknown'}` }, one.state ?? '?'), count(one.position), count(one.lag), count(one.pending),
      one.owner === null ? '–' : name(one.owner), count(one.token)])));
  }

  #ask() {
    this.#pending.load((signal) => readPending(this.name, this.number, PENDING_MAX, signal), (entries) => {
      if (entries.length === 0) return h('p.note', 'Nothing pending here.');
      const { el, body } = table('Pending entries', PENDING_COLUMNS, 'cards');
      body.append(...entries.map((entry) => row(PENDING_COLUMNS, [
        h('a.mono', { href: toEntry(entry.group, entry.partition, entry.entry) }, clean(entry.entry)), count(entry.seq),
        orderLink(entry), name(entry.type), name(entry.consumer), age(entry.idle_ms), count(entry.deliveries), pendingState(entry)])));
      return [el, entries.length >= PENDING_MAX && h('p.note', `The oldest ${PENDING_MAX}. All of them: onewrite pending --group ${clean(this.name)}`)];
    });
  }
}

function orderLink(entry) {
  const order = orderOf(entry.id, entry.type);
  return order ? h('a', { href: toOrder(order) }, clean(entry.id)) : h('span', name(entry.id));
}

const pendingState = (entry) => h('span', { class: `state-word ${entry.state === 'lost' ? 'halted' : entry.state === 'orphaned' ? 'stalled' : 'serving'}` }, name(entry.state));

export class EntryView extends View {
  #facts = new Panel(h('div.panel'));

  show({ group, partition, entry }) {
    this.title = `Entry ${clean(entry)}`;
    if (group === this.name && partition === this.at && entry === this.entry) return;
    [this.name, this.at, this.entry] = [group, partition, entry];
    this.setCrumbs([['Overview', '#/'], [clean(group), toGroup(group)], [`Partition ${partition}`, toPartition(group, partition)]]);
    this.heading.replaceChildren('Entry ', h('span.mono', clean(entry)));
    setHidden(this.missing, true);
    this.trail?.stop();
    this.trail = null;
    this.way = h('div');
    this.body.replaceChildren(this.#facts.el, this.way);
    this.#facts.clear();
    this.#facts.load((signal) => readPending(group, partition, 1000, signal), (entries) => {
      const found = entries.find((one) => one.entry === entry);
      if (!found) {
        return h('p.note', `It is not among the oldest pending entries of ${clean(group)} in partition ${partition}: it was acknowledged meanwhile, most likely. `,
          `It was appended at ${appended(entry)}.`);
      }
      const order = orderOf(found.id, found.type);
      if (order) this.#follow(order);
      return facts([['Entry ID', h('span.mono', clean(entry))], ['Appended', appended(entry)], ['Place', `partition ${partition}, seq ${count(found.seq)}`],
        ['Change', name(found.id)], ['Type', name(found.type)], ['Group', clean(found.group)], ['Consumer', name(found.consumer)],
        ['Idle', `${age(found.idle_ms)}, ${found.deliveries === 1 ? 'delivered once' : `delivered ${count(found.deliveries)} times`}`],
        ['State', h('span', pendingState(found), ` ${PENDING_MEANS[found.state] ?? ''}`)]]);
    });
  }

  #follow(order) {
    this.trail = new OrderTrail();
    this.way.replaceChildren(h('h2', `The way of ${clean(order)}`), this.trail.el);
    this.trail.load(order, null);
  }

  hide() {
    this.#facts.stop();
    this.trail?.stop();
  }

  update() {}
}
