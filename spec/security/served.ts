import type { MikroORM } from '@mikro-orm/postgresql';
import { type App, type AppOptions, createApp, type Route, type Scope, type ScopeMiddleware } from 'signalbox';
import type { MemoryLogger } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { testProviders } from '../support/providers.js';
import { type Frame, SocketClient } from '../support/sockets.js';

/** Believes whoever says who they are: `x-user: 2`. */
@injectable()
export class Believing implements ScopeMiddleware {
  async apply(scope: Scope): Promise<void> {
    const id = Number(scope.headers['x-user']);
    if (id > 0) scope.user = { id };
  }
}

/** Who is logged in; 0 for nobody. */
export function userIdOf(scope: Scope | undefined): number {
  return (scope?.user as { readonly id?: number } | undefined)?.id ?? 0;
}

/** Far above what a spec sends: what happens at a limit has specs of its own. */
const far = 1_000_000_000;
const limits = {
  errorsPerMinute: far,
  messagesPerSecond: far,
  messageBurst: far,
  bytesPerSecond: far,
  throttledPerMinute: far,
  connectionsPerUser: far,
  connectionsPerAddress: far,
  addressHandshakesPerSecond: far,
  addressHandshakeBurst: far,
  handshakesPerSecond: far,
};

/** An application on a port, as attackers find it. */
export class Served implements AsyncDisposable {
  private constructor(
    readonly app: App,
    readonly port: number,
    readonly logger: MemoryLogger,
  ) {}

  static async by(orm: MikroORM, routes: readonly Route[], options: Partial<AppOptions<readonly Route[]>> = {}) {
    const { container, logger } = testProviders();
    const settings = { development: true, limits, changeLog: { retryTimeLimit: 100 } };
    const app: App = createApp({ orm, container, middleware: [Believing], settings, ...options, routes });
    const { port } = await app.listen({ host: '127.0.0.1' });
    return new Served(app, port, logger);
  }

  url(path: string): string {
    return `ws://127.0.0.1:${this.port}${path}`;
  }

  open(path: string, user?: number): Promise<SocketClient> {
    return SocketClient.open(this.url(path), user === undefined ? {} : { headers: { 'x-user': String(user) } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app.close();
  }
}

/** Sends one frame and gives the next that comes. */
export async function ask(client: SocketClient, frame: object | string): Promise<Frame> {
  client.sendText(typeof frame === 'string' ? frame : JSON.stringify(frame));
  return client.receive();
}
