import { resolve } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Accounts } from '../accounts/accounts.js';
import { SESSION_COOKIE, type Sessions } from '../accounts/sessions.js';

const packageFolder = resolve(import.meta.dirname, '../../..');

const pages = resolve(packageFolder, 'page');
/** Styles and images are beside the sources of the page, its bundled scripts in dist. */
const assets = [pages, resolve(packageFolder, 'dist/page')];
const isAsset = /\.(css|js|js\.map|svg)$/;

export interface PageServices {
  readonly accounts: Accounts;
  readonly sessions: Sessions;
}

export async function pageRoutes(server: FastifyInstance, { accounts, sessions }: PageServices): Promise<void> {
  await server.register(fastifyStatic, { root: pages, serve: false, cacheControl: false });
  await server.register(fastifyStatic, {
    root: assets,
    prefix: '/page/',
    decorateReply: false,
    index: false,
    cacheControl: false,
    setHeaders: (reply) => void reply.header('cache-control', 'no-cache'),
    allowedPath: (path) => isAsset.test(path),
  });

  const isLoggedIn = async ({ cookies }: FastifyRequest) => Boolean(await sessions.find(cookies[SESSION_COOKIE] ?? ''));

  for (const page of ['log-in', 'sign-up']) {
    server.get(`/${page}`, async (request, reply) => {
      if (await isLoggedIn(request)) return reply.redirect('/', 303);
      return sendPage(reply, page);
    });
  }

  server.get('/', async (request, reply) => {
    if (await isLoggedIn(request)) return sendPage(reply, 'lobby');
    // The first visitor has no account to log in with.
    return reply.redirect((await accounts.exist()) ? '/log-in' : '/sign-up?first', 303);
  });

  server.get<{ Params: { room: string } }>('/rooms/:room', async (request, reply) => {
    if (!/^[1-9]\d{0,8}$/.test(request.params.room)) return reply.callNotFound();
    if (!(await isLoggedIn(request))) return reply.redirect(`/log-in?next=/rooms/${request.params.room}`, 303);
    return sendPage(reply, 'room');
  });

  server.get('/favicon.ico', (_request, reply) => reply.redirect('/page/signal.svg', 301));
}

export function sendPage(reply: FastifyReply, name: string): FastifyReply {
  return reply.header('cache-control', 'no-store').sendFile(`${name}.html`);
}
