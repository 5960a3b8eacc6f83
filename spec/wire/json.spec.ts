import { expect } from 'chai';
import type { Json } from 'signalbox';

function throughJson<T>(value: T): Json<T> {
  return JSON.parse(JSON.stringify(value));
}

/** What the type says, compared with what JSON does: each expected value has the type that `Json` gives. */
describe('Json', () => {
  it('has dates as text, at any depth', () => {
    const at = new Date(0);
    const expected: Json<{ at: Date; all: Date[] }> = { at: at.toISOString(), all: [at.toISOString()] };
    expect(throughJson({ at, all: [at] })).to.deep.equal(expected);
  });

  it('leaves out what is undefined in an object, and has null for it in a list', () => {
    type Value = { a: string | undefined; b: (string | undefined)[] };
    const expected: Json<Value> = { b: [null, 'x'] };
    expect(throughJson<Value>({ a: undefined, b: [undefined, 'x'] })).to.deep.equal(expected);
  });

  it('leaves methods out', () => {
    const expected: Json<{ id: number; method(): void }> = { id: 1 };
    expect(throughJson({ id: 1, method() {} })).to.deep.equal(expected);
  });

  it('has what toJSON gives', () => {
    const price = { cents: 150, toJSON: () => ({ euro: 1.5 }) };
    const expected: Json<typeof price> = { euro: 1.5 };
    expect(throughJson(price)).to.deep.equal(expected);
  });
});
