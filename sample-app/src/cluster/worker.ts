import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { EntityManager } from '@mikro-orm/core';
import { writeChangeLog } from 'signalbox';
import { Passwords } from '../accounts/passwords.js';
import { migrate, openDatabase } from '../database/open-database.js';
import { Message } from '../entities/message.js';
import { Room } from '../entities/room.js';
import { User } from '../entities/user.js';
import { print } from '../print.js';
import { readSettings } from '../settings.js';

/**
 * A process that only writes: no routes, no consumers, no sockets. It writes the time into a room of its own, and all users in
 * that room receive it, whichever process they are connected to.
 */

/** Milliseconds between two messages. */
const INTERVAL = 5_000;
/** The name of the user that writes, and of the room. No user can choose it: it has a space. */
const NAME = 'Station clock';

async function tellTime(em: EntityManager): Promise<void> {
  const { room, user } = await findOrMakeRoom(em);
  const createdAt = new Date();
  em.create(Message, { room, user, text: `It is ${createdAt.toISOString().slice(11, 19)} UTC.`, createdAt });
  await em.flush();
}

async function findOrMakeRoom(em: EntityManager): Promise<{ room: Room; user: User }> {
  const found = await em.findOne(Room, { name: NAME }, { populate: ['host'] });
  if (found) return { room: found, user: found.host };
  const user = em.create(User, { username: NAME, passwordHash: await new Passwords().hash(randomUUID()) });
  const room = em.create(Room, { name: NAME, host: user, members: [user] });
  return { room, user };
}

const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'disconnect'] as const) process.once(name, () => stopping.abort());
// The supervisor was gone before this process could listen.
if (process.connected === false) stopping.abort();

const database = await openDatabase(readSettings(process.env));
await migrate(database);
// From here on, the clients of all processes receive events for the commits of this process.
const changes = await writeChangeLog({ orm: database.orm });
print(`The time is told in the room "${NAME}"`);
while (!stopping.signal.aborted) {
  await tellTime(database.orm.em.fork());
  await pause(INTERVAL, undefined, { signal: stopping.signal }).catch(() => undefined);
}
await changes.close();
await database.close();
process.exit();
