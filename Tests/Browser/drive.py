#!/usr/bin/env python3
"""Drives Onewrite's page in Chromium through the DevTools protocol, and checks what it shows.

  drive.py BASE OUT [--order ID] [--token TOKEN] [--seconds N] [--only NAME …] [--real]

BASE is http://host:port of a server; against mock.py all scenarios are gone through, against a real one what holds for any.
OUT takes the screenshots. Needs websocket-client and Debian's chromium. Exits non-zero when something is wrong.
"""
import argparse, base64, json, os, re, shutil, subprocess, sys, tempfile, time, urllib.parse, urllib.request
import websocket

DESKTOP, PHONE, SMALL = (1280, 900), (390, 844), (360, 740)
failures, checks = [], 0


def check(what, isright, found=''):
    global checks
    checks += 1
    print(('  ok    ' if isright else '  WRONG ') + what + ('' if isright else ': %s' % (found,)), flush=True)
    if not isright:
        failures.append(what)


class Browser:
    def __init__(self):
        self.home = tempfile.mkdtemp(prefix='drive-')
        program = shutil.which('chromium') or shutil.which('google-chrome') or 'chromium'
        self.process = subprocess.Popen([program, '--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--no-first-run', '--disable-dev-shm-usage',
                                         '--remote-debugging-port=0', '--remote-allow-origins=*', '--user-data-dir=' + self.home, 'about:blank'],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        file = os.path.join(self.home, 'DevToolsActivePort')
        for _ in range(200):
            if os.path.exists(file) and open(file).read().count('\n'):
                break
            time.sleep(.1)
        self.port = open(file).read().split('\n')[0]

    def page(self):
        request = urllib.request.Request('http://127.0.0.1:%s/json/new?about:blank' % self.port, method='PUT')
        return Page(json.load(urllib.request.urlopen(request))['webSocketDebuggerUrl'])

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.home, ignore_errors=True)


class Page:
    def __init__(self, url):
        self.socket = websocket.create_connection(url, timeout=30)
        self.number, self.troubles, self.loads = 0, [], 0
        for domain in ('Page', 'Runtime', 'Log', 'Performance'):
            self.call(domain + '.enable')
        self.size(*DESKTOP)
        self.scheme('light')

    def call(self, method, **params):
        self.number += 1
        self.socket.send(json.dumps(dict(id=self.number, method=method, params=params)))
        while True:
            told = json.loads(self.socket.recv())
            if told.get('id') == self.number:
                if 'error' in told:
                    raise RuntimeError('%s: %s' % (method, told['error']))
                return told['result']
            self.event(told)

    def event(self, told):
        method, params = told.get('method'), told.get('params', {})
        if method == 'Runtime.exceptionThrown':
            self.troubles.append('exception: ' + json.dumps(params['exceptionDetails'].get('exception', {}).get('description', params['exceptionDetails']['text'])))
        elif method == 'Runtime.consoleAPICalled' and params['type'] in ('error', 'warning', 'assert'):
            self.troubles.append('console: ' + json.dumps(params['args'])[:300])
        elif method == 'Log.entryAdded' and params['entry']['level'] in ('error', 'warning'):
            self.troubles.append('log: %s %s' % (params['entry']['text'], params['entry'].get('url', '')))

    def js(self, code):
        result = self.call('Runtime.evaluate', expression=code, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(result['exceptionDetails'].get('exception', {}).get('description', '') + ' in ' + code)
        return result['result'].get('value')

    def wait(self, code, seconds=8, what=None):
        end = time.time() + seconds
        while time.time() < end:
            try:
                if self.js(code):
                    return True
            except RuntimeError:
                pass
            time.sleep(.05)
        if what:
            check(what, False, 'not within %s s: %s' % (seconds, code))
        return False

    def go(self, url):
        self.call('Page.navigate', url='about:blank')
        self.call('Page.navigate', url=url)
        self.wait("document.readyState === 'complete' && document.querySelector('#view') && !/Connecting/.test(document.querySelector('#view').textContent)")

    def hash(self, value):
        self.js('location.hash = %s' % json.dumps(value))
        time.sleep(.15)

    def size(self, width, height):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, value, motion='no-preference'):
        self.call('Emulation.setEmulatedMedia', features=[dict(name='prefers-color-scheme', value=value), dict(name='prefers-reduced-motion', value=motion)])

    def key(self, key, text=None, shift=False):
        code = {'Enter': 13, 'Tab': 9, 'Escape': 27, 'ArrowRight': 39, 'ArrowLeft': 37, 'ArrowUp': 38, 'ArrowDown': 40, 'Home': 36, 'End': 35, ' ': 32}.get(key, ord(key[0].upper()))
        base = dict(key=key, windowsVirtualKeyCode=code, modifiers=8 if shift else 0, code='Slash' if key == '/' else key)
        text = {'Enter': '\r', ' ': ' '}.get(key, key if len(key) == 1 else None)
        self.call('Input.dispatchKeyEvent', type='keyDown' if text else 'rawKeyDown', **base, **({'text': text} if text else {}))
        self.call('Input.dispatchKeyEvent', type='keyUp', **base)
        time.sleep(.03)

    def type(self, text):
        self.call('Input.insertText', text=text)

    def shot(self, path, whole=False):
        more = {}
        if whole:
            size = self.call('Page.getLayoutMetrics')['cssContentSize']
            more = dict(captureBeyondViewport=True, clip=dict(x=0, y=0, width=size['width'], height=min(size['height'], 4000), scale=1))
        with open(path, 'wb') as file:
            file.write(base64.b64decode(self.call('Page.captureScreenshot', format='png', **more)['data']))

    def metrics(self):
        return {one['name']: one['value'] for one in self.call('Performance.getMetrics')['metrics']}

    def text(self, selector):
        return self.js('(document.querySelector(%s)?.innerText ?? null)' % json.dumps(selector))


CONTRAST = r'''(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
  const ground = (el) => { const stack = []; for (let e = el; e; e = e.parentElement) { const s = getComputedStyle(e); const m = /rgba?\([^)]+\)|color\([^)]+\)/g;
      if (s.backgroundImage.includes('gradient')) { const found = s.backgroundImage.match(m); if (found) { stack.push(rgba(found[0])); } }
      stack.push(rgba(s.backgroundColor)); if (stack.at(-1)[3] === 1 || stack.at(-2)?.[3] === 1) break; }
    return stack.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]); };
  const low = []; let count = 0, least = 99;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const el = walk.currentNode.parentElement; if (!walk.currentNode.data.trim()) continue;
    const s = getComputedStyle(el); const box = el.getBoundingClientRect();
    if (!box.width || !box.height || s.visibility === 'hidden' || el.closest('.hide, [hidden], option, .skip, :disabled')) continue;
    const back = ground(el); const color = el instanceof SVGElement ? s.fill : s.color; const front = over(rgba(color), back);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x); const ratio = (a + .05) / (b + .05);
    const big = parseFloat(s.fontSize) >= 24 || (parseFloat(s.fontSize) >= 18.66 && parseInt(s.fontWeight) >= 700);
    count += 1; least = Math.min(least, ratio);
    if (ratio < (big ? 3 : 4.5)) low.push(`${ratio.toFixed(2)} ${el.className?.baseVal ?? el.className} "${walk.currentNode.data.trim().slice(0, 24)}" ${color}`);
  }
  return {count, least: +least.toFixed(2), low: [...new Set(low)].slice(0, 12)};
})()'''

OVERFLOW = r'''(() => { const w = document.documentElement.clientWidth; const out = [];
  if (document.documentElement.scrollWidth > w) for (const e of document.body.querySelectorAll('*')) { const r = e.getBoundingClientRect();
    if (r.right > w + 1 && r.width > 0 && !e.closest('.hide, .scroll, .flush, .skip, .outcomes')) out.push(e.tagName + '.' + (e.className?.baseVal ?? e.className) + ' ' + Math.round(r.right)); }
  return {width: w, scroll: document.documentElement.scrollWidth, out: out.slice(0, 6)}; })()'''

NAMES = r'''(() => { const bad = [];
  const name = (e) => (e.getAttribute('aria-label') || [...(e.labels ?? [])].map((l) => l.textContent).join('') || e.textContent || e.title || '').trim();
  for (const e of document.querySelectorAll('a[href], button, input, select')) if (e.getClientRects().length && !name(e)) bad.push(e.outerHTML.slice(0, 90));
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id); const twice = ids.filter((id, i) => ids.indexOf(id) !== i);
  const heads = [...document.querySelectorAll('h1,h2,h3')].filter((e) => e.closest('main') && (e.getClientRects().length || e.className === 'hide'));
  return {bad, twice, h1: document.querySelectorAll('main h1').length, landmarks: ['header', 'main', 'nav', 'footer'].every((t) => document.querySelector(t)), heads: heads.map((e) => e.tagName).join(' '),
    styled: document.querySelectorAll('[onclick],[onload],[onerror]').length}; })()'''


def look(page, name, out, whole=False):
    """A screenshot in both themes and on a phone, with contrast and width computed in each."""
    for theme in ('light', 'dark'):
        page.scheme(theme)
        time.sleep(.1)
        found = page.js(CONTRAST)
        check('%s: contrast AA, %s (%d texts, least %.2f)' % (name, theme, found['count'], found['least']), not found['low'], found['low'] or '')
        page.shot(os.path.join(out, '%s-%s.png' % (name, theme)), whole)
    page.scheme('light')
    for width, height in (SMALL, PHONE):
        page.size(width, height)
        time.sleep(.25)
        found = page.js(OVERFLOW)
        check('%s: no horizontal scrolling at %d px' % (name, width), found['scroll'] <= found['width'], found['out'] or '')
    page.shot(os.path.join(out, '%s-phone.png' % name), True)
    page.size(*DESKTOP)
    time.sleep(.15)
    found = page.js(NAMES)
    check('%s: names, one h1, landmarks' % name, not found['bad'] and not found['twice'] and found['h1'] == 1 and found['landmarks'], '' if not (found['bad'] or found['twice'] or found['h1'] != 1) else found)


def get(base, path):
    return urllib.request.urlopen(base + path, timeout=20).read().decode()


class Run:
    def __init__(self, base, out, page, given):
        self.base, self.out, self.page, self.given = base, out, page, given

    def set(self, scenario, hash='#/'):
        get(self.base, '/mock/set?scenario=' + scenario)
        self.page.go(self.base + '/' + hash)

    def word(self):
        return (self.page.text('.verdict .word') or '').replace('’', "'")

    def verdict(self, scenario, word, reason):
        end = time.time() + 6
        while True:
            found = (self.word(), self.page.text('.verdict .reason') or '')
            isright = found[0] == word and re.search(reason, found[1], re.I) is not None
            if isright or time.time() > end:
                break
            time.sleep(.05)
        check('%s: the verdict is %s (%s)' % (scenario, word, reason), isright, found)

    def clean(self, name, allowed=None):
        """No exception, no console error and no violation of the CSP since the last time."""
        self.page.js('1')
        found = [one for one in self.page.troubles if not (allowed and re.search(allowed, one))]
        csp = [one for one in self.page.troubles if 'Content Security Policy' in one or 'Content-Security-Policy' in one]
        check('%s: console clean, no CSP violation' % name, not found and not csp, found[:3] or '')
        self.page.troubles.clear()

    # MARK: What holds for any server

    def common(self):
        page = self.page
        page.go(self.base + '/')
        if page.js("!!document.querySelector('#token')"):
            check('a token is asked for', bool(self.given.token), 'give --token')
            page.js("document.querySelector('#token').focus()")
            page.type(self.given.token or '')
            page.key('Enter')
        if not page.wait("document.querySelectorAll('.groups tbody tr').length > 0", 10, 'the groups are shown'):
            return
        status = json.loads(page.js("fetch('/v1/status').then((r) => r.text())"))
        names = page.js("[...document.querySelectorAll('.groups tbody tr .name')].map((e) => e.textContent)")
        check('a row for each group', names == [g['name'] for g in status['groups']], names)
        check('a verdict', self.word() in ('Following', 'Behind', 'Stalled', "Can't tell"), self.word())
        cells = page.js("document.querySelectorAll('.panels .cell').length")
        check('a cell for each partition of each group', cells == sum(len(g['partitions']) for g in status['groups']), cells)
        label = status['environment']['label']
        if label:
            check('the environment’s label is in sight', page.text('#env') == label, page.text('#env'))
        if status['redis']:
            check('Redis’s version is in sight', status['redis']['version'] in page.text('#stores'))
        turn = page.text('#when')
        check('it goes on by itself', page.wait('document.querySelector("#when").innerText !== %s' % json.dumps(turn), 4))
        look(page, 'overview', self.out)
        group = status['groups'][0]['name']
        page.hash('#/group/' + urllib.parse.quote(group))
        check('a group’s page', page.wait("document.querySelector('h1').textContent === %s" % json.dumps(group)))
        time.sleep(1.2)
        look(page, 'group', self.out)
        page.hash('#/group/%s/0' % urllib.parse.quote(group))
        check('a partition’s page', page.wait("/Nothing pending|Entry ID/.test(document.querySelector('.flush')?.innerText)", 8), page.text('#view'))
        look(page, 'partition', self.out)
        order = self.given.order
        if order:
            self.search(order)
        page.hash('#/dead')
        check('the list of dead letters', page.wait("/No dead letters|Letter/.test(document.querySelector('#view').innerText)", 8), page.text('#view'))
        page.hash('#/stock/main')
        check('a shop’s stock', page.wait("/Redis|No stock/.test(document.querySelector('#view').innerText)", 8), page.text('#view'))
        page.hash('#/audit')
        page.wait("document.querySelector('h1').textContent === 'Audit'")
        page.js("document.querySelector('.actions .main').click()")
        if page.js("!document.querySelector('.actions .main').disabled"):
            check('an audit is started and followed to its end', page.wait("/All agree|Some differ|Inconclusive/.test(document.querySelector('.outcome h2')?.innerText) && document.querySelectorAll('.audit .name').length >= 8", 60), page.text('#view'))
        else:
            check('who may not start one is told so', 'role operate' in page.text('.actions'), page.text('.actions'))
        page.hash('#/')
        self.clean('all views', 'status of 404')

    def search(self, order):
        page = self.page
        page.hash('#/')
        page.js('document.activeElement.blur()')
        page.key('/')
        check('the key / focuses the search', page.js("document.activeElement.id") == 'search-id')
        page.type(order)
        page.key('Enter')
        check('search leads to the order', page.wait("document.querySelector('.way') !== null && document.querySelector('h1').textContent.includes(%s)" % json.dumps(order)), page.text('#view'))
        steps = page.js("[...document.querySelectorAll('.fork .step b')].map((e) => e.textContent)")
        check('with a step for each group', steps and 'postgres' in steps, steps)
        page.js('history.back()')
        check('back leads to where one was', page.wait("location.hash === '#/' && document.querySelector('.groups') !== null"))

    def cost(self, name, limit=.1):
        """Script time by the page's own performance.now, and all the main thread does by the browser's counters."""
        page, updates = self.page, self.given.seconds
        page.wait("document.querySelectorAll('.cell').length > 0")
        time.sleep(2)
        page.js('onewriteSpent.length = 0')
        before, began = page.metrics(), time.time()
        count = page.js("document.querySelectorAll('.cell').length")
        time.sleep(updates)
        after, lasted = page.metrics(), time.time() - began
        spent = page.js('[...onewriteSpent]')
        took = {key: (after[key] - before[key]) / lasted for key in ('ScriptDuration', 'RecalcStyleDuration', 'LayoutDuration', 'TaskDuration')}
        share = sum(spent) / 1000 / lasted
        print('  %s: %d cells, %.0f s, %d pieces of work: %.2f ms a second in handlers (longest %.1f ms)' % (name, count, lasted, len(spent), share * 1000, max(spent, default=0)))
        print('  %s: of a core: script %.2f %%, style %.2f %%, layout %.2f %%, all tasks %.2f %%' % (name, *(100 * took[k] for k in ('ScriptDuration', 'RecalcStyleDuration', 'LayoutDuration', 'TaskDuration'))))
        check('%s: script below %d %% of a core' % (name, limit * 100), took['ScriptDuration'] < limit and share < limit and len(spent) > updates, '%.2f %%' % (100 * took['ScriptDuration']))

    # MARK: Scenarios of the mock

    def healthy(self):
        self.set('healthy')
        self.verdict('healthy', 'Following', 'all 3 groups are at most')
        check('no warnings', self.page.js("document.querySelector('#warnings').hidden"))
        check('the chart has lines', self.page.wait("document.querySelectorAll('.panels .chart .line.append')[0]?.getAttribute('d').length > 500"))
        self.common()
        self.keys()
        self.page.size(*SMALL)
        self.page.js('scrollTo(0, 700)')
        time.sleep(.3)
        top = self.page.js("(() => { const r = document.querySelector('#env').getBoundingClientRect(); const e = document.elementFromPoint(r.x + 5, r.y + r.height / 2); return [r.top, scrollY, e.id]; })()")
        check('the label stays in sight on a phone', 0 <= top[0] < 60 and top[1] > 500 and top[2] == 'env', top)
        self.page.shot(os.path.join(self.out, 'phone-scrolled.png'))
        self.page.size(*DESKTOP)
        self.page.js('scrollTo(0, 300)')
        time.sleep(.2)
        check('and on a desk', 0 <= self.page.js("document.querySelector('#env').getBoundingClientRect().top") < 60)
        self.theme()
        self.hidden()
        self.search('ord-7715')
        self.page.hash('#/order?id=ord-7715')
        self.page.wait("document.querySelector('.way') !== null")
        look(self.page, 'order', self.out)
        check('an order cancelled has both ways', self.page.js("document.querySelectorAll('.way').length") == 2)
        self.page.hash('#/order?id=ord-missing')
        check('an order that isn’t there', self.page.wait("/No order ord-missing/.test(document.querySelector('#view').innerText)"))
        look(self.page, 'order-missing', self.out)
        self.page.hash('#/stock/main')
        check('stock with its differences', self.page.wait("document.querySelectorAll('tr.differs').length === 4"), self.page.js("document.querySelectorAll('tr.differs').length"))
        look(self.page, 'stock', self.out)
        self.page.hash('#/stock/b%26b%2F%C3%84%C3%96')
        check('a shop whose name needs encoding', self.page.wait("document.querySelector('h1').textContent === 'Stock of b&b/ÄÖ' && document.querySelectorAll('tr.differs').length === 4"))
        self.drill()
        self.clean('healthy', 'status of 404')
        self.words()
        page = self.page
        page.js("document.body.setAttribute('style', 'color: red')")
        page.js('1')
        check('(a violation of the CSP would be noticed)', any('Content Security Policy' in one for one in page.troubles), page.troubles)
        page.troubles.clear()

    def words(self):
        """Numbers read as the product's do, and the verdict in cases that no scenario has."""
        found = self.page.js('''import('/assets/words.js').then((w) => [w.age(400), w.age(41700), w.age(59960), w.age(192000), w.age(7500000), w.age(273600000), w.age(null),
            w.count(1204318), w.count(-1204), w.count(0), w.count(null), w.rate(3.24), w.rate(412.4), w.rate(0), w.bytes(512), w.bytes(3900000), w.clean('a\u202eb\u0000c'), w.visible('a\u202e\x1b'),
            w.orderOf('ord-1/cancel', 'order.cancelled'), w.orderOf('ord-1/return/2', 'order.returned'), w.orderOf('r-1', 'stock.received')].map((x) => x?.replace(/[\u202f\u00a0]/g, ' ') ?? null))''')
        right = ['0.4s', '41.7s', '1m 0s', '3m 12s', '2h 5m', '3d 4h', '?', '1 204 318', '-1 204', '0', '?', '3.2', '412', '0', '512 B', '3.9 MB', 'a\ufffdb\ufffdc', 'a\\u202e\\x1b', 'ord-1', 'ord-1', None]
        check('numbers and names read right', found == right, found)
        found = self.page.js('''import('/assets/verdict.js').then(({judge}) => {
            const part = (state, lag) => ({partition: 0, state, lag, head: 9});
            const group = (more) => ({name: 'stock', lag: 0, pending: 0, oldest_pending_ms: null, oldest_unapplied_ms: null, dead: 0, refused: 0, append_per_second: 1, applied_per_second: 1,
                seconds_to_catch_up: 0, workers: ['a'], partitions: [part('serving', 0)], ...more});
            const of = (...groups) => judge({phase: 'live', snapshot: {groups}}).level;
            return [of(group({})), of(group({lag: null})), of(group({lag: 5, oldest_unapplied_ms: 29999})), of(group({lag: 5, oldest_unapplied_ms: 30000})), of(group({lag: 5, oldest_unapplied_ms: 30000, applied_per_second: 0})),
                of(group({pending: 1, oldest_pending_ms: 40000})), of(group({workers: []})), of(group({workers: [], lag: 1})), of(group({lag: null}), group({lag: 5, oldest_unapplied_ms: 30000})),
                of(group({partitions: [part('halted', 0)]}), group({lag: null})), of(group({workers: null})), judge({phase: 'live', snapshot: null}).level];
        })''')
        right = ['following', 'unknown', 'following', 'behind', 'stalled', 'behind', 'following', 'stalled', 'behind', 'stalled', 'following', 'unknown']
        check('the verdict', found == right, found)

    def drill(self):
        page = self.page
        page.hash('#/')
        page.js("document.querySelectorAll('.panels .grid')[1].querySelectorAll('.cell')[3].click()")
        check('a cell leads to its partition', page.wait("location.hash === '#/group/stock/3' && document.querySelector('h1').textContent === 'Partition 3'"))
        for part in range(8):
            page.hash('#/group/stock/%d' % part)
            if page.wait("document.querySelector('.flush a.mono') !== null", 1.5):
                break
        page.js("document.querySelector('.flush a.mono').click()")
        check('an entry leads to its order’s way', page.wait("/^#.group.stock.\\d+.\\d+-0$/.test(location.hash) && document.querySelector('.way') !== null"), page.js('location.hash'))
        look(page, 'entry', self.out)
        page.js('history.back()')
        check('back from the entry', page.wait("document.querySelector('h1').textContent.startsWith('Partition')"))
        check('with the focus on the link that was followed', page.wait("document.activeElement.matches('a.mono, h1')"), page.js('document.activeElement.outerHTML.slice(0,80)'))

    def keys(self):
        page = self.page
        page.hash('#/')
        time.sleep(.3)
        stops = page.js("document.querySelectorAll('.panels .grid .cell[tabindex=\"0\"]').length")
        check('one tab stop a grid', stops == 3, stops)
        page.js("document.querySelector('.panels .grid .cell[tabindex=\"0\"]').focus()")
        label = lambda: page.js("document.activeElement.getAttribute('aria-label')")
        for key, number in (('ArrowRight', 1), ('ArrowRight', 2), ('ArrowLeft', 1), ('End', 7), ('Home', 0)):
            page.key(key)
            check('%s moves to partition %d' % (key, number), (label() or '').startswith('partition %d,' % number), label())
        columns = page.js("(() => { const c = [...document.querySelector('.panels .grid').children]; const n = c.findIndex((e) => e.offsetTop !== c[0].offsetTop); return n < 0 ? c.length : n; })()")
        page.key('ArrowDown')
        check('ArrowDown moves by a row', (label() or '').startswith('partition %d,' % (columns if columns < 8 else 0)), label())
        page.key('Enter')
        check('Enter opens it', page.wait("document.querySelector('h1').textContent.startsWith('Partition')"))
        check('the focus is on the new heading', page.js("document.activeElement.tagName") == 'H1')
        page.js('history.back()')
        check('back puts the focus on that cell', page.wait("document.activeElement.classList.contains('cell')"), page.js('document.activeElement.outerHTML.slice(0,80)'))
        page.js("document.querySelector('#main').focus(); scrollTo(0,0)")
        page.js('document.activeElement.blur()')
        seen = []
        for _ in range(60):
            page.key('Tab')
            seen.append(page.js("(() => { const e = document.activeElement; const s = getComputedStyle(e); return [e.id || e.getAttribute('href') || e.className || e.tagName, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]; })()"))
            if len([one for one in seen if one[0] == 'BODY']) == 2:
                break
        stops = [one[0] for one in seen]
        check('Tab reaches search, theme, groups and grids (%d stops)' % len(stops), 'search-id' in stops and 'theme' in stops and '#/group/postgres' in stops and any('/0' in s or '/4' in s or '/3' in s for s in stops if 'group/' in s), stops)
        check('the focus is visible at every stop', all(one[1] for one in seen if one[0] not in ('BODY', 'main')), [one[0] for one in seen if not one[1]])

    def theme(self):
        page = self.page
        page.js("document.querySelector('#theme').click()")
        check('the theme can be chosen', page.js("getComputedStyle(document.body).colorScheme + document.documentElement.dataset.theme") == 'darkdark', page.js("document.documentElement.dataset.theme"))
        page.go(self.base + '/')
        check('and is kept', page.js("document.documentElement.dataset.theme") == 'dark')
        page.js("document.querySelector('#theme').click()")
        check('and given up', page.js("document.documentElement.dataset.theme + localStorage.length") == 'light0')
        page.go(self.base + '/')
        page.wait("document.querySelectorAll('.groups tbody tr').length === 3")

    def hidden(self):
        page = self.page
        page.js("Object.defineProperty(document, 'hidden', {configurable: true, get: () => true}); document.dispatchEvent(new Event('visibilitychange')); onewriteSpent.length = 0")
        when = page.text('#when')
        time.sleep(3)
        followers = json.loads(get(self.base, '/mock/info'))['followers']
        check('nothing is done while nobody looks', page.js('onewriteSpent.length') == 0 and page.text('#when') == when and followers == 0, (page.js('onewriteSpent.length'), followers))
        page.js("Object.defineProperty(document, 'hidden', {configurable: true, get: () => false}); document.dispatchEvent(new Event('visibilitychange'))")
        check('and it goes on when somebody does', page.wait("document.querySelector('#when').innerText !== %s" % json.dumps(when), 4))

    def one(self):
        self.set('one')
        self.verdict('one', 'Following', 'all 3 groups have applied all there is')
        look(self.page, 'one', self.out)
        self.clean('one')

    def empty(self):
        self.set('empty')
        self.verdict('empty', 'Following', 'no entries yet')
        look(self.page, 'empty', self.out)
        self.page.hash('#/dead')
        check('no dead letters', self.page.wait("/No dead letters\\./.test(document.querySelector('#view').innerText)"), self.page.text('#view'))
        look(self.page, 'dead-empty', self.out)
        self.set('noworkers')
        self.verdict('noworkers', 'Stalled', 'has no worker')
        check('says how to start one', 'onewrite worker --group' in self.page.text('#view'))
        look(self.page, 'noworkers', self.out)
        self.set('nogroups')
        self.verdict('nogroups', "Can't tell", 'no groups yet')
        look(self.page, 'nogroups', self.out)
        self.clean('empty')

    def behind(self):
        self.set('behind')
        self.verdict('behind', 'Behind', 'stock is .* behind: lag')
        look(self.page, 'behind', self.out)
        check('the verdict is announced', self.page.wait("/^Behind: Stock is/.test(document.querySelector('#announce').textContent)", 12), self.page.text('#announce'))
        self.page.js("window.said = 0; new MutationObserver(() => { window.said += 1; }).observe(document.querySelector('#announce'), {childList: true, characterData: true, subtree: true})")
        reason = self.page.text('.verdict .reason')
        time.sleep(4)
        check('and not again each second', self.page.js('said') == 0 and self.page.text('.verdict .reason') != reason, self.page.js('said'))
        self.set('closed')
        self.verdict('closed', 'Stalled', 'the log is closed in partitions 0 1 2: Redis was restarted')
        look(self.page, 'closed', self.out)
        self.clean('behind')

    def large(self):
        self.set('large')
        self.verdict('large', 'Stalled', 'stock is halted in partition 77')
        page = self.page
        page.wait("document.querySelectorAll('.cell').length === 1024")
        time.sleep(1.5)
        check('five warnings first, then more', page.js("document.querySelectorAll('#warnings li').length") == 6 and 'more' in page.text('#warnings'))
        check('the stalled are named', 'stalled: 12 65 118' in re.sub(r'\s+', ' ', page.text('.panels')), re.sub(r'\s+', ' ', page.text('.panels'))[:300])
        check('the halted cell has its letter', page.js("[...document.querySelectorAll('.cell.halted')].map((e) => e.textContent + e.getAttribute('href')).join()") == 'H#/group/stock/77')
        look(page, 'large', self.out)
        page.shot(os.path.join(self.out, 'large-whole.png'), True)
        self.cost('256 partitions × 4 groups, overview')
        page.hash('#/group/stock')
        page.wait("document.querySelector('h1').textContent === 'stock'")
        time.sleep(.5)
        look(page, 'large-group', self.out)
        page.js("document.querySelector('details').open = true")
        check('the chart as a table', page.wait("document.querySelectorAll('details tbody tr').length > 150"), page.js("document.querySelectorAll('details tbody tr').length"))
        page.hash('#/group/stock/77')
        time.sleep(.5)
        look(page, 'large-partition', self.out)
        self.set('huge')
        page.wait("document.querySelectorAll('.cell').length === 3072")
        time.sleep(1.5)
        look(page, 'huge', self.out)
        self.cost('1024 partitions × 3 groups, overview')
        self.clean('large')

    def unavailable(self):
        self.set('unavailable')
        self.verdict('unavailable', "Can't tell", 'Redis at 10.0.0.1:6379')
        check('a banner says since when', re.search(r'since \d\d:\d\d:\d\dZ', self.page.text('#banner') or '') is not None, self.page.text('#banner'))
        check('Redis is unreachable, Postgres answers', 'unreachable' in self.page.text('#stores') and '15.20' in self.page.text('#stores'), self.page.text('#stores'))
        look(self.page, 'unavailable', self.out)
        self.set('pgdown')
        self.verdict('pgdown', 'Stalled', 'postgres is stalled in all partitions: waiting for Postgres')
        check('unknown is ?', '?' in self.page.text('.groups tbody tr'))
        look(self.page, 'pgdown', self.out)
        self.page.hash('#/order?id=ord-7700')
        self.page.wait("document.querySelector('.way') !== null")
        check('an order without Postgres', 'Postgres can’t be asked' in self.page.text('#view'))
        self.set('broken', '#/group/stock/2')
        self.page.wait("document.querySelector('.failure') !== null")
        check('one panel fails alone', 'Redis can’t be asked' in self.page.text('.failure') and self.page.text('h1') == 'Partition 2', self.page.text('#view'))
        look(self.page, 'broken', self.out)
        get(self.base, '/mock/set?scenario=healthy')
        self.page.js("document.querySelector('.failure button').click()")
        check('and comes back', self.page.wait("document.querySelector('.failure') === null"))
        self.clean('unavailable', 'status of 503')

    def gone(self):
        page = self.page
        for how in ('gone', '502'):
            self.set('healthy')
            page.wait("document.querySelectorAll('.groups tbody tr').length === 3")
            get(self.base, '/mock/down?seconds=8&how=' + how)
            check('%s: a banner says that it is disconnected' % how, page.wait("/^Disconnected since/.test(document.querySelector('#banner').innerText) && document.body.classList.contains('stale')", 7), page.text('#banner'))
            self.verdict(how, "Can't tell", 'lost')
            check('%s: stale is said' % how, 'stale' in page.text('#banner') and 'ago' in page.text('#when'), page.text('#when'))
            if how == 'gone':
                look(page, 'disconnected', self.out)
            check('%s: it comes back by itself' % how, page.wait("document.querySelector('#banner').hidden && !document.body.classList.contains('stale')", 25))
            self.verdict(how + ', back', 'Following', 'all 3 groups')
        self.set('silent')
        check('silence is noticed', page.wait("/^No new data since/.test(document.querySelector('#banner').innerText)", 15), page.text('#banner'))
        self.set('waiting')
        self.verdict('waiting', "Can't tell", 'connecting')
        look(page, 'waiting', self.out)
        check('nothing at all is noticed too', page.wait("/told nothing yet/.test(document.querySelector('.verdict').innerText)", 8), page.text('.verdict'))
        self.clean('gone', 'ERR_|502')

    def login(self):
        page = self.page
        self.set('login')
        check('a form asks for the token', page.wait("document.querySelector('#token')?.type === 'password'"))
        look(page, 'login', self.out)
        page.js("document.querySelector('#token').focus()")
        for word, text in (('wrong', 'not valid'), ('wrong', 'not valid'), ('wrong', 'Too many tries')):
            page.js("document.querySelector('#token').value = ''")
            page.wait("!document.querySelector('form.login button').disabled")
            page.js("document.querySelector('#token').focus()")
            page.type(word)
            page.key('Enter')
            check('a token refused: ' + text, page.wait("new RegExp(%s).test(document.querySelector('.login .trouble').innerText)" % json.dumps(text)), page.text('.login'))
        page.wait("!document.querySelector('form.login button').disabled", 6)
        page.js("document.querySelector('#token').value = ''; document.querySelector('#token').focus()")
        page.type('right')
        page.key('Enter')
        check('a token let in', page.wait("document.querySelectorAll('.groups tbody tr').length === 3"))
        check('who this is', page.text('#who') == 'alice')
        page.hash('#/dead')
        page.wait("document.querySelector('h1').textContent === 'Dead letters'")
        page.js("document.cookie = 'x=1'; document.querySelector('#logout').click()")
        check('logged out again', page.wait("document.querySelector('#token') !== null"))
        page.call('Network.clearBrowserCookies')
        page.go(self.base + '/#/order?id=ord-7715')
        page.wait("document.querySelector('#token') !== null")
        page.type('right')
        page.key('Enter')
        check('a deep link is kept over the login', page.wait("document.querySelector('.way') !== null"))
        page.call('Network.clearBrowserCookies')
        page.js("document.querySelector('.asking .main').click()")
        check('a 401 leads back to the form', page.wait("document.querySelector('#token') !== null"))
        self.clean('login', 'status of 4(01|29)')

    def dead(self):
        page = self.page
        self.set('dead', '#/dead')
        rows = "document.querySelectorAll('.dead tbody tr').length"
        check('24 dead letters', page.wait(rows + ' === 24'), page.js(rows))
        check('the badge tells of them', page.wait("!document.querySelector('#dead-badge').hidden"))
        look(page, 'dead', self.out)
        page.js("document.querySelector('#dead-filter').focus()")
        page.type('webhook')
        check('the filter', page.wait(rows + ' === 5'), page.js(rows))
        page.js("const f = document.querySelector('#dead-filter'); f.value = ''; f.dispatchEvent(new Event('input'))")
        page.js("document.querySelector('#dead-group').value = 'delivery'; document.querySelector('#dead-group').dispatchEvent(new Event('change', {bubbles: true}))")
        check('one group’s only', page.wait("location.hash === '#/dead?group=delivery' && %s < 24" % rows), page.js(rows))
        page.hash('#/dead')
        page.wait(rows + ' === 24')
        for letter in ('2:120', '5:119'):
            page.wait("document.querySelector('input[aria-label=\"Select %s\"]') !== null" % letter)
            page.js("document.querySelector('input[aria-label=\"Select %s\"]').click()" % letter)
        check('two are selected', page.text('.chosen') == '2 selected', page.text('.chosen'))
        page.js("[...document.querySelectorAll('.actions button')].find((b) => b.textContent === 'Retry…').click()")
        check('the plan comes first', page.wait("document.querySelectorAll('dialog .outcomes li').length === 2"), page.text('dialog'))
        check('with what is refused', 'refused: it still is no change' in page.text('dialog') and 'to be appended again' in page.text('dialog'))
        look(page, 'plan', self.out)
        get(self.base, '/mock/change')
        page.js("document.querySelector('dialog .main').click()")
        check('an outdated plan is not done', page.wait("/outdated/.test(document.querySelector('dialog').innerText)"), page.text('dialog'))
        page.js("document.querySelector('dialog .main').click()")
        page.wait("document.querySelectorAll('dialog .outcomes li').length === 2")
        page.js("document.querySelector('dialog .main').click()")
        check('then it is done', page.wait("/Done/.test(document.querySelector('dialog').innerText) && /retried as/.test(document.querySelector('dialog').innerText)"), page.text('dialog'))
        page.key('Escape')
        check('Escape closes, the list is read again', page.wait("document.querySelector('dialog') === null && %s === 23" % rows), page.js(rows))
        page.wait("document.querySelector('input[aria-label=\"Select 0:118\"]') !== null")
        page.js("document.querySelector('input[aria-label=\"Select 0:118\"]').click()")
        page.js("[...document.querySelectorAll('.actions button')].find((b) => b.textContent === 'Drop…').click()")
        page.key('Enter')
        check('to drop needs a reason', page.js("document.querySelectorAll('dialog .outcomes').length") == 0 and page.js("document.activeElement.id") == 'drop-reason')
        page.type('a test order')
        page.key('Enter')
        check('the plan to drop', page.wait("/to be dropped: a test order/.test(document.querySelector('dialog').innerText)"), page.text('dialog'))
        page.key('Enter')
        check('dropped', page.wait("/dropped: a test order/.test(document.querySelector('dialog .outcomes')?.innerText) && /Done/.test(document.querySelector('dialog').innerText)"), page.text('dialog'))
        page.key('Escape')
        page.js("document.querySelector('#dead-all').click()")
        check('resolved ones can be seen', page.wait("location.hash === '#/dead?all=true' && %s === 24 && document.querySelectorAll('.resolved').length === 2" % rows), page.js(rows))
        page.hash('#/dead/7%3A121')
        page.wait("document.querySelector('.failure') !== null")
        page.hash('#/dead/0%3A118')
        check('one letter whole', page.wait("document.querySelectorAll('.fields tbody tr').length === 7"))
        check('bytes that are no text', 'base64' in page.text('.fields') and '\\u202e' in page.text('.fields') and '\\x1b' in page.text('.fields'))
        look(page, 'letter', self.out)
        self.set('reader', '#/dead')
        page.wait(rows + ' === 3')
        check('without the role it is explained', 'role operate' in page.text('.actions') and page.js("[...document.querySelectorAll('.actions button')].every((b) => b.disabled)"))
        look(page, 'reader', self.out)
        self.clean('dead', 'status of 4(04|09)')

    def hostile(self):
        page = self.page
        page.js('window.pwned = 0')
        self.set('hostile')
        page.wait("document.querySelectorAll('.groups tbody tr').length === 4")
        time.sleep(1.2)
        for hash in ('#/', '#/dead', '#/stock/main', '#/order?id=ord-7715', '#/group/stock/2'):
            page.hash(hash)
            time.sleep(.8)
            check('hostile %s: nothing became markup' % hash, page.js("document.querySelectorAll('#view img, #view script, header img, .warnings img, main b > b').length") == 0)
            check('hostile %s: nothing invisible is left' % hash, page.js("!/[\\u202a-\\u202e\\u0007\\u001b]/.test(document.body.innerText + document.title)"))
            look(page, 'hostile' + re.sub(r'[^a-z]+', '-', hash), self.out)
        page.hash('#/group/%3Cimg%20src%3Dx%3E/99999')
        check('a hash that means nothing', page.wait("/There is no group/.test(document.querySelector('#view').innerText)"))
        page.hash('#/%E0%A4%A')
        time.sleep(.3)
        check('a hash that can’t be decoded', page.wait("document.querySelector('.groups') !== null"))
        self.clean('hostile')

    # MARK: Audits

    def audits(self, **given):
        return json.loads(get(self.base, '/mock/audit?' + urllib.parse.urlencode(given)))

    def ended(self, word, seconds=12):
        return self.page.wait("document.querySelector('.outcome h2')?.innerText === %s" % json.dumps(word), seconds)

    def at(self, text, seconds=8):
        return self.page.wait("document.querySelector('.progress').innerText.includes(%s)" % json.dumps(text), seconds)

    def audit(self):
        self.audit_runs()
        self.audit_ends()
        self.audit_breaks()

    def audit_runs(self):
        page = self.page
        self.set('healthy', '#/')
        page.wait("document.querySelectorAll('.groups tbody tr').length === 3")
        page.js("document.querySelector('#nav a[href=\"#/audit\"]').click()")
        check('the view is reached from the header', page.wait("document.querySelector('h1').textContent === 'Audit' && document.querySelector('#nav a[aria-current=page]').textContent === 'Audit'"))
        check('it says what an audit does', re.search('reads the whole log.*takes minutes', page.text('#view')) is not None and 'None was started' in page.text('#view'), page.text('#view'))
        look(page, 'audit-none', self.out)
        self.audits(hold='ledger')
        page.js("window.said = []; new MutationObserver(() => said.push(document.querySelector('#view [role=status]').textContent)).observe(document.querySelector('#view [role=status]'), {childList: true, characterData: true, subtree: true})")
        # From the heading, where one is who came by a link.
        page.key('Tab')
        check('Tab leads to the button', page.js("document.activeElement.textContent") == 'Start an audit', page.js('document.activeElement.outerHTML.slice(0, 80)'))
        page.key('Enter')
        check('Enter starts it: how far it is nobody knows at first', self.at('The audit of 20:36:11Z is running: ledger') and page.js("document.querySelector('progress').position") == -1, page.text('#view'))
        page.scheme('light', 'reduce')
        time.sleep(.1)
        page.shot(os.path.join(self.out, 'audit-begins.png'))
        page.scheme('light')
        self.audits(hold='partition 3 of 8')
        check('its progress is seen', self.at('The audit of 20:36:11Z is running: partition 3 of 8'), page.text('#view'))
        check('the bar has it too', page.js("(() => { const b = document.querySelector('progress'); return [b.value, b.max, b.getAttribute('aria-label')]; })()") == [3, 8, 'How far the audit is'])
        check('the focus is where the view begins', page.js('document.activeElement.tagName') == 'H1', page.js('document.activeElement.outerHTML.slice(0, 80)'))
        check('no second one can be started', page.js("document.querySelector('#view .actions').hidden"))
        check('it has an address', page.js('location.hash') == '#/audit/1', page.js('location.hash'))
        check('the title says that it runs', page.wait("document.title.includes('Audit: running')", 3), page.js('document.title'))
        look(page, 'audit-running', self.out)
        check('it is told aloud once, not at each step', page.js('said') == ['The audit is running.'], page.js('said'))
        page.hash('#/stock')
        page.wait("document.querySelector('h1').textContent === 'Stock'")
        end = time.time() + 5
        while self.audits()['followers'] and time.time() < end:
            time.sleep(.1)
        check('who leaves follows no more', self.audits()['followers'] == 0, self.audits())
        page.js("document.querySelector('#nav a[href=\"#/audit\"]').click()")
        check('who comes back finds it running', self.at('The audit of 20:36:11Z is running: partition 3 of 8'), page.text('#view'))
        asked = self.audits()['asked']
        page.js("Object.defineProperty(document, 'hidden', {configurable: true, get: () => true}); document.dispatchEvent(new Event('visibilitychange'))")
        time.sleep(6)
        found = self.audits()
        check('nothing is followed or asked while nobody looks', found['followers'] == 0 and found['asked'] == asked, (found, asked))
        page.js("Object.defineProperty(document, 'hidden', {configurable: true, get: () => false}); document.dispatchEvent(new Event('visibilitychange'))")
        time.sleep(.5)
        asked = self.audits()['asked']
        self.audits(hold='-')
        check('it is followed to its end by events', self.ended('All agree') and self.audits()['asked'] == asked, (page.text('#view'), self.audits(), asked))
        check('the end is told aloud', page.js('said.at(-1)').startswith('The audit is done. All agree: Every store'), page.js('said'))
        check('all subjects with their numbers', page.js("document.querySelectorAll('.audit tbody tr').length") == 8 and '16\u202f824' in page.text('.audit') and 'Differences' not in page.text('#view'), page.text('#view'))
        check('the title has the verdict', page.wait("document.title.includes('Audit: all agree')", 3), page.js('document.title'))
        look(page, 'audit-agree', self.out)
        page.hash('#/dead')
        page.wait("document.querySelector('h1').textContent === 'Dead letters'")
        page.hash('#/audit')
        check('who comes back finds its end', self.ended('All agree', 3), page.text('#view'))
        page.go(self.base + '/#/stock')
        page.go(self.base + '/#/audit')
        check('a page that knows of none finds the last', self.ended('All agree') and page.js('location.hash') == '#/audit/1', page.text('#view'))
        page.go(self.base + '/#/audit/1')
        check('so does who has its address', self.ended('All agree', 5), page.text('#view'))
        self.clean('audit')

    def run_audit(self, end, word, **given):
        self.set('healthy', '#/audit')
        self.audits(end=end, **given)
        self.page.js("document.querySelector('#view .actions .main').click()")
        return self.ended(word)

    def audit_ends(self):
        page = self.page
        check('differ: the verdict', self.run_audit('disagree', 'Some differ'), page.text('#view'))
        check('with how many, and in what', re.sub(r'\s', ' ', page.text('.outcome')).find('1 060 differences in log, orders, order lines and stock in Redis.') > 0, page.text('.outcome'))
        rows = page.js("[...document.querySelectorAll('table[aria-label=Differences] tbody tr')].map((r) => [...r.cells].map((c) => c.innerText.replace(/\\s/g, ' ')).join('|'))")
        check('each difference, with what was expected and found', len(rows) == 13 and rows[1] == 'stock in Redis|main TEA-250|5|1 124|41|40' and rows[2] == 'order lines|main ord-7|–|–|an order|only its line MUG-1', rows)
        view = re.sub(r'\s+', ' ', page.text('#view'))
        check('that there are more', 'And 1 047 more of orders. All of them: onewrite audit' in view, view)
        check('what each can mean', page.js("[...document.querySelectorAll('.means dt')].map((e) => e.textContent).join()") == 'log,orders and order lines,stock in Redis' and 'XADD by hand' in view, view)
        check('what was not compared', 'Not compared Partition 6: its log was closed or opened anew meanwhile.' in view, view)
        check('what dead letters explain', page.js("document.querySelectorAll('#view a[href=\"#/dead/3%3A118\"]').length") == 1 and 'and 38 more like these' in view, view)
        check('what was settled, by whom and why', 'stock, 3 differences: counted twice; corrected (ticket 42), by alice@ops-1' in view, view)
        check('another can be started', page.text('#view .actions .main') == 'Start another audit')
        look(page, 'audit-differ', self.out)
        page.scheme('dark')
        time.sleep(.15)
        page.shot(os.path.join(self.out, 'audit-differ-whole.png'), True)
        page.scheme('light')
        check('hostile: the verdict', self.run_audit('hostile', 'Some differ'), page.text('#view'))
        check('hostile audit: nothing became markup', page.js("document.querySelectorAll('#view img, #view script, #view b > b').length") == 0 and page.js("document.querySelectorAll('table[aria-label=Differences] tbody tr').length") == 4)
        check('hostile audit: nothing invisible is left', page.js("!/[\\u202a-\\u202e\\u0007\\u001b]/.test(document.body.innerText + document.title)"))
        look(page, 'audit-hostile', self.out)
        check('inconclusive: the verdict', self.run_audit('inconclusive', 'Inconclusive'), page.text('#view'))
        check('and why', 'Nothing differs in what could be compared' in page.text('.outcome') and 'Postgres was not compared: connection to server' in page.text('#view') and page.text('.audit tbody tr').endswith('none twice'), page.text('#view'))
        look(page, 'audit-inconclusive', self.out)
        self.set('healthy', '#/audit')
        self.audits(end='failed')
        page.js("document.querySelector('#view .actions .main').click()")
        check('one that fails says why', page.wait("/The audit of 20:36:11Z failed.*Connection refused. Nothing is said/s.test(document.querySelector('.failure')?.innerText)", 12), page.text('#view'))
        look(page, 'audit-failed', self.out)
        self.clean('how audits end')

    def audit_breaks(self):
        page = self.page
        check('a stream that breaks: it is asked, and found', self.run_audit('agree', 'All agree', stream='breaks') and self.audits()['asked'] >= 2, (page.text('#view'), self.audits()))
        asked = self.audits()['asked']
        check('no stream at all: the same', self.run_audit('agree', 'All agree', stream='none') and self.audits()['asked'] >= asked + 3, (page.text('#view'), self.audits()))
        asked = self.audits()['asked']
        check('a stream that is held back: the same', self.run_audit('agree', 'All agree', stream='quiet') and self.audits()['asked'] > asked, (page.text('#view'), self.audits()))
        self.clean('streams that break', 'ERR_|status of 404')

        self.set('healthy', '#/audit')
        self.audits(hold='partition 3 of 8')
        page.js("document.querySelector('#view .actions .main').click()")
        self.at('partition 3 of 8')
        get(self.base, '/mock/down?seconds=12')
        check('a connection that is lost is said, with what was known', self.at('Not reachable: asking again') and re.search(r'At \d\d:\d\d:\d\dZ it was at: partition 3 of 8', page.text('.progress')) is not None and page.js("document.querySelector('.progress').classList.contains('lost')"), page.text('#view'))
        check('it is told aloud', page.text('#view [role=status]') == 'Not reachable: asking again how far the audit is.', page.text('#view [role=status]'))
        look(page, 'audit-lost', self.out)
        check('and comes back by itself', self.at('The audit of 20:36:11Z is running: partition 3 of 8', 25), page.text('#view'))
        self.audits(refuse=503)
        get(self.base, '/mock/down?seconds=1')
        check('a server that is stopping says so', self.at('Unavailable: asking again. The server is stopping.'), page.text('#view'))
        self.audits(refuse=0, forget=1)
        check('and one that was started anew has forgotten it', page.wait("/There is no audit 1, or it is forgotten/.test(document.querySelector('#view').innerText)", 20), page.text('#view'))
        check('another can be started then', page.js("document.querySelector('#view .actions .main').getClientRects().length === 1"))
        look(page, 'audit-forgotten', self.out)
        self.audits(hold='-')
        page.js("document.querySelector('#view .actions .main').click()")
        check('and is', self.ended('All agree'), page.text('#view'))
        page.hash('#/audit/%3Cimg%20src%3Dx%3E%2F..')
        check('an address that means none', page.wait("/There is no audit <img src=x>.../.test(document.querySelector('#view').innerText)"), page.text('#view'))

        self.set('healthy', '#/audit')
        for refuse, text, again in ((403, 'It was not started: Forbidden the role operate', 0), (503, 'It was not started: Unavailable the server is stopping', 1)):
            self.audits(refuse=refuse)
            page.js("document.querySelector('#view .actions .main').click()")
            check('not started, %d: why' % refuse, page.wait("document.querySelector('.failure')?.innerText.replace(/\\s+/g, ' ').includes(%s) && document.querySelectorAll('.failure button').length === %d" % (json.dumps(text), again)), page.text('#view'))
        look(page, 'audit-refused', self.out)
        self.audits(refuse=0)
        page.js("document.querySelector('.failure button').focus()")
        page.key('Enter')
        check('trying again starts it', page.wait("!document.querySelector('.progress').hidden") and page.js('document.activeElement.tagName') == 'H1', page.text('#view'))
        check('to its end', self.ended('All agree'), page.text('#view'))

        self.set('reader', '#/audit')
        check('without the role it is explained', page.wait("document.querySelector('#view .actions .main').disabled") and 'role operate' in page.text('#view .actions') and page.js("document.querySelector('#view .actions .main').getAttribute('aria-describedby')") == 'audit-may-not', page.text('#view'))
        look(page, 'audit-reader', self.out)
        self.clean('audits that break', 'ERR_|status of (404|403|503)')


ALL = ['healthy', 'one', 'empty', 'behind', 'large', 'unavailable', 'gone', 'login', 'dead', 'audit', 'hostile']


def main():
    options = argparse.ArgumentParser()
    options.add_argument('base')
    options.add_argument('out')
    options.add_argument('--order', help='an order that is there')
    options.add_argument('--token', help='to log in with')
    options.add_argument('--seconds', type=int, default=60, help='how long to measure what updates cost')
    options.add_argument('--real', action='store_true', help='take even the mock for a real server')
    options.add_argument('--only', nargs='*', help='of the mock’s scenarios: ' + ' '.join(ALL))
    given = options.parse_args()
    os.makedirs(given.out, exist_ok=True)
    base = given.base.rstrip('/')
    try:
        is_mock = not given.real and 'scenarios' in json.loads(get(base, '/mock/info'))
    except Exception:
        is_mock = False
    browser = Browser()
    try:
        page = browser.page()
        run = Run(base, given.out, page, given)
        if is_mock:
            for name in given.only or ALL:
                print(name, flush=True)
                getattr(run, name)()
        else:
            run.common()
            run.cost('this log')
            run.clean('at the end', 'status of 404')
    finally:
        browser.close()
    print('\n%d checks, %d wrong' % (checks, len(failures)))
    for one in failures:
        print('  WRONG ' + one)
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    main()
