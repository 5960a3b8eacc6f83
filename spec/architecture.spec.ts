import { readdirSync, readFileSync } from 'node:fs';
import { sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import {
  type Architecture,
  architecture,
  attachedTimers,
  badNames,
  barrelImports,
  cycles,
  openDoors,
  type Plan,
  unknownRooms,
  upwardImports,
} from './support/architecture.js';

const ROOT = new URL('../../', import.meta.url);

const ROOMS =
  'wire signals channel-layer scope authentication orm log permissions kwargs serializers filters paginators observers dispatch decorators ' +
  'consumers views server opentelemetry testing client react explorer cli';

const PLAN: Plan = {
  rooms: ROOMS.split(' '),
  narrow: { client: ['wire'], react: ['client'] },
  doors: [
    {
      name: 'ws',
      opens: (specifier) => specifier === 'ws',
      stands: (path) => path.startsWith('server/'),
      where: 'one file of server/',
      files: 1,
    },
    {
      name: 'tsyringe',
      opens: (specifier) => specifier === 'tsyringe',
      stands: (path) => /^(scope|authentication|decorators|server)\//.test(path),
      where: 'scope/, authentication/, decorators/ and server/',
    },
    {
      name: 'jose',
      opens: (specifier) => specifier === 'jose',
      stands: (path) => path.startsWith('authentication/'),
      where: 'authentication/json-web-tokens.ts',
      files: 1,
    },
    {
      name: 'MikroORM',
      opens: (specifier) => specifier.startsWith('@mikro-orm/'),
      stands: (path) => /^(orm|log)\//.test(path) || /(^|\/)model-[^/]*$/.test(path),
      where: 'orm/, log/ and files named model-*',
    },
    {
      name: 'class-validator (with class-transformer)',
      opens: (specifier) => /^class-(validator|transformer)(\/|$)/.test(specifier),
      stands: (path) => path.startsWith('kwargs/'),
      where: 'kwargs/',
    },
    {
      name: 'React',
      opens: (specifier) => /^react(-dom)?(\/|$)/.test(specifier),
      stands: (path) => path.startsWith('react/'),
      where: 'react/',
    },
    {
      name: 'the TypeScript compiler',
      opens: (specifier) => /^(@typescript\/)?typescript/.test(specifier),
      stands: (path) => path.startsWith('cli/'),
      where: 'cli/',
    },
    {
      name: 'redis',
      opens: (specifier) => /^(@redis\/.*|ioredis|redis)$/.test(specifier),
      stands: (path) => path.startsWith('channel-layer/redis'),
      where: 'channel-layer/redis',
    },
    {
      name: 'OpenTelemetry',
      opens: (specifier) => specifier.startsWith('@opentelemetry/'),
      stands: (path) => path.startsWith('opentelemetry/'),
      where: 'opentelemetry/',
    },
  ],
  barrels: exportedBarrels(),
  forbiddenFolders: ['utils', 'common', 'types', 'helpers'],
  // The clock is what others set timers with; a session looks whether the caller of its own request awaits it.
  keepsContexts: (path) =>
    /^((client|react|testing|explorer|cli)\/|clock\.ts$|consumers\/consumer-session\.ts$)/.test(path),
};

describe('the architecture of src/', () => {
  const real = architecture(new Map(filesBelow('src').map((path) => [path, read(`src/${path}`)])), PLAN);

  it('has only the rooms of the design', () => expectNone(unknownRooms(real)));
  it('imports only from the same room or from one below it', () => expectNone(upwardImports(real)));
  it('has no cycle of modules, type imports included', () => expectNone(cycles(real)));
  it('lets each dependency in through its own door', () => expectNone(openDoors(real)));
  it('keeps each index.ts for the users of the package', () => expectNone(barrelImports(real)));
  it('names files and folders in kebab-case after what they hold', () => expectNone(badNames(real)));
  it('sets no timer in the async context of a request', () => expectNone(attachedTimers(real)));
});

describe('the check of the architecture', () => {
  it('accepts a sound tree', () => {
    const sound = stub({
      'index.ts': `export { createApp } from './server/app.js';`,
      'errors.ts': 'export class ApiError {}',
      'wire/codec.ts': `import { ApiError } from '../errors.js';`,
      'server/app.ts': `import { decode } from '#signalbox/wire/codec.js'; import type { WebSocket } from 'ws';`,
    });
    for (const check of [unknownRooms, upwardImports, cycles, openDoors, barrelImports, badNames, attachedTimers])
      expect(check(sound), check.name).to.deep.equal([]);
  });

  it('refuses an import from a room above, however it is written', () => {
    const imports = [
      `import { a } from '../server/app.js';`,
      `import type { a } from '../server/app.js';`,
      `export * from '../server/app.js';`,
      `const later = import('../server/app.js');`,
      `type A = import('../server/app.js').A;`,
      `import { a } from '#signalbox/server/app.js';`,
    ];
    for (const text of imports) {
      const [message, ...others] = upwardImports(stub({ 'wire/codec.ts': text, 'server/app.ts': '' }));
      expect(message, text).to.match(/^wire\/codec.ts:1 imports server\/app.ts, but server\/ stands above wire/);
      expect(others).to.deep.equal([]);
    }
  });

  it('refuses an import by a root file from a room', () => {
    expect(upwardImports(stub({ 'errors.ts': `import './wire/codec.js';`, 'wire/codec.ts': '' }))).to.have.lengthOf(1);
  });

  it('refuses the client anything but wire/', () => {
    const text = `import '../wire/codec.js'; import '../errors.js';`;
    const [message] = upwardImports(stub({ 'client/client.ts': text, 'wire/codec.ts': '', 'errors.ts': '' }));
    expect(message).to.equal('client/client.ts:1 imports errors.ts, but client/ may import only wire');
  });

  it('refuses a cycle that consists of type imports', () => {
    const text = (name: string) => `import type { A } from './${name}.js';`;
    const [message] = cycles(stub({ 'wire/a.ts': text('b'), 'wire/b.ts': text('c'), 'wire/c.ts': text('a') }));
    expect(message).to.match(/^wire\/a.ts -> wire\/b.ts -> wire\/c.ts -> wire\/a.ts is a cycle/);
  });

  it('refuses a dependency outside its door, also as a type', () => {
    const strays = {
      'dispatch/a.ts': `import type { WebSocket } from 'ws';`,
      'kwargs/b.ts': `import { container } from 'tsyringe';`,
      'scope/c.ts': `import { EntityManager } from '@mikro-orm/core';`,
      'orm/d.ts': `import { validate } from 'class-validator';`,
      'channel-layer/in-memory.ts': `import { createClient } from 'redis';`,
    };
    expect(openDoors(stub(strays))).to.have.lengthOf(5);
    expect(openDoors(stub({ 'serializers/model-serializer.ts': `import '@mikro-orm/core';` }))).to.deep.equal([]);
  });

  it('refuses a second file of server/ that knows ws', () => {
    const [message] = openDoors(stub({ 'server/a.ts': `import 'ws';`, 'server/b.ts': `import 'ws';` }));
    expect(message).to.match(/^server\/a.ts and server\/b.ts import ws/);
  });

  it('refuses an import of index.ts, and an index.ts that is no export', () => {
    const tree = {
      'index.ts': '',
      'wire/index.ts': '',
      'wire/a.ts': `import '../index.js';`,
      'wire/b.ts': `import './index.js';`,
    };
    expect(barrelImports(stub(tree))).to.have.lengthOf(3);
  });

  it('refuses an unknown room, a folder named utils and a name that is not kebab-case', () => {
    expect(unknownRooms(stub({ 'gateway/a.ts': '' }))[0]).to.match(/^src\/gateway\/ is not a room/);
    expect(badNames(stub({ 'wire/utils/a.ts': '' }))[0]).to.match(/in a folder utils\//);
    expect(badNames(stub({ 'wire/FrameCodec.ts': '' }))[0]).to.match(/FrameCodec is not kebab-case/);
  });

  it('refuses a timer that is set in the async context of its caller', () => {
    for (const timer of [
      'setTimeout(work, 5)',
      'setInterval(work, 5)',
      'setImmediate(work)',
      'process.nextTick(work)',
    ]) {
      expect(attachedTimers(stub({ 'server/a.ts': `\n${timer}.unref();` }))[0]).to.match(
        /^server\/a.ts:2 sets a timer/,
      );
      expect(attachedTimers(stub({ 'server/a.ts': `runDetached(() => { timer = ${timer}; });` }))).to.deep.equal([]);
    }
  });
});

function stub(tree: Record<string, string>): Architecture {
  return architecture(new Map(Object.entries(tree)), PLAN);
}

function expectNone(messages: readonly string[]): void {
  expect(messages, `\n${messages.join('\n')}\n`).to.have.lengthOf(0);
}

function read(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8');
}

function filesBelow(folder: string): string[] {
  const names = readdirSync(fileURLToPath(new URL(folder, ROOT)), { recursive: true, encoding: 'utf8' });
  return names
    .map((name) => name.replaceAll(sep, '/'))
    .filter((name) => /\.tsx?$/.test(name) && !name.endsWith('.d.ts'));
}

function exportedBarrels(): string[] {
  const { exports }: { exports: Record<string, unknown> } = JSON.parse(read('package.json'));
  return [...JSON.stringify(exports).matchAll(/\.\/dist\/([^"]*index)\.js"/g)].map(([, stem]) => `${stem}.ts`);
}
