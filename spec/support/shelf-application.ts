import 'reflect-metadata';
import { Announcer, type ApplicationHooks, type GivenSettings, Tickets } from 'signalbox';
import { MemoryLogger } from 'signalbox/testing';
import { serveCommands } from './programs.js';
import { openShelves, peopleRoute, ShelfConsumer, serveShelves, shelfWrites } from './shelf-service.js';
import { Thing } from './things.js';

export interface ApplicationOptions {
  readonly url: string;
  /** Default any free one. */
  readonly port?: number;
  readonly settings?: GivenSettings;
  /** Whether it observes people, as the others do not. */
  readonly servesPeople?: boolean;
  /** The id of a thing that a stop hook creates, when the last connection has ended. */
  readonly createAtEnd?: number;
}

/** A process that serves the shelves until a signal ends it. */
const {
  url,
  port: given = 0,
  settings,
  servesPeople = false,
  createAtEnd,
}: ApplicationOptions = JSON.parse(process.argv[2] ?? '{}');
const orm = await openShelves(url);
const logger = new MemoryLogger();
const writes = shelfWrites(orm);

class LastWrite implements ApplicationHooks {
  async stop(): Promise<void> {
    if (createAtEnd !== undefined) await writes.create(1, [createAtEnd]);
  }
}

const { app, container } = serveShelves(orm, logger, settings, servesPeople ? [peopleRoute] : [], [LastWrite]);
app.closeOnSignals({ after: () => orm.close() });

const commands = {
  ...writes,
  /** Resolves when all that was committed until now has been handed to the sockets of this process. */
  idle: () => app.idle(),
  /** Whether it reads the log and reaches other processes. */
  isBack: () =>
    app
      .idle()
      .then(() => app.sendToGroup('probe', { type: 'probe' }))
      .then(
        () => true,
        () => false,
      ),
  disconnectUser: (id: number) => app.disconnectUser(id),
  disconnectSession: (id: string) => app.disconnectSession(id),
  recheck: () => app.recheck(ShelfConsumer, 'onAnyThing', ['any: the observer has no groups']),
  issueTicket: async (userId: string) => (await container.resolve(Tickets).issue({ userId }, undefined)).ticket,
  /** By a statement that the ORM reports to nobody. */
  announceCounts: (ids: readonly number[], count: number) =>
    container
      .resolve(Announcer)
      .announcing(Thing, ids, () => orm.em.fork().nativeUpdate(Thing, { id: { $in: [...ids] } }, { count })),
  /** What its log has of a level. */
  logged: (level: 'warn' | 'error') =>
    logger.at(level).map(({ message, fields }) => `${message} ${String(fields['error'] ?? fields['reason'] ?? '')}`),
};

export type ApplicationCommands = typeof commands;

const { port } = await app.listen({ port: given, host: '127.0.0.1' });
serveCommands(commands, { port });
