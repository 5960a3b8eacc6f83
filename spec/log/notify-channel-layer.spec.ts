import { setImmediate as nextTurn } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { type BrokerOptions, type ChannelMessage, NotifyChannelLayer } from 'signalbox';
import {
  behavesLikeAChannelLayer,
  type ChannelLayerUnderTest,
  survivesItsServer,
} from '../contracts/channel-layer-contract.js';
import { addressOf, connectOrm, useDatabase } from '../support/database.js';
import { patience, until, within } from '../support/deadline.js';
import { type PostgresServer, startPostgres } from '../support/postgres.js';
import { TcpProxy } from '../support/tcp-proxy.js';

function nodes(
  orm: MikroORM,
  other: MikroORM,
  options?: BrokerOptions,
): ChannelLayerUnderTest & { readonly peer: NotifyChannelLayer } {
  const [layer, peer] = [orm, other].map(
    (each) => new NotifyChannelLayer(each, { timeLimit: patience, heartbeat: 200, ...options }),
  );
  if (!layer || !peer) throw new Error('There are two.');
  const settled = async (): Promise<void> => {
    await peer.check();
    await layer.check();
    await nextTurn();
  };
  return { layer, peer, settled };
}

describe('NotifyChannelLayer', () => {
  const database = useDatabase('notify_channel_layer');
  let other: MikroORM;

  before(async () => {
    other = await connectOrm(addressOf(database));
  });
  after(() => other.close(true));

  behavesLikeAChannelLayer((options) => nodes(database.orm, other, options));

  describe('in PostgreSQL', () => {
    const opened: NotifyChannelLayer[] = [];

    afterEach(() => Promise.all(opened.splice(0).map((layer) => layer.close())));

    async function joined(orm: MikroORM, group: string): Promise<{ layer: NotifyChannelLayer; heard: unknown[] }> {
      const layer = new NotifyChannelLayer(orm, { timeLimit: patience });
      opened.push(layer);
      const channel = layer.newChannel();
      const heard: unknown[] = [];
      await layer.connect(channel, ({ text }) => heard.push(text));
      await layer.add(group, channel);
      return { layer, heard };
    }

    const note = (text: string): ChannelMessage => ({ type: 'note', text });

    it('hands over messages of every length around that of one notification, whatever characters are cut', async () => {
      const [{ heard }, { layer }] = [await joined(database.orm, 'red'), await joined(other, 'blue')];
      const texts = ['x', 'ü', '語', '🚀'].flatMap((character) =>
        [7_800, 7_899, 7_900, 7_901, 7_950, 7_999, 8_000, 15_999, 24_003].map(
          (length) => `${length} ${character.repeat(length / Buffer.byteLength(character))}`,
        ),
      );
      await layer.sendAll(texts.map((text) => ({ group: 'red', message: note(text) })));
      await until(() => heard.length === texts.length, 'The messages');
      expect(heard).to.deep.equal(texts);
    });

    it('keeps long messages of several senders apart', async () => {
      const [{ heard, layer: one }, { layer: two }] = [await joined(database.orm, 'red'), await joined(other, 'blue')];
      const text = (name: string): string => name.repeat(50_000);
      await Promise.all(
        [1, 2, 3].flatMap(() => [one.sendToGroup('red', note(text('a'))), two.sendToGroup('red', note(text('b')))]),
      );
      await until(() => heard.length === 6, 'The messages');
      expect([...heard].sort()).to.deep.equal([...Array(3).fill(text('a')), ...Array(3).fill(text('b'))]);
    });

    it('drops what no layer has sent, tells of it, and goes on', async () => {
      const { layer, heard } = await joined(database.orm, 'red');
      const failures: unknown[] = [];
      layer.onFailure((error) => failures.push(error));
      for (const payload of ['', 'hello', '1 0 %E0%A4%A ', '1 0 g:red {"type": "no'])
        await other.em.execute(`select pg_notify('signalbox_messages', '${payload}')`);
      await layer.sendToGroup('red', note('hi'));
      await until(() => heard.length === 1 && failures.length === 4, 'The message');
      expect(failures.every((failure) => failure instanceof Error)).to.equal(true);
    });

    it('sends at once, whether or not the transaction around the caller commits', async () => {
      const { layer, heard } = await joined(database.orm, 'red');
      const rolledBack = database.orm.em.transactional(async () => {
        await layer.sendToGroup('red', note('hi'));
        throw new Error('no');
      });
      await rolledBack.catch(() => {});
      await until(() => heard.length === 1, 'The message');
    });

    it('tells of a gap where the database ends the connection', async () => {
      const { layer, heard } = await joined(database.orm, 'red');
      const gap = Promise.withResolvers<void>();
      layer.onGap(gap.resolve);
      await other.em.execute(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and query ~ '^(listen|select pg_notify[(][$]1)'`);
      await within(gap.promise, 'The gap');
      await layer.sendToGroup('red', note('hi'));
      await until(() => heard.length === 1, 'The message');
    });

    it('has one connection outside of the pool, and leaves none', async () => {
      const sessions = async (): Promise<number> => {
        const rows = await other.em.execute<{ count: string }[]>(
          `select count(*) from pg_stat_activity where datname = current_database() and query ~ '^(listen|select pg_notify[(][$]1)'`,
        );
        return Number(rows[0]?.count);
      };
      await until(async () => (await sessions()) === 0, 'The end of what was before');
      const [{ layer }, { layer: second }] = [await joined(database.orm, 'red'), await joined(database.orm, 'red')];
      expect(await sessions()).to.equal(1);
      await layer.close();
      await second.close();
      await until(async () => (await sessions()) === 0, 'The end of the connection');
    });
  });
});

describe('NotifyChannelLayer, whose server fails', () => {
  let postgres: PostgresServer;
  let url: string;
  let opened: MikroORM[] = [];

  before(async function () {
    this.timeout(60_000);
    postgres = await startPostgres();
    url = await postgres.createDatabase('notify');
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((orm) => orm.close(true)));
  });
  after(() => postgres.stop());

  survivesItsServer(async (timeLimit) => {
    const direct = new URL(url);
    const proxy = await TcpProxy.to(Number(direct.port));
    const through = new URL(url);
    through.port = String(proxy.port);
    opened = [await connectOrm(through.href), await connectOrm(url)];
    const [orm, second] = opened;
    if (!orm || !second) throw new Error('There are two.');
    let isKilled = false;
    const server = {
      async kill() {
        isKilled = true;
        await postgres.halt('immediate');
      },
      async resume() {
        if (isKilled) await postgres.resume();
        isKilled = false;
      },
    };
    return { ...nodes(orm, second, { timeLimit }), proxy, server };
  });
});
