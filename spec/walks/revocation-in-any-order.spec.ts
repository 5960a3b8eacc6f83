import { EntityManager } from '@mikro-orm/core';
import type { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  createApp,
  type ModelEvent,
  ModelObserver,
  type Permission,
  path,
  RevokedBy,
  type Subscription,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { emptyDatabase, useDatabase, useSecondOrm } from '../support/database.js';
import { checkAsyncProperty } from '../support/properties.js';
import { Note, NoteSerializer, Seat } from '../support/seats.js';

@injectable()
class HasSeat implements Permission {
  constructor(private readonly em: EntityManager) {}

  async hasPermission({ action }: ActionContext) {
    return action !== 'follow' || (await this.em.count(Seat)) > 0;
  }
}

@Consumer()
class NoteConsumer extends ApiConsumer {
  @Action({ status: 201, permissions: [HasSeat] })
  async follow(context: ActionContext) {
    await this.subscribe(this.onNote, {}, context);
  }

  @ModelObserver(() => Note, { serializer: NoteSerializer })
  async onNote(event: ModelEvent<NoteSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }

  @RevokedBy('onNote', () => Seat)
  protected *everybody() {
    yield 'everybody';
  }
}

interface Commit {
  readonly process: number;
  readonly writes: readonly ('note' | 'revoke')[];
  readonly isRolledBack: boolean;
  /** Whether the subscriber's process reads the log afterwards, or with a later commit. */
  readonly isRead: boolean;
}

const commits: fc.Arbitrary<readonly Commit[]> = fc.array(
  fc.record({
    process: fc.nat(1),
    writes: fc.array(fc.constantFrom('note', 'note', 'note', 'revoke'), { minLength: 1, maxLength: 3 }),
    isRolledBack: fc.boolean(),
    isRead: fc.boolean(),
  }),
  { maxLength: 8 },
) as fc.Arbitrary<readonly Commit[]>;

class RolledBack extends Error {}

describe('Revocation, in any order of transactions of two processes', () => {
  const database = useDatabase('revocation_order', [Seat, Note]);
  const elsewhere = useSecondOrm(database);

  async function write({ writes, isRolledBack }: Commit, orm: MikroORM, text: () => string): Promise<void> {
    const transaction = orm.em.fork().transactional(async (em) => {
      for (const each of writes) {
        if (each === 'note') em.create(Note, { room: 1, text: text() });
        else for (const seat of await em.find(Seat, {})) em.remove(seat);
        await em.flush();
      }
      if (isRolledBack) throw new RolledBack();
    });
    await transaction.catch((error) => {
      if (!(error instanceof RolledBack)) throw error;
    });
  }

  /** What a subscriber of the first process is told, and what it has to be told. */
  async function run(history: readonly Commit[]): Promise<{ told: unknown[]; due: unknown[]; mayBeTold: unknown[] }> {
    await emptyDatabase(database.orm);
    await database.orm.em.execute('insert into seat (room) values (1)');
    const orms = [database.orm, elsewhere.orm] as const;
    const serve = (orm: MikroORM): App => createApp({ orm, routes: [path('/ws/', NoteConsumer)] });
    const [app, other] = [serve(database.orm), serve(elsewhere.orm)];
    await other.start();
    const ann = await connect(app, '/ws/');
    expect(await ann.request('follow', { request_id: 7 })).to.include({ response_status: 201 });
    const before: string[] = [];
    let isRevoked = false;
    let notes = 0;
    for (const commit of history) {
      const texts: string[] = [];
      await write(commit, orms[commit.process] as MikroORM, () => texts[texts.push(`note ${++notes}`) - 1] as string);
      isRevoked ||= !commit.isRolledBack && commit.writes.includes('revoke');
      if (!isRevoked && !commit.isRolledBack) before.push(...texts);
      if (commit.isRead) await app.idle();
    }
    await app.idle();
    const told = ann.frames.slice(1).map(({ action, data }) => (data as { text?: string } | null)?.text ?? action);
    ann.close();
    await Promise.all([app.close(), other.close()]);
    return { told, due: isRevoked ? ['revoked'] : before, mayBeTold: isRevoked ? [...before, 'revoked'] : before };
  }

  it('a subscriber hears what was committed before its right was taken, then that it was, then nothing', async function () {
    this.timeout(60_000);
    await checkAsyncProperty(
      fc.asyncProperty(commits, async (history) => {
        const { told, due, mayBeTold } = await run(history);
        expect(mayBeTold).to.include.members(told);
        expect(told).to.include.members(due);
        expect(new Set(told).size).to.equal(told.length);
        if (due.includes('revoked')) expect(told.at(-1)).to.equal('revoked');
        else expect(told).to.deep.equal(due);
      }),
      40,
    );
  });
});
