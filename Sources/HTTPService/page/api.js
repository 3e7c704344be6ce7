// The server's HTTP interface.

/** Why a request failed, for people. */
export class Problem extends Error {
  constructor(status, title, detail, retryAfter = null) {
    super(detail);
    Object.assign(this, { status, title, detail, retryAfter });
  }
}

const PATIENCE = 20_000;
let whenUnauthorized = () => {};

/** What to do when the server wants to know who this is. */
export function onUnauthorized(act) {
  whenUnauthorized = act;
}

async function request(method, path, { body, signal } = {}) {
  const headers = { Accept: 'application/json, application/x-ndjson, application/problem+json' };
  if (method !== 'GET') headers['Content-Type'] = 'application/json';
  const given = new AbortController();
  const stop = () => given.abort();
  signal?.addEventListener('abort', stop);
  const timer = setTimeout(stop, PATIENCE);
  try {
    const response = await fetch(path, {
      method, headers, signal: given.signal, credentials: 'same-origin', cache: 'no-store',
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (response.ok) return text;
    const problem = await readProblem(response, text);
    if (problem.status === 401 && path !== '/v1/session') whenUnauthorized();
    throw problem;
  } catch (error) {
    if (error instanceof Problem || signal?.aborted) throw error;
    if (given.signal.aborted) throw new Problem(0, 'No answer', `nothing came from the server in ${PATIENCE / 1000}s`);
    throw new Problem(0, 'Not reachable', 'the server that this page came from does not answer');
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}

function readProblem(response, text) {
  const after = Number(response.headers.get('Retry-After'));
  const retryAfter = Number.isFinite(after) && after > 0 ? after : null;
  let told = null;
  try {
    told = JSON.parse(text);
  } catch {
    // Something between here and the server answered, a proxy say.
  }
  return new Problem(response.status, String(told?.title ?? `The server answered ${response.status}`),
    String(told?.detail ?? response.statusText), retryAfter);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem(0, 'Not understood', 'the server’s answer is no JSON');
  }
}

const object = async (...args) => parse(await request(...args));
const lines = async (...args) => (await request(...args)).split('\n').filter((line) => line.trim() !== '').map(parse);
const part = encodeURIComponent;

function query(path, values) {
  const set = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return path + (set.length > 0 ? `?${set.map(([key, value]) => `${part(key)}=${part(value)}`).join('&')}` : '');
}

export const readSession = () => object('GET', '/v1/session');
export const logIn = (token) => object('POST', '/v1/session', { body: { token } });
export const logOut = () => request('DELETE', '/v1/session');
export const readHistory = (signal) => object('GET', '/v1/history', { signal });
export const readPending = (group, partition, limit, signal) =>
  lines('GET', query('/v1/pending', { group, partition, limit }), { signal });
export const readDead = ({ all, group, limit }, signal) =>
  lines('GET', query('/v1/dead', { all: all ? 'true' : null, group, limit }), { signal });
export const readLetter = (letter, signal) => object('GET', `/v1/dead/${part(letter)}`, { signal });
export const actOnDead = (action, body) => object('POST', `/v1/dead/${action}`, { body });
export const startAudit = () => object('POST', '/v1/audits');
export const readAudits = (signal) => lines('GET', '/v1/audits', { signal });
export const readAudit = (audit, signal) => object('GET', `/v1/audits/${part(audit)}`, { signal });
export const auditEvents = (audit) => new EventSource(`/v1/audits/${part(audit)}/events`);
export const findOrder = (id, signal) => object('GET', query('/v1/orders', { id }), { signal });
export const readOrder = (shop, id, signal) => object('GET', `/v1/orders/${part(shop)}/${part(id)}`, { signal });
export const readStock = (shop, signal) => object('GET', `/v1/stock/${part(shop)}`, { signal });
