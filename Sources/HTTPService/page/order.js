// One order's way through the log and every store.

import { findOrder, readOrder } from './api.js';
import { facts, h, Panel, section, setText, sign } from './dom.js';
import { age, appended, clean, count, many, moment, name, toOrder, toPartition, toStock } from './words.js';

const STEP_SIGN = { applied: 'following', pending: 'behind', lagging: 'behind', 'dead-letter': 'stalled', unknown: 'unknown' };
const STEP_WORD = { applied: 'applied', pending: 'pending', lagging: 'not read yet', 'dead-letter': 'dead letter', unknown: '?' };
const JOB_SIGN = { waiting: 'behind', taken: 'following', 'not-made': 'behind', unknown: 'unknown' };

function before(number) {
  return number > 0 ? ` ${many(number, 'entry', 'entries')} before it.` : '';
}

function stepText(step) {
  switch (step.state) {
    case 'applied': return step.applied_at ? moment(step.applied_at) : '';
    case 'pending': return `With ${name(step.consumer)}, idle ${age(step.idle_ms)}, try ${count(step.deliveries)}.${before(step.entries_before)}`;
    case 'lagging': return before(step.entries_before).trim();
    case 'dead-letter': return `${name(step.reason)}: ${step.error === null ? '' : clean(step.error)}`;
    default: return 'The store can’t be asked.';
  }
}

function jobText(job) {
  switch (job.state) {
    case 'waiting': return ['waiting', job.jobs_before === 0 ? 'Next to be taken.' : `${many(job.jobs_before, 'job')} before it.`];
    case 'taken': return ['taken', 'By the delivery service.'];
    case 'not-made': return ['not made yet', 'The group delivery has not made it.'];
    default: return ['?', 'The list can’t be searched.'];
  }
}

const step = (kind, title, word, text, link) => h('li', { class: `step ${kind}` }, sign(kind),
  h('div', h('div.step-head', h('b', link ? h('a', { href: link }, title) : title), h('span.step-word', word)),
    text && h('p', text)));

/** A change's way: its place in the log, then what each group did with it, then the job. */
function way(change, partition) {
  const isPlaced = change.seq !== null && change.seq !== undefined;
  const [jobWord, jobAbout] = jobText(change.job);
  const deadLetter = change.groups.some((one) => one.state === 'dead-letter') && isPlaced;
  return h('ol.way',
    step(isPlaced ? 'following' : 'unknown', 'log', isPlaced ? `partition ${partition}, seq ${count(change.seq)}, epoch ${count(change.epoch)}` : `partition ${partition}, seq ?`,
      isPlaced ? `${clean(change.entry)}, appended ${appended(change.entry)}` : 'Nobody remembers its place.'),
    h('li.fork', h('ul', change.groups.map((one) =>
      step(STEP_SIGN[one.state] ?? 'unknown', clean(one.name), STEP_WORD[one.state] ?? name(one.state), stepText(one), toPartition(one.name, partition))))),
    step(JOB_SIGN[change.job.state] ?? 'unknown', 'delivery job', jobWord, jobAbout),
    deadLetter && h('li.aside', h('a', { href: `#/dead/${partition}:${change.seq}` }, `Dead letter ${partition}:${change.seq}`)));
}

/** The trail as a part of a view. */
export class OrderTrail {
  #panel = new Panel(h('div'));

  constructor(told = () => {}) {
    this.el = this.#panel.el;
    this.told = told;
  }

  load(id, shop) {
    const ask = (signal) => (shop ? readOrder(shop, id, signal) : findOrder(id, signal));
    this.#panel.load(async (signal) => {
      try {
        return await ask(signal);
      } catch (error) {
        if (error.status === 404) return { missing: error };
        throw error;
      }
    }, (trail) => (trail.missing ? this.#missing(id, shop, trail.missing) : this.#show(trail)));
  }

  clear() {
    this.#panel.clear();
  }

  stop() {
    this.#panel.stop();
  }

  #missing(id, shop, problem) {
    this.told(null);
    return h('div.panel', h('p', h('strong', `No order ${clean(id)}${shop ? ` of shop ${clean(shop)}` : ''}. `), clean(problem.detail ?? '')),
      !shop && h('p.dim', 'One that is not applied yet is found with its shop.'));
  }

  #show(trail) {
    this.told(trail);
    const { order, cancellation, incidents } = trail;
    const returns = trail.returns ?? [];
    const status = order ? order.status : trail.postgres_error === null ? 'not in Postgres' : '?';
    return [
      trail.postgres_error !== null && h('p.trouble', `Postgres can’t be asked: ${clean(trail.postgres_error)}`),
      facts([
        ['Order', clean(trail.id)],
        ['Shop', h('span', clean(trail.shop), ' ', h('a.small', { href: toStock(trail.shop) }, 'stock'))],
        ['Status', h('span', { class: `state-word ${order?.status === 'placed' ? 'serving' : 'unowned'}` }, clean(status))],
        order && ['Placed', moment(order.placed_at)], order && ['Customer', clean(order.customer)],
        order && ['Lines', order.lines.map((line, index) => [index > 0 && ', ', h('span.nowrap', `${clean(line.sku)} × ${count(line.quantity)}${line.returned > 0 ? ` (${count(line.returned)} back)` : ''}`)])],
      ], 'facts panel'),
      section(cancellation || returns.length > 0 ? 'Placed' : 'Its way', '', way(trail, trail.partition)),
      cancellation && section(`Cancelled: ${clean(cancellation.id)}`, '', way(cancellation, trail.partition)),
      ...returns.map((one) => section(`Came back: ${clean(one.id)}`, '', way(one, trail.partition))),
      incidents?.length > 0 && section('Incidents', '', h('ul.plainlist', incidents.map((one) =>
        h('li', h('b', clean(one.kind)), ` ${one.at === null ? '' : moment(one.at)} by ${clean(one.who)}: ${clean(one.what)} (${clean(one.reason)})`)))),
    ];
  }
}

/** The page of an order, and the search for one. */
export class OrderView {
  constructor() {
    this.heading = h('h1', { tabindex: -1 });
    this.id = h('input', { id: 'order-id', name: 'id', required: true, maxlength: 256, autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false' });
    this.shop = h('input', { id: 'order-shop', name: 'shop', maxlength: 256, autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', placeholder: 'any shop' });
    this.again = h('button', { type: 'button', on: { click: () => this.#ask() } }, 'Read again');
    this.form = h('form.asking', { on: { submit: (event) => this.#submit(event) } },
      h('label', { for: 'order-id' }, 'Order ID'), this.id, h('label', { for: 'order-shop' }, 'Shop'), this.shop, h('button.main', 'Search'), this.again);
    this.trail = new OrderTrail();
    this.el = h('div', this.heading, this.form, this.trail.el);
  }

  show({ id, shop }) {
    this.title = id ? `Order ${clean(id)}` : 'Order';
    setText(this.heading, this.title);
    const isSame = id === this.asked?.id && shop === this.asked?.shop;
    this.asked = { id, shop };
    this.id.value = id ?? '';
    this.shop.value = shop ?? '';
    this.again.hidden = !id;
    if (!id) {
      this.trail.clear();
    } else {
      if (!isSame) this.trail.clear();
      this.#ask();
    }
  }

  #ask() {
    this.trail.load(this.asked.id, this.asked.shop);
  }

  #submit(event) {
    event.preventDefault();
    const [id, shop] = [this.id.value.trim(), this.shop.value.trim()];
    if (id === '') return;
    const to = toOrder(id, shop);
    if (to === location.hash) this.#ask();
    else location.hash = to;
  }

  hide() {
    this.trail.stop();
  }

  update() {}
}
