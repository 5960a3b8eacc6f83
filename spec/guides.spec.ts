import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { type App, createApp } from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from './support/database.js';
import { fillLibrary, libraryModels, libraryRoutes } from './support/library.js';
import { testProviders } from './support/providers.js';

/** A block of frames of a page: what its client sends, and what it receives. */
interface Dialogue {
  readonly title: string;
  readonly url: string;
  readonly frames: readonly (readonly [direction: '->' | '<-', text: string])[];
}

function dialoguesOf(page: string): readonly Dialogue[] {
  const markdown = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  const blocks = [...markdown.matchAll(/^#+ (.*)$|^```text frames=(\S+)\n([\s\S]*?)^```$/gm)];
  let title = '';
  return blocks.flatMap(([, heading, url, text = '']) => {
    title = heading ?? title;
    if (url === undefined) return [];
    const frames = text
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, 2) as '->' | '<-', line.slice(3)] as const);
    return [{ title, url, frames }];
  });
}

for (const [page, count] of [
  ['serializers.md', 11],
  ['crud.md', 12],
] as const) {
  describe(`The frames of docs/${page}`, () => {
    const database = useDatabase(`guide_${page.replace('.md', '')}`, libraryModels);
    const dialogues = dialoguesOf(page);
    let app: App;

    beforeEach(async () => {
      await fillLibrary(database.orm.em.fork());
      app = createApp({ orm: database.orm, container: testProviders().container, routes: libraryRoutes });
    });
    afterEach(() => app.close());

    it('are there', () => {
      expect(dialogues.length).to.equal(count);
    });

    for (const { title, url, frames } of dialogues) {
      it(`are what is sent and received: ${title}, ${url}`, async () => {
        await using client = await connect(app, url);
        for (const [direction, text] of frames) {
          if (direction === '->') client.sendText(text);
          else expect(await client.receive()).to.deep.equal(JSON.parse(text));
        }
        await client.expectSilence();
      });
    }
  });
}
