// What `docker build` and `docker run` would do with the Dockerfile of an application, in folders of this machine and as this user:
// node .ci/follow-dockerfile.js FOLDER. Each stage has a folder; commands run in a shell; in the end the program of the
// image is started, the health check is asked until it agrees, and SIGTERM ends the program. Every instruction is known here, or is a fault.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds after which a program that is not healthy, or does not end, is a failure. */
const PATIENCE = 60_000;
/** The port that the image names, which may be taken here. */
const PORT = '8000';

const context = resolve(process.argv[2]);
const scratch = mkdtempSync(join(tmpdir(), 'signalbox-image-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));

const instructions = readFileSync(join(context, 'Dockerfile'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => /^(\w+) (.*)$/.exec(line)?.slice(1) ?? fail(`No instruction: ${line}`));
const ignored = new Set(readFileSync(join(context, '.dockerignore'), 'utf8').split('\n').filter(Boolean));

// There is no user `node` here, and nothing may be installed for all.
const programs = join(scratch, 'programs');
mkdirSync(programs);
for (const name of ['chown']) writeFileSync(join(programs, name), '#!/bin/sh\n', { mode: 0o755 });

const stages = new Map();
let stage;

function fail(text) {
  process.stderr.write(`Dockerfile: ${text}\n`);
  process.exit(1);
}

/** Where a path of the image is. */
const at = (path, of = stage) => join(of.root, path.startsWith('/') ? path : join(of.folder, path));

function environment() {
  return { ...process.env, PATH: `${programs}:${process.env.PATH}`, ...stage.env };
}

const known = {
  FROM(words) {
    const [, name] = / AS (\w+)$/.exec(words) ?? [];
    stage = { root: mkdtempSync(join(scratch, 'stage-')), folder: '/', env: {} };
    if (name) stages.set(name, stage);
  },
  WORKDIR(folder) {
    stage.folder = folder;
    mkdirSync(at(folder), { recursive: true });
  },
  COPY(words) {
    const [, name, paths] = /^(?:--from=(\w+) )?(.*)$/.exec(words);
    const sources = paths.split(' ');
    const target = sources.pop();
    for (const source of sources) {
      const from = name ? at(source, stages.get(name)) : join(context, source);
      // A file goes into a folder, a folder's content into the folder: as Docker has it.
      const into = at(target);
      const isFolder = readdirSync(dirname(from), { withFileTypes: true })
        .find((each) => each.name === basename(from))
        ?.isDirectory();
      cpSync(from, (isFolder ?? source === '.') ? into : target.endsWith('/') ? join(into, basename(source)) : into, {
        recursive: true,
        filter: (path) => name !== undefined || !ignored.has(relative(context, path)),
      });
    }
  },
  RUN(command) {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
      cwd: at('.'),
      env: environment(),
      encoding: 'utf8',
    });
    if (status !== 0) fail(`${command} failed:\n${stdout}${stderr}`);
  },
  ENV(words) {
    for (const word of words.split(' ')) {
      const [name, value] = word.split('=');
      stage.env[name] = value;
    }
  },
  HEALTHCHECK(words) {
    stage.health = JSON.parse(/CMD (\[.*\])$/.exec(words)[1]);
  },
  CMD(words) {
    stage.command = JSON.parse(words);
  },
  VOLUME() {},
  USER() {},
  EXPOSE() {},
};

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return String(port);
}

async function runImage() {
  const port = await freePort();
  if (stage.env.PORT !== PORT) fail(`PORT is not ${PORT}`);
  stage.env.PORT = port;
  const [file, ...words] = stage.command;
  const program = spawn(file, words, { cwd: at('.'), env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  for (const stream of [program.stdout, program.stderr]) stream.on('data', (chunk) => (printed += chunk));
  const ended = once(program, 'exit');
  const isHealthy = () => {
    const [asker, ...asked] = stage.health.map((word) => word.replaceAll(PORT, port));
    return spawnSync(asker, asked, { cwd: at('.'), env: environment() }).status === 0;
  };
  for (const deadline = Date.now() + PATIENCE; !isHealthy(); await pause(200)) {
    if (program.exitCode === null && Date.now() < deadline) continue;
    program.kill('SIGKILL');
    fail(`the health check of the started image fails:\n${printed}`);
  }
  program.kill('SIGTERM');
  const timer = setTimeout(() => program.kill('SIGKILL'), PATIENCE);
  const [code] = await ended;
  clearTimeout(timer);
  if (code !== 0) fail(`the program ended with ${code} on SIGTERM:\n${printed}`);
}

for (const [name, words] of instructions) {
  if (!Object.hasOwn(known, name)) fail(`the instruction ${name} is not known to .ci/follow-dockerfile.js`);
  known[name](words);
}
await runImage();
