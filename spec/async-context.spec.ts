import { AsyncLocalStorage } from 'node:async_hooks';
import { expect } from 'chai';
import { runDetached } from '#signalbox/async-context.js';

describe('Work outside', () => {
  it('is in no context of its caller, and what follows it is in none either', async () => {
    const context = new AsyncLocalStorage<string>();
    const seen = await context.run('a request', () =>
      runDetached(async () => {
        const first = context.getStore();
        await Promise.resolve();
        return [first, context.getStore()];
      }),
    );
    expect(seen).to.deep.equal([undefined, undefined]);
  });

  it('is in no context that other detached work has begun around it', () => {
    const context = new AsyncLocalStorage<string>();
    const seen = runDetached(() => context.run('a request', () => runDetached(() => context.getStore())));
    expect(seen).to.equal(undefined);
  });
});
