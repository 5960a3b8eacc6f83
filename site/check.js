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
for (const page of ['llms.txt', 'tutorial.html', 'tutorial.md', 'reference/signalbox/functions/createApp.html']) {
  if (!existsSync(new URL(`dist/${page}`, site))) missing.push(`dist/${page} is missing in ${fileURLToPath(site)}`);
}
if (missing.length > 0) {
  process.stderr.write(`${missing.join('\n')}\n`);
  process.exit(1);
}
process.stdout.write('every public name has a page\n');

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
