// A shop's stock, Redis beside Postgres.

import { readStock } from './api.js';
import { h, Panel, row, setHidden, setText, table } from './dom.js';
import { clean, count, many, toStock } from './words.js';

const COLUMNS = [{ title: 'SKU' }, { title: 'Redis', class: 'n' }, { title: 'Postgres', class: 'n' }, { title: 'Difference', class: 'n' }];
const SHOWN_MAX = 1000;

export class StockView {
  #panel = new Panel(h('div'));

  constructor() {
    this.heading = h('h1', { tabindex: -1 }, 'Stock');
    this.shop = h('input', { id: 'stock-shop', name: 'shop', required: true, maxlength: 256, autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false' });
    this.again = h('button', { type: 'button', on: { click: () => this.#ask() } }, 'Read again');
    this.only = h('input', { type: 'checkbox', id: 'stock-only', on: { change: () => this.#draw() } });
    this.onlyBox = h('label.check', { for: 'stock-only', hidden: true }, this.only, ' Only differences');
    this.note = h('p.note', 'A shop’s stock as Redis and Postgres have it.');
    this.el = h('div', this.heading,
      h('form.asking', { on: { submit: (event) => this.#submit(event) } }, h('label', { for: 'stock-shop' }, 'Shop'), this.shop,
        h('button.main', 'Show'), this.again, this.onlyBox), this.note, this.#panel.el);
  }

  show({ shop }) {
    this.title = shop ? `Stock of ${clean(shop)}` : 'Stock';
    setText(this.heading, this.title);
    this.shop.value = shop ?? '';
    if (shop !== this.asked) {
      this.#panel.clear();
      this.stock = null;
      setHidden(this.onlyBox, true);
    }
    this.asked = shop;
    setHidden(this.note, Boolean(shop));
    setHidden(this.again, !shop);
    if (shop) this.#ask();
  }

  hide() {
    this.#panel.stop();
  }

  update() {}

  #submit(event) {
    event.preventDefault();
    const shop = this.shop.value.trim();
    if (shop === '') return;
    if (toStock(shop) === location.hash) this.#ask();
    else location.hash = toStock(shop);
  }

  #ask() {
    this.#panel.load((signal) => readStock(this.asked, signal), (stock) => {
      this.stock = stock;
      return this.#table();
    });
  }

  #draw() {
    if (this.stock) this.#panel.el.replaceChildren(this.#table());
  }

  #table() {
    const { skus, shop, partition } = this.stock;
    const different = skus.filter((one) => one.differs === true);
    const unknown = skus.some((one) => one.differs === null);
    setHidden(this.onlyBox, different.length === 0);
    if (skus.length === 0) return h('p.note', `No stock of ${clean(shop)}: neither store has a SKU of it (partition ${partition}).`);
    const chosen = this.only.checked && different.length > 0 ? different : skus;
    const { el, body } = table(`Stock of ${clean(shop)}`, COLUMNS, 'cards stock');
    body.append(...chosen.slice(0, SHOWN_MAX).map((one) => row(COLUMNS, [h('span.name', clean(one.sku)), onHand(one.redis), onHand(one.postgres),
      one.differs ? h('b.bad', `≠ ${one.redis === null || one.postgres === null ? 'only in one' : signed(one.redis - one.postgres)}`)
        : h('span.dim', one.differs === null ? '?' : '=')], one.differs ? 'differs' : '')));
    const sum = unknown ? `${many(skus.length, 'SKU')}; only one store was asked`
      : different.length === 0 ? `${many(skus.length, 'SKU')}, the same in both stores`
        : `${count(different.length)} of ${many(skus.length, 'SKU')} differ. Entries that only one of the stores has applied make a difference that passes; one that stays is found by: onewrite audit`;
    return h('div', h('p', { class: different.length > 0 ? 'trouble' : 'note' }, `Partition ${partition}: ${sum}.`), h('div.panel.flush', el),
      chosen.length > SHOWN_MAX && h('p.note', `The first ${count(SHOWN_MAX)} of ${count(chosen.length)}.`));
  }
}

const onHand = (value) => (value === null ? '–' : count(value));
const signed = (value) => (value > 0 ? `+${count(value)}` : count(value));
