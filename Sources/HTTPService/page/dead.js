// Dead letters: the list, one of them whole, and retrying or dropping some.

import { actOnDead, readDead, readLetter } from './api.js';
import { facts, failure, h, Panel, row, section, setAttr, setHidden, setText, table } from './dom.js';
import { can, state } from './state.js';
import { age, clean, count, many, name, orderOf, toLetter, toOrder, toPartition, visible } from './words.js';

const LIMIT = 500;
const NEEDS_ROLE = 'To retry or drop, the role operate is needed; you may only look.';

/** How long ago the first group set it aside. */
const ageOf = (letter) => (letter.groups.length === 0 ? '?' : age(Math.max(...letter.groups.map((one) => one.age_ms))));

function resolutionText(resolution) {
  if (resolution.outcome === 'retried') return `retried as ${count(resolution.partition)}:${resolution.seq ?? '?'}`;
  return `dropped: ${clean(resolution.reason ?? '?')}`;
}

const groupsOf = (letter) => [...letter.unknown.map((group) => `${clean(group)}?`), ...letter.groups.map((one) => clean(one.group))].join(' ');

export class DeadView {
  title = 'Dead letters';
  #panel = new Panel(h('div'));
  #letters = [];
  #chosen = new Set();
  #rows = new Map();

  constructor() {
    this.heading = h('h1', { tabindex: -1 }, 'Dead letters');
    this.group = h('select', { id: 'dead-group', on: { change: () => this.#go() } });
    this.all = h('input', { type: 'checkbox', id: 'dead-all', on: { change: () => this.#go() } });
    this.filter = h('input', { type: 'search', id: 'dead-filter', placeholder: 'reason, shop, ID, error', autocomplete: 'off', spellcheck: 'false', on: { input: () => this.#draw() } });
    this.again = h('button', { type: 'button', on: { click: () => this.#ask() } }, 'Read again');
    this.every = h('input', { type: 'checkbox', 'aria-label': 'Select all that are shown', on: { change: () => this.#chooseEvery() } });
    this.chosenText = h('span.chosen');
    this.retry = h('button', { type: 'button', on: { click: () => this.#act('retry') } }, 'Retry…');
    this.drop = h('button', { type: 'button', on: { click: () => this.#act('drop') } }, 'Drop…');
    this.mayNot = h('span.dim', { id: 'dead-may-not' }, NEEDS_ROLE);
    this.actions = h('div.actions', { role: 'group', 'aria-label': 'What to do with the selected ones' }, this.chosenText, this.retry, this.drop, this.mayNot);
    this.el = h('div', this.heading,
      h('div.asking', { role: 'search', 'aria-label': 'Dead letters' }, h('label', { for: 'dead-filter' }, 'Filter'), this.filter, h('label', { for: 'dead-group' }, 'Group'), this.group,
        h('label.check', { for: 'dead-all' }, this.all, ' Also retried and dropped'), this.again), this.actions, this.#panel.el);
  }

  show({ group, all }) {
    this.asked = { group: group ?? '', all: Boolean(all), limit: LIMIT };
    this.all.checked = this.asked.all;
    this.groupsKey = null;
    this.update(state);
    this.#ask();
  }

  hide() {
    this.#panel.stop();
  }

  /** The groups to choose among, and what this person may do. */
  update({ snapshot }) {
    const names = snapshot?.groups.map((one) => one.name) ?? [];
    if (this.asked.group !== '' && !names.includes(this.asked.group)) names.push(this.asked.group);
    const key = JSON.stringify(names);
    if (key !== this.groupsKey) {
      this.groupsKey = key;
      this.group.replaceChildren(h('option', { value: '' }, 'all groups'), ...names.map((one) => h('option', { value: one }, clean(one))));
      this.group.value = this.asked.group;
    }
    const may = can('operate');
    setHidden(this.mayNot, may);
    for (const button of [this.retry, this.drop]) {
      button.disabled = !may || this.#chosen.size === 0;
      setAttr(button, 'aria-describedby', may ? null : 'dead-may-not');
    }
    setText(this.chosenText, this.#chosen.size === 0 ? 'None selected' : `${count(this.#chosen.size)} selected`);
  }

  #go() {
    const query = new URLSearchParams();
    if (this.group.value !== '') query.set('group', this.group.value);
    if (this.all.checked) query.set('all', 'true');
    location.hash = `#/dead${query.size > 0 ? `?${query}` : ''}`;
  }

  #ask() {
    this.#panel.load((signal) => readDead(this.asked, signal), (letters) => {
      this.#letters = letters;
      const there = new Set(letters.filter((one) => !one.resolved).map((one) => one.letter));
      this.#chosen = new Set([...this.#chosen].filter((one) => there.has(one)));
      queueMicrotask(() => this.#draw());
      const columns = [{ title: this.every, label: 'Selected', class: 'box' }, { title: 'Letter' }, { title: 'Age', class: 'n' }, { title: 'Groups' },
        { title: 'Reason' }, { title: 'Shop' }, { title: 'ID' }, { title: 'Error', class: 'long' }];
      const { el, body } = table('Dead letters', columns, 'cards dead');
      this.body = body;
      this.none = h('p.note');
      this.#rows = new Map(letters.map((one) => [one.letter, this.#row(columns, one)]));
      this.shell = h('div.panel.flush', el);
      const unknown = letters.some((one) => one.unknown.length > 0);
      return [unknown && h('p.trouble', 'Postgres can’t be asked: what it has set aside is not told here.'), this.shell, this.none,
        letters.length >= LIMIT && h('p.note', `The first ${count(LIMIT)}. All of them: onewrite dead list`)];
    });
  }

  #row(columns, letter) {
    const box = h('input', { type: 'checkbox', 'aria-label': `Select ${clean(letter.letter)}`, disabled: letter.resolved, on: { change: () => {
      if (box.checked) this.#chosen.add(letter.letter);
      else this.#chosen.delete(letter.letter);
      this.#count();
    } } });
    const order = orderOf(letter.id, letter.type);
    const resolution = letter.groups.find((one) => one.resolution)?.resolution;
    const el = row(columns, [box, h('a.mono', { href: toLetter(letter.letter) }, clean(letter.letter)), ageOf(letter), groupsOf(letter), name(letter.reason),
      letter.shop === null ? '–' : clean(letter.shop, 64), order ? h('a', { href: toOrder(order, letter.shop) }, clean(letter.id, 64)) : letter.id === null ? '–' : clean(letter.id, 64),
      h('span', resolution && h('b.resolved', `${resolutionText(resolution)}. `), letter.error === null ? '' : clean(letter.error, 400))]);
    const text = [letter.letter, letter.entry, letter.id, letter.shop, letter.type, letter.reason, letter.error, ...letter.groups.map((one) => one.group)].join(' ').toLowerCase();
    return { el, box, text, letter };
  }

  #shown() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    return this.#letters.map((one) => this.#rows.get(one.letter)).filter((one) => words.every((word) => one.text.includes(word)));
  }

  #draw() {
    if (!this.body) return;
    const shown = this.#shown();
    this.body.replaceChildren(...shown.map((one) => one.el));
    setHidden(this.shell, shown.length === 0);
    setHidden(this.none, shown.length > 0);
    setText(this.none, this.#letters.length > 0 ? `None matches “${clean(this.filter.value)}”.` : this.asked.all ? 'No dead letters, and there never were any.' : 'No dead letters.');
    this.#count();
  }

  #count() {
    const open = this.#shown().filter((one) => !one.letter.resolved);
    for (const one of this.#rows.values()) one.box.checked = this.#chosen.has(one.letter.letter);
    const chosen = open.filter((one) => this.#chosen.has(one.letter.letter)).length;
    this.every.checked = open.length > 0 && chosen === open.length;
    this.every.indeterminate = chosen > 0 && chosen < open.length;
    this.every.disabled = open.length === 0;
    this.update(state);
  }

  #chooseEvery() {
    for (const { letter } of this.#shown()) {
      if (letter.resolved) continue;
      if (this.every.checked) this.#chosen.add(letter.letter);
      else this.#chosen.delete(letter.letter);
    }
    this.#count();
  }

  #act(action) {
    openPlan(action, [...this.#chosen], () => {
      this.#chosen.clear();
      this.#ask();
    });
  }
}

export class LetterView {
  #panel = new Panel(h('div'));

  constructor() {
    this.heading = h('h1', { tabindex: -1 });
    this.el = h('div', h('nav.crumbs', { 'aria-label': 'Where this is' }, h('a', { href: '#/dead' }, 'Dead letters'), h('span', { 'aria-hidden': 'true' }, ' / ')),
      this.heading, this.#panel.el);
  }

  show({ letter }) {
    this.title = `Dead letter ${clean(letter)}`;
    setText(this.heading, this.title);
    if (letter !== this.letter) this.#panel.clear();
    this.letter = letter;
    this.#ask();
  }

  hide() {
    this.#panel.stop();
  }

  update() {}

  #ask() {
    this.#panel.load((signal) => readLetter(this.letter, signal), (letter) => this.#show(letter));
  }

  #show(letter) {
    const order = orderOf(letter.id, letter.type);
    const act = (action) => openPlan(action, [letter.letter], () => this.#ask());
    const button = (action, text) => h('button', { type: 'button', disabled: !can('operate'), 'aria-describedby': can('operate') ? null : 'letter-may-not', on: { click: () => act(action) } }, text);
    return [
      facts([
        ['State', h('span', { class: `state-word ${letter.resolved ? 'serving' : 'halted'}` }, letter.resolved ? 'resolved' : 'unresolved')],
        ['Entry', h('span.mono', clean(letter.entry))],
        ['Place', `partition ${letter.partition}, seq ${letter.seq === null ? '– (added by hand)' : count(letter.seq)}`],
        ['Change', order ? h('a', { href: toOrder(order, letter.shop) }, clean(letter.id)) : letter.id === null ? '–' : clean(letter.id)],
        ['Type', letter.type === null ? '–' : clean(letter.type)], ['Shop', letter.shop === null ? '–' : clean(letter.shop)],
      ], 'facts panel'),
      !letter.resolved && h('div.actions', button('retry', 'Retry…'), button('drop', 'Drop…'), !can('operate') && h('span.dim', { id: 'letter-may-not' }, NEEDS_ROLE)),
      section('Set aside by', '', h('ul.plainlist',
        letter.groups.map((one) => h('li', h('a', { href: toPartition(one.group, letter.partition) }, clean(one.group)), ` ${age(one.age_ms)} ago, `,
          h('b', clean(one.reason)), `: ${clean(one.error)}`,
          one.resolution && h('div.resolved', `${resolutionText(one.resolution)}, by ${clean(one.resolution.by)} at ${clean(one.resolution.at)}`))),
        letter.unknown.map((group) => h('li', `${clean(group)}: ? It can’t be asked.`)))),
      section('Fields, byte for byte', '', h('div.scroll', { tabindex: 0, role: 'region', 'aria-label': 'Fields' },
        h('table.plain.fields', h('thead', h('tr', h('th', { scope: 'col' }, 'Name'), h('th', { scope: 'col' }, 'Value'))),
          h('tbody', (letter.fields ?? []).map((field) => h('tr', h('th', { scope: 'row' }, visible(field.name)),
            h('td', field.value === '' ? h('span.dim', 'empty') : visible(field.value), field.base64 && h('div.dim', `no text; base64: ${clean(field.base64, 4000)}`)))))))),
    ];
  }
}

// MARK: Plan, then act

const ACTION = {
  retry: { title: 'Retry', about: 'Their changes are appended to the log again, under the IDs that they have.' },
  drop: { title: 'Drop', about: 'They are given up: no group applies them. The reason is recorded.' },
};

/** Shows the plan, and acts when it is confirmed. `done` is called when something was changed. */
function openPlan(action, ids, done) {
  const { title, about } = ACTION[action];
  let hasActed = false;
  const content = h('div.plan', { 'aria-live': 'polite' });
  const close = h('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel');
  const main = h('button.main', { form: 'plan-form' }, 'Show the plan');
  const reason = h('input', { id: 'drop-reason', required: true, maxlength: 500, autocomplete: 'off' });
  let next = null;
  const form = h('form', { id: 'plan-form', on: { submit: (event) => {
    event.preventDefault();
    next?.();
  } } }, action === 'drop' && h('p.field', h('label', { for: 'drop-reason' }, 'Reason'), reason), content);
  const dialog = h('dialog', { 'aria-labelledby': 'plan-title', on: { close: () => {
    dialog.remove();
    if (hasActed) done();
  } } }, h('h2', { id: 'plan-title' }, `${title} ${many(ids.length, 'dead letter')}`), h('p.dim', about), form, h('div.actions.end', close, main));

  const body = (plan) => ({ ids, ...(action === 'drop' ? { reason: reason.value.trim() } : {}), ...(plan ? { confirm: plan } : {}) });
  const offer = (text, act) => {
    next = act;
    main.disabled = act === null;
    setHidden(main, act === null);
    setText(main, text);
  };
  const wait = (text) => {
    offer(main.textContent, null);
    content.replaceChildren(h('p.note', text));
  };
  const fail = (error) => {
    if (error.status === 409) {
      content.replaceChildren(failure({ title: 'The plan is outdated', detail: `${clean(error.detail ?? '')} Nothing was changed by this step.` }));
    } else {
      content.replaceChildren(failure(error));
    }
    offer('Make the plan again', makePlan);
    main.focus();
  };

  async function makePlan() {
    if (action === 'drop' && !reason.value.trim()) {
      reason.focus();
      return;
    }
    wait('Making the plan…');
    reason.readOnly = true;
    try {
      const plan = await actOnDead(action, body());
      const going = plan.letters.filter((one) => one.outcome === 'planned').length;
      content.replaceChildren(h('h3', 'The plan'), outcomes(plan.letters));
      if (going === 0) content.append(h('p.note', 'There is nothing to do.'));
      offer(`${title} ${many(going, 'dead letter')}`, going === 0 ? null : () => act(plan.plan));
      if (going > 0) main.focus();
    } catch (error) {
      reason.readOnly = false;
      fail(error);
    }
  }

  async function act(plan) {
    wait('At it…');
    hasActed = true;
    try {
      const result = await actOnDead(action, body(plan));
      content.replaceChildren(h('h3', 'Done'), outcomes(result.letters));
      offer('', null);
      setText(close, 'Close');
      close.focus();
    } catch (error) {
      fail(error);
    }
  }

  document.body.append(dialog);
  dialog.showModal();
  if (action === 'drop') {
    offer('Show the plan', makePlan);
    reason.focus();
  } else {
    makePlan();
  }
}

function outcomes(letters) {
  return h('ul.outcomes', letters.map((one) => h('li', { class: clean(one.outcome) }, h('span.mono', clean(one.letter)), ' ',
    h('span.dim', one.id === null ? '–' : clean(one.id, 64)), ' ', one.outcome === 'refused' && h('b.bad', 'refused: '), clean(one.detail ?? one.outcome))));
}
