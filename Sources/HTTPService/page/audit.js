// An audit: started here, followed to its end, and what it found.

import { auditEvents, readAudit, readAudits, startAudit } from './api.js';
import { failure, h, refill, row, section, setAttr, setHidden, setText, sign, table } from './dom.js';
import { can } from './state.js';
import { age, clean, clock, count, many, moment, sentence, toAudit, toLetter } from './words.js';

/** Events come when it gets on: after so long without one it is asked, in case something holds them back. */
const QUIET = 5000;
const RETRY = 1000;
const RETRY_MAX = 15_000;
/** How often progress is told aloud. */
const ANNOUNCE_EVERY = 30_000;

const VERDICTS = {
  agree: { word: 'All agree', sign: 'following' }, disagree: { word: 'Some differ', sign: 'stalled' },
  inconclusive: { word: 'Inconclusive', sign: 'unknown' },
};
const BY_HAND = 'Missing, added or changed: by a statement that somebody ran. Nothing in Onewrite deletes rows.';
const ONE_STOCK = 'Alone: somebody changed it by hand; onewrite stock count settles both stocks. Both alike, and orders too: an entry or a row of the ledger was changed.';
/** What is compared with what, and what a difference of it can mean: as docs/audit.md has it. */
const SUBJECTS = {
  log: { title: 'log', about: 'each entry with the ledger’s row at its seq; none missing, none twice',
    means: 'An entry missing: XDEL or XTRIM by hand. A second one of a place: XADD by hand. Other fields: an entry or a row of the ledger was changed.' },
  ledger: { title: 'ledger', about: 'with the dead letters: every seq up to the position, once; every shop in its partition', means: BY_HAND },
  orders: { title: 'orders', about: 'each with the entry that placed it, and what was cancelled or came back; none missing, none too many', means: BY_HAND },
  'order-lines': { title: 'order lines', about: 'with the entry’s, SKU by SKU, and what came back of each', means: BY_HAND },
  'stock-in-postgres': { title: 'stock in Postgres', about: 'every SKU with what the log gives', means: ONE_STOCK },
  'stock-in-redis': { title: 'stock in Redis', about: 'every SKU with what the log gives', means: ONE_STOCK },
  available: { title: 'available to sell', about: 'where admission is on: every SKU with the stock in Redis and what the log has behind it; which shops have it',
    means: 'A number was changed by hand, or a program of an older version appended without looking. onewrite repair counts it anew.' },
  deliveries: { title: 'deliveries', about: 'the jobs still in the list: each that the log gives, in order, once',
    means: 'Missing in the middle, twice, or changed: a delivery service that takes from the right, or puts jobs back. It must take from the left, and not return them.' },
  positions: { title: 'positions', about: 'none above the log’s end', means: 'A position was written by hand, or the log lost what was applied.' },
};
const subjectOf = (key) => SUBJECTS[key] ?? { title: clean(key, 64), about: '', means: '' };
const joined = (names) => names.join(', ').replace(/, ([^,]*)$/, ' and $1');

export class AuditView {
  title = 'Audit';
  /** The one that was looked at last: whoever comes back finds it. */
  #id = null;
  /** What was told of it last, and when. */
  #run = null;
  #toldAt = 0;
  /** Why nothing can be told of it now, or why none was started. */
  #trouble = null;
  #refused = null;
  #isStarting = false;
  #isShown = false;
  #events = null;
  #asking = null;
  #timer = null;
  #failures = 0;
  #saidAt = -Infinity;

  constructor() {
    this.heading = h('h1', { tabindex: -1 }, 'Audit');
    this.button = h('button.main', { type: 'button', on: { click: () => this.#start() } }, 'Start an audit');
    this.mayNot = h('span.dim', { id: 'audit-may-not' }, 'To start one, the role operate is needed; you may only look.');
    this.actions = h('div.actions', this.button, this.mayNot);
    this.at = h('strong');
    this.how = h('span.dim');
    this.bar = h('progress', { 'aria-label': 'How far the audit is' });
    this.progress = h('div.panel.progress', h('p', this.at, ' ', this.how), this.bar);
    this.result = h('div');
    // Progress is seen as it comes, and told aloud now and then.
    this.said = h('p.hide', { role: 'status' });
    this.el = h('div', this.heading, h('p.lead', 'An audit reads the whole log and compares every store with it, while everything goes on. It changes nothing. On a long log it takes minutes; it goes on when you leave, and one that runs already is joined.'),
      this.actions, this.progress, this.result, this.said);
    document.addEventListener('visibilitychange', () => {
      if (!this.#isShown) return;
      if (document.hidden) this.#stop();
      else this.#resume();
    });
  }

  show({ audit }) {
    this.#isShown = true;
    if (audit !== null && audit !== this.#id) this.#take(audit, null);
    [this.#trouble, this.#refused] = [null, null];
    this.#address();
    this.update();
    this.#draw();
    if (this.#id === null) this.#find();
    else this.#resume();
  }

  hide() {
    this.#isShown = false;
    this.#stop();
  }

  update() {
    const may = can('operate');
    this.button.disabled = !may;
    setAttr(this.button, 'aria-describedby', may ? null : 'audit-may-not');
    setHidden(this.mayNot, may);
  }

  // MARK: Following

  /** The one that somebody started last, this page or another. */
  async #find() {
    const asking = new AbortController();
    this.#asking = asking;
    try {
      const [newest] = await readAudits(asking.signal);
      if (asking.signal.aborted || newest === undefined || this.#id !== null) return;
      this.#take(newest.audit, newest);
      this.#address();
      this.#draw();
      this.#resume();
    } catch {
      // One can be started all the same, and its address still finds each.
    }
  }

  async #start() {
    this.#stop();
    [this.#trouble, this.#refused, this.#isStarting] = [null, null, true];
    this.#draw();
    try {
      const run = await startAudit();
      this.#take(run.audit, run);
      this.#address();
      this.#say('The audit is running.');
    } catch (error) {
      this.#refused = error;
    }
    this.#isStarting = false;
    this.#draw();
    if (this.#isShown) this.#resume();
  }

  #take(id, run) {
    [this.#id, this.#run, this.#failures] = [id, run, 0];
    this.#toldAt = Date.now();
  }

  /** Its own address, so that it is found after a reload, and by others. */
  #address() {
    if (this.#isShown && this.#id !== null) history.replaceState({}, '', toAudit(this.#id));
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#events?.close();
    this.#events = null;
  }

  /** Asks how far it is, unless its end is known; what follows is told by events. */
  #resume() {
    if (this.#id !== null && (this.#run === null || this.#run.state === 'running') && !document.hidden && !this.#isStarting) this.#ask();
  }

  #askIn(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), milliseconds);
  }

  async #ask() {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    try {
      const run = await readAudit(this.#id, asking.signal);
      if (!asking.signal.aborted) this.#tell(run);
    } catch (error) {
      if (asking.signal.aborted) return;
      if (this.#trouble === null && !isFinal(error)) this.#say(`${clean(error.title, 200)}: asking again how far the audit is.`);
      this.#trouble = error;
      this.#draw();
      if (isFinal(error)) {
        this.#stop();
        return;
      }
      this.#askIn(Math.max(Math.min(RETRY_MAX, RETRY * 2 ** this.#failures), (error.retryAfter ?? 0) * 1000));
      this.#failures += 1;
    }
  }

  #listen() {
    const events = auditEvents(this.#id);
    this.#events = events;
    const tell = (event) => {
      if (this.#events !== events) return;
      try {
        this.#tell(JSON.parse(event.data));
      } catch {
        // It is asked when nothing that can be read comes.
      }
    };
    for (const state of ['running', 'done', 'failed']) events.addEventListener(state, tell);
    events.addEventListener('error', () => {
      if (this.#events !== events) return;
      // Whether the stream, the server or the audit is gone, only asking tells.
      events.close();
      this.#events = null;
      this.#askIn(RETRY);
    });
  }

  #tell(run) {
    const before = this.#run?.state ?? null;
    this.#take(this.#id, run);
    this.#trouble = null;
    this.#draw();
    if (run.state !== 'running') {
      this.#stop();
      if (before === 'running') this.#say(run.state === 'done' ? `The audit is done. ${endOf(run).join(': ')}` : 'The audit failed.');
      return;
    }
    if (performance.now() - this.#saidAt > ANNOUNCE_EVERY) this.#say(`The audit is running: ${clean(run.progress ?? 'it begins', 200)}`);
    if (this.#events === null) this.#listen();
    this.#askIn(QUIET);
  }

  #say(text) {
    this.#saidAt = performance.now();
    setText(this.said, text);
  }

  // MARK: Drawing

  #draw() {
    const [run, trouble] = [this.#run, this.#trouble];
    const isGone = trouble !== null && isFinal(trouble);
    const isWaiting = this.#isStarting || (this.#id !== null && !isGone && (run === null || run.state === 'running'));
    const hadFocus = this.el.contains(document.activeElement);
    setHidden(this.actions, isWaiting);
    setHidden(this.progress, !isWaiting);
    if (isWaiting) this.#drawProgress();
    this.title = isWaiting ? 'Audit: running' : isGone || run === null ? 'Audit' : `Audit: ${run.state === 'done' ? endOf(run)[0].toLowerCase() : 'failed'}`;
    setText(this.button, run === null ? 'Start an audit' : 'Start another audit');
    const shown = isGone ? trouble : isWaiting ? null : run;
    refill(this.result, JSON.stringify([this.#id, shown, this.#refused]), () => [
      this.#refused && failure({ title: `It was not started: ${clean(this.#refused.title, 200)}`, detail: clean(this.#refused.detail) }, this.#refused.status === 403 ? null : () => this.#start()),
      isGone ? this.#gone(trouble) : isWaiting ? null : run === null ? !this.#refused && h('p.note', 'None was started since this server began.') : ended(run),
    ]);
    // The button that was pressed may be gone: whoever was on it is where the view begins.
    if (hadFocus && (!this.el.contains(document.activeElement) || document.activeElement.closest('[hidden]'))) this.heading.focus({ preventScroll: true });
  }

  #drawProgress() {
    const [run, trouble] = [this.#run, this.#trouble];
    this.progress.classList.toggle('lost', trouble !== null);
    setText(this.at, trouble ? `${clean(trouble.title, 200)}: asking again.` : this.#isStarting ? 'Starting…' : run === null ? 'Reading…' : `${nameOf(run)} is running:`);
    setText(this.how, trouble ? `${sentence(clean(trouble.detail))} ${run === null ? '' : `At ${clock(this.#toldAt)} it was at: ${atOf(run)}. It goes on by itself while its server does.`}`
      : this.#isStarting || run === null ? '' : atOf(run));
    const found = /^partition (\d+) of (\d+)$/.exec(run?.progress ?? '');
    if (found) {
      setAttr(this.bar, 'max', found[2]);
      setAttr(this.bar, 'value', found[1]);
    } else if (!run?.progress || run.progress === 'ledger') {
      setAttr(this.bar, 'value', null);
    }
  }

  #gone(trouble) {
    if (trouble.status !== 404) return failure({ title: clean(trouble.title, 200), detail: clean(trouble.detail) }, trouble.status === 403 ? null : () => this.show({ audit: this.#id }));
    return h('div.panel', { role: 'alert' }, h('p', h('strong', `There is no audit ${clean(this.#id, 64)}, or it is forgotten.`)),
      h('p.dim', 'A server remembers the last ten that it was asked for, until it ends; one that ran then ended with it.'));
  }
}

/** Whether asking again would get the same answer. */
const isFinal = ({ status }) => status >= 400 && status < 500 && ![408, 429].includes(status);
const nameOf = (run) => `The audit of ${clock(run.started_at)}`;
const atOf = (run) => (run.progress === null ? 'it begins' : clean(run.progress, 400));

/** An end in a word and a sentence. */
function endOf({ report }) {
  const { word } = VERDICTS[report?.verdict] ?? { word: 'Not understood' };
  const different = report?.subjects.filter((one) => one.different > 0) ?? [];
  const sum = different.reduce((total, one) => total + one.different, 0);
  const settled = report?.settled_total > 0 ? ', but for what people have settled' : '';
  return [word, {
    agree: `Every store holds what the log says${settled}.`,
    disagree: `${many(sum, 'difference')} in ${joined(different.map((one) => subjectOf(one.subject).title))}.`,
    inconclusive: 'Nothing differs in what could be compared, but not all could be. Try again when what is named here is mended.',
  }[report?.verdict] ?? 'The server tells a verdict that this page doesn’t know.'];
}

function ended(run) {
  if (run.state !== 'done' || !run.report) return failure({ title: `${nameOf(run)} failed`, detail: `${sentence(clean(run.error ?? 'nobody knows why'))} Nothing is said of the stores.` });
  const { verdict, report } = { verdict: VERDICTS[run.report.verdict] ?? { sign: 'unknown' }, report: run.report };
  const [word, text] = endOf(run);
  return [
    h('div', { class: `outcome panel ${verdict.sign}` }, sign(verdict.sign), h('div', h('h2', word), h('p', text),
      h('p.dim', `${nameOf(run)}: ${many(report.partitions, 'partition')}, ${count(report.subjects.reduce((sum, one) => sum + one.compared, 0))} compared in ${age(report.seconds * 1000)}.`))),
    report.differences.length > 0 && differences(report),
    report.inconclusive.length > 0 && section('Not compared', '', bullets(report.inconclusive.map((one) => sentence(clean(one))))),
    subjects(report),
    report.explained.length > 0 && section('Explained by dead letters', '', h('p.dim', 'These were set aside by hand in some groups, and applied in the others: the stores are what they must be.'),
      bullets([...report.explained.map((one) => [h('a.mono', { href: toLetter(`${one.partition}:${one.seq}`) }, `${one.partition}:${one.seq}`), ` ${clean(one.name)}: set aside in ${joined(one.groups.map((group) => clean(group, 64)))}`]),
        report.explained_total > report.explained.length && `and ${count(report.explained_total - report.explained.length)} more like these`])),
    report.settled.length > 0 && section('Settled by people', '', bullets(report.settled.map(({ incident, differences: number }) =>
      [h('b', clean(incident.kind, 64)), `, ${many(number, 'difference')}: ${clean(incident.what)} (${clean(incident.reason)}), by ${clean(incident.who, 200)}${incident.at === null ? '' : `, ${moment(incident.at)}`}`]))),
  ];
}

const bullets = (items) => h('ul.plainlist', items.filter(Boolean).map((one) => h('li', one)));

const placeOf = (number) => (number === undefined || number === null ? '–' : count(number));
const DIFFERENCES = [{ title: 'Subject' }, { title: 'What', class: 'long' }, { title: 'Partition', class: 'n' }, { title: 'Seq', class: 'n' }, { title: 'Expected' }, { title: 'Found' }];
function differences(report) {
  const { el, body } = table('Differences', DIFFERENCES, 'cards audit differences');
  body.append(...report.differences.map((one) => row(DIFFERENCES, [h('span.name', subjectOf(one.subject).title), clean(one.name),
    placeOf(one.partition), placeOf(one.seq), clean(one.expected), h('b.bad', clean(one.found))])));
  const more = report.subjects.map((one) => [one, one.different - report.differences.filter((shown) => shown.subject === one.subject).length]).filter(([, left]) => left > 0);
  const means = new Map();
  for (const { subject } of report.subjects.filter((one) => one.different > 0)) {
    const { title, means: text } = subjectOf(subject);
    if (text !== '') means.set(text, [...(means.get(text) ?? []), title]);
  }
  return [section('Differences', '.flush', el, more.length > 0 && h('p.note', `And ${joined(more.map(([one, left]) => `${count(left)} more of ${subjectOf(one.subject).title}`))}. All of them: `, h('code', 'onewrite audit --limit 100000'))),
    section('What they can mean', '', h('dl.means', [...means].map(([text, titles]) => h('div', h('dt', joined(titles)), h('dd', text)))),
      h('p.dim', 'Line by line what would mend them, and nothing done yet: ', h('code', 'onewrite repair')))];
}

const COMPARED = [{ title: 'Subject' }, { title: 'Compared', class: 'n' }, { title: 'Different', class: 'n' }, { title: 'With what', class: 'long' }];
function subjects(report) {
  const { el, body } = table('What was compared', COMPARED, 'cards audit');
  body.append(...report.subjects.map((one) => row(COMPARED, [h('span.name', subjectOf(one.subject).title), count(one.compared),
    one.different > 0 ? h('b.bad', `≠ ${count(one.different)}`) : h('span.dim', one.compared > 0 ? '0' : '–'), h('span.dim', subjectOf(one.subject).about)], one.different > 0 ? 'differs' : '')));
  return section('What was compared', '.flush', el);
}
