import { expect } from 'chai';
import { ConfigurationError } from 'signalbox';
import { decodePayload, encodePayload } from '#signalbox/observers/signal-payload.js';
import { entities, Room } from '../support/entities.js';
import { offlineOrm } from '../support/offline-orm.js';

class Money {
  constructor(public amount: number) {}
  get shown(): string {
    return `${this.amount} EUR`;
  }
}

class Moment {
  toJSON() {
    return 'now';
  }
}

const shared = { a: 1 };
const moment = new Moment();
const itself: Record<string, unknown> = {};
itself['list'] = [itself];

const copyPayload = (payload: unknown): unknown => decodePayload(encodePayload(payload));

/** @returns the copy of a payload that is changed after it was copied */
function copyBefore<Payload>(payload: Payload, change: (payload: Payload) => unknown): unknown {
  const copy = copyPayload(payload);
  change(payload);
  return copy;
}

const changed: readonly [name: string, copy: () => unknown, shown: object][] = [
  ['an object', () => copyBefore({ a: 1 }, (object) => Object.assign(object, { a: 2 })), { a: 1 }],
  ['a nested one', () => copyBefore({ a: { b: [1] } }, ({ a }) => a.b.push(2)), { a: { b: [1] } }],
  ['a date', () => copyBefore({ at: new Date(0) }, ({ at }) => at.setTime(1)), { at: new Date(0) }],
  ['a map', () => copyBefore(new Map([['a', shared]]), (map) => map.clear()), new Map([['a', { a: 1 }]])],
  ['a set', () => copyBefore(new Set([1]), (set) => set.clear()), new Set([1])],
  ['bytes', () => copyBefore(new Uint8Array([1]), (bytes) => bytes.fill(0)), new Uint8Array([1])],
  ['a buffer', () => copyBefore(Buffer.from([1]), (bytes) => bytes.fill(0)), Buffer.from([1])],
  ['an instance', () => copyBefore(new Money(1), (money) => Object.assign(money, { amount: 2 })), { amount: 1 }],
];

const refused: readonly [string, unknown, string][] = [
  ['a function', { on: [() => {}] }, 'payload.on[0] is a function'],
  ['a symbol', Symbol('x'), 'payload is a symbol'],
  ['what contains itself', itself, 'payload.list[0] contains itself'],
];

describe('The copy of a payload', () => {
  for (const [name, copy, shown] of changed) {
    it(`keeps ${name} as it was`, () => {
      expect(copy()).to.deep.equal(shown);
    });
  }

  it('has the own properties of an instance, and what a toJSON of its own shows', () => {
    expect(copyPayload({ money: new Money(1) })).to.deep.equal({ money: { amount: 1 } });
    expect(copyPayload({ moment })).to.deep.equal({ moment: 'now' });
    expect(copyPayload([shared, shared, null, undefined, 1n])).to.deep.equal([{ a: 1 }, { a: 1 }, null, undefined, 1n]);
  });

  it('keeps numbers that JSON has no form for, typed arrays, and keys that it uses itself', () => {
    expect(copyPayload([Number.NaN, Number.NEGATIVE_INFINITY])).to.deep.equal([Number.NaN, Number.NEGATIVE_INFINITY]);
    expect(copyPayload(new Float64Array([0.5]))).to.deep.equal(new Float64Array([0.5]));
    expect(copyPayload({ $: ['Date', 0], a: 1 })).to.deep.equal({ $: ['Date', 0], a: 1 });
  });

  it('takes a key named __proto__ for a key', () => {
    const copy = copyPayload(JSON.parse('{"__proto__": {"admin": true}}')) as Record<string, unknown>;
    expect(copy['admin']).to.equal(undefined);
    expect(Object.getPrototypeOf(copy)).to.equal(Object.prototype);
  });

  for (const [name, payload, told] of refused) {
    it(`refuses ${name}`, () => {
      expect(() => copyPayload(payload)).to.throw(
        ConfigurationError,
        `Signal.send: was given a payload that cannot be sent: ${told}. Send plain data: the key of an entity, or the values to show.`,
      );
    });
  }

  it('refuses an entity, a reference to one, and a collection of some', async () => {
    const orm = await offlineOrm(entities);
    const em = orm.em.fork();
    const text = 'payload.room is an entity (Room), which may change before the commit.';
    expect(() => copyPayload({ room: em.create(Room, { name: 'red' }) })).to.throw(ConfigurationError, text);
    expect(() => copyPayload({ room: em.getReference(Room, 1) })).to.throw(ConfigurationError, text);
    const { members } = em.create(Room, { name: 'blue' });
    const many = 'payload.members is a collection of entities (Collection), which may change before the commit.';
    expect(() => copyPayload({ members })).to.throw(ConfigurationError, many);
    await orm.close();
  });
});
