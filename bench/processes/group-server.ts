import 'reflect-metadata';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import {
  ApiConsumer,
  type ChannelLayer,
  Consumer,
  createApp,
  Groups,
  InMemoryChannelLayer,
  NotifyChannelLayer,
  OnMessage,
  path,
} from 'signalbox';
import { RedisChannelLayer } from 'signalbox/redis';
import { serveCommands } from '../../spec/support/programs.js';
import { now } from '../bars/moment.js';

interface Shout {
  readonly number: number;
  readonly text: string;
}

@Consumer()
@Groups('lobby')
class Lobby extends ApiConsumer {
  protected override onConnect() {
    this.sendJson({ hasJoined: true });
  }

  @OnMessage('shout')
  protected onShout({ number, text }: Shout) {
    this.sendJson({ number, text });
  }
}

export interface GroupServerOptions {
  readonly layer: 'notify' | 'redis' | 'memory';
  readonly url: string;
  readonly redis: string;
  /** Of each message. */
  readonly text: string;
}

const { layer, url, redis, text }: GroupServerOptions = JSON.parse(process.argv[2] ?? '{}');
const orm = await MikroORM.init({
  clientUrl: url,
  entities: [],
  metadataProvider: ReflectMetadataProvider,
  discovery: { warnWhenNoEntities: false },
});
const layers: Readonly<Record<GroupServerOptions['layer'], () => ChannelLayer>> = {
  notify: () => new NotifyChannelLayer(orm),
  redis: () => new RedisChannelLayer(redis),
  memory: () => new InMemoryChannelLayer(),
};
const many = 2_147_483_647;
const app = createApp({
  orm,
  routes: [path('/', Lobby)],
  channelLayer: layers[layer](),
  settings: {
    development: false,
    log: { actions: false },
    limits: { connectionsPerAddress: many, addressHandshakeBurst: many, handshakesPerSecond: many },
  },
});

const commands = {
  /** Sends messages of these numbers. @returns when the first of them was sent */
  async send(first: number, count: number): Promise<number> {
    const began = now();
    const numbers = Array.from({ length: count }, (_, index) => first + index);
    await Promise.all(numbers.map((number) => app.sendToGroup('lobby', { type: 'shout', number, text })));
    return began;
  },
};

export type GroupCommands = typeof commands;

const { port } = await app.listen({ host: '127.0.0.1' });
serveCommands(commands, { port });
