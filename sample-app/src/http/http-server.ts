import { randomUUID } from 'node:crypto';
import fastifyCookie from '@fastify/cookie';
import { type EntityManager, RequestContext } from '@mikro-orm/core';
import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import { ApiError, type App, type Logger } from 'signalbox';
import { type AccountServices, accountRoutes } from './account-routes.js';
import { livePages } from './live-pages.js';
import { pageRoutes, sendPage } from './page-routes.js';
import { refuseForeignOrigin } from './same-origin.js';
import { securityHeaders } from './security-headers.js';

export interface HttpServices extends AccountServices {
  /** Also answers health checks and, in development, the pages of the explorer. */
  readonly app: Pick<App, 'answer' | 'clientOf'>;
  readonly em: EntityManager;
  readonly logger: Logger;
}

export async function createHttpServer(services: HttpServices): Promise<FastifyInstance> {
  const server = fastify({
    bodyLimit: 4096,
    requestTimeout: 30_000,
    forceCloseConnections: true,
    // Milliseconds between two checks of Node.js for requests that take too long.
    http: { connectionsCheckingInterval: 2_000 },
  });
  await server.register(fastifyCookie);
  server.addHook('onRequest', async (request, reply) => {
    const { raw } = reply;
    if (services.app.answer(request.raw, raw) || livePages.answer(request.raw, raw)) return reply.hijack();
    reply.headers(securityHeaders);
    refuseForeignOrigin(request, services.app);
  });
  // Not earlier: reading the body loses the asynchronous context.
  server.addHook('preHandler', (_request, _reply, done) => RequestContext.create(services.em, done));
  server.setErrorHandler<FastifyError>((error, _request, reply) => sendError(error, reply, services.logger));
  server.setNotFoundHandler(({ headers }, reply) => {
    reply.code(404);
    if (headers.accept?.includes('text/html')) return sendPage(reply, 'not-found');
    return reply.send({ errors: ['Not found.'], code: 'not_found' });
  });
  accountRoutes(server, services);
  await pageRoutes(server, services);
  return server;
}

/** The client's own errors are sent to it; all others are logged, and their texts are never sent. */
function sendError(error: FastifyError | ApiError, reply: FastifyReply, logger: Logger): FastifyReply {
  if (error instanceof ApiError) {
    const { status, errors, code, retryAfter } = error;
    if (retryAfter !== undefined) reply.header('retry-after', Math.ceil(retryAfter / 1000));
    return reply.code(status).send({ errors, code });
  }
  const { statusCode = 500, code } = error;
  if (statusCode < 500) {
    return reply.code(statusCode).send({ errors: ['The request is malformed.'], code: code.toLowerCase() });
  }
  const correlationId = randomUUID();
  logger.error('HTTP request failed', { correlationId, error });
  return reply
    .code(500)
    .send({ errors: [`A server error occurred. Correlation id: ${correlationId}.`], code: 'server_error' });
}
