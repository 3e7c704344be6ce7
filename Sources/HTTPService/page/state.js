// What is known of the log, kept up to date by the server's events.

import { readHistory, readSession } from './api.js';

const SPAN = 15 * 60_000;
/** An event comes once a second: after so long without one, what is shown is old. */
const SILENCE = 5000;
const BACKOFF_MAX = 30_000;

export const state = {
  /** Who this is: `{login_required, name, roles, version}`. */
  session: null,
  /** The last `onewrite/status/v1`. */
  snapshot: null,
  /** When it came, by this machine's monotonic clock. */
  receivedAt: 0,
  /** How many came. */
  turn: 0,
  /** `connecting`, `live`, `lost` (no stream), `silent` (a stream, but nothing comes) or `unavailable` (the servers). */
  phase: 'connecting',
  /** Since when it is in that phase. */
  since: Date.now(),
  /** What the server said instead of a snapshot. */
  unavailable: null,
  /** `{at, groups}`, at most 15 minutes of them. */
  points: [],
  everySeconds: 5,
  historyError: null,
  /** Rises when points were added. */
  pointsTurn: 0,
};

/** Whether what is shown is no longer what is. */
export const isStale = () => state.phase !== 'live';
export const can = (role) => state.session?.roles?.includes(role) ?? false;

const listeners = new Set();
/** Calls back after every change. */
export function subscribe(listener) {
  listeners.add(listener);
}
function changed() {
  for (const listener of listeners) listener();
}

function enter(phase) {
  if (state.phase === phase) return;
  state.phase = phase;
  state.since = Date.now();
  if (phase !== 'live' && phase !== 'unavailable') state.unavailable = null;
}

export function setSession(session) {
  state.session = session;
  changed();
}

// MARK: The stream

let source = null;
let retry = null;
let failures = 0;
let isWanted = false;
let openedAt = 0;
let whenLoggedOut = () => {};
export function onLoggedOut(act) {
  whenLoggedOut = act;
}

/** Begins to follow; nothing is done while nobody looks. */
export function follow() {
  isWanted = true;
  if (document.hidden) return;
  open();
  loadHistory();
}

export function unfollow() {
  isWanted = false;
  close();
}

function close() {
  clearTimeout(retry);
  source?.close();
  source = null;
  clearInterval(watch);
  watch = null;
}

function open() {
  close();
  watch = setInterval(look, 1000);
  openedAt = performance.now();
  source = new EventSource('/v1/events');
  const opened = source;
  opened.addEventListener('status', (event) => receive(opened, event.data, takeStatus));
  opened.addEventListener('unavailable', (event) => receive(opened, event.data, takeUnavailable));
  opened.addEventListener('error', () => {
    if (source !== opened) return;
    enter('lost');
    changed();
    // While it is connecting, the browser tries again by itself.
    if (opened.readyState === EventSource.CLOSED) again();
  });
}

/** Closed for good: asks who this is, since that may be why, and opens another. */
function again() {
  source = null;
  const wait = Math.min(BACKOFF_MAX, 1000 * 2 ** failures) * (0.75 + Math.random() / 2);
  failures += 1;
  clearTimeout(retry);
  retry = setTimeout(async () => {
    try {
      const session = await readSession();
      if (session.login_required && session.roles.length === 0) {
        whenLoggedOut(session);
        return;
      }
      state.session = session;
    } catch {
      // It is gone altogether: opening tells the same.
    }
    if (isWanted && !document.hidden) open();
  }, wait);
}

function receive(from, data, take) {
  if (source !== from) return;
  const began = performance.now();
  let told = null;
  try {
    told = JSON.parse(data);
  } catch {
    return;
  }
  failures = 0;
  const wasLost = state.phase === 'lost';
  take(told);
  if (wasLost) loadHistory();
  changed();
  spend(performance.now() - began);
}

function takeStatus(snapshot) {
  if (!Array.isArray(snapshot.groups)) return;
  enter('live');
  state.snapshot = snapshot;
  state.unavailable = null;
  state.receivedAt = performance.now();
  state.turn += 1;
  addPoint(snapshot);
}

function takeUnavailable(told) {
  enter('unavailable');
  state.unavailable = told;
}

let watch = null;
function look() {
  const heard = Math.max(state.receivedAt, openedAt);
  if (['live', 'connecting'].includes(state.phase) && performance.now() - heard > SILENCE) enter('silent');
  changed();
}

document.addEventListener('visibilitychange', () => {
  if (!isWanted) return;
  if (document.hidden) close();
  else follow();
});

// MARK: History

async function loadHistory() {
  try {
    const history = await readHistory();
    state.everySeconds = history.every_seconds || 5;
    const points = history.points.map((point) => ({ at: Date.parse(point.at), groups: point.groups }));
    const last = points.at(-1)?.at ?? 0;
    // What came meanwhile is newer than what was asked for.
    state.points = points.concat(state.points.filter((point) => point.at > last));
    state.historyError = null;
  } catch (error) {
    state.historyError = error;
  }
  state.pointsTurn += 1;
  changed();
}

function addPoint(snapshot) {
  const at = Date.parse(snapshot.at);
  if (Number.isNaN(at)) return;
  const last = state.points.at(-1)?.at ?? 0;
  if (at - last < state.everySeconds * 1000 - 500) return;
  const groups = {};
  for (const group of snapshot.groups) {
    groups[group.name] = {
      lag: group.lag,
      lag_seconds: group.oldest_unapplied_ms === null ? (group.lag === 0 ? 0 : null) : group.oldest_unapplied_ms / 1000,
      append_per_second: group.append_per_second,
      applied_per_second: group.applied_per_second,
    };
  }
  state.points.push({ at, groups });
  while (state.points.length > 0 && at - state.points[0].at > SPAN) state.points.shift();
  state.pointsTurn += 1;
}

// MARK: What it costs

const spent = [];
/** Counts script time, in milliseconds; the last 600 are kept for whoever measures. */
export function spend(milliseconds) {
  spent.push(milliseconds);
  if (spent.length > 600) spent.splice(0, 300);
}
globalThis.onewriteSpent = spent;
