import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { AsyncApiDocument } from 'signalbox/explorer';
import { asyncApi } from '#signalbox/cli/asyncapi.js';
import { runCommandLine } from '#signalbox/cli/command-line.js';
import { TestTerminal } from '../support/test-terminal.js';

const sampleApp = fileURLToPath(new URL('../../../sample-app/', import.meta.url));

async function run(...words: string[]) {
  const terminal = new TestTerminal(sampleApp);
  const code = await runCommandLine([asyncApi], ['asyncapi', ...words], terminal);
  return { code, written: terminal.written, errors: terminal.errors };
}

describe('signalbox asyncapi', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'signalbox-asyncapi-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('writes the document of the built application, called as package.json says', async () => {
    const { code, written } = await run();
    expect(code).to.equal(0);
    const { asyncapi, info, servers, operations }: AsyncApiDocument = JSON.parse(written);
    expect({ asyncapi, info, servers }).to.deep.equal({
      asyncapi: '3.0.0',
      info: { title: 'signalbox-chat', version: '0.1.0' },
      servers: undefined,
    });
    expect(Object.keys(operations)).to.include.members(['ws_chat.chat.join_room', 'ws_chat.chat.onMessage']);
  });

  it('describes the reply to an action of the sample app by the status and the serializer that its decorator names', async () => {
    const { channels }: AsyncApiDocument = JSON.parse((await run()).written);
    const users = { $ref: '#/components/schemas/RoomUsersSerializer' };
    expect(channels['ws_chat']?.messages['chat.join_room.reply']?.payload).to.deep.nested.include({
      'properties.payload.properties.response_status': { const: 201 },
      'properties.payload.properties.data': { anyOf: [users, { type: 'array', items: users }] },
    });
  });

  it('takes a title, a version and an address', async () => {
    const { written } = await run('--title', 'Chat', '--api-version', '2.0.0', '--url', 'wss://example.org');
    const { info, servers }: AsyncApiDocument = JSON.parse(written);
    expect(info).to.deep.equal({ title: 'Chat', version: '2.0.0' });
    expect(servers).to.deep.equal({ server: { host: 'example.org', protocol: 'wss' } });
  });

  it('writes a file, and tells when it is stale', async () => {
    const out = relative(sampleApp, join(folder, 'new/asyncapi.json'));
    expect(await run('--out', out, '--check')).to.deep.include({
      code: 1,
      errors: `${out} does not exist. Write it: leave --check out.\n`,
    });
    expect(await run('--out', out)).to.deep.equal({ code: 0, written: '', errors: `Wrote ${out}.\n` });
    const path = join(folder, 'new/asyncapi.json');
    expect(await readFile(path, 'utf8')).to.equal((await run()).written);
    expect((await run('--out', out, '--check')).code).to.equal(0);
    await writeFile(path, '{}');
    expect(await run('--out', out, '--check')).to.deep.include({
      code: 1,
      errors: `${out} is out of date: the application has changed. Write it again: leave --check out.\n`,
    });
  });

  it('ends with 2 where the command line is wrong', async () => {
    expect(await run('--check')).to.deep.include({ code: 2, errors: '--check compares a file: name it with --out.\n' });
    expect(await run('--url', 'nowhere')).to.deep.include({
      code: 2,
      errors: '--url nowhere is no URL: wss://example.org\n',
    });
  });
});
