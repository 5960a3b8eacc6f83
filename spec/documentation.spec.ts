import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import * as signalbox from 'signalbox';
import { defaultSettings } from '#signalbox/settings.js';

const root = new URL('../../', import.meta.url);
const run = promisify(execFile);

/** What the example of the README imports and does not show. */
const entities = `
import { EntityManager, type Opt, type Rel } from '@mikro-orm/core';
export declare class Room { id: number; name: string; archived: Opt<boolean> }
export declare class Message { id: number; room: Rel<Room>; text: string }
export declare const orm: { readonly em: EntityManager };
`;

function read(path: string): Promise<string> {
  return readFile(new URL(path, root), 'utf8');
}

/** The first cells of a table's rows, without backticks. */
function firstCells(markdown: string): string[] {
  return [...markdown.matchAll(/^\| `([^`]+)`/gm)].map(([, cell]) => cell ?? '');
}

describe('The documentation', () => {
  it('has an example in the README that compiles', async function () {
    this.timeout(60_000);
    const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(await read('README.md')) ?? [];
    const folder = new URL('build/readme/', root);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await writeFile(new URL('example.ts', folder), example);
    await writeFile(new URL('entities.ts', folder), entities);
    const options = { extends: '../../tsconfig.base.json', compilerOptions: { composite: false, noEmit: true } };
    await writeFile(new URL('tsconfig.json', folder), JSON.stringify(options));
    const compiler = fileURLToPath(new URL('node_modules/typescript/bin/tsc', root));
    const output = await run(process.execPath, [compiler, '-p', fileURLToPath(folder)]).then(
      () => '',
      (failure: { stdout: string }) => failure.stdout,
    );
    expect(output).to.equal('');
  });

  it('shows of the chat what the sample app does', async () => {
    expect(await countShown('docs/chat.md')).to.be.above(10);
  });

  it('shows on other pages what specs run', async () => {
    expect(await countShown('docs/authentication.md')).to.be.above(5);
    expect(await countShown('docs/serializers.md')).to.equal(10);
    expect(await countShown('docs/crud.md')).to.equal(5);
    expect(await countShown('docs/react.md')).to.equal(1);
    expect(await countShown('docs/dcrf-client.md')).to.equal(7);
    expect(await countShown('docs/coming-from-dcrf.md')).to.equal(4);
  });

  it('lists every error code, with its class and status', async () => {
    const table = await read('docs/errors.md');
    const family = Object.entries(signalbox).flatMap(([name, exported]) =>
      typeof exported === 'function' && 'code' in exported && 'status' in exported
        ? [{ name, code: exported.code, status: exported.status }]
        : [],
    );
    expect(firstCells(table)).to.deep.equal(family.map(({ code }) => code).sort());
    for (const { name, code, status } of family) expect(table).to.include(`| \`${code}\` | ${status} | \`${name}\` |`);
  });

  it('names for every guarantee the specs that hold it', async () => {
    const [guarantees = '', notPromised = ''] = (await read('docs/guarantees.md')).split('## Not promised\n');
    expect(notPromised).to.match(/^- /m);
    for (const promise of guarantees.split(/^(?=- )/m).slice(1)) {
      const held = [...promise.matchAll(/^ {2}- `(\S+)`: (.+)$/gm)];
      expect(held, promise).to.not.deep.equal([]);
      for (const [, file = '', title = ''] of held) {
        const quoted = /(?:it|describe)\(\s*(['"`])(.*?)\1,/g;
        const titles = [...(await read(file)).matchAll(quoted)].map(([, , text]) => text);
        expect(titles, file).to.include(title);
      }
    }
  });

  it('has no relative link that leads to a missing file or heading', async () => {
    const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'bench/README.md', 'sample-app/README.md'];
    const docs = await readdir(new URL('docs/', root), { recursive: true });
    pages.push(...docs.filter((file) => file.endsWith('.md')).map((file) => `docs/${file}`));
    const broken = await Promise.all(pages.map(brokenLinks));
    expect(broken.flat()).to.deep.equal([]);
  });

  it('names no page twice in the list of the README', async () => {
    const [, list = ''] = /^## Read on\n([\s\S]*?)^## /m.exec(await read('README.md')) ?? [];
    const targets = linksOf(list);
    expect(targets).to.include('docs/guarantees.md');
    expect(targets.filter((target, index) => targets.indexOf(target) !== index)).to.deep.equal([]);
  });

  it('has a way to every page: the navigation of the site names each of them once', async () => {
    const { navigation } = await import(new URL('site/navigation.js', root).href);
    const named = navigation.flatMap(({ items }: { items: [string, string][] }) => items.map(([page]) => `${page}.md`));
    const docs = await readdir(new URL('docs/', root), { recursive: true });
    const pages = docs.map((file) => file.replaceAll('\\', '/')).filter((file) => /^(?!decisions).*\.md$/.test(file));
    expect(named.toSorted()).to.deep.equal(pages.toSorted());
  });

  it('says of every close code what a client does', async () => {
    const protocol = await read('docs/protocol.md');
    const codes = Object.values(signalbox.CloseCode).filter((code) => code !== signalbox.CloseCode.normal);
    for (const code of codes) expect(protocol).to.match(new RegExp(`^\\| ${code} \\| .+ \\| .+ \\|$`, 'm'));
  });

  it('walks through files that are there', async () => {
    const files = [...(await read('docs/walks.md')).matchAll(/[a-z][a-z-]*\/[a-z-]+\.ts/g)].map(([file]) => file);
    expect(files).to.include('dispatch/dispatcher.ts');
    expect(files.filter((file) => !existsSync(new URL(`src/${file}`, root)))).to.deep.equal([]);
  });

  it('lists every setting', async () => {
    expect(firstCells(await read('docs/settings.md'))).to.deep.equal(Object.keys(defaultSettings));
  });
});

/** How many blocks of a page name a file; each of their passages stands in it. */
async function countShown(page: string): Promise<number> {
  const blocks = [...(await read(page)).matchAll(/```ts file=(\S+)\n([\s\S]*?)```/g)];
  for (const [, file = '', code = ''] of blocks) {
    for (const passage of code.split('\n\n')) {
      expect(withoutIndent(await read(file)), file).to.include(withoutIndent(passage).trim());
    }
  }
  return blocks.length;
}

function withoutBlocks(markdown: string): string {
  return markdown.replace(/^( *)(```+)[\s\S]*?^\1\2/gm, '');
}

/** The targets of the links, images and link definitions of a page. */
function linksOf(markdown: string): string[] {
  const links = /\]\(<?([^)\s>]+)|^ *\[[^\]]+\]: *(\S+)/gm;
  const text = withoutBlocks(markdown).replace(/(`+).*?\1/g, '');
  return [...text.matchAll(links)].map(([, inline, defined]) => inline ?? defined ?? '');
}

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(markdown: string): string[] {
  const taken = new Map<string, number>();
  const headings = withoutBlocks(markdown).matchAll(/^#{1,6} +(.*?)(?: +#+)? *$/gm);
  return Array.from(headings, ([, heading = '']) => {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = text.replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '').replaceAll(' ', '-');
    const earlier = taken.get(slug) ?? 0;
    taken.set(slug, earlier + 1);
    return earlier === 0 ? slug : `${slug}-${earlier}`;
  });
}

async function brokenLinks(page: string): Promise<string[]> {
  const broken: string[] = [];
  for (const link of linksOf(await read(page))) {
    if (/^[a-z][a-z+.-]*:/i.test(link)) continue;
    const target = new URL(link, new URL(page, root));
    const anchor = decodeURIComponent(target.hash.slice(1));
    target.hash = '';
    if (!existsSync(target)) broken.push(`${page}: ${link} is no file`);
    else if (anchor && !anchorsOf(await readFile(target, 'utf8')).includes(anchor)) {
      broken.push(`${page}: ${link} is no heading`);
    }
  }
  return broken;
}

function withoutIndent(code: string): string {
  return code.replace(/^ +/gm, '');
}
