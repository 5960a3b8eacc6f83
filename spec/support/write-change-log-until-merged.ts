import type { MikroORM } from '@mikro-orm/postgresql';
import { createApp, path } from 'signalbox';
import { ShelfConsumer } from './shelf-service.js';

/** Stands for what main is to have: an application that serves no one. */
export async function writeChangeLog({ orm }: { orm: MikroORM; signals: readonly object[] }) {
  const app = createApp({ orm, routes: [path('/ws/', ShelfConsumer)] });
  await app.start();
  return app;
}
