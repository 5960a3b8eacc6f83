import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { faultsOf } from '../configuration-faults.js';
import { pathAndQuery } from '../scope/scope.js';
import type { AppExplorer, AppInspector, ExploredApp, PlainRequest, PlainResponse } from '../server/app-explorer.js';
import { type AsyncApiInfo, toAsyncApi } from './asyncapi.js';
import { isOnThisMachine } from './this-machine.js';
import { Traces } from './traces.js';

const fault = faultsOf('explorer');

/** Options of `explorer()`. */
export interface ExplorerOptions {
  /** The path of the page; it begins and ends with a slash. Default: `/explorer/`. */
  readonly path?: string;
  /** Title and version of the AsyncAPI document. */
  readonly info?: AsyncApiInfo;
  /** Whether a request may see the page. Default: only browsers on the application's own machine, and not through a proxy. */
  readonly allow?: (request: PlainRequest) => boolean | Promise<boolean>;
  /** Whether the page is also served in production, to requests that `allow` accepts. Default: false; then its paths do not exist there. */
  readonly production?: boolean;
}

/**
 * Makes a page for developers that shows an application and lets them try it: streams, actions as forms, subscriptions, the frames in both
 * directions, and why an event was sent or not. It also serves the AsyncAPI document.
 *
 * ```ts
 * const app = createApp({ orm, routes, explorer: explorer() });
 * await app.listen({ port: 8000 });                       // http://localhost:8000/explorer/
 * ```
 *
 * @throws ConfigurationError by `createApp`, for `production` without `allow`
 */
export function explorer(options: ExplorerOptions = {}): AppExplorer {
  return { begin: (app) => begin(app, options) };
}

function begin(app: ExploredApp, options: ExplorerOptions): AppInspector | undefined {
  const { path = '/explorer/', production = false, allow } = options;
  if (!/^\/(.+\/)?$/.test(path)) {
    throw fault(
      'path',
      `is ${JSON.stringify(path)}.`,
      "Begin and end it with a slash: explorer({ path: '/explorer/' }).",
    );
  }
  if (app.settings.development) return new Explorer(app, options);
  if (!production) return undefined;
  if (allow) return new Explorer(app, options);
  throw fault(
    'production',
    'is true without allow: behind a proxy, every client would seem to be on this machine.',
    'Say who may see it: explorer({ production: true, allow: (request) => … }).',
  );
}

/** The folder of the compiled scripts; the other files are not compiled. */
const scripts = resolve(import.meta.dirname, 'page');
const pages = resolve(import.meta.dirname, '../../src/explorer/page');

const files: Readonly<Record<string, readonly [folder: string, type: string]>> = {
  'index.html': [pages, 'text/html; charset=utf-8'],
  'explorer.css': [pages, 'text/css; charset=utf-8'],
  'icon.svg': [pages, 'image/svg+xml'],
};

const textHeaders = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' };

class Explorer implements AppInspector {
  readonly path: string;
  readonly published: AppInspector['published'];
  readonly watch: AppInspector['watch'];
  readonly #traces = new Traces();

  constructor(
    private readonly app: ExploredApp,
    private readonly options: ExplorerOptions,
  ) {
    this.path = options.path ?? '/explorer/';
    this.published = (event) => this.#traces.tellAll('published', event);
    this.watch = (request) => this.#traces.watch(request);
  }

  answer(request: PlainRequest, response: PlainResponse): boolean {
    const [pathname, query] = pathAndQuery(request.url ?? '');
    if (pathname === this.path.slice(0, -1) && pathname !== '') {
      response.writeHead(308, { location: this.path, ...textHeaders });
      response.end();
      return true;
    }
    if (!pathname.startsWith(this.path)) return false;
    const name = pathname.slice(this.path.length) || 'index.html';
    // At the root, all other paths belong to the application.
    if (this.path === '/' && !isOurs(name)) return false;
    void this.#answer(name, new URLSearchParams(query), request, response);
    return true;
  }

  close(): void {
    this.#traces.close();
  }

  /** Answers a request. Never rejects. */
  async #answer(name: string, query: URLSearchParams, request: PlainRequest, response: PlainResponse): Promise<void> {
    try {
      if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'GET and HEAD only.\n');
      const { allow } = this.options;
      if (allow ? !(await allow(request)) : !isOnThisMachine(request)) return send(response, 403, refusal(allow));
      await this.#serve(name, query, request, response);
    } catch (error) {
      this.app.logger.error('The explorer could not answer.', { path: this.path + name, error });
      send(response, 500, 'The explorer could not answer: see the log.\n');
    }
  }

  async #serve(name: string, query: URLSearchParams, request: PlainRequest, response: PlainResponse): Promise<void> {
    const key = query.get('key') ?? '';
    if (name === 'description.json') return sendJson(response, 200, this.app.describe());
    if (name === 'asyncapi.json') return sendJson(response, 200, this.#asyncApi(request));
    if (name === 'trace') return this.#traces.open(key, response);
    if (name === 'connection.json') return sendJson(response, 200, this.#traces.stateOf(key) ?? null);
    const [folder, type] = fileAt(name) ?? [];
    const content = folder && (await readFile(resolve(folder, name)).catch(() => undefined));
    if (!content || !type) return send(response, 404, 'The explorer has no such page.\n');
    response.writeHead(200, { ...pageHeaders(this.app.clientOf(request)), 'content-type': type });
    response.end(request.method === 'HEAD' ? undefined : content);
  }

  #asyncApi(request: PlainRequest): object {
    const { info = { title: 'Signalbox application', version: '0.0.0' } } = this.options;
    const { host, protocol } = this.app.clientOf(request);
    const url = host && `${protocol === 'https' ? 'wss' : 'ws'}://${host}`;
    return toAsyncApi(this.app.describe(), info, url);
  }
}

function isOurs(name: string): boolean {
  return ['description.json', 'asyncapi.json', 'trace', 'connection.json'].includes(name) || fileAt(name) !== undefined;
}

function fileAt(name: string): readonly [folder: string, type: string] | undefined {
  if (Object.hasOwn(files, name)) return files[name];
  return /^[a-z-]+\.js$/.test(name) ? [scripts, 'text/javascript; charset=utf-8'] : undefined;
}

function refusal(allow: ExplorerOptions['allow']): string {
  if (allow) return 'You may not see the explorer.\n';
  return 'The explorer answers browsers on its own machine, at localhost. For others: explorer({ allow: (request) => … }).\n';
}

/**
 * Headers of the page. It loads only files of its own. The host is named, because older browsers do not count sockets of the same host as
 * 'self'.
 */
function pageHeaders({ host }: ReturnType<ExploredApp['clientOf']>): Readonly<Record<string, string>> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self'${host ? ` ws://${host} wss://${host}` : ''}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ];
  return {
    'content-security-policy': policy.join('; '),
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  };
}

function send(response: PlainResponse, status: number, text: string): void {
  response.writeHead(status, textHeaders);
  response.end(text);
}

function sendJson(response: PlainResponse, status: number, value: unknown): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'cross-origin-resource-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
  });
  response.end(`${JSON.stringify(value, null, 2)}\n`);
}
