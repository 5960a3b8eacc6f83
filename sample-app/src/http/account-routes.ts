import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type App, NotAuthenticated } from 'signalbox';
import { Accounts } from '../accounts/accounts.js';
import { Attempts } from '../accounts/attempts.js';
import { Credentials, NewCredentials } from '../accounts/credentials.js';
import { SESSION_COOKIE, Sessions } from '../accounts/sessions.js';
import type { User } from '../entities/user.js';
import { readBody } from './read-body.js';

export interface AccountServices {
  /** Finds the client's address and host, also behind proxies. */
  readonly app: Pick<App, 'clientOf'>;
  readonly accounts: Accounts;
  readonly attempts: Attempts;
  readonly sessions: Sessions;
}

export function accountRoutes(server: FastifyInstance, services: AccountServices): void {
  const { app, accounts, attempts, sessions } = services;

  server.post('/api/sign-up', async (request, reply) => {
    const credentials = readBody(NewCredentials, request.body);
    attempts.signUp(app.clientOf(request.raw).network);
    const user = await accounts.signUp(credentials);
    await openSession(user, request, reply);
    return reply.code(201).send(viewOf(user));
  });

  server.post('/api/log-in', async (request, reply) => {
    const credentials = readBody(Credentials, request.body);
    const { network } = app.clientOf(request.raw);
    const user = await attempts.logIn(credentials.username, network, () => accounts.logIn(credentials));
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
      secure: app.clientOf(request.raw).protocol === 'https',
      expires: expiresAt,
    });
  }

  /** Ends the browser's session: no tab of it stays connected as the former user. */
  async function closeSession({ cookies }: FastifyRequest): Promise<void> {
    await sessions.close(cookies[SESSION_COOKIE] ?? '');
  }
}

function viewOf({ id, username }: User): { id: number; username: string } {
  return { id, username };
}
