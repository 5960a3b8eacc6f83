import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { IsOptional } from 'class-validator';
import { Action, type ActionContext, ApiConsumer, Consumer, Counters, createApp, Logger, path } from 'signalbox';
import { container } from 'tsyringe';

class Anything {
  @IsOptional() x?: unknown;
}

@Consumer()
class EchoConsumer extends ApiConsumer {
  @Action()
  async echo(_kwargs: Anything, _context: ActionContext) {
    return { ok: true };
  }
}

const counted: Record<string, number> = {};

class CountsOfAttacks extends Counters {
  override increment(name: string, labels: Readonly<Record<string, string>> = {}): void {
    const key = [name, ...Object.values(labels)].join(' ');
    counted[key] = (counted[key] ?? 0) + 1;
  }
}

// No action touches the database.
const orm = await MikroORM.init({
  clientUrl: 'postgresql://nobody@127.0.0.1:1/none',
  entities: [],
  metadataProvider: ReflectMetadataProvider,
  discovery: { warnWhenNoEntities: false },
});
const scope = container.createChildContainer();
scope.registerInstance(Counters, new CountsOfAttacks());
scope.registerInstance(Logger, new Logger('error'));
const [, , settings = '{}'] = process.argv;
const app = createApp({
  orm,
  container: scope,
  routes: [path('/', EchoConsumer)],
  settings: { development: false, log: { actions: false }, ...JSON.parse(settings) },
});
const { port } = await app.listen({ host: '0.0.0.0' });

process.on('disconnect', () => process.exit());
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ milliseconds: (user + system) / 1_000, megabytes: process.memoryUsage.rss() / 1e6, counted });
});
process.send?.(port);
