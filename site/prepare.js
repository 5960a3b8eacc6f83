import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Copies the pages of the repository into `pages/`, where the site is built from. They are written for readers of the repository: a link
 * between them leads to the same page of the site, one to a source file becomes its text.
 */

const root = fileURLToPath(new URL('../', import.meta.url));
const pages = fileURLToPath(new URL('pages/', import.meta.url));

/** The pages outside of docs/, and what they are called here. */
const others = {
  'site/index.md': 'index.md',
  'CHANGELOG.md': 'changelog.md',
  'CONTRIBUTING.md': 'contributing.md',
  'sample-app/README.md': 'sample-app.md',
  'bench/README.md': 'bench.md',
};

/** @returns the page of a file of the repository; undefined where it is none */
function pageOf(file) {
  if (file === 'README.md') return 'index.md';
  if (file.startsWith('docs/') && file.endsWith('.md')) return file.slice('docs/'.length);
  return others[file];
}

function adapt(markdown, file) {
  const parts = markdown.split(/(^ *```[\s\S]*?^ *```$)/m);
  return parts.map((part) => (/^ *```/.test(part) ? part : adaptLinks(part, file))).join('');
}

function adaptLinks(text, file) {
  return text.replace(/\[([^[\]]*)\]\(([^)\s]+)\)/g, (link, label, target) => {
    if (/^([a-z]+:|#|\/)/i.test(target)) return link;
    const { pathname, hash } = new URL(target, `file:///${file}`);
    const page = pageOf(pathname.slice(1));
    return page ? `[${label}](/${page}${hash})` : label;
  });
}

await rm(pages, { recursive: true, force: true });
const docs = (await readdir(join(root, 'docs'), { recursive: true })).filter((name) => name.endsWith('.md'));
for (const file of [...docs.map((name) => `docs/${name.replaceAll('\\', '/')}`), ...Object.keys(others)]) {
  const page = join(pages, pageOf(file));
  const markdown = await readFile(join(root, file), 'utf8');
  await mkdir(dirname(page), { recursive: true });
  await writeFile(page, file.startsWith('site/') ? markdown : adapt(markdown, file));
}
