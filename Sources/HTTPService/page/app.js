// The page: its header, its verdict, and which view is shown.

import { logIn, logOut, onUnauthorized, readSession } from './api.js';
import { AuditView } from './audit.js';
import { DeadView, LetterView } from './dead.js';
import { h, refill, setAttr, setClass, setHidden, setText, sign } from './dom.js';
import { EntryView, GroupView, PartitionView } from './group.js';
import { OrderView } from './order.js';
import { Overview } from './overview.js';
import { follow, isStale, onLoggedOut, setSession, spend, state, subscribe, unfollow } from './state.js';
import { StockView } from './stock.js';
import { judge, WORDS } from './verdict.js';
import { clean, clock, many, sentence, toGroup, toOrder, toPartition, wholeAge } from './words.js';

const $ = (id) => document.getElementById(id);
const COLORS = ['red', 'green', 'yellow', 'cyan', 'blue', 'magenta'];
/** How many are shown at first: on the overview, and where something else is looked at. */
const WARNINGS_MAX = { overview: 5, else: 1 };
const ANNOUNCE_EVERY = 10_000;

// MARK: Routing

const views = {
  overview: new Overview(), group: new GroupView(), partition: new PartitionView(), entry: new EntryView(),
  order: new OrderView(), dead: new DeadView(), letter: new LetterView(), stock: new StockView(), audit: new AuditView(),
};
let shown = null;
let cameFrom = null;
let isByLink = true;
const scrolled = new Map();

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Which view a hash means, and of what. */
function route(hash) {
  const [path, query = ''] = hash.replace(/^#\/?/, '').split('?');
  const [where, ...parts] = path.split('/').map(decode);
  const asked = new URLSearchParams(query);
  switch (where) {
    case 'group':
      if (parts[2]) return ['entry', { group: parts[0], partition: Number(parts[1]), entry: parts[2] }];
      if (/^\d+$/.test(parts[1] ?? '')) return ['partition', { group: parts[0], partition: Number(parts[1]) }];
      return parts[0] ? ['group', { group: parts[0] }] : ['overview', {}];
    case 'order': return ['order', parts.length > 1 ? { shop: parts[0], id: parts[1] } : { id: asked.get('id') ?? '', shop: null }];
    case 'dead': return parts[0] ? ['letter', { letter: parts[0] }] : ['dead', { group: asked.get('group'), all: asked.get('all') === 'true' }];
    case 'stock': return ['stock', { shop: parts[0] || null }];
    case 'audit': return ['audit', { audit: parts[0] || null }];
    default: return ['overview', {}];
  }
}

function navigate() {
  if (!isIn()) return;
  const hash = location.hash || '#/';
  const [name, params] = route(hash);
  const view = views[name];
  const isFirst = shown === null;
  if (history.state === null) history.replaceState({}, '');
  if (shown !== null) shown.hide();
  if (shown !== view) $('view').replaceChildren(view.el);
  shown = view;
  view.show(params);
  renderView();
  renderWarnings();
  for (const link of $('nav').querySelectorAll('a')) {
    const to = link.getAttribute('href');
    const isHere = to === '#/' ? ['overview', 'group', 'partition', 'entry'].includes(name) : hash.startsWith(to);
    setAttr(link, 'aria-current', isHere ? (to === hash ? 'page' : 'true') : null);
  }
  renderTitle();
  if (isFirst) {
    cameFrom = hash;
    return;
  }
  // Going on begins at the top; going back ends where one was.
  const left = isByLink ? null : [...view.el.querySelectorAll('a[href]')].find((link) => link.getAttribute('href') === cameFrom);
  const target = left ?? view.el.querySelector('h1');
  target?.focus({ preventScroll: true });
  scrollTo(0, isByLink ? 0 : scrolled.get(hash) ?? 0);
  cameFrom = hash;
  isByLink = true;
}

// A place where one was has a state; one that was just reached by a link has none.
addEventListener('popstate', (event) => { isByLink = event.state === null; });
addEventListener('click', () => scrolled.set(location.hash || '#/', scrollY), true);
addEventListener('hashchange', navigate);

// MARK: Session

let isAsking = false;
const isIn = () => state.session !== null && !isAsking;

onUnauthorized(() => askToken());
onLoggedOut((session) => askToken(session));

async function start() {
  try {
    enter(await readSession());
  } catch (error) {
    $('view').replaceChildren(h('p.note', { role: 'alert' }, `${error.title}: ${error.detail}. Trying again…`));
    setTimeout(start, 2000);
  }
}

function enter(session) {
  if (session.login_required && session.roles.length === 0) {
    askToken(session);
    return;
  }
  const wasAsking = $('token') !== null;
  isAsking = false;
  shown = null;
  setSession(session);
  for (const id of ['nav', 'search']) setHidden($(id), false);
  setText($('who'), session.name === null ? '' : clean(session.name, 64));
  setHidden($('who'), session.name === null);
  setAttr($('who'), 'title', `roles: ${session.roles.join(', ')}`);
  setHidden($('logout'), !session.login_required);
  setText($('version'), `Onewrite ${clean(session.version, 40)}`);
  follow();
  navigate();
  if (wasAsking) $('main').focus();
}

function askToken(session = state.session) {
  if (isAsking) return;
  isAsking = true;
  unfollow();
  shown?.hide();
  shown = null;
  if (session?.version) setText($('version'), `Onewrite ${clean(session.version, 40)}`);
  for (const id of ['nav', 'search', 'stores', 'banner', 'verdict', 'warnings', 'who', 'logout']) setHidden($(id), true);
  setClass(document.body, '');
  document.title = 'Log in · Onewrite';
  const token = h('input', { id: 'token', type: 'password', required: true, autocomplete: 'current-password', maxlength: 4096, 'aria-describedby': 'token-help' });
  const problem = h('p.trouble', { role: 'alert', hidden: true });
  const button = h('button.main', 'Log in');
  const form = h('form.login.panel', { on: { submit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    setHidden(problem, true);
    try {
      const found = await logIn(token.value);
      token.value = '';
      isAsking = false;
      enter(found);
    } catch (error) {
      setText(problem, error.status === 401 ? 'This token is not valid.'
        : error.status === 429 ? `Too many tries. Try again in ${wholeAge((error.retryAfter ?? 1) * 1000)}.` : `${error.title}: ${error.detail}`);
      setHidden(problem, false);
      token.select();
      if (error.status === 429) await new Promise((resolve) => { setTimeout(resolve, (error.retryAfter ?? 1) * 1000); });
      button.disabled = false;
    }
  } } }, h('h1', 'Log in'), h('p.dim', { id: 'token-help' }, 'With the token that you were given for this log.'),
  h('label', { for: 'token' }, 'Token'), token, problem, button);
  $('view').replaceChildren(form);
  token.focus();
}

$('logout').addEventListener('click', async () => {
  try {
    await logOut();
  } finally {
    askToken();
  }
});

// MARK: Drawing

let isDue = false;
subscribe(() => {
  if (isDue || document.hidden || !isIn()) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    if (!isIn() || document.hidden) return;
    const began = performance.now();
    renderFrame();
    renderView();
    spend(performance.now() - began);
  });
});

let drawnTurn = null;
function renderView() {
  const key = `${state.turn} ${state.pointsTurn} ${state.phase} ${state.session?.roles}`;
  // The clock alone changes nothing in a view.
  if (shown === drawnTurn?.view && drawnTurn?.key === key && drawnTurn.hash === location.hash) return;
  drawnTurn = { view: shown, key, hash: location.hash };
  shown?.update(state);
}

function renderFrame() {
  const verdict = judge(state);
  renderStores();
  renderBanner();
  renderVerdict(verdict);
  renderWarnings();
  // A letter may be several groups’: how many there are in all only the list tells.
  setHidden($('dead-badge'), !state.snapshot?.groups.some((group) => group.dead > 0));
  setClass(document.body, isStale() && state.snapshot ? 'stale' : '');
  renderTitle();
}

function server(kind, configured) {
  const from = state.phase === 'unavailable' ? state.unavailable : state.snapshot;
  const [about, error] = [from?.[kind], from?.[`${kind}_error`]];
  const title = clean(about?.name ?? kind, 32);
  if (state.phase !== 'live' && state.phase !== 'unavailable') return [title, 'unknown', '?', 'nobody knows'];
  if (about) return [title, 'good', `● ${clean(about.version, 32)}`, 'answers'];
  if (error) return [title, 'bad', '! ○ unreachable', clean(error)];
  return configured ? [title, 'unknown', '?', 'nobody knows'] : [title, 'dim', '– not configured', ''];
}

function renderStores() {
  const environment = state.snapshot?.environment ?? state.unavailable?.environment ?? null;
  const label = environment?.label ?? null;
  setHidden($('env'), label === null);
  if (label !== null) {
    setText($('env'), clean(label, 40));
    setAttr($('env'), 'title', clean(label));
  }
  const color = COLORS.includes(environment?.color) ? environment.color : null;
  setAttr($('top'), 'data-color', color);
  const redis = server('redis', true);
  const postgres = server('postgres', !state.snapshot || environment?.postgres !== null);
  const stores = $('stores');
  setHidden(stores, false);
  refill(stores, JSON.stringify([redis, postgres, environment, state.snapshot?.partitions, Boolean(state.snapshot)]), () => {
    const one = ([title, tone, text, about], address) => h('span.store', { title: about }, h('b', title), ' ', h('span', { class: tone }, text), address && h('span.address', clean(address, 120)));
    if (!state.snapshot && !state.unavailable) return h('span.store', state.phase === 'lost' ? 'not connected' : 'connecting…');
    return [one(redis, environment?.redis), one(postgres, environment?.postgres),
      environment && h('span.store', { title: 'namespace in Redis / schema in Postgres' }, clean(environment.namespace === environment.schema ? environment.namespace : `${environment.namespace} / ${environment.schema}`, 80)),
      state.snapshot && h('span.store', state.snapshot.partitions === null ? '? partitions' : many(state.snapshot.partitions, 'partition')),
      h('span.store.when', { id: 'when' })];
  });
  if ($('when')) setText($('when'), state.snapshot ? `data from ${clock(state.snapshot.at)}${isStale() ? ` (${wholeAge(performance.now() - state.receivedAt)} ago)` : ''}` : '');
}

function renderBanner() {
  const banner = $('banner');
  const isBad = ['lost', 'silent', 'unavailable'].includes(state.phase) && !(state.phase === 'lost' && Date.now() - state.since < 1500);
  setHidden(banner, !isBad);
  if (!isBad) return;
  const since = `since ${clock(state.since)} (${wholeAge(Date.now() - state.since)})`;
  const known = state.snapshot ? ` What is shown is stale: from ${clock(state.snapshot.at)}.` : '';
  setText(banner, {
    lost: `Disconnected ${since}: trying again.${known}`,
    silent: `No new data ${since}: waiting for an answer.${known}`,
    unavailable: `No snapshot ${since}: the servers give no answer.${known}`,
  }[state.phase]);
}

let announced = { key: null, at: -ANNOUNCE_EVERY };
function renderVerdict({ level, reason, key }) {
  const box = $('verdict');
  setHidden(box, false);
  setClass(box, `verdict ${level}`);
  if (!box.word) {
    box.word = h('strong.word', { id: 'verdict-word' });
    box.reason = h('span.reason');
    box.mark = h('span.mark');
    box.replaceChildren(box.mark, box.word, box.reason);
  }
  refill(box.mark, level, () => sign(level));
  setText(box.word, WORDS[level]);
  const text = sentence(reason);
  setText(box.reason, text);
  renderIcon(level);
  // Told aloud when it is another one, not when its numbers move, and not more often than can be listened to.
  const now = performance.now();
  if (key !== announced.key && now - announced.at > ANNOUNCE_EVERY && !key.endsWith('connecting')) {
    announced = { key, at: now };
    setText($('announce'), `${WORDS[level]}: ${text}`);
  }
  verdictLevel = level;
}
let verdictLevel = null;

function renderTitle() {
  const label = state.snapshot?.environment?.label;
  const parts = [verdictLevel && WORDS[verdictLevel], shown?.title, label && clean(label, 40), 'Onewrite'];
  const title = parts.filter(Boolean).join(' · ');
  if (document.title !== title) document.title = title;
}

const ICONS = {
  following: ['%231a7f45', 'M3 8.5l3.2 3.2L13 5'], behind: ['%239a6700', 'M8 3v6M8 11.5v1.5'],
  stalled: ['%23b42318', 'M4 4l8 8M12 4l-8 8'], unknown: ['%235b6773', 'M5.5 6a2.5 2.5 0 1 1 3.5 2.3Q8 9 8 10M8 12v1'],
};
function renderIcon(level) {
  const [color, path] = ICONS[level];
  setAttr($('icon'), 'href', `data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><rect width='16' height='16' rx='4' fill='${color}'/><path d='${path}' fill='none' stroke='white' stroke-width='2' stroke-linecap='round'/></svg>`);
}

let allWarnings = false;
function renderWarnings() {
  const box = $('warnings');
  const warnings = state.snapshot?.warnings ?? [];
  setHidden(box, warnings.length === 0);
  if (warnings.length === 0) return;
  const max = WARNINGS_MAX[shown === views.overview ? 'overview' : 'else'];
  refill(box, JSON.stringify([warnings, allWarnings, max]), () => {
    const shownWarnings = allWarnings ? warnings : warnings.slice(0, max);
    const isMore = warnings.length > max;
    return [h('h2', { id: 'warnings-title' }, many(warnings.length, 'warning')), h('ul', shownWarnings.map((one) => h('li',
      h('code', clean(one.code, 40)),
      one.group && h('a', { class: 'about', href: one.code === 'dead-letters' ? `#/dead?group=${encodeURIComponent(one.group)}` : one.partition === undefined ? toGroup(one.group) : toPartition(one.group, one.partition),
        text: clean(one.group, 40) + (one.partition === undefined ? '' : `, partition ${one.partition}`) }),
      !one.group && one.partition !== undefined && h('span.about', `partition ${one.partition}`),
      h('span.hint', hint(one.hint)))),
    isMore && h('li', h('button.quiet', { type: 'button', 'aria-expanded': String(allWarnings), on: { click: () => {
      allWarnings = !allWarnings;
      renderWarnings();
      box.querySelector('button')?.focus();
    } } }, allWarnings ? 'Show fewer' : `Show ${warnings.length - max} more`)))];
  });
}

/** A hint, its command set apart so that it can be copied: `no worker: onewrite worker --group stock`. */
function hint(text) {
  const safe = clean(text);
  const found = /(?<=: |does )(?:onewrite|redis-cli) [^.;,)]*$/.exec(safe);
  return found ? [safe.slice(0, found.index), h('code', found[0])] : safe;
}

// MARK: Keys, theme, search

$('search').addEventListener('submit', (event) => {
  event.preventDefault();
  const id = $('search-id').value.trim();
  if (id === '') return;
  const to = toOrder(id);
  $('search-id').value = '';
  if (location.hash === to) navigate();
  else location.hash = to;
});

addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const isTyping = event.target.matches?.('input, textarea, select') && event.target.type !== 'checkbox';
  if (event.key === '/' && !isTyping && !document.querySelector('dialog[open]') && isIn()) {
    event.preventDefault();
    $('search-id').focus();
    $('search-id').select();
  } else if (event.key === 'Escape' && event.target === $('search-id')) {
    $('search-id').value = '';
    $('main').focus();
  }
});

$('skip').addEventListener('click', (event) => {
  // The hash is the route's.
  event.preventDefault();
  $('main').focus();
});

const dark = matchMedia('(prefers-color-scheme: dark)');
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? 'dark' : 'light')) === 'dark';
function renderTheme() {
  setText($('theme'), isDark() ? 'Light' : 'Dark');
  setAttr($('theme'), 'aria-label', isDark() ? 'Use the light theme' : 'Use the dark theme');
}
$('theme').addEventListener('click', () => {
  const theme = isDark() ? 'light' : 'dark';
  document.documentElement.dataset.theme = theme;
  try {
    // The system's own needs no note, so that it goes on to be followed.
    if ((theme === 'dark') === dark.matches) localStorage.removeItem('onewrite-theme');
    else localStorage.setItem('onewrite-theme', theme);
  } catch {
    // It holds until the page is closed.
  }
  renderTheme();
});
dark.addEventListener('change', renderTheme);

renderTheme();
start();
