// Numbers, ages and names as a person reads them. Unknown is `?`, none is `–`.

const THIN = '\u202f';
const PLAIN = /^[\x20-\x7e]*$/;

/** A text from a store: what could turn it around, hide in it or break out of its line becomes `�`. */
export function clean(value, max = 1024) {
  let text = String(value);
  if (text.length <= max && PLAIN.test(text)) return text;
  if (text.length > max) text = `${text.slice(0, max)}…`;
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu, '\ufffd').replace(/\p{Zs}/gu, ' ')
    .replace(/(\p{M}{2})\p{M}+/gu, '$1');
}

/** The same where every character counts: `\x1b`, `\u202e`. */
export function visible(value) {
  return String(value).replace(/\\/g, '\\\\').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu, (found) => {
    const code = found.codePointAt(0);
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

export const name = (value) => (value === null || value === undefined ? '?' : clean(value));

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

/** A whole number with its thousands apart. */
export function count(value) {
  if (!isNumber(value)) return '?';
  const digits = String(Math.abs(Math.round(value)));
  return (value < 0 ? '-' : '') + digits.replace(/\B(?=(\d{3})+$)/g, THIN);
}

/** `1 entry`, `2 entries`. */
export const many = (value, one, more = `${one}s`) => `${count(value)} ${value === 1 ? one : more}`;

/** An age in milliseconds: `0.4s`, `41.7s`, `3m 12s`, `2h 5m`, `3d 4h`. */
export function age(milliseconds) {
  if (!isNumber(milliseconds)) return '?';
  const ms = Math.max(0, milliseconds);
  if (ms < 59_950) return `${(Math.round(ms / 100) / 10).toFixed(1)}s`;
  return longAge(Math.round(ms / 1000));
}

/** An age in whole seconds, which doesn't flicker. */
export function wholeAge(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  return seconds < 60 ? `${seconds}s` : longAge(seconds);
}

function longAge(seconds) {
  const [m, hours, d] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit));
  if (seconds < 3600) return `${m}m ${seconds % 60}s`;
  return seconds < 86_400 ? `${hours}h ${m % 60}m` : `${d}d ${hours % 24}h`;
}

export function rate(perSecond) {
  if (!isNumber(perSecond)) return '?';
  const tenths = Math.round(perSecond * 10);
  if (tenths === 0) return '0';
  return Math.abs(tenths) < 100 ? (tenths / 10).toFixed(1) : count(perSecond);
}

/** A size, in thousands as disks count. */
export function bytes(value) {
  if (!isNumber(value)) return '?';
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let scaled = value;
  while (Math.abs(scaled) >= 999.5 && units.length > 1) {
    scaled /= 1000;
    units.shift();
  }
  return `${units[0] === 'B' || Math.abs(scaled) >= 99.95 ? Math.round(scaled) : scaled.toFixed(1)}\u00a0${units[0]}`;
}

/** The time of day in UTC, `14:02:31Z`. */
export function clock(time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? '?' : `${date.toISOString().slice(11, 19)}Z`;
}

/** A moment in UTC, `2025-11-23 14:02:31.204Z`. */
export function moment(time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? clean(time) : date.toISOString().replace('T', ' ');
}

/** When an entry was appended, as its stream ID tells. */
export function appended(entry) {
  const found = /^(\d{1,15})-\d+$/.exec(entry ?? '');
  return found ? moment(Number(found[1])) : '?';
}

export const oldestPending = (group) =>
  group.oldest_pending_ms === null ? (group.pending === 0 ? '–' : '?') : age(group.oldest_pending_ms);

export const behind = (group) =>
  group.oldest_unapplied_ms === null ? (group.lag === 0 ? '–' : '?') : age(group.oldest_unapplied_ms);

/** When it will have caught up: `–` when it is less than a second's work behind, since it always is a little. */
export function catchUp(group) {
  const { lag, append_per_second: append, applied_per_second: applied, seconds_to_catch_up: seconds } = group;
  if (lag !== null && lag <= (applied ?? 0)) return '–';
  if (isNumber(seconds)) return age(seconds * 1000);
  return lag === null || append === null || applied === null ? '?' : 'never';
}

/** With a capital, and an end. */
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.…?!]$/.test(text) ? '' : '.');

/** `3`, `3 5 7`, `0 1 2 3 4 5 6 7 and 16 more`. */
export function list(numbers, max = 8) {
  const more = numbers.length > max ? ` and ${numbers.length - max} more` : '';
  return numbers.slice(0, max).join(' ') + more;
}

/** Who an order is that a change is about: `ord-1/cancel` and `ord-1/return/2` are about `ord-1`. */
export function orderOf(id, type) {
  if (!id || !String(type ?? '').startsWith('order.')) return null;
  return type === 'order.cancelled' ? id.replace(/\/cancel$/, '') : type === 'order.returned' ? id.replace(/\/return\/\d+$/, '') : id;
}

// Links.
const part = encodeURIComponent;
export const toGroup = (group) => `#/group/${part(group)}`;
export const toPartition = (group, partition) => `#/group/${part(group)}/${partition}`;
export const toEntry = (group, partition, entry) => `#/group/${part(group)}/${partition}/${part(entry)}`;
export const toOrder = (id, shop) => (shop ? `#/order/${part(shop)}/${part(id)}` : `#/order?id=${part(id)}`);
export const toLetter = (letter) => `#/dead/${part(letter)}`;
export const toAudit = (audit) => `#/audit/${part(audit)}`;
export const toStock = (shop) => `#/stock/${part(shop)}`;
