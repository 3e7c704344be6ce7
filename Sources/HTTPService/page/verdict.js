// Is everything following? Pure: from what is known to one word and a reason.

import { age, catchUp, clean, count, list, many } from './words.js';

/** From this age on an entry isn't simply being worked on: reclaiming takes seconds. */
export const OLD = 30_000;

export const isBehind = (group) => (group.oldest_unapplied_ms ?? 0) >= OLD;
export const isOld = (group) => (group.oldest_pending_ms ?? 0) >= OLD;
export const hasNoWorker = (group) => group.workers !== null && group.workers.length === 0;

export const WORDS = { following: 'Following', behind: 'Behind', stalled: 'Stalled', unknown: 'Can’t tell' };

/** `{level, reason, key}`: the key stays while only numbers change. */
export function judge({ phase, snapshot, unavailable }) {
  if (phase === 'unavailable') return cant(clean(unavailable?.error ?? 'the servers give no answer'), 'unavailable');
  if (!snapshot) return cant({ connecting: 'connecting…', silent: 'the server of this page has told nothing yet' }[phase] ?? 'the server of this page can’t be reached', phase);
  if (phase === 'lost') return cant('the connection to the server is lost; what is shown is the last that was known', phase);
  if (phase === 'silent') return cant('no new data; waiting for an answer', phase);
  if (phase === 'connecting') return cant('connecting…', phase);
  if (snapshot.groups.length === 0) return cant('no groups yet: onewrite init', 'no-groups');

  const found = { stalled: [], behind: [], unknown: [] };
  const causes = [];
  for (const group of snapshot.groups) {
    const one = judgeGroup(group);
    if (one) found[one.level].push(`${clean(group.name, 40)} ${one.reason}`);
    if (one?.cause) causes.push(one.cause);
  }
  const closed = snapshot.groups.map(judgeGroup);
  // The log is closed for all groups alike: it is told once.
  if (closed.length > 1 && closed.every((one) => one?.kind.startsWith('closed') && one.where === closed[0].where)) {
    const [{ level, kind, where, cause }] = closed;
    return { level, reason: `the log is closed ${where}${cause ? `: ${cause}` : ''}`, key: `${level} log ${kind}` };
  }
  for (const level of ['stalled', 'behind', 'unknown']) {
    if (found[level].length === 0) continue;
    if (causes.length === 1 && found.stalled.length === 1) found.stalled[0] += `: ${causes[0]}`;
    const reasons = [...found[level], ...(level === 'stalled' ? found.behind : [])];
    const more = reasons.length > 3 ? `; and ${many(reasons.length - 3, 'more group')}` : '';
    const names = snapshot.groups.map((group) => judgeGroup(group)?.kind ?? '').join(' ');
    return { level, reason: reasons.slice(0, 3).join('; ') + more, key: `${level} ${names}` };
  }
  return { level: 'following', reason: calm(snapshot), key: 'following' };
}

function cant(reason, key) {
  return { level: 'unknown', reason, key: `unknown ${key}` };
}

/** What is wrong with a group; null when it follows. */
export function judgeGroup(group) {
  const inState = (state) => group.partitions.filter((one) => one.state === state).map((one) => one.partition);
  const late = group.oldest_unapplied_ms === null ? '' : `, ${age(group.oldest_unapplied_ms)} behind`;
  for (const state of ['halted', 'closed', 'stalled']) {
    const numbers = inState(state);
    if (numbers.length === 0) continue;
    const where = numbers.length === group.partitions.length && numbers.length > 1
      ? 'in all partitions' : `in partition${numbers.length === 1 ? '' : 's'} ${list(numbers, 6)}`;
    const errors = new Set(group.partitions.filter((one) => one.state === state).map((one) => one.error));
    const [error] = errors;
    return { level: 'stalled', kind: `${state}${numbers.length}`, where, reason: `is ${state} ${where}${late}`, cause: errors.size === 1 && error ? clean(error, 160) : null };
  }
  if (hasNoWorker(group) && (group.lag ?? 1) > 0) {
    return { level: 'stalled', kind: 'no-worker', reason: `has no worker: lag ${count(group.lag)}${late}` };
  }
  if (isBehind(group)) {
    if (group.applied_per_second === 0) {
      return { level: 'stalled', kind: 'idle', reason: `applies nothing: lag ${count(group.lag)}${late}` };
    }
    const end = catchUp(group);
    const when = end === 'never' ? ', and more is appended than it applies' : end === '?' || end === '–' ? '' : `, caught up in ${end}`;
    return { level: 'behind', kind: 'behind', reason: `is ${age(group.oldest_unapplied_ms)} behind: lag ${count(group.lag)}${when}` };
  }
  if (isOld(group)) {
    return { level: 'behind', kind: 'old', reason: `has an entry that has been pending for ${age(group.oldest_pending_ms)}` };
  }
  if (group.lag === null) return { level: 'unknown', kind: 'unknown', reason: 'tells no lag: its position is unknown' };
  return null;
}

function calm(snapshot) {
  const { groups } = snapshot;
  const all = groups.length === 1 ? 'the group' : `all ${groups.length} groups`;
  const isEmpty = groups.every((group) => group.partitions.length > 0 && group.partitions.every((one) => one.head === 0));
  if (isEmpty) return 'the log has no entries yet';
  const lag = Math.max(...groups.map((group) => group.lag));
  const idle = groups.filter(hasNoWorker).map((group) => clean(group.name, 40));
  const but = idle.length > 0 ? `; ${idle.join(', ')} ${idle.length === 1 ? 'has' : 'have'} no worker` : '';
  if (lag === 0) return `${all} ${groups.length === 1 ? 'has' : 'have'} applied all there is${but}`;
  const oldest = Math.max(...groups.map((group) => group.oldest_unapplied_ms ?? 0));
  const far = oldest > 0 ? `at most ${age(oldest)} behind` : `at most ${many(lag, 'entry', 'entries')} behind`;
  return `${all} ${groups.length === 1 ? 'is' : 'are'} ${far}${but}`;
}
