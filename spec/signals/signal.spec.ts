import { expect } from 'chai';
import { Signal } from '#signalbox/signals/signal.js';

describe('A signal', () => {
  it('reaches each receiver once, until it disconnects', () => {
    const seen: string[] = [];
    const signal = new Signal<string>(() => {});
    const receiver = (payload: string): void => void seen.push(payload);
    signal.connect(receiver);
    signal.connect(receiver);
    signal.send('one');
    signal.disconnect(receiver);
    signal.send('two');
    expect(seen).to.deep.equal(['one']);
  });

  it('reports receivers that throw or reject, and reaches the others', async () => {
    const failures: unknown[] = [];
    const seen: string[] = [];
    const signal = new Signal<string>((error) => failures.push(error));
    signal.connect(() => {
      throw new Error('thrown');
    });
    signal.connect(() => Promise.reject(new Error('rejected')));
    signal.connect((payload) => seen.push(payload));
    signal.send('one');
    await Promise.resolve();
    await Promise.resolve();
    expect(seen).to.deep.equal(['one']);
    expect(failures.map(String)).to.deep.equal(['Error: thrown', 'Error: rejected']);
  });

  it('gives each receiver what was prepared for it, and reaches none where that fails', () => {
    const seen: string[] = [];
    const signal = new Signal<string>();
    signal.connect((payload) => seen.push(payload));
    signal.connect(
      (payload) => seen.push(payload),
      (payload) => {
        if (payload === 'bad') throw new Error('no');
        return payload.toUpperCase();
      },
    );
    signal.send('one');
    expect(() => signal.send('bad')).to.throw('no');
    expect(seen).to.deep.equal(['one', 'ONE']);
  });

  it('may lose a receiver while it is sent', () => {
    const seen: string[] = [];
    const signal = new Signal<string>(() => {});
    const second = (): void => void seen.push('second');
    signal.connect(() => {
      seen.push('first');
      signal.disconnect(second);
    });
    signal.connect(second);
    signal.send('one');
    signal.send('two');
    expect(seen).to.deep.equal(['first', 'second', 'first']);
  });
});
