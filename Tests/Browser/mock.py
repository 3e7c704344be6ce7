#!/usr/bin/env python3
"""A stand-in for the server of Onewrite's page: serves page/ and the API with made-up data.

  mock.py [--port 8099] [--scenario healthy]

While it runs, GET /mock/set?scenario=NAME changes the scenario, /mock/down?seconds=N&how=gone|502 takes it away.
/mock/audit?end=agree|disagree|inconclusive|failed|hostile&hold=STEP&stream=live|breaks|quiet|none&refuse=0|403|503&forget=1 says how audits go.
"""
import argparse, base64, http.server, json, math, os, random, socket, socketserver, threading, time
from datetime import datetime, timezone
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../Sources/HTTPService/page')
CSP = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
       "base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
TYPES = {'.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8'}
EVIL = '<img src=x onerror=alert(1)>"\'&\u202egnp.exe\u0007\x1b[31m' + 'Z\u0301\u0301\u0301\u0301\u0301' + '</script><b>'
SCENARIOS = ['healthy', 'one', 'large', 'huge', 'empty', 'noworkers', 'nogroups', 'behind', 'closed', 'unavailable', 'pgdown',
             'login', 'reader', 'dead', 'hostile', 'broken', 'silent', 'waiting']


def iso(t):
    return datetime.fromtimestamp(t, timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.') + '%03dZ' % (int(t * 1000) % 1000)


class World:
    def __init__(self, scenario):
        self.scenario = scenario
        self.began = time.time()
        self.tries = 0
        self.resolved = {}
        self.version = 0
        self.partitions = {'one': 1, 'large': 256, 'huge': 1024}.get(scenario, 8)
        self.groups = ['postgres', 'stock', 'delivery']
        if scenario in ('large', 'hostile'):
            self.groups.append('search-index')
        if scenario == 'nogroups':
            self.groups = []
        self.letters = self.make_letters()
        self.audits = []
        self.audit = dict(end='agree', hold='', stream='live', refuse='0')

    # Rates and lag as functions of time, so that history and events agree.
    def append_rate(self, t):
        if self.scenario in ('empty', 'noworkers', 'nogroups'):
            return 0.0
        base = 40000 if self.scenario in ('large', 'huge') else 118
        return round(base * (1 + .35 * math.sin(t / 97) + .2 * math.sin(t / 23) + .06 * math.sin(t * 1.7)), 2)

    def is_late(self, group):
        return (self.scenario in ('large', 'behind') and group in ('stock', 'search-index')) or (self.scenario == 'hostile' and group == 'stock')

    def applied_rate(self, group, t):
        if self.scenario in ('empty', 'noworkers', 'nogroups'):
            return 0.0
        if self.is_late(group):
            return round(self.append_rate(t - 4) * (.93 + .1 * math.sin(t / 61)), 2)
        return self.append_rate(t - 1.3)

    def partition(self, group, p, t):
        s = self.scenario
        late = self.is_late(group)
        head = 0 if s in ('empty', 'noworkers') and s == 'empty' else int(4000 + 37 * (p % 11) + (t - self.began + 900) * self.append_rate(0) / self.partitions)
        rng = random.Random(p * 7919 + len(group) * 31)
        wave = 1 + math.sin(t / 7 + p)
        lag = 0 if s in ('empty', 'one') else int(wave * 1.5)
        state, error, owner = 'serving', None, '%s-%s' % (group, 'abcdefgh'[p % (8 if s in ('large', 'huge') else 2)])
        if s == 'noworkers':
            lag, state, owner = head, 'unowned', None
        if s == 'empty':
            lag = 0
        if late:
            lag = int(10 ** (rng.random() * 3) * (1.2 + wave / 3))
            if p % 61 == 7:
                lag *= 9
        if s in ('large', 'huge'):
            if group == 'delivery' and p % 53 == 12:
                state, error, lag = 'stalled', 'Redis refused the batch: OOM command not allowed when used memory > maxmemory', 900 + p
            if group == 'stock' and p == 77:
                state, error, owner, lag = 'halted', 'entries 4 012–4 019 are lost: they are in no consumer’s pending list and no longer in the log', None, 5120
            if group == 'search-index' and p in (200, 201, 202):
                state, owner, lag = 'unowned', None, 340
            if group == 'postgres' and p == 131:
                state, error = None, 'postgres-d holds it, and was last heard of 6 s ago'
            if group == 'search-index' and p == 31:
                state, error, lag = 'closed', 'Redis was restarted or replaced since the log was opened', 12
        if s == 'closed' and p < 3:
            state, error, owner = 'closed', 'Redis was restarted or replaced since the log was opened', None
        if s == 'hostile' and p == 2:
            state, error, owner = 'stalled', EVIL, EVIL[:60]
        position = head - lag
        out = dict(partition=p, epoch=1 + p % 2, head=head, position=max(0, position), lag=min(lag, head), pending=min(lag, 128), owner=owner,
                   token=3 + p % 9, refused=1 if p == 5 and s == 'large' else 0, state=state, error=error)
        if s == 'pgdown' and group == 'postgres':
            out.update(position=None, lag=None, token=None, refused=None, state='stalled', error='waiting for Postgres')
        return out

    def snapshot(self, t):
        s, groups = self.scenario, []
        for name in self.groups:
            parts = [self.partition(name, p, t) for p in range(self.partitions)]
            lags = [p['lag'] for p in parts]
            lag = None if None in lags else sum(lags)
            append, applied = self.append_rate(t), self.applied_rate(name, t)
            oldest = None if not lag else int(300 + 200 * math.sin(t / 5))
            if lag and self.is_late(name):
                oldest = int(41700 + 9000 * math.sin(t / 19)) if name == 'stock' else 12400
            if s == 'large' and name == 'delivery':
                oldest = 93000
            if s == 'noworkers':
                oldest = int((t - self.began) * 1000) + 4000
            dead = sum(1 for one in self.letters if one['letter'] not in self.resolved and any(g['group'] == name for g in one['groups']))
            catch = 0 if lag == 0 else None if lag is None or applied <= append else lag / (applied - append)
            workers = sorted({p['owner'] for p in parts if p['owner']})
            shown = EVIL[:50] if s == 'hostile' and name == 'search-index' else name
            groups.append(dict(name=shown, lag=lag, pending=sum(p['pending'] or 0 for p in parts), oldest_pending_ms=oldest, oldest_unapplied_ms=oldest if lag else None,
                               dead=None if s == 'pgdown' and name == 'postgres' else dead, refused=None if s == 'pgdown' and name == 'postgres' else sum(p['refused'] for p in parts),
                               append_per_second=append, applied_per_second=applied, seconds_to_catch_up=catch,
                               workers=workers, partitions=parts))
        pg = None if s == 'pgdown' else {'version': '15.20'}
        label, color = {'large': ('production', 'red'), 'huge': ('production', 'red'), 'hostile': (EVIL, 'magenta'), 'dead': ('staging', 'yellow'), 'empty': (None, None)}.get(s, ('shop-eu', 'blue'))
        return dict(schema='onewrite/status/v1', at=iso(t),
                    environment=dict(label=label, color=color, redis='10.0.0.1:6379/0', postgres='db.internal:5432/shop', namespace='onewrite', schema='onewrite'),
                    partitions=self.partitions, redis={'name': EVIL if s == 'hostile' else 'redis', 'version': '7.2.4'}, redis_error=None, postgres=pg,
                    postgres_error='connection to server at "db.internal", port 5432 failed: Connection refused' if s == 'pgdown' else None,
                    memory=None if s == 'pgdown' else dict(used=412000000, max=1000000000, log=210300000, window=96200000, stock=1400000, deliveries=82000, log_growth_per_day=12100000, days_left=48.6),
                    groups=groups, warnings=self.warnings(groups))

    def warnings(self, groups):
        s, out = self.scenario, []
        if s == 'large':
            out.append(dict(code='halted', group='stock', partition=77, hint='halted: entries 4 012–4 019 are lost: they are in no consumer’s pending list and no longer in the log'))
        if s == 'closed':
            out.append(dict(code='closed', hint='the log of partitions 0 1 2 is closed: Redis was restarted or replaced since the log was opened. A worker of the group postgres opens it, and so does onewrite open'))
        if s == 'pgdown':
            out.append(dict(code='postgres-unreachable', group='postgres', hint='position and dead letters are unknown: connection to server at "db.internal", port 5432 failed: Connection refused'))
        for group in groups:
            if group['workers'] == [] and group['lag']:
                out.append(dict(code='no-worker', group=group['name'], hint='no worker: onewrite worker --group ' + group['name']))
            if group['dead']:
                out.append(dict(code='dead-letters', group=group['name'], hint='%d dead letter%s: onewrite dead list' % (group['dead'], '' if group['dead'] == 1 else 's')))
        if s == 'large':
            out.append(dict(code='stalled', group='delivery', hint='partitions 12 65 118 171 224 stalled: Redis refused the batch: OOM command not allowed when used memory > maxmemory'))
            out.append(dict(code='orphaned', group='search-index', hint='384 pending with consumers that have no live worker: the next worker that takes their partition over will reclaim them'))
            out.append(dict(code='eviction', hint='Redis may evict the log (maxmemory-policy allkeys-lru): set it to noeviction'))
            out.append(dict(code='aof-tail', hint='Redis has not rewritten its append-only file since it was started. Run: redis-cli BGREWRITEAOF'))
        if s == 'hostile':
            out.append(dict(code=EVIL, group=EVIL[:50], partition=2, hint=EVIL * 3))
        return out

    def history(self):
        now, points = time.time(), []
        for k in range(180, 0, -1):
            t = now - k * 5
            groups = {}
            for name in self.groups:
                late = self.is_late(name)
                lag = int((4000 + 3600 * math.sin(t / 140)) * (8 if self.scenario == 'large' else 1)) if late else int(6 + 5 * math.sin(t / 11))
                groups[name] = dict(lag=0 if self.scenario == 'empty' else lag, lag_seconds=lag / 118, append_per_second=self.append_rate(t), applied_per_second=self.applied_rate(name, t))
            points.append(dict(at=iso(t), groups=groups))
        return dict(schema='onewrite/history/v1', every_seconds=5, points=[] if self.scenario in ('empty', 'noworkers') else points)

    def pending(self, group, partition, limit):
        t = time.time()
        out = []
        for p in range(self.partitions):
            if partition is not None and p != partition:
                continue
            one = self.partition(group, p, t)
            for k in range(min(one['pending'] or 0, 40)):
                kind = ['order.placed', 'order.placed', 'order.cancelled', 'stock.received'][k % 4]
                order = 'ord-%d' % (7700 + p * 50 + k)
                state = 'orphaned' if one['owner'] is None else 'lost' if k == 9 else 'in-flight'
                out.append(dict(group=group, partition=p, entry='%d-0' % (1763905309512 + 997 * k + p), seq=None if state == 'lost' else one['position'] + 1 + k,
                                consumer=one['owner'] or 'worker-c', idle_ms=41700 - 900 * k if k < 45 else 400, deliveries=1 + k % 3,
                                id=EVIL if self.scenario == 'hostile' and k == 1 else None if state == 'lost' else order + ('/cancel' if k % 4 == 2 else ''), type=None if state == 'lost' else kind, state=state))
        return out[:limit]

    def make_letters(self):
        if self.scenario not in ('dead', 'reader', 'hostile', 'large'):
            return []
        out = []
        for k in range(24 if self.scenario == 'dead' else 3):
            hand = k % 7 == 3
            p = (k * 5) % self.partitions
            seq = None if hand else 118 + k
            entry = '%d-0' % (1763905351204 + k * 7001)
            reason = 'added-by-hand' if hand else ['invalid', 'refused', 'invalid', 'taken'][k % 4]
            error = {'added-by-hand': 'it has no seq: it was added by hand', 'invalid': 'lines: expected SKU:quantity, got "TEA-250:two"',
                     'refused': 'the webhook answered 422: unknown SKU MUG-1', 'taken': 'set aside by a person: blocks the partition'}[reason]
            names = ['postgres', 'stock', 'delivery'] if reason == 'invalid' else ['delivery'] if reason == 'refused' else ['stock']
            ident = EVIL if self.scenario == 'hostile' else None if hand else 'ord-%d' % (7714 + k)
            out.append(dict(schema='onewrite/dead/v1', letter='%d:%s' % (p, seq if seq else entry), partition=p, seq=seq, entry=entry, id=ident, type=None if hand else 'order.placed',
                            shop=EVIL if self.scenario == 'hostile' else None if hand else 'main', reason=reason, error=EVIL if self.scenario == 'hostile' else error, resolved=False, unknown=[],
                            groups=[dict(group=n, reason=reason, error=error, at_ms=int(self.began * 1000) - 60000 * (k + 1) ** 2, age_ms=60000 * (k + 1) ** 2, resolution=None) for n in names]))
        return out

    def letter(self, one, **more):
        done = self.resolved.get(one['letter'])
        out = dict(one, resolved=done is not None, groups=[dict(g, resolution=done) for g in one['groups']])
        out.update(more)
        return out

    def order(self, ident, shop):
        number = ident.removeprefix('ord-')
        if not (ident.startswith('ord-') and number.isdigit()) or shop not in (None, 'main'):
            return None
        n = int(number)
        p, seq, entry = n % self.partitions, 118 + n % 1000, '1763905351204-0'
        steps = []
        for name in self.groups:
            step = dict(name=name, state='applied', applied_at='2025-11-23T14:02:31.204Z' if name == 'postgres' else None, consumer=None, idle_ms=None, deliveries=None, entries_before=None, reason=None, error=None)
            if n % 3 == 1 and name == 'stock':
                step.update(state='pending', consumer='stock-a', idle_ms=2104, deliveries=2, entries_before=7)
            if n % 3 == 1 and name == 'delivery':
                step.update(state='lagging', entries_before=318)
            if n == 7714:
                step.update(state='dead-letter', applied_at=None, reason='invalid', error='lines: expected SKU:quantity, got "TEA-250:two"')
            if self.scenario == 'pgdown' and name == 'postgres':
                step.update(state='unknown', applied_at=None)
            steps.append(step)
        job = {'state': 'waiting', 'jobs_before': 12} if n % 3 == 0 else {'state': 'not-made', 'jobs_before': None} if n % 3 == 1 or n == 7714 else {'state': 'taken', 'jobs_before': None}
        stored = None if self.scenario == 'pgdown' or n == 7714 else dict(status='cancelled' if n % 5 == 0 else 'placed', customer=EVIL if self.scenario == 'hostile' else 'c-17', placed_at='2025-11-23T14:02:31.198Z', lines=[dict(sku='TEA-250', quantity=2), dict(sku='MUG-1', quantity=1)])
        cancel = dict(id=ident + '/cancel', seq=seq + 4, epoch=1, entry='1763905399999-1', groups=steps, job=job) if n % 5 == 0 else None
        return dict(schema='onewrite/order/v1', id=ident, shop='main', partition=p, seq=seq, epoch=1, entry=entry, groups=steps, job=job, order=stored, cancellation=cancel,
                    incidents=None if self.scenario == 'pgdown' else [dict(schema='onewrite/incident/v1', at='2025-11-23T15:00:00Z', who='alice@ops-1', kind='stock', partition=p, seqs='118-120', what='counted twice; corrected', reason='ticket 42')] if n % 5 == 0 else [],
                    postgres_error='Connection refused' if self.scenario == 'pgdown' else None)

    def stock(self, shop):
        skus = []
        if shop in ('main', 'b&b/ÄÖ'):
            for k in range(40):
                redis = 200 - 13 * k
                postgres = redis + (3 if k % 13 == 4 else 0)
                one = dict(sku=EVIL if self.scenario == 'hostile' and k == 0 else ['TEA', 'MUG', 'POT', 'TIN'][k % 4] + '-%d' % (250 + k), redis=redis, postgres=None if k == 20 else postgres)
                one['differs'] = one['redis'] != one['postgres']
                skus.append(one)
        return dict(schema='onewrite/stock/v1', shop=shop, partition=3 % self.partitions, skus=skus)


    # Audits: a step each 0.4 s, but for one that is held.
    STEPS = [None, 'ledger'] + ['partition %d of 8' % p for p in range(8)] + ['orders']

    def start_audit(self):
        running = [one for one in self.audits if one['state'] == 'running']
        if running:
            return running[0]
        one = dict(schema='onewrite/audits/v1', audit='%d' % (len(self.audits) + 1), started_at='2026-11-29T20:36:11.204Z', state='running', progress=None, report=None, error=None)
        self.audits.append(one)
        threading.Thread(target=self.work, args=(one,), daemon=True).start()
        return one

    def work(self, one):
        for step in self.STEPS:
            one['progress'] = step
            time.sleep(.4)
            while step is not None and step == self.audit['hold']:
                time.sleep(.05)
        end = self.audit['end']
        if end == 'failed':
            one.update(state='failed', error='Redis at 10.0.0.1:6379 can’t be reached: Connection refused')
        else:
            one.update(state='done', report=self.report(end))

    def report(self, end):
        compared = dict(zip(['log', 'ledger', 'orders', 'order-lines', 'stock-in-postgres', 'stock-in-redis', 'deliveries', 'positions'], [9000, 9000, 8412, 16824, 24, 24, 8801, 24]))
        differences, different, doubts, explained, settled = [], {}, [], [], []
        if end == 'disagree':
            differences = [dict(subject='log', partition=2, seq=1204, name='entry 1763905351204-0', expected='no second entry of this place', found='one'),
                           dict(subject='stock-in-redis', partition=5, seq=1124, name='main TEA-250', expected='41', found='40'),
                           dict(subject='order-lines', name='main ord-7', expected='an order', found='only its line MUG-1')]
            differences += [dict(subject='orders', partition=k % 8, seq=300 + k, name='main ord-%d' % (7700 + k), expected='a row', found='none') for k in range(10)]
            different = {'log': 1, 'stock-in-redis': 1, 'orders': 1057, 'order-lines': 1}
            doubts = ['partition 6: its log was closed or opened anew meanwhile']
            explained = [dict(partition=3, seq=118 + k, name='main ord-%d' % (7714 + k), groups=['stock', 'delivery']) for k in range(2)]
            settled = [dict(incident=dict(schema='onewrite/incident/v1', at='2025-11-23T15:00:00Z', who='alice@ops-1', kind='stock', partition=3, seqs='118-120', what='counted twice; corrected', reason='ticket 42'), differences=3)]
        if end == 'hostile':
            differences = [dict(subject='orders', partition=1, seq=k, name=EVIL * (1 + 9 * k), expected=EVIL, found=EVIL * 3) for k in range(3)] + [dict(subject=EVIL, name=EVIL, expected='W' * 900, found=EVIL)]
            different = {'orders': 3, EVIL: 1}
            compared[EVIL] = 1
            doubts = [EVIL * 4]
            explained = [dict(partition=0, seq=1, name=EVIL, groups=[EVIL, EVIL])]
            settled = [dict(incident=dict(at=None, who=EVIL, kind=EVIL, partition=None, seqs=None, what=EVIL, reason=EVIL), differences=1)]
        if end == 'inconclusive':
            compared.update({'log': 0, 'ledger': 0, 'orders': 0, 'order-lines': 0, 'stock-in-postgres': 0})
            doubts = ['Postgres was not compared: connection to server at "db.internal", port 5432 failed: Connection refused', 'partition 6: its log is closed, or being opened: a worker of group postgres, or onewrite open, opens it']
        verdict = 'disagree' if different else 'inconclusive' if doubts else 'agree'
        return dict(schema='onewrite/audit/v1', verdict=verdict, inconclusive=doubts, partitions=8, subjects=[dict(subject=s, compared=n, different=different.get(s, 0)) for s, n in compared.items()],
                    differences=differences, explained=explained, explained_total=40 if explained else 0, settled=settled, settled_total=sum(one['differences'] for one in settled), seconds=4.412)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def send(self, status, body, kind='application/json', **headers):
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(data)))
        self.common()
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(data)

    def common(self):
        for name, value in {'Content-Security-Policy': CSP, 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer', 'Cache-Control': 'no-store',
                            'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Resource-Policy': 'same-origin'}.items():
            self.send_header(name, value)

    def json(self, value, status=200, **headers):
        self.send(status, json.dumps(value, ensure_ascii=False, separators=(',', ':')), **headers)

    def lines(self, values):
        self.send(200, ''.join(json.dumps(v, ensure_ascii=False) + '\n' for v in values), 'application/x-ndjson')

    def problem(self, status, title, detail, **headers):
        self.send(status, json.dumps(dict(type='about:blank', title=title, status=status, detail=detail)), 'application/problem+json', **headers)

    def gone(self):
        if time.time() >= self.server.down_until:
            return False
        if self.server.down_how == '502':
            self.send(502, '<h1>Bad gateway</h1>', 'text/html')
        else:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        return True

    def session(self):
        world = self.server.world
        if world.scenario == 'login':
            isin = 'onewrite_session=good' in (self.headers.get('Cookie') or '')
            return dict(login_required=True, name='alice' if isin else None, roles=['read', 'operate'] if isin else [], version='0.1.0')
        return dict(login_required=False, name=None, roles=['read'] if world.scenario == 'reader' else ['submit', 'read', 'operate'], version='0.1.0')

    def do_GET(self):
        url = urlsplit(self.path)
        asked = {k: v[0] for k, v in parse_qs(url.query).items()}
        path = url.path
        server, world = self.server, self.server.world
        if path == '/mock/set':
            server.world = World(asked['scenario'])
            server.turn += 1
            return self.json(dict(scenario=asked['scenario']))
        if path == '/mock/info':
            return self.json(dict(scenario=world.scenario, scenarios=SCENARIOS, followers=server.followers))
        if path == '/mock/change':
            world.version += 1
            return self.json({})
        if path == '/mock/audit':
            if 'forget' in asked:
                world.audits = []
            world.audit.update({k: v for k, v in asked.items() if k in world.audit})
            return self.json(dict(followers=server.audit_followers, asked=server.audits_asked))
        if path == '/mock/down':
            server.down_until, server.down_how = time.time() + float(asked['seconds']), asked.get('how', 'gone')
            return self.json({})
        if self.gone():
            return
        if path == '/' or path.startswith('/assets/'):
            name = 'index.html' if path == '/' else os.path.basename(path)
            try:
                with open(os.path.join(PAGE, name), 'rb') as file:
                    return self.send(200, file.read(), TYPES[os.path.splitext(name)[1]])
            except (OSError, KeyError):
                return self.problem(404, 'Not found', path)
        if path == '/v1/session':
            return self.json(self.session())
        if not self.session()['roles']:
            return self.problem(401, 'Unauthorized', 'a token is needed')
        if path == '/v1/events':
            return self.events()
        if world.scenario == 'broken':
            return self.problem(503, 'Redis can’t be asked', 'LOADING Redis is loading the dataset in memory')
        parts = [unquote(part) for part in path.split('/')[2:]]
        if path == '/v1/history':
            return self.json(world.history())
        if path == '/v1/status':
            return self.json(world.snapshot(time.time()))
        if path == '/v1/pending':
            return self.lines(world.pending(asked['group'], int(asked['partition']) if 'partition' in asked else None, int(asked.get('limit', 100))))
        if path == '/v1/dead':
            all_ = asked.get('all') == 'true'
            rows = [world.letter(one) for one in world.letters if all_ or one['letter'] not in world.resolved]
            return self.lines([r for r in rows if 'group' not in asked or any(g['group'] == asked['group'] for g in r['groups'])][:int(asked.get('limit', 1000))])
        if parts[0] == 'dead' and len(parts) == 2:
            found = [one for one in world.letters if one['letter'] == parts[1]]
            if not found:
                return self.problem(404, 'Not found', 'there is no dead letter "%s"' % parts[1])
            raw = b'\xff\xfe\x00binary'
            return self.json(world.letter(found[0], fields=[dict(name='epoch', value='1', base64=None), dict(name='seq', value='118', base64=None), dict(name='type', value='order.placed', base64=None),
                             dict(name='id', value=found[0]['id'] or '', base64=None), dict(name='lines', value='TEA-250:two', base64=None), dict(name='attributes', value='{"note":"' + EVIL + '\\u0000"}', base64=None),
                             dict(name='customer', value=raw.decode('utf8', 'replace'), base64=base64.b64encode(raw).decode())]))
        if path == '/v1/orders' or (parts[0] == 'orders' and len(parts) == 3):
            ident, shop = (asked['id'], None) if path == '/v1/orders' else (parts[2], parts[1])
            found = world.order(ident, shop)
            return self.json(found) if found else self.problem(404, 'Not found', 'Postgres has no order %s. One that is not applied yet is found with its shop' % ident)
        if parts[0] == 'stock' and len(parts) == 2:
            return self.json(world.stock(parts[1]))
        if path == '/v1/audits':
            return self.lines(world.audits[::-1])
        if parts[0] == 'audits' and len(parts) in (2, 3):
            found = [one for one in world.audits if one['audit'] == parts[1]]
            if world.audit['refuse'] == '503':
                return self.problem(503, 'Unavailable', 'the server is stopping')
            if not found or (len(parts) == 3 and world.audit['stream'] == 'none'):
                return self.problem(404, 'Not found', 'there is no audit "%s", or it is forgotten' % parts[1])
            if len(parts) == 3:
                return self.follow(found[0])
            server.audits_asked += 1
            return self.json(found[0])
        self.problem(404, 'Not found', path)

    def body(self):
        data = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        return json.loads(data) if data else {}

    def checked(self):
        if self.headers.get('Content-Type') != 'application/json':
            self.problem(415, 'Unsupported media type', 'expected application/json')
            return False
        return True

    def do_DELETE(self):
        if self.gone() or not self.checked():
            return
        self.send(204, b'', Set_Cookie='onewrite_session=; Max-Age=0; HttpOnly; SameSite=Strict')

    def do_POST(self):
        if self.gone():
            return
        body, world = self.body(), self.server.world
        if not self.checked():
            return
        if self.path == '/v1/session':
            if body.get('token') == 'right':
                return self.json(dict(login_required=True, name='alice', roles=['read', 'operate'], version='0.1.0'), Set_Cookie='onewrite_session=good; HttpOnly; SameSite=Strict; Path=/')
            world.tries += 1
            if world.tries > 2:
                world.tries = 0
                return self.problem(429, 'Too many tries', 'try again in 2 s', Retry_After='2')
            return self.problem(401, 'Unauthorized', 'this token is not known')
        if 'operate' not in self.session()['roles']:
            return self.problem(403, 'Forbidden', 'the role operate is needed')
        if self.path == '/v1/audits':
            if world.audit['refuse'] == '503':
                return self.problem(503, 'Unavailable', 'the server is stopping')
            if world.audit['refuse'] == '403':
                return self.problem(403, 'Forbidden', 'the role operate is needed')
            one = world.start_audit()
            return self.json(one, 202, Location='/v1/audits/' + one['audit'])
        if self.path in ('/v1/dead/retry', '/v1/dead/drop'):
            action = self.path.rsplit('/', 1)[1]
            if action == 'drop' and not body.get('reason'):
                return self.problem(400, 'Bad request', 'reason is missing')
            chosen = [one for one in world.letters if one['letter'] in body['ids']]
            plan = 'plan-%d-%s-%d' % (world.version, action, len(chosen))
            if body.get('confirm') and body['confirm'] != plan:
                return self.problem(409, 'The plan is outdated', 'what it would do has changed since. Ask for the plan again, and look at it')
            out = []
            for k, one in enumerate(chosen):
                if action == 'retry' and one['reason'] == 'invalid':
                    out.append(world.letter(one, outcome='refused', detail='it still is no change: ' + one['error']))
                elif not body.get('confirm'):
                    out.append(world.letter(one, outcome='planned', detail='to be appended again, to partition %d' % one['partition'] if action == 'retry' else 'to be dropped: ' + body['reason']))
                else:
                    done = dict(outcome='retried', partition=one['partition'], seq=900 + k, entry='1763905999999-0', by='alice (token), 10.0.0.9', at='2025-11-23T15:01:00Z') if action == 'retry' else \
                        dict(outcome='dropped', reason=body['reason'], by='alice (token), 10.0.0.9', at='2025-11-23T15:01:00Z')
                    world.resolved[one['letter']] = done
                    out.append(world.letter(one, outcome=done['outcome'], detail='retried as %d:%d' % (one['partition'], 900 + k) if action == 'retry' else 'dropped: ' + body['reason']))
            return self.json(dict(schema='onewrite/plan/v1', plan=plan, action=action, letters=out))
        self.problem(404, 'Not found', self.path)

    def stream(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Connection', 'close')
        self.common()
        self.end_headers()
        self.close_connection = True

    def follow(self, one):
        """An audit's events, one a change, until its end; or broken off, or held back as some proxies do."""
        self.stream()
        server, world, turn, told, sent = self.server, self.server.world, self.server.turn, None, 0
        server.audit_followers += 1
        try:
            while time.time() >= server.down_until and server.turn == turn:
                text = 'event: %s\ndata: %s\n\n' % (one['state'], json.dumps(one, ensure_ascii=False, separators=(',', ':')))
                if text != told and (world.audit['stream'] != 'quiet' or sent == 0):
                    self.wfile.write(text.encode())
                    sent += 1
                told = text
                # Nothing but trying tells that the other side has gone.
                self.wfile.write(b': \n\n')
                self.wfile.flush()
                if one['state'] != 'running' and world.audit['stream'] != 'quiet' or world.audit['stream'] == 'breaks' and sent == 2:
                    break
                time.sleep(.1)
        except OSError:
            pass
        finally:
            server.audit_followers -= 1

    def events(self):
        self.stream()
        server, turn = self.server, self.server.turn
        server.followers += 1
        try:
            while time.time() >= server.down_until and server.turn == turn:
                world = server.world
                if world.scenario == 'waiting' or (world.scenario == 'silent' and time.time() - world.began > 4):
                    self.wfile.write(b': still here\n\n')
                elif world.scenario == 'unavailable':
                    told = dict(error='Redis at 10.0.0.1:6379 can’t be reached: Connection refused', redis=None, redis_error='Connection refused', postgres={'version': '15.20'}, postgres_error=None)
                    self.wfile.write(b'event: unavailable\ndata: ' + json.dumps(told).encode() + b'\n\n')
                else:
                    self.wfile.write(b'event: status\ndata: ' + json.dumps(world.snapshot(time.time()), ensure_ascii=False, separators=(',', ':')).encode() + b'\n\n')
                self.wfile.flush()
                time.sleep(1 / server.pace)
        except OSError:
            pass
        finally:
            server.followers -= 1


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--port', type=int, default=8099)
    options.add_argument('--scenario', default='healthy', choices=SCENARIOS)
    options.add_argument('--pace', type=float, default=1, help='events a second')
    given = options.parse_args()
    server = Server(('127.0.0.1', given.port), Handler)
    server.world, server.turn, server.down_until, server.down_how, server.followers, server.pace = World(given.scenario), 0, 0, 'gone', 0, given.pace
    server.audit_followers, server.audits_asked = 0, 0
    print('http://127.0.0.1:%d/  scenario %s' % (given.port, given.scenario), flush=True)
    server.serve_forever()


if __name__ == '__main__':
    main()
