import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitepress';
import { navigation } from '../navigation.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const summary =
  'REST-like actions and live models over one WebSocket, for TypeScript back ends with tsyringe and MikroORM.';

/** What the package exports. */
const modules = ['', '/client', '/react', '/testing', '/explorer', '/redis', '/opentelemetry', '/json-web-tokens'].map(
  (name) => `signalbox${name}`,
);

export default defineConfig({
  title: 'Signalbox',
  description: summary,
  // Made by prepare.js and TypeDoc.
  srcDir: './pages',
  outDir: './dist',
  ignoreDeadLinks: 'localhostLinks',
  vite: { build: { chunkSizeWarningLimit: 8_000 } },
  markdown: { config: (markdown) => showFiles(markdown), lineNumbers: false },
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  themeConfig: {
    search: {
      provider: 'local',
      options: { _render: renderForSearch, miniSearch: { searchOptions: { boostDocument: rankOf } } },
    },
    outline: { level: [2, 3] },
    nav: [
      { text: 'Quick start', link: '/quick-start' },
      { text: 'Tutorial', link: '/tutorial' },
      { text: 'Reference', link: '/reference/signalbox/' },
      { text: 'Changelog', link: '/changelog' },
    ],
    sidebar: { '/reference/': referenceSidebar(), '/': await sidebar() },
  },
  async buildEnd({ outDir, pages }) {
    await writeText(outDir, pages);
  },
});

async function sidebar() {
  const pages = navigation.map(({ text, items }) => ({
    text,
    collapsed: false,
    items: items.map(([page, title]) => ({ text: title, link: `/${page}` })),
  }));
  const files = (await readdir(join(root, 'docs/decisions'))).sort();
  const decisions = await Promise.all(
    files.map(async (file) => {
      const [, title] = /^# (.*)$/m.exec(await readFile(join(root, 'docs/decisions', file), 'utf8')) ?? [];
      return { text: title ?? file, link: `/decisions/${file.replace('.md', '')}` };
    }),
  );
  const reference = pages.find(({ text }) => text === 'Reference');
  reference?.items.unshift({ text: 'Every name', link: '/reference/signalbox/' });
  const project = [
    { text: 'The sample app', link: '/sample-app' },
    { text: 'Benchmarks', link: '/bench' },
    { text: 'Contributing', link: '/contributing' },
    { text: 'Changelog', link: '/changelog' },
  ];
  return [...pages, { text: 'The project', items: project }, { text: 'Decisions', collapsed: true, items: decisions }];
}

/** The modules only: a list of every name beside every name made the site ten times as large. */
function referenceSidebar() {
  const items = modules.map((name) => ({ text: name, link: `/reference/${name}/` }));
  return [
    { text: 'Reference', items },
    { text: 'Guides', items: navigation.map(({ text, items: [[page]] }) => ({ text, link: `/${page}` })) },
  ];
}

/** Of a name in the reference its title and first sentence are found: headings such as Returns stand on every page. */
function renderForSearch(source, env, markdown) {
  if (!env.relativePath.startsWith('reference/')) return markdown.render(source, env);
  const [title = ''] = /^# .*$/m.exec(source) ?? [];
  const description = source
    .replace(/^```[\s\S]*?^```$/gm, '')
    .split(/\n\n+/)
    .find((text) => /^[A-Z`]/.test(text));
  return markdown.render(`${title}\n\n${description ?? ''}`, env);
}

/**
 * Pages that explain stand before those that compare, decide, report or list. The page in the browser gets this function as text, so it uses
 * nothing of this file.
 */
function rankOf(page) {
  return /^\/(coming-from-dcrf|feature-table|guarantees|walks|decisions|changelog|bench|contributing|reference)/.test(
    page,
  )
    ? 0.3
    : 1;
}

/** A block that is a piece of a file says of which, and frames say the path that they are sent to. */
function showFiles(markdown) {
  const fence = markdown.renderer.rules.fence;
  markdown.renderer.rules.fence = (tokens, index, ...rest) => {
    const [, file] = /\b(?:file|frames)=(\S+)/.exec(tokens[index].info) ?? [];
    const shown = fence(tokens, index, ...rest);
    return file ? `<p class="file">${file}</p>${shown}` : shown;
  };
}

/** `llms.txt` (https://llmstxt.org): what is where, for those who read text; beside it every page as it was written. */
async function writeText(outDir, pages) {
  const lines = [`# Signalbox`, '', `> ${summary}`, ''];
  for (const { text, items } of navigation) {
    lines.push(`## ${text}`, '');
    for (const [page, title] of items) {
      const markdown = await readFile(join(root, 'docs', `${page}.md`), 'utf8');
      await mkdir(dirname(join(outDir, `${page}.md`)), { recursive: true });
      await copyFile(join(root, 'docs', `${page}.md`), join(outDir, `${page}.md`));
      lines.push(`- [${title}](${page}.md): ${firstSentence(markdown)}`);
    }
    lines.push('');
  }
  await writeFile(join(outDir, 'llms.txt'), `${lines.join('\n').trim()}\n`);
  process.stdout.write(`${pages.length} pages, and llms.txt\n`);
}

function firstSentence(markdown) {
  const paragraphs = markdown.split(/\n\n+/).filter((text) => /^[A-Z`[*]/.test(text));
  const text = (paragraphs[0] ?? '').replaceAll('\n', ' ').replace(/\[([^\]]+)\]\([^)]*\)/g, '$1');
  return /^.*?[.:](?= |$)/.exec(text)?.[0] ?? text;
}
