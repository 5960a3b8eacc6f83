import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { Signal, writeChangeLog } from 'signalbox';
import { Message, Room, User } from '../support/entities.js';

export const departed = new Signal<{ readonly train: number }>('departed');

/** What a process without consumers does. */
export async function work(clientUrl: string): Promise<void> {
  const orm = await MikroORM.init({
    clientUrl,
    entities: [User, Room, Message],
    metadataProvider: ReflectMetadataProvider,
  });
  const changes = await writeChangeLog({ orm, signals: [departed] });
  const em = orm.em.fork();
  em.create(Room, { name: 'platform' });
  await em.flush();
  departed.send({ train: 9 });
  await changes.close();
  await orm.close();
}
