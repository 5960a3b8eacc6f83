import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** After a build: every public name has a page in the reference, and the text for machines is there. Dead links fail the build itself. */

const site = new URL('./', import.meta.url);
const { exports } = JSON.parse(await readFile(new URL('../package.json', site), 'utf8'));
const missing = [];

for (const [path, { types } = {}] of Object.entries(exports)) {
  if (!types) continue;
  const module = `signalbox${path.slice(1)}`;
  const folder = new URL(`pages/reference/${module}/`, site);
  const pages = new Set(
    (await readdir(folder, { recursive: true })).map((page) => page.replace(/^.*[\\/]/, '').replace(/\.md$/, '')),
  );
  const names = exportedNames(await readFile(new URL(`../${types}`, site), 'utf8'));
  if (names.length === 0) missing.push(`${module}: no names found in ${types}`);
  missing.push(
    ...names.filter((name) => !pages.has(name)).map((name) => `${module}: ${name} has no page in the reference`),
  );
}
missing.push(...(await withoutDescription(new URL('pages/reference/', site))));
for (const page of ['llms.txt', 'tutorial.html', 'tutorial.md', 'reference/signalbox/functions/createApp.html']) {
  if (!existsSync(new URL(`dist/${page}`, site))) missing.push(`dist/${page} is missing in ${fileURLToPath(site)}`);
}
if (missing.length > 0) {
  process.stderr.write(`${missing.join('\n')}\n`);
  process.exit(1);
}
process.stdout.write('every public name has a page\n');

/** What users write has to be explained where they look it up: classes, functions and constants, the interfaces of options, and each option. */
async function withoutDescription(folder) {
  const found = [];
  for (const page of await readdir(folder, { recursive: true })) {
    const isOptions = /Options\.md$/.test(page);
    if (!isOptions && !page.endsWith('index.md')) continue;
    const text = await readFile(new URL(page.replaceAll('\\', '/'), folder), 'utf8');
    for (const section of text.split(/^## /m)) {
      const isWhole = isOptions ? section.startsWith('Properties') : /^(Classes|Functions|Variables)/.test(section);
      const names = undescribed(section).filter((name) => isWhole || name.endsWith('Options'));
      found.push(...names.map((name) => `reference/${page}: ${name} has no description`));
    }
  }
  return found;
}

/** @param declarations a file of declarations that exports by lists, or declares what it exports */
function exportedNames(declarations) {
  const listed = [...declarations.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, list]) => list.split(','));
  const declared = [
    ...declarations.matchAll(/^export (?:declare )?(?:abstract )?(?:class|function|interface|type|const) (\w+)/gm),
  ];
  const names = [
    ...listed.map((name) =>
      name
        .trim()
        .replace(/^type /, '')
        .replace(/^.* as /, ''),
    ),
    ...declared.map(([, name]) => name),
  ];
  return [...new Set(names.filter(Boolean))];
}

/** The names in the first column of a table whose column "Description" is empty. */
function undescribed(section) {
  const [header = [], , ...rows] = section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));
  const description = header.indexOf('Description');
  return rows
    .filter((row) => row[description] === '-')
    .map(([, name]) => name.replace(/<[^>]*>|\(.*\)|[[\]`?]/g, '').trim());
}
