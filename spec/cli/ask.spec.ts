import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { ask } from '#signalbox/cli/ask.js';

describe('A question in a terminal', () => {
  let keyboard: PassThrough;
  let screen: PassThrough;
  let hasLeft: boolean;

  beforeEach(() => {
    keyboard = new PassThrough();
    screen = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
    hasLeft = false;
  });

  async function type(text: string): Promise<string | undefined> {
    const leaving = Promise.withResolvers<undefined>();
    const leave = () => {
      hasLeft = true;
      leaving.resolve(undefined);
    };
    const answering = ask('Name: ', keyboard, screen, leave);
    keyboard.write(text);
    return Promise.race([answering, leaving.promise]);
  }

  it('shows each character of every answer once', async () => {
    expect([await type('one\r'), await type('two\r'), await type('three\r')]).to.deep.equal(['one', 'two', 'three']);
    expect(String(screen.read()).match(/[a-z]+(?=[^a-z]*\n)/g)).to.deep.equal(['one', 'two', 'three']);
    expect(hasLeft).to.equal(false);
  });

  for (const [key, sent] of [
    ['Ctrl+C', '\u0003'],
    ['Ctrl+D', '\u0004'],
  ] as const) {
    it(`is left by ${key}`, async () => {
      expect(await type(sent)).to.equal(undefined);
      expect(hasLeft).to.equal(true);
    });
  }
});
