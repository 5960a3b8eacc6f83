import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { runCommandLine } from '#signalbox/cli/command-line.js';
import { contract } from '#signalbox/cli/contract/contract.js';
import { TestTerminal } from '../../support/test-terminal.js';

/** A document whose one action takes these kwargs. */
function documentOf(properties: object, required: readonly string[] = []): object {
  const request = { $ref: '#/channels/ws/messages/say.request' };
  return {
    asyncapi: '3.0.0',
    info: { title: 'Chat', version: '1.0.0' },
    channels: {
      ws: {
        address: '/ws/',
        title: '/ws/',
        messages: {
          'say.request': { name: 'say.request', title: 'say', payload: { type: 'object', properties, required } },
        },
      },
    },
    operations: {
      'ws.say': {
        action: 'receive',
        channel: { $ref: '#/channels/ws' },
        title: 'say',
        summary: '',
        messages: [request],
      },
    },
    components: { schemas: {} },
  };
}

const text = { type: 'string' };

describe('signalbox contract diff', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'signalbox-contract-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function diff(before: unknown, after: unknown, ...options: string[]) {
    await writeFile(join(folder, 'old.json'), typeof before === 'string' ? before : JSON.stringify(before));
    await writeFile(join(folder, 'new.json'), typeof after === 'string' ? after : JSON.stringify(after));
    const terminal = new TestTerminal(folder);
    const code = await runCommandLine([contract], ['contract', 'diff', 'old.json', 'new.json', ...options], terminal);
    return { code, written: terminal.written, errors: terminal.errors };
  }

  it('ends with 0 where nothing has changed', async () => {
    expect(await diff(documentOf({ text }), documentOf({ text }))).to.deep.equal({
      code: 0,
      written: '',
      errors: 'Nothing has changed for clients.\n',
    });
  });

  it('lists compatible changes, and ends with 0', async () => {
    expect(await diff(documentOf({ text }), documentOf({ text, lang: text }))).to.deep.equal({
      code: 0,
      written: 'compatible  /ws/ say: `lang` is new and optional\n',
      errors: '0 breaking changes, 1 compatible change.\n',
    });
  });

  it('lists breaking changes first, and ends with 1', async () => {
    expect(await diff(documentOf({ text }), documentOf({ lang: text, text, to: text }, ['to']))).to.deep.equal({
      code: 1,
      written: 'breaking    /ws/ say: `to` is new and required\ncompatible  /ws/ say: `lang` is new and optional\n',
      errors: '1 breaking change, 1 compatible change.\n',
    });
  });

  it('prints JSON for programs', async () => {
    const { written } = await diff(documentOf({ text }), documentOf({}), '--json');
    expect(JSON.parse(written)).to.deep.equal([
      { isBreaking: true, subject: '/ws/ say', text: '`text` is not accepted any more' },
    ]);
  });

  it('refuses what is no such document', async () => {
    const message =
      'new.json is not an AsyncAPI 3 document in JSON. Write one: npx signalbox asyncapi --out new.json\n';
    expect(await diff(documentOf({}), 'asyncapi: 3.0.0')).to.deep.equal({ code: 1, written: '', errors: message });
    expect((await diff(documentOf({}), { openapi: '3.1.0' })).errors).to.equal(message);
    const terminal = new TestTerminal(folder);
    expect(await runCommandLine([contract], ['contract', 'diff', 'old.json', 'none.json'], terminal)).to.equal(1);
    expect(terminal.errors).to.equal('none.json does not exist.\n');
  });
});
