import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { within } from './deadline.js';
import { Installed } from './installed.js';
import { TemporaryFolder } from './temporary-folder.js';

const nginx = new Installed('nginx', 'NGINX', 'nginx', [
  '/usr/sbin/nginx',
  '/usr/local/sbin/nginx',
  '/opt/homebrew/bin/nginx',
]);

/** Call it first: `needsNginx(this)`. */
export const needsNginx = (context: Mocha.Context): void => nginx.neededBy(context);

/** The shell ends the server when its input ends, as it does however the specs die. */
const KEEPER = '"$@" & cat >/dev/null; kill $!; wait $!';

/** The blocks of nginx's configuration on a page of the documentation. */
export async function nginxBlocks(page: string): Promise<readonly string[]> {
  const markdown = await readFile(new URL(`../../../${page}`, import.meta.url), 'utf8');
  return [...markdown.matchAll(/^```nginx\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
}

/** The same configuration at places of this machine. @throws Error where it does not say what is to be replaced */
export function placed(configuration: string, places: Readonly<Record<string, string>>): string {
  return Object.entries(places).reduce((text, [said, meant]) => {
    if (!text.includes(said)) throw new Error(`The configuration does not say ${said}.`);
    return text.replaceAll(said, meant);
  }, configuration);
}

/** A private nginx with the `http` part of its configuration, gone with this process. */
export class NginxServer implements AsyncDisposable {
  private constructor(
    private readonly folder: TemporaryFolder,
    private readonly keeper: ChildProcess,
    private readonly binary: string,
  ) {}

  static async start(site: string): Promise<NginxServer> {
    const binary = nginx.path;
    const folder = new TemporaryFolder();
    await writeFile(join(folder.path, 'nginx.conf'), mainConfiguration(folder.path));
    await writeFile(join(folder.path, 'site.conf'), site);
    const command = [binary, ...argumentsIn(folder.path), '-g', 'daemon off;'];
    const keeper = spawn('sh', ['-c', KEEPER, 'sh', ...command], { stdio: ['pipe', 'ignore', 'pipe'] });
    const server = new NginxServer(folder, keeper, binary);
    await within(server.#says('start worker process '), 'The start of nginx');
    return server;
  }

  /** Replaces the configuration. Sockets that are open stay with the workers that have them. */
  async reload(site: string): Promise<void> {
    await writeFile(join(this.folder.path, 'site.conf'), site);
    const asked = spawn(this.binary, [...argumentsIn(this.folder.path), '-s', 'reload'], { stdio: 'ignore' });
    const [[code]] = await within(
      Promise.all([once(asked, 'exit'), this.#says('gracefully shutting down')]),
      'The reload of nginx',
    );
    if (code !== 0) throw new Error('nginx does not take this configuration.');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = this.keeper.exitCode === null ? once(this.keeper, 'exit') : undefined;
    this.keeper.stdin?.end();
    await exited;
    this.folder.remove();
  }

  #says(words: string): Promise<void> {
    let said = '';
    return new Promise((resolve, reject) => {
      this.keeper.stderr?.on('data', (chunk) => {
        said += chunk;
        if (said.includes(words)) resolve();
      });
      this.keeper.once('exit', () => reject(new Error(`nginx has ended: ${said}`)));
    });
  }
}

function argumentsIn(folder: string): readonly string[] {
  return ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'];
}

/** Everything that is no part of a site: its files lie in the folder, and no other user is needed. */
function mainConfiguration(folder: string): string {
  const isRoot = process.getuid?.() === 0;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return [
    ...(isRoot ? ['user root;'] : []),
    'worker_processes 1;',
    `pid ${join(folder, 'nginx.pid')};`,
    'error_log stderr notice;',
    'events {}',
    'http {',
    'access_log off;',
    ...temporary.map((name) => `${name}_temp_path ${join(folder, name)};`),
    `include ${join(folder, 'site.conf')};`,
    '}',
    '',
  ].join('\n');
}
