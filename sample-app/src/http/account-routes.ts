import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { NotAuthenticated } from 'signalbox';
import { Accounts } from '../accounts/accounts.js';
import { Credentials, NewCredentials } from '../accounts/credentials.js';
import { SESSION_COOKIE, Sessions } from '../accounts/sessions.js';
import type { User } from '../entities/user.js';
import { readBody } from './read-body.js';

export interface AccountServices {
  readonly accounts: Accounts;
  readonly sessions: Sessions;
}

export function accountRoutes(server: FastifyInstance, { accounts, sessions }: AccountServices): void {
  server.post('/api/sign-up', async (request, reply) => {
    const user = await accounts.signUp(readBody(NewCredentials, request.body));
    await openSession(user, request, reply);
    return reply.code(201).send(viewOf(user));
  });

  server.post('/api/log-in', async (request, reply) => {
    const user = await accounts.logIn(readBody(Credentials, request.body));
    await openSession(user, request, reply);
    return viewOf(user);
  });

  server.post('/api/log-out', async (request, reply) => {
    await closeSession(request);
    return reply.clearCookie(SESSION_COOKIE, { path: '/' }).code(204).send();
  });

  server.get('/api/me', async (request, reply) => {
    const session = await sessions.find(request.cookies[SESSION_COOKIE] ?? '');
    if (!session) throw new NotAuthenticated();
    return reply.header('cache-control', 'no-store').send(viewOf(session.user));
  });

  async function openSession(user: User, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    await closeSession(request);
    const { token, expiresAt } = await sessions.open(user);
    reply.setCookie(SESSION_COOKIE, token, {
      path: '/',
      httpOnly: true,
      sameSite: 'lax',
      secure: isHttps(request),
      expires: expiresAt,
    });
  }

  /** That of the browser: no tab of it goes on as who it was. */
  async function closeSession({ cookies }: FastifyRequest): Promise<void> {
    await sessions.close(cookies[SESSION_COOKIE] ?? '');
  }
}

function viewOf({ id, username }: User): { id: number; username: string } {
  return { id, username };
}

/** A client that lies in this header harms its own cookie and nobody else's. */
function isHttps(request: FastifyRequest): boolean {
  return request.protocol === 'https' || request.headers['x-forwarded-proto'] === 'https';
}
